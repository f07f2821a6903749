"""What a sample of a modality looks like: one array, or several arrays by name."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["ArraySpec", "check_shapes", "sample_shapes"]


class ArraySpec(NamedTuple):
    """One of the arrays of a modality that is made of several."""

    shape: tuple  # of a sample
    kind: str  # "float", "int" or "bool"

    def __str__(self):
        return f"{self.kind} {self.shape}"


_KINDS = {"f": "float", "i": "int", "b": "bool"}


def sample_shapes(arrays):
    """Shape of one sample of each modality: a tuple, or a dict of `ArraySpec` by part."""
    return {
        name: {
            part: ArraySpec(tuple(array.shape[1:]), _KINDS[array.dtype.kind])
            for part, array in value.items()
        }
        if isinstance(value, Mapping)
        else tuple(value.shape[1:])
        for name, value in arrays.items()
    }


def check_shapes(arrays, expected):
    """Raise if the samples of a modality have another shape than in ``fit``."""
    for name, got in sample_shapes(arrays).items():
        wanted = expected[name]
        if got == wanted:
            continue
        if isinstance(got, dict) and isinstance(wanted, dict):
            text = [", ".join(f"{k}: {v}" for k, v in sorted(d.items())) for d in (got, wanted)]
        else:
            text = [sorted(d) if isinstance(d, dict) else d for d in (got, wanted)]
        raise ValueError(
            f"Modality {name!r} has samples of shape {text[0]}, but was fitted with {text[1]}."
        )
