"""Fits whose batches are cut on the device of the network: the same as those cut on the CPU."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.overrides import TorchFunctionMode
from training_runs import ACTIVE, equal, make, weights

from inforeg_sk import BalancingMethod, MultimodalClassifier
from inforeg_sk.data.batches import Batch
from inforeg_sk.data.blocks import BlockLoader
from inforeg_sk.data.presence import Presence
from inforeg_sk.data.resident import ResidentSamples

CPU = torch.device("cpu")


class Half(BalancingMethod):
    """Takes one modality away from every other sample."""

    def on_batch_start(self, inputs, epoch):
        first = torch.arange(inputs.n_samples) % 2 == 0
        return inputs.keep({"audio": first})


class Seen(Callback):
    """Keeps what batches are in training and validation."""

    def on_train_begin(self, net, **kwargs):
        self.batches_ = []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        X, y = batch
        self.batches_.append((training, {m: x.clone() for m, x in X.items()}, np.array(y)))


def with_holes(X):
    X = {name: values.astype("f4") for name, values in X.items()}
    X["text"][::3] = X["audio"][1::4] = np.nan
    return X


@pytest.fixture(params=[True, False], ids=["resident", "moved"])
def on_device(request, monkeypatch):
    """The CPU in the place of a device: batches are cut there."""

    def use():
        monkeypatch.setitem(BlockLoader.__init__.__kwdefaults__, "resident", request.param)

    return use


SETTINGS = {
    "inforeg": ACTIVE,
    "missing": {**ACTIVE, "missing": "allow"},
    "dropout": {"modality_dropout": 0.4, "missing": "allow"},
    "early stopping": {"early_stopping": True, "max_epochs": 6},
    "class weights": {"class_weight": "balanced"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_fits_are_equal(trimodal, settings, on_device):
    X, y = trimodal
    X = with_holes(X) if settings.get("missing") else X
    fits = []
    for forced in (False, True):
        if forced:
            on_device()
        clf = make(**settings, callbacks=[("seen", Seen())]).fit(X, y)
        fits.append((clf, dict(clf.callbacks_)["seen"].batches_, clf.predict_proba(X)))
    (plain, batches, proba), (ours, ours_batches, ours_proba) = fits
    assert equal(weights(plain), weights(ours))
    assert np.array_equal(proba, ours_proba)
    assert plain.history[:, "train_loss"] == ours.history[:, "train_loss"]
    for (training, inputs, labels), (training_, inputs_, labels_) in zip(
        batches, ours_batches, strict=True
    ):
        assert training == training_ and np.array_equal(labels, labels_)
        assert set(inputs) == set(inputs_)
        assert all(torch.equal(inputs[m], inputs_[m]) for m in inputs)


def test_a_method_may_leave_samples_out(trimodal, on_device):
    X, y = trimodal
    plain = MultimodalClassifier(Half(), max_epochs=2, random_state=0).fit(X, y)
    on_device()
    ours = MultimodalClassifier(Half(), max_epochs=2, random_state=0).fit(X, y)
    assert equal(weights(plain), weights(ours))


def test_a_fit_copies_its_samples_once(trimodal, monkeypatch):
    X, y = trimodal
    made = []

    class Counting(ResidentSamples):
        def __init__(self, dataset, *given):
            made.append(len(dataset))
            super().__init__(dataset, *given)

    monkeypatch.setattr("inforeg_sk.data.blocks.ResidentSamples", Counting)
    monkeypatch.setitem(BlockLoader.__init__.__kwdefaults__, "resident", True)
    make(early_stopping=True, validation_fraction=1 / 3, max_epochs=5).fit(X, y)
    assert made[:2] == [60, 30]  # what judges the fit in the end looks at some samples again
    assert len(made) <= 3


class Waiting(TorchFunctionMode):
    """Whether copies wait."""

    def __init__(self):
        super().__init__()
        self.non_blocking = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.to:
            self.non_blocking.append((kwargs or {}).get("non_blocking", False))
        return func(*args, **(kwargs or {}))


def test_copies_to_the_cpu_wait_until_they_are_there():
    presence = Presence(3, {"a": torch.tensor([True, False, True])})
    with Waiting() as waiting:
        presence.to(CPU)
        presence.to(torch.device("meta"))
    assert waiting.non_blocking == [False, False, True, True]
    moved = Batch({"a": torch.zeros(2, 1)}, presence)
    with Waiting() as waiting:
        assert moved.to(CPU) is moved
        there = moved.to(torch.device("meta"))
    assert waiting.non_blocking == [True] * 3
    assert there["a"].is_meta and there.to(torch.device("meta")) is there
