"""The maths of a batch: performance score, gap, coefficient, and the two ways to pull."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

__all__ = [
    "SCORES",
    "Score",
    "add_pull",
    "drift_back",
    "log_probability",
    "performance_gap",
    "probability",
    "regulation_coefficient",
    "summarise",
    "summarise_pairs",
]


class Score(NamedTuple):
    """How well a modality does, from its unimodal logits; large is good."""

    of_each: Callable  # (logits, target) -> Tensor of shape (n_samples,)
    mean: bool  # over the samples; else the sum


def log_probability(logits, target):
    """Log-probability of the true class of each sample (paper, eq. 8 without its minus sign).

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_classes)
    target : Tensor of int of shape (n_samples,)

    Returns
    -------
    Tensor of shape (n_samples,)
        At most 0.
    """
    return -F.cross_entropy(logits, target, reduction="none")


def probability(logits, target):
    """Probability of the true class of each sample (the authors' code sums it over the batch).

    Parameters and return value are those of `log_probability`; in [0, 1].
    """
    return logits.softmax(dim=1).gather(1, target[:, None])[:, 0]


SCORES = {
    "log_probability": Score(log_probability, mean=True),
    "probability_sum": Score(probability, mean=False),
}


def summarise(values, weight, mean):
    """Score of a batch from those of its samples.

    Parameters
    ----------
    values : Tensor of shape (n_samples,)
    weight : Tensor of shape (n_samples,) or None
        Sample weights, 0 for a sample that does not count.
    mean : bool
        Whether it is the mean (0 if all weights are 0), or the sum.

    Returns
    -------
    Tensor of shape ()
    """
    if mean:
        return values.mean() if weight is None else weighted_mean(values, weight)
    return (values if weight is None else values * weight).sum()


def summarise_pairs(values, present, weight, mean):
    """Score of each modality on the samples that it has in common with each other.

    Parameters
    ----------
    values : Tensor of shape (n_samples, n_modalities)
    present : Tensor of shape (n_samples, n_modalities)
        1 where a sample has a modality, else 0.
    weight : Tensor of shape (n_samples,) or None
    mean : bool
        As in `summarise`.

    Returns
    -------
    Tensor of shape (n_modalities, n_modalities)
        In row m and column n the score of m over the samples that have both; 0 if none has.

    Examples
    --------
    >>> import torch
    >>> values = torch.tensor([[1.0, 5.0], [3.0, 7.0], [8.0, 9.0]])
    >>> present = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> summarise_pairs(values, present, None, mean=True)
    tensor([[4., 2.],
            [6., 6.]])
    """
    counts = present if weight is None else present * weight[:, None]
    total = (counts * values).T @ present
    if not mean:
        return total
    count = counts.T @ present
    return total / torch.where(count > 0, count, torch.ones_like(count))


def weighted_mean(values, weight):
    """Mean with weights; 0 if all weights are 0."""
    total = weight.sum()
    # No branch on the device's value: where the total is 0 so is the numerator.
    return (values * weight).sum() / torch.where(total > 0, total, torch.ones_like(total))


def performance_gap(scores):
    """How far each modality is ahead of those behind it (paper, eq. 9 and 10).

    Parameters
    ----------
    scores : Tensor of shape (n_modalities,) or (n_modalities, n_modalities)
        Large is good. A matrix has in row m and column n the score of m on the samples that have
        both modalities (our extension, for missing modalities).

    Returns
    -------
    Tensor of shape (n_modalities,)
        Mean of ``s_m - s_n`` over the modalities ``n`` with ``s_n < s_m``; 0 if there is none.
        Of a matrix, with the scores that m and n have on their common samples.

    Examples
    --------
    >>> import torch
    >>> performance_gap(torch.tensor([3.0, 1.0, 0.0]))
    tensor([2.5000, 1.0000, 0.0000])
    """
    if scores.ndim == 1:
        scores = scores[:, None]  # the same on any samples
    lead = (scores - scores.T).clamp(min=0)
    return lead.sum(dim=1) / (lead > 0).sum(dim=1).clamp(min=1)


def regulation_coefficient(gap, alpha, beta):
    """Strength of the pull (paper, eq. 11 and 16).

    Parameters
    ----------
    gap : Tensor of shape (n_modalities,)
        From `performance_gap`.
    alpha : Tensor of shape (n_modalities,)
        Base strength of each modality; 0 where it is not regulated now.
    beta : float
        How fast the strength grows with the gap.

    Returns
    -------
    Tensor of shape (n_modalities,)
        ``alpha * exp(beta * tanh(gap))`` where the gap is positive, else 0.

    Examples
    --------
    >>> import torch
    >>> regulation_coefficient(torch.tensor([0.0, 100.0]), torch.ones(2), 1.0)
    tensor([0.0000, 2.7183])
    """
    return torch.where(gap > 0, alpha * torch.exp(beta * torch.tanh(gap)), torch.zeros_like(gap))


@torch.no_grad()
def add_pull(parameters, reference, coefficient):
    """Add the gradient of ``coefficient / 2 * ||w - w_ref||^2`` to the gradients (paper, eq. 12).

    Parameters
    ----------
    parameters : list of Tensor
        Those without a gradient do not move in this step and are left alone.
    reference : list of Tensor
        Their values at the start of the epoch.
    coefficient : Tensor of shape ()
        On the same device.
    """
    used = [(p, r) for p, r in zip(parameters, reference, strict=True) if p.grad is not None]
    if used:
        pull = torch._foreach_sub([p.detach() for p, _ in used], [r for _, r in used])
        torch._foreach_mul_(pull, coefficient)
        torch._foreach_add_([p.grad for p, _ in used], pull)


@torch.no_grad()
def drift_back(parameters, reference, coefficient, n_batches):
    """Move weights towards their reference: ``lerp(w, w_ref, 1 - exp(-coefficient / N))``.

    Parameters
    ----------
    parameters, reference, coefficient :
        As in `add_pull`.
    n_batches : int
        Batches in the epoch, so that a coefficient means the same at any batch size.
    """
    weights = [p.detach() for p in parameters]
    step = torch._foreach_sub(reference, weights)
    torch._foreach_mul_(step, -torch.expm1(-coefficient / n_batches))
    torch._foreach_add_(weights, step)
