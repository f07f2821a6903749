"""The two ways to pull weights towards their reference."""

import torch
from torch import Tensor

__all__ = ["decoupled_pull", "gradient_pull", "pull_share"]


def gradient_pull(weights: Tensor, reference: Tensor, coefficient: Tensor) -> Tensor:
    """Gradient of ``coefficient / 2 * ||w - w_ref||^2`` (paper, eq. 12).

    Parameters
    ----------
    weights, reference : Tensor of shape (..., n_parameters)
        Weights now and at the start of the epoch.
    coefficient : Tensor of shape (...)
        From `regulation_coefficient`, one number for each encoder.

    Returns
    -------
    Tensor of shape (..., n_parameters)
        To be added to the gradient.

    Examples
    --------
    >>> import torch
    >>> gradient_pull(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor(0.5))
    tensor([1., 0.])
    """
    return (weights - reference) * coefficient.to(weights.dtype)[..., None]


def pull_share(coefficient: Tensor, n_batches: int | Tensor) -> Tensor:
    """Share of the way back to the reference that one step takes in `decoupled_pull`.

    Parameters
    ----------
    coefficient : Tensor of shape (...)
    n_batches : int or Tensor that broadcasts to the shape of `coefficient`
        Batches of the epoch, so that a coefficient means the same for any batch size.

    Returns
    -------
    Tensor of shape (...)
        ``1 - exp(-coefficient / n_batches)``, in [0, 1]: but for rounding, a step never overshoots.

    Examples
    --------
    >>> import torch
    >>> pull_share(torch.tensor([0.0, 1e9]), 10)
    tensor([0., 1.])
    """
    return -torch.expm1(-coefficient / n_batches)


def decoupled_pull(
    weights: Tensor, reference: Tensor, coefficient: Tensor, n_batches: int | Tensor
) -> Tensor:
    """Weights after a pull that does not depend on optimizer and learning rate (ours).

    Parameters
    ----------
    weights, reference, coefficient :
        As in `gradient_pull`; the weights are those after the optimizer's step.
    n_batches : int or Tensor
        As in `pull_share`.

    Returns
    -------
    Tensor of shape (..., n_parameters)
        ``lerp(w, w_ref, pull_share)``.

    Examples
    --------
    >>> import torch
    >>> decoupled_pull(torch.tensor([3.0]), torch.tensor([1.0]), torch.tensor(1e9), 10)
    tensor([1.])
    """
    share = pull_share(coefficient, n_batches).to(weights.dtype)
    return weights + (reference - weights) * share[..., None]
