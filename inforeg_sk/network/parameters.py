"""The trainable parameters of encoders, and multi-tensor operations on lists of them."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..functional import trace_from_norms

__all__ = [
    "EncoderParameters",
    "add_gradient_pull",
    "apply_decoupled_pull",
    "encoder_parameters",
    "fisher_traces",
    "layer_weights",
]

# Layers that the authors' code measures (transposed convolutions and normalisation are left out).
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class EncoderParameters(NamedTuple):
    """The trainable parameters of one encoder, at the start of an epoch."""

    trainable: list  # without those that are frozen (``requires_grad`` false)
    regulated: list  # without those shared with another encoder


def encoder_parameters(encoders: dict[str, nn.Module]) -> dict[str, EncoderParameters]:
    """Collect the parameters of each encoder.

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
    """Return those `parameters` that are weights of linear or convolution layers of `encoder`."""
    weights = {layer.weight for layer in encoder.modules() if isinstance(layer, _LAYERS)}
    return [p for p in parameters if p in weights]


def fisher_traces(
    encoders: Sequence[tuple[list[Tensor], Tensor | None]],
) -> list[Tensor | None]:
    """Fisher traces of encoders from their gradients; `trace_from_norms` of lists of parameters.

    Parameters
    ----------
    encoders : list of tuple of (list of Tensor, Tensor of shape (n_parameters,) or None)
        The parameters of each encoder, and the weight of each one's squared norm (None: 1).
        Parameters without a gradient (unused in this batch) count as zero.

    Returns
    -------
    list of Tensor of shape () or None
        On the parameters' device; None if no parameter of the encoder has a gradient.

    Examples
    --------
    >>> import torch
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> fisher_traces([([w], None)])
    [tensor(25.)]
    """
    traces: list[Tensor | None] = []
    for parameters, weights in encoders:
        used = [i for i, p in enumerate(parameters) if p.grad is not None]
        if not used:
            traces.append(None)
            continue
        norms = torch.stack(torch._foreach_norm([parameters[i].grad for i in used]))
        if weights is not None and len(used) < len(parameters):
            weights = weights[used]
        traces.append(trace_from_norms(norms, weights))
    return traces


@torch.no_grad()
def add_gradient_pull(
    parameters: list[Tensor], reference: list[Tensor], coefficient: Tensor
) -> None:
    """Add the `gradient_pull` to the gradients of a list of parameters (paper, eq. 12).

    Parameters
    ----------
    parameters : list of Tensor
        Those without a gradient do not move in this step and are skipped.
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
def apply_decoupled_pull(parameters: list[Tensor], reference: list[Tensor], share: Tensor) -> None:
    """Move a list of parameters by `decoupled_pull`, in place.

    Parameters
    ----------
    parameters, reference :
        As in `add_gradient_pull`.
    share : Tensor of shape ()
        From `pull_share`.
    """
    if not parameters:
        return
    weights = [p.detach() for p in parameters]
    step = torch._foreach_sub(reference, weights)
    torch._foreach_mul_(step, share)
    torch._foreach_add_(weights, step)
