"""What files of parameters say beside tensors: shapes, labels and columns, and the versions."""

import json
from collections.abc import Mapping

import numpy as np
import skorch
import torch

from .._version import __version__
from ..data.spec import ArraySpec

__all__ = ["DESCRIPTION", "WithDescription", "describe", "read_description", "versions"]

#: The name under which files hold it.
DESCRIPTION = "inforeg_sk"


def versions():
    """Versions that a pickle depends on (dict of str to str)."""
    found = {"inforeg_sk": __version__, "torch": torch.__version__, "skorch": skorch.__version__}
    return {name: version.split("+")[0] for name, version in found.items()}


class WithDescription:
    """A module or optimizer whose state has a description beside it.

    Parameters
    ----------
    part : torch.nn.Module or torch.optim.Optimizer
    describe : callable
        Returns what to save, or None for nothing.
    check, adopt : callable
        Called with what was saved, before and after the part has loaded its own state.
    """

    def __init__(self, part, describe, check, adopt):
        self._part, self._describe, self._check, self._adopt = part, describe, check, adopt

    def state_dict(self):
        state, description = self._part.state_dict(), self._describe()
        if description is not None:
            state[DESCRIPTION] = description
        return state

    def load_state_dict(self, state):
        description = state.pop(DESCRIPTION, None)
        if description is not None:
            self._check(description)
        self._part.load_state_dict(state)
        if description is not None:
            self._adopt(description)


def describe(content):
    """Content as a Tensor of uint8 (JSON), which any file of tensors holds.

    Parameters
    ----------
    content : dict
        Of str, numbers, None, tuples, lists, mappings, slices, arrays and `ArraySpec`.

    Returns
    -------
    Tensor of uint8, or None if a label or a column is of a type that cannot be written
    """
    try:
        text = json.dumps(_plain(content))
    except TypeError:
        return None
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def read_description(tensor):
    """The content that `describe` was given."""
    return _restored(json.loads(bytes(tensor.cpu().numpy().tobytes()).decode()))


def _plain(value):
    if value is None or isinstance(value, bool | int | float | str):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, ArraySpec):
        return {"ArraySpec": [_plain(item) for item in value]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(item) for item in value]}
    if isinstance(value, slice):
        return {"slice": [_plain(item) for item in (value.start, value.stop, value.step)]}
    if isinstance(value, np.ndarray):
        return {"array": _plain(value.tolist()), "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key), _plain(item)] for key, item in value.items()]}
    raise TypeError(f"{type(value).__name__} cannot be written")


def _restored(value):
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(_restored(value["array"]), dtype=value["dtype"])
    kind, content = next(iter(value.items()))
    content = _restored(content)
    if kind == "dict":
        return dict(content)
    make = {"tuple": tuple, "slice": lambda x: slice(*x), "ArraySpec": lambda x: ArraySpec(*x)}
    return make[kind](content)
