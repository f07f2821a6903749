"""Encoders of sequences, which ignore padding steps."""

from math import log

import torch
from torch import nn

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
    padding_value : float or None, default=0.0
        The steps at the end of a sample that hold this value in all features are padding: the
        state before them is used. A sample that is all padding keeps its first step. None: no step
        is padding.

    Raises
    ------
    ValueError
        If the samples are not sequences, or a setting is out of range.

    Notes
    -----
    Padding at the start of a sample is not recognised: pad at the end. `ModalityTransformer`
    leaves padding unchanged; if something else scales it, pass the scaled value.

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

    def __init__(self, input_shape, hidden=64, n_layers=1, dropout=0.0, padding_value=0.0):
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

    def forward(self, x):
        lengths = None if self.padding_value is None else real_lengths(x, self.padding_value)
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
    padding_value : float or None, default=0.0
        The steps at the end of a sample that hold this value in all features are padding: they are
        masked in attention and left out of the mean. A sample that is all padding keeps its first
        step. None: no step is padding.

    Raises
    ------
    ValueError
        If the samples are not sequences, or a setting is out of range.

    Notes
    -----
    Padding at the start of a sample is not recognised: pad at the end. `ModalityTransformer`
    leaves padding unchanged; if something else scales it, pass the scaled value.

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
        self, input_shape, hidden=64, n_layers=2, n_heads=4, dropout=0.0, padding_value=0.0
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

    def forward(self, x):
        n_steps = x.shape[1]
        z = self.projection(x)
        z = self.dropout(z + sinusoidal_positions(n_steps, z.shape[2], x.dtype, x.device))
        if self.padding_value is None:
            for layer in self.layers:
                z = layer(z)
            return z.mean(dim=1)
        lengths = real_lengths(x, self.padding_value)[:, None]
        padding = torch.arange(n_steps, device=x.device) >= lengths
        for layer in self.layers:
            z = layer(z, src_key_padding_mask=padding)
        return z.masked_fill(padding[:, :, None], 0).sum(dim=1) / lengths


def _layer(hidden, n_heads, dropout):
    layer = nn.TransformerEncoderLayer(hidden, n_heads, 4 * hidden, dropout=0.0, batch_first=True)
    for name, child in list(layer.named_children()):
        if isinstance(child, nn.Dropout):  # which draws on the global generator
            setattr(layer, name, Dropout(dropout))
    return layer


def real_lengths(x, padding_value):
    """Number of steps of each sample up to the last that is not padding, at least 1.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_steps, n_features)
    padding_value : float
        Value of all features of a padding step.

    Returns
    -------
    Tensor of int of shape (n_samples,)
    """
    real = (x != padding_value).any(dim=2)
    return (real * torch.arange(1, x.shape[1] + 1, device=x.device)).amax(dim=1).clamp(min=1)


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
