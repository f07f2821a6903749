"""Support vector machines as experts, with probabilities by folds that keep groups whole."""

from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils.validation import check_array, check_is_fitted

from ..utils.parameters import Constraint, Instance, Interval, IsNone, check_parameters
from .folds import assign_folds
from .linear_experts import LinearPathClassifier

__all__ = ["KernelClassifier", "KernelRegressor"]

_STRENGTHS = (0.3, 3.0, 30.0)


class _Kernel(BaseEstimator):
    """What both share; `KernelClassifier` documents it."""

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "cv": [Interval(Integral, 2)],
        "random_state": [Interval(Integral, 0), IsNone(), Instance(np.random.RandomState)],
    }

    def __init__(self, *, cv=3, random_state=None):
        self.cv = cv
        self.random_state = random_state

    def _parts(self, position, groups):
        check_parameters(self)
        n_folds = min(self.cv, len(position) if groups is None else len(np.unique(groups)))
        if n_folds < 2:
            return []
        seed = self.random_state
        seed = seed.randint(2**31) if isinstance(seed, np.random.RandomState) else seed or 0
        fold = assign_folds(position, n_folds, groups, seed)
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


class _Scaled:
    """A support vector machine behind a scaler.

    No Pipeline, whose ways with weights depend on scikit-learn's configuration.
    """

    def __init__(self, kind, strength):
        self.machine = kind(C=strength)

    def fit(self, X, y, weight):
        self.scaler = StandardScaler(with_mean=not sparse.issparse(X)).fit(X)
        self.machine.fit(self.scaler.transform(X), y, sample_weight=weight)
        return self

    def predict(self, X):
        return self.machine.predict(self.scaler.transform(X))

    def decision_values(self, X):
        values = self.machine.decision_function(self.scaler.transform(X))
        return values.reshape(len(values), -1)


class KernelClassifier(ClassifierMixin, _Kernel):
    """A support vector machine with probabilities.

    The strength, and a logistic regression from decision values to probabilities, come from folds
    of the training part; scikit-learn's ``SVC(probability=True)`` cuts groups there. Where no fold
    has all classes in its training part, the strength is the middle one, and the regression goes
    by the training samples themselves.

    Parameters
    ----------
    cv : int, default=3
        Folds; fewer if there are fewer groups.
    random_state : int, RandomState instance or None, default=None
        Which samples are in which fold; None is 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    C_ : float
        Chosen strength.
    """

    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose the strength, and fit; the arguments are those of `LinearPathClassifier`."""
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        self.classes_, position = np.unique(y, return_inverse=True)
        weight = np.ones(len(position)) if sample_weight is None else np.asarray(sample_weight)
        parts = self._parts(position, groups)
        n_classes = len(self.classes_)
        parts = [part for part in parts if len(np.unique(position[part[0]])) == n_classes]
        strengths = _STRENGTHS
        if not parts:  # nothing to choose by
            everything = np.arange(len(position))
            parts, strengths = [(everything, everything)], _STRENGTHS[1:2]
        rows = np.concatenate([test for _, test in parts])
        best = (np.inf, None, None)
        for strength in strengths:
            values = []
            for train, test in parts:
                machine = _Scaled(SVC, strength).fit(X[train], position[train], weight[train])
                values.append(machine.decision_values(X[test]))
            values = np.concatenate(values)
            link = LinearPathClassifier(random_state=0)
            link.fit(values, position[rows], weight[rows], None if groups is None else groups[rows])
            log_p = np.full((len(rows), n_classes), -12.0)
            log_p[:, link.classes_] = link.predict_log_proba(values)
            loss = -weight[rows] @ log_p[np.arange(len(rows)), position[rows]]
            if loss < best[0]:
                best = (loss, strength, link)
        _, self.C_, self.link_ = best
        self.machine_ = _Scaled(SVC, self.C_).fit(X, position, weight)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        """Probabilities of the classes; ndarray of shape (n_samples, n_classes)."""
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        p = np.zeros((X.shape[0], len(self.classes_)))
        p[:, self.link_.classes_] = self.link_.predict_proba(self.machine_.decision_values(X))
        return p

    def predict(self, X):
        """Most probable class; ndarray of shape (n_samples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class KernelRegressor(RegressorMixin, _Kernel):
    """A support vector regression for each output, the strength by folds of the training part.

    Parameters
    ----------
    cv, random_state :
        As of `KernelClassifier`. With a single group a middle strength is taken.

    Attributes
    ----------
    C_ : list of float
        Chosen strength of each output.
    """

    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose the strength, and fit; the arguments are those of `LinearPathRegressor`."""
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        self._flat, table = y.ndim == 1, y.reshape(len(y), -1)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        self._mean = np.average(table, axis=0, weights=weight)
        spread = np.sqrt(np.average((table - self._mean) ** 2, axis=0, weights=weight))
        self._spread = np.where(spread > 0, spread, 1.0)
        parts = self._parts(np.zeros(len(y), dtype=int), groups)
        self.C_, self.machines_ = [], []
        for target in ((table - self._mean) / self._spread).T:
            losses = []
            for strength in _STRENGTHS:
                loss = 0.0
                for train, test in parts:
                    machine = _Scaled(SVR, strength).fit(X[train], target[train], weight[train])
                    loss += weight[test] @ (target[test] - machine.predict(X[test])) ** 2
                losses.append(loss)
            self.C_.append(_STRENGTHS[int(np.argmin(losses)) if parts else 1])
            self.machines_.append(_Scaled(SVR, self.C_[-1]).fit(X, target, weight))
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        """Values; ndarray of shape (n_samples,) or (n_samples, n_outputs)."""
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        values = np.column_stack([machine.predict(X) for machine in self.machines_])
        values = values * self._spread + self._mean
        return values[:, 0] if self._flat else values
