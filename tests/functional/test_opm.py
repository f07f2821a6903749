"""The maths of OPM by hand."""

from math import tanh

import numpy as np
import pytest
import torch

from inforeg_sk.functional import lead_over_mean, leading_drop_rate, pairwise_score_ratios


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.6, 0.3), (2, 0.5)),
        ((0.6, 0.3, 0.5), (1.5, 0.3 / 0.55, 0.5 / 0.45)),
        ((0.5, 0.0), (np.inf, 0)),
        ((0.0, 0.0), (1, 1)),
        ((0.7,), (1,)),
    ],
)
def test_lead_is_the_score_over_the_mean_of_the_others(scores, expected):
    ratios = pairwise_score_ratios(torch.tensor(scores, dtype=torch.float64)[:, None])
    np.testing.assert_allclose(lead_over_mean(ratios), expected)


def test_others_without_a_common_sample_are_left_out():
    values = torch.tensor([[0.6, 0.6], [0.3, 0.3], [0.1, 0.1]]).double()
    present = torch.tensor([[1, 0], [1, 0], [0, 1]])
    np.testing.assert_allclose(lead_over_mean(pairwise_score_ratios(values, present)), [2, 0.5, 1])


def test_rate_by_hand():
    got = leading_drop_rate(torch.tensor([0.5, 1.0, 1.5, torch.inf]).double(), 0.4, 2.0)
    np.testing.assert_allclose(got, [0, 0, 0.4 * tanh(1.0), 0.4])


@pytest.mark.parametrize(("q", "alpha"), [(0.0, 1.0), (0.5, 0.0)])
def test_without_strength_nothing_is_dropped(q, alpha):
    assert leading_drop_rate(torch.tensor([0.5, 1.0, torch.inf]), q, alpha).tolist() == [0, 0, 0]
