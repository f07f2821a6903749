"""Callbacks score in the user's labels and units: as scikit-learn's scorers on the same data."""

import numpy as np
import pandas as pd
import pytest
import regression
import torch
from scipy import sparse
from sklearn.metrics import (
    fbeta_score,
    get_scorer,
    make_scorer,
    mean_absolute_percentage_error,
)
from sklearn.model_selection import PredefinedSplit
from skorch.callbacks import BatchScoring, Callback, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from skorch.scoring import loss_scoring
from training_runs import equal, make, weights

from inforeg_sk import ModalityDict, MultimodalInfoRegRegressor

N, N_VALID = 90, 30
FOLD = ValidSplit(PredefinedSplit(np.r_[np.full(N - N_VALID, -1), np.zeros(N_VALID)]))
VALID = slice(N - N_VALID, N)
LABELS = {
    "one and two": np.array([1, 2]),
    "text": np.array(["neg", "pos"]),
    "floats": np.array([-1.0, 1.0]),
    "booleans": np.array([False, True]),
    "objects": np.array(["a", "b"], dtype=object),
}


@pytest.fixture
def two_classes():
    rng = np.random.default_rng(0)
    y = (rng.random(N) < 0.35).astype(int)
    X = {
        "text": rng.normal(size=(N, 6)) + 0.7 * y[:, None],
        "audio": rng.normal(size=(N, 3)) - 0.4 * y[:, None],
    }
    return X, y


def scoring(scorer, kind=EpochScoring, **kwargs):
    return [("s", kind(scorer, name="s", lower_is_better=False, **kwargs))]


def rows(X, chosen):
    return ModalityDict(X)[chosen]


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("kind", [EpochScoring, BatchScoring])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize(
    "name", ["accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc"]
)
def test_scores_of_labels_of_any_type_are_scikit_learns(two_classes, caching, kind, labels, name):
    X, y = two_classes
    y = LABELS[labels][y]
    clf = make(
        train_split=FOLD, callbacks=scoring(name, kind, use_caching=caching), batch_size=N_VALID
    ).fit(X, y)
    expected = get_scorer(name)(clf, rows(X, VALID), y[VALID])
    assert clf.history[-1, "s"] == pytest.approx(expected, abs=1e-7)
    assert clf.history[-1, "valid_acc"] == pytest.approx(clf.score(rows(X, VALID), y[VALID]))


@pytest.mark.parametrize("net_caching", ["auto", True, False])
@pytest.mark.parametrize("name", ["f1", "average_precision", "recall", "jaccard"])
def test_the_positive_class_is_the_users(two_classes, net_caching, name):
    X, y = two_classes
    y = 2 - y  # 1 is the common class, and the second among the sorted ones is 2
    clf = make(train_split=FOLD, callbacks=scoring(name), use_caching=net_caching).fit(X, y)
    expected = get_scorer(name)(clf, rows(X, VALID), y[VALID])
    assert clf.history[-1, "s"] == pytest.approx(expected)


def test_a_scorer_with_a_positive_label_in_words(two_classes):
    X, y = two_classes
    y = np.array(["healthy", "ill"])[y]
    scorer = make_scorer(fbeta_score, beta=2, pos_label="healthy")
    clf = make(train_split=FOLD, callbacks=scoring(scorer)).fit(X, y)
    assert clf.history[-1, "s"] == pytest.approx(scorer(clf, rows(X, VALID), y[VALID]))


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize(
    "name", ["r2", "neg_mean_absolute_error", "neg_mean_absolute_percentage_error"]
)
@pytest.mark.parametrize("shape", ["1-D", "two outputs"])
def test_scores_of_numbers_are_in_the_users_units(caching, name, shape):
    X, y = regression.make_data(N)
    y = 50_000 + 4_000 * y
    if shape == "two outputs":
        y = np.column_stack([y, -(y**2)])
    callbacks = scoring(name, use_caching=caching)
    reg = regression.make(train_split=FOLD, callbacks=callbacks).fit(X, y)
    expected = get_scorer(name)(reg, rows(X, VALID), y[VALID])
    assert reg.history[-1, "s"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("caching", [True, False])
def test_the_target_that_a_scorer_gets_is_the_users_to_the_last_bit(caching):
    """A target that was decoded from float32 would make zeros tiny, perhaps negative."""
    X, y = regression.make_data(N)
    y = np.where(y > 80, 0.0, y.round())
    seen = []

    def scorer(net, X, y):
        seen.append(y)
        return -mean_absolute_percentage_error(y + 1, net.predict(X))

    regression.make(train_split=FOLD, callbacks=scoring(scorer, use_caching=caching)).fit(X, y)
    assert all(np.array_equal(truth, y[VALID]) for truth in seen) and seen


@pytest.mark.parametrize("kind", [EpochScoring, BatchScoring])
def test_scores_on_training_data_are_scikit_learns(two_classes, kind):
    X, y = two_classes
    y = 2 - y
    kwargs = {"on_train": True, "use_caching": False}
    clf = make(callbacks=scoring("f1", kind, **kwargs), batch_size=-1).fit(X, y)
    assert clf.history[-1, "s"] == pytest.approx(get_scorer("f1")(clf, X, y))
    still = make(callbacks=scoring("f1", kind, on_train=True), lr=0.0, batch_size=-1, alpha=0.0)
    still.fit(X, y)  # with the cache, predictions are those of the steps
    assert still.history[-1, "s"] == pytest.approx(get_scorer("f1")(still, X, y))


def as_frames(X):
    return {name: pd.DataFrame(v, columns=[f"{name}{i}" for i in range(v.shape[1])], index=None)
            for name, v in X.items()}  # fmt: skip


FORMS = {
    "dict": lambda X: (X, {}),
    "ModalityDict": lambda X: (ModalityDict(X), {}),
    "frames": lambda X: (as_frames(X), {}),
    "lists": lambda X: ({name: v.tolist() for name, v in X.items()}, {}),
    "sparse": lambda X: ({**X, "text": sparse.csr_array(X["text"])}, {}),
    "parts": lambda X: (
        {**X, "text": {"a": X["text"], "b": X["text"] > 0}},
        {"encoders": {"text": Parts, "audio": "mlp"}},
    ),
    "array": lambda X: (
        np.hstack([X["text"], X["audio"]]),
        {"modalities": {"text": slice(0, 6), "audio": slice(6, 9)}},
    ),
    "table": lambda X: (
        pd.concat(as_frames(X).values(), axis=1),
        {"modalities": {"text": slice("text0", "text5"), "audio": ["audio0", "audio2"]}},
    ),
    "list of rows": lambda X: (np.hstack([X["text"], X["audio"]]).tolist(), {}),
    "missing": lambda X: (
        {**X, "audio": [None if i % 4 == 0 else row for i, row in enumerate(X["audio"])]},
        {"missing": "allow"},
    ),
}


class Parts(torch.nn.Module):
    """Encoder of a modality of two arrays."""

    def __init__(self, input_shape=None):
        super().__init__()
        self.linear = torch.nn.Linear(6, 4)

    def forward(self, x):
        return self.linear(x["a"] * x["b"])


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("error")
def test_scores_of_data_in_any_form_are_scikit_learns(two_classes, form, caching):
    X, y = two_classes
    y = 2 - y
    given, settings = FORMS[form](X)
    clf = make(train_split=FOLD, callbacks=scoring("f1", use_caching=caching), **settings)
    clf.fit(given, y)
    if isinstance(given, dict):
        held_out = ModalityDict(given)[VALID]
    else:
        held_out = given.iloc[VALID] if hasattr(given, "iloc") else given[VALID]
    assert clf.history[-1, "s"] == pytest.approx(get_scorer("f1")(clf, held_out, y[VALID]))


def test_a_scorer_may_predict_twice_and_on_other_data(two_classes):
    X, y = two_classes
    other = rows(X, slice(0, 7))
    seen = []

    def scorer(net, X, y):
        labels = net.classes_[net.predict_proba(X).argmax(axis=1)]
        seen.append((np.array_equal(labels, net.predict(X)), net.score(X, y)))
        seen.append((len(net.predict(other)) == 7, net.score(other, np.ones(7))))
        return seen[-2][1]

    clf = make(train_split=FOLD, callbacks=scoring(scorer)).fit(X, y)
    assert all(same for same, _ in seen)
    assert seen[-2][1] == clf.score(rows(X, VALID), y[VALID])
    assert seen[-1][1] == clf.score(other, np.ones(7))


def test_loss_scoring_is_the_loss_of_the_data(two_classes):
    X, y = two_classes
    y = np.array(["no", "yes"])[y]
    clf = make(train_split=FOLD, callbacks=scoring(loss_scoring), batch_size=7).fit(X, y)
    held_out = rows(X, VALID)
    expected = -get_scorer("neg_log_loss")(clf, held_out, y[VALID])
    assert loss_scoring(clf, held_out, y[VALID]) == pytest.approx(expected, rel=1e-5)
    assert clf.history[-1, "s"] == pytest.approx(expected, rel=1e-5)
    assert clf.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_scores_by_modality_of_training_data_go_by_the_datasets_target(two_classes):
    """With the cache, y comes in the shuffled order of the batches, and X does not."""
    X, y = two_classes
    y = np.array(["no", "yes"])[y]

    def audio(net, X, y):
        return net.score_by_modality(X, y)["audio"]

    clf = make(callbacks=scoring(audio, on_train=True)).fit(X, y)
    assert clf.history[-1, "s"] == pytest.approx(clf.score_by_modality(X, y)["audio"])


def test_callbacks_see_the_users_target_of_each_batch(two_classes):
    X, y = two_classes
    y = np.array(["no", "yes"])[y]
    seen = []

    class Spy(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            seen.append(y)

        def on_batch_begin(self, net, batch=None, **kwargs):
            seen.append(batch[1])

        def on_batch_end(self, net, batch=None, **kwargs):
            seen.append(batch[1])

    make(callbacks=[Spy()], max_epochs=1, iterator_train__shuffle=False).fit(X, y)
    assert np.array_equal(seen[0], y)
    assert np.array_equal(np.concatenate(seen[1::2]), y)
    assert np.array_equal(np.concatenate(seen[2::2]), y)


def test_train_split_gets_the_users_target():
    X, y = regression.make_data(N)
    seen = []

    def split(dataset, y, **kwargs):
        seen.append(y)
        return dataset, None

    regression.make(train_split=split, max_epochs=1).fit(X, y)
    assert np.array_equal(seen[0], y)


class ReadLoss(Callback):
    def on_train_begin(self, net, **kwargs):
        self.seen, self.given = {True: [], False: []}, []

    def on_batch_end(self, net, training=None, loss=None, **kwargs):
        key = "train_loss" if training else "valid_loss"
        self.seen[training].append(net.history[-1, "batches", -1, key])
        row = net.history[-1, "batches", -1]
        assert row.get(key) == row[key] == dict(row.items())[key] and row.get("other") is None
        assert isinstance(row[key], float) and row[key] in list(row.values())


def test_the_loss_of_a_batch_is_there_when_the_batch_ends(two_classes):
    X, y = two_classes
    clf = make(callbacks=[("read", ReadLoss())], train_split=FOLD).fit(X, y)
    seen = dict(clf.callbacks_)["read"].seen
    for training, key in [(True, "train_loss"), (False, "valid_loss")]:
        kept = [b[key] for epoch in clf.history[:, "batches"] for b in epoch if key in b]
        assert seen[training] == kept
    assert all(type(b) is dict for epoch in clf.history[:, "batches"] for b in epoch)
    assert equal(weights(clf), weights(make(train_split=FOLD).fit(X, y)))


def test_a_schedule_may_watch_the_loss_of_each_batch(two_classes):
    X, y = two_classes
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
    schedule = LRScheduler(plateau, monitor="train_loss", step_every="batch", patience=0)
    clf = make(callbacks=[schedule], max_epochs=20).fit(X, y)
    assert clf.optimizer_.param_groups[0]["lr"] < 1e-3


def test_callbacks_that_score_change_no_weights(two_classes):
    X, y = two_classes
    plain = make(train_split=FOLD).fit(X, y)
    for caching in (True, False):
        batches = BatchScoring("accuracy", name="b", on_train=True, use_caching=caching)
        callbacks = [*scoring("f1", use_caching=caching), ("b", batches)]
        assert equal(weights(plain), weights(make(train_split=FOLD, callbacks=callbacks).fit(X, y)))


def test_a_regressor_scores_batches_in_its_units():
    X, y = regression.make_data(N)
    callbacks = scoring("neg_mean_absolute_error", BatchScoring)
    reg = MultimodalInfoRegRegressor(
        train_split=FOLD, callbacks=callbacks, max_epochs=3, random_state=0, batch_size=8
    ).fit(X, y)
    error = np.abs(reg.predict(rows(X, VALID)) - y[VALID]).mean()
    assert -reg.history[-1, "s"] == pytest.approx(error, rel=1e-6)
