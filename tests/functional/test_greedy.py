"""Learning speeds and the decision which branch to re-balance, in plain floats."""

from math import inf, log10, nan

import numpy as np
import pytest
import torch
from stacks import one_by_one

from inforeg_sk.functional import branch_to_rebalance, conditional_speed, learning_speed


def make(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, dtype=torch.float64, generator=generator)


def test_speeds_equal_loops():
    gradients, weights = make(6, 3), make(6, 3, seed=1)
    expected = [
        [g / w for g, w in zip(row, other, strict=True)]
        for row, other in zip(gradients.tolist(), weights.tolist(), strict=True)
    ]
    np.testing.assert_allclose(learning_speed(gradients, weights), expected, rtol=1e-14)
    logs = [
        [log10(b / m) for b, m in zip(row, other, strict=True)]
        for row, other in zip(gradients.tolist(), weights.tolist(), strict=True)
    ]
    np.testing.assert_allclose(conditional_speed(gradients, weights), logs, rtol=1e-12)


def test_a_group_without_weights_is_still_and_makes_no_speed():
    zero, one = torch.zeros(2), torch.ones(2)
    assert learning_speed(one, zero).tolist() == [0.0, 0.0]
    found = torch.cat([conditional_speed(zero, one), conditional_speed(one, zero)])
    assert found.isnan().all() and conditional_speed(zero, zero).isnan().all()


@pytest.mark.parametrize(
    ("speeds", "threshold", "expected"),
    [
        ([0.5, 0.2], 0.1, 0),
        ([0.2, 0.5], 0.1, 1),
        ([0.2, 0.5], 0.31, -1),
        ([0.2, 0.2], 0.0, -1),  # not above
        ([0.2, 0.5], inf, -1),
        ([-1.0, -3.0, -0.5], 0.1, 2),
        ([0.3], 0.0, -1),
        ([nan, 0.5, 0.1], 0.1, -1),
    ],
)
def test_decisions_by_hand(speeds, threshold, expected):
    assert branch_to_rebalance(torch.tensor(speeds), threshold).item() == expected


def test_a_branch_that_may_not_be_re_balanced_is_not_and_no_other_takes_its_place():
    speeds = torch.tensor([0.1, 0.9, 0.5])
    active = torch.tensor([True, False, True])
    assert branch_to_rebalance(speeds, 0.1, active).item() == -1
    assert branch_to_rebalance(speeds, 0.1, ~active).item() == 1


@pytest.mark.parametrize("lead", [(5,), (2, 3)])
def test_a_stack_is_one_call_for_each(lead):
    bypass, main = make(*lead, 3), make(*lead, 3, seed=1)
    speeds = conditional_speed(bypass, main)
    assert torch.equal(speeds, one_by_one(conditional_speed, lead, bypass, main))

    def decide(speeds):
        return branch_to_rebalance(speeds, 0.5, torch.tensor([True, True, False]))

    assert torch.equal(decide(speeds), one_by_one(decide, lead, speeds))
