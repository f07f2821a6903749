"""Ratios of performance scores that are at least 0, such as probabilities of the true class."""

import torch
from torch import Tensor

from .scores import batch_score, pairwise_batch_scores

__all__ = ["pairwise_score_ratios"]


def pairwise_score_ratios(
    values: Tensor, present: Tensor | None = None, weight: Tensor | None = None
) -> Tensor:
    """Ratio of the mean scores of each two modalities, over the samples that have both.

    Parameters
    ----------
    values : Tensor of shape (..., n_modalities, n_samples)
        Score of each sample by each modality, at least 0; large is good.
    present : Tensor of shape (..., n_modalities, n_samples), default=None
        1, or true, where a sample has the modality. None: all have all.
    weight : Tensor of shape (..., n_samples), default=None
        Sample weights.

    Returns
    -------
    Tensor of shape (..., n_modalities, n_modalities)
        In row m and column n the score of m divided by that of n; 1 where both are equal (0
        included, so that there is no 0/0), and infinite where only that of n is 0. NaN where no
        sample of some weight has both.

    Examples
    --------
    >>> import torch
    >>> pairwise_score_ratios(torch.tensor([[0.5, 0.5], [0.25, 0.25]]))
    tensor([[1.0000, 2.0000],
            [0.5000, 1.0000]])
    """
    if present is None:
        total = batch_score(values, None if weight is None else weight[..., None, :], mean=False)
        scores = total[..., None].expand(*total.shape, total.shape[-1])
    else:
        scores = pairwise_batch_scores(values, present, weight, mean=False)
    ratio = torch.where(scores == scores.mT, torch.ones_like(scores), scores / scores.mT)
    counts = torch.ones_like(values) if present is None else present.to(values.dtype)
    weighted = counts if weight is None else counts * weight[..., None, :].to(values.dtype)
    return ratio.masked_fill(weighted @ counts.mT == 0, torch.nan)
