"""Standardization of what the built-in encoders get."""

from math import isnan, nan, prod

import torch
from torch import nn

from ..data.padding import real_lengths, real_steps
from ..functional.moments import merge_moments, scale_of_moments, weighted_moments
from .images import CNNEncoder, ResNet18Encoder
from .inputs import padding_of

__all__ = ["InputScaler", "fit_scalers"]

# Bytes of a modality looked at at a time: a memory-mapped one is never copied whole.
_PIECE = 2**20


class InputScaler(nn.Module):
    """Subtract the mean of the training data and divide by their standard deviation.

    Vectors have a mean and a deviation for each feature, sequences for each feature over all real
    steps of all samples, images and videos for each channel; spectrograms that an encoder of images
    takes have one of each. Until `fit_scalers`, values stay as they are.

    Parameters
    ----------
    shape : tuple of int
        Of one sample.
    encoder : torch.nn.Module
        The built-in encoder that gets the result.
    center : bool, default=True
        Whether the mean is subtracted; sparse matrices are scaled only.

    Attributes
    ----------
    mean, scale : Tensor
        Buffers, of a shape that broadcasts against a batch. A scale is 1 where the training data
        are constant.
    n_samples : Tensor of int of shape ()
        Samples that they were learned from; 0 before.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    n_samples: torch.Tensor

    def __init__(self, shape, encoder, center=True):
        super().__init__()
        if len(shape) > 2:
            statistics = (shape[0], *[1] * (len(shape) - 1))
        elif len(shape) == 2 and isinstance(encoder, CNNEncoder | ResNet18Encoder):
            statistics = (1, 1)
        else:
            statistics = shape[-1:]
        self.register_buffer("mean", torch.zeros(statistics))
        self.register_buffer("scale", torch.ones(statistics))
        self.register_buffer("n_samples", torch.zeros((), dtype=torch.int64))
        self.center = center
        self.padding_value = padding_of(encoder)

    def forward(self, x):
        """What the encoder gets.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...)

        Returns
        -------
        x : Tensor of shape (n_samples, ...)
            Standardized, with zeros where a sequence is padded.
        lengths : Tensor of int of shape (n_samples,), or None
            Steps of the sequences, for an encoder that leaves out padding: it could not find them,
            since a real step may have become the padding value.
        """
        if x.ndim != 3:
            return x.sub(self.mean).div_(self.scale), None  # one new array, not two
        x, lengths = self._find_padding(x)
        x = (x - self.mean) / self.scale
        x = x.masked_fill(~real_steps(lengths, x.shape[1])[:, :, None], 0)
        return x, None if self.padding_value is None else lengths.clamp(min=1)

    def _find_padding(self, x):
        """Sequences whose padding is the padding value, and their lengths."""
        value = nan if self.padding_value is None else self.padding_value
        if isnan(value):
            return x, real_lengths(x, nan)
        x = torch.where(x.isnan(), value, x)
        # A sample of nothing else keeps its first step, as in the encoders.
        return x, real_lengths(x, value).clamp(min=1)

    def moments(self, x, weight=None):
        """Moments of some samples in float64, and the number of values behind each.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...)
        weight : Tensor of shape (n_samples,), default=None

        Returns
        -------
        tuple of Moments and int
        """
        weight = None if weight is None else weight.double()
        if x.ndim == 3:
            x, lengths = self._find_padding(x)
            real = real_steps(lengths, x.shape[1])
            weight = None if weight is None else weight[:, None].expand(real.shape)[real]
            x = x[real]
        elif x.ndim > 3:
            x = x.movedim(1, -1).flatten(1, -2)
            weight = None if weight is None else weight.repeat_interleave(x.shape[1])
            x = x.flatten(0, 1)
        if x.ndim == 2 and self.mean.numel() == 1 and x.shape[1] > 1:  # spectrograms
            weight = None if weight is None else weight.repeat_interleave(x.shape[1])
            x = x.reshape(-1, 1)
        return weighted_moments(x.double(), weight), len(x)

    def set_moments(self, moments, n_values, n_samples):
        """Take over what the training data are like.

        Parameters
        ----------
        moments : Moments
            Without any weight, values stay as they are, and the next call may learn.
        n_values, n_samples : int
        """
        scale = scale_of_moments(moments, n_values).to(self.scale.dtype)
        scale = torch.where(scale == 0, 1.0, scale)  # a deviation that the type does not hold
        self.scale.copy_(scale.reshape(self.scale.shape))
        if self.center:
            self.mean.copy_(moments.mean.reshape(self.mean.shape))
        self.n_samples.copy_(n_samples * (moments.weight > 0))


def fit_scalers(network, dataset):
    """Learn means and deviations from the training part, where that has not been done.

    Samples count by their weights; those that lack a modality do not.

    Parameters
    ----------
    network : MultimodalNetwork
    dataset : Dataset
        Gives a `Batch` for a list of rows.
    """
    scalers = network.scalers
    if scalers:
        seen = torch.stack([scaler.n_samples for scaler in scalers.values()]).tolist()
        scalers = {name: scalers[name] for name, n in zip(scalers, seen, strict=True) if not n}
    if not scalers:
        return
    found = {}
    n_rows = 1
    start = 0
    while start < len(dataset):
        stop = min(start + n_rows, len(dataset))
        batch, _ = dataset.__getitems__(list(range(start, stop)))
        for name, scaler in scalers.items():
            if name in batch and len(batch[name]):
                found[name] = _add(found.get(name), scaler, name, batch)
        size = max((_bytes(batch[name]) for name in scalers if name in batch), default=0)
        start, n_rows = stop, max(1, min(4 * n_rows, _PIECE // max(1, size // (stop - start))))
    for name, (moments, n_values, n_samples) in found.items():
        scalers[name].set_moments(moments, n_values, n_samples)


def _add(known, scaler, name, batch):
    weight = batch.weight
    if weight is not None and name in batch.presence.masks:
        weight = weight[batch.presence.rows(name)]
    moments, n_values = scaler.moments(batch[name], weight)
    n_samples = len(batch[name])
    if known is None:
        return moments, n_values, n_samples
    return merge_moments(known[0], moments), known[1] + n_values, known[2] + n_samples


def _bytes(x):
    return prod(x.shape) * x.element_size()
