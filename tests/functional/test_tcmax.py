"""The loss of TCMax against sums over all re-pairings."""

from functools import partial
from itertools import product
from math import e, exp, log

import pytest
import torch
from stacks import one_by_one

from inforeg_sk.functional import re_paired_log_normalizer, total_correlation_loss

N, C = 4, 3
assert_close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)


def make(m, lead=(), prior=False, seed=0):
    """Terms of the logits, target and log prior."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, dtype=torch.float64, generator=generator)
    target = torch.randint(C, (*lead, N), generator=generator)
    return 2 * draw(*lead, m, N, C), target, draw(*lead, C).log_softmax(-1) if prior else None


def logits_of(terms, prior):
    """Joint and unimodal logits as a network gives them: each has the log prior once."""
    prior = 0 if prior is None else prior[..., None, :]
    alone = terms + (prior if isinstance(prior, int) else prior[..., None, :, :])
    return terms.sum(dim=-3) + prior, alone


def slow_normalizer(terms, prior):
    """Over every choice of one sample for each modality, in plain floats."""
    rows = terms.tolist()
    offsets = [0.0] * C if prior is None else prior.tolist()
    return log(
        sum(
            exp(offsets[c] + sum(rows[i][j][c] for i, j in enumerate(chosen)))
            for chosen in product(range(N), repeat=len(rows))
            for c in range(C)
        )
    )


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_it_equals_brute_force_over_all_re_pairings(m, prior):
    terms, target, log_prior = make(m, prior=prior)
    logits, alone = logits_of(terms, log_prior)
    expected = slow_normalizer(terms, log_prior)
    got = re_paired_log_normalizer(alone, log_prior)
    assert got.item() == pytest.approx(expected, rel=1e-12)
    mean = sum(logits[i, k].item() for i, k in enumerate(target.tolist())) / N
    loss = total_correlation_loss(logits, alone, target, log_prior)
    assert loss.item() == pytest.approx(expected - mean - log(N**m * C), rel=1e-11)


def test_a_value_by_hand():
    # Two samples; modality 0 tells the class by 1, modality 1 says nothing: of the 4 re-pairings
    # each has e and 1 as exponentials.
    alone = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]).double()
    got = total_correlation_loss(alone.sum(dim=0), alone, torch.tensor([0, 1]))
    assert got.item() == pytest.approx(log(4 * (e + 1)) - 1 - log(8), rel=1e-14)


def test_equal_logits_have_loss_zero_and_one_modality_is_normalized_over_the_batch():
    alone = torch.full((3, N, C), 0.7, dtype=torch.float64)
    target = torch.zeros(N, dtype=torch.int64)
    assert abs(total_correlation_loss(alone.sum(dim=0), alone, target).item()) < 1e-14
    one = make(1)[0]
    expected = torch.logsumexp(one.flatten(), dim=0)
    assert_close(re_paired_log_normalizer(one), expected)


@pytest.mark.parametrize("m", [2, 3])
def test_how_the_bias_is_shared_does_not_matter_if_the_shares_add_up(m):
    terms, target, _ = make(m)
    logits = terms.sum(dim=0)
    shift = torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64)
    moved = terms.clone()
    moved[0] += shift
    moved[1] -= shift
    expected = total_correlation_loss(logits, terms, target)
    assert_close(total_correlation_loss(logits, moved, target), expected)


def test_its_gradient_is_that_of_the_sum_over_re_pairings():
    terms, target, log_prior = make(2, prior=True)
    terms.requires_grad_()
    logits, alone = logits_of(terms, log_prior)
    total_correlation_loss(logits, alone, target, log_prior).backward()
    got, terms.grad = terms.grad, None
    pairs = terms[0][:, None] + terms[1][None] + log_prior
    slow = pairs.flatten().logsumexp(dim=0) - logits[torch.arange(N), target].mean()
    slow.backward()
    assert_close(got, terms.grad)


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("lead", [(5,), (2, 3)])
def test_a_stack_is_one_call_for_each(lead, prior):
    terms, target, log_prior = make(3, lead, prior=prior)
    logits, alone = logits_of(terms, log_prior)
    more = () if log_prior is None else (log_prior,)
    got = total_correlation_loss(logits, alone, target, *more)
    assert_close(got, one_by_one(total_correlation_loss, lead, logits, alone, target, *more))
    shared = total_correlation_loss(logits, alone, target[(0,) * len(lead)], *more)
    assert shared.shape == lead


def test_large_logits_do_not_overflow():
    terms, target, _ = make(3)
    terms = terms.float() * 1e4
    loss = total_correlation_loss(terms.sum(dim=0), terms, target)
    assert loss.isfinite() and loss > 0
