"""Folds by classes and groups."""

import numpy as np
import pytest

from inforeg_sk.ensemble.folds import assign_folds


def test_classes_are_spread_evenly_however_few_members_they_have():
    y = np.repeat([0, 1, 2, 3], [40, 23, 2, 1])
    fold = assign_folds(y, 5, seed=3)
    for k, count in enumerate([40, 23, 2, 1]):
        held = np.bincount(fold[y == k], minlength=5)
        assert held.sum() == count and held.max() - held.min() <= 1
    sizes = np.bincount(fold)
    assert len(sizes) == 5 and sizes.max() - sizes.min() <= 1


def test_groups_are_never_cut_and_no_fold_is_empty():
    rng = np.random.default_rng(0)
    for seed in range(20):
        group = rng.integers(0, 7, 60)
        y = rng.integers(0, 3, 60)
        n_folds = min(5, len(np.unique(group)))
        fold = assign_folds(y, n_folds, group, seed)
        assert all(len(np.unique(fold[group == g])) == 1 for g in np.unique(group))
        assert set(fold) == set(range(n_folds))


def test_groups_of_one_class_are_spread_over_the_folds():
    group = np.repeat(np.arange(12), 5)
    y = group % 2  # a group has one class
    fold = assign_folds(y, 3, group)
    for k in range(3):
        np.testing.assert_array_equal(np.bincount(y[fold == k]), [10, 10])


@pytest.mark.parametrize("groups", [None, np.arange(30) // 2])
def test_another_seed_gives_other_folds(groups):
    y = np.arange(30) % 2
    one, same, other = (assign_folds(y, 3, groups, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
