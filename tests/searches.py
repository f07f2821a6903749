"""Searches and cross-validations of this library beside scikit-learn's: everything is equal."""

import numpy as np
from sklearn.model_selection import GridSearchCV

from inforeg_sk.model_selection import BatchedGridSearchCV, pairs


def same_results(ours, theirs):
    """Check that dicts of results are equal, all bits and types, times aside."""
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert type(ours[name]) is type(value), name
        if name in ("params", "estimator", "indices"):
            continue
        assert ours[name].dtype == value.dtype and ours[name].shape == value.shape, name
        if "time" not in name:
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
        elif name.startswith("mean_") or name == "fit_time":
            assert (ours[name] >= 0).all() and ours[name].dtype == np.float64
    if "params" in theirs:
        assert ours["params"] == theirs["params"]


def same_search(ours, theirs, X, refit=True):
    """Check that two fitted searches are equal, and what they predict."""
    assert vars(ours).keys() == vars(theirs).keys()
    same_results(ours.cv_results_, theirs.cv_results_)
    assert ours.n_splits_ == theirs.n_splits_ and ours.multimetric_ == theirs.multimetric_
    assert repr(ours.scorer_) == repr(theirs.scorer_)
    for name in ("best_params_", "best_index_", "best_score_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    assert hasattr(ours, "best_estimator_") == refit
    if refit:
        assert type(ours.best_estimator_) is type(theirs.best_estimator_)
        for method in ("predict", "predict_proba"):
            if hasattr(theirs, method):
                got, expected = getattr(ours, method)(X), getattr(theirs, method)(X)
                np.testing.assert_array_equal(got, expected)
        if hasattr(theirs, "classes_"):
            np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        assert hasattr(ours, "n_features_in_") == hasattr(theirs, "n_features_in_")


def both(
    estimator, grid, X, y, fit_params=None, ours=BatchedGridSearchCV, theirs=GridSearchCV, **kw
):
    """Fit our search and scikit-learn's, and check that they are equal; return both."""
    searches = [kind(estimator, grid, **{"cv": 3} | kw) for kind in (ours, theirs)]
    for search in searches:
        search.fit(X, y, **(fit_params or {}))
        assert search.estimator is estimator
        assert search.cv is kw.get("cv", search.cv)
    same_search(*searches, X, refit=kw.get("refit", True) is not False)
    return searches


def count_fits(monkeypatch):
    """A list that gets the number of fits of each call of `fit_all`."""
    calls, fit_all = [], pairs.fit_all

    def counting(estimators, *args, **kwargs):
        calls.append(len(estimators))
        return fit_all(estimators, *args, **kwargs)

    monkeypatch.setattr(pairs, "fit_all", counting)
    return calls
