"""From performance scores to the regulation coefficient: gaps, and how strongly to hold back."""

import torch
from torch import Tensor

__all__ = [
    "TIE_TOLERANCE",
    "pairwise_performance_gap",
    "performance_gap",
    "regulation_coefficient",
]

#: Scores closer than this many units of rounding, relative to the larger, are a tie.
#: Ours, not the paper's: scores that are equal but for the order of a sum would otherwise switch
#: the coefficient from 0 to alpha.
TIE_TOLERANCE = 8


def performance_gap(scores: Tensor) -> Tensor:
    """How far each modality is ahead of those behind it (paper, eq. 9 and 10).

    Parameters
    ----------
    scores : Tensor of floating type, of shape (..., n_modalities)
        Large is good.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        Mean of ``s_m - s_n`` over the modalities ``n`` with ``s_n < s_m``: at least 0, and 0 for a
        modality that is ahead of none.

    Notes
    -----
    A modality ``n`` counts as behind ``m`` only if it is behind by more than
    ``8 eps max(|s_m|, |s_n|)``, where ``eps`` is that of the scores' type (ours; see
    `TIE_TOLERANCE`).

    Examples
    --------
    >>> import torch
    >>> performance_gap(torch.tensor([3.0, 1.0, 0.0]))
    tensor([2.5000, 1.0000, 0.0000])
    >>> performance_gap(torch.tensor([1.0, 1.0 + 1e-7]))
    tensor([0., 0.])
    """
    return _mean_lead(scores[..., :, None], scores[..., None, :])


def pairwise_performance_gap(scores: Tensor) -> Tensor:
    """Performance gap where samples lack modalities (our extension of eq. 9 and 10).

    Parameters
    ----------
    scores : Tensor of floating type, of shape (..., n_modalities, n_modalities)
        In row m and column n the score of m on the samples that have both; see
        `pairwise_batch_scores`.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        As `performance_gap`, but m and n are compared by the scores on their common samples.

    Examples
    --------
    >>> import torch
    >>> pairwise_performance_gap(torch.tensor([[4.0, 2.0], [6.0, 6.0]]))
    tensor([0., 4.])
    """
    return _mean_lead(scores, scores.mT)


def _mean_lead(score: Tensor, other: Tensor) -> Tensor:
    """Mean over the last axis of the leads above rounding; 0 where there is none."""
    lead = score - other
    info = torch.finfo(lead.dtype)
    # An infinite score does not tie with a finite one.
    largest = torch.maximum(score.abs(), other.abs()).clamp(max=info.max)
    ahead = lead > TIE_TOLERANCE * info.eps * largest
    lead = torch.where(ahead, lead, torch.zeros_like(lead))
    return lead.sum(dim=-1) / ahead.sum(dim=-1).clamp(min=1)


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
