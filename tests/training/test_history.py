"""The history: skorch's indexing at a constant price, and rows of batches that are not kept."""

import copy
import json
import pickle

import numpy as np
import pytest
from skorch.callbacks import Callback, EpochScoring
from skorch.history import History
from training_runs import equal, make, weights

from inforeg_sk.training.history import DroppedBatches, TrainingHistory

ROWS = [
    {"epoch": i, "loss": float(i), "batches": [{"x": 10.0 * i + j} for j in range(3)]}
    for i in range(4)
]


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(1, 3),
        (-1, "loss"),
        (2, ("epoch", "loss")),
        (1, ["epoch", "loss"]),
        (slice(None), "loss"),
        (slice(-2, None), "batches", slice(None), "x"),
        (0, "batches", -1),
        (0, "batches", -1, "x"),
        (3, "batches", slice(None), "x"),
        (3, "batches", slice(1), ("x",)),
    ],
    ids=str,
)
def test_it_is_indexed_as_skorchs(index):
    assert TrainingHistory(ROWS)[index] == History(ROWS)[index]


@pytest.mark.parametrize("index", [9, (0, "none"), (-1, "batches", slice(None), "none"), (9, "x")])
def test_it_refuses_as_skorchs(index):
    with pytest.raises((IndexError, KeyError)) as theirs:
        History(ROWS)[index]
    with pytest.raises(theirs.type):
        TrainingHistory(ROWS)[index]


def test_an_epoch_is_found_without_a_look_at_the_others(monkeypatch):
    history = TrainingHistory(ROWS * 1000)
    monkeypatch.setattr(TrainingHistory, "to_list", None)
    assert history[-1, "loss"] == 3.0 and history[-2]["epoch"] == 2
    history.record("new", 1)
    history.record_batch("y", 2)
    assert history[-1, "new"] == 1 and history[-1, "batches", -1, "y"] == 2


def test_a_history_of_skorchs_is_gone_on_with(trimodal, tmp_path):
    X, y = trimodal
    clf = make(max_epochs=2).fit(X, y)
    clf.save_params(f_history=tmp_path / "history.json")
    clf.load_params(f_history=tmp_path / "history.json")
    assert type(clf.history_) is History
    clf.partial_fit(X, y)
    assert type(clf.history_) is TrainingHistory and len(clf.history_) == 3


class Reads(Callback):
    """What rows of batches there are while an epoch lasts, and at its end."""

    def initialize(self):
        self.lengths_ = []
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        assert net.history[-1, "batches", -1, "train_loss" if training else "valid_loss"] > 0

    def on_epoch_end(self, net, **kwargs):
        self.lengths_.append(len(net.history[-1, "batches", :, "train_loss"]))


@pytest.mark.parametrize("listens", [True, False])
def test_rows_of_batches_last_for_their_epoch(trimodal, listens):
    X, y = trimodal
    callbacks = [("reads", Reads())] if listens else None
    settings = {"batch_size": 30, "early_stopping": True, "validation_fraction": 0.3}
    clf = make(record_batches=False, callbacks=callbacks, **settings).fit(X, y)
    kept = make(**settings).fit(X, y)
    if listens:
        n_batches = kept.history[0, "train_batch_count"]
        assert dict(clf.callbacks_)["reads"].lengths_ == [n_batches] * len(clf.history)
    assert equal(weights(clf), weights(kept))
    for key in ("train_loss", "valid_loss", "valid_acc", "fisher_trace_text"):
        assert clf.history[:, key] == kept.history[:, key]
    for name, curve in clf.curves_["coefficient"].items():
        np.testing.assert_array_equal(curve, kept.curves_["coefficient"][name])


@pytest.mark.parametrize(
    "read",
    [
        lambda history: history[:, "batches", :, "train_loss"],
        lambda history: history[0, "batches", 0],
        lambda history: history[-1, "batches", -1, "train_loss"],
        lambda history: history[0]["batches"][0],
        lambda history: len(history[0]["batches"]),
        lambda history: list(history[0]["batches"]),
        lambda history: [row for epoch in history for row in epoch["batches"]],
    ],
)
def test_to_read_rows_later_raises_and_names_the_parameter(trimodal, read):
    clf = make(record_batches=False, max_epochs=2).fit(*trimodal)
    for fitted in (clf, pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        with pytest.raises(ValueError, match="'record_batches' parameter was False"):
            read(fitted.history_)


def test_without_rows_a_history_is_saved_and_gone_on_with(trimodal, tmp_path):
    X, y = trimodal
    clf = make(record_batches=False, max_epochs=2).fit(X, y)
    clf.history_.to_file(tmp_path / "history.json")
    saved = json.loads((tmp_path / "history.json").read_text())
    assert [epoch["batches"] for epoch in saved] == [[], []]
    clf.partial_fit(X, y)
    assert len(clf.history_) == 3 and "record_batches" in repr(clf.history_[2]["batches"])


def test_rows_that_are_not_kept_take_no_place_in_a_pickle(trimodal):
    X, y = trimodal
    sizes = [
        len(pickle.dumps(make(record_batches=keep, max_epochs=20, batch_size=3).fit(X, y)))
        for keep in (True, False)
    ]
    n_rows = 20 * len(y) // 3
    assert sizes[0] - sizes[1] > 30 * n_rows


def test_scores_of_training_batches_do_not_need_kept_rows(trimodal):
    X, y = trimodal
    scoring = EpochScoring("accuracy", name="s", on_train=True, lower_is_better=False)
    found = [
        make(record_batches=keep, callbacks=[("s", scoring)], max_epochs=3)
        .fit(X, y)
        .history[:, "s"]
        for keep in (True, False)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("value", ["no", 0, None])
def test_record_batches_is_a_bool(trimodal, value):
    with pytest.raises(ValueError, match="parameter of MultimodalInfoRegClassifier must be a bool"):
        make(record_batches=value).fit(*trimodal)


def test_rows_that_were_not_kept_are_no_empty_list():
    with pytest.raises(ValueError, match="record_batches"):
        bool(DroppedBatches())
