"""Linear probes: how much a simple model can read out of frozen features."""

import warnings

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..ensemble.linear_experts import LinearPathClassifier

__all__ = ["fit_linear_probe"]

_STRENGTHS = np.array([0.01, 0.1, 1.0, 10.0])
_ALPHAS = 10.0 ** np.arange(-2, 5)
_FOLDS = 3


class _LogisticProbe(LinearPathClassifier):
    """Logistic regression with a choice of few strengths: one decomposition serves all fits."""

    def _path(self, Z, target, u):
        # Of two classes scikit-learn's C is that of their difference.
        return (2 if target.shape[1] == 2 else 1) / _STRENGTHS

    def _solve(self, Z, target, u, alpha, start, before, tol=1e-3):
        # In a fold, too, C is the weight of each sample's loss, not of their mean.
        return super()._solve(Z, target, u, alpha / len(Z), start, before, tol)


def fit_linear_probe(Z, y, classifies, groups=None):
    """Fit the regularized linear model that reads features.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    classifies : bool
    groups : ndarray of shape (n_samples,), default=None
        Stay together in the folds by which the strength is chosen.

    Returns
    -------
    estimator
        On standardized features a logistic regression whose C of 0.01, 0.1, 1 and 10 was chosen by
        the log-likelihood in 3 folds (of too few samples for folds, 1), or a ``RidgeCV`` with
        alphas from 0.01 to 10,000.
    """
    if classifies:
        return _LogisticProbe(cv=_class_splits(y, groups)).fit(Z, y)
    ridge = RidgeCV(_ALPHAS, cv=_group_splits(y, groups))
    return make_pipeline(StandardScaler(), ridge).fit(Z, y)


def _class_splits(y, groups):
    """Stratified splits that each have two classes to learn; none if the samples are too few."""
    largest = np.unique(y, return_counts=True)[1].max()
    n_folds = min(_FOLDS, largest if groups is None else len(np.unique(groups)))
    if n_folds < 2:
        return []
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(n_folds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = splitter.split(np.zeros(len(y)), y, groups)
        return [(train, test) for train, test in folds if len(np.unique(y[train])) > 1]


def _group_splits(y, groups):
    if groups is None or len(np.unique(groups)) < 2:
        return None  # leave one out, in closed form
    n_folds = min(_FOLDS, len(np.unique(groups)))
    return list(GroupKFold(n_folds).split(np.zeros(len(y)), y, groups))
