"""The loop: hooks, transfers, parameters without an owner, last batches, going on, saving."""

import copy
import io
import pickle
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
)
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from inforeg_sk import (
    BalancingMethod,
    InfoReg,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    presets,
)
from inforeg_sk._arrays import CheckedModalities
from inforeg_sk.network import Dropout
from inforeg_sk.training.batches import JoinedBatchSampler, ModalityDataset

# A window that opens and a pull that acts, at these sizes.
ACTIVE = {"window_threshold": -1e9, "unimodal_weight": 1.0, "alpha": 2.0}


def make(**kwargs):
    settings = {"max_epochs": 4, "batch_size": 32, "random_state": 0, "device": "cpu", **ACTIVE}
    return MultimodalInfoRegClassifier(**{**settings, **kwargs})


def weights(clf):
    return {n: p.detach().numpy().copy() for n, p in clf.module_.named_parameters()}


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


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
    "settings", [ACTIVE, presets.PAPER, {"alpha": 0.0}, {**ACTIVE, "missing": "allow"}]
)
def test_values_move_once_an_epoch(trimodal, settings, monkeypatch):
    """Neither ``.item()`` nor a copy to the host for a batch; one list for an epoch."""
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
    assert counter.count["scalar"] <= 6


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


@pytest.mark.parametrize("how", ["fit", "partial_fit", "warm_start"])
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
            (clf.partial_fit if how == "partial_fit" else clf.fit)(X, y)
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


@pytest.mark.parametrize("strength", ["coefficient", "drift"])
def test_frozen_and_unused_parameters_stay(trimodal, strength):
    X, y = trimodal
    start = {}

    class Spy(Callback):
        def on_train_begin(self, net, **kwargs):
            start.update(weights(net))

    clf = make(
        encoders={"text": Parts, "video": Parts},
        strength=strength,
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


# Going on


def test_partial_fit_is_one_epoch_and_continues_everything(trimodal):
    X, y = trimodal
    clf = make(window_smoothing=1)
    for epoch in range(1, 4):
        clf.partial_fit(X, y)
        assert len(clf.history) == epoch
    # Traces of earlier calls decide the window: ratios are as if in one go.
    trace = clf.curves_["fisher_trace"]["text"]
    assert clf.curves_["window_ratio"]["text"][2] == pytest.approx((trace[1] - trace[0]) / trace[1])


def test_warm_start_continues_the_same_run(trimodal):
    X, y = trimodal
    clf = make(warm_start=True, max_epochs=2).fit(X, y)
    optimizer, module = clf.optimizer_, clf.module_
    step = next(iter(optimizer.state.values()))["step"].item()
    clf.set_params(alpha=0.0).fit(X, y)
    assert clf.module_ is module and clf.optimizer_ is optimizer
    assert next(iter(optimizer.state.values()))["step"].item() == 2 * step
    assert len(clf.history) == 4
    # Method settings are read anew.
    assert (clf.curves_["coefficient"]["text"][2:] == 0).all()
    cold = make(max_epochs=2)
    assert len(cold.fit(X, y).fit(X, y).history) == 2


def test_partial_fit_with_classes_to_come(trimodal):
    X, y = trimodal
    first = y != "joy"
    part = {name: values[first] for name, values in X.items()}
    clf = make().partial_fit(part, y[first], classes=["joy", "fear", "anger"])
    assert clf.classes_.tolist() == ["anger", "fear", "joy"]
    clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="'joy', which is not among the classes"):
        make().partial_fit(part, y[first]).partial_fit(X, y)


def test_a_pickle_in_mid_training_goes_on_as_if_nothing_happened(trimodal):
    X, y = trimodal
    clf = make(encoders__dropout=0.3).partial_fit(X, y)
    twin = pickle.loads(pickle.dumps(clf))
    assert equal(weights(clf.partial_fit(X, y)), weights(twin.partial_fit(X, y)))
    assert twin.get_params()["device"] == "cpu"


def test_reference_weights_are_not_saved(trimodal):
    X, y = trimodal
    sizes = []

    class Save(Callback):
        def on_batch_end(self, net, **kwargs):
            sizes.append((bool(net.method_._reference), len(pickle.dumps(net.method_))))

    clf = make(callbacks=[Save()]).fit(X, y)
    assert any(held for held, _ in sizes)
    assert len(pickle.dumps(clf.method_)) == sizes[-1][1]
    assert not clf.method_._reference and clf._run is None


# skorch's own ways


def test_clipping_sees_the_regulated_gradient(trimodal):
    X, y = trimodal
    norms = []

    class Norms(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            squares = [p.grad.square().sum() for _, p in named_parameters if p.grad is not None]
            norms.append(float(sum(squares)) ** 0.5)

    make(
        alpha=1e4,
        callbacks=[GradientNormClipping(0.01), Norms()],
        optimizer=torch.optim.SGD,
        lr=0.1,
    ).fit(X, y)
    assert max(norms) <= 0.01 * 1.001


def test_callbacks_disabled_still_regulate(trimodal):
    X, y = trimodal
    loud, quiet = make().fit(X, y), make(callbacks="disable").fit(X, y)
    assert equal(weights(loud), weights(quiet))
    assert any((c > 0).any() for c in quiet.curves_["coefficient"].values())


def test_learning_rates_by_modality_and_schedules(trimodal):
    X, y = trimodal
    start = {}

    class Spy(Callback):
        def on_train_begin(self, net, **kwargs):
            start.update(weights(net))

    clf = make(
        optimizer__param_groups=[("encoder_text.*", {"lr": 0.0, "weight_decay": 0.0})],
        callbacks=[Spy(), LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.1)],
        lr=0.01,
    ).fit(X, y)
    moved = {n for n, w in weights(clf).items() if not np.array_equal(w, start[n])}
    assert moved == {n for n in start if not n.startswith("encoder_text.")}
    assert clf.optimizer_.param_groups[-1]["lr"] == pytest.approx(0.01 * 0.1**2)


def test_early_stopping_restores_the_best(trimodal):
    X, y = trimodal
    clf = make(
        max_epochs=30,
        lr=0.05,
        train_split=ValidSplit(3, stratified=True),
        callbacks=[EarlyStopping(patience=3, load_best=True), EpochScoring("f1_macro")],
    ).fit(X, y)
    losses = clf.history[:, "valid_loss"]
    assert len(losses) == np.argmin(losses) + 1 + 3 < 30
    # The best epoch's weights give its validation accuracy again.
    _, valid = clf.train_split(
        ModalityDataset(CheckedModalities(X, {}, len(y)), np.unique(y, return_inverse=True)[1]),
        np.unique(y, return_inverse=True)[1],
    )
    rows = valid.indices
    score = clf.score({name: values[rows] for name, values in X.items()}, y[rows])
    assert score == pytest.approx(clf.history[int(np.argmin(losses)), "valid_acc"])


class ByModality(Callback):
    """Scores each modality alone on the validation samples, after each epoch."""

    def __init__(self, X, y):
        self.X, self.y, self.seen = X, y, []

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        rows = np.asarray(dataset_valid.indices)
        arrays = {name: values[rows] for name, values in self.X.items()}
        for samples in ("common", "each"):
            # A dataset's labels are encoded, as for `predict` and `score`.
            encoded = dataset_valid.dataset.y[rows]
            given = net.score_by_modality(dataset_valid, encoded, samples=samples)
            self.seen.append((given, net.score_by_modality(arrays, self.y[rows], samples=samples)))


@pytest.mark.parametrize("missing", ["error", "allow"])
def test_scores_by_modality_in_a_callback(trimodal, missing):
    X, y = trimodal
    if missing == "allow":
        X["text"][::5] = X["audio"][1::4] = np.nan
    spy = ByModality(X, y)
    clf = make(
        missing=missing,
        train_split=ValidSplit(3, stratified=True),
        callbacks=[("spy", spy)],
        max_epochs=2,
    ).fit(X, y)
    seen = dict(clf.callbacks_)["spy"].seen
    assert len(seen) == 4
    for from_dataset, from_arrays in seen:
        assert from_dataset == from_arrays and set(from_dataset) == set(X)


def test_groups_reach_the_validation_split(trimodal):
    X, y = trimodal
    groups = np.arange(90) // 9
    seen = {}

    class Spy(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen.update(train=dataset_train.indices, valid=dataset_valid.indices)

    split = ValidSplit(GroupKFold(5))
    make(train_split=split, callbacks=[Spy()]).fit(X, y, groups=groups)
    assert not set(groups[seen["train"]]) & set(groups[seen["valid"]])
    assert len(seen["train"]) + len(seen["valid"]) == 90
    with pytest.raises(ValueError, match="groups"):
        make(train_split=split).fit(X, y)


def test_freezing_by_callback(trimodal):
    X, y = trimodal
    clf = make(callbacks=[Freezer("encoder_text.*")]).fit(X, y)
    assert (clf.curves_["fisher_trace"]["text"] == 0).all() and (
        clf.curves_["fisher_trace"]["audio"] > 0
    ).all()


def test_workers_and_lbfgs(trimodal):
    X, y = trimodal
    alone = make(iterator_train__num_workers=0).fit(X, y)
    helped = make(iterator_train__num_workers=1, max_epochs=1).fit(X, y)
    assert alone.history[0, "train_loss"] == helped.history[0, "train_loss"]
    clf = make(optimizer=torch.optim.LBFGS, lr=0.1, batch_size=-1, max_epochs=2).fit(X, y)
    assert clf.history[1, "train_loss"] < clf.history[0, "train_loss"]


def test_scaled_gradients_mean_the_same(trimodal):
    """A loss scaler multiplies all gradients; traces and pull must not notice."""
    X, y = trimodal
    scale = 1024.0

    class Scaled(MultimodalClassifier):
        def gradient_scale(self):
            return scale

        def get_loss(self, *args, training=False, **kwargs):
            loss = super().get_loss(*args, training=training, **kwargs)
            return loss * scale if training else loss

        def _step_optimizer(self, step_fn):
            def unscale():
                loss = step_fn()
                for p in self.module_.parameters():
                    if p.grad is not None:
                        p.grad /= scale
                return loss

            super()._step_optimizer(unscale)

    kwargs = dict(
        optimizer=torch.optim.SGD,
        dtype="float64",
        max_epochs=4,
        random_state=0,
        lr=0.05,
        device="cpu",
    )
    plain = MultimodalClassifier(InfoReg(**ACTIVE), **kwargs).fit(X, y)
    scaled = Scaled(InfoReg(**ACTIVE), **kwargs).fit(X, y)
    for name in X:
        np.testing.assert_allclose(
            scaled.curves_["fisher_trace"][name], plain.curves_["fisher_trace"][name], 1e-12
        )
        np.testing.assert_allclose(
            scaled.curves_["coefficient"][name], plain.curves_["coefficient"][name], 1e-12
        )
    for name, value in weights(plain).items():
        np.testing.assert_allclose(weights(scaled)[name], value, rtol=1e-9, atol=1e-12)


def test_bfloat16_autocast_runs(trimodal):
    X, y = trimodal

    class Autocast(MultimodalInfoRegClassifier):
        def infer(self, x, **fit_params):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().infer(x, **fit_params)

    clf = Autocast(max_epochs=3, batch_size=64, random_state=0, device="cpu", **ACTIVE).fit(X, y)
    full = make(max_epochs=3, batch_size=64).fit(X, y)
    for name in X:
        np.testing.assert_allclose(
            clf.curves_["fisher_trace"][name], full.curves_["fisher_trace"][name], rtol=0.1
        )


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
