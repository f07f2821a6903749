"""What the statements share: the loop over batches, losses, unimodal logits and SGD, by hand.

Notation as in the specification: encoders give z_m, fusion and head the joint logits f, modalities
in sorted-name order, B samples in a batch, M modalities. Complete data without sample weights.
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch

# What torch.nn.utils.clip_grad_norm_ adds to the norm.
CLIP_EPSILON = 1e-6


@dataclass
class Result:
    """What a statement returns.

    Parameters
    ----------
    weights : dict of str to Tensor
        Final parameters, by their names in the network; those that are not trained too.
    records : dict of str to list
        ``records[what][epoch]`` is a list with an entry for each batch, empty in epochs that are
        not active; "loss" is there for every epoch. A module's docstring names the others.
    network : torch.nn.Module
        The trained copy, with its buffers.
    """

    weights: dict
    records: dict
    network: torch.nn.Module


def disagreement(parameters, result):
    """Largest difference between parameters and a statement's, as a share of each tensor's largest.

    Parameters
    ----------
    parameters : dict of str to Tensor, or iterable of (str, Tensor)
        Such as ``clf.module_.named_parameters()``; the names must be the statement's.
    result : Result
    """
    parameters = dict(parameters)
    if set(parameters) != set(result.weights):
        raise ValueError(f"other names: {sorted(set(parameters) ^ set(result.weights))}")
    worst = 0.0
    for name, slow in result.weights.items():
        scale = max(slow.abs().max().item(), 1e-300)
        difference = (parameters[name].detach().cpu().double() - slow).abs().max().item()
        worst = max(worst, math.inf if math.isnan(difference) else difference / scale)
    return worst


def by_epoch(result, what):
    """Means over the batches of each epoch of a record that has a float for each modality.

    nan where there is none: in epochs that are not active.
    """
    epochs = result.records[what]
    names = next(iter(entry for epoch in epochs for entry in epoch))
    return {
        m: [
            math.fsum(entry[m] for entry in epoch) / len(epoch) if epoch else math.nan
            for epoch in epochs
        ]
        for m in names
    }


def check_wrong(wrong, known):
    if wrong is not None and wrong not in known:
        raise ValueError(f"wrong: {wrong!r} is not one of {list(known)}")


def modalities(network):
    return sorted(network.encoders)


def trained(network):
    """Parameters that are trained, by name."""
    return {k: p for k, p in network.named_parameters() if p.requires_grad}


def names_of(network, module):
    """Names in the network of a module's trained parameters, in the module's order."""
    name = {id(p): k for k, p in network.named_parameters()}
    return [name[id(p)] for p in module.parameters() if p.requires_grad]


def tensors(X):
    return {m: torch.tensor(np.asarray(X[m]), dtype=torch.float64) for m in X}


def labels(y):
    """Classes as int64; a target of floats stays one, in columns."""
    y = torch.as_tensor(np.asarray(y))
    if y.is_floating_point():
        return y.double().reshape(len(y), -1)
    return y.long()


def prior_of(network):
    """The log prior of the classes that all logits have once, or 0."""
    prior = getattr(network, "log_prior", None)
    return 0.0 if prior is None else prior.detach()


def features(network, x):
    """z_m of each modality, in the mode that the encoders are in."""
    if getattr(network, "scalers", None):
        raise ValueError("the statements know no standardization: fit with standardize=False")
    return {m: network.encoders[m](x[m]) for m in modalities(network)}


def joint_logits(network, z):
    return network.head(network.fusion(z)) + prior_of(network)


def zeroed_logits(network, z, members):
    """Joint logits with zeros for the features of all modalities that are not members.

    Fusion and head in evaluation mode, so that no running statistics move.
    """
    parts = [p for top in (network.fusion, network.head) for p in top.modules()]
    modes = [p.training for p in parts]
    for p in parts:
        p.training = False
    kept = {m: z[m] if m in members else torch.zeros_like(z[m]) for m in z}
    logits = network.head(network.fusion(kept)) + prior_of(network)
    for p, mode in zip(parts, modes):
        p.training = mode
    return logits


def is_concat(network):
    return type(network.fusion).__name__ == "Concat"


def blocks(network, z):
    """W_m, the columns of the head's weight that concatenation gives modality m."""
    out, start = {}, 0
    for m in sorted(z):
        out[m] = network.head.weight[:, start : start + z[m].shape[1]]
        start += z[m].shape[1]
    if start != network.head.weight.shape[1]:
        raise ValueError("the head does not fit the features")
    return out


def unimodal_logits(network, z):
    """u_m: W_m z_m + b/M of a concatenation, plus the prior; else the others' features zeroed."""
    if not is_concat(network):
        return {m: zeroed_logits(network, z, {m}) for m in z}
    W, M = blocks(network, z), len(z)
    b = 0.0 if network.head.bias is None else network.head.bias
    return {m: z[m] @ W[m].T + b / M + prior_of(network) for m in z}


def own_head_logits(network, z, m):
    """Logits of the extra linear head of modality m, with the prior as all logits have it."""
    return network.unimodal_heads[m](z[m]) + prior_of(network)


def sample_losses(logits, target):
    """Cross-entropy of each sample, or its mean squared error where the target is floats."""
    if target.is_floating_point():
        return [((logits[i] - target[i]) ** 2).sum() / logits.shape[1] for i in range(len(target))]
    return [
        torch.logsumexp(logits[i], dim=0) - logits[i, int(target[i])] for i in range(len(target))
    ]


def mean_loss(logits, target):
    return sum(sample_losses(logits, target)) / len(target)


def softmax(values):
    """Of a list of floats."""
    top = max(values)
    e = [math.exp(v - top) for v in values]
    return [v / math.fsum(e) for v in e]


def true_class_probabilities(logits, target):
    """Softmax at the true class, one float for each sample."""
    rows = logits.detach().tolist()
    return [softmax(row)[int(c)] for row, c in zip(rows, target)]


def gradients(loss, parameters):
    """Gradient by name; None: the loss does not depend on the parameter."""
    parts = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, allow_unused=True
    )
    return dict(zip(parameters, parts))


def add(first, second, factor=1.0):
    """first + factor * second, by name, where None counts as nothing."""
    out = {}
    for name in first:
        a, b = first[name], second[name]
        if b is None:
            out[name] = a
        else:
            out[name] = factor * b if a is None else a + factor * b
    return out


def norm(grads):
    """Euclidean norm over all tensors."""
    return math.sqrt(math.fsum((g * g).sum().item() for g in grads if g is not None))


def clip(grads, limit, epsilon=CLIP_EPSILON):
    """All gradients times limit / (norm + epsilon), where that is below 1."""
    factor = limit / (norm(grads.values()) + epsilon)
    if factor >= 1.0:
        return dict(grads)
    return {name: None if g is None else factor * g for name, g in grads.items()}


class SGD:
    """Stochastic gradient descent with momentum, without dampening and Nesterov."""

    def __init__(self, momentum=0.0, weight_decay=0.0):
        self.momentum, self.weight_decay = momentum, weight_decay
        self.buffers = {}

    def step(self, parameters, grads, lr):
        with torch.no_grad():
            for name, p in parameters.items():
                if grads[name] is None:  # as in torch, it stays as it is
                    continue
                g = grads[name] + self.weight_decay * p
                if name in self.buffers:
                    g = self.momentum * self.buffers[name] + g
                self.buffers[name] = g
                p.copy_(p - lr * g)


def rate_at(lr, epoch):
    """The learning rate of an epoch; lr is a number or a list with one for each epoch."""
    return lr[epoch] if isinstance(lr, (list, tuple)) else lr


def plain_step(network, x, target):
    """Plain joint training: the loss and its gradients."""
    loss = mean_loss(joint_logits(network, features(network, x)), target)
    return loss.item(), gradients(loss, trained(network))


def run(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum,
    weight_decay,
    active_epochs,
    step,
    before_epoch=None,
    after_epoch=None,
    plain=plain_step,
    forget=None,
):
    """Train a copy of a network, batch by batch.

    Parameters
    ----------
    network : torch.nn.Module
        With ``encoders`` (dict), ``fusion``, ``head`` and maybe ``log_prior``; in float64.
    X : dict of str to ndarray
    y : ndarray of int, or of float (the target as the losses see it)
    batches : list of list of ndarray
        For each epoch, for each batch, the indices of its samples.
    lr : float or list of float
        One for all epochs, or one each.
    active_epochs : collection of int or None
        Epochs, from 0, in which the method acts; elsewhere the loss is the plain joint one and
        nothing is changed. None: all.
    step : callable
        ``step(network, x, target, record) -> (loss, gradients by name)`` of an active batch;
        ``record(what, value)`` keeps a value.
    before_epoch, after_epoch : callable or None
        ``(network, epoch, active, record)``.
    plain : callable
        ``(network, x, target) -> (loss, gradients by name)`` of a batch that is not active.
    forget : callable or None
        Whether the optimizer forgets its momentum at the start of an epoch: a wrong rule only.

    Returns
    -------
    Result
    """
    network = copy.deepcopy(network).double().train()
    inputs, target = tensors(X), labels(y)
    optimizer = SGD(momentum, weight_decay)
    records = {"loss": [[] for _ in batches]}

    for epoch, epoch_batches in enumerate(batches):
        active = active_epochs is None or epoch in active_epochs

        def record(what, value, epoch=epoch):
            records.setdefault(what, [[] for _ in batches])[epoch].append(value)

        if before_epoch is not None:
            before_epoch(network, epoch, active, record)
        if forget is not None and forget():
            optimizer.buffers.clear()
        for index in epoch_batches:
            index = [int(i) for i in index]
            x = {m: inputs[m][index] for m in inputs}
            network.train()
            if active:
                loss, grads = step(network, x, target[index], record)
            else:
                loss, grads = plain(network, x, target[index])
            record("loss", float(loss))
            optimizer.step(trained(network), grads, rate_at(lr, epoch))
        if after_epoch is not None:
            after_epoch(network, epoch, active, record)

    weights = {name: p.detach().clone() for name, p in network.named_parameters()}
    return Result(weights, records, network)
