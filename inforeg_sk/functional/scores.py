"""Performance scores: of samples from unimodal logits, and of a batch from its samples."""

import torch
from torch import Tensor

__all__ = [
    "batch_score",
    "log_probability",
    "pairwise_batch_scores",
    "probability",
    "weighted_mean",
]


def log_probability(logits: Tensor, target: Tensor, dim: int = -1) -> Tensor:
    """Log-probability of the true class of each sample (paper, eq. 8 without its minus sign).

    Parameters
    ----------
    logits : Tensor of shape (..., n_samples, n_classes), or (..., n_classes, n_samples)
    target : Tensor of int64 of shape (n_samples,), or one that broadcasts to (..., n_samples)
        Index of the true class.
    dim : {-1, -2}, default=-1
        The axis of the classes.

    Returns
    -------
    Tensor of shape (..., n_samples)
        At most 0.

    Examples
    --------
    >>> import torch
    >>> log_probability(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([-0.6931])
    """
    log_probabilities = logits.log_softmax(dim=dim)
    index = class_index(target, logits.shape, dim)
    return log_probabilities.gather(dim, index).squeeze(dim)


def class_index(target: Tensor, shape: torch.Size, dim: int) -> Tensor:
    """Index of the true class, as ``Tensor.gather`` takes it.

    Parameters
    ----------
    target : Tensor of int64 of shape (..., n_samples)
    shape : torch.Size
        Of the logits.
    dim : {-1, -2}
        The axis of the classes.

    Returns
    -------
    Tensor of int64 of shape (..., n_samples, 1) or (..., 1, n_samples)
    """
    if dim == -1:
        return target[..., None].expand(*shape[:-1], 1)
    return target[..., None, :].expand(*shape[:-2], 1, shape[-1])


def probability(logits: Tensor, target: Tensor) -> Tensor:
    """Probability of the true class of each sample (the authors' code sums it over the batch).

    Parameters
    ----------
    logits, target :
        As in `log_probability`.

    Returns
    -------
    Tensor of shape (..., n_samples)
        In [0, 1].

    Examples
    --------
    >>> import torch
    >>> probability(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.5000])
    """
    index = target.expand(logits.shape[:-1])[..., None]
    return logits.softmax(dim=-1).gather(-1, index)[..., 0]


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the last axis; 0 if all weights are 0.

    Parameters
    ----------
    values : Tensor of shape (..., n_samples)
    weight : Tensor of shape (..., n_samples)
        At least 0.

    Returns
    -------
    Tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    total = weight.sum(dim=-1)
    # No branch on the device's value: where the total is 0 so is the numerator.
    return (values * weight).sum(dim=-1) / torch.where(total > 0, total, torch.ones_like(total))


def batch_score(values: Tensor, weight: Tensor | None = None, *, mean: bool = True) -> Tensor:
    """Score of a batch from the scores of its samples.

    Parameters
    ----------
    values : Tensor of shape (..., n_modalities, n_samples)
        Score of each sample by each modality; large is good.
    weight : Tensor of shape (..., n_modalities, n_samples), default=None
        Sample weights, 0 for a sample that lacks the modality. None: all samples count alike.
    mean : bool, default=True
        Take the mean over the samples (0 if all weights are 0), else the sum.

    Returns
    -------
    Tensor of shape (..., n_modalities)

    Examples
    --------
    >>> import torch
    >>> batch_score(torch.tensor([[1.0, 3.0], [5.0, 6.0]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    tensor([2., 5.])
    """
    if mean:
        return values.mean(dim=-1) if weight is None else weighted_mean(values, weight)
    return (values if weight is None else values * weight).sum(dim=-1)


def pairwise_batch_scores(
    values: Tensor, present: Tensor, weight: Tensor | None = None, *, mean: bool = True
) -> Tensor:
    """Score of each modality on the samples that it has in common with each other one.

    Parameters
    ----------
    values : Tensor of shape (..., n_modalities, n_samples)
        As in `batch_score`.
    present : Tensor of shape (..., n_modalities, n_samples), bool or of floating type
        True, or 1, where a sample has the modality.
    weight : Tensor of shape (..., n_samples), default=None
        Sample weights.
    mean : bool, default=True
        As in `batch_score`.

    Returns
    -------
    Tensor of shape (..., n_modalities, n_modalities)
        In row m and column n the score of m over the samples that have both; 0 if none has.

    Examples
    --------
    >>> import torch
    >>> values = torch.tensor([[1.0, 3.0, 8.0], [5.0, 7.0, 9.0]])
    >>> present = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    >>> pairwise_batch_scores(values, present)
    tensor([[4., 2.],
            [6., 6.]])
    """
    present = present.to(values.dtype).mT
    counts = present if weight is None else present * weight[..., None]
    total = (counts * values.mT).mT @ present
    if not mean:
        return total
    count = counts.mT @ present
    return total / torch.where(count > 0, count, torch.ones_like(count))
