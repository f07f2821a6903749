"""PMR's maths against loops, numpy and scipy, and factors worked by hand."""

from math import nan

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import entropy

from inforeg_sk.functional import (
    class_sums,
    helping_weight,
    pairwise_score_ratios,
    prototype_entropy,
    prototype_logits,
    prototypes_of,
    refresh_prototypes,
    restraining_weight,
)


def ratios_of(*scores):
    return pairwise_score_ratios(torch.tensor(scores, dtype=torch.float64)[:, None])


def test_prototypes_are_class_means():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)
    got = prototypes_of(*class_sums(torch.from_numpy(z), torch.from_numpy(y), 3))
    np.testing.assert_allclose(got, [z[y == k].mean(axis=0) for k in range(3)])


def test_prototypes_of_weighted_samples_are_those_of_repeated_samples():
    rng = np.random.default_rng(0)
    z, y, n = rng.normal(size=(20, 4)), rng.integers(0, 3, 20), rng.integers(0, 3, 20)
    z, y, n = map(torch.from_numpy, (z, y, n))
    weighted = prototypes_of(*class_sums(z, y, 3, n))
    repeated = prototypes_of(*class_sums(z.repeat_interleave(n, 0), y.repeat_interleave(n), 3))
    torch.testing.assert_close(weighted, repeated)


def test_a_class_without_samples_has_no_prototype():
    got = prototypes_of(*class_sums(torch.ones(2, 3), torch.tensor([0, 2]), 3))
    assert got.isnan().any(dim=1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("momentum", "expected"),
    [(0.0, [4, 1, 7, nan]), (0.25, [3.25, 1, 7, nan]), (1.0, [1, 1, 7, nan])],
)
def test_refreshed_prototypes_keep_what_the_other_lacks(momentum, expected):
    old, fresh = (
        torch.tensor([[1.0], [1.0], [nan], [nan]]),
        torch.tensor([[4.0], [nan], [7.0], [nan]]),
    )
    got = refresh_prototypes(old, fresh, momentum)[:, 0]
    torch.testing.assert_close(got, torch.tensor(expected), equal_nan=True)


def test_logits_are_minus_euclidean_distances():
    rng = np.random.default_rng(0)
    z, prototypes = 1e4 + rng.normal(size=(6, 5)), 1e4 + rng.normal(size=(40, 5))
    got = prototype_logits(torch.from_numpy(z), torch.from_numpy(prototypes))
    np.testing.assert_allclose(got, -cdist(z, prototypes), rtol=1e-9)


def test_gradient_at_a_prototype_is_0():
    z = torch.ones(1, 3, requires_grad=True)
    prototypes = torch.stack([torch.ones(3), torch.zeros(3)])
    prototype_logits(z, prototypes)[:, 0].sum().backward()
    assert z.grad.tolist() == [[0, 0, 0]]


def test_an_unknown_class_is_as_far_away_as_the_farthest():
    z = torch.zeros(1, 2, requires_grad=True)
    logits = prototype_logits(z, torch.tensor([[3.0, 4.0], [nan, nan], [0.0, 1.0]]))
    assert logits.tolist() == [[-5, -5, -1]]
    (gradient,) = torch.autograd.grad(logits[0, 1], z)
    assert gradient.tolist() == [[0, 0]]  # it pulls at nothing
    assert prototype_logits(z, torch.full((3, 2), nan)).tolist() == [[0, 0, 0]]


def test_entropy_is_that_of_scipy():
    logits = np.random.default_rng(0).normal(size=(5, 4)) * 3
    expected = entropy(np.exp(logits), axis=1)
    np.testing.assert_allclose(prototype_entropy(torch.from_numpy(logits)), expected)


@pytest.mark.parametrize(
    ("scores", "beta", "gamma"),
    [
        ((0.5, 0.5), (0, 0), (0, 0)),
        ((0.4, 0.6), (0.5, 0), (0, 0.5)),
        ((0.9, 0.3), (0, 1), (1, 0)),  # clipped: 3 - 1
        ((0.0, 0.3), (1, 0), (0, 1)),
        ((0.0, 0.0), (0, 0), (0, 0)),
        ((0.4, 0.6, 0.5), (0.5, 0, 0.2), (0, 0.5, 0.25)),
        ((0.7,), (0,), (0,)),
    ],
)
def test_factors_by_hand(scores, beta, gamma):
    """With two modalities beta = clip(1/rho - 1, 0, 1) and gamma = clip(rho - 1, 0, 1)."""
    ratios = ratios_of(*scores)
    np.testing.assert_allclose(helping_weight(ratios), beta, atol=1e-15)
    np.testing.assert_allclose(restraining_weight(ratios), gamma, atol=1e-15)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.4, 0.6), (1, 0)),
        ((0.5, 0.5), (0, 0)),
        ((0.5, 0.5 + 1e-16), (0, 0)),  # rounding is no lead
        ((0.4, 0.6, 0.59), (1, 0, 1)),
    ],
)
def test_hard_factors_switch_the_weaker_on(scores, expected):
    assert helping_weight(ratios_of(*scores), hard=True).tolist() == list(expected)


def test_a_pair_without_common_samples_does_not_count():
    present = torch.tensor([[1, 0], [0, 1], [1, 0]])
    ratios = pairwise_score_ratios(
        torch.tensor([[0.4, 0.4], [0.9, 0.9], [0.5, 0.5]]).double(), present
    )
    np.testing.assert_allclose(helping_weight(ratios), [0.25, 0, 0])
    np.testing.assert_allclose(restraining_weight(ratios), [0, 0, 0.25])


def test_leading_axes_are_free():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 8, 4, generator=generator)
    y = torch.randint(0, 2, (3, 8), generator=generator)
    prototypes = prototypes_of(*class_sums(z, y, 2))
    logits = prototype_logits(z, prototypes)
    for k in range(3):
        expected = prototypes_of(*class_sums(z[k], y[k], 2))
        torch.testing.assert_close(prototypes[k], expected)
        torch.testing.assert_close(logits[k], prototype_logits(z[k], expected))
