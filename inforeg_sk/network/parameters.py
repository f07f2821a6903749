"""Fisher traces of encoders, from the gradients of a batch (paper, eq. 7 and 13)."""

from collections import Counter
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["TRACES", "EncoderParameters", "TraceRule", "encoder_parameters", "squared_gradient"]


class TraceRule(NamedTuple):
    """How the trace of an encoder is measured over an epoch."""

    layers_only: bool  # only the weights of linear and convolution layers, each averaged
    after_regulation: bool  # of the gradient as the method left it
    mean: bool  # over the batches of the epoch; else the sum


TRACES = {
    # Mean over batches of the squared norm of the batch gradient over all encoder parameters.
    "encoder": TraceRule(layers_only=False, after_regulation=False, mean=True),
    # The authors' code: sum over layers of the mean over a weight's elements of the sum over
    # batches of its squared gradient, after the regulation term was added.
    "layers": TraceRule(layers_only=True, after_regulation=True, mean=False),
}


# What the authors' code measures (transposed convolutions and normalisation are left out).
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class EncoderParameters(NamedTuple):
    """The trainable parameters of one encoder, as an epoch starts."""

    measured: list  # enter the trace
    factors: torch.Tensor | None  # weight of each in the trace; None: all 1
    owned: list  # may be pulled: not shared with another modality


def encoder_parameters(encoders, rule):
    """Sort out which parameters of each encoder are measured and which may be regulated.

    Parameters
    ----------
    encoders : dict of str to torch.nn.Module
    rule : TraceRule

    Returns
    -------
    dict of str to EncoderParameters
        Frozen parameters (``requires_grad`` false) are in neither list. A parameter shared by
        several encoders enters the trace of each, and is nobody's to pull.
    """
    users = Counter(p for encoder in encoders.values() for p in set(encoder.parameters()))
    result = {}
    for name, encoder in encoders.items():
        trainable = [p for p in encoder.parameters() if p.requires_grad]
        owned = [p for p in trainable if users[p] == 1]
        measured, factors = trainable, None
        if rule.layers_only:
            weights = {layer.weight for layer in encoder.modules() if isinstance(layer, _LAYERS)}
            measured = [p for p in trainable if p in weights]
            # Made once an epoch, so that no batch waits for a copy to the device.
            factors = torch.tensor([1.0 / p.numel() for p in measured], dtype=torch.float64)
            if measured:
                factors = factors.to(measured[0])
        result[name] = EncoderParameters(measured, factors, owned)
    return result


def squared_gradient(parameters, factors=None):
    """Weighted sum of squared gradient norms.

    Parameters
    ----------
    parameters : list of Tensor
        Those without a gradient (unused in this batch) count as zero.
    factors : Tensor of shape (n_parameters,), default=None
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
    squares = torch.stack(torch._foreach_norm([parameters[i].grad for i in used])).square()
    if factors is None:
        return squares.sum()
    return squares @ (factors if len(used) == len(parameters) else factors[used])
