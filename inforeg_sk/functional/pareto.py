"""Two gradients of one encoder, and the step that serves both losses (MMPareto)."""

import torch
from torch import Tensor

__all__ = ["min_norm_weight", "norm_growth", "pareto_weight"]


def min_norm_weight(aa: Tensor, uu: Tensor, au: Tensor) -> Tensor:
    """Weight of ``a`` in the shortest vector ``w a + (1 - w) u`` of a segment.

    Parameters
    ----------
    aa, uu, au : Tensor of shape (...)
        Products ``a.a``, ``u.u`` and ``a.u`` of two vectors.

    Returns
    -------
    Tensor of shape (...)
        In [0, 1]; 1/2 where the vectors are equal.

    Examples
    --------
    >>> import torch
    >>> min_norm_weight(torch.tensor(1.0), torch.tensor(4.0), torch.tensor(0.0))
    tensor(0.8000)
    """
    distance = aa + uu - 2 * au
    known = distance > 0
    weight = (uu - au) / torch.where(known, distance, torch.ones_like(distance))
    return torch.where(known, weight.clamp(0, 1), 0.5)


def pareto_weight(aa: Tensor, uu: Tensor, au: Tensor) -> Tensor:
    """Weight of the joint gradient ``a`` of an encoder beside the unimodal one, ``u``.

    Parameters
    ----------
    aa, uu, au :
        As in `min_norm_weight`.

    Returns
    -------
    Tensor of shape (...)
        1/2 where the gradients do not conflict (``a.u > 0``), else `min_norm_weight`.

    Examples
    --------
    >>> import torch
    >>> pareto_weight(torch.tensor(1.0), torch.tensor(4.0), torch.tensor([0.5, -0.5]))
    tensor([0.5000, 0.7500])
    """
    return torch.where(au > 0, 0.5, min_norm_weight(aa, uu, au))


def norm_growth(wanted: Tensor, norm: Tensor) -> Tensor:
    """Factor that brings a norm up to another one; 1 if it is larger already, or 0.

    Parameters
    ----------
    wanted, norm : Tensor of shape (...)

    Returns
    -------
    Tensor of shape (...)
        At least 1.

    Examples
    --------
    >>> import torch
    >>> norm_growth(torch.tensor([3.0, 3.0, 3.0]), torch.tensor([2.0, 6.0, 0.0]))
    tensor([1.5000, 1.0000, 1.0000])
    """
    known = norm > 0
    growth = wanted / torch.where(known, norm, torch.ones_like(norm))
    return torch.where(known, growth.clamp(min=1), torch.ones_like(growth))
