"""Shapley values of logits, and how strongly each modality is sped up or slowed (AGM)."""

from functools import lru_cache
from math import log

import torch
from torch import Tensor

from .scores import log_probability
from .shapley import shapley_weights

__all__ = ["agm_coefficient", "mean_others_ahead", "response_losses", "shapley_responses"]

#: No probability counts as smaller.
_FLOOR = 1e-8
#: ``exp`` of more than this is no factor to train with, and soon infinite (ours).
_LARGEST_EXPONENT = 40.0


@lru_cache(maxsize=32)
def _weights(n_players: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`shapley_weights` on a device; kept, since a copy there makes each batch wait."""
    return torch.tensor(shapley_weights(n_players), dtype=dtype, device=device)


def shapley_responses(values: Tensor) -> Tensor:
    """Shapley value of each player, as Tensors: `shapley_values` of logits.

    Parameters
    ----------
    values : Tensor of shape (2 ** n_players, ...)
        Value of each coalition; the place of one is the sum of ``2 ** m`` over its members ``m``.

    Returns
    -------
    Tensor of shape (n_players, ...)
        They add up to ``values[-1] - values[0]``.

    Examples
    --------
    >>> import torch
    >>> shapley_responses(torch.tensor([0.0, 1.0, 2.0, 9.0]))
    tensor([4., 5.])
    """
    n = len(values).bit_length() - 1
    weights = _weights(n, values.dtype, values.device)
    return (weights @ values.reshape(len(values), -1)).reshape(n, *values.shape[1:])


def response_losses(responses: Tensor, target: Tensor) -> Tensor:
    """Minus the log-probability of the true class by the response of each modality.

    Parameters
    ----------
    responses : Tensor of shape (..., n_samples, n_classes)
        Logits.
    target : Tensor of int64 of shape (n_samples,)

    Returns
    -------
    Tensor of shape (..., n_samples)
        Small is good; at most ``-log(1e-8)``.

    Examples
    --------
    >>> import torch
    >>> response_losses(torch.tensor([[0.0, 0.0], [0.0, 99.0]]), torch.tensor([1, 0]))
    tensor([ 0.6931, 18.4207])
    """
    return -log_probability(responses, target).clamp(min=log(_FLOOR))


def mean_others_ahead(losses: Tensor, scored: Tensor | None = None) -> Tensor:
    """How much smaller the loss of each modality is than the mean of the others.

    Parameters
    ----------
    losses : Tensor of shape (..., n_modalities)
        Small is good.
    scored : Tensor of bool that broadcasts to the shape of `losses`, default=None
        Whether the loss of a modality means anything. None: all do.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        Positive for a modality that is ahead; 0 for one that is not scored, or is the only one.

    Examples
    --------
    >>> import torch
    >>> mean_others_ahead(torch.tensor([1.0, 2.0, 4.0]))
    tensor([ 2.0000,  0.5000, -2.5000])
    """
    if scored is None:
        scored = torch.ones_like(losses, dtype=torch.bool)
    scored = scored.expand(losses.shape)
    others = scored[..., None, :] & ~torch.eye(
        losses.shape[-1], dtype=torch.bool, device=losses.device
    )
    total = torch.where(others, losses[..., None, :], 0).sum(dim=-1)
    count = others.sum(dim=-1)
    known = scored & (count > 0)
    return torch.where(known, total / count.clamp(min=1) - losses, 0)


def agm_coefficient(lead: Tensor, reference: Tensor, alpha: float, cap: float | None) -> Tensor:
    """Factor on the gradient of each modality's response (AGM).

    Parameters
    ----------
    lead : Tensor of shape (..., n_modalities)
        From `mean_others_ahead`, of the losses of a batch.
    reference : Tensor of shape (..., n_modalities)
        The same of the running means of losses.
    alpha : float
        At least 0; 0 changes nothing.
    cap : float or None
        Largest difference that counts; None: no limit.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``exp(alpha * min(exp(reference) - exp(lead), cap))``: below 1 for a modality that is
        further ahead than it used to be, above 1 for one that has fallen back. The exponent is at
        most 40 (ours).

    Examples
    --------
    >>> import torch
    >>> agm_coefficient(torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.0]), 1.0, 10.0)
    tensor([1.0000, 0.5227])
    """
    difference = reference.exp() - lead.exp()
    if cap is not None:
        difference = difference.clamp(max=cap)
    return (alpha * difference).clamp(max=_LARGEST_EXPONENT).exp()
