"""Fits that go wrong say so at their end; others say nothing."""

import warnings

import numpy as np
import pytest
import regression
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, Freezer, LRScheduler
from skorch.dataset import ValidSplit
from training_runs import equal, make, weights

from inforeg_sk import (
    InfoReg,
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
    presets,
)
from inforeg_sk.datasets import make_multimodal_classification


def said(call):
    """Texts of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


# Divergence


@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalInfoRegRegressor])
def test_a_last_step_that_diverges_says_so(cls):
    """The loss is taken before the step, and is fine."""
    X, y = regression.make_data()
    target = y if cls is MultimodalInfoRegRegressor else (y > 70).astype(int)
    model = cls(optimizer=torch.optim.SGD, lr=1e30, batch_size=-1, max_epochs=1, random_state=0)
    (text,) = said(lambda: model.fit(X, target))
    assert "training diverged" in text and "smaller lr" in text
    assert np.isfinite(model.history[-1, "train_loss"])


def test_partial_fit_gives_no_verdict(trimodal):
    X, y = trimodal
    clf = make(optimizer=torch.optim.SGD, lr=1e30)
    assert said(lambda: [clf.partial_fit(X, y) for _ in range(3)]) == []


def test_a_search_says_a_thing_once():
    X, y = make_multimodal_classification(60, random_state=0)
    clf = MultimodalClassifier(optimizer=torch.optim.SGD, lr=1e30, max_epochs=2, device="cpu")
    search = GridSearchCV(clf, {"max_epochs": [1, 2, 3]}, cv=3, scoring=lambda *_: 0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in (1, 2):
            search.fit(ModalityDict(X), y)
            found = [w for w in caught if "diverged" in str(w.message)]
            assert len(found) == n and all(w.category is ConvergenceWarning for w in found)
    assert len(said(lambda: [clf.fit(X, y), clf.fit(X, y)])) == 2


# Traces


def test_an_infinite_trace_says_so(trimodal):
    X, y = trimodal
    X["text"] = X["text"] * 1e25
    clf = make(max_epochs=1, lr=1e-30, unimodal_weight=0.0, alpha=0.0, optimizer=torch.optim.SGD)
    clf.set_params(standardize=False)
    texts = said(lambda: clf.fit(X, y))
    assert np.isinf(clf.curves_["fisher_trace"]["text"]).any()
    assert any("trace of 'text' is infinite" in text for text in texts)
    assert not any("'audio' is infinite" in text for text in texts)


def test_a_rule_that_measures_nothing_says_so(trimodal):
    X, y = trimodal
    code = presets.authors_code("audio", {"audio": 0.9, "text": 0.1, "video": 0.1})
    method = InfoReg(**presets.method_settings(code))
    encoders = {"audio": "gru", "text": "mlp", "video": "mlp"}
    clf = MultimodalClassifier(method, encoders=encoders, max_epochs=2, random_state=0)
    (text,) = said(lambda: clf.fit(X, y))
    assert "encoder of 'audio'" in text and "trace='encoder'" in text
    assert said(lambda: clf.set_params(method__trace="encoder").fit(X, y)) == []


class Ignores(torch.nn.Module):
    """A fusion that does not use the audio."""

    def __init__(self, widths):
        super().__init__()

    def forward(self, features):
        return torch.cat([features["text"], features["video"]], dim=1)


def test_an_encoder_that_no_gradient_reaches_says_so(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(fusion=Ignores, max_epochs=2, random_state=0)
    (text,) = said(lambda: clf.fit(X, y))
    assert "trace of 'audio' is 0" in text and "fusion" in text


def test_a_frozen_encoder_is_meant(trimodal):
    X, y = trimodal
    assert said(lambda: make(callbacks=[Freezer("encoder_text.*")]).fit(X, y)) == []


# Guessing


def test_unscaled_data_that_teach_nothing_say_so():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400)
    X = {
        "a": rng.normal(size=(400, 6)) + y[:, None] + 1e6,
        "b": rng.normal(size=(400, 4)) + 0.4 * y[:, None] + 1e6,
    }
    clf = MultimodalInfoRegClassifier(max_epochs=20, random_state=0, standardize=False)
    *merged, text = said(lambda: clf.fit(X, y))
    assert all("become one in float32" in other for other in merged)
    assert "no better than guessing" in text and "Scale" in text
    scaled = {m: StandardScaler().fit_transform(v) for m, v in X.items()}
    assert said(lambda: clf.fit(scaled, y)) == []


def test_shuffled_labels_say_so():
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(2000, 3)), "b": rng.normal(size=(2000, 2))}
    texts = said(
        lambda: MultimodalClassifier(max_epochs=8, random_state=0).fit(
            X, rng.integers(2, size=2000)
        )
    )
    assert all("guessing" in text for text in texts)
    y = rng.normal(size=2000)
    texts = said(lambda: MultimodalRegressor(max_epochs=8, random_state=0, lr=0.0).fit(X, y))
    assert len(texts) == 1 and "the model is no better than guessing" in texts[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_modality_of_noise_says_so(weighted):
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=4000)
    X = {"real": rng.normal(size=(4000, 6)) + y[:, None], "noise": rng.normal(size=(4000, 3))}
    weight = rng.random(4000) if weighted else None
    clf = MultimodalInfoRegClassifier(max_epochs=2, random_state=0)
    (text,) = said(lambda: clf.fit(X, y, sample_weight=weight))
    assert "alone, 'noise' is no better than guessing" in text


GOOD = {
    "classification": lambda: make_multimodal_classification(200, random_state=0),
    "regression": lambda: regression.make_data(200),
}


@pytest.mark.parametrize("epochs", [1, 3, 10, 40])
@pytest.mark.parametrize("inforeg", [True, False])
@pytest.mark.parametrize("task", GOOD)
def test_ordinary_fits_say_nothing(task, inforeg, epochs):
    X, y = GOOD[task]()
    classes = {
        "classification": (MultimodalClassifier, MultimodalInfoRegClassifier),
        "regression": (MultimodalRegressor, MultimodalInfoRegRegressor),
    }
    model = classes[task][inforeg](max_epochs=epochs, random_state=0)
    assert said(lambda: model.fit(X, y)) == []
    if task == "classification":
        model.set_params(class_weight="balanced", train_split=ValidSplit(4))
        assert said(lambda: model.fit(X, np.where(y > 0, "a", "b"))) == []
    model.set_params(warm_start=True, max_epochs=2)
    assert said(lambda: model.fit(X, y if task == "regression" else model.predict(X))) == []


@pytest.mark.parametrize("loader", [load_breast_cancer, load_diabetes])
def test_real_tables_say_nothing(loader):
    X, y = loader(return_X_y=True)
    cls = MultimodalInfoRegClassifier if loader is load_breast_cancer else MultimodalRegressor
    model = cls(modalities={"a": slice(0, 5), "b": slice(5, 10)}, max_epochs=20, random_state=0)
    scaled = StandardScaler().fit_transform(X)
    assert said(lambda: model.fit(scaled, y)) == []


def test_a_verdict_changes_nothing(trimodal):
    X, y = trimodal
    state = torch.get_rng_state()
    fitted, parts = make(max_epochs=3).fit(X, y), make()
    for _ in range(3):
        parts.partial_fit(X, y)
    assert equal(weights(fitted), weights(parts))
    assert torch.equal(torch.get_rng_state(), state) and fitted._run.train is None


# Interrupts and errors of callbacks


class Stop(Callback):
    """Raises in some epoch, once."""

    def __init__(self, where, error, epoch=2, training=None):
        self.where, self.error, self.epoch, self.training = where, error, epoch, training

    def initialize(self):
        self.done = False
        return self

    def _maybe(self, name, net, training):
        here = name == self.where and len(net.history) == self.epoch and training == self.training
        if here and not self.done:
            self.done = True
            raise self.error

    def on_epoch_begin(self, net, **kwargs):
        self._maybe("on_epoch_begin", net, None)

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self._maybe("on_grad_computed", net, None)

    def on_batch_end(self, net, training=None, **kwargs):
        self._maybe("on_batch_end", net, training)

    def on_epoch_end(self, net, **kwargs):
        self._maybe("on_epoch_end", net, None)


PLACES = [
    ("on_epoch_begin", None),
    ("on_grad_computed", None),
    ("on_batch_end", True),
    ("on_batch_end", False),
    ("on_epoch_end", None),
]


@pytest.mark.parametrize("where, training", PLACES)
def test_an_interrupt_warns_and_names_the_epoch(trimodal, where, training):
    X, y = trimodal
    stop = Stop(where, KeyboardInterrupt, training=training)
    clf = make(callbacks=[("stop", stop)], train_split=ValidSplit(3), max_epochs=5)
    clf.set_params(warm_start=True)
    (text,) = said(lambda: clf.fit(X, y))
    assert "interrupted in epoch 2 of 5" in text
    assert len(clf.history) == (2 if where == "on_epoch_end" else 1)
    assert said(lambda: clf.fit(X, y)) == []
    assert clf.history[:, "epoch"] == list(range(1, len(clf.history) + 1))


def test_early_stopping_is_no_interrupt(trimodal):
    X, y = trimodal
    stop = EarlyStopping(patience=2, threshold=10.0, monitor="train_loss")
    clf = make(callbacks=[stop], max_epochs=20)
    assert said(lambda: clf.fit(X, y)) == [] and len(clf.history) < 20


@pytest.mark.parametrize("where, training", PLACES)
def test_an_error_of_a_callback_leaves_the_last_whole_epoch(trimodal, where, training):
    X, y = trimodal
    stop = Stop(where, OSError("disk full"), training=training)
    clf = make(callbacks=[("stop", stop)], train_split=ValidSplit(3), max_epochs=5)
    with pytest.raises(OSError, match="disk full"):
        clf.fit(X, y)
    n = 2 if where == "on_epoch_end" else 1
    assert len(clf.history) == n and all("valid_loss" in row for row in clf.history)
    assert all(len(c) == n for c in clf.curves_["fisher_trace"].values())
    clf.partial_fit(X, y)
    assert clf.history[:, "epoch"] == list(range(1, n + 2))
    assert len(clf.history[:, "train_loss"]) == len(clf.history[:, "valid_loss"]) == n + 1


# Callbacks that need held-out samples


@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping,
        EarlyStopping(),
        ("stop", EarlyStopping(monitor="valid_acc", lower_is_better=False)),
        Checkpoint,
        EarlyStopping(monitor="valid_f1"),
        LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau, monitor="valid_f1"),
    ],
)
def test_a_callback_without_its_held_out_samples_names_train_split(trimodal, callback, tmp_path):
    X, y = trimodal
    with pytest.raises(ValueError, match=r"train_split=skorch\.dataset\.ValidSplit"):
        make(callbacks=[callback]).fit(X, y)


def test_a_callback_of_the_users_may_record_what_another_monitors(trimodal):
    X, y = trimodal

    class Records(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("valid_loss", -net.score(X, y))

    assert len(make(callbacks=[Records(), EarlyStopping()]).fit(X, y).history) == 4


# What a split leaves


@pytest.mark.parametrize("stratified", [False, True])
def test_a_split_that_loses_a_class_says_so(stratified):
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 20)
    X = {"m": rng.normal(size=(60, 4)) + np.repeat(np.arange(3), 20)[:, None]}
    clf = MultimodalClassifier(
        max_epochs=2, random_state=0, train_split=ValidSplit(3, stratified=stratified)
    )
    texts = [text for text in said(lambda: clf.fit(X, y)) if "train_split leaves" in text]
    assert len(texts) == (not stratified)
    assert stratified or "no sample of class 'a'" in texts[0]
