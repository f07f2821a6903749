"""The loop: transfers, history, parameters without an owner, last batches, weights."""

import copy
import io
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import ACTIVE, equal, make, weights

from inforeg_sk import BalancingMethod, MultimodalClassifier, presets
from inforeg_sk.data.batches import JoinedBatchSampler
from inforeg_sk.functional import numbers
from inforeg_sk.network import Dropout


class TransferCounter(TorchDispatchMode):
    """Counts values that leave a tensor for Python: what would wait for a device."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.count["scalar"] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "settings",
    [
        ACTIVE,
        presets.method_settings(presets.PAPER),
        {"alpha": 0.0},
        {**ACTIVE, "missing": "allow"},
    ],
)
def test_values_move_once_an_epoch(trimodal, settings, monkeypatch):
    """Neither ``.item()`` nor a copy to the host for a batch; one list for an epoch."""
    monkeypatch.setattr(numbers, "on_host", lambda device: False)  # as on a GPU
    X, y = trimodal
    if settings.get("missing"):
        X = {name: values.copy() for name, values in X.items()}
        X["text"][::3] = X["audio"][1::4] = np.nan
    lists, tolist = [], torch.Tensor.tolist

    def spy(tensor):
        lists.append(tensor.shape)
        return tolist(tensor)

    # AdamW's own bookkeeping reads its step counters, hence SGD.
    clf = make(**settings, optimizer=torch.optim.SGD, iterator_train__shuffle=False)
    monkeypatch.setattr(torch.Tensor, "tolist", spy)
    with TransferCounter() as counter:
        clf.fit(X, y)
    # All values of the epoch's three batches in one list; InfoReg also lists its open windows.
    assert len([shape for shape in lists if shape.numel() >= 3 * 2]) == clf.max_epochs
    # What is left belongs to the fit (seeds), not to its 3 batches x 4 epochs; the optimizer's
    # clock ticks apart from it.
    assert counter.count["scalar"] <= 8


def test_history_holds_plain_floats_and_saves(trimodal):
    X, y = trimodal
    clf = make().fit(X, y)
    for epoch in clf.history:
        for key, value in epoch.items():
            assert key == "batches" or isinstance(value, int | float), key
        assert [type(b["train_loss"]) for b in epoch["batches"]] == [float] * 3
    clf.history.to_file(io.StringIO())
    for name in clf.modalities_:
        assert np.array_equal(
            clf.curves_["fisher_trace"][name], clf.history[:, f"fisher_trace_{name}"]
        )
        assert clf.curves_["window"][name].dtype == bool
        assert clf.curves_["window"][name].shape == clf.curves_["coefficient"][name].shape == (4,)


def test_a_user_reads_the_curves_without_skorch(trimodal):
    X, y = trimodal
    clf = make().fit(X, y)
    for curve in ("fisher_trace", "window", "window_ratio", "coefficient"):
        assert set(clf.curves_[curve]) == set(X)
        # The estimators of InfoReg have an attribute for each.
        attribute = getattr(clf, f"{curve}_")
        assert all(np.array_equal(attribute[m], clf.curves_[curve][m]) for m in X)
    assert set(clf.encoders_) == set(X) and clf.head_.out_features == 3
    joint = MultimodalClassifier(max_epochs=2, random_state=0).fit(X, y)
    assert (joint.curves_["fisher_trace"]["text"] > 0).all()
    assert set(joint.curves_) == {"fisher_trace", "performance_score"}
    with pytest.raises(AttributeError, match="not fitted"):
        make().curves_
    with pytest.raises(AttributeError, match="not fitted"):
        make().fisher_trace_
    untracked = make(max_epochs=2, fisher=None, alpha=0.0).fit(X, y)
    assert set(untracked.curves_) == {"coefficient"}
    with pytest.raises(AttributeError, match="fisher=None"):
        untracked.fisher_trace_


class SometimesNothing(BalancingMethod):
    """Records numbers by hand, of which some batches have none."""

    def on_epoch_start(self, epoch):
        self.batch = 0

    def on_gradients(self, batch):
        i, nan = float(self.batch), float("nan")
        batch.record("coefficient", torch.tensor([i + 1, nan if i == 1 else 10 * i, nan]))
        self.batch += 1


def test_an_epochs_mean_leaves_out_batches_that_recorded_nan(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(SometimesNothing(), max_epochs=2, batch_size=30).fit(X, y)
    assert clf.curves_["coefficient"]["audio"].tolist() == [2, 2]  # of 1, 2, 3
    assert clf.curves_["coefficient"]["text"].tolist() == [10, 10]  # of 0 and 20
    assert np.isnan(clf.curves_["coefficient"]["video"]).all()


@pytest.mark.parametrize("how", ["fit", "warm_start"])
def test_divergence_warns_and_names_the_epoch(trimodal, how):
    X, y = trimodal
    clf = make(optimizer=torch.optim.SGD, alpha=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        clf.set_params(lr=1e-3).fit(X, y)
    clf.set_params(lr=1e30, warm_start=how == "warm_start")
    if how != "fit":
        clf.optimizer_.param_groups[0]["lr"] = 1e30
    with pytest.warns(ConvergenceWarning, match="training diverged.*smaller lr") as caught:
        for _ in range(1 if how == "fit" else 2):
            clf.fit(X, y)
    losses = np.array(clf.history[:, "train_objective"])
    first = int(np.argmin(np.isfinite(losses))) + 1
    assert not np.isfinite(losses[first - 1]) and (how == "fit" or first > 4)
    ours = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert f"the loss of epoch {first} is" in str(ours[0].message)
    assert ours[0].filename == __file__


# Parameters without an owner


class Parts(nn.Module):
    """A frozen, a used and an unused layer."""

    def __init__(self, input_shape):
        super().__init__()
        self.frozen = nn.Linear(input_shape[-1], 4).requires_grad_(False)
        self.used = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x):
        return torch.tanh(self.used(torch.tanh(self.frozen(x))))


@pytest.mark.parametrize("pull", ["gradient", "decoupled"])
def test_frozen_and_unused_parameters_stay(trimodal, pull):
    X, y = trimodal
    start = {}

    class Spy(Callback):
        def on_train_begin(self, net, **kwargs):
            start.update(weights(net))

    clf = make(
        encoders={"text": Parts, "video": Parts},
        pull=pull,
        callbacks=[Spy()],
        optimizer__weight_decay=0.1,
    ).fit(X, y)
    end = weights(clf)
    moved = {name for name in end if not np.array_equal(start[name], end[name])}
    assert {n for n in end if n not in moved} == {
        f"encoder_{m}.{part}.{kind}"
        for m in ("text", "video")
        for part in ("frozen", "unused")
        for kind in ("weight", "bias")
    }
    assert any((c > 0).any() for c in clf.curves_["coefficient"].values())
    assert all((trace > 0).all() for trace in clf.curves_["fisher_trace"].values())


def test_a_shared_encoder_is_measured_for_each_and_pulled_for_none(trimodal):
    X, y = trimodal
    X = {"a": X["text"], "b": X["text"][::-1].copy(), "c": X["video"]}
    shared = nn.Linear(6, 5)
    before = copy.deepcopy(shared.state_dict())
    fits = [
        make(encoders={"a": shared, "b": shared}, alpha=alpha).fit(X, y)
        for alpha in (0.0, {"a": 5.0, "b": 5.0})
    ]
    assert fits[1].encoders_["a"] is fits[1].encoders_["b"]
    assert equal(weights(fits[0]), weights(fits[1]))
    trace = fits[0].curves_["fisher_trace"]
    np.testing.assert_array_equal(trace["a"], trace["b"])
    # The user's instance is only the start.
    assert all(torch.equal(before[k], v) for k, v in shared.state_dict().items())


# Last batches


class Norm(nn.Sequential):
    def __init__(self, input_shape):
        super().__init__(nn.Flatten(), nn.LazyLinear(4), nn.BatchNorm1d(4))


def test_a_last_batch_of_one_sample_joins_the_one_before(trimodal):
    X, y = trimodal
    X, y = {name: values[:65] for name, values in X.items()}, y[:65]
    clf = make(encoders=Norm).fit(X, y)
    sizes = [b["train_batch_size"] for b in clf.history[0]["batches"]]
    assert sizes == [32, 33]
    plain = make().fit(X, y)
    assert [b["train_batch_size"] for b in plain.history[0]["batches"]] == [32, 32, 1]
    with pytest.raises(ValueError, match=r"batch normalisation.*batch_size=1"):
        make(encoders=Norm, batch_size=1).fit(X, y)


@pytest.mark.parametrize("n, size", [(9, 4), (8, 4), (10, 4), (5, 4), (4, 4), (3, 1), (1, 4)])
def test_joined_batches_keep_every_sample(n, size):
    sampler = JoinedBatchSampler(n, size, join=True)
    batches = list(sampler)
    assert len(sampler) == len(batches)
    assert sorted(i for batch in batches for i in batch) == list(range(n))
    if size > 1 and n > 1:
        assert min(map(len, batches)) > 1


# Weights


def test_weights_equal_repetition_in_full_batches(trimodal):
    X, y = trimodal
    repeats = np.random.default_rng(1).integers(0, 3, len(y))
    repeated = {name: values.repeat(repeats, axis=0) for name, values in X.items()}
    kwargs = dict(batch_size=-1, dtype="float64", optimizer=torch.optim.SGD, lr=0.1)
    weighted = make(**kwargs).fit(X, y, sample_weight=repeats)
    copied = make(**kwargs).fit(repeated, y.repeat(repeats))
    for name, value in weights(weighted).items():
        np.testing.assert_allclose(value, weights(copied)[name], rtol=1e-10, atol=1e-13)
    for name in X:
        np.testing.assert_allclose(
            weighted.curves_["coefficient"][name], copied.curves_["coefficient"][name]
        )


def test_class_weight_is_a_sample_weight(trimodal):
    X, y = trimodal
    by_class = {"joy": 3.0, "fear": 0.5}
    each = np.array([by_class.get(label, 1.0) for label in y])
    first = make(class_weight=by_class).fit(X, y)
    second = make().fit(X, y, sample_weight=each)
    assert equal(weights(first), weights(second))
    labels, counts = np.unique(y, return_counts=True)
    balanced = dict(zip(labels.tolist(), len(y) / (3 * counts), strict=True))
    first, second = make(class_weight="balanced").fit(X, y), make(class_weight=balanced).fit(X, y)
    assert equal(weights(first), weights(second))


def test_label_smoothing_with_weights(trimodal):
    X, y = trimodal
    smooth = make(criterion__label_smoothing=0.3, batch_size=-1, max_epochs=1)
    plain = smooth.fit(X, y).history[0, "train_loss"]
    weighted = smooth.fit(X, y, sample_weight=np.full(len(y), 2.0)).history[0, "train_loss"]
    assert weighted == pytest.approx(plain, rel=1e-6)
    sharp = make(batch_size=-1, max_epochs=1).fit(X, y).history[0, "train_loss"]
    assert abs(plain - sharp) > 1e-3


def test_dropout_of_the_network_is_found(trimodal):
    X, y = trimodal
    clf = make(encoders__dropout=0.5).fit(X, y)
    layers = [m for m in clf.module_.modules() if isinstance(m, Dropout)]
    assert len(layers) == 3 and len({layer.seed for layer in layers}) == 3
