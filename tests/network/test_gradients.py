"""Gradients scaled and clipped in place: one network against torch, many against a loop."""

from math import inf

import pytest
import torch
from torch import nn

from inforeg_sk.network.parameters import (
    clip_gradient_norm,
    inner_products,
    replace_gradients,
    scale_gradients,
    spread,
    tensor_norms,
)

SHAPES = [(4, 3), (3,), (), (2, 3, 2, 2), (1,)]


def make(*leading, dtype=torch.float64):
    """Parameters of several shapes with gradients; the last but one has none."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for shape in SHAPES:
        p = nn.Parameter(torch.zeros((*leading, *shape), dtype=dtype))
        p.grad = torch.randn((*leading, *shape), dtype=dtype, generator=generator)
        found.append(p)
    found[-2].grad = None
    return found


def member(stacked, k):
    """The k-th network of a stack, as parameters of its own."""
    found = []
    for p in stacked:
        own = nn.Parameter(p.detach()[k].clone())
        own.grad = None if p.grad is None else p.grad[k].clone()
        found.append(own)
    return found


def gradients(parameters):
    return [p.grad for p in parameters if p.grad is not None]


def assert_same(found, expected, **kwargs):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **{"rtol": 0, "atol": 0, **kwargs})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_one_factor_multiplies_all_gradients(dtype, as_tensor):
    parameters = make(dtype=dtype)
    before = [g.clone() for g in gradients(parameters)]
    # A factor of a longer type than the gradients leaves their type as it is.
    factor = torch.tensor(0.25, dtype=torch.float64) if as_tensor else 0.25
    scale_gradients(parameters, factor)
    assert_same(gradients(parameters), [0.25 * g for g in before])
    assert parameters[-2].grad is None


def test_networks_have_a_factor_each():
    stacked = make(3)
    factors = torch.tensor([0.5, 1.0, -2.0])  # of a shorter type than the gradients
    alone = [member(stacked, k) for k in range(3)]
    scale_gradients(stacked, factors)
    for k, factor in enumerate(factors.tolist()):
        assert_same([g[k] for g in gradients(stacked)], [factor * g for g in gradients(alone[k])])


def test_a_factor_of_1_changes_no_bit():
    parameters = make()
    before = [g.clone() for g in gradients(parameters)]
    scale_gradients(parameters, torch.tensor(1.0))
    clip_gradient_norm(parameters, inf)
    assert_same(gradients(parameters), before)


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6, inf])
def test_clipping_one_network_is_that_of_torch(max_norm):
    parameters, twins = make(), make()
    norm = clip_gradient_norm(parameters, max_norm)
    expected = nn.utils.clip_grad_norm_(twins, max_norm)
    torch.testing.assert_close(norm, expected)
    assert_same(gradients(parameters), gradients(twins), rtol=1e-14)


def test_networks_are_clipped_by_their_own_norms():
    stacked = make(3)
    for g in gradients(stacked):
        g[1] *= 1e-3  # far below: it stays as it is
    alone = [member(stacked, k) for k in range(3)]
    norms = clip_gradient_norm(
        stacked, torch.tensor([0.7, 0.7, 1.5], dtype=torch.float64), n_leading=1
    )
    assert norms.shape == (3,)
    for k, max_norm in enumerate([0.7, 0.7, 1.5]):
        expected = nn.utils.clip_grad_norm_(alone[k], max_norm)
        torch.testing.assert_close(norms[k], expected)
        tolerance = {"rtol": 0 if k == 1 else 1e-14}
        assert_same([g[k] for g in gradients(stacked)], gradients(alone[k]), **tolerance)


def test_without_gradients_nothing_happens():
    parameters = [nn.Parameter(torch.ones(2))]
    scale_gradients(parameters, 0.5)
    assert clip_gradient_norm(parameters, 1.0) == 0
    assert clip_gradient_norm([], 1.0, n_leading=1) == 0
    assert parameters[0].grad is None


def test_generators_of_parameters_are_taken_too():
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    clip_gradient_norm(layer.parameters(), 0.1)
    norm = torch.cat([p.grad.flatten() for p in layer.parameters()]).norm()
    assert norm.item() == pytest.approx(0.1, rel=1e-5)
    scale_gradients(layer.parameters(), 0.0)
    assert not layer.weight.grad.any()


def test_inner_products_are_those_of_flat_vectors():
    first, second = (gradients(make(3)), [g.flip(0) for g in gradients(make(3))])
    got = inner_products(first, second, n_leading=1)
    for k in range(3):
        alone = [[g[k] for g in gs] for gs in (first, second)]
        flat = [torch.cat([g.flatten() for g in gs]) for gs in alone]
        torch.testing.assert_close(got[k], flat[0] @ flat[1], rtol=1e-12, atol=0)
        torch.testing.assert_close(inner_products(*alone), got[k], rtol=1e-12, atol=0)


def test_spread_multiplies_by_network():
    like = torch.ones(2, 3, 4)
    assert (spread(torch.tensor([1.0, 2.0]), like) * like)[:, 0, 0].tolist() == [1.0, 2.0]
    assert (spread(torch.tensor(3.0, dtype=torch.float64), like) * like).dtype == torch.float32


def test_a_value_with_replaced_gradients_keeps_the_value_and_leaves_those():
    parameters = make()[:2]
    wanted = [torch.full_like(p, i + 1.0) for i, p in enumerate(parameters)]
    for p in parameters:
        p.grad = None
    value = sum(p.square().sum() for p in parameters) + 0.1
    replaced = replace_gradients(value, parameters, wanted)
    assert torch.equal(replaced, value)
    (2 * replaced).backward()
    assert_same([p.grad for p in parameters], [2 * g for g in wanted])


def test_a_backward_pass_goes_on_from_tensors_inside_a_graph():
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    w = nn.Parameter(torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64))
    b = nn.Parameter(torch.tensor(7.0, dtype=torch.float64))
    inner = torch.tanh(w * x)
    given = torch.tensor([0.3, -0.2, 5.0], dtype=torch.float64)
    replace_gradients(b * 100, [inner, b], [given, torch.full_like(b, -1.5)]).backward()
    # d tanh(w x) / dw = x (1 - tanh^2), times what is given; the graph of the value is not used.
    torch.testing.assert_close(w.grad, given * x * (1 - torch.tanh(w.detach() * x) ** 2))
    assert b.grad.item() == -1.5


def test_a_known_scale_is_divided_out_and_a_value_that_is_not_finite_does_no_harm():
    w = nn.Parameter(torch.ones(2, dtype=torch.float16))
    given = torch.tensor([3.0, -1e-7], dtype=torch.float16)  # a fraction of which is none
    (replace_gradients(torch.tensor(inf), [w], [given], scale=64.0) * 64).backward()
    assert w.grad.dtype == torch.float16 and torch.equal(w.grad, given) and given[1] != 0


def test_gradients_of_many_networks_are_replaced_each_with_its_own_loss():
    stack = make(3)[:2]
    given = [p.grad for p in stack]
    for p in stack:
        p.grad = None
    losses = replace_gradients(torch.arange(3.0).double(), stack, given)
    factors = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (losses * factors).sum().backward()
    for p, g in zip(stack, given, strict=True):
        assert_same([*p.grad], [f * own for f, own in zip(factors, g, strict=True)])


def test_norms_of_tensors_are_those_of_each_and_of_each_network():
    stacked = gradients(make(3))
    got = tensor_norms(stacked, n_leading=1)
    assert got.shape == (len(stacked), 3)
    for k in range(3):
        alone = [g[k] for g in stacked]
        expected = torch.tensor([g.square().sum().sqrt() for g in alone], dtype=torch.float64)
        torch.testing.assert_close(got[:, k], expected)
        torch.testing.assert_close(tensor_norms(alone), expected)
