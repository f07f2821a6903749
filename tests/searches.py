"""Searches and cross-validations of this library beside scikit-learn's: everything is equal.

Numbers are equal but for rounding in single precision, since the networks are trained in one pass.
"""

import numpy as np
from sklearn.model_selection import GridSearchCV

from inforeg_sk.model_selection import BatchedGridSearchCV, pairs


def near(found, expected, name=""):
    """Equal; numbers but for rounding in single precision."""
    if np.asarray(expected).dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=name)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=name)


def same_results(ours, theirs):
    """Check that dicts of results are equal, all bits and types, times aside."""
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert type(ours[name]) is type(value), name
        if name in ("params", "estimator", "indices"):
            continue
        assert ours[name].dtype == value.dtype and ours[name].shape == value.shape, name
        if "time" not in name:
            near(ours[name], value, name)
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
    for name in ("best_params_", "best_index_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    near(getattr(ours, "best_score_", 0.0), getattr(theirs, "best_score_", 0.0))
    assert hasattr(ours, "best_estimator_") == refit
    if refit:
        assert type(ours.best_estimator_) is type(theirs.best_estimator_)
        for method in ("predict", "predict_proba"):
            if hasattr(theirs, method):
                got, expected = getattr(ours, method)(X), getattr(theirs, method)(X)
                near(got, expected)
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
    """A list that gets the number of fits of each call of `fit_all` and `fit_parts`."""
    calls = []

    def counted(fits):
        def counting(estimators, *args, **kwargs):
            if estimators:
                calls.append(len(estimators))
            return fits(estimators, *args, **kwargs)

        return counting

    for name in ("fit_all", "fit_parts"):
        monkeypatch.setattr(pairs, name, counted(getattr(pairs, name)))
    return calls
