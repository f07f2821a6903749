"""Greedy, feature-level adaptation, in a fit: speeds by loops, decisions, and its state."""

import pickle
from itertools import pairwise
from math import inf, log10

import numpy as np
import pytest
import torch

from inforeg_sk import BalancingMethod, Greedy, MultimodalClassifier, MultimodalRegressor
from inforeg_sk.network import Concat
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "optimizer__momentum": 0.9,
    "optimizer__weight_decay": 1e-3,
    "batch_size": 15,  # 6 batches an epoch
    "max_epochs": 4,
    "random_state": 0,
    "dtype": "float64",
    "encoders__hidden": 8,
}


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in method_checks(Greedy())])
def test_passes_check_method(check):
    check()


class Branches(BalancingMethod):
    """Plain training of the gated branches."""

    prepare = Greedy.prepare

    def loss(self, batch):
        network = batch.network
        logits = network.fusion.branch_logits(batch.features, network.head)
        prior = 0 if network.log_prior is None else network.log_prior
        return sum(batch.loss_of(u + prior) for u in logits.values())


@pytest.mark.parametrize("prior_offset", [False, True])
def test_without_re_balancing_it_is_plain_training_of_the_branches(trimodal, prior_offset):
    never = MultimodalClassifier(Greedy(threshold=inf), **SGD, prior_offset=prior_offset)
    plain = MultimodalClassifier(Branches(), **SGD, prior_offset=prior_offset).fit(*trimodal)
    expected = plain.module_.state_dict()
    for name, value in never.fit(*trimodal).module_.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert not any(share.any() for share in never.curves_["rebalanced"].values())


def squares(tensors):
    return sum(float(x) ** 2 for t in tensors for x in t.detach().flatten())


class Watched(Greedy):
    """Keeps, of each batch, the mode, gradient and weights."""

    def on_gradients(self, batch):
        super().on_gradients(batch)
        network = batch.network
        parameters = {n: (p.detach().clone(), p.grad) for n, p in network.named_parameters()}
        now = network.fusion.rebalanced
        type(self).rows.append((batch.epoch.index, now, parameters, self.decision_))


def watch(X, y, settings=None, **method):
    Watched.rows = []
    clf = MultimodalClassifier(Watched(**method), **{**SGD, **(settings or {})}).fit(X, y)
    return clf, Watched.rows


def slow_speeds(names, parameters):
    """Learning speeds of branches and bypasses of a batch, element by element."""
    main, bypass = [], []
    for i, m in enumerate(names):
        own = (f"encoder_{m}.", f"head.branches.{i}.")
        through = (f"fusion.gates.{i}.", "fusion.squeeze.")
        for starts, speeds in ((own, main), (through, bypass)):
            found = [pair for name, pair in parameters.items() if name.startswith(starts)]
            assert len(found) >= 4
            speeds.append(squares(g for _, g in found) / squares(w for w, _ in found))
    return np.array(main), np.array(bypass)


@pytest.mark.parametrize("names", [("text", "video"), ("audio", "text", "video")])
def test_speeds_and_decisions_equal_loops(trimodal, names):
    X, y = trimodal
    clf, rows = watch({m: X[m] for m in names}, y, threshold=0.05, n_rebalancing=4)
    main, bypass, left, branch, modes = np.zeros(len(names)), np.zeros(len(names)), 0, None, []
    for epoch, now, parameters, _ in rows:
        modes.append(branch if left else None)
        assert now == modes[-1]
        if left:
            left -= 1
            continue
        found = slow_speeds(names, parameters)
        main, bypass = main + found[0], bypass + found[1]
        v = [log10(b / m) for b, m in zip(bypass, main, strict=True)]
        if epoch >= 1 and max(v) - min(v) > 0.05:
            branch, left = names[v.index(max(v))], 4
    np.testing.assert_allclose(clf.method_.main_speed_, main, rtol=1e-10)
    np.testing.assert_allclose(clf.method_.bypass_speed_, bypass, rtol=1e-10)
    assert modes[:7] == [None] * 7 and modes[7] is not None  # the second epoch's first is usual
    for m in names:
        share = [np.mean([mode == m for mode in modes[i : i + 6]]) for i in range(0, 24, 6)]
        np.testing.assert_allclose(clf.curves_["rebalanced"][m], share, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_re_balancing_takes_so_many_batches_and_a_usual_one_comes_between(trimodal, n):
    _, rows = watch(*trimodal, threshold=0.0, n_rebalancing=n)
    modes = [now is not None for _, now, *_ in rows]
    period = [True] * n + [False]
    assert modes == [False] * 7 + (period * 24)[: len(modes) - 7]


def test_the_start_epoch_is_counted_from_one(trimodal):
    for start, first in ((1, 1), (3, 13)):
        _, rows = watch(*trimodal, threshold=0.0, start_epoch=start)
        assert [now is not None for _, now, *_ in rows].index(True) == first


def test_momentum_leaves_a_frozen_gate_alone(trimodal):
    _, rows = watch(*trimodal, threshold=0.0, n_rebalancing=3)
    names = ("audio", "text", "video")
    seen = 0
    for (_, now, before, _), (_, _, after, _) in pairwise(rows):
        for i, m in enumerate(names):
            weight = f"fusion.gates.{i}.weight"
            assert torch.equal(before[weight][0], after[weight][0]) == (m == now)
            seen += m == now
    assert seen > 5


def test_a_batch_whose_gradients_are_not_finite_counts_for_nothing(trimodal):
    class Overflows(Watched):
        def on_gradients(self, batch):
            first = next(batch.network.parameters())
            kept = first.grad.clone()
            if batch.epoch.index == 0:
                first.grad.fill_(inf)
            super().on_gradients(batch)
            first.grad.copy_(kept)

    Watched.rows = Overflows.rows = []
    clf = MultimodalClassifier(Overflows(threshold=inf), **{**SGD, "max_epochs": 2}).fit(*trimodal)
    assert clf.method_.main_speed_.isfinite().all() and (clf.method_.main_speed_ > 0).all()
    assert all(
        np.isnan(v[0]) and np.isfinite(v[1]) for v in clf.curves_["conditional_speed"].values()
    )


def test_a_re_balancing_goes_on_across_calls_and_pickles(trimodal):
    X, y = trimodal
    settings = {**SGD, "iterator_train__shuffle": False}
    whole = MultimodalClassifier(Greedy(n_rebalancing=8), **settings).fit(X, y)
    parts = MultimodalClassifier(Greedy(n_rebalancing=8), **settings)
    left = []
    for _ in range(4):
        parts = pickle.loads(pickle.dumps(parts)).partial_fit(X, y)
        left.append(parts.method_.n_left_)
    assert left[1] == 3  # begun in the second batch of the second epoch
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(value, parts.module_.state_dict()[name]), name


def test_training_goes_on_from_files_in_mid_re_balancing(trimodal, tmp_path):
    X, y = trimodal
    settings = {**SGD, "iterator_train__shuffle": False}
    whole = MultimodalClassifier(Greedy(n_rebalancing=8), **settings).fit(X, y)
    half = MultimodalClassifier(Greedy(n_rebalancing=8), **{**settings, "max_epochs": 2}).fit(X, y)
    assert half.method_.n_left_ == 3
    files = {f"f_{part}": tmp_path / part for part in ("params", "optimizer", "history")}
    half.save_params(**files)
    other = MultimodalClassifier(Greedy(n_rebalancing=8), **settings)
    other.load_params(**files)
    other.partial_fit(X, y).partial_fit(X, y)
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(value, other.module_.state_dict()[name]), name


def test_predictions_leave_the_running_means_as_they_are_and_files_hold_them(trimodal, tmp_path):
    X, y = trimodal
    clf = MultimodalClassifier(Greedy(), **SGD).fit(X, y)
    before = {m: mean.clone() for m, mean in clf.module_.fusion.gate_means.items()}
    first = clf.score_by_modality(X, y)
    proba = clf.predict_proba(X)
    clf.score(X, y)
    assert all(torch.equal(before[m], mean) for m, mean in clf.module_.fusion.gate_means.items())
    clf.save_params(f_params=tmp_path / "weights.pt")
    other = MultimodalClassifier(Greedy(), **{**SGD, "max_epochs": 1, "random_state": 1}).fit(X, y)
    other.load_params(f_params=tmp_path / "weights.pt")
    assert other.score_by_modality(X, y) == first
    np.testing.assert_array_equal(other.predict_proba(X), proba)


def test_joint_logits_are_the_mean_of_the_branches_each_with_the_log_prior(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Greedy(), **SGD, prior_offset=True).fit(X, y)
    network = clf.module_.eval()
    with torch.no_grad():
        output = network({m: torch.from_numpy(X[m]) for m in network.modalities})
        branches = network.fusion.branch_logits(output.features, network.head)
        mean = sum(branches.values()) / 3 + network.log_prior
    torch.testing.assert_close(output.logits, mean, rtol=1e-12, atol=1e-12)


def test_only_active_modalities_are_re_balanced(trimodal):
    class Some(Watched):
        def on_epoch_start(self, epoch):
            epoch.active["video"] = False
            super().on_epoch_start(epoch)

    Watched.rows = Some.rows = []
    _, free = watch(*trimodal, threshold=0.0)
    assert "video" in {now for _, now, *_ in free}  # else this shows nothing
    Watched.rows = Some.rows = []
    MultimodalClassifier(Some(threshold=0.0), **SGD).fit(*trimodal)
    assert "video" not in {now for _, now, *_ in Some.rows}


def test_active_epochs_are_those_in_which_branches_are_re_balanced(trimodal):
    _, rows = watch(*trimodal, {"active": range(2, 3), "max_epochs": 4}, threshold=0.0)
    # Decided on after the first batch of the third epoch; what is left of it after that is dropped.
    assert [now is not None for _, now, *_ in rows] == [False] * 13 + [True] * 5 + [False] * 6


def test_one_modality_is_never_re_balanced(trimodal):
    X, y = trimodal
    clf, rows = watch({"text": X["text"]}, y, threshold=0.0)
    assert all(now is None for _, now, *_ in rows)
    assert clf.score({"text": X["text"]}, y) > 0.5


@pytest.mark.parametrize("fusion", ["sum", "mlp", "attention", type("Mine", (Concat,), {})])
def test_another_fusion_is_refused_since_it_brings_its_own(trimodal, fusion):
    match = "method Greedy brings its own fusion.*set fusion='concat'"
    with pytest.raises(ValueError, match=match):
        MultimodalClassifier("greedy", **SGD, fusion=fusion).fit(*trimodal)


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"threshold": -0.1}, "threshold"), ({"n_rebalancing": 0}, "n_rebalancing")],
)
def test_bad_settings_are_refused_by_name(trimodal, settings, name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Greedy must be"):
        MultimodalClassifier(Greedy(**settings), **SGD).fit(*trimodal)


def test_regression_sums_the_criterion_over_branches(trimodal):
    X, _ = trimodal
    y = X["text"].sum(axis=1)
    reg = MultimodalRegressor(Greedy(), **{**SGD, "lr": 0.005, "max_epochs": 10}).fit(X, y)
    assert reg.score(X, y) > 0.5
