"""The prior of the classes."""

import torch
from torch import Tensor

__all__ = ["class_log_prior"]


def class_log_prior(target: Tensor, n_classes: int, weight: Tensor | None = None) -> Tensor:
    """Log-probabilities of the classes from their counts, each half a sample larger.

    Parameters
    ----------
    target : Tensor of int64 of shape (..., n_samples)
        Index of the class of each sample.
    n_classes : int
        Classes without samples count too.
    weight : Tensor of shape (..., n_samples), default=None
        Numbers of times that the samples count. None: once each.

    Returns
    -------
    Tensor of float64 of shape (..., n_classes)

    Examples
    --------
    >>> import torch
    >>> class_log_prior(torch.tensor([0, 0, 0, 1]), 2).exp()
    tensor([0.7000, 0.3000], dtype=torch.float64)
    """
    if weight is None:
        weight = torch.ones(target.shape, dtype=torch.float64, device=target.device)
    counts = weight.new_zeros(*target.shape[:-1], n_classes, dtype=torch.float64)
    counts = counts.scatter_add(-1, target, weight.double()) + 0.5
    return (counts / counts.sum(dim=-1, keepdim=True)).log()
