"""Files of parameters: what they say, and loading them into an estimator that is not fitted."""

import copy
import io
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import regression
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Checkpoint
from skorch.exceptions import NotInitializedError
from training_runs import equal, make, weights

import inforeg_sk
from inforeg_sk import MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.estimator import saving

FORMATS = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(not pytest.importorskip("safetensors"), reason="")),
]
LABELS = [
    np.array(["anger", "fear", "joy"]),
    np.array(["anger", "fear", "joy"], dtype=object),
    np.array([-1, 0, 7]),
    np.array([0.5, 1.0, 2.0]).astype(int) * 2,
    np.array([1.0, 2.0, 3.0]),
    np.array([True, False]),
    np.array([3, 4, 5], dtype=np.uint8),
]


def moved(clf, folder, safetensors=False, to=None):
    """Save the parameters, and load them into a new estimator."""
    file = str(folder / "params")
    clf.save_params(f_params=file, use_safetensors=safetensors)
    new = clone(clf) if to is None else to
    new.load_params(f_params=file, use_safetensors=safetensors)
    return new


@pytest.mark.parametrize("safetensors", FORMATS)
@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: f"{labels.dtype}{labels[0]}")
def test_labels_come_back_with_the_weights(trimodal, tmp_path, labels, safetensors):
    X, y = trimodal
    y = labels[np.unique(y, return_inverse=True)[1] % len(labels)]
    if len(np.unique(y)) < 2:
        y = np.where(np.arange(len(y)) % 2, labels[0], labels[-1])
    clf = make(max_epochs=1).fit(X, y)
    new = moved(clf, tmp_path, safetensors)
    assert new.classes_.dtype == clf.classes_.dtype
    assert new.classes_.tolist() == clf.classes_.tolist()
    assert [type(a) for a in new.classes_] == [type(a) for a in clf.classes_]
    assert new.modalities_ == clf.modalities_ and equal(weights(new), weights(clf))
    assert np.array_equal(new.predict(X), clf.predict(X))
    assert np.array_equal(new.predict_proba(X), clf.predict_proba(X))
    assert new.partial_fit(X, y).history[:, "epoch"] == [1]


@pytest.mark.parametrize("safetensors", FORMATS)
@pytest.mark.parametrize("outputs", [1, 2])
def test_units_come_back_with_the_weights(tmp_path, outputs, safetensors):
    X, y = regression.make_data()
    y = y if outputs == 1 else np.column_stack([y, -(y**2)])
    reg = regression.make(max_epochs=1).fit(X, y)
    new = moved(reg, tmp_path, safetensors)
    assert new.predict(X).tolist() == reg.predict(X).tolist()
    assert new.target_mean_.tolist() == reg.target_mean_.tolist()


def test_columns_come_back_with_the_weights(trimodal, tmp_path):
    X, y = trimodal
    table = np.hstack([X["text"], X["video"]])
    names = [f"column {i}" for i in range(9)]
    frame = pd.DataFrame(table, columns=names)
    for given, columns in [
        (table, {"text": slice(0, 6), "video": np.arange(9) >= 6}),
        (table, {"video": [6, 8, 7], "text": slice(None, 6)}),
        (frame, {"text": names[:6], "video": slice("column 6", "column 8")}),
        (frame, {"text": lambda X: [c for c in X if c < "column 6"], "video": names[6:]}),
        (table, None),
    ]:
        clf = make(max_epochs=1, modalities=columns).fit(given, y)
        new = moved(clf, tmp_path)
        assert np.array_equal(new.predict_proba(given), clf.predict_proba(given))
        assert new.modalities_ == clf.modalities_ and new.n_features_in_ == 9
        with pytest.raises(ValueError, match="feature"):
            new.predict(given[:, :5] if given is table else given.iloc[:, :5])
    assert not hasattr(new, "feature_names_in_")
    named = moved(make(max_epochs=1).fit(frame, y), tmp_path)
    assert named.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[names[::-1]])


class Parts(torch.nn.Module):
    def __init__(self, input_shape):
        super().__init__()
        self.linear = torch.nn.Linear(input_shape["a"][0], 4)

    def forward(self, x):
        return self.linear(x["a"]) + x["ids"].float().mean(dim=1, keepdim=True)


def test_a_modality_of_several_arrays_comes_back(trimodal, tmp_path):
    X, y = trimodal
    X["text"] = {"a": X["text"], "ids": np.arange(180).reshape(90, 2)}
    encoders = {"text": Parts, "audio": "gru", "video": "mlp"}
    clf = make(max_epochs=1, encoders=encoders, missing="allow").fit(X, y)
    new = moved(clf, tmp_path)
    assert np.array_equal(new.predict_proba(X), clf.predict_proba(X))
    X["text"]["ids"] = X["text"]["ids"].astype(float)
    with pytest.raises(ValueError, match="ids"):
        new.predict(X)


def test_files_may_be_open_and_given_by_a_checkpoint(trimodal, tmp_path):
    X, y = trimodal
    save = Checkpoint(dirname=tmp_path, monitor=None, f_params="p_{last_epoch[epoch]}.pt")
    clf = make(max_epochs=2, callbacks=[save]).fit(X, y)
    loaded = make()
    save.initialize()
    loaded.load_params(checkpoint=save)
    assert equal(weights(loaded), weights(clf)) and len(loaded.history) == 2
    assert equal(weights(loaded.partial_fit(X, y)), weights(clf.partial_fit(X, y)))
    for safetensors in (False, True):
        buffer = io.BytesIO()
        clf.save_params(f_params=buffer, use_safetensors=safetensors)
        buffer.seek(0)
        new = make().initialize()
        new.load_params(f_params=buffer, use_safetensors=safetensors)
        assert equal(weights(new), weights(clf))


def test_a_fitted_estimator_takes_labels_over_with_the_weights(trimodal, tmp_path):
    X, y = trimodal
    clf = make(max_epochs=1).fit(X, y)
    other = make(max_epochs=1).fit(X, np.char.upper(y))
    assert moved(clf, tmp_path, to=other).classes_.tolist() == ["anger", "fear", "joy"]
    assert np.array_equal(other.predict(X), clf.predict(X))


def test_what_does_not_fit_is_refused_and_changes_nothing(trimodal, tmp_path):
    X, y = trimodal
    clf = make(max_epochs=1).fit(X, y)
    two = make(max_epochs=1).fit({m: X[m] for m in ("text", "audio")}, y)
    before = weights(two)
    with pytest.raises(ValueError, match=r"shapes .*'video'"):
        moved(clf, tmp_path, to=two)
    assert equal(weights(two), before) and two.modalities_ == ("text", "audio")
    new = regression.make()
    with pytest.raises(ValueError, match="model for classification"):
        moved(clf, tmp_path, to=new)
    with pytest.raises(RuntimeError, match="size mismatch"):
        moved(clf, tmp_path, to=make(encoders__hidden=7))
    new = make()
    torch.save(clf.module_.state_dict(), tmp_path / "bare.pt")
    with pytest.raises(ValueError, match="does not say shapes and labels"):
        new.load_params(f_params=str(tmp_path / "bare.pt"))
    with pytest.raises(FileNotFoundError):
        new.load_params(f_params=str(tmp_path / "none.pt"))
    with pytest.raises(NotInitializedError):
        new.load_params(f_optimizer=str(tmp_path / "params"))
    assert not new.initialized_ and not hasattr(new, "module_") and not hasattr(new, "target_")
    with pytest.raises(NotFittedError):
        new.initialize().predict(X)
    # A fitted one takes such a file.
    two = make(max_epochs=2).fit(X, y)
    two.load_params(f_params=str(tmp_path / "bare.pt"))
    assert equal(weights(two), weights(clf))


def test_labels_that_cannot_be_written_leave_the_file_without_them():
    assert saving.describe({"labels": np.array(["2020-01-01"], dtype="datetime64[D]")}) is None


def test_what_is_written_is_read_as_it_was():
    content = {
        "a": (1, 2.5, None, "x", [True]),
        "b": slice(None, "z", 2),
        "c": {("t", 1): np.array([0.1, 1e-300])},
        "d": np.array(["x", 1], dtype=object),
        "e": {},
    }
    back = saving.read_description(saving.describe(content))
    assert {**back, "c": 0, "d": 0} == {**content, "c": 0, "d": 0}
    assert back["c"]["t", 1].tolist() == [0.1, 1e-300]
    assert back["d"].tolist() == ["x", 1] and back["d"].dtype == object


# Versions


def test_pickles_say_their_versions_and_warn_of_others(trimodal, monkeypatch):
    X, y = trimodal
    fitted, bare = make(max_epochs=1).fit(X, y), MultimodalClassifier()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for clf in (fitted, bare):
            assert inforeg_sk.__version__.encode() in pickle.dumps(clf)
            pickle.loads(pickle.dumps(copy.deepcopy(clf)))
            clone(clf)
    old = {clf: pickle.dumps(clf) for clf in (fitted, bare)}
    for name in saving.versions():
        now = {**saving.versions(), name: "99.9"}
        monkeypatch.setattr("inforeg_sk.estimator.parameters.versions", lambda now=now: now)
        with pytest.warns(UserWarning, match=rf"saved with .*loaded with .*{name} 99\.9"):
            twin = pickle.loads(old[fitted])
        assert np.array_equal(twin.predict(X), fitted.predict(X))
        with pytest.warns(UserWarning, match="MultimodalClassifier was saved"):
            pickle.loads(old[bare])


def test_a_pickle_without_versions_warns():
    clf = MultimodalInfoRegClassifier()
    state = clf.__getstate__()
    del state["_versions"]
    with pytest.warns(UserWarning, match="an unknown version"):
        MultimodalInfoRegClassifier.__new__(MultimodalInfoRegClassifier).__setstate__(state)
