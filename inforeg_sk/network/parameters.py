"""The trainable parameters of encoders, and multi-tensor operations on lists of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..functional import numbers, trace_from_norms

__all__ = [
    "EncoderParameters",
    "TracedEncoders",
    "add_gradient_pull",
    "apply_decoupled_pull",
    "clip_gradient_norm",
    "encoder_parameters",
    "inner_products",
    "layer_weights",
    "replace_gradients",
    "scale_gradients",
    "spread",
    "tensor_norms",
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


class TracedEncoders:
    """The parameters of several encoders whose Fisher traces are taken together.

    Parameters
    ----------
    encoders : list of tuple of (list of Tensor, list of float or None)
        The parameters of each encoder, and the weight of each one's squared norm (None: 1).

    Examples
    --------
    >>> import torch
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> TracedEncoders([([w], None)]).traces()
    [25.0]
    """

    def __init__(self, encoders: Sequence[tuple[list[Tensor], list[float] | None]]):
        self._parameters = [p for parameters, _ in encoders for p in parameters]
        given = [[1.0] * len(p) if weights is None else weights for p, weights in encoders]
        self._numbers = [(i, w) for i, weights in enumerate(given) for w in weights]
        self._n_encoders = len(encoders)
        # Moved once, so that no batch waits for a copy to the device.
        weights = torch.tensor([w for _, w in self._numbers], dtype=torch.float64)
        self._weights = weights.to(self._parameters[0]) if self._parameters else weights

    def traces(self) -> Tensor | list[float]:
        """Fisher traces of the gradients as they are; see `trace_from_norms`.

        Returns
        -------
        Tensor of shape (n_encoders,), or list of n_encoders numbers if they are on the CPU
            Parameters without a gradient, unused in this batch, count as zero.
        """
        gradients = [p.grad for p in self._parameters]
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        if not used:
            return self._weights.new_zeros(self._n_encoders)
        norms = torch._foreach_norm([gradients[i] for i in used])
        if numbers.on_host(self._weights.device):
            traces = [0.0] * self._n_encoders
            for i, norm in zip(used, norms, strict=True):
                encoder, weight = self._numbers[i]
                traces[encoder] += weight * norm.item() ** 2
            return traces
        # Each encoder by itself: an infinite norm of one is none of another.
        by_encoder: dict[int, list[int]] = {}
        for place, i in enumerate(used):
            by_encoder.setdefault(self._numbers[i][0], []).append(place)
        zero = self._weights.new_zeros(())
        found = [zero] * self._n_encoders
        for encoder, places in by_encoder.items():
            stacked = torch.stack([norms[place] for place in places]).to(zero.dtype)
            first = used[places[0]]
            weights = self._weights[first : first + len(places)]
            if used[places[-1]] - first >= len(places):  # some have no gradient
                weights = torch.stack([self._weights[used[place]] for place in places])
            found[encoder] = trace_from_norms(stacked, weights)
        return torch.stack(found)


@torch.no_grad()
def add_gradient_pull(
    parameters: list[Tensor], reference: list[Tensor], coefficient: float | Tensor
) -> None:
    """Add the `gradient_pull` to the gradients of a list of parameters (paper, eq. 12).

    Parameters
    ----------
    parameters : list of Tensor
        Those without a gradient do not move in this step and are skipped.
    reference : list of Tensor
        Their values at the start of the epoch.
    coefficient : float, or Tensor of shape () on the same device
    """
    used = [(p, r) for p, r in zip(parameters, reference, strict=True) if p.grad is not None]
    if used:
        pull = torch._foreach_sub([p.detach() for p, _ in used], [r for _, r in used])
        torch._foreach_mul_(pull, coefficient)
        torch._foreach_add_([p.grad for p, _ in used], pull)


@torch.no_grad()
def apply_decoupled_pull(
    parameters: list[Tensor], reference: list[Tensor], share: float | Tensor
) -> None:
    """Move a list of parameters by `decoupled_pull`, in place.

    Parameters
    ----------
    parameters, reference :
        As in `add_gradient_pull`.
    share : float or Tensor of shape ()
        From `pull_share`. A float takes a third of the time; a Tensor may stay on its device.
    """
    if not parameters:
        return
    if not isinstance(share, Tensor):
        torch._foreach_lerp_(parameters, reference, share)
        return
    weights = [p.detach() for p in parameters]
    step = torch._foreach_sub(reference, weights)
    torch._foreach_mul_(step, share)
    torch._foreach_add_(weights, step)


@torch.no_grad()
def scale_gradients(parameters: Iterable[Tensor], factor: float | Tensor) -> None:
    """Multiply the gradients of a list of parameters by a factor, in place.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are skipped.
    factor : float, or Tensor of shape () or (n_networks,) on the same device
        With an axis, one factor for each network: the gradients have the axis of the networks in
        front.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    if not isinstance(factor, Tensor) or factor.ndim == 0:
        torch._foreach_mul_(gradients, factor)
        return
    for gradient in gradients:
        gradient.mul_(spread(factor, gradient))


@torch.no_grad()
def clip_gradient_norm(
    parameters: Iterable[Tensor], max_norm: float | Tensor, n_leading: int = 0
) -> Tensor | float:
    """Scale gradients in place so that their norm, over all parameters, is at most `max_norm`.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are skipped.
    max_norm : float, or Tensor of shape () or (n_networks,) on the same device
        Infinity leaves the gradients as they are.
    n_leading : {0, 1}, default=0
        1: the gradients have the axis of the networks in front, and each network is clipped by its
        own norm.

    Returns
    -------
    Tensor of shape () or (n_networks,)
        The norm before; 0.0 if there is no gradient.

    Notes
    -----
    The factor is ``max_norm / (norm + 1e-6)``, as in `torch.nn.utils.clip_grad_norm_`.
    """
    used = [p for p in parameters if p.grad is not None]
    if not used:
        return 0.0
    norm = tensor_norms([p.grad for p in used], n_leading).norm(dim=0)
    scale_gradients(used, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def tensor_norms(tensors: Sequence[Tensor], n_leading: int = 0) -> Tensor:
    """Norm of each tensor of a list.

    Parameters
    ----------
    tensors : sequence of Tensor
        At least one.
    n_leading : {0, 1}, default=0
        1: the tensors have the axis of the networks in front.

    Returns
    -------
    Tensor of shape (n_tensors,) or (n_tensors, n_networks)
    """
    if n_leading:
        return torch.stack([x.reshape(len(x), -1).norm(dim=1) for x in tensors])
    return torch.stack(list(torch._foreach_norm(list(tensors))))


def inner_products(first: Sequence[Tensor], second: Sequence[Tensor], n_leading: int = 0) -> Tensor:
    """Inner product of two lists of tensors, as if each were one vector.

    Parameters
    ----------
    first, second : sequence of Tensor
        Of the same shapes in pairs; at least one.
    n_leading : {0, 1}, default=0
        1: the tensors have the axis of the networks in front.

    Returns
    -------
    Tensor of shape () or (n_networks,)
    """
    if n_leading:
        flat = [(x * y).reshape(len(x), -1).sum(dim=1) for x, y in zip(first, second, strict=True)]
    else:
        flat = [torch.dot(x.reshape(-1), y.reshape(-1)) for x, y in zip(first, second, strict=True)]
    return torch.stack(flat).sum(dim=0)


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Numbers of networks, so that they multiply a tensor that has all of their elements.

    Parameters
    ----------
    values : Tensor of shape () or (n_networks,)
    like : Tensor of shape (n_elements, ...) or (n_networks, ...)

    Returns
    -------
    Tensor
        Of the type of `like`, with as many axes.
    """
    return values.to(like.dtype).reshape(values.shape + (1,) * (like.ndim - values.ndim))


class _Replaced(torch.autograd.Function):
    """The identity of the losses of networks, with given gradients."""

    @staticmethod
    def forward(ctx, value, n, scale, *tensors):
        ctx.save_for_backward(*tensors[n:])
        ctx.n, ctx.scale = n, scale
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        grad = grad if ctx.scale == 1 else grad / ctx.scale
        found = [g * spread(grad, g) for g in ctx.saved_tensors]
        return (None, None, None, *found, *(None for _ in range(ctx.n)))


def replace_gradients(
    value: Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor], scale: float = 1.0
) -> Tensor:
    """A value whose backward pass leaves given gradients, at no further cost.

    Parameters
    ----------
    value : Tensor of shape () or (n_networks,)
    parameters : sequence of Tensor
        Of networks they have their axis in front. From tensors inside a graph, such as features,
        the backward pass goes on.
    gradients : sequence of Tensor
        Of the shapes of the parameters.
    scale : float, default=1.0
        What the gradients were multiplied by beforehand; it is divided out. Dividing them first
        could lose small ones of a short type.

    Returns
    -------
    Tensor of the shape of `value`
        The same numbers; they depend on nothing but `parameters`.
    """
    return _Replaced.apply(value.detach(), len(parameters), scale, *parameters, *gradients)
