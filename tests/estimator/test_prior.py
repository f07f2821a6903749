"""The log prior of the classes as a fixed part of the logits: where it is, and from what."""

import pickle
from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit

from inforeg_sk import (
    BalancingMethod,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)
from inforeg_sk.data.batches import Batch
from inforeg_sk.data.presence import Presence
from inforeg_sk.functional import class_log_prior

N = 80
COUNTS = {"x": 50, "y": 24, "z": 6}
FUSIONS = [
    ("concat", {}),
    ("mlp", {}),
    ("sum", {}),
    ("attention", {}),
    ("gated", {"fusion__conditioning": "a"}),
    ("film", {"fusion__conditioning": "a"}),
]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
    code = np.searchsorted(list(COUNTS), y)[:, None]
    X = {name: rng.normal(size=(N, 4)) + s * code for name, s in [("a", 1), ("b", 0.5), ("c", 0)]}
    return X, y


def make(cls=MultimodalClassifier, **kwargs):
    settings = {
        "max_epochs": 3,
        "batch_size": 16,
        "dtype": "float64",
        "device": "cpu",
        "random_state": 0,
        "prior_offset": True,
    }
    return cls(**{**settings, **kwargs})


def smoothed(counts):
    """Log of the shares of counts, each half a sample larger."""
    counts = np.asarray(counts, float) + 0.5
    return np.log(counts / counts.sum())


def log_prior(clf):
    return clf.module_.log_prior.numpy()


def batch_of(X):
    return Batch({m: torch.from_numpy(v) for m, v in X.items()}, Presence(N))


# The formula


def test_the_log_prior_by_hand():
    target = torch.tensor([0, 2, 2, 2])
    expected = [1.5 / 6, 0.5 / 6, 3.5 / 6, 0.5 / 6]
    np.testing.assert_allclose(class_log_prior(target, 4).exp(), expected)
    weight = torch.tensor([2.0, 0.0, 1.0, 0.5])
    expected = [2.5 / 5, 0.5 / 5, 2.0 / 5]
    np.testing.assert_allclose(class_log_prior(target, 3, weight).exp(), expected[:3])


def test_the_log_prior_of_a_stack_equals_single_ones():
    rng = np.random.default_rng(0)
    target, weight = torch.from_numpy(rng.integers(3, size=(2, 4, 9))), torch.rand(2, 4, 9)
    stacked = class_log_prior(target, 3, weight)
    for i, j in np.ndindex(2, 4):
        assert torch.equal(stacked[i, j], class_log_prior(target[i, j], 3, weight[i, j]))


# Where it is


@pytest.mark.parametrize("fusion, settings", FUSIONS)
def test_joint_unimodal_and_coalition_logits_have_it_once(data, fusion, settings):
    X, y = data
    clf = make(fusion=fusion, **settings).fit(X, y)
    network, prior = clf.module_.eval(), clf.module_.log_prior
    with torch.no_grad():
        output = network(batch_of(X))
        z = output.features
        empty = network.coalition_logits(z, set())
        unimodal = network.unimodal_logits(z)
        alone = {m: network.coalition_logits(z, {m}) for m in z}
        whole = network.coalition_logits(z, set(z))
        by_hand = network.head(network.fusion(z)) + prior
        zeros = {m: torch.zeros_like(v) for m, v in z.items()}
        nothing = network.head(network.fusion(zeros)) + prior
        only = {m: network.head(network.fusion({**zeros, m: z[m]})) + prior for m in z}
    torch.testing.assert_close(output.logits, by_hand)
    torch.testing.assert_close(whole, output.logits)
    torch.testing.assert_close(empty, nothing)
    for m in z:
        torch.testing.assert_close(alone[m], only[m])
        if fusion != "concat":
            torch.testing.assert_close(unimodal[m], only[m])
    if fusion == "concat":
        total = sum(u - prior for u in unimodal.values())
        torch.testing.assert_close(total, output.logits - prior)


@pytest.mark.parametrize("fusion", ["concat", "sum"])
def test_shapley_values_add_up_to_the_joint_logits_less_the_prior_and_the_bias(data, fusion):
    X, y = data
    clf = make(fusion=fusion).fit(X, y)
    network = clf.module_.eval()
    with torch.no_grad():
        output = network(batch_of(X))

        def value(coalition):
            return network.coalition_logits(output.features, set(coalition)) - network.log_prior

        names, total = sorted(X), 0.0
        for m in names:
            others = [n for n in names if n != m]
            for size in range(len(names)):
                for coalition in combinations(others, size):
                    gain = value({*coalition, m}) - value(coalition)
                    total = total + gain / (len(names) * comb(len(names) - 1, size))
        torch.testing.assert_close(total, output.logits - network.log_prior - value(()))


def test_the_joint_probability_is_the_product_of_the_unimodal_ones_with_the_prior_once(data):
    """Late fusion by Bayes' rule: p(y | a, b, c) ~ p(y|a) p(y|b) p(y|c) / p(y)^2."""
    X, y = data
    clf = make().fit(X, y)
    product = np.prod(list(clf.predict_proba_by_modality(X).values()), axis=0)
    product /= np.exp(smoothed(list(COUNTS.values()))) ** 2
    np.testing.assert_allclose(
        clf.predict_proba(X), product / product.sum(axis=1, keepdims=True), rtol=1e-9
    )


def test_a_network_that_says_nothing_predicts_the_prior(data):
    X, y = data
    clf = make(max_epochs=1, lr=0.0).fit(X, y)
    with torch.no_grad():
        for p in clf.head_.parameters():
            p.zero_()
    expected = np.tile(np.exp(smoothed(list(COUNTS.values()))), (N, 1))
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-12)
    for p in clf.predict_proba_by_modality(X).values():
        np.testing.assert_allclose(p, expected, rtol=1e-12)


def test_coalition_logits_of_a_batch_have_it_with_features_and_with_inputs_zeroed(data):
    seen = {}

    class Looking(BalancingMethod):
        def on_gradients(self, batch):
            for zero in ("features", "inputs"):
                logits = batch.coalition_logits({"a", "b", "c"}, zero=zero)
                seen[zero] = (logits - batch.logits).abs().max().item()

    make(method=Looking(), max_epochs=1).fit(*data)
    assert seen == {"features": 0.0, "inputs": 0.0}


def test_it_is_a_buffer_that_training_leaves_alone(data):
    X, y = data
    clf = make(MultimodalInfoRegClassifier, optimizer__weight_decay=10.0).fit(X, y)
    np.testing.assert_allclose(log_prior(clf), smoothed(list(COUNTS.values())), rtol=1e-12)
    assert "log_prior" not in dict(clf.module_.named_parameters())
    assert "log_prior" in clf.module_.state_dict()


# From what it comes


def test_it_comes_from_the_training_part(data):
    X, y = data
    split = ValidSplit(3)
    clf = make(train_split=split).fit(X, y)
    rows = np.asarray(split(np.empty((N, 1)), y)[0].indices)
    counts = [(y[rows] == c).sum() for c in COUNTS]
    np.testing.assert_allclose(log_prior(clf), smoothed(counts), rtol=1e-12)


def test_samples_count_with_their_weights_and_those_of_their_class(data):
    X, y = data
    weight = np.random.default_rng(0).uniform(0, 3, N)
    clf = make(class_weight={"z": 4.0}).fit(X, y, sample_weight=weight)
    counts = [weight[y == c].sum() * (4.0 if c == "z" else 1.0) for c in COUNTS]
    np.testing.assert_allclose(log_prior(clf), smoothed(counts), rtol=1e-12)


def test_integer_weights_are_repetitions(data):
    X, y = data
    repeats = np.random.default_rng(1).integers(0, 4, N)
    settings = {"batch_size": -1, "optimizer": torch.optim.SGD, "lr": 0.1, "max_epochs": 5}
    weighted = make(MultimodalInfoRegClassifier, **settings).fit(X, y, sample_weight=repeats)
    copies = {m: v.repeat(repeats, axis=0) for m, v in X.items()}
    copied = make(MultimodalInfoRegClassifier, **settings).fit(copies, y.repeat(repeats))
    np.testing.assert_allclose(log_prior(weighted), log_prior(copied), rtol=1e-12)
    np.testing.assert_allclose(
        weighted.predict_proba(X), copied.predict_proba(X), rtol=1e-9, atol=1e-12
    )


def test_all_classes_count_though_the_first_call_lacks_some(data):
    X, y = data
    rows = np.flatnonzero(y != "z")
    clf = make().partial_fit({m: v[rows] for m, v in X.items()}, y[rows], classes=list("wxyz"))
    np.testing.assert_allclose(log_prior(clf), smoothed([0, 50, 24, 0]), rtol=1e-12)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("way", ["partial_fit", "pickle", "warm_start"])
def test_further_fits_keep_the_prior_of_the_first(data, way):
    X, y = data
    clf = make(warm_start=True).fit(X, y)
    rows = np.flatnonzero(y == "z")
    few = {m: v[rows] for m, v in X.items()}, y[rows]
    clf = pickle.loads(pickle.dumps(clf)) if way == "pickle" else clf
    (clf.fit if way == "warm_start" else clf.partial_fit)(*few)
    np.testing.assert_allclose(log_prior(clf), smoothed(list(COUNTS.values())), rtol=1e-12)


def test_a_new_fit_learns_it_anew(data):
    X, y = data
    clf = make().fit(X, y).fit(X, np.roll(list(COUNTS), 1)[np.searchsorted(list(COUNTS), y)])
    np.testing.assert_allclose(log_prior(clf), smoothed([24, 6, 50]), rtol=1e-12)


def test_balanced_means_a_flat_prior_which_is_none(data):
    X, y = data
    with_it, without = (
        make(class_weight="balanced", prior_offset=p).fit(X, y) for p in (True, False)
    )
    assert with_it.module_.log_prior is None
    assert np.array_equal(with_it.predict_proba(X), without.predict_proba(X))


def test_classes_of_one_size_are_left_as_they_are(data):
    X, _ = data
    y = np.arange(N) % 4
    with_it, without = (make(prior_offset=p).fit(X, y) for p in (True, False))
    np.testing.assert_allclose(with_it.predict_proba(X), without.predict_proba(X), rtol=1e-9)


def test_a_missing_modality_takes_no_prior_with_it(data):
    X, y = data
    clf = make(missing="allow", modality_dropout=0.3).fit(X, y)
    only = clf.predict_proba({"a": X["a"]})
    network = clf.module_.eval()
    with torch.no_grad():
        z = network(batch_of(X)).features
        expected = network.coalition_logits(z, {"a"}).softmax(dim=1)
    np.testing.assert_allclose(only, expected, rtol=1e-9)


# The parameter


@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalInfoRegClassifier])
@pytest.mark.parametrize("value", ["yes", 1, None, 0.5])
def test_a_prior_offset_that_is_no_bool_is_refused(data, cls, value):
    message = rf"The 'prior_offset' parameter of {cls.__name__} must be a bool\. Got {value!r}"
    with pytest.raises(ValueError, match=message):
        make(cls, prior_offset=value).fit(*data)


@pytest.mark.parametrize("cls", [MultimodalRegressor, MultimodalInfoRegRegressor])
def test_regressors_have_no_prior(cls):
    with pytest.raises(TypeError, match="has no parameter 'prior_offset'"):
        cls(prior_offset=True)
