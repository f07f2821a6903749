"""What an encoder gets of a modality's values."""

from math import isnan
from numbers import Real

import torch

__all__ = ["fill_padding", "padding_of"]


def padding_of(encoder):
    """The value by which an encoder knows padding, its attribute `padding_value`, or None.

    Parameters
    ----------
    encoder : torch.nn.Module

    Returns
    -------
    float or None
        NaN for those that are told of padding as the data have it; None for one that has no such
        attribute, or None or no number there.
    """
    value = getattr(encoder, "padding_value", None)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def fill_padding(x, encoder):
    """Write the padding of sequences, NaN in checked data, as an encoder knows it, else as zeros.

    Parameters
    ----------
    x : Tensor, or dict of str to Tensor
        Values of a modality; only those of sequences, ``(n_samples, n_steps, n_features)``, can
        have padding.
    encoder : torch.nn.Module

    Returns
    -------
    Tensor, or dict of str to Tensor
    """
    if not isinstance(x, torch.Tensor) or x.ndim != 3 or not x.is_floating_point():
        return x
    value = padding_of(encoder)
    if value is None:
        value = 0.0
    return x if isnan(value) else torch.where(x.isnan(), value, x)
