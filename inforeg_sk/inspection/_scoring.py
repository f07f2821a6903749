"""How the measures score: scikit-learn's scorers, one number each."""

import numpy as np
from sklearn.metrics import check_scoring

__all__ = ["check_single_scoring", "one_score"]


def check_single_scoring(estimator, scoring, owner):
    """A scorer that gives one number.

    Parameters
    ----------
    estimator : estimator
    scoring : str, callable or None
        None: the estimator's ``score``.
    owner : str
        Who asks, for errors.

    Returns
    -------
    callable
        ``(estimator, X, y, sample_weight=...) -> float``
    """
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(
            f"The 'scoring' parameter of {owner} must be the name of a scorer, a callable or None. "
            f"Got {scoring!r}."
        )
    return check_scoring(estimator, scoring=scoring)


def one_score(scorer, estimator, X, y, sample_weight=None):
    """The score as a float; sample weights are handed on only if there are some."""
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    value = scorer(estimator, X, y, **weights)
    if np.ndim(value) or isinstance(value, dict):
        raise TypeError(f"A scorer must return one number. Got {value!r}.")
    return float(value)
