"""Losses whose gradients are given, against autograd and a loop over networks."""

import torch
from torch import nn

from inforeg_sk.functional import with_gradients


def test_a_backward_pass_goes_on_from_inner_tensors():
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    w = nn.Parameter(torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64))
    b = nn.Parameter(torch.tensor(7.0, dtype=torch.float64))
    inner = torch.tanh(w * x)
    given = torch.tensor([0.3, -0.2, 5.0], dtype=torch.float64)
    loss = with_gradients(b * 100, [inner, b], [given, torch.tensor(-1.5, dtype=torch.float64)])
    assert loss.item() == 700.0
    loss.backward()
    # d tanh(w x) / dw = x (1 - tanh^2), times what is given; the graph of the value is not used.
    torch.testing.assert_close(w.grad, given * x * (1 - torch.tanh(w.detach() * x) ** 2))
    assert b.grad.item() == -1.5


def test_what_scales_the_loss_scales_the_gradients_and_a_known_scale_is_divided_out():
    w = nn.Parameter(torch.ones(2, dtype=torch.float16))
    gradient = torch.tensor([3.0, -4.0], dtype=torch.float16)
    loss = with_gradients(torch.tensor(1.0), [w], [gradient], scale=8.0)
    (loss * 8 / 4).backward()
    assert w.grad.dtype == torch.float16 and w.grad.tolist() == [0.75, -1.0]


def test_a_value_that_is_not_finite_leaves_the_gradients_as_they_are():
    w = nn.Parameter(torch.ones(2))
    with_gradients(torch.tensor(torch.inf), [w], [torch.tensor([1.0, 2.0])]).backward()
    assert w.grad.tolist() == [1.0, 2.0]


def test_each_network_of_a_stack_has_its_own_loss():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4, 2), (3,), (3, 5)]
    stack = [nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in shapes]
    gradients = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]
    losses = with_gradients(torch.arange(3.0, dtype=torch.float64), stack, gradients)
    upstream = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (losses * upstream).sum().backward()
    for k in range(3):
        own = [nn.Parameter(p.detach()[k].clone()) for p in stack]
        of_one = with_gradients(torch.tensor(float(k)).double(), own, [g[k] for g in gradients])
        assert losses[k] == of_one
        (of_one * upstream[k]).backward()
        for p, single in zip(stack, own, strict=True):
            assert torch.equal(p.grad[k], single.grad)
