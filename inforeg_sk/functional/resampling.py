"""Scores of many bootstrap resamples of a test part at once.

All of it is numpy. Resamples are rows of counts: how often each sample was drawn. Scores here are
functions of such counts, so that no sample is copied and no metric is called a thousand times.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["COUNT_SCORES", "count_score", "draw_counts", "scores_of_counts"]

#: From counts of shape (n_resamples, n_samples), float64, to scores of shape (n_resamples,).
CountScore = Callable[[np.ndarray], np.ndarray]
_Ask = Callable[[str], np.ndarray]
_Maker = Callable[[np.ndarray, _Ask, np.ndarray], CountScore]

# Resamples whose counts are float64 at a time.
_CHUNK = 100


def draw_counts(
    n_samples: int,
    n_resamples: int,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> np.ndarray:
    """How often each sample is in each bootstrap resample.

    Parameters
    ----------
    n_samples : int
    n_resamples : int
    groups : array-like of shape (n_samples,), default=None
        Whole groups are drawn, as many as there are.
    seed : int, default=0

    Returns
    -------
    ndarray of uint16 of shape (n_resamples, n_samples)

    Examples
    --------
    >>> draw_counts(4, 2, groups=["a", "a", "b", "b"]).tolist()
    [[0, 0, 2, 2], [1, 1, 1, 1]]
    """
    code = np.arange(n_samples)
    if groups is not None:
        code = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    n_units = int(code.max()) + 1
    rng = np.random.default_rng(seed)
    counts = np.empty((n_resamples, n_samples), dtype=np.uint16)
    for row in counts:
        drawn = rng.integers(n_units, size=n_units)
        row[:] = np.bincount(drawn, minlength=n_units)[code]
    return counts


def scores_of_counts(score: CountScore, counts: np.ndarray) -> np.ndarray:
    """A score on each of some resamples.

    Parameters
    ----------
    score : callable
        From counts of float64 of shape (n_resamples, n_samples) to scores; see `count_score`.
    counts : ndarray of int of shape (n_resamples, n_samples)

    Returns
    -------
    ndarray of float64 of shape (n_resamples,)
        NaN where a resample has no sample, or where the score is not defined.

    Examples
    --------
    >>> import numpy as np
    >>> hits = np.array([1.0, 0.0])
    >>> counts = np.array([[1, 1], [2, 0], [0, 2]])
    >>> scores_of_counts(lambda n: n @ hits / n.sum(axis=1), counts).tolist()
    [0.5, 1.0, 0.0]
    """
    found = []
    for start in range(0, len(counts), _CHUNK):
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(score(counts[start : start + _CHUNK].astype(np.float64)))
    return np.concatenate(found)


def count_score(
    name: str, y: np.ndarray, ask: _Ask, classes: np.ndarray | None = None
) -> CountScore | None:
    """The score of a name as a function of counts, where there is one here.

    Parameters
    ----------
    name : str
        Of a scikit-learn scorer.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    ask : callable
        From ``"predict"`` or ``"predict_proba"`` to what a model says of the samples.
    classes : ndarray of shape (n_classes,), default=None
        Of a classifier.

    Returns
    -------
    callable or None
        None: the score is none of `COUNT_SCORES`.

    Examples
    --------
    >>> import numpy as np
    >>> y, said = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0])
    >>> score = count_score("r2", y, lambda method: said)
    >>> float(score(np.ones((1, 3)))[0].round(3))
    0.786
    """
    made = COUNT_SCORES.get(name)
    return None if made is None else made(y, ask, np.empty(0) if classes is None else classes)


def _means(counts: np.ndarray, parts: np.ndarray) -> np.ndarray:
    return counts @ parts / counts.sum(axis=1, keepdims=True)


# Classes


def _accuracy(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    hit = np.asarray(ask("predict") == y, dtype=np.float64)[:, None]
    return lambda counts: _means(counts, hit)[:, 0]


def _confusion(y: np.ndarray, ask: _Ask) -> tuple[np.ndarray, ...]:
    """By label of y or of the predictions: is it, is it said, and both."""
    said = ask("predict")
    labels = np.unique(np.concatenate([y, said]))
    is_, says = ((values[:, None] == labels).astype(np.float64) for values in (y, said))
    return labels, is_, says, is_ * says


def _balanced_accuracy(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    _, is_, _, both = _confusion(y, ask)

    def score(counts: np.ndarray) -> np.ndarray:  # over the classes that were drawn
        members = counts @ is_
        recall = np.where(members > 0, counts @ both / members, 0.0)
        return recall.sum(axis=1) / (members > 0).sum(axis=1)

    return score


def _f1(average: str) -> _Maker:
    def make(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
        labels, is_, says, both = _confusion(y, ask)

        def score(counts: np.ndarray) -> np.ndarray:
            members = counts @ is_
            known = members + counts @ says
            f1 = np.where(known > 0, 2 * (counts @ both) / known, 0.0)
            if average == "binary":
                return f1 @ (labels == 1)
            if average == "weighted":
                return (f1 * members).sum(axis=1) / members.sum(axis=1)
            return f1.sum(axis=1) / (known > 0).sum(axis=1)

        return score

    return make


def _log_loss(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    proba = np.asarray(ask("predict_proba"))
    least = np.finfo(proba.dtype).eps
    true = proba[np.arange(len(y)), np.searchsorted(classes, y)].astype(np.float64)
    logs = np.log(true.clip(least, 1 - least))[:, None]
    return lambda counts: _means(counts, logs)[:, 0]


def _area(positive: np.ndarray, said: np.ndarray) -> CountScore:
    """Area under the ROC curve of one class: pairs in the right order, ties by half."""
    order = np.argsort(said, kind="stable")
    sorted_ = said[order]
    first = np.flatnonzero(np.append(True, sorted_[1:] != sorted_[:-1]))
    is_ = positive[order]

    def score(counts: np.ndarray) -> np.ndarray:
        drawn = counts[:, order]
        above = np.add.reduceat(drawn * is_, first, axis=1)
        below = np.add.reduceat(drawn * ~is_, first, axis=1)
        right = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        return right / (above.sum(axis=1) * below.sum(axis=1))

    return score


def _roc_auc(weighted: bool) -> _Maker:
    def make(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
        proba = ask("predict_proba")
        if len(classes) == 2:
            return _area(y == classes[1], proba[:, 1])
        is_ = y[:, None] == classes
        areas = [_area(is_[:, k], proba[:, k]) for k in range(len(classes))]

        def score(counts: np.ndarray) -> np.ndarray:  # NaN where a class was not drawn
            found = np.stack([area(counts) for area in areas], axis=1)
            if not weighted:
                return found.mean(axis=1)
            return (found * _means(counts, is_.astype(np.float64))).sum(axis=1)

        return score

    return make


# Numbers


def _columns(y: np.ndarray, ask: _Ask) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    return values, np.asarray(ask("predict"), dtype=np.float64).reshape(len(y), -1)


def _squared(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    y, said = _columns(y, ask)
    return lambda counts: -_means(counts, (y - said) ** 2).mean(axis=1)


def _root(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    y, said = _columns(y, ask)
    return lambda counts: -np.sqrt(_means(counts, (y - said) ** 2)).mean(axis=1)


def _absolute(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    y, said = _columns(y, ask)
    return lambda counts: -_means(counts, np.abs(y - said)).mean(axis=1)


def _r2(y: np.ndarray, ask: _Ask, classes: np.ndarray) -> CountScore:
    y, said = _columns(y, ask)
    rest = (y - said) ** 2
    y = y - y.mean(axis=0)  # so that the variance below loses no digits

    def score(counts: np.ndarray) -> np.ndarray:
        second = _means(counts, y**2)
        variance = second - _means(counts, y) ** 2
        variance[variance <= 1e-12 * second] = np.nan  # a resample of equal values
        return (1 - _means(counts, rest) / variance).mean(axis=1)

    return score


#: Makers of scores that are functions of counts, by the names of scikit-learn's scorers.
COUNT_SCORES: dict[str, _Maker] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1("binary"),
    "f1_macro": _f1("macro"),
    "f1_weighted": _f1("weighted"),
    "neg_log_loss": _log_loss,
    "roc_auc": _roc_auc(False),
    "roc_auc_ovr": _roc_auc(False),
    "roc_auc_ovr_weighted": _roc_auc(True),
    "neg_mean_squared_error": _squared,
    "neg_root_mean_squared_error": _root,
    "neg_mean_absolute_error": _absolute,
    "r2": _r2,
}
