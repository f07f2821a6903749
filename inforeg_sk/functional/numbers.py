"""The regulation of one network in Python numbers, for values that are on the host anyway.

A dozen operations on tensors of a few elements cost more than a training step of a small network
spends on its products. These are the same formulas, one number at a time.
"""

from collections.abc import Sequence
from math import exp, expm1, inf, tanh

import torch

from .regulation import TIE_TOLERANCE

__all__ = [
    "coefficient_numbers",
    "gap_numbers",
    "on_host",
    "pairwise_gap_numbers",
    "share_numbers",
]


def on_host(device: torch.device) -> bool:
    """Whether a value on a device is a Python number without waiting for anything.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    bool
    """
    return device.type == "cpu"


def gap_numbers(scores: Sequence[float], eps: float) -> list[float]:
    """`performance_gap` of one network.

    Parameters
    ----------
    scores : sequence of float of length n_modalities
    eps : float
        Rounding unit of the type that the scores were computed in.

    Returns
    -------
    list of float of length n_modalities

    Examples
    --------
    >>> gap_numbers([3.0, 1.0, 0.0], 1e-7)
    [2.5, 1.0, 0.0]
    """
    return [_mean_lead([score] * len(scores), scores, eps) for score in scores]


def pairwise_gap_numbers(scores: Sequence[Sequence[float]], eps: float) -> list[float]:
    """`pairwise_performance_gap` of one network.

    Parameters
    ----------
    scores : sequence of sequence of float
        In row m and column n the score of m on the samples that have both.
    eps : float
        As in `gap_numbers`.

    Returns
    -------
    list of float of length n_modalities

    Examples
    --------
    >>> pairwise_gap_numbers([[4.0, 2.0], [6.0, 6.0]], 1e-7)
    [0.0, 4.0]
    """
    return [_mean_lead(row, others, eps) for row, others in zip(scores, zip(*scores), strict=True)]


def _mean_lead(scores: Sequence[float], others: Sequence[float], eps: float) -> float:
    total, count = 0.0, 0
    for score, other in zip(scores, others, strict=True):
        lead = score - other
        if lead == inf or lead > TIE_TOLERANCE * eps * max(abs(score), abs(other)):
            total += lead
            count += 1
    return total / count if count else 0.0


def coefficient_numbers(gaps: Sequence[float], alphas: Sequence[float], beta: float) -> list[float]:
    """`regulation_coefficient` of one network.

    Parameters
    ----------
    gaps, alphas : sequence of float of length n_modalities
    beta : float

    Returns
    -------
    list of float of length n_modalities

    Examples
    --------
    >>> coefficient_numbers([0.0, 100.0], [1.0, 1.0], 0.0)
    [0.0, 1.0]
    """
    return [
        alpha * exp(beta * tanh(gap)) if gap > 0 else 0.0
        for gap, alpha in zip(gaps, alphas, strict=True)
    ]


def share_numbers(coefficients: Sequence[float], n_batches: int) -> list[float]:
    """`pull_share` of one network.

    Parameters
    ----------
    coefficients : sequence of float
    n_batches : int

    Returns
    -------
    list of float

    Examples
    --------
    >>> share_numbers([0.0, 1e9], 10)
    [0.0, 1.0]
    """
    return [0.0 - expm1(-coefficient / n_batches) for coefficient in coefficients]
