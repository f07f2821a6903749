"""Checks that several parts of the network share: of settings, of shapes, of what comes out."""

from math import isfinite
from numbers import Integral, Real

import torch

__all__ = ["check_axes", "check_number_or_none", "check_positive", "not_vectors"]


def check_positive(**settings):
    """Raise a ValueError that names those `settings` that are no positive integers."""
    bad = [
        f"{name}={value!r}"
        for name, value in settings.items()
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1
    ]
    if bad:
        raise ValueError(f"{', '.join(bad)}: positive integers are needed.")


def check_number_or_none(**settings):
    """Raise a ValueError that names those `settings` that are neither None nor finite numbers."""
    for name, value in settings.items():
        good = isinstance(value, Real) and not isinstance(value, bool)
        try:
            good = good and isfinite(value)
        except OverflowError:  # an int that no float holds
            good = False
        if value is not None and not good:
            raise ValueError(f"{name}={value!r}: a finite number or None is needed.")


def check_axes(encoder, input_shape, what, **accepted):
    """Raise unless a sample has a number of axes that an encoder takes, none of them empty.

    Parameters
    ----------
    encoder : object
        Its class is named in the error.
    input_shape : tuple of int
    what : str
        What the encoder takes, in one word.
    **accepted : str
        How the shapes read: ``image="(channels, height, width)"``.
    """
    axes = [shape.count(",") + 1 for shape in accepted.values()]
    if len(input_shape) not in axes or not all(size > 0 for size in input_shape):
        listed = [f"{shape} ({name})" for name, shape in accepted.items()]
        shapes = " or ".join(listed if len(listed) > 1 else accepted.values())
        raise ValueError(
            f"{type(encoder).__name__} takes {what}, {shapes} a sample; got {tuple(input_shape)}."
        )


def not_vectors(output):
    """Say what is wrong if `output` is not one vector of floats for each of 2 samples, or None."""
    if not isinstance(output, torch.Tensor):
        got = type(output)
    elif output.ndim != 2 or len(output) != 2 or output.shape[1] == 0:
        got = tuple(output.shape)
    elif not output.is_floating_point():
        got = output.dtype
    else:
        return None
    return f"{got} for 2 samples; it must give a tensor of floats of shape (n_samples, n_features)"
