"""The prime learning window: when an encoder gains information fast (paper, Alg. 1)."""

from math import nan

import torch
from torch import Tensor

__all__ = ["PADDINGS", "window_open", "moving_average", "window_ratio"]

PADDINGS = ("none", "zeros")


def moving_average(traces: Tensor, length: int, padding: str = "none") -> Tensor:
    """Mean of the last traces.

    Parameters
    ----------
    traces : Tensor of floating type, of shape (..., n_epochs, n_modalities)
        Oldest first.
    length : int
        How many epochs are averaged.
    padding : {"none", "zeros"}, default="none"
        What stands before the first epoch: nothing (the mean is over the epochs so far), or zeros
        (as in the authors' code).

    Returns
    -------
    Tensor of shape (..., n_modalities)
        Without any epoch: 0 with zeros, NaN without.

    Raises
    ------
    ValueError
        If `length` is below 1 or `padding` is another word.

    Examples
    --------
    >>> import torch
    >>> moving_average(torch.tensor([[1.0], [2.0], [6.0]]), 2)
    tensor([4.])
    """
    if length < 1 or padding not in PADDINGS:
        raise ValueError(
            f"length={length!r} must be at least 1 and padding={padding!r} one of "
            f"{', '.join(map(repr, PADDINGS))}."
        )
    last = traces[..., -length:, :]
    total = last.new_zeros(last.shape[:-2] + last.shape[-1:])
    # One after the other, so that the last bit does not depend on how a sum is vectorized: ratios
    # are compared with a threshold.
    for trace in last.unbind(dim=-2):
        total = total + trace
    return total / (last.shape[-2] if padding == "none" else length)


def window_ratio(traces: Tensor, smoothing: int = 1, padding: str = "none") -> Tensor:
    """Relative growth of the smoothed trace over the last epoch.

    Parameters
    ----------
    traces : Tensor of floating type, of shape (..., n_epochs, n_modalities)
        The traces of all finished epochs, oldest first (the last ``smoothing + 1`` are enough).
    smoothing : int, default=1
        Length of the moving average, in epochs; 1 takes the traces themselves (the paper).
    padding : {"none", "zeros"}, default="none"
        See `moving_average`.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``(MA[t-1] - MA[t-2]) / MA[t-1]``, the window ratio of epoch ``t = n_epochs``; NaN where it
        is not defined: too few epochs, or an average of zero.

    Examples
    --------
    >>> import torch
    >>> window_ratio(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    tensor([0.5000,    nan])
    >>> window_ratio(torch.tensor([[3.0]]), smoothing=10, padding="zeros")
    tensor([1.])
    """
    if traces.shape[-2] < (2 if padding == "none" else 1):
        return traces.new_full(traces.shape[:-2] + traces.shape[-1:], nan)
    now = moving_average(traces, smoothing, padding)
    before = moving_average(traces[..., :-1, :], smoothing, padding)
    return torch.where(now != 0, (now - before) / now, nan)


def window_open(ratio: Tensor, threshold: float | Tensor, leader: int | None = None) -> Tensor:
    """Whether the prime learning window is open (paper, Alg. 1).

    Parameters
    ----------
    ratio : Tensor of shape (..., n_modalities)
        From `window_ratio`.
    threshold : float or Tensor
        K of the paper. Growth has to be above it; NaN is not.
    leader : int, default=None
        Index of the modality whose window decides for all (the authors' code); None: each its own.

    Returns
    -------
    Tensor of bool of shape (..., n_modalities)

    Examples
    --------
    >>> import torch
    >>> window_open(torch.tensor([0.1, 0.0, float("nan")]), 0.04)
    tensor([ True, False, False])
    """
    grows = ratio > threshold
    return grows if leader is None else grows[..., leader, None].expand_as(grows)
