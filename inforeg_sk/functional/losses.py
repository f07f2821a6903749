"""Losses of samples together with their gradients with respect to the logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from .scores import class_index

__all__ = ["SampleLosses", "cross_entropy_losses", "squared_losses"]


class SampleLosses(NamedTuple):
    """Losses of samples, and what else one pass over the logits gives."""

    losses: Tensor  # of shape (..., n_samples)
    gradient: Tensor  # with respect to the logits, of their shape, times the shares
    log_probability: Tensor | None  # of the true class, of shape (..., n_samples)


def cross_entropy_losses(
    logits: Tensor,
    target: Tensor,
    share: float | Tensor = 1.0,
    label_smoothing: float = 0.0,
    dim: int = -1,
) -> SampleLosses:
    """Cross entropy of each sample, and its gradient: the softmax less the target distribution.

    Parameters
    ----------
    logits : Tensor of shape (..., n_samples, n_classes), or (..., n_classes, n_samples)
    target : Tensor of int64 of shape (n_samples,), or one that broadcasts to (..., n_samples)
        Index of the true class.
    share : float or Tensor that broadcasts to (..., n_samples), default=1.0
        What the gradient of each sample is multiplied by; the losses are not.
    label_smoothing : float, default=0.0
        Share of the target distribution that all classes have alike, as in
        ``torch.nn.CrossEntropyLoss``.
    dim : {-1, -2}, default=-1
        The axis of the classes. Few classes are up to ten times as fast on the last axis but one.

    Returns
    -------
    SampleLosses

    Examples
    --------
    >>> import torch
    >>> of = cross_entropy_losses(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    >>> of.losses, of.gradient
    (tensor([0.6931]), tensor([[ 0.5000, -0.5000]]))
    """
    n_classes = logits.shape[dim]
    log_probabilities = torch.log_softmax(logits, dim=dim)
    index = class_index(target, logits.shape, dim)
    log_probability = log_probabilities.gather(dim, index).squeeze(dim)
    losses = log_probability
    if label_smoothing:
        others = log_probabilities.sum(dim=dim) / n_classes
        losses = losses * (1 - label_smoothing) + others * label_smoothing
    # Torch's own derivative, to the last bit: first with respect to the log-probabilities.
    gradient = torch.zeros_like(log_probabilities)
    share = share.unsqueeze(dim) if isinstance(share, Tensor) else share
    if label_smoothing:
        gradient = gradient.sub_(label_smoothing / n_classes * share)
    value = (label_smoothing - 1) * share
    if isinstance(value, Tensor):
        gradient.scatter_add_(dim, index, value.expand(index.shape))
    elif label_smoothing:
        gradient.scatter_add_(dim, index, torch.full_like(index, value, dtype=logits.dtype))
    else:
        gradient.scatter_(dim, index, value)
    gradient = _log_softmax_backward(gradient, log_probabilities, dim, logits.dtype)
    return SampleLosses(-losses, gradient, log_probability)


_log_softmax_backward = torch.ops.aten._log_softmax_backward_data.default


def squared_losses(
    prediction: Tensor, target: Tensor, share: float | Tensor = 1.0, dim: int = -1
) -> SampleLosses:
    """Squared error of each sample, averaged over its outputs, and its gradient.

    Parameters
    ----------
    prediction : Tensor of shape (..., n_samples, n_outputs), or (..., n_outputs, n_samples)
    target : Tensor of shape (n_samples, n_outputs), or one that broadcasts to (..., n_samples, \
n_outputs)
    share, dim :
        As in `cross_entropy_losses`.

    Returns
    -------
    SampleLosses
        Without log-probabilities.

    Examples
    --------
    >>> import torch
    >>> of = squared_losses(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 1.0]]))
    >>> of.losses, of.gradient
    (tensor([2.]), tensor([[2., 0.]]))
    """
    error = prediction - (target if dim == -1 else target.mT)
    losses = error.square().mean(dim=dim)
    share = share.unsqueeze(dim) if isinstance(share, Tensor) else share
    return SampleLosses(losses, error.mul_(2 / prediction.shape[dim]).mul_(share), None)
