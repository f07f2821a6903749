"""Fisher traces against plain loops."""

from functools import partial

import numpy as np
import pytest
import torch
from stacks import one_by_one
from torch import nn

from inforeg_sk.functional import fisher_trace, trace_from_norms

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)
assert_near = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-14)

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
stacks = pytest.mark.parametrize("lead", [(7,), (2, 3)])
modalities = pytest.mark.parametrize("m", [1, 2, 3, 5])


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_fisher_trace_equals_loops():
    gradient = random(7, 3, 211)
    expected = [[sum(g * g for g in row) for row in rows] for rows in gradient.tolist()]
    np.testing.assert_allclose(fisher_trace(gradient), expected, rtol=1e-12)


def test_fisher_trace_is_the_diagonal_of_the_outer_product():
    gradient = random(20)
    assert_near(fisher_trace(gradient), torch.outer(gradient, gradient).trace())


def test_trace_from_norms_equals_loops():
    norms, weights = random(7, 3, 11).abs(), random(11, seed=1).abs()
    rows = norms.reshape(-1, 11).tolist()
    expected = np.reshape([sum(n * n for n in row) for row in rows], (7, 3))
    np.testing.assert_allclose(trace_from_norms(norms), expected, rtol=1e-12)
    shares = weights.tolist()
    expected = [sum(n * n * w for n, w in zip(row, shares, strict=True)) for row in rows]
    got = trace_from_norms(norms, weights)
    np.testing.assert_allclose(got, np.reshape(expected, (7, 3)), rtol=1e-12)


def test_norms_of_the_tensors_give_the_trace_of_the_whole():
    layers = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    layers(random(5, 4)).square().mean().backward()
    gradients = [p.grad.flatten() for p in layers.parameters()]
    norms = torch.stack([g.norm() for g in gradients])
    assert_near(trace_from_norms(norms), fisher_trace(torch.cat(gradients)))
    # The authors' code takes the mean over each tensor's elements.
    weights = torch.tensor([1 / len(g) for g in gradients], dtype=torch.float64)
    means = sum(g.square().mean() for g in gradients)
    assert_near(trace_from_norms(norms, weights), means)


def test_the_trace_of_a_batch_is_not_that_of_its_samples():
    samples = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert fisher_trace(samples).mean() == 1.0
    assert fisher_trace(samples.mean(dim=0)) == 0.5


def test_no_parameters_have_trace_zero():
    assert fisher_trace(torch.empty(3, 0)).tolist() == [0.0] * 3
    assert trace_from_norms(torch.empty(3, 0)).tolist() == [0.0] * 3
    assert trace_from_norms(torch.empty(3, 0), torch.empty(0)).tolist() == [0.0] * 3


@dtypes
def test_weights_of_one_are_no_weights(dtype):
    norms = random(7, 11, dtype=dtype)
    ones = torch.ones(11, dtype=dtype)
    torch.testing.assert_close(trace_from_norms(norms, ones), trace_from_norms(norms))


@dtypes
@stacks
@modalities
@pytest.mark.parametrize("function", [fisher_trace, trace_from_norms])
def test_traces_of_a_stack_equal_single_networks_bit_for_bit(function, m, lead, dtype):
    values = random(*lead, m, 1003, dtype=dtype)
    assert_same(function(values), one_by_one(function, lead, values))
    # One encoder at a time, too.
    assert_same(function(values), one_by_one(function, (*lead, m), values))


@stacks
@modalities
def test_weighted_traces_of_a_stack_equal_single_networks(m, lead):
    """To rounding only: products of a vector and of a matrix sum in another order."""
    norms, weights = random(*lead, m, 61), random(61, seed=1).abs()

    def trace(one):
        return trace_from_norms(one, weights)

    assert_near(trace(norms), one_by_one(trace, lead, norms))
    assert_near(trace(norms), one_by_one(trace, (*lead, m), norms))


@pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
def test_dtype_is_kept_and_inputs_are_not_modified(dtype):
    values, weights = random(7, 3, 11, dtype=dtype), random(11, dtype=dtype, seed=1)
    before = [values.clone(), weights.clone()]
    for result in (
        fisher_trace(values),
        trace_from_norms(values),
        trace_from_norms(values, weights),
    ):
        assert result.dtype == dtype and result.shape == (7, 3)
    assert_same(values, before[0])
    assert_same(weights, before[1])


def test_shapes_are_known_without_values():
    values, weights = torch.empty(7, 3, 11, device="meta"), torch.empty(11, device="meta")
    for result in (
        fisher_trace(values),
        trace_from_norms(values),
        trace_from_norms(values, weights),
    ):
        assert result.device.type == "meta" and result.shape == (7, 3)
