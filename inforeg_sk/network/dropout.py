"""Dropout with its own random generator."""

from numbers import Real

import torch
from torch import nn

from ..utils.parameters import Interval, check_parameter

__all__ = ["Dropout", "seed_dropout"]


class Dropout(nn.Module):
    """Dropout with its own random generator instead of torch's global one.

    So fits in parallel threads disturb neither each other nor the user's generator.

    Parameters
    ----------
    p : float, default=0.5
        Probability with which a value is set to zero in training, in [0, 1); the others are
        divided by ``1 - p``.
    """

    def __init__(self, p=0.5):
        super().__init__()
        check_parameter("p", p, [Interval(Real, 0, 1)], "Dropout")
        self.p = p
        self.seed = 0
        self.generator = None

    def factors(self, x):
        """Draw what a value is multiplied by: 0, or ``1 / (1 - p)``.

        Parameters
        ----------
        x : Tensor

        Returns
        -------
        Tensor of the shape of `x`, or None
            None where nothing is dropped.
        """
        if not self.training or self.p == 0:
            return None
        if self.generator is None or self.generator.device != x.device:
            self.generator = torch.Generator(x.device).manual_seed(self.seed)
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return kept.div_(1 - self.p)

    def forward(self, x):
        factors = self.factors(x)
        return x if factors is None else x * factors

    def extra_repr(self):
        return f"p={self.p}"


def seed_dropout(module, seed):
    """Give every `Dropout` inside `module` its own random stream, derived from `seed`."""
    for i, layer in enumerate(m for m in module.modules() if isinstance(m, Dropout)):
        layer.seed, layer.generator = seed + i, None
