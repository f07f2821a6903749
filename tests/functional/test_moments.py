"""Moments of a table in pieces are those of the table, with the digits of two passes."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from inforeg_sk.functional.moments import (
    merge_moments,
    scale_of_moments,
    weighted_moments,
)


def tables(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 5)) * [1, 1e-2, 1e6, 0, 1] + [0, 1e6, -3, 0.1, 1e9]
    return x, rng.integers(0, 4, 60).astype(float)


def in_pieces(x, weight, cuts):
    x, weight = torch.from_numpy(x), None if weight is None else torch.from_numpy(weight)
    edges = [0, *cuts, len(x)]
    known = None
    for a, b in itertools.pairwise(edges):
        piece = weighted_moments(x[a:b], None if weight is None else weight[a:b])
        known = piece if known is None else merge_moments(known, piece)
    return known


@pytest.mark.parametrize("cuts", [(), (1,), (7, 8, 40), (30, 30), (59,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_equal_scikit_learn_on_repeated_rows(cuts, weighted):
    x, weight = tables()
    rows = np.repeat(x, weight.astype(int), axis=0) if weighted else x
    got = in_pieces(x, weight if weighted else None, cuts)
    expected = StandardScaler().fit(rows)
    assert got.weight == len(rows)
    np.testing.assert_allclose(got.mean, expected.mean_, rtol=1e-13)
    scale = scale_of_moments(got, len(x))
    np.testing.assert_allclose(scale, expected.scale_, rtol=1e-7)
    assert scale[3] == 1  # constant


def test_nothing_has_no_moments_and_changes_none():
    x, weight = tables()
    nothing = weighted_moments(torch.from_numpy(x), torch.zeros(60, dtype=torch.float64))
    assert nothing.weight == 0 and not nothing.mean.any()
    some = in_pieces(x, weight, ())
    for merged in (merge_moments(nothing, some), merge_moments(some, nothing)):
        for a, b in zip(merged, some, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15)
    both = merge_moments(nothing, nothing)
    assert both.weight == 0 and (scale_of_moments(both, 0) == 1).all()


def test_a_deviation_far_below_the_mean_keeps_its_digits():
    x = np.random.default_rng(0).normal(size=(1000, 1)) * 1e-4 + 1e8
    got = scale_of_moments(in_pieces(x, None, range(50, 1000, 50)), 1000)
    np.testing.assert_allclose(got, x.std(axis=0), rtol=1e-5)
