"""On-the-fly gradient modulation: how much the encoders that lead are slowed."""

import torch
from torch import Tensor

from .regulation import TIE_TOLERANCE

__all__ = ["modulation_coefficient", "score_ratio"]


def score_ratio(scores: Tensor, scored: Tensor | None = None) -> Tensor:
    """Score of each modality over the mean score of the others.

    Parameters
    ----------
    scores : Tensor of floating type, of shape (..., n_modalities)
        At least 0; large is good.
    scored : Tensor of bool that broadcasts to the shape of `scores`, default=None
        Whether the score of a modality means anything. None: all do.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``s_m / mean_{j != m} s_j``, which for two modalities is the published ratio (more than two
        are ours); the mean is over those that are scored. 1 for a modality that is not scored, or
        is the only one. Where all others score 0 it is a large number, not infinite.

    Examples
    --------
    >>> import torch
    >>> score_ratio(torch.tensor([3.0, 1.0, 2.0]))
    tensor([2.0000, 0.4000, 1.0000])
    """
    n = scores.shape[-1]
    counted = ~torch.eye(n, dtype=torch.bool, device=scores.device)
    if scored is not None:
        scored = scored.expand(scores.shape)
        counted = counted & scored[..., None, :]
    # Not the sum less the own score, which loses the digits of others that are far behind.
    others = torch.where(counted, scores[..., None, :], 0).sum(dim=-1)
    count = counted.sum(dim=-1)
    mean = others / count.clamp(min=1)
    ratio = scores / mean.clamp(min=torch.finfo(scores.dtype).tiny)
    compared = count > 0 if scored is None else (count > 0) & scored
    return torch.where(compared, ratio, 1).clamp(max=torch.finfo(scores.dtype).max)


def modulation_coefficient(ratio: Tensor, alpha: float | Tensor) -> Tensor:
    """Factor on the gradient of each encoder (OGM-GE, eq. 10).

    Parameters
    ----------
    ratio : Tensor of shape (..., n_modalities)
        From `score_ratio`.
    alpha : float or Tensor that broadcasts to the shape of `ratio`
        At least 0; 0 slows nothing.

    Returns
    -------
    Tensor of the shape of `ratio`
        ``1 - tanh(alpha * ratio)`` where the ratio is above 1, else 1.

    Notes
    -----
    The factor jumps at 1, so a ratio that is above it by rounding only, 8 units of it, is not above
    it (ours; see `TIE_TOLERANCE`).

    Examples
    --------
    >>> import torch
    >>> modulation_coefficient(torch.tensor([2.0, 0.5]), 0.8)
    tensor([0.0783, 1.0000])
    """
    leads = ratio > 1 + TIE_TOLERANCE * torch.finfo(ratio.dtype).eps
    return torch.where(leads, 1 - torch.tanh(alpha * ratio), torch.ones_like(ratio))
