"""The encoder of vectors, and the hidden layers it is made of."""

from collections.abc import Iterator
from math import prod
from numbers import Integral

from torch import nn

from ..utils.parameters import Interval, SequenceOf
from .checks import SETTINGS, check_settings
from .dropout import Dropout

__all__ = ["MLPEncoder", "hidden_layers"]


_COUNT = Interval(Integral, 1)
# No hidden layer at all makes the encoder linear.
_SETTINGS = {**SETTINGS, "hidden": [_COUNT, SequenceOf(_COUNT, empty=True)]}


class MLPEncoder(nn.Sequential):
    """Multilayer perceptron: linear, ReLU and dropout, once for each hidden layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; more than one axis is flattened.
    hidden : int or sequence of int, default=64
        Widths of the layers; the last is the number of features that come out. An empty sequence
        leaves the input as it is.
    dropout : float, default=0.0
        Probability with which a unit is dropped in training, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import MLPEncoder
    >>> MLPEncoder((10,), hidden=(32, 16))(torch.zeros(4, 10)).shape
    torch.Size([4, 16])
    """

    def __init__(self, input_shape, hidden=64, dropout=0.0):
        if isinstance(hidden, Iterator):
            hidden = tuple(hidden)
        check_settings(self, _SETTINGS, hidden=hidden, dropout=dropout)
        flat = [nn.Flatten()] if len(input_shape) > 1 else []
        super().__init__(*flat, *hidden_layers(prod(input_shape), hidden, dropout))


def hidden_layers(width, hidden, dropout=0.0):
    """Linear, ReLU and dropout, once for each hidden layer.

    Parameters
    ----------
    width : int
        Number of features that go in.
    hidden : int or sequence of int
        Widths of the layers.
    dropout : float, default=0.0
        0 leaves the dropout layers out.

    Returns
    -------
    list of torch.nn.Module
    """
    layers = []
    for units in [hidden] if isinstance(hidden, Integral) else hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        if dropout != 0:
            layers.append(Dropout(dropout))
        width = units
    return layers
