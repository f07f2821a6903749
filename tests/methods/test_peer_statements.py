"""The slow statements of OGM-GE, MMPareto, DGL, TCMax and PMR against numbers by hand."""

from copy import deepcopy
from math import log, sqrt, tanh

import numpy as np
import pytest
import torch
from peer_networks import THREE, TWO, changes, distance, make_batches, make_data, make_network
from peers import base, dgl, mmpareto, ogm_ge, pmr, tcmax
from torch import nn
from torch.nn import functional as F

from inforeg_sk import MultimodalClassifier
from inforeg_sk.network import Sum

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}
ONE_STEP = {"lr": 1.0}
BATCHES = make_batches()
ONE_BATCH = make_batches(size=24, epochs=1)


def tensors(X):
    return {m: torch.as_tensor(X[m]) for m in X}


def plain(network, X, y, batches, sgd=SGD):
    return tcmax.train(network, X, y, batches, active_epochs=(), **sgd)


def grads_of(loss, network):
    """Gradients by torch's own backward pass."""
    network.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    return {k: p.grad for k, p in network.named_parameters()}


# What they share.


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("fusion", [None, Sum])
def test_plain_training_is_that_of_torch(fusion, prior, norm):
    kwargs = {"fusion": fusion} if fusion else {}
    network = make_network(THREE, prior=prior, norm=norm, **kwargs)
    X, y = make_data(THREE)
    result = plain(network, X, y, BATCHES)
    optimizer = torch.optim.SGD(network.parameters(), **SGD)
    for batches in BATCHES:
        for rows in batches:
            logits = network({m: v[rows] for m, v in tensors(X).items()}).logits
            optimizer.zero_grad()
            F.cross_entropy(logits, torch.as_tensor(y[rows])).backward()
            optimizer.step()
    for key, p in network.named_parameters():
        torch.testing.assert_close(result.weights[key], p.detach(), rtol=1e-11, atol=1e-12)
    for key, value in network.named_buffers():
        torch.testing.assert_close(dict(result.network.named_buffers())[key], value)


@pytest.mark.parametrize("fusion", ["concat", "sum"])
def test_plain_training_is_that_of_a_real_estimator(fusion):
    X, y = make_data(THREE)
    start = {}

    class Spy(MultimodalClassifier):
        def initialize_module(self):
            super().initialize_module()
            start["network"] = deepcopy(self.module_)
            return self

    clf = Spy(
        "joint",
        encoders__hidden=(5,),
        fusion=fusion,
        optimizer=torch.optim.SGD,
        lr=SGD["lr"],
        optimizer__momentum=SGD["momentum"],
        optimizer__weight_decay=SGD["weight_decay"],
        max_epochs=3,
        batch_size=10,
        dtype="float64",
        device="cpu",
        random_state=0,
        iterator_train__shuffle=False,
        standardize=False,
    ).fit(X, y)
    order = [np.arange(0, 10), np.arange(10, 20), np.arange(20, 24)]
    slow = plain(start["network"], X, y, [order] * 3)
    assert base.disagreement(clf.module_.named_parameters(), slow) < 1e-10
    assert base.disagreement(start["network"].named_parameters(), slow) > 1e-2
    expected = [np.average(epoch, weights=[10, 10, 4]) for epoch in slow.records["loss"]]
    np.testing.assert_allclose(clf.history[:, "train_loss"], expected, rtol=1e-10)


def test_unimodal_logits_are_shares_of_a_concatenation_and_zeroed_ones_have_the_whole_bias():
    network = make_network(THREE, prior=True)
    z = base.features(network, tensors(make_data(THREE)[0]))
    prior, b = network.log_prior, network.head.bias
    shares = base.unimodal_logits(network, z)
    joint = base.joint_logits(network, z)
    torch.testing.assert_close(sum(u - prior for u in shares.values()), joint - prior)
    for m in THREE:
        zeroed = base.zeroed_logits(network, z, {m})
        torch.testing.assert_close(zeroed - shares[m], (b * 2 / 3).expand(24, 3))


def test_losses_and_scores_by_hand():
    logits = torch.tensor([[0.0, log(3)], [log(4), 0.0]], dtype=torch.float64)
    target = torch.tensor([1, 1])
    assert base.mean_loss(logits, target).item() == pytest.approx(-(log(0.75) + log(0.2)) / 2)
    assert base.true_class_probabilities(logits, target) == pytest.approx([0.75, 0.2])
    floats = torch.tensor([[1.0, log(3)], [log(4), 2.0]], dtype=torch.float64)
    assert base.mean_loss(logits, floats).item() == pytest.approx((1 / 2 + 4 / 2) / 2)


def test_clipping_is_that_of_torch():
    a, b = (nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    grads = {"a": torch.tensor([3.0, 0.0]).double(), "b": torch.tensor([0.0, 4.0]).double()}
    a.grad, b.grad = grads["a"].clone(), grads["b"].clone()
    nn.utils.clip_grad_norm_([a, b], 2.0)
    ours = base.clip({**grads, "none": None}, 2.0)
    torch.testing.assert_close(ours["a"], a.grad, rtol=1e-14, atol=0)
    torch.testing.assert_close(ours["b"], b.grad, rtol=1e-14, atol=0)
    assert ours["none"] is None
    assert torch.equal(base.clip(grads, 6.0)["b"], grads["b"])


@pytest.mark.parametrize("module", [ogm_ge, mmpareto, dgl, tcmax])
def test_only_active_epochs_differ_from_plain_training(module):
    network = make_network()
    X, y = make_data()
    off = module.train(network, X, y, BATCHES, active_epochs=(), **SGD)
    late = module.train(network, X, y, BATCHES, active_epochs={2}, **SGD)
    on = module.train(network, X, y, BATCHES, **SGD)
    assert distance(off, plain(network, X, y, BATCHES)) == 0.0
    assert late.records["loss"][:2] == off.records["loss"][:2]
    assert min(distance(off, late), distance(late, on)) > 1e-4


def test_an_unknown_wrong_rule_is_an_error():
    with pytest.raises(ValueError, match="is not one of"):
        tcmax.train(make_network(), *make_data(), BATCHES, lr=0.1, wrong="nothing")


def test_disagreement_and_means_by_epoch():
    slow = base.Result({"w": torch.tensor([2.0, -4.0]).double()}, {}, None)
    assert base.disagreement({"w": torch.tensor([2.0, -4.2]).double()}.items(), slow) == (
        pytest.approx(0.05)
    )
    assert base.disagreement({"w": torch.tensor([2.0, float("nan")])}, slow) == float("inf")
    with pytest.raises(ValueError, match="other names"):
        base.disagreement({"v": slow.weights["w"]}, slow)
    slow.records["factor"] = [[{"a": 1.0, "b": 0.0}, {"a": 2.0, "b": 0.5}], []]
    means = base.by_epoch(slow, "factor")
    assert means["a"][0] == 1.5 and means["b"][0] == 0.25 and np.isnan(means["a"][1])


# OGM-GE.


def test_ogm_factors_of_the_specification():
    just_above = 1 + 1e-12
    assert ogm_ge.factor(just_above, 0.1) == pytest.approx(0.90, abs=5e-3)
    assert ogm_ge.factor(just_above, 0.8) == pytest.approx(0.336, abs=5e-4)
    assert ogm_ge.factor(2.0, 0.1) == pytest.approx(0.80, abs=5e-3)
    assert ogm_ge.factor(2.0, 0.8) == pytest.approx(0.078, abs=5e-4)
    assert ogm_ge.factor(1.0, 0.8) == ogm_ge.factor(0.5, 0.8) == 1.0


def test_ogm_ratios_by_hand():
    two = ogm_ge.ratios({"a": 6.0, "b": 3.0})
    assert two == {"a": 2.0, "b": 0.5}
    three = ogm_ge.ratios({"a": 6.0, "b": 3.0, "c": 1.0})
    assert three == pytest.approx({"a": 3.0, "b": 6 / 7, "c": 2 / 9})


def test_ogm_slows_the_matrices_of_the_better_encoder_only():
    network, (X, y) = make_network(THREE), make_data(THREE)
    free = changes(network, plain(network, X, y, ONE_BATCH, ONE_STEP))
    result = ogm_ge.train(network, X, y, ONE_BATCH, alpha=0.4, **ONE_STEP)
    # Scores by torch, in the order of the batch's own sum.
    logits = network.unimodal_logits(network.encode(tensors(X)))
    s = {m: logits[m].softmax(1)[range(24), y].sum().item() for m in THREE}
    for key, change in changes(network, result).items():
        k = 1.0
        for m in THREE:
            if key.startswith(f"encoder_{m}.") and change.dim() == 2:
                rho = s[m] / (sum(s[j] for j in THREE if j != m) / 2)
                k = 1 - tanh(0.4 * rho) if rho > 1 else 1.0
                assert result.records["factor"][0][0][m] == pytest.approx(k)
        torch.testing.assert_close(change, k * free[key], rtol=1e-9, atol=1e-14)
    assert sorted(result.records["factor"][0][0].values())[-1] == 1.0
    assert min(result.records["factor"][0][0].values()) < 0.7


def test_ogm_with_alpha_0_and_conv_only_are_plain_training():
    network, (X, y) = make_network(), make_data()
    expected = plain(network, X, y, BATCHES)
    assert distance(ogm_ge.train(network, X, y, BATCHES, alpha=0.0, **SGD), expected) == 0.0
    drawn = []
    conv = ogm_ge.train(network, X, y, BATCHES, conv_only=True, draw=drawn.append, **SGD)
    assert distance(conv, expected) == 0.0 and not drawn


def test_ogm_noise_has_the_deviation_of_the_gradient_before_scaling():
    network, (X, y) = make_network(), make_data()
    network.encoders["text"][0] = nn.Linear(3, 1).double()
    network.encoders["text"][2] = nn.Linear(1, 3).double()
    network.encoders["text"].insert(2, nn.Linear(1, 1).double())
    free = ogm_ge.train(network, X, y, ONE_BATCH, alpha=0.5, **ONE_STEP)
    gradient = changes(network, ogm_ge.train(network, X, y, ONE_BATCH, alpha=0.0, **ONE_STEP))
    shapes = []

    def ones(g):
        shapes.append(tuple(g.shape))
        return torch.ones_like(g)

    noisy = ogm_ge.train(network, X, y, ONE_BATCH, alpha=0.5, draw=ones, **ONE_STEP)
    # Nothing is drawn for the one element of encoder_text's second layer.
    assert shapes == [(4, 4), (4, 4), (1, 3), (3, 1)]
    for key, change in changes(network, noisy).items():
        drawn = key.startswith("encoder_") and change.dim() == 2 and change.numel() > 1
        sd = gradient[key].std().item() + 1e-8 if drawn else 0.0
        expected = free.weights[key] - dict(network.named_parameters())[key] - sd
        torch.testing.assert_close(change, expected.detach(), rtol=1e-9, atol=1e-14)


# MMPareto.


def test_min_norm_weight_against_a_grid():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(40):
        a, u = rng.normal(size=(2, 3))
        if a @ u > 0:
            assert mmpareto.min_norm_weight(a @ a, u @ u, a @ u) == 0.5
            continue
        seen += 1
        w = mmpareto.min_norm_weight(a @ a, u @ u, a @ u)
        grid = np.linspace(0, 1, 2001)
        norms = np.linalg.norm(grid[:, None] * a + (1 - grid[:, None]) * u, axis=1)
        assert w == pytest.approx(grid[norms.argmin()], abs=5e-4)
        h = w * a + (1 - w) * u
        assert h @ a == pytest.approx(h @ h) and h @ u == pytest.approx(h @ h)
    assert seen > 10


def test_min_norm_weight_by_hand():
    # a = (1, 0), u = (-1, 2): w = (5 + 1) / (1 + 5 + 2) = 3/4; a right angle is a conflict.
    assert mmpareto.min_norm_weight(1.0, 5.0, -1.0) == 0.75
    assert mmpareto.min_norm_weight(1.0, 4.0, 0.0) == 0.8
    assert mmpareto.min_norm_weight(0.0, 0.0, 0.0) == 0.5


def test_mmpareto_stretch_by_hand():
    def tensor(*values):
        return torch.tensor(values, dtype=torch.float64)

    plain, h = [tensor(0.0, 2.0)], [tensor(0.5, 0.5)]
    assert mmpareto.stretch(plain, h) == pytest.approx(2 * sqrt(2))
    assert mmpareto.stretch(h, plain) == 1.0
    assert mmpareto.stretch([*plain, tensor(3.0)], [*h, tensor(0.0)]) == pytest.approx(sqrt(26))
    assert mmpareto.stretch(plain, [tensor(0.0, 0.0)]) == 1.0


def joint_and_heads(network, X, y):
    output = network(tensors(X))
    target = torch.as_tensor(y)
    losses = [F.cross_entropy(output.logits, target)]
    for m, head in network.unimodal_heads.items():
        losses.append(F.cross_entropy(head(output.features[m]), target))
    return losses


def test_mmpareto_without_pareto_is_the_sum_of_losses_times_gamma_on_encoders():
    network, (X, y) = make_network(THREE), make_data(THREE)
    step = mmpareto.train(network, X, y, ONE_BATCH, gamma=1.5, pareto=False, **ONE_STEP)
    for key, g in grads_of(sum(joint_and_heads(network, X, y)), network).items():
        factor = 1.5 if key.startswith("encoder_") else 1.0
        torch.testing.assert_close(changes(network, step)[key], -factor * g)


@pytest.mark.parametrize("rescale", ["tensor", "encoder"])
def test_mmpareto_step_by_hand_in_conflict(rescale):
    network, (X, y) = make_network(seed=3), make_data()
    # Heads that say the opposite of the joint head make a conflict.
    with torch.no_grad():
        z = network.encode(tensors(X))
        for m, block in base.blocks(network, z).items():
            network.unimodal_heads[m].weight.copy_(-block)
    step = mmpareto.train(network, X, y, ONE_BATCH, rescale=rescale, **ONE_STEP)
    joint, *single = [grads_of(loss, network) for loss in joint_and_heads(network, X, y)]
    got, conflicts = changes(network, step), 0
    for m, of_m in zip(TWO, single):
        keys = [k for k in got if k.startswith(f"encoder_{m}.")]
        a = torch.cat([joint[k].flatten() for k in keys])
        u = torch.cat([of_m[k].flatten() for k in keys])
        w = 0.5
        if a @ u <= 0:
            conflicts += 1
            w = float((u @ u - a @ u) / ((a - u) @ (a - u)))
        assert step.records["weight_joint"][0][0][m] == pytest.approx(w)
        whole = max(1.0, float((a + u).norm() / (2 * w * a + 2 * (1 - w) * u).norm()))
        for k in keys:
            h = 2 * w * joint[k] + 2 * (1 - w) * of_m[k]
            own = max(1.0, float((joint[k] + of_m[k]).norm() / h.norm()))
            stretched = own if rescale == "tensor" else whole
            torch.testing.assert_close(got[k], -1.5 * stretched * h)
    assert conflicts


# DGL.


@pytest.mark.parametrize("fusion", [None, Sum])
def test_dgl_encoders_learn_alone_and_the_head_on_frozen_features(fusion):
    kwargs = {"fusion": fusion} if fusion else {}
    network, (X, y) = make_network(THREE, **kwargs), make_data(THREE)
    step = dgl.train(network, X, y, ONE_BATCH, weight=4.0, max_norm=None, **ONE_STEP)
    got, target = changes(network, step), torch.as_tensor(y)
    z = network.encode(tensors(X))
    for m in THREE:
        alone = {j: z[j] if j == m else torch.zeros_like(z[j]) for j in THREE}
        loss = 4 * F.cross_entropy(network.head(network.fusion(alone)), target)
        of_m = grads_of(loss, network)
        z = network.encode(tensors(X))
        for k in of_m:
            if k.startswith(f"encoder_{m}."):
                torch.testing.assert_close(got[k], -of_m[k])
    frozen = {m: z[m].detach() for m in THREE}
    of_top = grads_of(F.cross_entropy(network.head(network.fusion(frozen)), target), network)
    for k in of_top:
        if k.startswith(("fusion.", "head.")):
            torch.testing.assert_close(got[k], -of_top[k])


def test_dgl_clips_the_norm_of_all_gradients():
    network, (X, y) = make_network(), make_data()
    free = dgl.train(network, X, y, ONE_BATCH, **ONE_STEP)
    clipped = dgl.train(network, X, y, ONE_BATCH, max_norm=0.5, **ONE_STEP)
    norm = sqrt(sum(float(c.square().sum()) for c in changes(network, free).values()))
    assert free.records["norm"][0][0] == pytest.approx(norm) and norm > 0.5
    for k, change in changes(network, clipped).items():
        torch.testing.assert_close(
            change, changes(network, free)[k] * 0.5 / norm, rtol=1e-5, atol=0
        )


# TCMax.


def test_tcmax_by_hand():
    a = torch.tensor([[log(2), 0.0], [0.0, 0.0]], dtype=torch.float64)
    v = torch.tensor([[0.0, 0.0], [0.0, log(3)]], dtype=torch.float64)
    # exp f of the four pairs: (2, 1), (2, 3), (1, 1), (1, 3), so Z = 14.
    value, log_z = tcmax.objective(
        lambda z: z["a"] + z["v"], {"a": a, "v": v}, torch.tensor([0, 1])
    )
    assert log_z == pytest.approx(log(14))
    assert value.item() == pytest.approx(-(log(2) + log(3)) / 2 + log(14) - log(8))


@pytest.mark.parametrize("names", [TWO, THREE])
def test_tcmax_equals_the_factorized_form(names):
    network, (X, y) = make_network(names), make_data(names, n=6)
    z = network.encode(tensors(X))
    b, W = network.head.bias, base.blocks(network, z)
    parts = b + sum(torch.logsumexp(z[m] @ W[m].T, dim=0) for m in names)
    expected = torch.logsumexp(parts, dim=0) - len(names) * log(6) - log(3)
    expected = expected - network.head(network.fusion(z))[range(6), y].mean()
    result = tcmax.train(network, X, y, [[np.arange(6)]], **ONE_STEP)
    assert result.records["loss"][0][0] == pytest.approx(expected.item())
    for k, g in grads_of(expected, network).items():
        if g is not None:
            torch.testing.assert_close(changes(network, result)[k], -g)


# PMR.


def test_pmr_factors_by_hand_and_clipped():
    beta, gamma = pmr.factors({"a": 3.0, "b": 2.0})
    assert beta == pytest.approx({"a": 0.0, "b": 0.5})
    assert gamma == pytest.approx({"a": 0.5, "b": 0.0})
    beta, gamma = pmr.factors({"a": 9.0, "b": 6.0, "c": 1.0})
    assert beta == pytest.approx({"a": 0.0, "b": 0.5, "c": 1.0})
    assert gamma == pytest.approx({"a": 1.0, "b": 1.0, "c": 0.0})
    assert pmr.factors({"a": 9.0, "b": 6.0, "c": 1.0}, hard=True)[0] == {"a": 0, "b": 1, "c": 1}
    assert pmr.factors({"a": 2.0, "b": 2.0}, hard=True)[0] == {"a": 0.0, "b": 0.0}


def test_pmr_prototypes_by_hand():
    z = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 5.0]])
    assert pmr.class_means(z, [0, 0, 1], 2).tolist() == [[2.0, 3.0], [5.0, 5.0]]
    old = torch.tensor([[0.0, 0.0], [7.0, 8.0]])
    assert pmr.class_means(z, [0, 0, 0], 2, old).tolist() == [[3.0, pytest.approx(11 / 3)], [7, 8]]
    with pytest.raises(ValueError, match="class 1 has no sample"):
        pmr.class_means(z, [0, 0, 0], 2)
    assert pmr.blend(1.0, 11.0, 0.2) == pytest.approx(3.0)
    y = [0, 0, 1, 0, 1, 2, 2, 2]
    batches = [[0, 1], [3, 4], [5, 6], [2, 7]]
    assert pmr.first_rows(batches, 1, y, 3) == [0, 1, 3, 4, 5, 6]
    assert pmr.first_rows(batches, 4, y, 3) == [0, 1, 3, 4, 5, 6, 2, 7]


def test_pmr_distances_by_hand_with_no_gradient_at_0():
    z = torch.tensor([[3.0, 4.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    logits = pmr.distances(z, torch.tensor([[0.0, 0.0], [1.0, 1.0]]).double())
    assert logits.tolist()[0] == pytest.approx([-5.0, -sqrt(13)])
    assert logits.tolist()[1] == pytest.approx([-sqrt(2), 0.0])
    (g,) = torch.autograd.grad(logits[1, 1] + logits[0, 0], [z])
    torch.testing.assert_close(g, torch.tensor([[-0.6, -0.8], [0.0, 0.0]]).double())
    assert pmr.entropies(torch.tensor([[0.0, log(3)]]))[0].item() == pytest.approx(
        -0.25 * log(0.25) - 0.75 * log(0.75)
    )


def test_pmr_adds_the_weaker_ones_prototype_loss_to_its_encoder():
    network, (X, y) = make_network(), make_data()
    rows = [np.arange(24)] * 2
    kwargs = {"alpha": 2.0, "mu": 0.3, "entropy_epochs": 1, "prototype_rows": rows}
    step = pmr.train(network, X, y, ONE_BATCH, **kwargs, **ONE_STEP)
    first = {k: v[0][0] for k, v in step.records.items() if k != "prototypes"}
    weaker, stronger = sorted(TWO, key=first["score"].get)
    assert first["beta"][stronger] == first["gamma"][weaker] == 0.0
    assert first["beta"][weaker] == first["gamma"][stronger] > 0.0
    # The same loss by torch.
    output, target = network(tensors(X)), torch.as_tensor(y)
    loss, z = F.cross_entropy(output.logits, target), output.features
    logits = {}
    for m in TWO:
        means = torch.stack([z[m][target == k].mean(0) for k in range(3)]).detach()
        logits[m] = -torch.cdist(z[m], means)
        score = logits[m].softmax(1)[range(24), y].sum().item()
        assert first["score"][m] == pytest.approx(score)
    factor = min(1.0, first["score"][stronger] / first["score"][weaker] - 1)
    entropy = torch.distributions.Categorical(logits=logits[stronger]).entropy().mean()
    loss = loss + 2 * factor * F.cross_entropy(logits[weaker], target) - 0.3 * factor * entropy
    assert step.records["loss"][0][0] == pytest.approx(loss.item())
    for k, g in grads_of(loss, network).items():
        if g is not None:
            torch.testing.assert_close(changes(network, step)[k], -g)


def test_pmr_prototypes_blend_from_the_second_epoch_on():
    network, (X, y) = make_network(norm=True), make_data()
    rows = [np.arange(24), np.arange(12), np.arange(6, 20), np.arange(24)]
    result = pmr.train(network, X, y, BATCHES, prototype_rows=rows, q=0.25, **SGD)
    kept = result.records["prototypes"]
    assert len(kept) == 4
    z = result.network.eval().encode(tensors(X))["audio"].detach()
    fresh = torch.stack([z[y == k].mean(0) for k in range(3)])
    torch.testing.assert_close(kept[3]["audio"], 0.75 * fresh + 0.25 * kept[2]["audio"])
    one = pmr.train(network, X, y, BATCHES[:1], prototype_rows=rows[:2], q=0.25, **SGD)
    z = one.network.eval().encode(tensors(X))["audio"].detach()[:12]
    fresh = torch.stack([z[y[:12] == k].mean(0) for k in range(3)])
    torch.testing.assert_close(one.records["prototypes"][1]["audio"], fresh)


def test_pmr_with_alpha_0_is_plain_training():
    network, (X, y) = make_network(), make_data()
    off = pmr.train(network, X, y, BATCHES, prototype_rows=[np.arange(24)] * 4, alpha=0, **SGD)
    assert distance(off, plain(network, X, y, BATCHES)) == 0.0
