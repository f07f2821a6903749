"""Fisher traces from gradients (paper, eq. 7 and 13)."""

from torch import Tensor

__all__ = ["fisher_trace", "trace_from_norms"]


def fisher_trace(gradient: Tensor) -> Tensor:
    """Trace of the empirical Fisher information of one gradient: its squared norm.

    Parameters
    ----------
    gradient : Tensor of shape (..., n_parameters)
        Gradient of the loss with respect to all parameters of an encoder. That of a batch gives
        a summand of eq. 13, that of a sample one of eq. 7; their means are different quantities.

    Returns
    -------
    Tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> fisher_trace(torch.tensor([3.0, 4.0]))
    tensor(25.)
    """
    return gradient.square().sum(dim=-1)


def trace_from_norms(norms: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fisher trace from the gradient norms of the tensors that an encoder is made of.

    Parameters
    ----------
    norms : Tensor of shape (..., n_tensors)
        Euclidean norm of each tensor's gradient.
    weights : Tensor of shape (n_tensors,), default=None
        Weight of each squared norm, such as 1 / number of elements in the authors' code; None: 1.

    Returns
    -------
    Tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> trace_from_norms(torch.tensor([3.0, 4.0]))
    tensor(25.)
    >>> trace_from_norms(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.5]))
    tensor(17.)
    """
    squares = norms.square()
    return squares.sum(dim=-1) if weights is None else squares @ weights
