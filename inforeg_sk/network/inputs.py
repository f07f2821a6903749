"""What a sample of a modality looks like: one array, or several arrays by name."""

from typing import NamedTuple

import torch

__all__ = ["ArraySpec", "input_shape", "zero_samples"]


class ArraySpec(NamedTuple):
    """One of the arrays of a modality that is made of several."""

    shape: tuple  # of a sample
    kind: str  # "float", "int" or "bool"

    def __str__(self):
        return f"{self.kind} {self.shape}"


_TYPES = {"int": torch.int64, "bool": torch.bool}


def input_shape(shape):
    """What encoders get as ``input_shape``: a tuple, or a dict of tuples for several arrays."""
    if isinstance(shape, dict):
        return {part: spec.shape for part, spec in shape.items()}
    return shape


def zero_samples(shape, n_samples, dtype):
    """Samples of zeros.

    Parameters
    ----------
    shape : tuple of int, or dict of str to ArraySpec
        Of one sample.
    n_samples : int
    dtype : torch.dtype
        Type of the floats.

    Returns
    -------
    Tensor of shape (n_samples, ...), or dict of str to Tensor
    """
    if isinstance(shape, dict):
        return {
            part: torch.zeros(n_samples, *spec.shape, dtype=_TYPES.get(spec.kind, dtype))
            for part, spec in shape.items()
        }
    return torch.zeros(n_samples, *shape, dtype=dtype)
