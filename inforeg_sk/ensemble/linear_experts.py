"""Linear experts: ridge and elastic net, their strength chosen by folds of the training part."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_array, check_is_fitted

from ..utils.parameters import Constraint, Instance, Interval, IsNone, Splits, check_parameters
from .folds import assign_folds
from .linear_path import SoftmaxLoss, SquaredLoss, elastic_net, ridge

__all__ = ["LinearPathClassifier", "LinearPathRegressor"]

# Of a ridge: scikit-learn's C, from strong to weak.
_STRENGTHS = np.logspace(-4, 3, 8)
# Of an elastic net: parts of the penalty at which all coefficients are 0.
_PARTS = np.geomspace(0.5, 0.005, 6)
# Columns, or rows, of which a decomposition is made.
_LARGEST = 3000
_FLOOR = 12.0


class _LinearPath(BaseEstimator):
    """What both share; `LinearPathClassifier` documents it."""

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "l1_ratio": [Interval(Real, 0, 1, "both")],
        "cv": [Interval(Integral, 2), Splits()],
        "random_state": [Interval(Integral, 0), IsNone(), Instance(np.random.RandomState)],
    }
    _loss: ClassVar

    def __init__(self, l1_ratio=0.0, *, cv=3, random_state=None):
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.random_state = random_state

    def _fit(self, X, target, position, sample_weight, groups):
        """Choose the strength and fit; `position` are the classes by which folds are made."""
        check_parameters(self)
        u = np.ones(len(target)) if sample_weight is None else np.asarray(sample_weight, float)
        u = u / u.sum()
        table = _Standard(X, u)
        Z, back = (table.Z, None) if self.l1_ratio else table.rotated()
        path = self._path(Z, target, u)
        best = self._choose(Z, target, u, path, position, groups)
        B, before = None, None
        for alpha in path[: best + 1]:
            B, before = self._solve(Z, target, u, alpha, B, before, tol=1e-5), alpha
        self.alpha_ = float(path[best])
        coef = B[:-1] if back is None else back(B[:-1])
        self.coef_, self.intercept_ = table.in_units(coef, B[-1])
        self.n_features_in_ = X.shape[1]
        return self

    def _path(self, Z, target, u):
        if not self.l1_ratio:
            return 1 / (_STRENGTHS * len(target))
        constant = np.tile(self._loss.start(target, u), (len(target), 1))
        reach = np.abs(Z.T @ self._loss.value(constant, target, u)[1]).max()
        return max(float(reach), 1e-12) / self.l1_ratio * _PARTS

    def _solve(self, Z, target, u, alpha, start, before, tol=1e-3):
        if self.l1_ratio:
            return elastic_net(Z, target, u, alpha, self._loss, self.l1_ratio, start, before, tol)
        return ridge(Z, target, u, alpha, self._loss, start, tol)

    def _choose(self, Z, target, u, path, position, groups):
        """Place of the strength of the least held-out loss; they get weaker until it rises."""
        parts = self._splits(Z, position, groups)
        if len(parts) < 2:  # one group: nothing to choose by
            return len(path) // 2
        n_folds = len(parts)
        parts = [self._part(Z, target, u, *part) for part in parts]
        losses, starts, before = [], [None] * n_folds, None
        for alpha in path:
            total = 0.0
            for k, (Zt, Yt, ut, held, Yh, uh, floor) in enumerate(parts):
                starts[k] = self._solve(Zt, Yt, ut, alpha, starts[k], before)
                outputs = held @ starts[k][:-1] + starts[k][-1]
                total += self._loss.value(outputs, Yh, uh)[0] + floor
            losses.append(total)
            before = alpha
            if len(losses) > np.argmin(losses) + 2:
                break
        return int(np.argmin(losses))

    def _splits(self, Z, position, groups):
        """Training and held-out rows of each fold; none where there is one group only."""
        if not isinstance(self.cv, Integral):
            return list(check_cv(self.cv).split(Z, position, groups))
        n_units = len(position) if groups is None else len(np.unique(groups))
        n_folds = min(self.cv, n_units)
        if n_folds < 2:
            return []
        seed = self.random_state
        seed = seed.randint(2**31) if isinstance(seed, np.random.RandomState) else seed or 0
        fold = assign_folds(position, n_folds, groups, seed)
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]

    def _part(self, Z, target, u, train, test):
        columns = self._known(target[train])
        ut = u[train] / max(u[train].sum(), 1e-300)
        # A class that is not in the training part says the same of all strengths.
        known = target[test][:, columns]
        here = self._rows_known(known)
        return (
            Z[train],
            target[train][:, columns],
            ut,
            Z[test][here],
            known[here],
            u[test][here],
            _FLOOR * u[test][~here].sum(),
        )

    @staticmethod
    def _known(target):
        return np.arange(target.shape[1])

    @staticmethod
    def _rows_known(target):
        return np.ones(len(target), dtype=bool)

    def _outputs(self, X):
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        return X @ self.coef_.T + self.intercept_


class LinearPathClassifier(ClassifierMixin, _LinearPath):
    """Multinomial logistic regression with a ridge or an elastic net.

    Columns are standardized (those of a sparse matrix are only scaled). The strength of the penalty
    is chosen by the log-loss of folds of the training part, from strong to weak until it gets
    worse. A ridge is solved in the coordinates of one decomposition, which serves all strengths and
    folds: exact, and cheap for wide tables.

    Parameters
    ----------
    l1_ratio : float, default=0.0
        0 is a ridge, 1 a lasso.
    cv : int, splitter or iterable of splits, default=3
        Folds for the choice; fewer if there are fewer groups.
    random_state : int, RandomState instance or None, default=None
        Which samples are in which fold; None is 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    alpha_ : float
        Chosen strength, ``1 / (C n_samples)`` in scikit-learn's words.
    coef_ : ndarray of float64 of shape (n_classes, n_features)
        In the units of X.
    intercept_ : ndarray of float64 of shape (n_classes,)

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from inforeg_sk.ensemble.linear_experts import LinearPathClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> LinearPathClassifier().fit(X, y).predict_proba(X).shape
    (178, 3)
    """

    _loss = SoftmaxLoss

    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose the strength, and fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
        groups : array-like of shape (n_samples,), default=None
            Not cut by the folds of the choice. With a single group a middle strength is taken.

        Returns
        -------
        self
        """
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        self.classes_, position = np.unique(y, return_inverse=True)
        target = np.eye(len(self.classes_))[position]
        return self._fit(X, target, position, sample_weight, groups)

    @staticmethod
    def _known(target):
        return np.flatnonzero(target.any(axis=0))

    @staticmethod
    def _rows_known(target):
        return target.any(axis=1)

    def predict_log_proba(self, X):
        """Log-probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        logits = self._outputs(X)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def predict_proba(self, X):
        """Probabilities of the classes; as `predict_log_proba`."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X):
        """Most probable class; ndarray of shape (n_samples,)."""
        return self.classes_[self._outputs(X).argmax(axis=1)]


class LinearPathRegressor(RegressorMixin, _LinearPath):
    """Linear regression with a ridge or an elastic net, for one output or several.

    See `LinearPathClassifier`; the choice goes by the squared error, of outputs scaled to a
    variance of 1, one strength for all.

    Parameters
    ----------
    l1_ratio, cv, random_state :
        As of `LinearPathClassifier`.

    Attributes
    ----------
    alpha_, coef_, intercept_ :
        As of `LinearPathClassifier`, with outputs in the place of classes.
    """

    _loss = SquaredLoss

    def fit(self, X, y, sample_weight=None, groups=None):
        """As of `LinearPathClassifier`; y may have shape (n_samples, n_outputs)."""
        X = check_array(X, accept_sparse="csr", dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        table = y.reshape(len(y), -1)
        u = None if sample_weight is None else np.asarray(sample_weight, float)
        mean = np.average(table, axis=0, weights=u)
        scale = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=u))
        scale[scale <= 1e-12 * np.abs(mean)] = 1.0
        self._flat = y.ndim == 1
        position = np.zeros(len(y), dtype=int)
        self._fit(X, (table - mean) / scale, position, sample_weight, groups)
        self.coef_ = self.coef_ * scale[:, None]
        self.intercept_ = self.intercept_ * scale + mean
        return self

    def predict(self, X):
        """Values; ndarray of float64 of shape (n_samples,) or (n_samples, n_outputs)."""
        values = self._outputs(X)
        return values[:, 0] if self._flat else values


class _Standard:
    """A table whose columns are centered and scaled; a sparse one is only scaled."""

    def __init__(self, X, u):
        self.sparse = sparse.issparse(X)
        if self.sparse:
            self.mean = np.zeros(X.shape[1])
            self.scale = np.sqrt(np.asarray(X.multiply(X).T @ u).ravel())
        else:
            self.mean = u @ X
            self.scale = np.sqrt(u @ (X - self.mean) ** 2)
        tiny = self.scale <= 1e-10 * np.maximum(np.abs(self.mean), 1e-300)
        self.scale[tiny] = np.inf  # a constant column counts nothing
        if self.sparse:
            self.Z = (X @ sparse.diags_array(1 / self.scale)).tocsr()
        else:
            self.Z = (X - self.mean) / self.scale

    def rotated(self):
        """The table in orthogonal coordinates, and the way back of coefficients (or None)."""
        Z, (n, d) = self.Z, self.Z.shape
        if min(n, d) > _LARGEST:
            return Z, None
        wide = d > n
        gram = Z @ Z.T if wide else Z.T @ Z
        values, vectors = np.linalg.eigh(gram.toarray() if self.sparse else gram)
        kept = values > 1e-10 * max(values[-1], 1e-300)
        values, vectors = values[kept], vectors[:, kept]
        if not wide:
            return Z @ vectors, lambda B: vectors @ B
        roots = np.sqrt(values)
        return vectors * roots, lambda B: Z.T @ (vectors / roots @ B)

    def in_units(self, coef, constant):
        coef = coef / self.scale[:, None]
        return coef.T, constant - self.mean @ coef
