"""One fixed split: scores of bootstrap resamples of its test part, beside the scores."""

import warnings

import numpy as np

from ..ensemble.folds import assign_folds
from ..estimator.scoring import (
    ArrayScorer,
    ClassifierOfOutputs,
    RegressorOfOutputs,
    check_single_scoring,
    one_score,
)
from ..functional.resampling import count_score, draw_counts, scores_of_counts

__all__ = ["ResampledScorer", "Spread", "best_on_the_other_half", "n_resamples_for"]

_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
_LINEAR = (np.add, np.subtract, np.multiply, np.true_divide, np.negative)
# A difference of so small a share of its parts is rounding.
_ROUNDING = 1e-13


def n_resamples_for(n_modalities):
    """Enough for the smallest p value to pass Holm's adjustment of all questions (int)."""
    return max(1000, 200 * n_modalities)


class Spread(np.ndarray):
    """Scores with what they are in resamples of the test part; sums and multiples carry both.

    Parameters
    ----------
    values : array-like of shape (n_seeds, n_folds)
    resampled : array-like of shape (n_resamples,)
        Means over the seeds, of the same resamples for all scores.
    """

    def __new__(cls, values, resampled):
        made = np.asarray(values, dtype=np.float64).view(cls)
        made.resampled = np.asarray(resampled, dtype=np.float64)
        return made

    def __array_finalize__(self, other):
        self.resampled = None

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        plain = [np.asarray(value) for value in inputs]
        if out is not None:
            kwargs["out"] = tuple(np.asarray(value) for value in out)
        found = getattr(ufunc, method)(*plain, **kwargs)
        if method != "__call__" or ufunc not in _LINEAR:
            return found
        carried = []
        for value, array in zip(inputs, plain, strict=True):
            resampled = getattr(value, "resampled", None)
            if resampled is None and array.ndim:
                return found  # scores without resamples
            carried.append(array if resampled is None else resampled)
        with np.errstate(divide="ignore", invalid="ignore"):
            resampled = ufunc(*carried)
            if ufunc is np.subtract:  # a tie is a tie
                a, b = carried
                resampled[np.abs(resampled) <= _ROUNDING * (np.abs(a) + np.abs(b))] = 0.0
        return Spread(found, resampled)


class ResampledScorer(ArrayScorer):
    """A scorer that returns the score of all samples, and after it those of the resamples.

    Parameters
    ----------
    scoring : str, callable or None
        None is accuracy, or R^2 of a regressor.
    classifies : bool
    n_samples : int
        Of the test part.
    groups : ndarray of shape (n_samples,) or None
    n_resamples : int
    """

    def __init__(self, scoring, classifies, n_samples, groups, n_resamples):
        usual = "accuracy" if classifies else "r2"
        self.plain = usual if scoring is None else scoring
        self._counts = draw_counts(n_samples, n_resamples, groups)
        self._masks = None

    def of(self, masks):
        """A scorer that is asked about some of the samples: by a mask for each time, in turn."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), _masks=list(masks))
        return other

    def __call__(self, estimator, X, y):
        """Scores as ndarray of shape (1 + n_resamples,)."""
        counts = self._counts if self._masks is None else self._counts[:, self._masks.pop(0)]
        y = np.asarray(y)
        if len(y) != counts.shape[1]:
            raise ValueError(f"Got {len(y)} samples to score instead of {counts.shape[1]}.")
        asked = _Asked(estimator, X)
        scorer = check_single_scoring(asked, self.plain, "diagnose")
        numbers = np.arange(len(y))[:, None]
        score = one_score(scorer, asked, numbers, y)
        found = np.append(score, self._resampled(scorer, asked, y, counts, score))
        undefined = np.isnan(found[1:]).mean()
        if undefined > 0:
            warnings.warn(
                f"The score is not defined in {100 * undefined:.1f} % of the resamples of the test "
                "part, such as those without a class: from 10 % on there is no interval.",
                stacklevel=2,
            )
        return found

    def _resampled(self, scorer, asked, y, counts, score):
        if isinstance(self.plain, str) and np.isfinite(score):
            made = count_score(self.plain, y, asked.of_all, getattr(asked, "classes_", None))
            # A version of scikit-learn may mean something else by the name.
            if made is not None and np.isclose(made(np.ones((1, len(y))))[0], score, rtol=1e-5):
                return scores_of_counts(made, counts)
        return [self._score(scorer, asked, y, row) for row in counts]

    def _score(self, scorer, asked, y, counts):
        rows = np.repeat(np.arange(len(y)), counts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return one_score(scorer, asked, rows[:, None], y[rows])
            except ValueError:  # not defined there, such as without a class: it is counted
                return np.nan


class _Asked:
    """A fitted estimator that is asked once about all samples, and then by numbers of rows."""

    def __init__(self, estimator, X):
        self._estimator, self._X, self._known = estimator, X, {}

    def __getattr__(self, name):
        found = getattr(self._estimator, name)
        if name not in _METHODS:
            return found

        def method(numbers):
            return self.of_all(name)[numbers[:, 0]]

        method.__name__ = name  # scikit-learn reads it
        return method

    def __sklearn_is_fitted__(self):
        return True

    def of_all(self, method):
        if method not in self._known:
            self._known[method] = np.asarray(getattr(self._estimator, method)(self._X))
        return self._known[method]


def best_on_the_other_half(alone, X, y, groups, scorer):
    """Score of the single modality that is best on the other half of the test part.

    Each half of the samples (or groups) is predicted by the modality that scores best on the other
    half, so that none is picked by the samples that it predicts.

    Parameters
    ----------
    alone : dict of str to estimator
        Fitted, for all samples.
    X, y, groups :
        The test part; `groups` may be None.
    scorer : ResampledScorer

    Returns
    -------
    ndarray of shape (1 + n_resamples,)
    """
    classes = getattr(next(iter(alone.values())), "classes_", None)
    position = np.zeros(len(y), int) if classes is None else np.searchsorted(classes, y)
    half = assign_folds(position, 2, groups)
    method = "predict" if classes is None else "predict_proba"
    said = {name: getattr(one, method)(X) for name, one in alone.items()}
    outputs = np.empty_like(next(iter(said.values())))
    for k in (0, 1):
        other = half != k
        scores = {}
        for name, one in alone.items():
            plain = check_single_scoring(one, scorer.plain, "diagnose")
            scores[name] = one_score(plain, one, X[other], y[other])
        best = max(scores, key=scores.get)
        outputs[half == k] = said[best][half == k]
    if classes is None:
        made = RegressorOfOutputs(outputs)
    else:
        made = ClassifierOfOutputs(classes[outputs.argmax(axis=1)], outputs, classes)
    return scorer(made, np.arange(len(y))[:, None], y)
