"""Checks that several parts of the network share: of settings, of shapes, of what comes out."""

from numbers import Integral, Real

import torch

from ..utils.parameters import Interval, IsNaN, IsNone, SequenceOf, check_parameter

__all__ = ["SETTINGS", "check_axes", "check_settings", "not_vectors"]

_COUNT = Interval(Integral, 1)
#: What the settings of the built-in encoders and fusions may be.
SETTINGS = {
    "channels": [_COUNT, SequenceOf(_COUNT)],
    "dropout": [Interval(Real, 0, 1)],
    "hidden": [_COUNT],
    "n_heads": [_COUNT],
    "n_layers": [_COUNT],
    "padding_value": [IsNone(), IsNaN(), Interval(Real)],
    "width": [IsNone(), _COUNT],
}


def check_settings(module, table=SETTINGS, **settings):
    """Raise unless settings of an encoder or a fusion are what a table says.

    Parameters
    ----------
    module : object
        Its class is named in the error.
    table : dict of str to list of Constraint, default=SETTINGS
    **settings
        Values by name.

    Raises
    ------
    InvalidParameterError
    """
    for name, value in settings.items():
        check_parameter(name, value, table[name], type(module).__name__)


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
