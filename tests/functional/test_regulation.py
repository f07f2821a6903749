"""The regulation coefficient against plain floats."""

from functools import partial
from math import e, exp, inf, nan, tanh

import numpy as np
import pytest
import torch
from stacks import one_by_one
from torch.func import vmap

from inforeg_sk.functional import performance_gap, regulation_coefficient

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
stacks = pytest.mark.parametrize("lead", [(7,), (2, 3)])
modalities = pytest.mark.parametrize("m", [1, 2, 3, 5])


def make(lead, m, dtype=torch.float64, seed=0):
    """Gaps, about half of them zero, and base strengths."""
    generator = torch.Generator().manual_seed(seed)
    gap = torch.randn(*lead, m, dtype=dtype, generator=generator).clamp(min=0)
    return gap, torch.linspace(0.1, 2.0, m, dtype=dtype)


def slow_coefficient(gap, alpha, beta):
    return alpha * exp(beta * tanh(gap)) if gap > 0 else 0.0


@modalities
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.9, 1.0])
def test_coefficients_equal_loops(beta, m):
    gap, alpha = make((20,), m)
    strengths = alpha.tolist()
    expected = [
        [slow_coefficient(g, a, beta) for g, a in zip(row, strengths, strict=True)]
        for row in gap.tolist()
    ]
    np.testing.assert_allclose(regulation_coefficient(gap, alpha, beta), expected, rtol=1e-12)


def test_the_published_settings_by_hand():
    gap = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    # Paper: alpha 1, beta 0.9; tanh 1 = 0.76159416 and tanh 0.5 = 0.46211716.
    got = regulation_coefficient(gap, torch.ones_like(gap), 0.9)
    assert got.tolist() == pytest.approx([exp(0.685434741), 0.0, exp(0.415905441)], rel=1e-8)
    # Authors' code: 0.95 for audio, 0.1 for video, beta 1; a sum over the batch saturates.
    alpha = torch.tensor([0.95, 0.1], dtype=torch.float64)
    got = regulation_coefficient(torch.tensor([20.0, 20.0], dtype=torch.float64), alpha, 1.0)
    assert got.tolist() == pytest.approx([0.95 * e, 0.1 * e], rel=1e-12)


def test_without_a_gap_there_is_no_pull():
    alpha = torch.tensor([1.0, 1e9, inf])
    assert regulation_coefficient(torch.zeros(3), alpha, 0.9).tolist() == [0.0, 0.0, 0.0]
    assert regulation_coefficient(torch.full((3,), nan), alpha, 0.9).tolist() == [0.0, 0.0, 0.0]


def test_a_modality_of_strength_zero_is_never_pulled():
    gap = torch.tensor([0.0, 1e-9, 1.0, inf])
    assert regulation_coefficient(gap, torch.zeros(4), 0.9).tolist() == [0.0] * 4


def test_the_smallest_gap_has_the_base_strength_and_the_largest_the_bound():
    gap = torch.tensor([5e-324, 1e-30, 100.0, inf], dtype=torch.float64)
    got = regulation_coefficient(gap, torch.full((4,), 2.0, dtype=torch.float64), 0.9)
    bound = 2 * exp(0.9)
    assert got.tolist() == pytest.approx([2.0, 2.0, bound, bound], rel=1e-14)


def test_a_larger_gap_never_pulls_less():
    gap = torch.linspace(1e-6, 30, 1000, dtype=torch.float64)
    for beta in (0.0, 0.3, 1.0):
        steps = regulation_coefficient(gap, torch.ones_like(gap), beta).diff()
        assert (steps >= 0).all()


@dtypes
@stacks
@modalities
def test_coefficients_of_a_stack_equal_single_networks_bit_for_bit(m, lead, dtype):
    gap, alpha = make(lead, m, dtype)
    single = one_by_one(lambda one: regulation_coefficient(one, alpha, 0.9), lead, gap)
    assert_same(regulation_coefficient(gap, alpha, 0.9), single)


@dtypes
@stacks
def test_each_network_may_have_its_own_settings(lead, dtype):
    gap, _ = make(lead, 3, dtype)
    alpha = make(lead, 3, dtype, seed=1)[0]
    beta = make(lead, 1, dtype, seed=2)[0]
    single = one_by_one(regulation_coefficient, lead, gap, alpha, beta)
    assert_same(regulation_coefficient(gap, alpha, beta), single)
    # A Python number is a tensor that is the same everywhere.
    assert_same(
        regulation_coefficient(gap, alpha, 0.5),
        regulation_coefficient(gap, alpha, torch.full_like(gap, 0.5)),
    )


@dtypes
def test_vmap_equals_a_leading_axis(dtype):
    scores = make((7,), 3, dtype)[0] - 1
    alpha = torch.linspace(0.1, 2.0, 3, dtype=dtype)
    beta = torch.linspace(0.0, 1.0, 7, dtype=dtype)

    def coefficient(one, b):
        return regulation_coefficient(performance_gap(one), alpha, b)

    whole = regulation_coefficient(performance_gap(scores), alpha, beta[:, None])
    assert_same(vmap(coefficient)(scores, beta), whole)


@pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
def test_dtype_is_kept_and_inputs_are_not_modified(dtype):
    gap, alpha = make((7,), 3, dtype)
    beta = torch.tensor(0.9, dtype=dtype)
    before = [gap.clone(), alpha.clone(), beta.clone()]
    for b in (0.9, beta):
        result = regulation_coefficient(gap, alpha, b)
        assert result.dtype == dtype and result.shape == (7, 3)
    for a, b in zip((gap, alpha, beta), before, strict=True):
        assert_same(a, b)


def test_shapes_are_known_without_values():
    gap = torch.empty(2, 7, 3, device="meta")
    result = regulation_coefficient(gap, torch.empty(3, device="meta"), 0.9)
    assert result.device.type == "meta" and result.shape == (2, 7, 3)
