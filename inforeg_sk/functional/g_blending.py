"""G-Blending's maths: loss weights from how much each head generalizes and overfits."""

import torch
from torch import Tensor

__all__ = ["blending_weights", "gain_and_overfitting"]


def gain_and_overfitting(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """What training a head has gained on held-out samples, and how much of it was overfitting.

    Parameters
    ----------
    before, after : Tensor of shape (..., 2, n_heads)
        Mean loss on the training part, then on the held-out part, before and after training.

    Returns
    -------
    gain : Tensor of shape (..., n_heads)
        G: by how much the held-out loss fell. Below 0 if it rose.
    overfitting : Tensor of shape (..., n_heads)
        O: by how much held-out loss minus training loss rose.

    Examples
    --------
    >>> import torch
    >>> before, after = torch.tensor([[1.0], [1.0]]), torch.tensor([[0.25], [0.5]])
    >>> gain_and_overfitting(before, after)
    (tensor([0.5000]), tensor([0.2500]))
    """
    gap_before = before[..., 1, :] - before[..., 0, :]
    gap_after = after[..., 1, :] - after[..., 0, :]
    return before[..., 1, :] - after[..., 1, :], gap_after - gap_before


def blending_weights(gain: Tensor, overfitting: Tensor, floor: float = 1e-8) -> Tensor:
    """Weights of the heads' losses, in proportion to ``G / O^2``; they add up to 1.

    Parameters
    ----------
    gain, overfitting : Tensor of shape (..., n_heads)
        From `gain_and_overfitting`. A head with a NaN gets weight 0.
    floor : float, default=1e-8
        The least that O^2 counts as.

    Returns
    -------
    Tensor of shape (..., n_heads)
        A head that gained nothing gets 0 (ours: with ``|G|`` a loss that rose would earn weight).
        If none gained anything, all get the same.

    Examples
    --------
    >>> import torch
    >>> blending_weights(torch.tensor([1.0, 3.0, -1.0]), torch.tensor([0.5, 1.0, 0.1]))
    tensor([0.5714, 0.4286, 0.0000])
    """
    raw = torch.nan_to_num(gain, nan=0.0).clamp(min=0) / (overfitting**2).clamp(min=floor)
    raw = torch.nan_to_num(raw, nan=0.0)
    total = raw.sum(dim=-1, keepdim=True)
    share = raw / torch.where(total > 0, total, torch.ones_like(total))
    return torch.where(total > 0, share, torch.full_like(raw, 1 / raw.shape[-1]))
