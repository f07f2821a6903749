"""Conditional learning speeds of branches that are joined by gates, and which one to re-balance."""

import torch
from torch import Tensor

__all__ = ["branch_to_rebalance", "conditional_speed", "learning_speed"]


def learning_speed(gradient_squares: Tensor, weight_squares: Tensor) -> Tensor:
    """Squared norm of the gradient of a group of parameters over that of the parameters.

    Parameters
    ----------
    gradient_squares, weight_squares : Tensor of shape (...)
        Sums of squares over each group.

    Returns
    -------
    Tensor of shape (...)
        0 for a group without weights that differ from 0.

    Examples
    --------
    >>> import torch
    >>> learning_speed(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 0.0]))
    tensor([0.2500, 0.0000])
    """
    known = weight_squares > 0
    speed = gradient_squares / torch.where(known, weight_squares, torch.ones_like(weight_squares))
    return torch.where(known, speed, torch.zeros_like(speed))


def conditional_speed(bypass: Tensor, main: Tensor) -> Tensor:
    """How fast a branch learns from the others, compared with how fast it learns itself.

    Parameters
    ----------
    bypass : Tensor of shape (..., n_modalities)
        Sum over batches of the `learning_speed` of what a branch sees the others through.
    main : Tensor of shape (..., n_modalities)
        The same of the branch itself.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``log10(bypass / main)``, NaN where it is not finite.

    Examples
    --------
    >>> import torch
    >>> conditional_speed(torch.tensor([1.0, 0.0]), torch.tensor([10.0, 1.0]))
    tensor([-1., nan])
    """
    speed = torch.log10(bypass / main)
    return torch.where(speed.isfinite(), speed, torch.full_like(speed, torch.nan))


def branch_to_rebalance(speeds: Tensor, threshold: float, active: Tensor | None = None) -> Tensor:
    """The branch whose conditional speed is largest, if speeds differ by more than a threshold.

    Parameters
    ----------
    speeds : Tensor of shape (..., n_modalities)
        From `conditional_speed`.
    threshold : float
        At least 0.
    active : Tensor of bool of shape (..., n_modalities), default=None
        Branches that may be re-balanced. None: all.

    Returns
    -------
    Tensor of int64 of shape (...)
        Index of the branch; -1 for none: speeds are close, one of them is NaN, or the branch may
        not be re-balanced.

    Examples
    --------
    >>> import torch
    >>> branch_to_rebalance(torch.tensor([[0.5, 0.2, 0.6], [0.5, 0.5, 0.5]]), 0.1)
    tensor([ 2, -1])
    """
    largest, branch = speeds.max(dim=-1)
    differ = largest - speeds.amin(dim=-1) > threshold  # False for NaN
    if active is not None:
        differ = differ & active.expand(speeds.shape).gather(-1, branch[..., None]).squeeze(-1)
    return torch.where(differ, branch, torch.full_like(branch, -1))
