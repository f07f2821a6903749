"""skorch's own ways: callbacks, schedules, validation splits, workers, precision."""

import numpy as np
import pytest
import torch
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
from training_runs import ACTIVE, equal, make, weights

from inforeg_sk import InfoReg, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.data.arrays import CheckedModalities
from inforeg_sk.data.batches import ModalityDataset
from inforeg_sk.data.presence import Presence


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
        ModalityDataset(
            CheckedModalities(X, Presence(len(y))), np.unique(y, return_inverse=True)[1]
        ),
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
