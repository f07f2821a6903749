"""Searches and thresholds of scikit-learn with a `ModalityDict` and our classifier."""

import numpy as np
import pytest
import sklearn
from entry_points import BINARY, PLAIN, X, Y, close, entry_point, equal, make, scores_by_hand
from sklearn import base, model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

GRID = {"alpha": [0.0, 5.0], "encoders__hidden": [4, 8]}
PULLED = {"window_threshold": -np.inf, "max_epochs": 3}  # so that alpha matters in so short a fit


def check_search(search, by_hand_of):
    """Every candidate's score by hand, and the refitted winner."""
    results = search.cv_results_
    for i, params in enumerate(results["params"]):
        by_hand = scores_by_hand(base.clone(by_hand_of).set_params(**params))
        equal([results[f"split{k}_test_score"][i] for k in range(3)], by_hand)
    best = base.clone(by_hand_of).set_params(**search.best_params_).fit(PLAIN, Y)
    equal(search.predict_proba(X), best.predict_proba(PLAIN))
    equal(search.predict(X), best.predict(PLAIN))
    equal(search.classes_, np.unique(Y))
    assert search.score(X, Y) == best.score(PLAIN, Y)


@entry_point("model_selection.GridSearchCV")
def test_grid_search_equals_folds_by_hand():
    clf = make(**PULLED)
    search = model_selection.GridSearchCV(clf, GRID, cv=3).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    check_search(search, clf)
    # The parameters reached the fits: both change the probabilities.
    one = base.clone(clf).set_params(alpha=5.0).fit(X, Y).predict_proba(X)
    assert abs(one - base.clone(clf).set_params(alpha=0.0).fit(X, Y).predict_proba(X)).max() > 1e-4
    assert search.best_estimator_.encoders_["strong"][0].out_features in (4, 8)


@entry_point("model_selection.GridSearchCV", variant="processes")
@pytest.mark.slow
def test_grid_search_in_processes_equals_folds_by_hand():
    clf = make(**PULLED)
    check_search(model_selection.GridSearchCV(clf, GRID, cv=3, n_jobs=2).fit(X, Y), clf)


@entry_point("model_selection.GridSearchCV", variant="a bad candidate")
def test_grid_search_survives_a_bad_candidate():
    grid = {"alpha": [1.0, -1.0]}
    search = model_selection.GridSearchCV(make(), grid, cv=3)
    with pytest.warns(UserWarning, match="non-finite"):
        with pytest.warns(sklearn.exceptions.FitFailedWarning, match="alpha"):
            search.fit(X, Y)
    equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])
    assert search.best_params_ == {"alpha": 1.0}


@entry_point("model_selection.RandomizedSearchCV")
def test_randomized_search_equals_folds_by_hand():
    space = {"lr": np.geomspace(1e-3, 1e-1, 50), "optimizer__weight_decay": [0.0, 0.1]}
    search = model_selection.RandomizedSearchCV(make(), space, n_iter=4, cv=3, random_state=0)
    search.fit(X, Y)
    drawn = list(model_selection.ParameterSampler(space, 4, random_state=0))
    assert search.cv_results_["params"] == drawn
    check_search(search, make())


@entry_point("model_selection.HalvingGridSearchCV")
def test_halving_grid_search_refits_the_winner():
    search = model_selection.HalvingGridSearchCV(
        make(), {"lr": [1e-4, 1e-3, 1e-2, 3e-2]}, cv=3, factor=2, min_resources=20, random_state=0
    ).fit(X, Y)
    assert search.n_resources_ == [20, 40, 80]
    assert search.n_candidates_ == [4, 2, 1]
    best = make().set_params(**search.best_params_).fit(PLAIN, Y)
    equal(search.predict_proba(X), best.predict_proba(PLAIN))


@entry_point("model_selection.HalvingGridSearchCV", variant="max_epochs")
def test_halving_grid_search_over_epochs_equals_folds_by_hand():
    search = model_selection.HalvingGridSearchCV(
        make(),
        {"lr": [1e-4, 1e-3, 1e-2, 3e-2]},
        resource="max_epochs",
        min_resources=1,
        max_resources=4,
        cv=3,
        factor=2,
        random_state=0,
    ).fit(X, Y)
    assert search.n_resources_ == [1, 2, 4]
    results = search.cv_results_
    for i, params in enumerate(results["params"]):
        assert params["max_epochs"] == results["n_resources"][i]
        clf = make().set_params(**params)
        close(results["mean_test_score"][i], np.mean(scores_by_hand(clf)))
    assert len(search.best_estimator_.history) == 4


@entry_point("model_selection.HalvingRandomSearchCV")
def test_halving_random_search_refits_the_winner():
    search = model_selection.HalvingRandomSearchCV(
        make(),
        {"lr": np.geomspace(1e-4, 3e-2, 50)},
        n_candidates=4,
        cv=3,
        factor=2,
        min_resources=20,
        random_state=0,
    ).fit(X, Y)
    assert search.n_resources_ == [20, 40, 80]
    best = make().set_params(**search.best_params_).fit(PLAIN, Y)
    equal(search.predict_proba(X), best.predict_proba(PLAIN))


@entry_point("model_selection.HalvingRandomSearchCV", variant="max_epochs")
def test_halving_random_search_over_epochs_trains_the_winner_longest():
    search = model_selection.HalvingRandomSearchCV(
        make(),
        {"lr": np.geomspace(1e-4, 3e-2, 50)},
        resource="max_epochs",
        max_resources=4,
        n_candidates=4,
        cv=3,
        factor=2,
        random_state=0,
    ).fit(X, Y)
    assert search.n_resources_ == [1, 2, 4]
    assert len(search.best_estimator_.history) == search.best_estimator_.max_epochs == 4
    assert search.score(X, Y) == search.best_estimator_.score(PLAIN, Y)


@entry_point("model_selection.TunedThresholdClassifierCV")
def test_tuned_threshold_cuts_the_probabilities():
    tuned = model_selection.TunedThresholdClassifierCV(
        make(), scoring="balanced_accuracy", cv=3, store_cv_results=True
    ).fit(X, BINARY)
    p = make().fit(PLAIN, BINARY).predict_proba(PLAIN)[:, 1]
    equal(tuned.predict_proba(X)[:, 1], p)
    equal(tuned.predict(X), np.where(p >= tuned.best_threshold_, "yes", "no"))
    assert len(tuned.cv_results_["thresholds"]) == 100
    assert tuned.best_score_ > 0.7


@entry_point("model_selection.FixedThresholdClassifier")
def test_fixed_threshold_cuts_the_probability_of_either_label():
    p = make().fit(PLAIN, BINARY).predict_proba(PLAIN)
    for label, column in (("yes", 1), ("no", 0)):
        fixed = model_selection.FixedThresholdClassifier(
            make(), threshold=0.7, pos_label=label
        ).fit(X, BINARY)
        other = "no" if label == "yes" else "yes"
        equal(fixed.predict(X), np.where(p[:, column] >= 0.7, label, other))
