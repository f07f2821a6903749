"""scikit-learn's scorers, one number each: of estimators, and of what one modality says."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import check_scoring

__all__ = [
    "ArrayScorer",
    "ClassifierOfOutputs",
    "RegressorOfOutputs",
    "check_single_scoring",
    "one_score",
]

# In place of a probability of 0, whose logarithm no metric takes.
_LEAST = np.finfo(np.float64).tiny


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


class ArrayScorer:
    """A scorer whose score is an array of numbers, such as those of resamples of the samples.

    It is for measures that are sums and multiples of scores, which then are arrays, too.
    """

    def __call__(self, estimator, X, y):
        raise NotImplementedError


def one_score(scorer, estimator, X, y, sample_weight=None):
    """The score as a float (or array); sample weights are handed on only if there are some."""
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    value = scorer(estimator, X, y, **weights)
    if isinstance(scorer, ArrayScorer):
        return value
    if np.ndim(value) or isinstance(value, dict):
        raise TypeError(f"A scorer must return one number. Got {value!r}.")
    return float(value)


class RegressorOfOutputs(RegressorMixin, BaseEstimator):
    """What a modality predicts, in the place of an estimator: scorers ask it by row numbers.

    Parameters
    ----------
    predicted : ndarray of shape (n_samples, ...)
    """

    def __init__(self, predicted):
        self.predicted = predicted

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        """Nothing is to be learned."""
        return self

    def predict(self, X):
        """Predictions of the samples whose numbers are X (ndarray of int of shape (n, 1))."""
        return self.predicted[X[:, 0]]


class ClassifierOfOutputs(ClassifierMixin, RegressorOfOutputs):
    """As `RegressorOfOutputs`, of a classifier.

    Parameters
    ----------
    predicted : ndarray of shape (n_samples,)
        Class labels.
    proba : ndarray of float64 of shape (n_samples, n_classes)
    classes : ndarray of shape (n_classes,)
    """

    def __init__(self, predicted, proba, classes):
        super().__init__(predicted)
        self.proba = proba
        self.classes = classes

    @property
    def classes_(self):
        return self.classes

    def predict_proba(self, X):
        """Probabilities of the classes."""
        return self.proba[X[:, 0]]

    def decision_function(self, X):
        """Log-probabilities; of two classes the log-odds of the second."""
        log_proba = np.log(np.maximum(self.predict_proba(X), _LEAST))
        return log_proba[:, 1] - log_proba[:, 0] if log_proba.shape[1] == 2 else log_proba
