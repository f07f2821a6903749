"""The multilayer perceptron computes what it says."""

import re

import numpy as np
import pytest
import torch

from inforeg_sk.network import MLPEncoder


@pytest.mark.parametrize(
    "shape, hidden", [((6,), 4), ((6,), (8, 5)), ((3, 4), [7]), ((2, 3, 4), 5)]
)
def test_mlp_by_hand(shape, hidden):
    torch.manual_seed(0)
    encoder = MLPEncoder(shape, hidden).double()
    x = torch.randn(9, *shape, dtype=torch.float64)
    weights = [p.detach().numpy() for p in encoder.parameters()]
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    assert [w.shape for w in weights[::2]] == [
        (out, fan) for out, fan in zip(widths, [int(np.prod(shape)), *widths], strict=False)
    ]
    z = x.numpy().reshape(9, -1)
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        z = np.maximum(z @ W.T + b, 0)
    np.testing.assert_allclose(encoder(x).detach(), z, atol=1e-12)


HIDDEN = "'hidden' parameter of MLPEncoder must be an int in [1, inf) or a sequence of these."
DROPOUT = "'dropout' parameter of MLPEncoder must be a float in [0, 1)."


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hidden": 0}, f"{HIDDEN} Got 0."),
        ({"hidden": (4, -1)}, f"{HIDDEN} Got (4, -1)."),
        ({"hidden": 2.5}, f"{HIDDEN} Got 2.5."),
        ({"dropout": 1}, f"{DROPOUT} Got 1."),
        ({"dropout": -0.1}, f"{DROPOUT} Got -0.1."),
        ({"dropout": float("nan")}, f"{DROPOUT} Got nan."),
        ({"dropout": "a"}, f"{DROPOUT} Got 'a'."),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        MLPEncoder((3,), **settings)


def test_no_hidden_layer_makes_a_linear_encoder():
    x = torch.ones(4, 10)
    assert torch.equal(MLPEncoder((10,), hidden=())(x), x)
