"""Weighted means and variances of the columns of a table that comes in pieces."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Moments", "merge_moments", "scale_of_moments", "weighted_moments"]

# Divides nothing by nothing: the result is 0.
_TINY = torch.finfo(torch.float64).tiny


class Moments(NamedTuple):
    """What is known of the columns of a table."""

    weight: Tensor  # sum of the weights, of shape ()
    mean: Tensor  # of shape (n_columns,)
    squares: Tensor  # weighted sum of the squared deviations from the mean, (n_columns,)


def weighted_moments(table: Tensor, weight: Tensor | None = None) -> Moments:
    """Moments of the columns of a table.

    Parameters
    ----------
    table : Tensor of float64 of shape (n_rows, n_columns)
    weight : Tensor of float64 of shape (n_rows,), default=None
        At least 0. None: 1 for each row.

    Returns
    -------
    Moments
        All zero if there is no weight.

    Examples
    --------
    >>> import torch
    >>> table = torch.tensor([[1.0], [4.0]], dtype=torch.float64)
    >>> weighted_moments(table, torch.tensor([2.0, 1.0], dtype=torch.float64)).mean
    tensor([2.], dtype=torch.float64)
    """
    if weight is None:
        weight = table.new_ones(len(table))
    total = weight.sum()
    mean = weight @ table / total.clamp(min=_TINY)
    # Two passes: the difference of two large sums would have no digits left.
    return Moments(total, mean, weight @ (table - mean).square())


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Moments of two tables, one below the other.

    Parameters
    ----------
    a, b : Moments
        Of equally many columns.

    Returns
    -------
    Moments

    References
    ----------
    Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", COMPSTAT 1982.
    """
    total = a.weight + b.weight
    gap, share = b.mean - a.mean, b.weight / total.clamp(min=_TINY)
    squares = a.squares + b.squares + gap.square() * (a.weight * share)
    return Moments(total, a.mean + gap * share, squares)


def scale_of_moments(moments: Moments, n_rows: int) -> Tensor:
    """Standard deviations, and 1 for columns that are constant but for rounding.

    Parameters
    ----------
    moments : Moments
        In float64.
    n_rows : int
        Number of rows, which bounds the rounding.

    Returns
    -------
    Tensor of shape (n_columns,)
    """
    variance = moments.squares / moments.weight.clamp(min=_TINY)
    # scikit-learn's bound of the error of a variance.
    rounding = n_rows * torch.finfo(torch.float64).eps
    constant = variance <= rounding * variance + (rounding * moments.mean).square()
    return torch.where(constant, 1.0, variance.sqrt())
