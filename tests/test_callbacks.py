"""Scores by modality over the epochs: on which samples, under which keys, and printed."""

import pickle

import numpy as np
import pytest
import regression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from training_runs import equal, make, weights

from inforeg_sk import ModalityDict, MultimodalClassifier
from inforeg_sk.callbacks import ScoreByModality

N, N_VALID = 60, 20
FOLD = ValidSplit(PredefinedSplit(np.r_[np.full(N - N_VALID, -1), np.zeros(N_VALID)]))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.array(["no", "yes"])[rng.integers(0, 2, N)]
    X = {n: rng.normal(size=(N, 4)) + s * (y == "yes")[:, None] for n, s in [("b", 1), ("a", 0.5)]}
    return ModalityDict(X), y


class Asks(Callback):
    """Asks at the end of each epoch, by itself."""

    def __init__(self, X, y, **settings):
        self.X, self.y, self.settings = X, y, settings

    def on_epoch_end(self, net, **kwargs):
        asked = net.__dict__.setdefault("asked_", [])
        asked.append(net.score_by_modality(self.X, self.y, **self.settings))


@pytest.mark.parametrize("held_out", ["train_split", "validation_data", "early_stopping", None])
def test_curves_are_the_scores_after_each_epoch(data, held_out):
    X, y = data
    train, valid = slice(0, N - N_VALID), slice(N - N_VALID, N)
    settings, given = {}, {}
    used = X if held_out is None else X[valid]
    truth = y if held_out is None else y[valid]
    if held_out in ("train_split", "early_stopping"):
        settings["train_split"] = FOLD
        settings["early_stopping"] = held_out == "early_stopping"
        fitted_on = X, y
    elif held_out == "validation_data":
        given["validation_data"] = (X[valid], y[valid])
        fitted_on = X[train], y[train]
    else:
        fitted_on = X, y
    callbacks = [("scores", ScoreByModality()), ("asks", Asks(used, truth))]
    clf = make(callbacks=callbacks, **settings).fit(*fitted_on, **given)
    curve = clf.curves_["train_acc" if held_out is None else "valid_acc"]
    assert list(curve) == ["b", "a"]
    for name in curve:
        assert curve[name].tolist() == [scores[name] for scores in clf.asked_]
    prefix = "train" if held_out is None else "valid"
    assert clf.history[-1, f"{prefix}_acc_a"] == curve["a"][-1]
    assert isinstance(clf.history[-1, f"{prefix}_acc_a"], float)


def test_any_scorer_is_recorded_under_its_name_or_a_given_one(data):
    X, y = data

    def auc(estimator, rows, truth):
        return roc_auc_score(truth, estimator.predict_proba(rows)[:, 1])

    callbacks = [
        ("named", ScoreByModality("roc_auc", on_train=True)),
        ("callable", ScoreByModality(auc)),
        ("renamed", ScoreByModality(auc, name="auc")),
    ]
    clf = make(callbacks=callbacks, train_split=FOLD).fit(X, y)
    curves = clf.curves_
    assert {"train_roc_auc", "valid_score", "valid_auc"} <= set(curves)
    held_out = clf.score_by_modality(X[N - N_VALID :], y[N - N_VALID :], scoring="roc_auc")
    for name in X:
        assert curves["valid_score"][name][-1] == curves["valid_auc"][name][-1] == held_out[name]
    on_train = clf.score_by_modality(X[: N - N_VALID], y[: N - N_VALID], scoring="roc_auc")
    assert {name: values[-1] for name, values in curves["train_roc_auc"].items()} == on_train


def test_training_is_as_without(data):
    settings = {"encoders__dropout": 0.2, "modality_dropout": 0.2, "train_split": FOLD}
    plain = make(**settings).fit(*data)
    watched = make(callbacks=[("scores", ScoreByModality())], **settings).fit(*data)
    assert equal(weights(plain), weights(watched))


def test_verbose_prints_a_column_of_each_modality(data, capsys):
    callbacks = [("scores", ScoreByModality())]
    clf = make(callbacks=callbacks, verbose=1, max_epochs=2).fit(*data)
    head, _, first, *_ = capsys.readouterr().out.splitlines()
    assert {"train_acc_a", "train_acc_b"} <= set(head.split())
    assert f"{clf.history[0, 'train_acc_a']:.4f}" in first
    assert "fisher_trace" not in head and "performance_score" not in head
    make(verbose=1, max_epochs=1).fit(*data)
    assert "acc_a" not in capsys.readouterr().out


def test_regressors_are_scored_by_r2():
    X, y = regression.make_data(40)
    reg = regression.make(callbacks=[("scores", ScoreByModality())], max_epochs=3).fit(X, y)
    expected = reg.score_by_modality(X, y)
    for name, values in reg.curves_["train_r2"].items():
        assert values.shape == (3,) and values[-1] == pytest.approx(expected[name])


def test_training_that_goes_on_goes_on_with_its_curves(data):
    X, y = data
    clf = make(callbacks=[("scores", ScoreByModality())], max_epochs=2).fit(X, y)
    clf = pickle.loads(pickle.dumps(clf))
    clf.partial_fit(X, y)
    assert clf.curves_["train_acc"]["a"].shape == (3,)
    assert clf.curves_["train_acc"]["a"][-1] == clf.score_by_modality(X, y)["a"]
    assert "train_acc_a" not in clf.callbacks_[-1][1].keys_ignored_


def test_samples_that_lack_modalities(data):
    X, y = data
    X = {n: v.copy() for n, v in X.items()}
    X["a"][:10] = np.nan
    callbacks = [(s, ScoreByModality(samples=s, name=s)) for s in ("common", "each")]
    clf = MultimodalClassifier(missing="allow", max_epochs=2, callbacks=callbacks).fit(X, y)
    for samples in ("common", "each"):
        last = {name: values[-1] for name, values in clf.curves_[f"train_{samples}"].items()}
        assert last == clf.score_by_modality(X, y, samples=samples)


def test_training_can_stop_by_a_modality(data):
    callbacks = [
        ("scores", ScoreByModality()),
        ("stop", EarlyStopping("train_acc_a", patience=1, lower_is_better=False)),
    ]
    clf = make(callbacks=callbacks, max_epochs=30, lr=0.0).fit(*data)
    assert len(clf.history) == 2


@pytest.mark.parametrize(
    "callback, settings, message",
    [
        (ScoreByModality(on_train=False), {}, "'on_train' parameter of ScoreByModality"),
        (ScoreByModality(on_train="yes"), {}, "'on_train' parameter of ScoreByModality"),
        (ScoreByModality(samples="all"), {}, "'samples' parameter of ScoreByModality"),
        (ScoreByModality(["accuracy"]), {}, "'scoring' parameter of score_by_modality"),
    ],
)
def test_wrong_settings_are_refused(data, callback, settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(callbacks=[("scores", callback)], **settings).fit(*data)
