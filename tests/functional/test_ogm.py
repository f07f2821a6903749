"""OGM: ratios of scores and the factors that follow, by hand."""

import math

import pytest
import torch

from inforeg_sk.functional import modulation_coefficient, score_ratio


def test_with_two_modalities_the_ratio_is_the_published_one():
    scores = torch.tensor([0.6, 0.15], dtype=torch.float64)
    torch.testing.assert_close(score_ratio(scores), torch.tensor([4.0, 0.25], dtype=torch.float64))


def test_with_more_it_is_that_to_the_mean_of_the_others():
    scores = torch.tensor([6.0, 1.0, 2.0, 3.0])
    torch.testing.assert_close(score_ratio(scores), torch.tensor([3.0, 3 / 11, 6 / 10, 1.0]))


def test_sums_and_means_of_a_batch_have_the_same_ratios():
    scores = torch.rand(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(score_ratio(scores), score_ratio(scores / 64))


def test_others_far_behind_keep_their_digits():
    scores = torch.tensor([1.0, 3e-9])
    assert score_ratio(scores)[0].item() == pytest.approx(1 / 3e-9, rel=1e-6)


def test_modalities_without_scores_do_not_count():
    scores = torch.tensor([[4.0, 9.0, 2.0], [4.0, 0.0, 0.0]])
    scored = torch.tensor([[True, False, True], [True, False, False]])
    expected = torch.tensor([[2.0, 1.0, 0.5], [1.0, 1.0, 1.0]])
    torch.testing.assert_close(score_ratio(scores, scored), expected)


def test_a_single_modality_has_the_ratio_1():
    assert score_ratio(torch.tensor([0.3])).tolist() == [1.0]


@pytest.mark.parametrize("alpha", [0.0, 0.8])
def test_where_the_others_score_0_all_is_finite(alpha):
    ratio = score_ratio(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    k = modulation_coefficient(ratio, alpha)
    assert ratio.isfinite().all() and ratio[0, 0] > 1e30
    lowest = 0.0 if alpha else 1.0
    assert k.tolist() == [[lowest, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("ratio", "alpha", "k"), [(2.0, 0.1, 0.8026), (2.0, 0.8, 0.0783), (1.0001, 0.8, 0.3359)]
)
def test_factors_of_leaders_by_hand(ratio, alpha, k):
    got = modulation_coefficient(torch.tensor([ratio, 1 / ratio], dtype=torch.float64), alpha)
    assert got[0].item() == pytest.approx(k, abs=6e-5)
    assert got[0].item() == pytest.approx(1 - math.tanh(alpha * ratio), rel=1e-12)
    assert got[1] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_lead_of_rounding_is_none(dtype):
    eps = torch.finfo(dtype).eps
    ratio = torch.tensor([1.0, 1 + 7 * eps, 1 + 10 * eps], dtype=dtype)
    assert (modulation_coefficient(ratio, 0.8) == 1).tolist() == [True, True, False]


def test_many_networks_are_a_loop():
    scores = torch.rand(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    alphas = torch.linspace(0, 2, 5, dtype=torch.float64)
    together = modulation_coefficient(score_ratio(scores), alphas[:, None])
    for k, alpha in enumerate(alphas.tolist()):
        torch.testing.assert_close(
            together[k], modulation_coefficient(score_ratio(scores[k]), alpha), rtol=0, atol=0
        )
