"""The regulation coefficient: how strongly a modality is held back."""

import torch
from torch import Tensor

__all__ = ["regulation_coefficient"]


def regulation_coefficient(gap: Tensor, alpha: Tensor, beta: float | Tensor) -> Tensor:
    """Strength of the pull (paper, eq. 11 and 16).

    Parameters
    ----------
    gap : Tensor of shape (..., n_modalities)
        From `performance_gap`.
    alpha : Tensor of shape (n_modalities,), or one that broadcasts to the shape of `gap`
        Base strength of each modality, at least 0; 0 where it is not regulated now.
    beta : float or Tensor that broadcasts to the shape of `gap`
        How fast the strength grows with the gap.

    Returns
    -------
    Tensor of the shape of `gap`
        ``alpha * exp(beta * tanh(gap))`` where the gap is positive, else 0.

    Examples
    --------
    >>> import torch
    >>> regulation_coefficient(torch.tensor([0.0, 100.0]), torch.ones(2), 1.0)
    tensor([0.0000, 2.7183])
    """
    return torch.where(gap > 0, alpha * torch.exp(beta * torch.tanh(gap)), torch.zeros_like(gap))
