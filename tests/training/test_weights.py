"""Sample weights: the loss of a batch, what a run keeps, train_loss and valid_loss."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils import compute_class_weight
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import Subset

from inforeg_sk import BalancingMethod, MultimodalClassifier, MultimodalRegressor

N = 60
SETTINGS = {
    "max_epochs": 1,
    "batch_size": 16,
    "lr": 0.0,
    "dtype": "float64",
    "device": "cpu",
    "random_state": 0,
    "iterator_train__shuffle": False,
}


class Watching(BalancingMethod):
    """Keeps the losses of all batches; trains on the joint and all unimodal losses."""

    def on_train_start(self, training):
        self.losses_ = []

    def loss_weights(self, batch):
        return {"joint": 1.0, **dict.fromkeys(batch.features, 1.0)}

    def on_gradients(self, batch):
        found = {"joint": batch.joint_loss, **batch.unimodal_losses}
        self.losses_.append({name: loss.item() for name, loss in found.items()})


def make(method=None, cls=MultimodalClassifier, **kwargs):
    return cls(Watching() if method is None else method, **{**SETTINGS, **kwargs})


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=N)
    X = {"a": rng.normal(size=(N, 4)) + y[:, None], "b": rng.normal(size=(N, 3))}
    X["b"][rng.random(N) < 0.4] = np.nan
    weight = rng.uniform(0.1, 5, N)
    weight[16:32] = 0  # a whole batch
    return X, y, weight


def sample_losses(clf, X, y):
    """Loss of each sample from the probabilities: joint, and of each modality (NaN without it)."""
    probabilities = {"joint": clf.predict_proba(X), **clf.predict_proba_by_modality(X)}
    return {name: -np.log(p[np.arange(len(y)), y]) for name, p in probabilities.items()}


def by_hand(losses, weight, rows, training):
    """Sum of w' l over the samples that have it, divided by their number."""
    rows = rows[~np.isnan(losses[rows])]
    if not len(rows):
        return 0.0
    mean = weight[training[~np.isnan(losses[training])]].mean()
    return (weight[rows] / mean * losses[rows]).sum() / len(rows)


# The loss of a batch


@pytest.mark.parametrize("size", [1, 7, 16, -1])
@pytest.mark.parametrize("split", [None, ValidSplit(3)])
def test_the_loss_of_a_batch_divides_by_samples_and_the_mean_weight_of_the_training_part(
    data, size, split
):
    X, y, weight = data
    clf = make(missing="allow", batch_size=size, train_split=split).fit(X, y, sample_weight=weight)
    training = np.arange(N) if split is None else np.asarray(split(np.empty((N, 1)), y)[0].indices)
    losses = sample_losses(clf, X, y)
    size = len(training) if size == -1 else size
    batches = [training[i : i + size] for i in range(0, len(training), size)]
    assert len(clf.method_.losses_) == len(batches)
    for found, rows in zip(clf.method_.losses_, batches, strict=True):
        for name, values in losses.items():
            expected = by_hand(values, weight, rows, training)
            assert found[name] == pytest.approx(expected, rel=1e-10, abs=1e-14), name


@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalRegressor])
def test_a_batch_of_weight_zero_has_loss_zero_and_moves_nothing(data, cls):
    X, y, weight = data
    clf = make(cls=cls, missing="allow", lr=0.1, optimizer=torch.optim.SGD)
    order = np.r_[np.arange(16, 32), np.arange(16), np.arange(32, N)]
    assert not weight[order[:16]].any()  # the first batch
    X, y, weight = {m: v[order] for m, v in X.items()}, y[order], weight[order]

    moved = []

    class Moving(Watching):
        def on_epoch_start(self, epoch):
            self._before = [p.detach().clone() for p in epoch.network.parameters()]

        def on_step(self, batch):
            after = list(batch.network.parameters())
            pairs = zip(self._before, after, strict=True)
            moved.append(not all(torch.equal(a, b.detach()) for a, b in pairs))

    clf.set_params(method=Moving()).fit(X, y, sample_weight=weight)
    assert set(clf.method_.losses_[0].values()) == {0.0}
    assert moved[:2] == [False, True]
    assert all(np.isfinite(list(found.values())).all() for found in clf.method_.losses_)
    assert np.isfinite(clf.history[-1, "train_loss"])


def test_in_batches_of_one_a_weight_scales_the_step(data):
    X, y, _ = data
    weight = np.where(np.arange(N) == 5, 50.0, 1.0)
    plain = make(standardize=False).fit({"a": X["a"]}, y).method_.losses_
    # Inputs are standardized with the weights, too; here only the loss counts.
    clf = make(batch_size=1, standardize=False).fit({"a": X["a"]}, y, sample_weight=weight)
    single = [found["joint"] for found in clf.method_.losses_]
    losses = sample_losses(clf, {"a": X["a"]}, y)["joint"]
    mean = (50 + N - 1) / N
    np.testing.assert_allclose(single, losses * weight / mean, rtol=1e-10)
    assert plain[0]["joint"] == pytest.approx(losses[:16].mean(), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_the_scale_of_the_weights_does_not_matter(data, scale):
    X, y, weight = data
    clfs = [
        make(lr=0.05, dtype="float32", missing="allow").fit(X, y, sample_weight=weight * s)
        for s in (1.0, scale)
    ]
    first, second = (c.predict_proba(X) for c in clfs)
    np.testing.assert_allclose(second, first, rtol=2e-4, atol=1e-6)


def test_a_modality_whose_samples_all_have_weight_zero_has_loss_zero(data):
    X, y, weight = data
    weight = np.where(np.isnan(X["b"][:, 0]), weight + 0.1, 0.0)
    clf = make(missing="allow").fit(X, y, sample_weight=weight)
    assert {found["b"] for found in clf.method_.losses_} == {0.0}
    assert np.isfinite(clf.predict_proba(X)).all()


def test_parts_may_be_subsets_of_subsets(data):
    X, y, weight = data
    rows, inner = np.arange(10, 50), np.arange(5, 35)

    def once(dataset, y=None):
        return Subset(dataset, rows[inner].tolist()), None

    def twice(dataset, y=None):
        return Subset(Subset(dataset, torch.from_numpy(rows)), inner), None

    found = [
        make(missing="allow", train_split=s).fit(X, y, sample_weight=weight).method_.losses_
        for s in (once, twice)
    ]
    assert found[0] == found[1]


# What a run keeps


@pytest.mark.parametrize("way", ["partial_fit", "pickle", "warm_start"])
@pytest.mark.parametrize("weighted", [True, False])
def test_further_fits_keep_the_mean_weight_of_the_first(data, way, weighted):
    """Weights are relative to those of the first call, in which None stands for ones."""
    X, y, weight = data
    first, then = (weight, None) if weighted else (None, weight)
    clf = make(missing="allow", warm_start=True).fit(X, y, sample_weight=first)
    if way == "warm_start":
        clf.fit(X, y, sample_weight=then)
    else:
        clf = pickle.loads(pickle.dumps(clf)) if way == "pickle" else clf
        clf.partial_fit(X, y, sample_weight=then)
    one = np.ones(N)
    kept, used = (weight, one) if weighted else (one, weight)
    for name, losses in sample_losses(clf, X, y).items():
        has = ~np.isnan(losses)
        rows = np.flatnonzero(has[:16])
        expected = (used[rows] * losses[rows]).sum() / len(rows) / kept[has].mean()
        assert clf.method_.losses_[0][name] == pytest.approx(expected, rel=1e-10), name
    # The epoch's loss is a mean over the data of the epoch all the same.
    losses = sample_losses(clf, X, y)["joint"]
    expected = np.average(losses, weights=used)
    assert clf.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-10)


def test_a_new_fit_takes_the_mean_of_its_own_weights(data):
    X, y, weight = data
    clf = make(missing="allow").fit(X, y, sample_weight=weight)
    again = (
        make(missing="allow").fit(X, y, sample_weight=weight * 7).fit(X, y, sample_weight=weight)
    )
    assert again.method_.losses_ == clf.method_.losses_


# Losses in the history


@pytest.mark.parametrize("size", [1, 8, 13, -1])
@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalRegressor])
def test_train_loss_and_valid_loss_are_weighted_means_over_the_data(data, size, cls):
    X, y, weight = data
    target = y if cls is MultimodalClassifier else y + X["a"][:, 0]
    split = ValidSplit(3)
    clf = make(cls=cls, missing="allow", batch_size=size, train_split=split)
    clf.fit(X, target, sample_weight=weight)
    if cls is MultimodalClassifier:
        losses = sample_losses(clf, X, y)["joint"]
    else:
        losses = ((clf.predict(X) - target) / clf.target_scale_[0]) ** 2
    parts = split(np.empty((N, 1)), target)
    for name, part in zip(("train_loss", "valid_loss"), parts, strict=True):
        rows = np.asarray(part.indices)
        expected = np.average(losses[rows], weights=weight[rows])
        assert clf.history[-1, name] == pytest.approx(expected, rel=1e-10), name


def test_the_losses_of_batches_average_to_that_of_the_epoch_by_their_sizes(data):
    X, y, weight = data
    clf = make(missing="allow", train_split=ValidSplit(3)).fit(X, y, sample_weight=weight)
    for part in ("train", "valid"):
        batches = [b for b in clf.history[-1, "batches"] if f"{part}_loss" in b]
        sizes = [b[f"{part}_batch_size"] for b in batches]
        mean = np.average([b[f"{part}_loss"] for b in batches], weights=sizes)
        assert clf.history[-1, f"{part}_loss"] == pytest.approx(mean, rel=1e-12)


def test_mean_loss_of_held_out_samples_is_their_weighted_mean(data):
    X, y, weight = data

    class Looking(BalancingMethod):
        def on_train_start(self, training):
            self.seen_ = [
                training.mean_loss(lambda b: b.joint_loss, "held_out"),
                training.mean_loss(lambda b: b.unimodal_losses["b"], "held_out", modality="b"),
            ]

    split = ValidSplit(3)
    clf = make(Looking(), missing="allow", train_split=split).fit(X, y, sample_weight=weight)
    rows = np.asarray(split(np.empty((N, 1)), y)[1].indices)
    losses = sample_losses(clf, X, y)
    for found, name in zip(clf.method_.seen_, ("joint", "b"), strict=True):
        r = rows[~np.isnan(losses[name][rows])]
        assert found == pytest.approx(np.average(losses[name][r], weights=weight[r]), rel=1e-10)


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_part_in_which_no_sample_counts_is_refused(data, part):
    X, y, _ = data
    rows = {"training": np.arange(40), "validation": np.arange(40, N)}

    def split(dataset, y=None):
        return Subset(dataset, rows["training"]), Subset(dataset, rows["validation"])

    weight = np.ones(N)
    weight[rows[part]] = 0
    with pytest.raises(ValueError, match=f"All weights of the {part} part .train_split. are 0"):
        make(missing="allow", train_split=split).fit(X, y, sample_weight=weight)


# class_weight="balanced"


def effective(y, weight):
    """Weights of the samples that a balanced fit trains on."""
    clf = make(class_weight="balanced").fit({"a": np.zeros((len(y), 2))}, y, sample_weight=weight)
    return clf.target_.weights(weight, y, "balanced")


def test_balanced_counts_are_weighted_as_in_scikit_learn(data):
    _, y, weight = data
    given = "sample_weight" in inspect.signature(compute_class_weight).parameters
    counts = np.array([weight[y == c].sum() for c in range(3)])
    expected = weight.sum() / (3 * counts)
    if given:
        by_sklearn = compute_class_weight(
            "balanced", classes=np.arange(3), y=y, sample_weight=weight
        )
        np.testing.assert_allclose(expected, by_sklearn)
    found = effective(y, weight)
    np.testing.assert_allclose(found, weight * expected[y], rtol=1e-12)
    # Each class has the same share.
    np.testing.assert_allclose(np.bincount(y, found), found.sum() / 3)


def test_balanced_weights_are_those_of_repeated_samples():
    y = np.r_[np.zeros(60, int), np.ones(20, int)]
    weight = np.where(y == 1, 3.0, 1.0)
    rows = np.repeat(np.arange(80), weight.astype(int))
    weighted, repeated = effective(y, weight), effective(y[rows], None)
    assert weighted[y == 1].sum() / weighted.sum() == pytest.approx(0.5)
    assert repeated[y[rows] == 1].sum() / repeated.sum() == pytest.approx(0.5)


def test_a_class_without_any_weight_is_left_out_of_balancing(data):
    _, y, weight = data
    found = effective(y, np.where(y == 2, 0.0, weight))
    assert np.isfinite(found).all() and not found[y == 2].any()
    assert found[y == 0].sum() == pytest.approx(found[y == 1].sum())


def test_a_balanced_network_of_one_layer_finds_what_logistic_regression_finds(data):
    """Without regularization both minimize the same weighted loss."""
    X, y, weight = data
    weight = weight + 0.1
    X = X["a"]
    given = "sample_weight" in inspect.signature(compute_class_weight).parameters
    if not given:
        pytest.skip("scikit-learn counts samples without their weights before 1.7")
    clf = make(
        "joint",
        encoders=lambda input_shape: nn.Identity(),
        class_weight="balanced",
        batch_size=-1,
        max_epochs=60,
        lr=0.5,
        optimizer=torch.optim.LBFGS,
        fisher=None,
    ).fit({"a": X}, y, sample_weight=weight)
    linear = LogisticRegression(C=1e8, class_weight="balanced", tol=1e-10, max_iter=10000)
    linear.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(clf.predict_proba({"a": X}), linear.predict_proba(X), atol=1e-4)
