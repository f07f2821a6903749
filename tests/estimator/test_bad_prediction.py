"""Bad input of predictions, and estimators that are not fitted."""

import pickle

import numpy as np
import pandas as pd
import pytest
from bad_input import SETTINGS, N, Y, make_data, make_table, replaced, with_value
from scipy import sparse
from sklearn.exceptions import NotFittedError

from inforeg_sk import MultimodalInfoRegClassifier

PREDICTORS = [
    "predict",
    "predict_proba",
    "transform_by_modality",
    "predict_proba_by_modality",
]


@pytest.mark.parametrize("method", PREDICTORS)
@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda X: {"text": X["text"]}, ValueError, ["misses 'audio', 'video'", "fitted with"]),
        (
            lambda X: {**X, "vido": X["text"]},
            ValueError,
            ["unknown 'vido'", "'text', 'audio', 'video'"],
        ),
        (
            lambda X: {"txt": X["text"], "audio": X["audio"], "video": X["video"]},
            ValueError,
            ["misses 'text'", "unknown 'txt'"],
        ),
        (replaced(text=np.ones((N, 4))), ValueError, ["'text'", "shape (4,)", "fitted with (6,)"]),
        (replaced(audio=np.ones((N, 4, 4))), ValueError, ["'audio'", "(4, 4)", "(5, 4)"]),
        (replaced(text=np.ones((N, 6, 1))), ValueError, ["'text'", "(6, 1)", "(6,)"]),
        (replaced(text=np.ones((7, 6))), ValueError, ["'text' has 7", "'audio' has 24"]),
        (with_value(np.nan, 3), ValueError, ["'video'", "NaN", "row 3"]),
        (with_value(1e39, 3), ValueError, ["'video'", "too large", "row 3"]),
        (replaced(text=[["1"] * 6] * N), ValueError, ["'text'", "not numeric"]),
        (replaced(text=sparse.csr_array((N, 5))), ValueError, ["'text'", "(5,)", "(6,)"]),
        (lambda X: {k: v[:0] for k, v in X.items()}, ValueError, ["0 sample(s)"]),
        (lambda X: {}, ValueError, ["misses 'text', 'audio', 'video'", "fitted with"]),
        (
            lambda X: X["text"],
            ValueError,
            ["fitted with a mapping", "'text', 'audio', 'video'", "got ndarray"],
        ),
        (lambda X: pd.DataFrame(X["text"]), ValueError, ["mapping", "got DataFrame"]),
        (lambda X: None, ValueError, ["mapping", "got NoneType"]),
        (lambda X: sparse.dok_array((N, 6)), ValueError, ["mapping", "got dok_array"]),
    ],
)
def test_prediction_after_a_mapping(change, error, words, method, fitted):
    clf = pickle.loads(fitted[False])
    with pytest.raises(error) as info:
        getattr(clf, method)(change(make_data()))
    for word in words:
        assert word in str(info.value)


@pytest.mark.parametrize("method", PREDICTORS)
@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda X: make_data(), ValueError, ["unknown 'text'", "'X'"]),
        (lambda X: X[:, :4], ValueError, ["4 features", "6 features"]),
        (lambda X: X[0], ValueError, ["2-D", "(6,)"]),
        (lambda X: X[None], ValueError, ["2-D", "(1, 24, 6)"]),
        (lambda X: X * np.inf, ValueError, ["infinity", "row 0"]),
        (lambda X: sparse.csr_array(X), TypeError, ["parse", "toarray()"]),
        (lambda X: None, ValueError, ["2-D", "NoneType"]),
        (lambda X: X[:0], ValueError, ["0 sample(s)"]),
    ],
)
def test_prediction_after_a_table(change, error, words, method, fitted):
    clf = pickle.loads(fitted[True])
    with pytest.raises(error) as info:
        getattr(clf, method)(change(make_table()))
    for word in words:
        assert word in str(info.value)


def test_other_column_names():
    frame = pd.DataFrame(make_table(), columns=list("abcdef"))
    columns = {"u": ["a", "b"], "v": slice("c", "f")}
    clf = MultimodalInfoRegClassifier(**SETTINGS, modalities=columns).fit(frame, Y)
    for other in (frame[list("fedcba")], frame.rename(columns={"a": "z"})):
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(other)
    by_hand = {"u": frame[["a", "b"]], "v": frame[list("cdef")]}
    np.testing.assert_array_equal(clf.predict(frame), clf.predict(by_hand))


@pytest.mark.parametrize("method", [*PREDICTORS, "score", "score_by_modality"])
def test_not_fitted(method):
    args = (make_data(), Y) if method.startswith("score") else (make_data(),)
    with pytest.raises(NotFittedError):
        getattr(MultimodalInfoRegClassifier(), method)(*args)


@pytest.mark.parametrize(
    "attribute", ["encoders_", "head_", "fisher_trace_", "window_", "coefficient_"]
)
def test_no_results_before_fitting(attribute):
    clf = MultimodalInfoRegClassifier()
    assert not hasattr(clf, attribute)
    with pytest.raises(AttributeError, match="not fitted yet"):
        getattr(clf, attribute)


def test_results_that_were_not_recorded():
    clf = MultimodalInfoRegClassifier(fisher=None, alpha=0.0, **SETTINGS).fit(make_data(), Y)
    for attribute in ("fisher_trace_", "window_"):
        with pytest.raises(AttributeError, match=f"{attribute} was not recorded.*fisher=None"):
            getattr(clf, attribute)
