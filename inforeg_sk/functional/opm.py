"""The maths of on-the-fly prediction modulation (OPM): how often a leading modality is dropped."""

import torch
from torch import Tensor

__all__ = ["leading_drop_rate", "lead_over_mean"]


def lead_over_mean(ratios: Tensor) -> Tensor:
    """Score of each modality divided by the mean score of the others.

    Parameters
    ----------
    ratios : Tensor of shape (..., n_modalities, n_modalities)
        From `pairwise_score_ratios`.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        Others that have no sample in common with it are left out; 1 if that leaves none.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.functional import pairwise_score_ratios
    >>> lead_over_mean(pairwise_score_ratios(torch.tensor([[0.75], [0.5], [0.25]])))
    tensor([2.0000, 1.0000, 0.4000])
    """
    others = ~torch.eye(ratios.shape[-1], dtype=torch.bool, device=ratios.device)
    # As the mean of s_n / s_m over the others, which holds on the samples of each pair, too.
    counted = others & ~torch.isnan(ratios)
    inverse = torch.where(counted, ratios.mT, torch.zeros_like(ratios)).sum(dim=-1)
    count = counted.sum(dim=-1)
    return torch.where(count > 0, count / inverse, torch.ones_like(inverse))


def leading_drop_rate(ratio: Tensor, q: float, alpha: float) -> Tensor:
    """Probability with which a modality is dropped from a sample (ours; see `OPM`).

    Parameters
    ----------
    ratio : Tensor of shape (..., n_modalities)
        From `lead_over_mean`.
    q : float
        What the probability tends to as the lead grows; in [0, 1).
    alpha : float
        How fast.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``q tanh(alpha (ratio - 1))`` for a ratio above 1, else 0.

    Examples
    --------
    >>> import torch
    >>> leading_drop_rate(torch.tensor([2.0, 0.5]), 0.5, 1.0)
    tensor([0.3808, 0.0000])
    """
    # Clamped: an infinite ratio times an alpha of 0 would be NaN.
    lead = (ratio - 1).clamp(0, torch.finfo(ratio.dtype).max)
    return q * torch.tanh(alpha * lead)
