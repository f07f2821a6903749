"""The slow statements of G-Blending, AGM, D&R, OPM and Greedy against numbers by hand."""

from itertools import permutations
from math import exp, inf, log10, sqrt, tanh

import numpy as np
import pytest
import torch
from peer_networks import THREE, TWO, changes, distance, make_batches, make_data, make_network
from peers import agm, dr, g_blending, greedy, opm, tcmax
from torch.nn import functional as F

from inforeg_sk.network import Sum

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}
ONE_STEP = {"lr": 1.0}
BATCHES = make_batches()
ONE_BATCH = make_batches(size=24, epochs=1)
FIT, HELD_OUT = np.arange(18), np.arange(18, 24)


def tensors(X):
    return {m: torch.as_tensor(X[m]) for m in X}


def plain(network, X, y, batches, sgd=SGD):
    return tcmax.train(network, X, y, batches, active_epochs=(), **sgd)


def each_batch(result, what):
    return [value for epoch in result.records[what] for value in epoch]


# G-Blending.


def test_gains_and_weights_by_hand():
    before = {"a": (1.0, 1.0), "b": (1.0, 1.5), "joint": (2.0, 2.0)}
    after = {"a": (0.5, 0.75), "b": (0.5, 1.25), "joint": (0.5, 1.0)}
    G, O = g_blending.gains(before, after)  # noqa: E741
    assert G == {"a": 0.25, "b": 0.25, "joint": 1.0}
    assert O == {"a": 0.25, "b": 0.25, "joint": 0.5}
    # G / O^2: 4, 4, 4.
    weights = g_blending.weights_from(G, O)
    assert weights == pytest.approx({"a": 1 / 3, "b": 1 / 3, "joint": 1 / 3})
    # 8, none for what got worse, 2.
    weights = g_blending.weights_from(
        {"a": 0.5, "b": -9.0, "joint": 2.0}, {"a": -0.25, "b": 0.1, "joint": 1.0}
    )
    assert weights == pytest.approx({"a": 0.8, "b": 0.0, "joint": 0.2})
    # The floor of O^2; nothing gained.
    weights = g_blending.weights_from({"a": 3e-8, "joint": 1e-8}, {"a": 0.0, "joint": 1e-5})
    assert weights == pytest.approx({"a": 0.75, "joint": 0.25})
    assert g_blending.weights_from({"a": -1.0, "joint": 0.0}, {"a": 1.0, "joint": 1.0}) == {
        "a": 0.5,
        "joint": 0.5,
    }


def test_blending_with_all_weight_on_the_joint_head_is_plain_training():
    network, (X, y) = make_network(THREE), make_data(THREE)
    weights = {**dict.fromkeys(THREE, 0.0), "joint": 1.0}
    blend = g_blending.train(network, X, y, BATCHES, weights=weights, **SGD)
    assert distance(blend, plain(network, X, y, BATCHES), but=["unimodal_head"]) == 0.0


def trial_batches(names, epochs=2, seed=5):
    heads = [*names, "joint"]
    return {h: make_batches(FIT, 6, epochs, seed + i) for i, h in enumerate(heads)}


def test_a_trial_is_a_training_of_one_head_measured_before_and_after():
    network, (X, y) = make_network(norm=True), make_data()
    trials = trial_batches(TWO)
    kwargs = {"trials": {0: trials}, "fit_rows": FIT, "held_out": HELD_OUT}
    result = g_blending.train(network, X, y, make_batches(FIT, 6), **kwargs, **SGD)
    estimate = result.records["estimate"][0][0]
    before = estimate["before"]["joint"]
    alone = plain(network, X, y, trials["joint"]).network.eval()
    for rows, got, start in zip((FIT, HELD_OUT), estimate["after"]["joint"], before):
        for net, value in ((alone, got), (network.eval(), start)):
            logits = net({m: v[rows] for m, v in tensors(X).items()}).logits
            assert F.cross_entropy(logits, torch.as_tensor(y[rows])).item() == pytest.approx(value)
    # That of a modality's head by torch.
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), **SGD)
    for batches in trials["text"]:
        for rows in batches:
            z = network.encoders["text"](tensors(X)["text"][rows])
            loss = F.cross_entropy(network.unimodal_heads["text"](z), torch.as_tensor(y[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    z = network.eval().encoders["text"](tensors(X)["text"][HELD_OUT])
    loss = F.cross_entropy(network.unimodal_heads["text"](z), torch.as_tensor(y[HELD_OUT]))
    assert estimate["after"]["text"][1] == pytest.approx(loss.item())


def test_an_estimation_changes_nothing_but_the_weights():
    network, (X, y) = make_network(norm=True), make_data()
    batches = make_batches(FIT, 6)
    kwargs = {"fit_rows": FIT, "held_out": HELD_OUT}
    trials = {0: trial_batches(TWO)}
    estimated = g_blending.train(network, X, y, batches, trials=trials, **kwargs, **SGD)
    weights = estimated.records["estimate"][0][0]["weights"]
    assert sum(weights.values()) == pytest.approx(1.0) and max(weights.values()) < 1.0
    fixed = g_blending.train(network, X, y, batches, weights=weights, **SGD)
    assert distance(fixed, estimated) == 0.0


# AGM.


def test_agm_shares_by_hand():
    two = agm.shares(["a", "b"])
    a, b, ab = frozenset("a"), frozenset("b"), frozenset("ab")
    assert two["a"] == {frozenset(): -0.5, a: 0.5, b: -0.5, ab: 0.5}
    three = agm.shares(["a", "b", "c"])["a"]
    expected = {"abc": 1 / 3, "bc": -1 / 3, "a": 1 / 3, "ab": 1 / 6, "b": -1 / 6, "ac": 1 / 6}
    expected = {frozenset(k): v for k, v in {**expected, "c": -1 / 6, "": -1 / 3}.items()}
    assert three == pytest.approx(expected)


@pytest.mark.parametrize("names", ["ab", "abc", "abcd"])
def test_agm_shares_are_means_over_orders_and_add_up(names):
    rng = np.random.default_rng(0)
    V = {S: float(rng.normal()) for S in agm.subsets(list(names))}
    phi = agm.responses(V, list(names))
    orders = list(permutations(names))
    for m in names:
        gains = []
        for order in orders:
            before = frozenset(order[: order.index(m)])
            gains.append(V[before | {m}] - V[before])
        assert phi[m] == pytest.approx(sum(gains) / len(gains))
    assert sum(phi.values()) == pytest.approx(V[frozenset(names)] - V[frozenset()])


def test_agm_scores_leads_and_coefficients_by_hand():
    phi = torch.tensor([[0.0, np.log(3)], [100.0, 0.0]], dtype=torch.float64)
    expected = (-np.log(0.75) - np.log(1e-8)) / 2
    assert agm.mean_negative_log(phi, torch.tensor([1, 1])) == pytest.approx(expected)
    r = agm.leads({"a": 0.5, "b": 1.5, "c": 2.5})
    assert r == pytest.approx({"a": exp(1.5), "b": 1.0, "c": exp(-1.5)})
    mean = 1.5
    assert r["a"] == pytest.approx(exp(3 / 2 * (mean - 0.5)))
    # Ahead of its own lead: slowed; behind: sped up, at most by the cap.
    assert agm.coefficient(1.0, 2.0, 0.5, None) == pytest.approx(exp(-0.5))
    assert agm.coefficient(30.0, 2.0, 0.5, 10) == pytest.approx(exp(5))
    assert agm.leads({"a": 0.0, "b": 1e4})["a"] == inf
    assert agm.coefficient(1.0, inf, 1.0, None) == 0.0
    assert agm.coefficient(1.0, inf, 0.0, None) == 1.0


@pytest.mark.parametrize("zeroed", ["inputs", "features"])
@pytest.mark.parametrize("names", [TWO, THREE])
def test_agm_with_alpha_0_is_plain_training(names, zeroed):
    network, (X, y) = make_network(names, norm=True), make_data(names)
    off = agm.train(network, X, y, BATCHES, alpha=0.0, zeroed=zeroed, **SGD)
    expected = plain(network, X, y, BATCHES)
    assert distance(off, expected) < 1e-12
    # The zeroed passes leave the running statistics alone.
    for key, value in expected.network.named_buffers():
        torch.testing.assert_close(dict(off.network.named_buffers())[key], value)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("zeroed, holds", [("features", True), ("inputs", False)])
def test_agm_closed_form_of_a_concatenation(zeroed, holds, names):
    network, (X, y) = make_network(names), make_data(names)
    free = changes(network, plain(network, X, y, ONE_BATCH, ONE_STEP))
    step = agm.train(network, X, y, ONE_BATCH, zeroed=zeroed, alpha=2.0, **ONE_STEP)
    c = step.records["coefficient"][0][0]
    got = changes(network, step)
    expected = {k: v for k, v in free.items() if k.startswith(("encoder", "head"))}
    for k in expected:
        for m in names:
            if k.startswith(f"encoder_{m}."):
                expected[k] = c[m] * free[k]
    widths = [network.widths[m] for m in names]
    parts = free["head.weight"].split(widths, dim=1)
    expected["head.weight"] = torch.cat([c[m] * p for m, p in zip(names, parts)], dim=1)
    expected["head.bias"] = sum(c.values()) / len(names) * free["head.bias"]
    errors = [float((got[k] - expected[k]).abs().max()) for k in expected]
    assert max(errors) < 1e-15 if holds else max(errors) > 1e-3
    if holds:
        shares = network.unimodal_logits(network.encode(tensors(X)))
        s = {m: F.cross_entropy(shares[m], torch.as_tensor(y)).item() for m in names}
        assert step.records["score"][0][0] == pytest.approx(s)
        assert step.records["reference"][0][0] == dict.fromkeys(names, 1.0)


@pytest.mark.parametrize("zeroed", ["inputs", "features"])
def test_agm_gradient_equals_that_of_scaled_responses(zeroed):
    """A scale of the gradient, by torch's own hooks, on the way into each phi_m."""
    network, (X, y) = make_network(THREE, fusion=Sum), make_data(THREE)
    step = agm.train(network, X, y, ONE_BATCH, zeroed=zeroed, **ONE_STEP)
    c = step.records["coefficient"][0][0]
    z, inputs, V = network.encode(tensors(X)), tensors(X), {}
    for S in agm.subsets(THREE):
        if zeroed == "features":
            V[S] = network.coalition_logits(z, S)
        else:
            kept = {m: v if m in S else torch.zeros_like(v) for m, v in inputs.items()}
            V[S] = network(kept).logits
    V[frozenset()] = torch.zeros(24, 3, dtype=torch.float64)
    phi = agm.responses(V, THREE)
    for m in THREE:
        phi[m].register_hook(lambda g, m=m: c[m] * g)
    F.cross_entropy(sum(phi.values()), torch.as_tensor(y)).backward()
    for k, p in network.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(changes(network, step)[k], -p.grad)


def test_agm_running_means_count_batches_since_the_start():
    network, (X, y) = make_network(), make_data()
    result = agm.train(network, X, y, BATCHES, active_epochs={0, 2}, **SGD)
    score, running = each_batch(result, "score"), each_batch(result, "running")
    assert len(score) == 6 and result.records["score"][1] == []
    for n in range(6):
        mean = sum(s["text"] for s in score[: n + 1]) / (n + 1)
        assert running[n]["text"] == pytest.approx(mean)
    for before, reference in zip(running, each_batch(result, "reference")[1:]):
        assert reference["text"] == pytest.approx(exp(before["audio"] - before["text"]))
    tracked = agm.train(network, X, y, BATCHES, active_epochs={0, 2}, track=True, **SGD)
    assert each_batch(tracked, "running")[3] != running[3]


def test_agm_clips_all_gradients_where_an_element_of_the_heads_is_above():
    network, (X, y) = make_network(), make_data()
    free = changes(network, agm.train(network, X, y, ONE_BATCH, **ONE_STEP))
    largest = float(free["head.weight"].abs().max())
    norm = sqrt(sum(float(v.square().sum()) for v in free.values()))
    for limit, factor in ((largest * 0.9, largest * 0.9 / norm), (largest * 1.01, 1.0)):
        step = agm.train(network, X, y, ONE_BATCH, clip=limit, **ONE_STEP)
        assert step.records["clipped"][0] == [factor != 1.0]
        for k, v in changes(network, step).items():
            torch.testing.assert_close(v, factor * free[k], rtol=1e-5, atol=1e-15)


# D&R.


def test_purity_scaling_and_weights_by_hand():
    assert dr.purity([0, 0, 0, 1, 1, 2], [5, 5, 6, 6, 7, 5]) == pytest.approx(4 / 6)
    values = [[1.0, 5.0, 2.0], [3.0, 5.0, 0.0], [2.0, 5.0, 8.0]]
    assert dr.scaled(values).tolist() == [[0.0, 0.0, 0.25], [1.0, 0.0, 0.0], [0.5, 0.0, 1.0]]
    assert dr.reset_weight(0.9, 0.7) == pytest.approx(tanh(0.6))
    assert dr.reset_weight(0.7, 0.9) == pytest.approx(tanh(0.6))
    assert dr.reset_weight(0.5, 0.5) == 0.0


def cluster(values, n_clusters, modality, part):
    """Thirds of the first column's range; of the second's, for held-out audio."""
    column = 1 if (modality, part) == ("audio", "held_out") else 0
    return np.minimum((values[:, column] * n_clusters).astype(int), n_clusters - 1)


RELEARN = {"cluster": cluster, "fit_rows": FIT, "held_out": HELD_OUT, "every": 2}


def test_relearning_moves_encoders_towards_their_initial_weights():
    network, (X, y) = make_network(norm=True), make_data()
    batches = make_batches(FIT, 6, epochs=3)
    # Two epochs of training, and the start of a third.
    end = dr.train(network, X, y, [*batches[:2], []], **RELEARN, **SGD)
    free = plain(network, X, y, batches[:2])
    w = end.records["reset"][2][0]
    assert end.records["reset"][:2] == [[], []] and 0 < w["audio"] < 1
    start = dict(network.named_parameters())
    for k in free.weights:
        share = next((w[m] for m in TWO if k.startswith(f"encoder_{m}.")), 0.0)
        expected = share * start[k] + (1 - share) * free.weights[k]
        torch.testing.assert_close(end.weights[k], expected.detach())
    for (_, ours), (_, theirs) in zip(end.network.named_buffers(), free.network.named_buffers()):
        assert torch.equal(ours, theirs)
    z = free.network.eval().encoders["audio"](tensors(X)["audio"]).detach().numpy()
    pair = []
    for part, rows in (("train", FIT), ("held_out", HELD_OUT)):
        low, high = z[rows].min(0), z[rows].max(0)
        groups = cluster((z[rows] - low) / (high - low), 3, "audio", part)
        counts = [np.bincount(y[rows][groups == g], minlength=3).max() for g in set(groups)]
        pair.append(sum(counts) / len(rows))
    assert end.records["purity"][2][0]["audio"] == pytest.approx(tuple(pair))


def test_relearning_is_done_at_most_a_few_times_and_keeps_momentum():
    network, (X, y) = make_network(), make_data()
    batches = make_batches(FIT, 6, epochs=10)
    result = dr.train(network, X, y, batches, **RELEARN, **SGD)
    assert [len(r) for r in result.records["reset"]] == [0, 0, 1, 0, 1, 0, 1, 0, 0, 0]
    once = dr.train(network, X, y, batches, times=1, active_epochs={4, 6}, **RELEARN, **SGD)
    assert [len(r) for r in once.records["reset"]] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    same = {**RELEARN, "cluster": lambda values, *_: np.zeros(len(values))}
    nothing = dr.train(network, X, y, batches, **same, **SGD)
    assert distance(nothing, plain(network, X, y, batches)) < 1e-13


# OPM.


def test_opm_rates_by_hand():
    assert opm.rate(2.0, 0.5, 1.0) == pytest.approx(0.5 * tanh(1))
    assert opm.rate(1.5, 0.4, 3.0) == pytest.approx(0.4 * tanh(1.5))
    assert opm.rate(1.0, 0.5, 1.0) == opm.rate(0.3, 0.5, 1.0) == 0.0
    kept = opm.kept_of({"a": 0.4, "b": 0.0, "c": 0.2}, [[0.39, 0.0, 0.2], [0.4, 0.9, 0.1]])
    assert kept == {"a": [False, True], "b": [True, True], "c": [True, False]}
    assert opm.kept_of({"a": 0.8, "b": 0.5}, [[0.4, 0.3]]) == {"a": [False], "b": [True]}


def test_opm_is_training_on_the_features_that_are_kept():
    network, (X, y) = make_network(THREE, fusion=Sum), make_data(THREE)
    generator = torch.Generator().manual_seed(0)

    def draw(n, m):
        return torch.rand((n, m), generator=generator, dtype=torch.float64)

    step = opm.train(network, X, y, ONE_BATCH, draw=draw, q=0.9, alpha=5.0, **ONE_STEP)
    first = {k: v[0][0] for k, v in step.records.items()}
    rows = ONE_BATCH[0][0]
    output = network({m: v[rows] for m, v in tensors(X).items()})
    uniform = torch.rand((24, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits, z = network.unimodal_logits(output.features), {}
    s = {m: logits[m].softmax(1)[range(24), y[rows]].sum().item() for m in THREE}
    for j, m in enumerate(THREE):
        rho = 2 * s[m] / sum(s[n] for n in THREE if n != m)
        rate = 0.9 * tanh(5 * max(rho - 1, 0))
        assert first["rate"][m] == pytest.approx(rate)
        z[m] = output.features[m] * (uniform[:, j : j + 1] >= rate)
    dropped = [24 - sum(first["kept"][m]) for m in THREE]
    assert 0 < sum(dropped) < 48 and 0 in dropped
    F.cross_entropy(network.head(network.fusion(z)), torch.as_tensor(y[rows])).backward()
    for k, p in network.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(changes(network, step)[k], -p.grad)
    off = opm.train(network, X, y, BATCHES, draw=draw, q=0.0, **SGD)
    assert distance(off, plain(network, X, y, BATCHES)) == 0.0


# Greedy.


def gated(names=TWO):
    return make_network(names, gates=True), *make_data(names)


def test_greedy_speeds_and_decisions_by_hand():
    g, w = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])
    assert greedy.speed_of_group([g, None], [w, w]) == pytest.approx(25 / 10)
    assert greedy.log_ratio(5.0, 0.5) == pytest.approx(1.0)
    assert greedy.log_ratio(0.0, 1.0) == -inf
    assert greedy.decide({"a": 0.2, "b": 0.3}, 0.05) == "b"
    assert greedy.decide({"a": 0.2, "b": 0.3}, 0.2) is None
    assert greedy.decide({"a": 0.2, "b": -0.3, "c": 0.1}, 0.45) == "a"
    assert greedy.decide({"a": -inf, "b": -inf}, 0.0) is None


@pytest.mark.parametrize("names", [TWO, THREE])
def test_greedy_with_infinite_alpha_is_training_of_the_gated_network(names):
    network, X, y = gated(names)
    result = greedy.train(network, X, y, BATCHES, alpha=inf, **SGD)
    parameters = [p for k, p in network.named_parameters() if not k.startswith("head.")]
    optimizer, bypass, main = torch.optim.SGD(parameters, **SGD), 0.0, 0.0
    fusion, heads, encoder = network.fusion, network.unimodal_heads, network.encoders["text"]
    for batches in BATCHES:
        for rows in batches:
            z = network.encode({m: v[rows] for m, v in tensors(X).items()})
            e = torch.relu(fusion.squeeze(torch.cat([z[m] for m in names], 1)))
            gates = {m: torch.sigmoid(gate(e)) for m, gate in zip(names, fusion.gates)}
            target = torch.as_tensor(y[rows])
            loss = sum(F.cross_entropy(heads[m](gates[m] * z[m]), target) for m in names)
            optimizer.zero_grad()
            loss.backward()
            for kind in ("bypass", "main"):
                own = [encoder, heads["text"]]
                if kind == "bypass":
                    own = [fusion.squeeze, fusion.gates[names.index("text")]]
                ps = [p for module in own for p in module.parameters()]
                mu = sum(p.grad.square().sum() for p in ps) / sum(p.square().sum() for p in ps)
                bypass, main = bypass + mu * (kind == "bypass"), main + mu * (kind == "main")
            optimizer.step()
    for key, p in network.named_parameters():
        torch.testing.assert_close(result.weights[key], p.detach(), rtol=1e-10, atol=1e-12)
    speed = each_batch(result, "speed")[-1]["text"]
    assert speed == pytest.approx(log10(bypass.item() / main.item()))
    assert each_batch(result, "mode") == [None] * 9


def test_greedy_rebalances_for_exactly_q_batches_after_each_decision():
    network, X, y = gated()
    result = greedy.train(network, X, y, make_batches(epochs=4), alpha=0.0, Q=3, **SGD)
    modes, speeds = each_batch(result, "mode"), each_batch(result, "speed")
    # Three batches an epoch; decisions from the second epoch on, after its first batch.
    assert [mode is not None for mode in modes] == [False] * 4 + [True] * 3 + [False] + [
        True
    ] * 3 + [False]
    assert modes[4] == max(speeds[3], key=speeds[3].get)
    assert speeds[4] == speeds[5] == speeds[6] == speeds[3] != speeds[7]


def test_greedy_gate_means_are_cumulative_and_held_in_rebalancing():
    network, X, y = gated()
    result = greedy.train(network, X, y, BATCHES, alpha=0.0, Q=2, **SGD)
    gates, means = each_batch(result, "gate"), each_batch(result, "gate_mean")
    for n in range(9):
        expected = sum(g["text"] for g in gates[: n + 1]) / (n + 1)
        torch.testing.assert_close(means[n]["text"], expected)
    # The step of the first re-balancing batch, by torch.
    modes = each_batch(result, "mode")
    assert modes[:5] == [None] * 4 + [modes[4]] and modes[4] is not None
    two = greedy.train(network, X, y, [BATCHES[0], BATCHES[1][:1]], alpha=0.0, Q=2, **SGD).network
    m, (other,) = modes[4], [n for n in TWO if n != modes[4]]
    rows = BATCHES[1][1]
    z = two.encode({n: v[rows] for n, v in tensors(X).items()})
    e = torch.relu(two.fusion.squeeze(torch.cat([z[n] for n in TWO], 1)))
    own = torch.sigmoid(two.fusion.gates[TWO.index(other)](e))
    target = torch.as_tensor(y[rows])
    held = F.cross_entropy(two.unimodal_heads[m](means[4][m] * z[m]), target)
    loss = held + F.cross_entropy(two.unimodal_heads[other](own * z[other]), target)
    assert each_batch(result, "loss")[4] == pytest.approx(loss.item())
    # The branch's loss depends on its own modality alone, and its gate rests.
    leaks = torch.autograd.grad(held, list(two.encoders[other].parameters()), allow_unused=True)
    assert all(g is None for g in leaks)


def test_greedy_counts_the_gates_of_evaluation_passes_that_are_named():
    network, X, y = gated()
    rows = np.arange(5)
    kwargs = {"evaluated": [[rows], []], "alpha": inf}
    result = greedy.train(network, X, y, BATCHES[:2], **kwargs, **SGD)
    gates, means = each_batch(result, "gate"), each_batch(result, "gate_mean")
    one = greedy.train(network, X, y, BATCHES[:1], alpha=inf, **SGD).network
    z = one.encode({m: v[rows] for m, v in tensors(X).items()})
    e = torch.relu(one.fusion.squeeze(torch.cat([z[m] for m in TWO], 1)))
    looked = torch.sigmoid(one.fusion.gates[1](e)).mean(0).detach()
    expected = (sum(g["text"] for g in gates[:4]) + looked) / 5
    torch.testing.assert_close(means[3]["text"], expected)


def test_greedy_gates_are_counted_before_they_are_used_or_after():
    network, X, y = gated()
    first, last = (
        greedy.train(network, X, y, BATCHES, alpha=0.0, counted_first=c, **SGD)
        for c in (True, False)
    )
    n = next(i for i, mode in enumerate(each_batch(first, "mode")) if mode is not None)
    assert each_batch(first, "loss")[:n] == each_batch(last, "loss")[:n]
    assert each_batch(first, "loss")[n] != each_batch(last, "loss")[n]


def test_greedy_does_nothing_outside_the_active_epochs():
    network, X, y = gated()
    off = greedy.train(network, X, y, BATCHES, alpha=0.0, active_epochs=(), **SGD)
    assert distance(off, greedy.train(network, X, y, BATCHES, alpha=inf, **SGD)) == 0.0
