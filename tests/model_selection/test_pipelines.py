"""Pipelines in a search: the steps in front are fitted once a fold, results are scikit-learn's."""

import numpy as np
import pytest
import sklearn
from entry_points import COLUMNS, TABLE, WEIGHT, X, Y, make
from searches import both, count_fits, near
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from inforeg_sk import ColumnsToModalities, ModalityTransformer
from inforeg_sk.model_selection import BatchedGridSearchCV, cross_validate_batched

ALPHAS = {"clf__alpha": [0.0, 1.0, 5.0]}


class Counting(TransformerMixin, BaseEstimator):
    """Scales each modality by a number, and counts its fits."""

    fits = 0

    def __init__(self, factor=1.0, fail=False):
        self.factor = factor
        self.fail = fail

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        if self.fail:
            raise ArithmeticError("told to fail")
        self.weight_ = sample_weight
        return self

    def transform(self, X):
        return {name: X[name] * self.factor for name in X}


@pytest.fixture(autouse=True)
def no_fits_yet(monkeypatch):
    monkeypatch.setattr(Counting, "fits", 0)


def pipe(*front, **settings):
    return Pipeline([*((f"s{i}", step) for i, step in enumerate(front)), ("clf", make(**settings))])


def fits_of_ours(estimator, grid, **kwargs):
    """Fits of the transformer by our search, the one of the refit left out."""
    both(estimator, grid, X, Y, **kwargs)
    Counting.fits = 0
    BatchedGridSearchCV(estimator, grid, cv=3, refit=False).fit(X, Y)
    return Counting.fits


def test_the_front_is_fitted_once_a_fold(monkeypatch):
    estimator = pipe(Counting(2.0), ModalityTransformer(StandardScaler()))
    calls = count_fits(monkeypatch)
    assert fits_of_ours(estimator, ALPHAS) == 3
    assert calls == [9, 9]  # all candidates of all folds, in each of the two searches


def test_candidates_are_grouped_by_what_they_set_in_front():
    grid = {**ALPHAS, "s0__factor": [1.0, 3.0]}
    assert fits_of_ours(pipe(Counting()), grid) == 6
    steps = {**ALPHAS, "s0": [Counting(2.0), "passthrough", Counting(3.0)]}
    assert fits_of_ours(pipe(Counting()), steps) == 6


def test_equal_values_are_one_group_and_equal_numbers_of_other_types_are_not():
    grid = [{"clf__alpha": [a], "s0__factor": [f]} for a, f in [(0.0, 2.5), (1.0, 2.5), (5.0, 2)]]
    assert fits_of_ours(pipe(Counting()), grid) == 6


def test_modalities_cut_from_a_table():
    estimator = make_pipeline(
        ColumnsToModalities(COLUMNS), ModalityTransformer(MinMaxScaler()), make()
    )
    grid = {"multimodalinforegclassifier__alpha": [0.0, 5.0]}
    ours, _ = both(estimator, grid, TABLE, Y)
    assert ours.n_features_in_ == TABLE.shape[1]


def test_last_steps_that_are_not_ours_are_left_to_scikit_learn(monkeypatch):
    calls = count_fits(monkeypatch)
    estimator = Pipeline([("scale", StandardScaler()), ("clf", make(modalities=COLUMNS))])
    grid = {"clf": [make(modalities=COLUMNS), LogisticRegression(), make(modalities=COLUMNS, lr=1)]}
    both(estimator, grid, TABLE, Y, refit=False, return_train_score=True)
    assert calls == [6]  # two candidates on three folds


def test_a_pipeline_of_the_estimator_alone_or_behind_passthrough():
    both(pipe(), ALPHAS, X, Y)
    both(pipe("passthrough"), ALPHAS, X, Y)


def test_a_cache_in_the_pipeline(tmp_path):
    estimator = pipe(ModalityTransformer(StandardScaler()))
    both(estimator.set_params(memory=str(tmp_path)), ALPHAS, X, Y)


def test_weights_by_the_name_of_the_step():
    both(pipe(Counting()), ALPHAS, X, Y, {"clf__sample_weight": WEIGHT})
    both(pipe(Counting()), ALPHAS, X, Y, {"s0__sample_weight": WEIGHT})


def test_weights_routed_to_front_and_estimator():
    with sklearn.config_context(enable_metadata_routing=True):
        front = Counting().set_fit_request(sample_weight="w")
        estimator = pipe(front)
        estimator[-1].set_fit_request(sample_weight=True)
        scorer = get_scorer("accuracy").set_score_request(sample_weight=False)
        weights = {"sample_weight": WEIGHT, "w": 2 * WEIGHT}
        both(estimator, ALPHAS, X, Y, weights, scoring=scorer)
        asked = {"return_estimator": True, "return_indices": True}
        results = cross_validate_batched(
            estimator, X, Y, cv=3, params=weights, scoring=scorer, **asked
        )
    for fitted, rows in zip(results["estimator"], results["indices"]["train"]):
        np.testing.assert_array_equal(fitted[0].weight_, 2 * WEIGHT[rows])


def test_a_front_that_fails_fails_its_candidates_only():
    grid = {**ALPHAS, "s0__fail": [False, True]}
    with pytest.warns(FitFailedWarning, match="9 fits failed out of a total of 18"):
        ours, theirs = both(pipe(Counting()), grid, X, Y)
    failed = np.isnan(ours.cv_results_["mean_test_score"])
    assert failed.tolist() == [params["s0__fail"] for params in ours.cv_results_["params"]]


def test_a_last_step_that_fails():
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        both(pipe(Counting()), {"clf__alpha": [0.0, -1.0]}, X, Y)


def test_pipelines_of_the_folds_come_back_whole():
    estimator = pipe(Counting(2.0), ModalityTransformer(StandardScaler()))
    ours = cross_validate_batched(estimator, X, Y, cv=3, return_estimator=True)["estimator"]
    theirs = cross_validate(estimator, X, Y, cv=3, return_estimator=True)["estimator"]
    for a, b in zip(ours, theirs, strict=True):
        assert type(a) is Pipeline and list(a.named_steps) == list(b.named_steps)
        near(a.predict_proba(X), b.predict_proba(X))
    assert len({id(a[0]) for a in ours}) == 3


def test_a_pipeline_within_a_search_within_a_cross_validation():
    estimator = pipe(ModalityTransformer(StandardScaler()))
    scores = [
        cross_validate(kind(estimator, ALPHAS, cv=2), X, Y, cv=2)["test_score"]
        for kind in (BatchedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_array_equal(*scores)
