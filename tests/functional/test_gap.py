"""Performance gaps against plain loops, and what counts as a tie."""

from functools import partial
from math import inf, nan

import numpy as np
import pytest
import torch
from stacks import one_by_one
from torch.func import vmap

from inforeg_sk.functional import (
    TIE_TOLERANCE,
    batch_score,
    pairwise_batch_scores,
    pairwise_performance_gap,
    performance_gap,
    regulation_coefficient,
)

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)
assert_near = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-14)

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
short_too = pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
stacks = pytest.mark.parametrize("lead", [(7,), (2, 3)])
modalities = pytest.mark.parametrize("m", [1, 2, 3, 5])


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def slow_gap(scores):
    """Gap of each modality from a list, without ties."""
    gaps = []
    for mine in scores:
        leads = [mine - other for other in scores if other < mine]
        gaps.append(sum(leads) / len(leads) if leads else 0.0)
    return gaps


def slow_pairwise_gap(scores):
    """Gap of each modality from a list of lists, without ties."""
    gaps = []
    for m, row in enumerate(scores):
        leads = [row[n] - scores[n][m] for n in range(len(scores)) if scores[n][m] < row[n]]
        gaps.append(sum(leads) / len(leads) if leads else 0.0)
    return gaps


def below(score, steps):
    """Return the number that many steps of rounding below a score."""
    for _ in range(steps):
        score = torch.nextafter(score, torch.full_like(score, -inf))
    return score


def coefficient(gap):
    return regulation_coefficient(gap, torch.full_like(gap, 3.0), 0.9)


def assert_tie(scores):
    """Nobody is ahead: in a vector, and as a matrix of scores on the same samples."""
    scores = torch.as_tensor(scores)
    pairs = scores[:, None].expand(-1, len(scores))
    for gap in (performance_gap(scores), pairwise_performance_gap(pairs)):
        assert_same(gap, torch.zeros_like(scores))
        assert_same(coefficient(gap), torch.zeros_like(scores))


# Numbers


def test_gaps_by_hand():
    scores = torch.tensor([[3.0, 1.0, 0.0], [-1.0, -1.0, -2.0], [5.0, 5.0, 5.0]])
    expected = [[2.5, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert performance_gap(scores).tolist() == expected


def test_pairwise_gaps_by_hand():
    # Modality 0 leads 1 by 3, trails 2 by 1; modality 1 leads 2 by 2.
    scores = torch.tensor([[0.0, 4.0, 1.0], [1.0, 0.0, 7.0], [2.0, 5.0, 0.0]])
    assert pairwise_performance_gap(scores).tolist() == [3.0, 2.0, 1.0]


@modalities
def test_gaps_equal_loops(m):
    scores = random(20, m)
    np.testing.assert_allclose(
        performance_gap(scores), [slow_gap(row) for row in scores.tolist()], rtol=1e-12
    )
    pairs = random(20, m, m, seed=1)
    np.testing.assert_allclose(
        pairwise_performance_gap(pairs),
        [slow_pairwise_gap(rows) for rows in pairs.tolist()],
        rtol=1e-12,
    )


@short_too
def test_a_single_modality_is_never_ahead(dtype):
    for value in (-3.0, 0.0, 5.0, inf, -inf, nan):
        scores = torch.tensor([value], dtype=dtype)
        assert performance_gap(scores).tolist() == [0.0]
        assert pairwise_performance_gap(scores[:, None]).tolist() == [0.0]


def test_the_order_of_modalities_does_not_matter():
    scores, pairs = random(5), random(5, 5, seed=1)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert_near(performance_gap(scores[order]), performance_gap(scores)[order])
    got = pairwise_performance_gap(pairs[order][:, order])
    assert_near(got, pairwise_performance_gap(pairs)[order])


def test_the_diagonal_does_not_matter():
    pairs = random(4, 3, 3)
    changed = pairs + torch.diag(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    assert_same(pairwise_performance_gap(changed), pairwise_performance_gap(pairs))


@dtypes
@stacks
@modalities
def test_gaps_of_a_stack_equal_single_networks_bit_for_bit(m, lead, dtype):
    scores = random(*lead, m, dtype=dtype)
    pairs = random(*lead, m, m, dtype=dtype, seed=1)
    # Some networks with ties.
    scores[0, ..., -1] = below(scores[0, ..., 0], 2)
    for function, values in ((performance_gap, scores), (pairwise_performance_gap, pairs)):
        assert_same(function(values), one_by_one(function, lead, values))
        regulated = one_by_one(lambda one, f=function: coefficient(f(one)), lead, values)
        assert_same(coefficient(function(values)), regulated)


@modalities
@pytest.mark.parametrize("mean", [True, False])
def test_vector_and_pairs_agree_where_samples_are_complete(m, mean):
    values = -random(7, m, 50).abs()
    weight = random(7, 50, seed=1).abs()
    present = torch.ones_like(values)
    scores = batch_score(values, present * weight[:, None], mean=mean)
    pairs = pairwise_batch_scores(values, present, weight, mean=mean)
    assert_near(pairwise_performance_gap(pairs), performance_gap(scores), rtol=1e-10, atol=1e-12)
    # The same numbers give the same bits.
    expanded = scores[..., None].expand(*scores.shape, m)
    assert_same(pairwise_performance_gap(expanded), performance_gap(scores))


# Ties


@short_too
@pytest.mark.parametrize("steps", [1, 4, 8])
@pytest.mark.parametrize("score", [1.0, 1.875, 1000.0, 1e-3, -1.0, -0.7, -1e6])
def test_a_lead_by_rounding_is_a_tie(score, steps, dtype):
    score = torch.tensor(score, dtype=dtype)
    behind = below(score, steps)
    assert behind < score
    assert_tie(torch.stack([score, behind]))
    assert_tie(torch.stack([behind, score, score]))


@short_too
@pytest.mark.parametrize("sign", [1, -1])
def test_a_lead_above_the_tolerance_counts(sign, dtype):
    assert TIE_TOLERANCE == 8
    eps = torch.finfo(dtype).eps
    small, large = 1.0, 1.0 + 9 * eps
    scores = sign * torch.tensor([small, large], dtype=dtype)
    lead = [0.0, 9 * eps][::sign]
    assert performance_gap(scores).tolist() == lead
    assert pairwise_performance_gap(scores[:, None].expand(2, 2)).tolist() == lead
    assert (coefficient(performance_gap(scores)) > 0).tolist() == [x > 0 for x in lead]
    # One step less is a tie.
    scores = sign * torch.tensor([small, 1.0 + 8 * eps], dtype=dtype)
    assert_tie(scores)


@short_too
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_two_that_tie_are_ahead_of_the_third_alike(steps, dtype):
    first = torch.tensor(-0.5, dtype=dtype)
    scores = torch.stack([first, below(first, steps), torch.tensor(-1.5, dtype=dtype)])
    # Not the mean of 0 and 1.
    expected = [scores[0] - scores[2], scores[1] - scores[2], torch.zeros((), dtype=dtype)]
    assert_same(performance_gap(scores), torch.stack(expected))
    pairs = scores[:, None].expand(3, 3)
    assert_same(pairwise_performance_gap(pairs), torch.stack(expected))


@dtypes
def test_one_ahead_of_two_that_tie_is_ahead_by_their_mean(dtype):
    last = torch.tensor(-1.5, dtype=dtype)
    scores = torch.stack([last, torch.tensor(-0.5, dtype=dtype), below(last, 4)])
    gap = performance_gap(scores)
    assert gap[[0, 2]].tolist() == [0.0, 0.0]
    assert gap[1].item() == pytest.approx(1.0, rel=1e-6)


@dtypes
def test_each_pair_ties_by_itself(dtype):
    # Neighbours tie, the two ends do not.
    eps = torch.finfo(dtype).eps
    scores = torch.tensor([1.0, 1.0 + 6 * eps, 1.0 + 12 * eps], dtype=dtype)
    assert performance_gap(scores).tolist() == [0.0, 0.0, 12 * eps]


@dtypes
@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_scale_changes_no_tie(scale, dtype):
    steps = torch.tensor(-0.5, dtype=dtype)
    tied = torch.stack([steps, below(steps, 3), below(steps, 1)])
    assert_tie(tied * scale)
    apart = torch.tensor([-0.5, -0.7, -1.5], dtype=dtype)
    got = performance_gap(apart * scale)
    torch.testing.assert_close(got, performance_gap(apart) * scale)
    # The tolerance scales with the scores.
    above = torch.tensor([1.0, 1.0 + 16 * torch.finfo(dtype).eps], dtype=dtype) * scale
    assert (performance_gap(above) > 0).tolist() == [False, True]


def pairwise_sum(values):
    """Sum of halves of halves."""
    if len(values) == 1:
        return values[0]
    return pairwise_sum(values[: len(values) // 2]) + pairwise_sum(values[len(values) // 2 :])


@dtypes
@pytest.mark.parametrize("seed", range(10))
def test_sums_of_the_same_numbers_in_another_order_tie(seed, dtype):
    logits = random(1000, 2, dtype=dtype, seed=seed)
    values = logits.log_softmax(dim=-1)[:, 0]
    shuffled = values[torch.randperm(1000, generator=torch.Generator().manual_seed(seed))]
    sums = [
        values.sum(),
        values.flip(0).sum(),
        shuffled.sum(),
        values.reshape(10, 100).sum(dim=1).sum(),
        values.reshape(10, 100).sum(dim=0).sum(),
        values @ torch.ones_like(values),
        pairwise_sum(values),
    ]
    for scale in (1.0, 1 / 1000):
        assert_tie(torch.stack(sums) * scale)


@dtypes
@pytest.mark.parametrize("mean", [True, False])
def test_all_ways_to_the_score_of_the_same_samples_tie(mean, dtype):
    values = -random(1000, dtype=dtype).abs()
    ones = torch.ones(1, 1000, dtype=dtype)
    scores = [
        batch_score(values[None], mean=mean),
        batch_score(values[None], ones, mean=mean),
        batch_score(values.flip(0)[None], mean=mean),
        pairwise_batch_scores(values[None], ones, mean=mean)[0],
        pairwise_batch_scores(values[None], ones, ones[0], mean=mean)[0],
    ]
    assert_tie(torch.cat(scores))


# Odd scores


@short_too
def test_zeros_tie(dtype):
    assert_tie(torch.zeros(3, dtype=dtype))
    assert_tie(torch.tensor([0.0, -0.0], dtype=dtype))


@short_too
@pytest.mark.parametrize(
    "scores, gap",
    [
        ([inf, 0.0], [inf, 0.0]),
        ([0.0, -inf], [inf, 0.0]),
        ([inf, -inf], [inf, 0.0]),
        ([inf, inf, 0.0], [inf, inf, 0.0]),
        ([1.0, -inf, -inf], [inf, 0.0, 0.0]),
        ([inf, inf], [0.0, 0.0]),
        ([-inf, -inf], [0.0, 0.0]),
    ],
)
def test_an_infinite_difference_is_no_tie(scores, gap, dtype):
    scores = torch.tensor(scores, dtype=dtype)
    got = performance_gap(scores)
    assert got.tolist() == gap
    assert pairwise_performance_gap(scores[:, None].expand(-1, len(scores))).tolist() == gap
    strength = 3 * np.exp(0.9)
    expected = [strength if g else 0.0 for g in gap]
    assert coefficient(got).tolist() == pytest.approx(expected, rel=1e-2)


@dtypes
def test_a_difference_that_overflows_is_no_tie(dtype):
    largest = torch.finfo(dtype).max
    gap = performance_gap(torch.tensor([largest, -largest, -largest / 2], dtype=dtype))
    assert gap.tolist() == [inf, 0.0, largest / 2]


@short_too
def test_a_score_that_is_nan_pulls_nobody_wrongly(dtype):
    scores = torch.tensor([[nan, 1.0], [nan, nan], [1.0, nan]], dtype=dtype)
    assert_same(performance_gap(scores), torch.zeros_like(scores))
    pairs = torch.tensor([[0.0, nan], [1.0, 0.0]], dtype=dtype)
    gap = pairwise_performance_gap(pairs)
    assert_same(gap, torch.zeros(2, dtype=dtype))
    assert_same(coefficient(gap), torch.zeros(2, dtype=dtype))


def test_a_network_with_nan_does_not_change_the_others():
    scores = random(7, 3)
    expected = performance_gap(scores)
    scores[3, 1], expected[3] = nan, 0.0
    keep = torch.arange(7) != 3
    assert_same(performance_gap(scores)[keep], expected[keep])
    assert not performance_gap(scores).isnan().any()


# How they are called

FORMS = [(performance_gap, (3,)), (pairwise_performance_gap, (3, 3))]
forms = pytest.mark.parametrize("function, shape", FORMS)


@dtypes
@forms
def test_vmap_equals_a_leading_axis(function, shape, dtype):
    scores = random(7, *shape, dtype=dtype)
    scores[2] = 1.0
    assert_same(vmap(function)(scores), function(scores))
    assert_same(vmap(lambda one: coefficient(function(one)))(scores), coefficient(function(scores)))


@short_too
@forms
def test_dtype_is_kept_and_inputs_are_not_modified(function, shape, dtype):
    scores = random(7, *shape, dtype=dtype)
    before = scores.clone()
    result = function(scores)
    assert result.dtype == dtype and result.shape == (7, 3)
    assert_same(scores, before)


@forms
def test_shapes_are_known_without_values(function, shape):
    result = function(torch.empty(2, 7, *shape, device="meta"))
    assert result.device.type == "meta" and result.shape == (2, 7, 3)


@forms
def test_scores_that_are_views_give_the_same(function, shape):
    scores = random(*shape, 7).movedim(-1, 0)
    assert not scores.is_contiguous()
    assert_same(function(scores), function(scores.contiguous()))


def test_an_infinite_score_does_not_make_others_tie():
    gap = performance_gap(torch.tensor([float("inf"), 2.0, 1.0]))
    assert gap.tolist() == [float("inf"), 1.0, 0.0]
    pairs = torch.tensor([[1e9, 3.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert pairwise_performance_gap(pairs).tolist() == [2.0, 0.0, 0.0]
