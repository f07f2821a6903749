"""The regulation in Python numbers against the same in tensors, and against hand computations."""

from math import inf, nan

import pytest
import torch

from inforeg_sk.functional import (
    coefficient_numbers,
    gap_numbers,
    on_host,
    pairwise_gap_numbers,
    pairwise_performance_gap,
    performance_gap,
    pull_share,
    regulation_coefficient,
    share_numbers,
)

EPS = torch.finfo(torch.float64).eps


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def near(numbers, tensor):
    assert all(type(number) is float for number in numbers)
    torch.testing.assert_close(
        torch.tensor(numbers, dtype=torch.float64), tensor, rtol=1e-14, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("m", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_one_network_in_numbers_is_the_same_in_tensors(m, seed):
    scores, pairs = random(m, seed=seed), random(m, m, seed=seed)
    alpha = torch.linspace(0.0, 2.0, m, dtype=torch.float64)
    gap = performance_gap(scores)
    near(gap_numbers(scores.tolist(), EPS), gap)
    near(pairwise_gap_numbers(pairs.tolist(), EPS), pairwise_performance_gap(pairs))
    coefficient = regulation_coefficient(gap, alpha, 0.9)
    near(coefficient_numbers(gap.tolist(), alpha.tolist(), 0.9), coefficient)
    near(share_numbers(coefficient.tolist(), 13), pull_share(coefficient, 13))


@pytest.mark.parametrize(
    "scores",
    [
        [1.0, 1.0 + 4 * EPS, 1.0 - 4 * EPS],  # ties
        [1.0, 1.0 + 40 * EPS, 0.0],
        [-inf, -inf, 0.0],
        [inf, 1.0, inf],
        [nan, 1.0, 0.0],
        [0.0, 0.0, 0.0],
        [1e308, -1e308, 0.0],
    ],
    ids=str,
)
def test_ties_and_what_is_not_finite_are_as_in_tensors(scores):
    expected = performance_gap(torch.tensor(scores, dtype=torch.float64))
    near(gap_numbers(scores, EPS), expected)
    near(
        coefficient_numbers(gap_numbers(scores, EPS), [1.0, 2.0, 3.0], 0.9),
        regulation_coefficient(expected, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), 0.9),
    )


def test_ties_are_of_the_type_that_the_scores_had():
    scores = torch.tensor([1.0, 1.0 + 1e-6], dtype=torch.float32)
    eps = torch.finfo(torch.float32).eps
    assert gap_numbers(scores.tolist(), eps) == [0.0, 0.0] == performance_gap(scores).tolist()
    assert gap_numbers(scores.tolist(), EPS)[1] > 0


def test_by_hand():
    assert gap_numbers([3.0, 1.0, 0.0], EPS) == [2.5, 1.0, 0.0]
    assert pairwise_gap_numbers([[4.0, 2.0], [6.0, 6.0]], EPS) == [0.0, 4.0]
    assert coefficient_numbers([0.0, -1.0, 50.0], [2.0, 2.0, 2.0], 1.0) == [
        0.0,
        0.0,
        pytest.approx(2 * 2.718281828459045),
    ]
    assert share_numbers([0.0, inf], 4) == [0.0, 1.0]


def test_only_the_cpu_is_the_host():
    assert on_host(torch.device("cpu"))
    assert not any(on_host(torch.device(name)) for name in ("cuda", "mps", "meta"))
