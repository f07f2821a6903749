"""Shapley values against brute force over orders, and the factors of AGM by hand."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from inforeg_sk.functional import (
    agm_coefficient,
    mean_others_ahead,
    response_losses,
    shapley_responses,
)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_shapley_values_are_means_over_all_orders_of_joining(n):
    values = draw(2**n, 5, 2)
    expected = torch.zeros(n, 5, 2, dtype=torch.float64)
    orders = list(permutations(range(n)))
    for order in orders:
        members = 0
        for m in order:
            expected[m] += (values[members | 1 << m] - values[members]) / len(orders)
            members |= 1 << m
    got = shapley_responses(values)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(got.sum(dim=0), values[-1] - values[0], rtol=1e-12, atol=1e-14)


def test_two_players_by_the_published_formula():
    none, one, two, both = draw(4, 3)
    got = shapley_responses(torch.stack([none, one, two, both]))
    torch.testing.assert_close(got[0], (both - two + one - none) / 2)


def test_losses_of_responses_have_a_floor_of_probability():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 50.0]], dtype=torch.float64)
    got = response_losses(logits, torch.tensor([1, 0]))
    np.testing.assert_allclose(got.numpy(), [-math.log(0.75), -math.log(1e-8)], rtol=1e-12)


def test_how_far_ahead_a_modality_is_by_hand():
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert mean_others_ahead(losses).tolist() == [3.0, 1.5, -4.5]
    # The same by the mean over all.
    torch.testing.assert_close(mean_others_ahead(losses), 3 / 2 * (losses.mean() - losses))
    scored = torch.tensor([True, False, True])
    assert mean_others_ahead(losses, scored).tolist() == [5.0, 0.0, -5.0]
    assert mean_others_ahead(torch.tensor([2.0])).tolist() == [0.0]


def test_factors_by_hand():
    lead = torch.tensor([0.5, 0.0, -1.0], dtype=torch.float64)
    reference = torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64)
    got = agm_coefficient(lead, reference, 0.7, 10.0)
    expected = [math.exp(0.7 * (1 - math.exp(0.5))), 1.0, math.exp(0.7 * 10)]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)
    assert got[0] < 1 < got[2]  # ahead: slowed; fallen back: sped up
    uncapped = agm_coefficient(lead, reference, 0.7, None)
    assert uncapped[2].item() == pytest.approx(math.exp(0.7 * (math.exp(3) - math.exp(-1))))


def test_without_a_cap_factors_stay_finite():
    lead, reference = torch.tensor([-18.0, 18.0]), torch.tensor([18.0, -18.0])
    got = agm_coefficient(lead, reference, 5.0, None)
    assert got.isfinite().all() and got[1] == 0
    assert (agm_coefficient(lead, reference, 0.0, None) == 1).all()
