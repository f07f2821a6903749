"""What a pickle of arrays may name, and what stands in its place."""

import math
import re
from pickle import UnpicklingError

import numpy as np

__all__ = ["ADMITTED", "Admitted", "DType", "build_array", "is_key"]

# Numbers, texts and Python objects (arrays of unequal length); the last only as a list. The size is
# given, so that numpy looks nothing up by name.
_TYPES = re.compile(r"[<>=|]?(?:b1|\?|[iuf]\d{1,2}|[SU]\d{1,9}|O[48]?)")
_MAX_AXES = 32  # of numpy 1
_MAX_CODE_POINT = 0x10FFFF
# Arrays of objects that hold such arrays directly: freeing them recurses in C.
_MAX_LEVELS = 16
_PAIR = 128  # bytes that an entry of a dict may take


class Admitted:
    """A name on the list, and the function that stands for it: called with machine and arguments.

    A machine calls it and never sets an attribute of it.
    """

    __slots__ = ("call", "name")

    def __init__(self, name, call):
        self.name = name
        self.call = call

    def __str__(self):
        return self.name


class DType:
    """Stand-in for numpy.dtype, which a pickle could set to an inconsistent state."""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype

    def __str__(self):
        return "a numpy.dtype"

    def set_state(self, state):
        # (version, byte order, subarray, names, fields, ...); the rest follows from the name.
        if type(state) is not tuple or len(state) < 5:
            raise UnpicklingError("a numpy.dtype has no valid state")
        if any(part is not None for part in state[2:5]):
            raise UnpicklingError("refused a structured array")
        order = state[1]
        if type(order) is not str or order not in ("<", ">", "=", "|"):
            raise UnpicklingError("refused a numpy.dtype with an unknown byte order")
        if order in "<>":
            self.dtype = self.dtype.newbyteorder(order)


def _make_dtype(machine, spec, align=False, copy=False):
    if type(spec) is not str:
        raise UnpicklingError(f"refused a numpy.dtype of {type(spec).__name__}")
    if not _TYPES.fullmatch(spec):
        raise UnpicklingError(f"refused an array of type {spec[:40]!r}")
    # 'O8' is a legacy spelling that newer versions of numpy deprecate.
    try:
        return DType(np.dtype("O" if "O" in spec else spec))
    except (TypeError, ValueError):
        raise UnpicklingError(f"refused an array of type {spec!r}") from None


def _refuse_ndarray(machine, *args):
    raise UnpicklingError("refused a call of numpy.ndarray: an array comes with its state")


_NDARRAY = Admitted("numpy.ndarray", _refuse_ndarray)


def _reconstruct(machine, subtype, shape, typecode):
    if subtype is not _NDARRAY:
        raise UnpicklingError("refused an array that is not a numpy.ndarray")
    array = np.empty(0, np.int8)  # its state brings shape and type
    machine.unbuilt[id(array)] = array
    return array


def build_array(machine, array, state):
    """Give an array of `_reconstruct` its state, which numpy would trust."""
    if type(state) is not tuple or len(state) != 5:
        raise UnpicklingError("an array has no valid state")
    _, shape, dtype, fortran, values = state
    dtype = _dtype(dtype)
    n_values = _check_shape(machine, shape, dtype)
    if dtype.hasobject:
        if type(values) is not list or len(values) != n_values:
            raise UnpicklingError("an object array does not hold what its shape says")
        machine.charge(8 * n_values)
        _check_objects(machine, array, values)
    else:
        values = _bytes(machine, values)
        _check_values(n_values, dtype, values)
        if type(values) is not bytes:  # all that numpy takes here
            machine.charge(len(values))
            values = bytes(values)
    np.ndarray.__setstate__(array, (1, shape, dtype, bool(fortran), values))
    del machine.unbuilt[id(array)]


def _check_objects(machine, array, values):
    level = 1
    for value in values:
        if type(value) is not np.ndarray:
            continue
        if id(value) in machine.unbuilt:
            raise UnpicklingError("an object array holds itself or an array that has no state")
        level = max(level, 1 + machine.levels.get(id(value), (0, None))[0])
    if level > _MAX_LEVELS:
        raise UnpicklingError(f"object arrays are nested more than {_MAX_LEVELS} deep")
    machine.levels[id(array)] = (level, array)  # keeps it, and so its id


def _frombuffer(machine, buffer, dtype, shape, order, axis_order=None):
    dtype = _plain(dtype)
    buffer = _bytes(machine, buffer)
    n_values = _check_shape(machine, shape, dtype)
    _check_values(n_values, dtype, buffer)
    array = np.ndarray((n_values,), dtype, buffer)
    if type(order) is not str or order not in "CFK":
        raise UnpicklingError("an array has no valid order of axes")
    if order == "K" and axis_order is not None:
        if type(axis_order) is not tuple or sorted(axis_order) != list(range(len(shape))):
            raise UnpicklingError("an array has no valid order of axes")
        return array.reshape(shape).transpose(axis_order)
    if order == "K":
        raise UnpicklingError("an array has no valid order of axes")
    return array.reshape(shape, order=order)


def _scalar(machine, dtype, value):
    dtype = _plain(dtype)
    value = _bytes(machine, value)
    _check_values(1, dtype, value)
    return np.ndarray((1,), dtype, value)[0]


def _encode(machine, text, encoding):
    # Python 3 writes bytes this way under protocols 0 to 2. Other encodings would import a codec.
    if type(text) is not str or type(encoding) is not str or encoding != "latin1":
        raise UnpicklingError("refused _codecs.encode, except of a text to 'latin1'")
    return _latin1(machine, text)


def _no_bytes(machine, *args):
    if args:
        raise UnpicklingError("refused builtins.bytes with arguments")
    return b""  # likewise, for empty bytes


def _ordered_dict(machine, pairs=()):
    """Return a dict: of no argument (Python 3), or of a list of pairs (Python 2)."""
    if type(pairs) not in (list, tuple) or not all(
        type(pair) in (list, tuple) and len(pair) == 2 and is_key(pair[0]) for pair in pairs
    ):
        raise UnpicklingError("refused an OrderedDict that is not made of pairs of key and value")
    machine.charge(_PAIR * len(pairs))
    return dict(pairs)


def is_key(value):
    """Whether a value may be the key of a dict.

    Tuples may not: hashing nested ones overflows the stack of C, and hashing tuples that share
    their items takes a time exponential in their number.
    """
    return value is None or isinstance(value, str | bytes | int | float | np.generic)


def _dtype(dtype):
    if type(dtype) is not DType:
        raise UnpicklingError("an array has no numpy.dtype")
    return dtype.dtype


def _plain(dtype):
    if _dtype(dtype).hasobject:
        raise UnpicklingError("refused Python objects in a buffer")
    return dtype.dtype


def _check_shape(machine, shape, dtype):
    """Return the number of values that a shape has."""
    if (
        type(shape) is not tuple
        or len(shape) > _MAX_AXES
        or not all(type(n) is int and n >= 0 for n in shape)
    ):
        raise UnpicklingError("an array has no valid shape")
    # Without the zeros: an empty array may not claim axes of any length, either.
    claimed = math.prod(n for n in shape if n) * max(dtype.itemsize, 1)
    if claimed > machine.max_bytes:
        raise UnpicklingError(
            f"an array claims the shape {shape[:4]}, of {claimed} bytes; "
            f"max_bytes={machine.max_bytes} is the limit"
        )
    n_values = math.prod(shape)
    if not dtype.itemsize and n_values > machine.size:
        raise UnpicklingError(f"an array claims {n_values} values, more than the file has bytes")
    return n_values


def _check_values(n_values, dtype, values):
    """Raise unless bytes hold as many values as an array claims, and valid ones."""
    if len(values) != n_values * dtype.itemsize:
        raise UnpicklingError("an array does not hold what its shape says")
    if not len(values):
        return
    if dtype.kind == "b" and np.frombuffer(values, np.uint8).max() > 1:
        raise UnpicklingError("an array of bool holds other bytes than 0 and 1")
    if dtype.kind == "U":
        points = np.frombuffer(values, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if points.max() > _MAX_CODE_POINT:
            raise UnpicklingError("an array of texts holds numbers that are not characters")


def _bytes(machine, values):
    if type(values) is str:  # from Python 2
        return _latin1(machine, values)
    if type(values) not in (bytes, bytearray):
        raise UnpicklingError("an array has no bytes")
    return values


def _latin1(machine, text):
    machine.charge(len(text))
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise UnpicklingError("a text in place of bytes has characters beyond latin1") from None


def _list_admitted():
    calls = {
        ("numpy", "dtype"): _make_dtype,
        ("_codecs", "encode"): _encode,
        ("builtins", "bytes"): _no_bytes,
        ("__builtin__", "bytes"): _no_bytes,
        ("collections", "OrderedDict"): _ordered_dict,
    }
    for core in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2
        calls[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        calls[f"{core}.multiarray", "scalar"] = _scalar
        calls[f"{core}.numeric", "_frombuffer"] = _frombuffer
    admitted = {names: Admitted(".".join(names), call) for names, call in calls.items()}
    admitted["numpy", "ndarray"] = _NDARRAY
    return admitted


ADMITTED = _list_admitted()
