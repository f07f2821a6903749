"""Reading of published pickles that hold only numbers, texts and containers."""

import io
import pickle
import sys

import numpy as np

from ..utils.files import shorten
from ._pickle_machine import Machine

__all__ = ["read_arrays"]

_MAX_DEPTH = 32  # of containers in one another
_NUMBER = 32  # bytes that a number may take, in a list or as an object of its own
_ENTRY = 16  # bytes that an entry of a container takes, beyond what it holds
_OBJECT = 64  # bytes of an empty container or array


def read_arrays(file, max_bytes=2**33):
    """Read one pickle made of dicts, lists, tuples, plain values and numpy arrays.

    A pickle is a program that `pickle.load` runs. This reader runs only the operations that such
    values need. It admits an explicit list of qualified names, those that numpy 1 and 2 use to
    pickle arrays of numbers and texts under protocols 0 to 5, and replaces each by something
    harmless. It refuses any other name, and imports nothing.

    Sizes that the pickle claims are checked against the file and `max_bytes` before anything is
    allocated. Keys of dicts are texts, bytes, numbers or None. Integers have 64 bits at most.

    Parameters
    ----------
    file : buffered binary file, or bytes
        It must be seekable.
    max_bytes : int, default=2**33
        The most memory, in bytes: for all that the program makes on its way, at 256 bytes for
        each operation; and for the result, in which an object in several places counts in each.

    Returns
    -------
    object
        What was pickled, with dicts in place of OrderedDicts. Containers are at most 32 deep, and
        none holds itself.

    Raises
    ------
    pickle.UnpicklingError
        If the pickle uses an operation or names anything that is not on the lists, misuses what
        is, is damaged, or is beyond a limit.
    MemoryError
        If there is less memory than `max_bytes` allows.
    """
    if isinstance(file, bytes | bytearray):
        file = io.BytesIO(file)
    try:
        content = Machine(file, max_bytes).run()
        _check_content(content, max_bytes)
    except (pickle.UnpicklingError, MemoryError, OSError):
        raise
    except Exception as error:  # a damaged program can raise anything
        raise pickle.UnpicklingError(
            f"the pickle is damaged or not one of arrays: {type(error).__name__}: {shorten(error)}"
        ) from error
    return content


class _Container:
    """A container on the way from the content to a value in it."""

    __slots__ = ("depth", "items", "size", "value")

    def __init__(self, value):
        self.value = value
        self.depth = 1  # of containers, this one included
        self.size = _OBJECT
        if type(value) is dict:
            self.size += sum(_size(key) + _ENTRY for key in value)
            self.items = iter(value.values())
        elif type(value) is np.ndarray:
            self.items = iter(value.ravel().tolist())
        else:
            self.items = iter(value)


def _check_content(content, max_bytes):
    """Raise if a value is not admitted, a container holds itself, or a limit is exceeded.

    Each container is walked through once. An object that is in several places counts in each: what
    copies the content takes that much, which may be exponential in the size of the file.
    """
    if _size(content) is not None:
        return
    done = {}  # by id: size and depth of containers; all of them are alive, in the content
    path, on_path = [_Container(content)], {id(content)}
    while path:
        container = path[-1]
        for value in container.items:
            size = _size(value)
            if size is None:
                if id(value) in on_path:
                    raise pickle.UnpicklingError(f"a {type(value).__name__} holds itself")
                if id(value) not in done:
                    break  # walk through it first
                size, depth = done[id(value)]
                container.depth = max(container.depth, depth + 1)
            container.size += size + _ENTRY
        else:
            _check_limits(container.size, len(path) - 1 + container.depth, max_bytes)
            done[id(container.value)] = container.size, container.depth
            on_path.remove(id(container.value))
            path.pop()
            if path:
                path[-1].size += container.size + _ENTRY
                path[-1].depth = max(path[-1].depth, container.depth + 1)
            continue
        path.append(_Container(value))
        on_path.add(id(value))
        _check_limits(container.size, len(path), max_bytes)


def _check_limits(size, depth, max_bytes):
    if depth > _MAX_DEPTH:
        raise pickle.UnpicklingError(f"containers are nested more than {_MAX_DEPTH} deep")
    if size > max_bytes:
        raise pickle.UnpicklingError(
            f"the content would take more memory than max_bytes={max_bytes}, with what is in "
            "several places counted in each"
        )


def _size(value):
    """Return the bytes that a value takes, or None if it is a container."""
    kind = type(value)
    if value is None or kind in (bool, int, float):
        return _NUMBER
    if kind in (str, bytes, bytearray):
        return sys.getsizeof(value)
    if kind in (list, tuple, dict):
        return None
    if kind is np.ndarray:
        return None if value.dtype.hasobject else _OBJECT + value.nbytes
    if isinstance(value, np.generic):
        return sys.getsizeof(value)
    # A stand-in: what it stands for is not a value of a data set.
    raise pickle.UnpicklingError(f"refused {value} as a value")
