"""Batches of many networks at once, as a batchable method may see them, and of one of these."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

MODALITIES = ("a", "b", "c")
WIDTHS = {"a": 2, "b": 3, "c": 1}
N_SAMPLES, N_CLASSES = 7, 4


def make_weights(n_networks, seed=0):
    """Parameters by name, with the axis of the networks in front."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(n_networks, *shape, dtype=torch.float64, generator=generator)

    weights = {f"encoder_{m}": draw(5, d) for m, d in WIDTHS.items()}
    weights["head"] = draw(N_CLASSES, sum(WIDTHS.values()))
    weights["bias"] = draw(N_CLASSES)
    weights["log_prior"] = draw(N_CLASSES).log_softmax(dim=-1)
    return weights


def make_batch(weights, with_prior=True, seed=1):
    """A batch, the same samples for each network; weights without an axis in front make one."""
    n_leading = weights["bias"].ndim - 1
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(N_CLASSES, (N_SAMPLES,), generator=generator)
    parameters = {n: nn.Parameter(w.clone()) for n, w in weights.items() if n != "log_prior"}
    prior = weights["log_prior"] if with_prior else None
    features, alone = {}, {}
    blocks = parameters["head"].split(list(WIDTHS.values()), dim=-1)
    for m, block in zip(MODALITIES, blocks, strict=True):
        x = torch.randn(N_SAMPLES, 5, dtype=torch.float64, generator=generator)
        features[m] = torch.tanh(x @ parameters[f"encoder_{m}"])
        alone[m] = features[m] @ block.mT + parameters["bias"][..., None, :] / len(MODALITIES)
    bias = parameters["bias"][..., None, :]
    logits = sum(alone.values())
    unimodal = dict(alone)
    if prior is not None:
        logits = logits + prior[..., None, :]
        alone = {m: u + prior[..., None, :] for m, u in alone.items()}
    target = target.expand(logits.shape[:-1])

    def coalition_logits(names):
        shared = bias * (1 - len(names) / len(MODALITIES))
        return (
            sum(unimodal[m] for m in names) + shared + (0 if prior is None else prior[..., None, :])
        )

    def loss_of(logits, modality=None):
        losses = F.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none")
        return losses.view(logits.shape[:-1]).mean(dim=-1)

    def gradients(losses, of):
        return list(torch.autograd.grad(losses.sum(), of, retain_graph=True, allow_unused=True))

    encoders = {m: SimpleNamespace(trainable=[parameters[f"encoder_{m}"]]) for m in MODALITIES}
    network = SimpleNamespace(parameters=lambda: iter(parameters.values()), log_prior=prior)
    return SimpleNamespace(
        network=network,
        modalities=MODALITIES,
        epoch=SimpleNamespace(network=network, parameters=encoders),
        parameters=parameters,
        features=features,
        logits=logits,
        unimodal_logits=alone,
        coalition_logits=coalition_logits,
        joint_loss=loss_of(logits),
        unimodal_losses={m: loss_of(u) for m, u in alone.items()},
        target=target,
        n_leading=n_leading,
        n_samples=N_SAMPLES,
        gradient_scale=1.0,
        gradients=gradients,
        loss_of=loss_of,
        criterion=nn.CrossEntropyLoss(),
    )


def step(method, batch):
    """Loss and gradients of a batch, as a method leaves them (dict by name of parameter)."""
    loss = method.loss(batch)
    loss.sum().backward()
    method.on_gradients(batch)
    return loss.detach(), {n: p.grad for n, p in batch.parameters.items()}


def assert_a_stack_is_a_loop(method, n_networks=3, **kwargs):
    """Loss and gradients of a stack of networks are those of each by itself."""
    weights = make_weights(n_networks)
    losses, gradients = step(method, make_batch(weights, **kwargs))
    assert losses.shape == (n_networks,)
    for k in range(n_networks):
        own = make_batch({n: w[k] for n, w in weights.items()}, **kwargs)
        loss, expected = step(method, own)
        torch.testing.assert_close(losses[k], loss, rtol=1e-12, atol=1e-13)
        for name, gradient in expected.items():
            torch.testing.assert_close(gradients[name][k], gradient, rtol=1e-10, atol=1e-13)
