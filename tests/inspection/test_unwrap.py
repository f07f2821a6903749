"""Both displays find the classifier in pipelines and searches, and say what they cannot take."""

from types import SimpleNamespace

import numpy as np
import pytest
from ids import stable_id
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
)
from inforeg_sk.inspection import FisherTraceDisplay, ModalityAccuracyDisplay


def both(estimator, data):
    traces = FisherTraceDisplay.from_estimator(estimator)
    return traces, ModalityAccuracyDisplay.from_estimator(estimator, *data)


def check_like(estimator, pipe, data):
    """Check that both displays show the classifier behind the transforms of `pipe`."""
    X, y = data
    traces, accuracy = both(estimator, data)
    clf, Xt = pipe[-1], pipe[:-1].transform(X)
    assert np.array_equal(traces.lines_["weak"].get_ydata(), clf.curves_["fisher_trace"]["weak"])
    assert accuracy.scores == {"all": pipe.score(X, y), **clf.score_by_modality(Xt, y)}
    assert accuracy.scores != {"all": clf.score(X, y), **clf.score_by_modality(X, y)}


def shifted(data):
    X, y = data
    return ModalityDict({name: 5 + 20 * values for name, values in X.items()}), y


def test_pipeline(data):
    data = shifted(data)
    clf = MultimodalInfoRegClassifier(max_epochs=4, lr=0.01, random_state=0)
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), clf).fit(*data)
    check_like(pipe, pipe, data)
    check_like(make_pipeline("passthrough", *pipe), pipe, data)


def test_search_of_a_pipeline_and_pipeline_of_a_search(data):
    data = shifted(data)
    clf = MultimodalInfoRegClassifier(max_epochs=4, lr=0.01, random_state=0)
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), clf)
    grid = {"multimodalinforegclassifier__alpha": [0, 1]}
    search = GridSearchCV(pipe, grid, cv=2).fit(*data)
    check_like(search, search.best_estimator_, data)
    inner = GridSearchCV(clf, {"alpha": [1]}, cv=2)
    outer = make_pipeline(ModalityTransformer(StandardScaler()), inner).fit(*data)
    check_like(outer, make_pipeline(outer[0], outer[1].best_estimator_), data)


def test_classifier_alone_in_a_pipeline_or_search(fitted, data):
    X, y = data
    assert both(make_pipeline(fitted), data)[1].scores["all"] == fitted.score(X, y)
    clf = MultimodalClassifier(max_epochs=1, random_state=0)
    search = GridSearchCV(clf, {"lr": [0.001]}, cv=2, scoring="neg_log_loss").fit(X, y)
    scores = both(search, data)[1].scores
    assert scores["all"] == search.best_estimator_.score(X, y)  # accuracy, whatever the scoring


def test_search_of_another_library(fitted, data):
    search = SimpleNamespace(best_estimator_=fitted)
    assert both(search, data)[1].scores["all"] == fitted.score(*data)


@pytest.mark.parametrize(
    "make",
    [
        lambda clf: clf,
        lambda clf: make_pipeline(ModalityTransformer(StandardScaler()), clf),
        lambda clf: GridSearchCV(clf, {"lr": [0.1]}),
    ],
    ids=["classifier", "pipeline", "search"],
)
def test_not_fitted(plt, make, data):
    estimator = make(MultimodalInfoRegClassifier())
    with pytest.raises(NotFittedError):
        FisherTraceDisplay.from_estimator(estimator)
    with pytest.raises(NotFittedError):
        ModalityAccuracyDisplay.from_estimator(estimator, *data)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "estimator, got",
    [
        (LogisticRegression(), "got LogisticRegression"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "got Pipeline that ends in Log"),
        (make_pipeline("passthrough"), "got Pipeline that ends in str"),
        (CalibratedClassifierCV(MultimodalClassifier()), "got CalibratedClassifierCV"),
        # A parameter called refit does not make a search.
        (LogisticRegressionCV(), "got LogisticRegressionCV"),
        (TunedThresholdClassifierCV(MultimodalClassifier()), "got TunedThresholdClassifierCV"),
        (MultimodalClassifier, "got type"),
        (GridSearchCV, "got ABCMeta"),
        (None, "got NoneType"),
    ],
    ids=stable_id,
)
def test_other_estimators(estimator, got, data):
    with pytest.raises(TypeError, match=f"GridSearchCV.*{got}"):
        FisherTraceDisplay.from_estimator(estimator)
    with pytest.raises(TypeError, match=f"GridSearchCV.*{got}"):
        ModalityAccuracyDisplay.from_estimator(estimator, *data)


def test_search_without_refit(data):
    search = GridSearchCV(MultimodalClassifier(max_epochs=1), {"lr": [0.1]}, cv=2, refit=False)
    with pytest.raises(ValueError, match="refit=True"):
        FisherTraceDisplay.from_estimator(search.fit(*data))


def test_regressor(data):
    X, y = data
    y = np.arange(len(y), dtype=float)
    regressor = MultimodalInfoRegRegressor(max_epochs=2, random_state=0).fit(X, y)
    display = FisherTraceDisplay.from_estimator(make_pipeline(regressor))
    line = display.lines_["weak"].get_ydata()
    assert np.array_equal(line, regressor.curves_["fisher_trace"]["weak"])
    y = X["weak"][:, 0]
    regressor.fit(X, y)
    display = ModalityAccuracyDisplay.from_estimator(make_pipeline(regressor), X, y)
    assert display.ax_.get_ylabel() == "R²"
    assert display.scores == {"all": regressor.score(X, y), **regressor.score_by_modality(X, y)}
