"""Squared norms of the gradients of single samples, from what a layer got and its gradients."""

from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "conv_positions",
    "diagonal_sample_norms",
    "outer_sample_norms",
    "shift_sample_norms",
]

# Values that a product of all samples may hold at a time; more samples go piece by piece.
_PIECE = 2**23


def outer_sample_norms(inputs: Tensor, gradients: Tensor) -> Tensor:
    """Squared norm of each sample's gradient of a matrix that maps inputs to outputs.

    The gradient of the matrix is ``sum_t g_t x_t^T`` over the positions t of a sample. With one
    position its squared norm is ``|x|^2 |g|^2``. With more it is taken from the Gram matrices of
    the positions, or from the product itself, whichever is smaller.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_positions, n_inputs)
    gradients : Tensor of shape (n_samples, n_positions, n_outputs)
        Of the sample's loss with respect to the outputs.

    Returns
    -------
    Tensor of shape (n_samples,)

    Examples
    --------
    >>> import torch
    >>> x, g = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0]]])
    >>> outer_sample_norms(x, g)
    tensor([45.])
    """
    n_positions, n_inputs = inputs.shape[1:]
    n_outputs = gradients.shape[2]
    if n_positions == 1:
        return inputs.square().sum(dim=(1, 2)) * gradients.square().sum(dim=(1, 2))
    by_gram = 2 * n_positions**2 <= n_inputs * n_outputs
    size = 2 * n_positions**2 if by_gram else n_inputs * n_outputs
    norms = []
    for x, g in zip(*(t.split(max(1, _PIECE // max(1, size))) for t in (inputs, gradients))):
        if by_gram:
            # A sum of products that may cancel: rounding must not make it negative.
            norms.append(((x @ x.mT) * (g @ g.mT)).sum(dim=(1, 2)).clamp(min=0))
        else:
            norms.append((g.mT @ x).square().sum(dim=(1, 2)))
    return torch.cat(norms)


def diagonal_sample_norms(inputs: Tensor, gradients: Tensor) -> Tensor:
    """Squared norm of each sample's gradient of a vector that multiplies the inputs.

    Parameters
    ----------
    inputs, gradients : Tensor of shape (n_samples, n_positions, n_channels)

    Returns
    -------
    Tensor of shape (n_samples,)

    Examples
    --------
    >>> import torch
    >>> x, g = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 1.0]]])
    >>> diagonal_sample_norms(x, g)
    tensor([13.])
    """
    return (inputs * gradients).sum(dim=1).square().sum(dim=1)


def shift_sample_norms(gradients: Tensor) -> Tensor:
    """Squared norm of each sample's gradient of a vector that is added to the outputs.

    Parameters
    ----------
    gradients : Tensor of shape (n_samples, n_positions, n_channels)

    Returns
    -------
    Tensor of shape (n_samples,)

    Examples
    --------
    >>> import torch
    >>> shift_sample_norms(torch.tensor([[[3.0, 1.0], [0.0, 3.0]]]))
    tensor([25.])
    """
    return gradients.sum(dim=1).square().sum(dim=1)


def conv_positions(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: str | tuple[int, ...],
    dilation: tuple[int, ...],
    padding_mode: str = "zeros",
) -> Tensor:
    """What a convolution multiplies by its kernel at each position of its output.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, ...)
        Input, with as many further axes as the kernel has.
    kernel, stride, dilation : tuple of int
        Of the convolution, one number an axis.
    padding : tuple of int, "same" or "valid"
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, default="zeros"

    Returns
    -------
    Tensor of shape (n_samples, n_positions, n_channels * prod(kernel))
        Positions in the order of the output, values in that of the kernel's elements.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> conv_positions(x, (2,), (1,), (0,), (1,))
    tensor([[[1., 2.],
             [2., 3.]]])
    """
    spread = [d * (k - 1) for k, d in zip(kernel, dilation)]
    if padding == "valid":
        sides = [(0, 0) for _ in kernel]
    elif padding == "same":
        sides = [(s // 2, s - s // 2) for s in spread]
    else:
        sides = [(int(p), int(p)) for p in padding]
    if any(map(any, sides)):
        flat = [n for side in reversed(sides) for n in side]  # torch begins with the last axis
        x = F.pad(x, flat, mode="constant" if padding_mode == "zeros" else padding_mode)
    n_axes = len(kernel)
    for axis in range(n_axes):
        x = x.unfold(2 + axis, spread[axis] + 1, stride[axis])[..., :: dilation[axis]]
    x = x.movedim(1, 1 + n_axes)  # (n_samples, *positions, n_channels, *kernel)
    return x.reshape(x.shape[0], prod(x.shape[1 : 1 + n_axes]), -1)
