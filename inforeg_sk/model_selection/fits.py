"""Many fits at once: the one place where searches and cross-validations have networks trained."""

from .parts import FittedOne, Part, log
from .together import fit_together, why_not_together

__all__ = ["FittedOne", "fit_all", "fit_parts", "log", "why_not_batched"]


def fit_all(estimators, X, y, rows, *, fit_params=None, n_jobs=None):
    """Fit many estimators, each on rows of the same data.

    Parameters
    ----------
    estimators : list of estimators
        Not fitted, a clone of its own for each fit; they are fitted in place.
    X : as in ``fit`` of the estimators
        In a form that rows can be taken of, unless each fit takes all of them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    rows : list of ndarray of int or None
        The training part of each fit; the same object for those that share it. None: all rows.
    fit_params : dict, default=None
        Further arguments of ``fit``, such as sample_weight, for all rows of X. What has a value a
        sample is cut to the rows.
    n_jobs : int, default=None
        In how many processes, by joblib's backend.

    Returns
    -------
    list of FittedOne
        In the order of `estimators`. An exception of one fit does not stop the others; an interrupt
        does.
    """
    parts = {}
    for estimator, chosen in zip(estimators, rows, strict=True):
        if id(chosen) not in parts:
            parts[id(chosen)] = Part(X, y, chosen, fit_params, estimator)
    return fit_parts(estimators, [parts[id(chosen)] for chosen in rows], n_jobs=n_jobs)


def fit_parts(estimators, parts, *, n_jobs=None):
    """Fit many estimators, each on data of its own.

    Parameters
    ----------
    estimators : list of estimators
        As in `fit_all`.
    parts : list of Part
        The same object for those that share their data.
    n_jobs : int, default=None
        As in `fit_all`.

    Returns
    -------
    list of FittedOne
    """
    return fit_together(estimators, parts, n_jobs)


why_not_batched = why_not_together
