"""The two pulls against autograd and plain floats."""

from functools import partial
from math import exp, inf

import numpy as np
import pytest
import torch
from stacks import one_by_one

from inforeg_sk.functional import decoupled_pull, gradient_pull, pull_share

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)
assert_near = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-14)

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
short_too = pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
stacks = pytest.mark.parametrize("lead", [(7,), (2, 3)])
modalities = pytest.mark.parametrize("m", [1, 2, 3, 5])
strengths = pytest.mark.parametrize("c", [0.0, 1e-12, 1e-3, 0.5, 1.0, 5.0, 50.0, 1e9, inf])


def make(*lead, n=53, dtype=torch.float64, seed=0):
    """Weights, their reference and a coefficient for each set of weights."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(*lead, n, dtype=dtype, generator=generator)
    reference = torch.randn(*lead, n, dtype=dtype, generator=generator)
    return weights, reference, 3 * torch.rand(lead, dtype=dtype, generator=generator)


# The gradient


def test_gradient_pull_is_the_gradient_of_the_penalty():
    weights, reference, coefficient = make(7, 3)
    weights.requires_grad_()
    distance = (weights - reference).square().sum(dim=-1)
    (coefficient / 2 * distance).sum().backward()
    assert_near(gradient_pull(weights.detach(), reference, coefficient), weights.grad)


def test_gradient_pull_equals_loops():
    weights, reference, coefficient = make(4)
    expected = [
        [c * (w - r) for w, r in zip(ws, rs, strict=True)]
        for ws, rs, c in zip(
            weights.tolist(), reference.tolist(), coefficient.tolist(), strict=True
        )
    ]
    np.testing.assert_allclose(gradient_pull(weights, reference, coefficient), expected, 1e-14)


def test_a_step_of_gradient_descent_moves_towards_the_reference():
    weights, reference, coefficient = make(4)
    moved = weights - 0.1 * gradient_pull(weights, reference, coefficient)
    share = 1 - 0.1 * coefficient[:, None]
    assert_near(moved - reference, (weights - reference) * share)


# The share


@pytest.mark.parametrize("n_batches", [1, 3, 100])
def test_pull_share_equals_floats(n_batches):
    coefficient = torch.linspace(0.0, 20.0, 50, dtype=torch.float64)
    expected = [1 - exp(-c / n_batches) for c in coefficient.tolist()]
    np.testing.assert_allclose(pull_share(coefficient, n_batches), expected, rtol=1e-12, atol=1e-16)


def test_pull_share_of_a_tiny_coefficient_is_not_lost():
    coefficient = torch.tensor([1e-30, 1e-18, 1e-10], dtype=torch.float64)
    assert_near(pull_share(coefficient, 10), coefficient / 10, rtol=1e-9)


@short_too
@strengths
def test_pull_share_lies_between_zero_and_one(c, dtype):
    for n_batches in (1, 10, 1000):
        share = pull_share(torch.tensor(c, dtype=dtype), n_batches)
        assert 0 <= share <= 1 and (share > 0) == (c > 0)
    assert pull_share(torch.tensor(inf, dtype=dtype), 10) == 1


def test_pull_share_grows_with_the_coefficient_and_falls_with_batches():
    coefficient = torch.linspace(0.0, 10.0, 100, dtype=torch.float64)
    assert (pull_share(coefficient, 3).diff() > 0).all()
    batches = torch.arange(1, 100)
    assert (pull_share(torch.tensor(2.0, dtype=torch.float64), batches).diff() < 0).all()


# The decoupled pull


def test_decoupled_pull_equals_loops():
    weights, reference, coefficient = make(4)
    expected = [
        [r + (w - r) * exp(-c / 10) for w, r in zip(ws, rs, strict=True)]
        for ws, rs, c in zip(
            weights.tolist(), reference.tolist(), coefficient.tolist(), strict=True
        )
    ]
    got = decoupled_pull(weights, reference, coefficient, 10)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


@short_too
@strengths
def test_decoupled_pull_never_overshoots(c, dtype):
    weights, reference, _ = make(dtype=dtype)
    # To rounding: the reference itself is met to the last bit of the larger number.
    slack = 2 * torch.finfo(dtype).eps * torch.maximum(weights.abs(), reference.abs())
    low = torch.minimum(weights, reference) - slack
    high = torch.maximum(weights, reference) + slack
    for n_batches in (1, 10, 1000):
        moved = weights
        for _ in range(5):
            moved = decoupled_pull(moved, reference, torch.tensor(c, dtype=dtype), n_batches)
            assert (moved >= low).all() and (moved <= high).all()


@short_too
def test_coefficient_zero_changes_no_bit(dtype):
    weights, reference, _ = make(3, dtype=dtype)
    assert_same(decoupled_pull(weights, reference, torch.zeros(3, dtype=dtype), 10), weights)
    zero = gradient_pull(weights, reference, torch.zeros(3, dtype=dtype))
    assert (zero == 0).all()


@short_too
def test_at_the_reference_nothing_moves(dtype):
    weights, _, coefficient = make(3, dtype=dtype)
    coefficient[0] = inf
    assert_same(decoupled_pull(weights, weights.clone(), coefficient, 10), weights)
    assert (gradient_pull(weights[1:], weights[1:].clone(), coefficient[1:]) == 0).all()


def test_an_infinite_coefficient_leads_to_the_reference():
    weights, reference, _ = make(3)
    infinite = torch.full((3,), inf, dtype=torch.float64)
    assert_near(decoupled_pull(weights, reference, infinite, 1000), reference)


@pytest.mark.parametrize("n_batches", [1, 2, 10, 250])
@pytest.mark.parametrize("c", [0.01, 1.0, 5.0])
def test_an_epoch_of_steps_takes_the_whole_share(c, n_batches):
    weights, reference, _ = make()
    moved = weights
    for _ in range(n_batches):
        moved = decoupled_pull(moved, reference, torch.tensor(c, dtype=torch.float64), n_batches)
    taken = (moved - weights) / (reference - weights)
    np.testing.assert_allclose(taken, 1 - exp(-c), rtol=1e-9)


# How they are called


def over_ten(*arguments):
    return decoupled_pull(*arguments, 10)


@dtypes
@stacks
@modalities
@pytest.mark.parametrize("function", [gradient_pull, over_ten])
def test_pulls_of_a_stack_equal_single_networks_bit_for_bit(function, m, lead, dtype):
    arguments = make(*lead, m, dtype=dtype)
    whole = function(*arguments)
    assert_same(whole, one_by_one(function, lead, *arguments))
    # A single set of weights has a coefficient of shape ().
    assert_same(whole, one_by_one(function, (*lead, m), *arguments))


@dtypes
@stacks
def test_networks_may_have_different_numbers_of_batches(lead, dtype):
    weights, reference, coefficient = make(*lead, dtype=dtype)
    n_batches = torch.arange(1, coefficient.numel() + 1).reshape(lead)
    whole = decoupled_pull(weights, reference, coefficient, n_batches)
    single = [
        decoupled_pull(weights[i], reference[i], coefficient[i], int(n_batches[i]))
        for i in np.ndindex(*lead)
    ]
    assert_same(whole, torch.stack(single).reshape(weights.shape))


@short_too
def test_dtype_is_kept_and_inputs_are_not_modified(dtype):
    arguments = make(7, 3, dtype=dtype)
    before = [a.clone() for a in arguments]
    for function in (gradient_pull, over_ten):
        result = function(*arguments)
        assert result.dtype == dtype and result.shape == (7, 3, 53)
    assert pull_share(arguments[2], 10).dtype == dtype
    for a, b in zip(arguments, before, strict=True):
        assert_same(a, b)


def test_shapes_are_known_without_values():
    arguments = [a.to("meta") for a in make(7, 3)]
    for function in (gradient_pull, over_ten):
        result = function(*arguments)
        assert result.device.type == "meta" and result.shape == (7, 3, 53)
    assert pull_share(arguments[2], 10).shape == (7, 3)
