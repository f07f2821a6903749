"""Folds by classes and by groups, for any number of members that a class has."""

import numpy as np

__all__ = ["assign_folds"]


def assign_folds(y, n_folds, groups=None, seed=0):
    """Fold of each sample: classes spread evenly, groups never cut.

    Unlike scikit-learn's splitters it takes classes of fewer members than folds.

    Parameters
    ----------
    y : ndarray of int of shape (n_samples,)
        Positions of the classes; all zeros where there are none.
    n_folds : int
        At most the number of samples, or of groups.
    groups : ndarray of shape (n_samples,) or None
    seed : int

    Returns
    -------
    ndarray of int of shape (n_samples,)
        None of the folds is empty.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0, 0, 0, 0, 1, 1])
    >>> fold = assign_folds(y, 2)
    >>> np.bincount(fold[y == 0]), np.bincount(fold[y == 1])
    (array([2, 2]), array([1, 1]))
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        return _by_classes(y, n_folds, rng)
    return _by_groups(y, n_folds, np.asarray(groups), rng)


def _by_classes(y, n_folds, rng):
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), dtype=int)
    fold[order] = np.arange(len(y)) % n_folds
    return fold


def _by_groups(y, n_folds, groups, rng):
    """Large and lopsided groups first, each to the fold that keeps the classes most even."""
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), y.max() + 1))
    np.add.at(counts, (group, y), 1)
    share = counts / counts.sum(axis=0).clip(min=1)
    order = rng.permutation(len(names))
    order = order[np.argsort(-(counts[order] ** 2).sum(axis=1), kind="stable")]
    held, fold_of = np.zeros((n_folds, counts.shape[1])), np.empty(len(names), dtype=int)
    sizes = np.zeros(n_folds)
    for i, g in enumerate(order):
        # What moves is the sum of squares of the shares: the less, the more even.
        cost = 2 * held @ share[g]
        empty = sizes == 0
        if empty.sum() >= len(order) - i:  # no fold stays empty
            cost = np.where(empty, cost, np.inf)
        best = np.lexsort([sizes, cost.round(12)])[0]
        fold_of[g] = best
        held[best] += share[g]
        sizes[best] += counts[g].sum()
    return fold_of[group]
