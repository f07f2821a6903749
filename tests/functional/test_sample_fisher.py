"""Gradient norms of single samples against one backward pass for each."""

from functools import partial

import pytest
import torch
from torch import nn

from inforeg_sk.functional import (
    conv_positions,
    diagonal_sample_norms,
    outer_sample_norms,
    shift_sample_norms,
)

assert_near = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-14)


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_by_one(function, parameter, inputs, gradients):
    """Squared norms of gradients of a parameter by autograd, one sample at a time."""
    norms = []
    for x, g in zip(inputs, gradients, strict=True):
        (found,) = torch.autograd.grad((function(parameter, x) * g).sum(), parameter)
        norms.append(found.square().sum())
    return torch.stack(norms)


# 1: |x|^2 |g|^2; few positions: Gram matrices; many: the product itself.
@pytest.mark.parametrize("n_positions", [1, 2, 3, 40])
def test_norms_of_a_matrix_equal_one_backward_pass_for_each_sample(n_positions):
    inputs, gradients = random(7, n_positions, 5), random(7, n_positions, 4, seed=1)
    weight = random(4, 5, seed=2).requires_grad_()
    expected = one_by_one(lambda w, x: x @ w.T, weight, inputs, gradients)
    assert_near(outer_sample_norms(inputs, gradients), expected)


@pytest.mark.parametrize("n_positions", [3, 40])
def test_many_samples_are_taken_piece_by_piece(n_positions, monkeypatch):
    inputs, gradients = random(7, n_positions, 5), random(7, n_positions, 4, seed=1)
    whole = outer_sample_norms(inputs, gradients)
    monkeypatch.setattr("inforeg_sk.functional.sample_fisher._PIECE", 45)
    assert_near(outer_sample_norms(inputs, gradients), whole)


def test_norms_of_scale_and_shift_equal_one_backward_pass_for_each_sample():
    inputs, gradients = random(7, 3, 5), random(7, 3, 5, seed=1)
    vector = random(5, seed=2).requires_grad_()
    scaled = one_by_one(lambda v, x: v * x, vector, inputs, gradients)
    shifted = one_by_one(lambda v, x: v + x, vector, inputs, gradients)
    assert_near(diagonal_sample_norms(inputs, gradients), scaled)
    assert_near(shift_sample_norms(gradients), shifted)


def test_gradients_that_cancel_do_not_make_a_norm_negative():
    inputs = torch.tensor([[[1.0, 0.1, 3.0], [1.0, 0.1, 3.0]]])
    gradients = torch.tensor([[[0.1, 0.7, 0.3], [-0.1, -0.7, -0.3]]])
    norm = outer_sample_norms(inputs, gradients).item()
    assert 0 <= norm < 1e-6


CONVOLUTIONS = [
    (nn.Conv1d, {"kernel_size": 3}, (11,)),
    (nn.Conv1d, {"kernel_size": 4, "padding": "same", "dilation": 2}, (11,)),
    (nn.Conv1d, {"kernel_size": 3, "padding": 2, "padding_mode": "circular"}, (11,)),
    (nn.Conv2d, {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2)}, (8, 7)),
    (nn.Conv2d, {"kernel_size": 3, "dilation": (2, 1), "padding": "valid"}, (8, 7)),
    (nn.Conv2d, {"kernel_size": 2, "padding": "same", "padding_mode": "replicate"}, (5, 7)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 1, "padding_mode": "reflect", "stride": 3}, (8, 7)),
    (nn.Conv3d, {"kernel_size": 2, "stride": (1, 2, 1), "padding": (0, 1, 0)}, (4, 5, 3)),
]


@pytest.mark.parametrize("kind, settings, size", CONVOLUTIONS)
def test_positions_of_a_convolution_are_what_it_multiplies_by_its_kernel(kind, settings, size):
    layer = kind(4, 6, **settings).double()
    x = random(3, 4, *size)
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    windows = conv_positions(x, *(getattr(layer, name) for name in names))
    outputs = windows @ layer.weight.flatten(1).T + layer.bias
    assert_near(outputs.mT, layer(x).flatten(2))


def test_shapes_are_known_without_values():
    inputs, gradients = torch.empty(7, 3, 5, device="meta"), torch.empty(7, 3, 4, device="meta")
    assert outer_sample_norms(inputs, gradients).shape == (7,)
    assert shift_sample_norms(gradients).shape == (7,)
    assert diagonal_sample_norms(inputs, inputs).shape == (7,)
