"""G-Blending's weights by hand, and as the minimum that they are derived from."""

from math import nan

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from inforeg_sk.functional import blending_weights, gain_and_overfitting


def test_gain_and_overfitting_by_hand():
    before = torch.tensor([[1.0, 2.0], [1.1, 2.5]])
    after = torch.tensor([[0.2, 1.0], [0.7, 2.6]])
    gain, overfitting = gain_and_overfitting(before, after)
    torch.testing.assert_close(gain, torch.tensor([0.4, -0.1]))
    torch.testing.assert_close(overfitting, torch.tensor([0.4, 1.1]))


@pytest.mark.parametrize(
    ("gain", "overfitting", "expected"),
    [
        ((0.5, 0.25), (0.5, 0.5), (2 / 3, 1 / 3)),
        ((0.4, 0.4), (0.2, -0.4), (0.8, 0.2)),  # O squared: its sign does not matter
        ((1.0, -5.0), (1.0, 1.0), (1, 0)),  # a loss that rose earns nothing
        ((-1.0, 0.0, -2.0), (1.0, 1.0, 1.0), (1 / 3, 1 / 3, 1 / 3)),
        ((1.0, 1.0), (0.0, 1e-4), (0.5, 0.5)),  # both at the floor
        ((1.0, nan, 3.0), (1.0, nan, 1.0), (0.25, 0, 0.75)),
    ],
)
def test_weights_by_hand(gain, overfitting, expected):
    got = blending_weights(torch.tensor(gain).double(), torch.tensor(overfitting).double())
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_weights_minimize_the_overfitting_of_a_blend_of_given_gain():
    """The derivation: least sum of (w O)^2 where the gains w G add up to 1."""
    gain, overfitting = np.array([0.5, 0.2, 0.9]), np.array([0.3, 0.1, 1.2])
    best = minimize(
        lambda w: ((w * overfitting) ** 2).sum(),
        np.ones(3),
        constraints={"type": "eq", "fun": lambda w: w @ gain - 1},
        options={"ftol": 1e-14},
    ).x
    got = blending_weights(torch.from_numpy(gain), torch.from_numpy(overfitting))
    np.testing.assert_allclose(got, best / best.sum(), rtol=1e-4)


def test_leading_axes_are_free():
    generator = torch.Generator().manual_seed(0)
    before, after = torch.rand(2, 5, 2, 3, generator=generator)
    stacked = blending_weights(*gain_and_overfitting(before, after))
    for k in range(5):
        expected = blending_weights(*gain_and_overfitting(before[k], after[k]))
        torch.testing.assert_close(stacked[k], expected)
