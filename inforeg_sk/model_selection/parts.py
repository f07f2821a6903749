"""What a fit is given, and what comes of it."""

import copy
import logging
from time import perf_counter
from typing import NamedTuple

import numpy as np

from ..estimator import MultimodalEstimator
from ..utils.compat import cut_fit_params, cut_rows

__all__ = ["FittedOne", "Part", "fit_alone", "log"]

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


class Part:
    """The data of some fits: rows of what a search was given.

    Parameters
    ----------
    X : as in ``fit`` of the estimators
        In a form that rows can be taken of, unless all of them are taken.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    rows : ndarray of int, default=None
        None: all.
    params : dict, default=None
        Further arguments of ``fit``, such as sample_weight, for all rows of X. What has a value a
        sample is cut to the rows.
    estimator : estimator, default=None
        Decides how rows are taken (pairwise kernels).
    """

    def __init__(self, X, y, rows=None, params=None, estimator=None):
        self._X, self._y, self._rows = X, y, rows
        self.params = dict(params or {})
        self._estimator = estimator

    def cut(self):
        """X, y and the further arguments (tuple of X, y and dict)."""
        if self._rows is None or _are_all(self._rows, self._y):
            return self._X, self._y, self.params
        params = cut_fit_params(self._X, params=self.params, indices=self._rows)
        return *cut_rows(self._estimator, self._X, self._y, self._rows), params

    def without_data(self):
        """What a part is beside its data: (Part, tuple of X, y and values of `params`)."""
        part = copy.copy(self)
        part._X = part._y = None
        part.params = dict.fromkeys(self.params)
        return part, (self._X, self._y, *self.params.values())

    def with_data(self, X, y, *values):
        """The part again, from what `without_data` returned."""
        part = copy.copy(self)
        part._X, part._y, part.params = X, y, dict(zip(self.params, values, strict=True))
        return part


def _are_all(rows, y):
    """Whether rows are all of the data in their order, which then need no cut."""
    return len(rows) == len(y) and np.array_equal(rows, np.arange(len(y)))


def fit_alone(estimator, part):
    """Fit one estimator on its part.

    Parameters
    ----------
    estimator : estimator
    part : Part

    Returns
    -------
    FittedOne

    Raises
    ------
    KeyboardInterrupt
        If the fit was interrupted: an estimator of skorch keeps what it has, and would be taken for
        one that was trained to its end.
    """
    X, y, params = part.cut()
    begun = perf_counter()
    try:
        estimator.fit(X, y, **params)
    except Exception as error:
        return FittedOne(None, error, perf_counter() - begun)
    if isinstance(estimator, MultimodalEstimator) and estimator._run.interrupted:
        raise KeyboardInterrupt
    return FittedOne(estimator, None, perf_counter() - begun)
