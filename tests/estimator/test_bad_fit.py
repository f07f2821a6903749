"""Bad input of a fit: an error that says what was got and what is accepted, before training."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from bad_cases import CASES
from bad_input import (
    SETTINGS,
    Broken,
    N,
    Snapshot,
    Y,
    check_message,
    inputs,
    make_data,
    make_table,
    refuse_first_fit,
    replaced,
    with_value,
)

from inforeg_sk import MultimodalInfoRegClassifier


@pytest.mark.parametrize("case", CASES)
def test_first_fit(case, no_training):
    no_training()
    refuse_first_fit(case)


@pytest.mark.parametrize("case", CASES)
def test_second_fit(case, no_training, fitted):
    clf = pickle.loads(fitted[case.table])
    snapshot = Snapshot(clf, make_table() if case.table else make_data())
    old = clf.get_params(deep=False)
    X, y = inputs(case)
    given = {name: value for name, value in case.params.items() if name != "lr"}
    no_training()
    clf.set_params(**given)
    vars(clf).update({name: case.params[name] for name in case.params.keys() - given.keys()})
    with pytest.raises(case.error) as info:
        clf.fit(X, y, **case.fit)
    check_message(case, info)
    # The parameters are the user's; the model is what may not change.
    for name in case.params:
        vars(clf).update({name: old[name]}) if name in old else vars(clf).pop(name)
    snapshot.assert_unchanged(clf)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("case", [c for c in CASES if c.id.startswith(("X: ", "y: "))])
def test_going_on(case, no_training, fitted, how):
    X, y = inputs(case)
    clf = pickle.loads(fitted[case.table])
    snapshot = Snapshot(clf, make_table() if case.table else make_data())
    clf.set_params(warm_start=True)
    no_training()
    with pytest.raises((TypeError, ValueError)):
        (clf.partial_fit if how == "partial_fit" else clf.fit)(X, y)
    snapshot.assert_unchanged(clf)


def test_a_good_second_fit_is_reached(no_training, fitted):
    """The guard of the tests above works."""
    clf = pickle.loads(fitted[False])
    no_training()
    with pytest.raises(pytest.fail.Exception, match="training was reached"):
        clf.fit(make_data(), Y)


def test_a_refused_table_leaves_the_number_of_features(fitted):
    clf = pickle.loads(fitted[True])
    assert clf.n_features_in_ == 6
    frame = pd.DataFrame(np.ones((N, 3)), columns=list("abc"))
    for X, y in ((np.full((N, 3), np.nan), Y), (frame, Y[:3]), (make_data(), Y[:3])):
        with pytest.raises(ValueError):
            clf.fit(X, y)
        assert clf.n_features_in_ == 6 and not hasattr(clf, "feature_names_in_")
    clf.fit(frame + np.arange(N)[:, None], Y)
    assert clf.n_features_in_ == 3 and clf.feature_names_in_.tolist() == list("abc")
    clf.fit(make_data(), Y)
    assert not hasattr(clf, "n_features_in_") and not hasattr(clf, "feature_names_in_")


@pytest.mark.parametrize("row", [0, 4095, 4096, 8999])
@pytest.mark.parametrize(
    "value, words", [(np.nan, "NaN"), (np.inf, "infinity"), (-1e300, "too large for float32")]
)
def test_rows_are_named_in_every_chunk(row, value, words, no_training):
    no_training()
    X = {"a": np.ones((9000, 1)), "b": np.zeros((9000, 2, 2))}
    X["b"][row, 1, 0] = value
    with pytest.raises(ValueError, match=rf"'b' contains .*{words}.* in row {row}:"):
        MultimodalInfoRegClassifier().fit(X, np.arange(9000) % 2)


def test_large_values_need_float64_and_sums_may_overflow():
    """Finite values are accepted even where their sum is not finite."""
    X = make_data()
    X["video"] = np.where(np.arange(3) == 0, 1e300, X["video"])
    with pytest.raises(ValueError, match="use dtype='float64'"):
        MultimodalInfoRegClassifier(**SETTINGS).fit(X, Y)
    half = {"half": np.full((N, 3), 6e4, dtype=np.float16)}  # a sum in float16 overflows
    large = {"large": np.full((N, 3), 1.7e308)}
    MultimodalInfoRegClassifier(**SETTINGS).fit(half, Y)
    MultimodalInfoRegClassifier(
        **SETTINGS, dtype="float64", encoders=lambda input_shape: Broken(input_shape, torch.sign)
    ).fit(large, Y)


# Going on


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize(
    "change, y, words",
    [
        (replaced(text=np.ones((N, 4))), Y, ["'text'", "(4,)", "(6,)"]),
        (lambda X: {"text": X["text"]}, Y, ["misses 'audio', 'video'"]),
        (replaced(new=np.ones((N, 1))), Y, ["unknown 'new'"]),
        (lambda X: X["text"], Y, ["mapping", "ndarray"]),
        (with_value(np.nan, 3), Y, ["'video'", "NaN", "row 3"]),
        (lambda X: X, Y + 1, ["label 3", "[0, 1, 2]"]),
        (lambda X: X, Y - 1, ["label -1", "[0, 1, 2]"]),
        (lambda X: X, np.array(["joy", "fear", "joy"] * 8), ["label 'joy'", "[0, 1, 2]"]),
        (lambda X: X, Y[:5], ["5 labels", "24 samples"]),
    ],
)
def test_going_on_with_other_data(change, y, words, how, no_training, fitted):
    clf = pickle.loads(fitted[False]).set_params(warm_start=True)
    snapshot = Snapshot(clf, make_data())
    no_training()
    with pytest.raises(ValueError) as info:
        (clf.partial_fit if how == "partial_fit" else clf.fit)(change(make_data()), y)
    for word in words:
        assert word in str(info.value)
    snapshot.assert_unchanged(clf)


@pytest.mark.parametrize(
    "params, kwargs, words",
    [
        ({}, {"classes": [0, 1]}, ["label 2", "[0, 1]"]),
        ({}, {"classes": [0]}, ["at least 2 classes"]),
        ({"class_weight": "balanced"}, {}, ["class_weight='balanced'", "partial_fit", "dict"]),
    ],
)
def test_first_partial_fit(params, kwargs, words, no_training):
    no_training()
    clf = MultimodalInfoRegClassifier(**SETTINGS, **params)
    before = set(vars(clf))
    with pytest.raises(ValueError) as info:
        clf.partial_fit(make_data(), Y, **kwargs)
    for word in words:
        assert word in str(info.value)
    assert set(vars(clf)) == before


def test_going_on_with_bad_settings(no_training, fitted):
    clf = pickle.loads(fitted[False])
    snapshot = Snapshot(clf, make_data())
    no_training()
    for params, words in (
        ({"alpha": -1}, "'alpha' parameter of MultimodalInfoRegClassifier must be .* Got -1"),
        ({"method__leader": "txt"}, "did you mean 'text'"),
        ({"class_weight": {9: 1}}, "unknown class 9"),
    ):
        changed = copy.deepcopy(params)
        old = {name: clf.get_params(deep=False).get(name) for name in params}
        clf.set_params(**changed)
        with pytest.raises(ValueError, match=words):
            clf.partial_fit(make_data(), Y)
        clf.set_params(**old)
        snapshot.assert_unchanged(clf)


@pytest.mark.parametrize("classes", [[0, 1, 2, np.nan], [[0, 1, 2]]])
def test_bad_classes_in_partial_fit(classes):
    with pytest.raises(ValueError, match="classes"):
        MultimodalInfoRegClassifier(**SETTINGS).partial_fit(make_data(), Y, classes=classes)
