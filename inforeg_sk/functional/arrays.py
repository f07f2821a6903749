"""Few values, as arrays of the library that is fastest for them."""

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["Array", "few_values", "library_of"]

#: What functions of a few values take: tensors on any device, or NumPy arrays, which cost a third.
Array = TypeVar("Array", Tensor, np.ndarray)


def library_of(array: Tensor | np.ndarray) -> Any:
    """The library whose functions take an array: ``torch`` or ``numpy``."""
    return torch if isinstance(array, Tensor) else np


def few_values(tensor: Tensor) -> Tensor | np.ndarray:
    """A few values as a NumPy array that shares memory with a CPU tensor.

    Parameters
    ----------
    tensor : Tensor
        Without a graph.

    Returns
    -------
    ndarray, or Tensor on another device
        There the values stay where they are: to fetch them would wait for the device.

    Examples
    --------
    >>> import torch
    >>> few_values(torch.ones(2))
    array([1., 1.], dtype=float32)
    """
    return tensor.numpy() if tensor.device.type == "cpu" else tensor
