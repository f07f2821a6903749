"""A loss whose gradients are given instead of differentiated."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["with_gradients"]


class _WithGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, scale: float, gradients: Any, *tensors: Tensor) -> Tensor:
        ctx.scale, ctx.gradients = scale, gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        factor = upstream[0] / ctx.scale
        parts = (
            g * factor.reshape(factor.shape + (1,) * (g.ndim - factor.ndim)).to(g.dtype)
            for g in ctx.gradients
        )
        return None, None, None, *parts


def with_gradients(
    value: Tensor, tensors: Sequence[Tensor], gradients: Sequence[Tensor], scale: float = 1.0
) -> Tensor:
    """A loss of a given value, whose gradients with respect to some tensors are given, too.

    A backward pass from it goes on from these tensors. So parts of a network can learn from
    different losses, with one backward pass through the rest of it.

    Parameters
    ----------
    value : Tensor of shape (...)
        One number, or one for each network. Its own graph is not used.
    tensors : sequence of Tensor of shape (..., *)
        Parameters, or tensors inside a graph.
    gradients : sequence of Tensor
        Of the shapes and types of `tensors`.
    scale : float, default=1.0
        What `gradients` were multiplied by beforehand; it is divided out.

    Returns
    -------
    Tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> loss = with_gradients(torch.tensor(5.0), [w], [torch.tensor([3.0, 4.0])])
    >>> (loss / 2).backward()
    >>> loss.item(), w.grad
    (5.0, tensor([1.5000, 2.0000]))
    """
    # A Function has no attributes that mypy knows.
    apply: Any = _WithGradients.apply
    found: Tensor = apply(value.detach(), scale, tuple(gradients), *tensors)
    return found
