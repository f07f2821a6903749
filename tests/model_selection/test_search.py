"""Searches that make all fits at once equal scikit-learn's, bit for bit."""

import logging
import pickle
import warnings

import missing
import numpy as np
import pytest
import regression
import sklearn
from entry_points import COLUMNS, GROUPS, PLAIN, TABLE, WEIGHT, X, Y, make, make_2d
from scipy.stats import loguniform
from searches import both, count_fits, near, same_search
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    ParameterGrid,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)

from inforeg_sk import ModalityDict
from inforeg_sk.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV
from inforeg_sk.model_selection.search import _BatchedSearch

GRID = {"alpha": [0.0, 5.0], "lr": [0.01, 0.03]}


def test_a_grid_of_a_classifier_with_string_labels(monkeypatch):
    calls = count_fits(monkeypatch)
    ours, _ = both(make(), GRID, X, Y, return_train_score=True)
    assert calls == [12]  # one call for all candidates and folds
    assert set(ours.classes_) == {"anger", "fear", "joy"}
    assert ours.score(X, Y) == ours.best_estimator_.score(PLAIN, Y)
    # Times are those of the fits, which scikit-learn's code did not see.
    assert (ours.cv_results_["mean_fit_time"] > 1e-3).all()


def test_a_list_of_grids_with_parameters_of_their_own():
    both(make(), [{"alpha": [0.0, 1.0]}, {"encoders__hidden": [4], "lr": [0.01]}], X, Y)


def test_a_regressor():
    data, y = regression.make_data(60)
    both(regression.make(max_epochs=2), {"alpha": [0.0, 5.0]}, ModalityDict(data), y)


def test_a_table():
    ours, _ = both(make_2d(), {"alpha": [0.0, 5.0]}, TABLE, Y)
    assert ours.n_features_in_ == TABLE.shape[1]
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE, columns=[f"x{i}" for i in range(TABLE.shape[1])])
    names = {name: list(frame.columns[part]) for name, part in COLUMNS.items()}
    both(make(modalities=names), {"alpha": [0.0, 5.0]}, frame, Y)
    ours, theirs = both(make(modalities=names), {"alpha": [0.0]}, frame, Y)
    assert list(ours.feature_names_in_) == list(theirs.feature_names_in_) == list(frame.columns)


def test_samples_that_lack_modalities():
    complete, y = missing.make_complete()
    data = missing.blank(complete, missing.draw_present())
    clf = missing.make(missing="allow", max_epochs=2)
    both(clf, {"alpha": [0.0, 5.0]}, ModalityDict(data), y)


def test_candidates_drawn():
    space = {"alpha": loguniform(0.1, 10), "lr": [0.01, 0.03]}
    kinds = {"ours": BatchedRandomizedSearchCV, "theirs": RandomizedSearchCV}
    both(make(), space, X, Y, n_iter=4, random_state=0, **kinds)


@pytest.mark.parametrize("cv", [GroupKFold(3), 2])
def test_groups(cv):
    both(make(), {"alpha": [0.0, 5.0]}, X, Y, {"groups": GROUPS}, cv=cv)


def test_splits_given_as_a_list_of_unequal_folds_and_of_masks():
    splits = list(ShuffleSplit(2, test_size=0.3, random_state=0).split(TABLE))
    splits.append((np.arange(20), np.arange(60, 90)))
    splits[0] = (np.isin(np.arange(90), splits[0][0]), splits[0][1])
    both(make(), {"alpha": [0.0, 5.0]}, X, Y, cv=splits)


def test_splits_given_once():
    def once():
        return ShuffleSplit(2, test_size=0.3, random_state=0).split(TABLE)

    ours = BatchedGridSearchCV(make(), {"alpha": [0.0, 5.0]}, cv=once()).fit(X, Y)
    theirs = GridSearchCV(make(), {"alpha": [0.0, 5.0]}, cv=once()).fit(X, Y)
    same_search(ours, theirs, X)


@pytest.mark.parametrize("routing", [False, True])
def test_sample_weights(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        clf = make()
        if routing:
            clf.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        ours, _ = both(clf, {"alpha": [0.0, 5.0]}, X, Y, {"sample_weight": WEIGHT})
        unweighted = BatchedGridSearchCV(clf, {"alpha": [0.0, 5.0]}, cv=3).fit(X, Y)
    assert (ours.predict_proba(X) != unweighted.predict_proba(X)).any()


def test_with_routing_groups_and_weights_go_where_they_are_asked_for():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(sample_weight="cost").set_score_request(sample_weight=False)
        params = {"cost": WEIGHT, "groups": GROUPS}
        both(clf, {"alpha": [0.0, 5.0]}, X, Y, params, cv=GroupKFold(3))


def most_accurate(results):
    return int(results["mean_test_acc"].argmax())


@pytest.mark.parametrize("refit", ["acc", most_accurate, False])
def test_several_metrics(refit):
    scoring = {"acc": "accuracy", "loss": "neg_log_loss"}
    both(make(), GRID, X, Y, scoring=scoring, refit=refit, return_train_score=True)


def test_a_scorer_meets_the_trained_estimator_itself():
    seen = []

    def scorer(estimator, X, y):
        seen.append((type(estimator), estimator.alpha, len(estimator.history)))
        return {"a": estimator.score(X, y), "b": estimator.coefficient_["weak"][-1]}

    both(make(), {"alpha": [0.0, 5.0]}, X, Y, scoring=scorer, refit="a")
    assert seen[:6] == seen[6:] and seen[0] == (type(make()), 0.0, 2)


def test_no_refit():
    ours, _ = both(make(), GRID, X, Y, refit=False)
    with pytest.raises(AttributeError):
        ours.predict(X)


def failing(kind, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = kind(make(), {"alpha": [1.0, -1.0]}, cv=3, **kwargs).fit(X, Y)
    return search, [str(w.message) for w in caught if w.category is FitFailedWarning]


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_candidate_that_fails(n_jobs):
    ours, (text,) = failing(BatchedGridSearchCV, return_train_score=True, n_jobs=n_jobs)
    theirs, (expected,) = failing(GridSearchCV, return_train_score=True)
    same_search(ours, theirs, X)
    assert np.isnan(ours.cv_results_["mean_test_score"]).tolist() == [False, True]
    # scikit-learn's words: one entry for three equal failures, and the traceback of the fit.
    words = expected.partition("Traceback")[0]
    assert "3 fits failed with the following error" in words and text.startswith(words.rstrip("\n"))
    assert text.count("fits failed") == 2 and ", in check_parameter" in text


def test_a_failure_may_be_given_a_score_or_be_raised():
    ours, _ = failing(BatchedGridSearchCV, error_score=-7.0)
    theirs, _ = failing(GridSearchCV, error_score=-7.0)
    same_search(ours, theirs, X)
    search = BatchedGridSearchCV(make(), {"alpha": [1.0, -1.0]}, error_score="raise")
    with pytest.raises(ValueError, match=r"'alpha' parameter .* Got -1\.0"):
        search.fit(X, Y)
    assert search.estimator.alpha == make().alpha and search.cv is None
    assert type(clone(search.estimator)) is type(make())


def test_all_candidates_fail():
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        BatchedGridSearchCV(make(), {"alpha": [-1.0]}, cv=3).fit(X, Y)


def test_parameters_that_do_not_exist_are_refused_in_the_estimators_words():
    with pytest.raises(ValueError, match=r"Invalid parameter 'alhpa'.*did you mean 'alpha'"):
        BatchedGridSearchCV(make(), {"alhpa": [1.0]}, cv=3).fit(X, Y)


def test_wrong_settings_are_refused_in_scikit_learns_words():
    for settings in ({"cv": "five"}, {"scoring": "akkuracy"}, {"error_score": "no"}):
        messages = []
        for kind in (BatchedGridSearchCV, GridSearchCV):
            with pytest.raises(ValueError) as caught:
                kind(make(), GRID, **settings).fit(X, Y)
            messages.append(str(caught.value).replace(kind.__name__, "Search"))
        assert messages[0] == messages[1]


def test_nested_in_a_cross_validation():
    scores = [
        cross_val_score(kind(make(), {"alpha": [0.0, 5.0]}, cv=2), X, Y, cv=2)
        for kind in (BatchedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_array_equal(*scores)


def test_clones_and_pickles():
    search = BatchedGridSearchCV(make(), {"alpha": [0.0, 5.0]}, cv=3)
    assert clone(search).get_params().keys() == GridSearchCV(make(), {}).get_params().keys()
    fitted = pickle.loads(pickle.dumps(search)).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    near(again.predict_proba(X), fitted.predict_proba(X))
    assert not hasattr(clone(again), "best_estimator_")
    assert "__sklearn_clone__" not in vars(fitted.scorer_._estimator)


@pytest.mark.slow
def test_processes_score_what_is_trained_here(monkeypatch):
    calls = count_fits(monkeypatch)
    ours = BatchedGridSearchCV(make(), GRID, cv=3, n_jobs=2).fit(X, Y)
    same_search(ours, GridSearchCV(make(), GRID, cv=3).fit(X, Y), X)
    assert calls == [12]


def test_other_estimators_are_searched_by_scikit_learn_and_the_log_says_so(caplog, monkeypatch):
    calls = count_fits(monkeypatch)
    with caplog.at_level(logging.INFO, "inforeg_sk.model_selection"):
        both(LogisticRegression(), {"C": [0.1, 1.0]}, TABLE, Y)
    assert caplog.messages == [
        "BatchedGridSearchCV: scikit-learn's own code trains: LogisticRegression is not an "
        "estimator of this library"
    ]
    assert calls == []


def test_a_search_of_several_rounds_keeps_candidates_and_times_apart():
    class InRounds(GridSearchCV):
        def _run_search(self, evaluate_candidates, *, callback_ctx=None):
            candidates = list(ParameterGrid(self.param_grid))
            evaluate_candidates(candidates[:1], more_results={"round": [0]})
            first = evaluate_candidates(candidates[1:], more_results={"round": [1] * 3})
            assert len(first["mean_fit_time"]) == 4

    class BatchedInRounds(_BatchedSearch, InRounds):
        pass

    ours, _ = both(make(), GRID, X, Y, ours=BatchedInRounds, theirs=InRounds)
    assert ours.cv_results_["round"].tolist() == [0, 1, 1, 1]
    assert (ours.cv_results_["mean_fit_time"] > 1e-3).all()


def test_a_search_that_runs_its_candidates_itself_is_right_too():
    class Own(BatchedGridSearchCV):
        def _run_search(self, evaluate_candidates):
            evaluate_candidates(ParameterGrid(self.param_grid))

    same_search(Own(make(), GRID, cv=3).fit(X, Y), GridSearchCV(make(), GRID, cv=3).fit(X, Y), X)


def test_another_order_of_scoring_than_of_training_is_an_error(monkeypatch):
    class Reversed(BatchedGridSearchCV):
        def _run_search(self, evaluate_candidates, *, callback_ctx=None):
            def backwards(candidates, *args, **kwargs):
                return evaluate_candidates(list(candidates)[::-1], *args, **kwargs)

            super()._run_search(backwards, callback_ctx=callback_ctx)

    with pytest.raises(RuntimeError, match="in another order than they were trained"):
        Reversed(make(), GRID, cv=3).fit(X, Y)
