"""The trainable parameters of encoders, and what multi-tensor operations do with lists of them."""

from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..functional import pull_share, trace_from_norms

__all__ = [
    "EncoderParameters",
    "add_pull_gradient",
    "encoder_parameters",
    "layer_weights",
    "pull_decoupled",
    "squared_gradient",
]

# What the authors' code measures (transposed convolutions and normalisation are left out).
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class EncoderParameters(NamedTuple):
    """The trainable parameters of one encoder, as an epoch starts."""

    trainable: list  # without those that are frozen (``requires_grad`` false)
    regulated: list  # without those that another modality's encoder shares


def encoder_parameters(encoders: dict[str, nn.Module]) -> dict[str, EncoderParameters]:
    """Sort out the parameters of each encoder.

    Parameters
    ----------
    encoders : dict of str to torch.nn.Module

    Returns
    -------
    dict of str to EncoderParameters
        A parameter shared by several encoders is trainable in each, and regulated in none.
    """
    users = Counter(p for encoder in encoders.values() for p in set(encoder.parameters()))
    result = {}
    for name, encoder in encoders.items():
        trainable = [p for p in encoder.parameters() if p.requires_grad]
        result[name] = EncoderParameters(trainable, [p for p in trainable if users[p] == 1])
    return result


def layer_weights(encoder: nn.Module, parameters: list[Tensor]) -> list[Tensor]:
    """Those of `parameters` that are the weight of a linear or convolution layer of `encoder`."""
    weights = {layer.weight for layer in encoder.modules() if isinstance(layer, _LAYERS)}
    return [p for p in parameters if p in weights]


def squared_gradient(parameters: list[Tensor], weights: Tensor | None = None) -> Tensor | None:
    """Weighted sum of squared gradient norms; `trace_from_norms` of a list of parameters.

    Parameters
    ----------
    parameters : list of Tensor
        Those without a gradient (unused in this batch) count as zero.
    weights : Tensor of shape (n_parameters,), default=None
        Weight of each parameter's squared norm; None: 1.

    Returns
    -------
    Tensor of shape () or None
        On the parameters' device; None if no parameter has a gradient.

    Examples
    --------
    >>> import torch
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> squared_gradient([w])
    tensor(25.)
    """
    used = [i for i, p in enumerate(parameters) if p.grad is not None]
    if not used:
        return None
    norms = torch.stack(torch._foreach_norm([parameters[i].grad for i in used]))
    if weights is not None and len(used) < len(parameters):
        weights = weights[used]
    return trace_from_norms(norms, weights)


@torch.no_grad()
def add_pull_gradient(
    parameters: list[Tensor], reference: list[Tensor], coefficient: Tensor
) -> None:
    """Add the `gradient_pull` to the gradients of a list of parameters (paper, eq. 12).

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
def pull_decoupled(
    parameters: list[Tensor], reference: list[Tensor], coefficient: Tensor, n_batches: int
) -> None:
    """Move a list of parameters by `decoupled_pull`, in place.

    Parameters
    ----------
    parameters, reference, coefficient :
        As in `add_pull_gradient`.
    n_batches : int
        Batches of the epoch.
    """
    if not parameters:
        return
    weights = [p.detach() for p in parameters]
    step = torch._foreach_sub(reference, weights)
    torch._foreach_mul_(step, pull_share(coefficient, n_batches))
    torch._foreach_add_(weights, step)
