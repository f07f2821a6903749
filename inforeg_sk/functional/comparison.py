"""Is a difference of two scores real? Intervals and p values for cross-validation and one split.

All of it is numpy: a few numbers, and one of them a row of a table.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = [
    "Comparison",
    "SamplesNeeded",
    "bootstrap_interval",
    "comparison_of_resamples",
    "corrected_resampled_t",
    "holm_adjust",
    "holm_levels",
    "samples_needed",
]

# More than this share of resamples without a score says that the statistic does not fit the data.
_MOST_UNDEFINED = 0.1


class Comparison(NamedTuple):
    """A mean difference, and how sure it is.

    Parameters
    ----------
    estimate : ndarray of shape (...)
        The difference.
    standard_error : ndarray of shape (...)
    low, high : ndarray of shape (...)
        Ends of the interval.
    p_value : ndarray of shape (...)
        Two-sided, of the difference being 0.
    df : float
        Degrees of freedom; infinite for a bootstrap.
    level : ndarray of shape (...)
        Of the interval, such as 0.95.
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    df: float
    level: np.ndarray


class SamplesNeeded(NamedTuple):
    """How many samples would do.

    Parameters
    ----------
    for_half_width : ndarray of shape (...)
        For an interval of half the width.
    to_tell : ndarray of shape (...)
        To tell a difference of the size seen from 0; infinite where the difference is 0.
    """

    for_half_width: np.ndarray
    to_tell: np.ndarray


def corrected_resampled_t(
    differences: ArrayLike, n_train: float, n_test: float, *, level: ArrayLike = 0.95
) -> Comparison:
    """Mean of the paired differences of a cross-validation, by the corrected resampled t.

    The training parts of the folds overlap, so that the folds' differences are not independent and
    the plain paired t test finds differences that are not there. Nadeau and Bengio (2003) put
    ``1/J + n_test/n_train`` in the place of ``1/J`` in the variance of the mean.

    Parameters
    ----------
    differences : array-like of shape (..., J)
        Differences of the two scores; J is the number of folds times repetitions. A repetition is
        a further partition into folds, with its own seeds.
    n_train, n_test : float
        Samples (or groups, where groups are kept together) of a training and of a test part; their
        means where folds differ.
    level : float or array-like of shape (...), default=0.95
        Of the interval.

    Returns
    -------
    Comparison
        With ``J - 1`` degrees of freedom. NaN where a difference is NaN. Differences that are all
        equal have a standard error of 0, and a p value of 0 (of 1 if they are 0).

    Raises
    ------
    ValueError
        If there are fewer than 2 differences, a number of samples is not positive, or `level` is
        not in (0, 1).

    Notes
    -----
    The correction stands for a correlation of ``n_test / (n_train + n_test)`` between any two
    differences. Seeds that are tried on the same folds are more alike than that, and the interval
    is then too narrow: give each repetition folds of its own.

    References
    ----------
    C. Nadeau and Y. Bengio (2003). Inference for the generalization error. Machine Learning 52.

    Examples
    --------
    >>> told = corrected_resampled_t([0.1, 0.2, 0.1, 0.3, 0.2], n_train=80, n_test=20)
    >>> round(float(told.estimate), 3), round(float(told.low), 3), round(float(told.high), 3)
    (0.18, 0.024, 0.336)
    >>> round(float(told.p_value), 3)
    0.033
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] < 2:
        raise ValueError("At least 2 differences are needed for an interval.")
    if not (n_train > 0 and n_test > 0):
        raise ValueError(
            f"n_train and n_test must be positive. Got n_train={n_train!r}, n_test={n_test!r}."
        )
    levels = _check_level(level)
    n_differences = values.shape[-1]
    df = n_differences - 1
    mean, variance = values.mean(axis=-1), values.var(axis=-1, ddof=1)
    # Equal differences have no spread, or only that of rounding.
    variance = np.where(np.ptp(values, axis=-1) == 0, 0.0, variance)
    error = np.sqrt(variance * (1 / n_differences + n_test / n_train))
    half = stats.t.isf((1 - levels) / 2, df) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where((mean == 0) & (error == 0), 0.0, np.abs(mean) / error)
    p_value = 2 * stats.t.sf(t, df)
    levels = np.broadcast_to(levels, mean.shape)
    return Comparison(mean, error, mean - half, mean + half, p_value, df, levels)


def holm_adjust(p_values: ArrayLike) -> np.ndarray:
    """Holm's adjustment: p values that hold for all comparisons of one report together.

    Parameters
    ----------
    p_values : array-like of shape (n_comparisons,)
        NaN for a comparison that could not be made, which then does not count.

    Returns
    -------
    ndarray of shape (n_comparisons,)
        At most 1. Comparisons whose adjusted p value is below alpha hold together: the chance of
        any false one among them is at most alpha.

    Examples
    --------
    >>> holm_adjust([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _check_p_values(p_values)
    adjusted = np.full(p.shape, np.nan)
    order = _in_order(p)
    steps = (len(order) - np.arange(len(order))) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def holm_levels(p_values: ArrayLike, level: float = 0.95) -> np.ndarray:
    """Levels at which each comparison's own interval excludes 0 exactly if Holm's test rejects.

    The steps of Holm's test: the comparison of the smallest of m p values gets
    ``1 - alpha / m``, the next one ``1 - alpha / (m - 1)``, and so on down to the first that is not
    rejected; all after it get its level.

    Parameters
    ----------
    p_values : array-like of shape (n_comparisons,)
        As in `holm_adjust`.
    level : float, default=0.95
        ``1 - alpha``.

    Returns
    -------
    ndarray of shape (n_comparisons,)
        NaN where the p value is NaN.

    Notes
    -----
    The intervals say what Holm's test says. They do not cover all true differences at once with
    probability `level`; those with ``1 - alpha / m`` throughout (Bonferroni) do, and are wider.

    Examples
    --------
    >>> holm_levels([0.001, 0.2, 0.04]).round(4).tolist()
    [0.9833, 0.975, 0.975]
    """
    p = _check_p_values(p_values)
    alpha = 1 - float(_check_level(level))
    levels = np.full(p.shape, np.nan)
    order = _in_order(p)
    shares = alpha / (len(order) - np.arange(len(order)))
    kept = np.flatnonzero(p[order] > shares)
    if len(kept):
        shares[kept[0] :] = shares[kept[0]]
    levels[order] = 1 - shares
    return levels


def samples_needed(comparison: Comparison, n_samples: int, *, power: float = 0.8) -> SamplesNeeded:
    """How many samples would be needed to say more.

    Parameters
    ----------
    comparison : Comparison
        Of `corrected_resampled_t` or `bootstrap_interval`.
    n_samples : int
        Samples that it is from.
    power : float, default=0.8
        Chance with which the interval, at the level of the comparison, is to exclude 0 if the true
        difference is the one seen.

    Returns
    -------
    SamplesNeeded
        Rounded up.

    Notes
    -----
    It holds the difference and the spread of a sample fixed, and the number of folds, so that the
    standard error falls with the root of the number of samples. Networks trained on more samples
    may differ by more or less: it is an order of magnitude, not a promise.

    Examples
    --------
    >>> told = corrected_resampled_t([0.1, 0.3, -0.1, 0.2, 0.0], n_train=80, n_test=20)
    >>> needed = samples_needed(told, 100)
    >>> int(needed.for_half_width), int(needed.to_tell)
    (400, 1555)
    """
    if not 0 < power < 1:
        raise ValueError(f"power must be in (0, 1). Got {power!r}.")
    df = comparison.df
    reach = stats.t.isf((1 - comparison.level) / 2, df) + stats.t.ppf(power, df)
    error, size = comparison.standard_error, np.abs(comparison.estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size == 0, np.inf, reach * error / size)
    to_tell = np.ceil(np.round(n_samples * ratio**2, 6))
    return SamplesNeeded(np.full_like(error, 4.0 * n_samples), to_tell)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float],
    n_samples: int,
    *,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int | np.random.Generator | None = None,
) -> Comparison:
    """Interval of a statistic of the test samples of one fixed split, by the bootstrap.

    It says how the statistic varies with the samples tested, not with those trained on nor with the
    seed.

    Parameters
    ----------
    statistic : callable
        From row numbers (ndarray of int, some of them several times) to a number, such as the
        difference of two scores on these rows.
    n_samples : int
    groups : array-like of shape (n_samples,), default=None
        Whole groups are drawn, as many as there are.
    n_resamples : int, default=1000
    level : float, default=0.95
        Of the interval, which is that of percentiles.
    random_state : int, Generator or None, default=None

    Returns
    -------
    Comparison
        The estimate is of all samples. The p value is twice the share of resamples on the other
        side of 0, and at least ``2 / (n_resamples + 1)``. Resamples whose statistic is NaN, such as
        a ROC curve of one class, are left out.

    Raises
    ------
    ValueError
        If there are fewer than 2 samples or groups, or the statistic is NaN in more than 10 % of
        the resamples.

    Examples
    --------
    >>> import numpy as np
    >>> gains = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    >>> told = bootstrap_interval(lambda rows: gains[rows].mean(), len(gains), random_state=0)
    >>> float(told.estimate), float(told.low), float(told.high)
    (0.625, 0.25, 0.875)
    """
    _check_level(level)
    rng = np.random.default_rng(random_state)
    units = _units(n_samples, groups)
    if len(units) < 2:
        what = "samples" if groups is None else "groups"
        raise ValueError(f"At least 2 {what} are needed for a bootstrap. Got {len(units)}.")
    found = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = rng.integers(len(units), size=len(units))
        rows = drawn if groups is None else np.concatenate([units[k] for k in drawn])
        found[i] = statistic(rows)
    n_undefined = np.count_nonzero(np.isnan(found))
    if n_undefined > _MOST_UNDEFINED * n_resamples:
        raise ValueError(
            f"The statistic is NaN in {n_undefined} of {n_resamples} resamples: there "
            "are too few samples or groups for it."
        )
    return comparison_of_resamples(statistic(np.arange(n_samples)), found, level=level)


def comparison_of_resamples(
    estimate: float, resamples: ArrayLike, *, level: float = 0.95
) -> Comparison:
    """Interval and p value from what a statistic is in bootstrap resamples.

    Parameters
    ----------
    estimate : float
        Of all samples.
    resamples : array-like of shape (n_resamples,)
        NaN where it is not defined.
    level : float, default=0.95
        Of the interval, which is that of percentiles.

    Returns
    -------
    Comparison
        As of `bootstrap_interval`; all NaN where the statistic is NaN in more than 10 % of the
        resamples.

    Examples
    --------
    >>> told = comparison_of_resamples(0.2, [0.1, 0.2, 0.3, 0.2], level=0.5)
    >>> round(float(told.low), 3), round(float(told.high), 3), float(told.p_value)
    (0.175, 0.225, 0.4)
    """
    share = 1 - float(_check_level(level))
    found = np.asarray(resamples, dtype=np.float64)
    told = found[~np.isnan(found)]
    if len(told) < 2 or len(told) < (1 - _MOST_UNDEFINED) * len(found):
        nan = np.asarray(np.nan)
        return Comparison(nan, nan, nan, nan, nan, np.inf, np.asarray(level))
    low, high = np.quantile(told, [share / 2, 1 - share / 2])
    beyond = min(np.count_nonzero(told <= 0), np.count_nonzero(told >= 0))
    return Comparison(
        np.asarray(estimate),
        np.asarray(told.std(ddof=1)),
        np.asarray(low),
        np.asarray(high),
        np.asarray(min(1.0, 2 * (beyond + 1) / (len(told) + 1))),
        np.inf,
        np.asarray(level),
    )


def _units(n_samples: int, groups: ArrayLike | None) -> np.ndarray | list[np.ndarray]:
    """What is drawn: sample numbers, or the rows of each group."""
    if groups is None:
        return np.arange(n_samples)
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    if len(code) != n_samples:
        raise ValueError(f"groups has {len(code)} entries for {n_samples} samples.")
    order = np.argsort(code, kind="stable")
    return np.split(order, np.cumsum(np.bincount(code))[:-1])


def _check_level(level: ArrayLike) -> np.ndarray:
    levels = np.asarray(level, dtype=np.float64)
    if (levels <= 0).any() or (levels >= 1).any():
        raise ValueError(f"level must be in (0, 1). Got {level!r}.")
    return levels


def _check_p_values(p_values: ArrayLike) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or (p < 0).any() or (p > 1).any():
        raise ValueError(f"p_values must be a 1-D array of numbers in [0, 1]. Got {p_values!r}.")
    return p


def _in_order(p: np.ndarray) -> np.ndarray:
    """Positions of the p values that are numbers, the smallest first."""
    order = np.argsort(p, kind="stable")
    return order[: np.count_nonzero(~np.isnan(p))]
