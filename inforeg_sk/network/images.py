"""Encoders of images, spectrograms and videos."""

from collections.abc import Iterable, Iterator

import torch
from torch import nn
from torch.nn import functional as F

from ..utils.callers import warn_caller
from .checks import check_axes, check_settings
from .dropout import Dropout

__all__ = ["CNNEncoder", "ResNet18Encoder", "warn_of_layout"]

SHAPES = {
    "spectrogram": "(height, width)",
    "image": "(channels, height, width)",
    "video": "(channels, frames, height, width)",
}
# Largest height and width, in cells, of the input of CNNEncoder's linear layer.
GRID = 4
# Numbers of channels that images come in: grey, color, color with transparency.
_CHANNELS = (1, 3, 4)


class CNNEncoder(nn.Module):
    """Small convolutional network: convolution, ReLU and max-pooling, then a linear layer.

    Each stage is a 3x3 convolution that keeps the size, ReLU, and 2x2 max-pooling (no pooling
    along an axis of one pixel). The result is averaged to at most 4x4 cells, flattened, and goes
    through a linear layer and ReLU. Frames of a video are encoded one by one, and their features
    averaged over time. No normalisation.

    Parameters
    ----------
    input_shape : tuple of 2 to 4 int
        Shape of one sample: ``(height, width)``, which is one channel, ``(channels, height,
        width)`` or ``(channels, frames, height, width)``. Any size works.
    hidden : int, default=64
        Number of output features.
    channels : int or sequence of int, default=(16, 32)
        Channels of each stage; an int is one stage.
    dropout : float, default=0.0
        Probability with which a feature is dropped in training, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If the samples have an unsupported number of axes, or a setting is out of range.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import CNNEncoder
    >>> CNNEncoder((3, 8, 8))(torch.zeros(4, 3, 8, 8)).shape
    torch.Size([4, 64])
    >>> CNNEncoder((3, 5, 24, 32), hidden=8)(torch.zeros(4, 3, 5, 24, 32)).shape
    torch.Size([4, 8])
    """

    def __init__(self, input_shape, hidden=64, channels=(16, 32), dropout=0.0):
        super().__init__()
        check_axes(self, input_shape, "images", **SHAPES)
        channels = tuple(channels) if isinstance(channels, Iterator) else channels
        check_settings(self, hidden=hidden, channels=channels, dropout=dropout)
        stages = list(channels) if isinstance(channels, Iterable) else [channels]
        widths = [_n_channels(input_shape), *stages]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 3, padding=1) for i in range(len(stages))
        )
        height, width = input_shape[-2:]
        for _ in stages:
            height, width = max(1, height // 2), max(1, width // 2)
        self.linear = nn.Linear(stages[-1] * min(height, GRID) * min(width, GRID), hidden)
        self.dropout = Dropout(dropout)

    def forward(self, x):
        return self.dropout(_over_frames(self._encode_images, x))

    def _encode_images(self, x):
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
            x = F.max_pool2d(x, [min(2, size) for size in x.shape[2:]])
        x = _average_cells(_average_cells(x, 2), 3)
        return F.relu(self.linear(x.flatten(1)))


def warn_of_layout(name, shape):
    """Warn if images or videos look as if their channels were not the first axis of a sample.

    Parameters
    ----------
    name : str
        The modality.
    shape : tuple of int
        Of one sample.

    Warns
    -----
    UserWarning
        If the last axis, or the second of a video, is of length 1, 3 or 4, and those of height and
        width are longer. The message has the call that moves the axis.
    """
    source = _channel_axis(shape)
    if source is None:
        return
    what = "(channels, height, width)" if len(shape) == 3 else "(channels, frames, height, width)"
    warn_caller(
        f"Modality {name!r} has samples of shape {shape}, which are taken as {what}: "
        f"{shape[0]} channels. If the channels are axis {source + 1} of the array, of length "
        f"{shape[source]}, move it: X[{name!r}] = np.moveaxis(X[{name!r}], {source + 1}, 1).",
    )


def _channel_axis(shape):
    """The axis that seems to hold the channels of images or videos, if it is not the first."""
    most = max(_CHANNELS)
    if len(shape) == 4 and shape[3] in (3, 4) and min(shape[1:3]) > most:
        return 3  # however few frames: no video is as narrow
    if len(shape) not in (3, 4) or shape[0] <= most:
        return None
    if shape[-1] in _CHANNELS and min(shape[:-1]) > most:
        return len(shape) - 1
    # Frame by frame, as many readers of videos give them.
    return 1 if len(shape) == 4 and shape[1] in _CHANNELS and min(shape[2:]) > most else None


def _average_cells(x, axis):
    """Average an axis to at most `GRID` cells, the same as torch's adaptive pooling.

    torch's function fails on Apple's devices if the cells differ in size, and is not deterministic
    on CUDA.
    """
    size = x.shape[axis]
    if size <= GRID:
        return x
    cells = [(i * size // GRID, -(-(i + 1) * size // GRID)) for i in range(GRID)]
    return torch.stack([x.narrow(axis, a, b - a).mean(dim=axis) for a, b in cells], dim=axis)


class ResNet18Encoder(nn.Module):
    """ResNet-18 without its last layer, initialised at random: 512 features.

    The standard trunk: a 7x7 convolution of stride 2, 3x3 max-pooling of stride 2, four stages of
    two basic blocks, and the average over space. Frames of a video go through it as a batch, and
    the average is over time as well.

    Parameters
    ----------
    input_shape : tuple of 2 to 4 int
        Shape of one sample: ``(height, width)``, a spectrogram, which is one channel,
        ``(channels, height, width)`` or ``(channels, frames, height, width)``. Any size works; the
        trunk is 32 times coarser than its input.

    Raises
    ------
    ValueError
        If the samples have an unsupported number of axes.

    Notes
    -----
    Parameters and buffers have torchvision's names, so that weights trained there load with
    ``encoder.load_state_dict(weights, strict=False)``: strict=False because they also hold the
    last layer, ``fc``. This needs 3 channels; for another number leave ``conv1.weight`` out, or
    sum it over its channels. Give the loaded encoder as an instance, in a dict:
    ``encoders={"video": encoder}``.

    It uses batch normalisation, so a batch needs at least two samples.

    References
    ----------
    He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", CVPR 2016,
    arXiv:1512.03385. Initial weights as in He et al.: "Delving Deep into Rectifiers", ICCV 2015,
    arXiv:1502.01852 (normal, by the number of outputs).

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import ResNet18Encoder
    >>> ResNet18Encoder((32, 40)).eval()(torch.zeros(2, 32, 40)).shape
    torch.Size([2, 512])
    """

    def __init__(self, input_shape):
        super().__init__()
        check_axes(self, input_shape, "images", **SHAPES)
        self.conv1 = nn.Conv2d(_n_channels(input_shape), 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, stride=1)
        self.layer2 = _stage(64, 128, stride=2)
        self.layer3 = _stage(128, 256, stride=2)
        self.layer4 = _stage(256, 512, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        return _over_frames(self._encode_images, x)

    def _encode_images(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection; names as in torchvision."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x):
        z = F.relu(self.bn1(self.conv1(x)))
        z = self.bn2(self.conv2(z))
        return F.relu(z + (x if self.downsample is None else self.downsample(x)))


def _stage(in_channels, channels, stride):
    return nn.Sequential(
        _BasicBlock(in_channels, channels, stride), _BasicBlock(channels, channels, 1)
    )


def _n_channels(input_shape):
    return 1 if len(input_shape) == 2 else input_shape[0]


def _over_frames(encode, x):
    """Encode images, or all frames of videos as one batch, with the mean over time.

    Parameters
    ----------
    encode : callable
        Maps a batch of images to one vector per image.
    x : Tensor of shape (n_samples, height, width) or (n_samples, channels, height, width) or \
            (n_samples, channels, frames, height, width)

    Returns
    -------
    Tensor of shape (n_samples, n_features)
    """
    if x.ndim == 3:
        return encode(x[:, None])
    if x.ndim == 4:
        return encode(x)
    frames = x.transpose(1, 2)
    return encode(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).mean(dim=1)
