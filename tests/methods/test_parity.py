"""The fast path against the slow statement of the specification, in float64, to 1e-10."""

from itertools import pairwise
from math import exp, log, tanh

import numpy as np
import parity
import pytest
import torch
from parity import BATCH, OPTIMIZER, SETTINGS, assert_close, compare, inputs_that_tell, slow_inforeg
from torch import nn

from inforeg_sk import InfoReg, MultimodalClassifier, presets
from inforeg_sk.data.batches import ModalityDataset
from inforeg_sk.functional import (
    batch_score,
    log_probability,
    performance_gap,
    probability,
    pull_share,
    regulation_coefficient,
    window_ratio,
)
from inforeg_sk.network.parameters import add_gradient_pull, apply_decoupled_pull

EPOCHS = 14


def make_data(names, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 70)
    return inputs_that_tell(names, y, rng), y


# Every fusion of the slow statement but concatenation, and the modality that conditions.
FUSIONS = [
    ("mlp", None),
    ("sum", None),
    ("gated", "audio"),
    ("gated", "text"),
    ("film", "text"),
    ("film", "audio"),
]


def fit_fast(X, y, settings, epochs=EPOCHS, shuffle=True, **kwargs):
    """Fit, and return the classifier with the network as it was before training."""
    if "audio" not in X:
        kwargs.setdefault("encoders", "auto")
    return parity.fit_fast(
        MultimodalClassifier,
        InfoReg(**settings),
        X,
        y,
        max_epochs=epochs,
        iterator_train__shuffle=shuffle,
        **kwargs,
    )


def sequential(n, epochs=EPOCHS):
    """The batches of every epoch when nothing is shuffled."""
    order = [np.arange(i, min(i + BATCH, n)) for i in range(0, n, BATCH)]
    return [order] * epochs


@pytest.mark.parametrize("names", [("audio", "text"), ("audio", "text", "video")])
@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_slow_statement(setting, names):
    settings = dict(SETTINGS[setting])
    if isinstance(settings["alpha"], dict):
        settings["alpha"] = {k: v for k, v in settings["alpha"].items() if k in names}
    X, y = make_data(names)
    clf, start = fit_fast(X, y, settings, shuffle=False)
    slow = slow_inforeg(
        start["encoders"], start["head"], X, y, sequential(len(y)), **settings, **OPTIMIZER
    )
    # The comparison means something only if the method did something.
    assert any((c > 0).any() for c in clf.curves_["coefficient"].values())
    compare(clf, slow)


@pytest.mark.parametrize("names", [("audio", "text"), ("audio", "text", "video")])
@pytest.mark.parametrize("fusion, conditioning", FUSIONS)
@pytest.mark.parametrize("setting", ["paper_star", "authors_code", "drift", "always"])
def test_equals_the_slow_statement_with_every_fusion(setting, fusion, conditioning, names):
    settings = SETTINGS[setting]
    X, y = make_data(names)
    kwargs = {"fusion__conditioning": conditioning} if conditioning else {}
    clf, start = fit_fast(X, y, settings, shuffle=False, fusion=fusion, **kwargs)
    weights = dict(start["fusion"].named_parameters())
    slow = slow_inforeg(
        start["encoders"],
        start["head"],
        X,
        y,
        sequential(len(y)),
        fusion=fusion,
        fusion_weights=weights,
        conditioning=conditioning,
        **settings,
        **OPTIMIZER,
    )
    assert any((c > 0).any() for c in clf.curves_["coefficient"].values())
    trained = {k: v for k, v in slow.parameters.items() if k.startswith("fusion.")}
    assert len(trained) == len(weights) > 0
    for key, value in weights.items():
        assert not np.allclose(trained[f"fusion.{key}"], value.detach(), atol=1e-3), key
    compare(clf, slow)


def test_equals_the_slow_statement_in_shuffled_order(monkeypatch):
    seen, cut = [], ModalityDataset.__getitems__

    def spy(self, indices):
        seen.append(np.asarray(indices))
        return cut(self, indices)

    X, y = make_data(("audio", "text"))
    settings = SETTINGS["authors_code"]
    monkeypatch.setattr(ModalityDataset, "__getitems__", spy)
    clf, start = fit_fast(X, y, settings)
    # Samples are gathered once an epoch; after the last, the fit looks at some once more.
    orders = seen[:EPOCHS]
    n = len(y)
    epochs = [[order[i : i + BATCH] for i in range(0, n, BATCH)] for order in orders]
    # Every epoch is a permutation of all samples, and no two are the same.
    assert all(sorted(order) == list(range(len(y))) for order in orders)
    assert len({order.tobytes() for order in orders}) == EPOCHS
    slow = slow_inforeg(start["encoders"], start["head"], X, y, epochs, **settings, **OPTIMIZER)
    compare(clf, slow)


def plain_joint(start, X, y, epochs, unimodal_weight=0.0, dtype=torch.float64):
    """Joint training as anyone would write it in torch."""
    encoders, head = start["encoders"], start["head"]
    parameters = [p for n in sorted(encoders) for p in encoders[n].parameters()]
    optimizer = torch.optim.SGD(parameters + list(head.parameters()), **OPTIMIZER, fused=True)
    criterion = nn.CrossEntropyLoss()
    tensors = {n: torch.as_tensor(X[n], dtype=dtype) for n in X}
    target = torch.as_tensor(y)
    for batches in epochs:
        for rows in batches:
            z = {n: encoders[n](tensors[n][rows]) for n in sorted(encoders)}
            loss = criterion(head(torch.cat(list(z.values()), dim=1)), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [p.detach().numpy() for p in parameters + list(head.parameters())]


def bits(clf):
    return [p.detach().numpy() for p in clf.module_.parameters()]


PLAIN = [
    ({**presets.method_settings(presets.PAPER), "alpha": 0.0}, ("audio", "text", "video"), "batch"),
    ({**presets.method_settings(presets.PAPER), "alpha": 0.0}, ("audio", "text", "video"), None),
    ({**presets.method_settings(presets.PAPER), "alpha": 5.0}, ("text",), "batch"),
    (
        {**presets.method_settings(presets.PAPER), "alpha": 5.0, "window_threshold": 1e9},
        ("audio", "text"),
        "batch",
    ),
    (
        {**presets.method_settings(presets.PAPER), "alpha": {"audio": 0.0}, "pull": "decoupled"},
        ("audio", "text"),
        "batch",
    ),
]


@pytest.mark.parametrize(
    "settings, names, fisher",
    PLAIN,
    ids=["alpha_0", "untracked", "one_modality", "window_never_opens", "alpha_0_drift"],
)
def test_equals_plain_joint_training_bit_for_bit(settings, names, fisher):
    X, y = make_data(names)
    clf, start = fit_fast(X, y, settings, shuffle=False, fisher=fisher)
    expected = plain_joint(start, X, y, sequential(len(y)))
    for ours, theirs in zip(bits(clf), expected, strict=True):
        assert np.array_equal(ours, theirs)


def test_joint_method_equals_alpha_0_bit_for_bit():
    X, y = make_data(("audio", "text"))
    regulated, _ = fit_fast(X, y, {"alpha": 0.0, "unimodal_weight": 0.0})
    joint = regulated.__class__.__mro__[1](
        **{**regulated.get_params(deep=False), "method": "joint"}
    )
    joint.fit(X, y)
    for ours, theirs in zip(bits(joint), bits(regulated), strict=True):
        assert np.array_equal(ours, theirs)
    for name in X:
        assert np.array_equal(
            joint.curves_["fisher_trace"][name], regulated.curves_["fisher_trace"][name]
        )


def test_order_of_modalities_changes_nothing():
    X, y = make_data(("audio", "text", "video"))
    backwards = dict(reversed(X.items()))
    first, _ = fit_fast(X, y, SETTINGS["paper_star"])
    second, _ = fit_fast(backwards, y, SETTINGS["paper_star"])
    for a, b in zip(bits(first), bits(second), strict=True):
        assert np.array_equal(a, b)


def test_one_backward_pass_equals_separate_ones():
    # The oracle takes one backward pass a loss; the fast path one of their sum.
    X, y = make_data(("audio", "text", "video"))
    X, y = {name: values[:64] for name, values in X.items()}, y[:64]
    settings = {**presets.method_settings(presets.PAPER), "alpha": 0.0, "unimodal_weight": 0.7}
    clf, start = fit_fast(X, y, settings, shuffle=False)
    slow = slow_inforeg(
        start["encoders"],
        start["head"],
        X,
        y,
        sequential(len(y)),
        alpha=0.0,
        beta=0.9,
        window_threshold=0.04,
        unimodal_weight=0.7,
        **OPTIMIZER,
    )
    compare(clf, slow)
    # With batches of one size the mean over samples is the mean over batches.
    assert_close(clf.history[:, "train_objective"], slow.loss, "objective")


def test_unimodal_logits_add_up_to_the_joint_logits():
    X, y = make_data(("audio", "text", "video"))
    clf, _ = fit_fast(X, y, SETTINGS["paper"], epochs=3)
    features = {n: torch.as_tensor(z) for n, z in clf.transform_by_modality(X).items()}
    total = sum(clf.module_.unimodal_logits(features).values())
    joint = clf.forward(X)
    np.testing.assert_allclose(total.detach().numpy(), joint.numpy(), rtol=1e-12, atol=1e-12)


def test_a_squared_batch_gradient_is_not_the_mean_over_samples():
    """Eq. 7 (mean over samples of squared norms) is another quantity than the tracked eq. 13."""
    X, y = make_data(("text", "video"))
    clf, start = fit_fast(X, y, {"alpha": 0.0}, epochs=1, shuffle=False)
    encoders, head = start["encoders"], start["head"]
    parameters = list(encoders["text"].parameters())
    norms = []
    for i in range(len(y)):
        z = [encoders[n](torch.as_tensor(X[n][i : i + 1])) for n in sorted(X)]
        loss = nn.functional.cross_entropy(head(torch.cat(z, 1)), torch.as_tensor(y[i : i + 1]))
        norms.append(sum(float((g**2).sum()) for g in torch.autograd.grad(loss, parameters)))
    # Jensen: the norm of a mean gradient is below the mean of the norms, here far below.
    assert clf.curves_["fisher_trace"]["text"][0] < 0.8 * np.mean(norms)


@pytest.mark.parametrize("reach, kept", [(1.0, 0.632), (5.0, 0.199)])
def test_strength_under_a_constant_gradient(reach, kept):
    """One epoch of SGD keeps (1 - exp(-L)) / L of the drift, L = N lr c / (1 - momentum)."""
    n_batches, momentum = 4000, 0.9
    free, pulled = (torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    reference = [torch.zeros(3, dtype=torch.float64)]
    lr = 1e-3
    c = reach * (1 - momentum) / (n_batches * lr)
    for w in (free, pulled):
        optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum)
        for _ in range(n_batches):
            w.grad = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
            if w is pulled:
                add_gradient_pull([w], reference, torch.tensor(c, dtype=torch.float64))
            optimizer.step()
    share = (pulled / free).detach().numpy()
    np.testing.assert_allclose(share, kept, atol=0.004)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("n_batches", [5, 50])
def test_drift_means_the_same_for_any_optimizer_and_batch_count(optimizer, n_batches):
    """Steps of equal size keep (1 - e^-L) / (N (e^(L/N) - 1)) of the drift: here by the sum."""
    w = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    reference, reach, lr = [torch.zeros(2, dtype=torch.float64)], 2.0, 1e-3
    step = optimizer([w], lr=lr, weight_decay=0.0)
    for _ in range(n_batches):
        w.grad = torch.ones(2, dtype=torch.float64)
        step.step()
        share = pull_share(torch.tensor(reach, dtype=torch.float64), n_batches)
        apply_decoupled_pull([w], reference, share)
    kept = sum(np.exp(-reach * k / n_batches) for k in range(1, n_batches + 1)) / n_batches
    np.testing.assert_allclose(w.detach().numpy(), -lr * n_batches * kept, rtol=1e-6)


def test_drift_cannot_overshoot():
    w = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    share = pull_share(torch.tensor(1e9), 3)
    apply_decoupled_pull([w], [torch.tensor([1.0], dtype=torch.float64)], share)
    assert w.item() == 1.0


def ratios(traces, **kwargs):
    traces = torch.tensor(traces, dtype=torch.float64)[:, None]
    return [window_ratio(traces[:t], **kwargs).item() for t in range(len(traces))]


CODE = {"smoothing": 10, "padding": "zeros"}


class TestWorkedWindows:
    """The specification's worked values of both rules."""

    def test_authors_rule_on_constant_traces(self):
        r = ratios([0.7] * 30, **CODE)
        np.testing.assert_allclose(r[1:11], [1 / t for t in range(1, 11)], rtol=1e-12)
        assert r[11:] == [0.0] * 19

    def test_authors_rule_on_a_straight_line(self):
        r = ratios([float(j + 1) for j in range(40)], **CODE)
        np.testing.assert_allclose(r[10:], [10 / (10 * t - 45) for t in range(10, 40)], rtol=1e-12)
        assert [t for t in range(1, 40) if r[t] > 0.05] == list(range(1, 25))

    def test_authors_rule_on_a_step(self):
        r = ratios([1.0] * 20 + [3.0] * 20, **CODE)
        assert [t for t in range(1, 40) if r[t] > 0.05] == [*range(1, 11), *range(21, 31)]

    def test_authors_rule_in_its_first_epochs(self):
        rising = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0]
        r = ratios(rising, **CODE)
        expected = [rising[t - 1] / sum(rising[:t]) for t in range(2, 11)]
        assert r[1] == 1.0
        np.testing.assert_allclose(r[2:11], expected, rtol=1e-12)

    def test_paper_rule_on_a_straight_line(self):
        r = ratios([float(j + 1) for j in range(40)])
        assert np.isnan(r[:2]).all()
        np.testing.assert_allclose(r[2:], [1 / t for t in range(2, 40)], rtol=1e-12)
        # 25 is an exact tie with K = 0.04.
        assert [t for t in range(40) if r[t] > 0.04 and t != 25] == list(range(2, 25))

    def test_paper_rule_never_opens_on_constant_traces(self):
        assert not any(r > 0 for r in ratios([0.3] * 20))

    def test_paper_rule_flickers_on_noise_and_smoothing_calms_it(self):
        switches = {1: [], 5: []}
        for seed in range(100):
            noise = 1 + 0.15 * np.random.default_rng(seed).normal(size=47)
            traces = list((np.arange(47) + 1) * noise)
            for length, counts in switches.items():
                is_open = [r > 0.04 for r in ratios(traces, smoothing=length)]
                counts.append(sum(a != b for a, b in pairwise(is_open)))
        assert np.mean(switches[1]) == pytest.approx(29, abs=2)
        assert np.mean(switches[5]) < 0.7 * np.mean(switches[1])

    @pytest.mark.parametrize("rule", [{}, CODE])
    def test_zero_traces_close_it(self, rule):
        assert not any(r > -np.inf for r in ratios([0.0] * 12, **rule))


def test_scores_gaps_and_coefficients_by_hand():
    logits = torch.tensor([[0.0, log(3)], [log(4), 0.0]], dtype=torch.float64)
    target = torch.tensor([1, 1])
    # True-class probabilities 3/4 and 1/5.
    values = [log_probability(logits, target), probability(logits, target)]
    assert values[0].tolist() == pytest.approx([log(0.75), log(0.2)])
    assert values[1].tolist() == pytest.approx([0.75, 0.2])
    assert batch_score(values[0]).item() == pytest.approx((log(0.75) + log(0.2)) / 2)
    assert batch_score(values[1], mean=False).item() == pytest.approx(0.95)
    weight = torch.tensor([3.0, 1.0], dtype=torch.float64)
    weighted = (3 * log(0.75) + log(0.2)) / 4
    assert batch_score(values[0], weight).item() == pytest.approx(weighted)
    assert batch_score(values[1], weight, mean=False).item() == pytest.approx(3 * 0.75 + 0.2)

    # Best of three: mean lead over both others; middle: over the last; last, and ties: none.
    gap = performance_gap(torch.tensor([-0.5, -1.5, -1.0, -1.5], dtype=torch.float64))
    assert gap.tolist() == pytest.approx([(1 + 0.5 + 1) / 3, 0, 0.5, 0])
    alpha = torch.tensor([2.0, 2.0, 0.0, 2.0], dtype=torch.float64)
    c = regulation_coefficient(gap, alpha, 0.9)
    assert c.tolist() == pytest.approx([2 * exp(0.9 * tanh(2.5 / 3)), 0, 0, 0])
