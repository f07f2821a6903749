"""Encoders of sequences, which ignore padding steps."""

from math import isnan, log, nan

import torch
from torch import nn

from ..data.padding import real_lengths, real_steps
from .checks import check_axes, check_settings
from .dropout import Dropout

__all__ = ["GRUEncoder", "TransformerEncoder"]


class GRUEncoder(nn.Module):
    """Gated recurrent units over a sequence; the state at the last real step is the feature vector.

    Parameters
    ----------
    input_shape : tuple of two int
        ``(n_steps, n_features)`` of one sample.
    hidden : int, default=64
        Width of the state, which is the number of output features.
    n_layers : int, default=1
        Number of stacked layers.
    dropout : float, default=0.0
        Probability with which a unit is dropped in training, after each layer, in [0, 1).
    padding_value : float or None, default=NaN
        The steps at the end of a sample that hold this value in all features are padding, and
        the state before them counts; a sample of nothing else keeps its first step. None: every
        step is real.

    Raises
    ------
    ValueError
        If the samples are not sequences, or a setting is out of range.

    Notes
    -----
    Zero is a value like any other: to data that are padded with zeros say ``padding_value=0``.
    Padding at the start of a sample is not found: pad at the end. `ModalityTransformer` leaves
    padding as it is; where something else scales it, give the value that it has then.

    References
    ----------
    Cho et al.: "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", EMNLP 2014, arXiv:1406.1078.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import GRUEncoder
    >>> GRUEncoder((20, 6), hidden=8)(torch.zeros(4, 20, 6)).shape
    torch.Size([4, 8])
    """

    def __init__(self, input_shape, hidden=64, n_layers=1, dropout=0.0, padding_value=nan):
        super().__init__()
        check_axes(self, input_shape, "sequences", sequence="(n_steps, n_features)")
        check_settings(
            self, hidden=hidden, n_layers=n_layers, dropout=dropout, padding_value=padding_value
        )
        # Single layers, since torch's own dropout between layers draws on the global generator.
        widths = [input_shape[1]] + [hidden] * n_layers
        self.layers = nn.ModuleList(
            nn.GRU(widths[i], hidden, batch_first=True) for i in range(n_layers)
        )
        self.dropout = Dropout(dropout)
        self.padding_value = padding_value

    #: The network may hand over lengths, if it knows them.
    takes_lengths = True

    def forward(self, x, lengths=None):
        if lengths is None:
            x, lengths = _without_padding(x, self.padding_value)
        for layer in self.layers:
            x = self.dropout(layer(x)[0])
        if lengths is None:
            return x[:, -1]
        # A state does not depend on later steps, so padding need not be cut off.
        return x[torch.arange(len(x), device=x.device), lengths - 1]


class TransformerEncoder(nn.Module):
    """Self-attention over a sequence; the mean over the real steps is the feature vector.

    A linear projection to `hidden` features, sinusoidal positions, and layers of multi-head
    attention and a feed-forward network four times as wide as `hidden` (ReLU), with layer
    normalisation after each. Sequences may have any length.

    Parameters
    ----------
    input_shape : tuple of two int
        ``(n_steps, n_features)`` of one sample.
    hidden : int, default=64
        Width of the layers, which is the number of output features; divisible by `n_heads`.
    n_layers : int, default=2
        Number of stacked layers.
    n_heads : int, default=4
        Number of attention heads.
    dropout : float, default=0.0
        Probability with which a unit is dropped in training, in [0, 1): after the positions are
        added, and in each layer; attention weights are never dropped.
    padding_value : float or None, default=NaN
        The steps at the end of a sample that hold this value in all features are padding: nothing
        attends to them and they do not enter the mean; a sample of nothing else keeps its first
        step. None: every step is real.

    Raises
    ------
    ValueError
        If the samples are not sequences, or a setting is out of range.

    Notes
    -----
    Zero is a value like any other: to data that are padded with zeros say ``padding_value=0``.
    Padding at the start of a sample is not found: pad at the end. `ModalityTransformer` leaves
    padding as it is; where something else scales it, give the value that it has then.

    References
    ----------
    Vaswani et al.: "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import TransformerEncoder
    >>> TransformerEncoder((20, 6), hidden=8, n_heads=2)(torch.zeros(4, 20, 6)).shape
    torch.Size([4, 8])
    """

    def __init__(
        self, input_shape, hidden=64, n_layers=2, n_heads=4, dropout=0.0, padding_value=nan
    ):
        super().__init__()
        check_axes(self, input_shape, "sequences", sequence="(n_steps, n_features)")
        check_settings(
            self,
            hidden=hidden,
            n_layers=n_layers,
            n_heads=n_heads,
            dropout=dropout,
            padding_value=padding_value,
        )
        if hidden % n_heads:
            raise ValueError(
                "The 'hidden' parameter of TransformerEncoder must be divisible by n_heads. Got "
                f"hidden={hidden!r}, n_heads={n_heads!r}."
            )
        self.projection = nn.Linear(input_shape[1], hidden)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(_layer(hidden, n_heads, dropout) for _ in range(n_layers))
        self.padding_value = padding_value

    #: The network may hand over lengths, if it knows them.
    takes_lengths = True

    def forward(self, x, lengths=None):
        if lengths is None:
            x, lengths = _without_padding(x, self.padding_value)
        n_steps = x.shape[1]
        z = self.projection(x)
        z = self.dropout(z + sinusoidal_positions(n_steps, z.shape[2], x.dtype, x.device))
        if lengths is None:
            for layer in self.layers:
                z = layer(z)
            return z.mean(dim=1)
        padding = ~real_steps(lengths, n_steps)
        for layer in self.layers:
            z = layer(z, src_key_padding_mask=padding)
        return z.masked_fill(padding[:, :, None], 0).sum(dim=1) / lengths[:, None]


def _layer(hidden, n_heads, dropout):
    layer = nn.TransformerEncoderLayer(hidden, n_heads, 4 * hidden, dropout=0.0, batch_first=True)
    for name, child in list(layer.named_children()):
        if isinstance(child, nn.Dropout):  # which draws on the global generator
            setattr(layer, name, Dropout(dropout))
    return layer


def _without_padding(x, padding_value):
    """Sequences with nothing that is not a number behind their ends, and their lengths.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_steps, n_features)
    padding_value : float or None

    Returns
    -------
    x : Tensor of shape (n_samples, n_steps, n_features)
    lengths : Tensor of int of shape (n_samples,), or None
        At least 1; None if every step is real.
    """
    if padding_value is None:
        return x, None
    lengths = real_lengths(x, padding_value)
    if isnan(padding_value):
        # Neither states nor gradients may meet NaN, even where they are not used.
        x = x.masked_fill(~real_steps(lengths, x.shape[1])[:, :, None], 0)
    return x, lengths.clamp(min=1)


def sinusoidal_positions(n_steps, width, dtype, device):
    """Alternating sines and cosines of the step number, at wavelengths from 2 pi to 20000 pi.

    Parameters
    ----------
    n_steps, width : int
    dtype : torch.dtype
    device : torch.device

    Returns
    -------
    Tensor of shape (n_steps, width)
    """
    steps = torch.arange(n_steps, dtype=dtype, device=device)[:, None]
    rates = torch.exp(torch.arange(0, width, 2, dtype=dtype, device=device) * -log(10000) / width)
    angles = steps * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
