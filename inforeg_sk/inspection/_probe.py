"""Linear probes: how much a simple model can read out of frozen features."""

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["fit_linear_probe"]

_STRENGTHS = [0.01, 0.1, 1.0, 10.0]
_ALPHAS = 10.0 ** np.arange(-2, 5)
_FOLDS = 3
# What a class that a fold never saw is given, at least.
_LEAST_LOG = -12.0


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
    Pipeline
        Behind a ``StandardScaler`` a ``LogisticRegression`` whose C of 0.01, 0.1, 1 and 10 was
        chosen by the log-likelihood in 3 folds, or a ``RidgeCV`` with alphas from 0.01 to 10,000.
    """
    if not classifies:
        ridge = RidgeCV(_ALPHAS, cv=_group_splits(y, groups))
        return make_pipeline(StandardScaler(), ridge).fit(Z, y)
    pipe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = _class_splits(y, groups)
    if not folds:
        return pipe.fit(Z, y)
    grid = {"logisticregression__C": _STRENGTHS}
    search = GridSearchCV(pipe, grid, cv=folds, scoring=_log_likelihood).fit(Z, y)
    return search.best_estimator_  # whose score is accuracy


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


def _log_likelihood(probe, Z, y):
    """Mean log-probability of the true class, also where the probe does not know it."""
    with np.errstate(divide="ignore"):
        log_proba, classes = np.log(probe.predict_proba(Z)), probe.classes_
    where = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    found = np.where(classes[where] == y, log_proba[np.arange(len(where)), where], -np.inf)
    return float(np.maximum(found, _LEAST_LOG).mean())
