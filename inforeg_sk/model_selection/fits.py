"""Many fits at once: the one place where searches and cross-validations have networks trained."""

import logging
from collections import Counter
from time import perf_counter
from typing import NamedTuple

import numpy as np

from ..utils.compat import cut_fit_params, cut_rows

__all__ = ["FittedOne", "fit_all", "log", "why_not_batched"]

log = logging.getLogger("inforeg_sk.model_selection")


class FittedOne(NamedTuple):
    """One of many fits.

    Parameters
    ----------
    estimator : estimator or None
        Fitted; None if its fit failed.
    error : BaseException or None
        What ``fit`` raised.
    fit_time : float
        Seconds; of fits that were trained together, the share of this one.
    """

    estimator: object | None
    error: BaseException | None
    fit_time: float


def fit_all(estimators, X, y, rows, *, fit_params=None):
    """Fit many estimators, each on rows of the same data.

    Parameters
    ----------
    estimators : list of estimators
        Not fitted, a clone of its own for each fit; they are fitted in place.
    X : as in ``fit`` of the estimators
        In a form that rows can be taken of, unless each fit takes all of them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    rows : list of ndarray of int
        The training part of each fit.
    fit_params : dict, default=None
        Further arguments of ``fit``, such as sample_weight, for all rows of X. What has a value a
        sample is cut to the rows.

    Returns
    -------
    list of FittedOne
        In the order of `estimators`. An exception of one fit does not stop the others; an interrupt
        does.
    """
    for reason, n in Counter(map(why_not_batched, estimators)).items():
        if reason is not None:
            log.info("%d fits, one after another: %s", n, reason)
    return [
        _fit_one(estimator, X, y, part, fit_params or {})
        for estimator, part in zip(estimators, rows, strict=True)
    ]


def why_not_batched(estimator):
    """Why an estimator cannot be trained together with others of its kind.

    Parameters
    ----------
    estimator : estimator
        Not fitted, with its parameters set.

    Returns
    -------
    str or None
        The reason, in words; None if it can.
    """
    return "the engine is not there yet"


def _fit_one(estimator, X, y, rows, fit_params):
    if not _are_all(rows, y):
        fit_params = cut_fit_params(X, params=fit_params, indices=rows)
        X, y = cut_rows(estimator, X, y, rows)
    begun = perf_counter()
    try:
        estimator.fit(X, y, **fit_params)
    except Exception as error:
        return FittedOne(None, error, perf_counter() - begun)
    return FittedOne(estimator, None, perf_counter() - begun)


def _are_all(rows, y):
    """Whether rows are all of the data in their order, which then need no cut."""
    return len(rows) == len(y) and np.array_equal(rows, np.arange(len(y)))
