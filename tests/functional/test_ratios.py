"""Ratios of scores of pairs of modalities, against loops."""

from math import inf, isnan

import pytest
import torch

from inforeg_sk.functional import pairwise_score_ratios


def looped(values, present, weight):
    """Each ratio from plain sums over the samples that have both."""
    n_modalities, n_samples = len(values), len(values[0])
    table = []
    for m in range(n_modalities):
        row = []
        for n in range(n_modalities):
            both = [i for i in range(n_samples) if present[m][i] and present[n][i] and weight[i]]
            own, other = (sum(weight[i] * values[k][i] for i in both) for k in (m, n))
            row.append(None if not both else 1.0 if own == other else own / other)
        table.append(row)
    return table


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_ratios_are_those_of_sums_over_the_samples_that_have_both(weighted, missing):
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, 7, dtype=torch.float64, generator=generator)
    present = torch.rand(3, 7, generator=generator) > 0.4 if missing else None
    weight = torch.tensor([0.0, 1, 2, 1, 3, 1, 0.5], dtype=torch.float64) if weighted else None
    got = pairwise_score_ratios(values, present, weight)
    there = torch.ones(3, 7) if present is None else present
    expected = looped(values.tolist(), there.tolist(), [1.0] * 7 if weight is None else weight)
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


def test_pairs_without_a_common_sample_have_no_ratio():
    present = torch.tensor([[1, 1, 0], [0, 0, 1], [1, 1, 1]])
    ratios = pairwise_score_ratios(torch.full((3, 3), 0.5), present)
    assert isnan(ratios[0, 1]) and isnan(ratios[1, 0])
    assert ratios[0, 2] == ratios[2, 1] == 1


def test_samples_of_weight_0_are_no_common_samples():
    ratios = pairwise_score_ratios(torch.full((2, 2), 0.5), weight=torch.zeros(2))
    assert ratios.isnan().all()


def test_scores_of_0_give_no_nan():
    ratios = pairwise_score_ratios(torch.tensor([[0.0], [0.0], [0.5]]))
    assert ratios.tolist() == [[1, 1, 0], [1, 1, 0], [inf, inf, 1]]


def test_leading_axes_are_free():
    values = torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(1))
    stacked = pairwise_score_ratios(values)
    for each, expected in zip(stacked, map(pairwise_score_ratios, values), strict=True):
        torch.testing.assert_close(each, expected)
