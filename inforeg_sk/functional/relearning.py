"""The maths of diagnosing and re-learning (D&R): purity of clusters, and how far to go back."""

import torch
from torch import Tensor

__all__ = ["cluster_purity", "min_max_scaled", "relearning_share"]


def min_max_scaled(features: Tensor) -> Tensor:
    """Features scaled to [0, 1], each by its least and largest value over the samples.

    Parameters
    ----------
    features : Tensor of shape (..., n_samples, n_features)

    Returns
    -------
    Tensor of shape (..., n_samples, n_features)
        0 for a feature that is constant.

    Examples
    --------
    >>> import torch
    >>> min_max_scaled(torch.tensor([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0]]))
    tensor([[0.0000, 0.0000],
            [0.5000, 0.0000],
            [1.0000, 0.0000]])
    """
    low = features.amin(dim=-2, keepdim=True)
    width = features.amax(dim=-2, keepdim=True) - low
    return (features - low) / torch.where(width > 0, width, torch.ones_like(width))


def cluster_purity(
    cluster: Tensor,
    target: Tensor,
    n_clusters: int,
    n_classes: int,
    weight: Tensor | None = None,
) -> Tensor:
    """Share of the samples whose class is the most frequent one of their cluster.

    Parameters
    ----------
    cluster : Tensor of int64 of shape (..., n_samples)
    target : Tensor of int64 of shape (..., n_samples)
    n_clusters, n_classes : int
    weight : Tensor of shape (..., n_samples), default=None
        Sample weights.

    Returns
    -------
    Tensor of float64 of shape (...)
        NaN if there is no sample of some weight.

    Examples
    --------
    >>> import torch
    >>> cluster_purity(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1]), 2, 2)
    tensor(0.7500, dtype=torch.float64)
    """
    in_cluster = (cluster[..., None] == torch.arange(n_clusters)).double()
    in_class = (target[..., None] == torch.arange(n_classes)).double()
    if weight is not None:
        in_class = in_class * weight[..., None].double()
    table = in_cluster.mT @ in_class
    return table.amax(dim=-1).sum(dim=-1) / table.sum(dim=(-2, -1))


def relearning_share(training: Tensor, held_out: Tensor, strength: float) -> Tensor:
    """Share of the way back to its initial weights that an encoder goes.

    Parameters
    ----------
    training, held_out : Tensor of shape (..., n_modalities)
        Purity on the training part and on the held-out part.
    strength : float

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``tanh(strength * |training - held_out|)``; 0 where a purity is NaN.

    Examples
    --------
    >>> import torch
    >>> relearning_share(torch.tensor([0.9, 0.5]), torch.tensor([0.4, 0.5]), 3.0)
    tensor([0.9051, 0.0000])
    """
    return torch.nan_to_num(torch.tanh(strength * (training - held_out).abs()), nan=0.0)
