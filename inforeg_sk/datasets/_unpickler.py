"""Reading of published pickles that hold only numbers, texts and containers."""

import io
import pickle

import numpy as np

__all__ = ["read_arrays"]

# Numbers, texts and Python objects (arrays of unequal length); the last only as a list.
_KINDS = "biufSU"


def read_arrays(file):
    """Read one pickle made of dicts, lists, tuples, plain values and numpy arrays.

    A pickle is a program that `pickle.load` runs. This reader admits an explicit list of qualified
    names, those that numpy 1 and 2 use to pickle arrays of numbers and texts under protocols 0 to
    5, and replaces each by something harmless. It refuses any other name before importing it. It
    does not guard against a file that asks for more memory than is available.

    Parameters
    ----------
    file : binary file or bytes

    Returns
    -------
    object
        What was pickled, with dicts in place of OrderedDicts.

    Raises
    ------
    pickle.UnpicklingError
        If the pickle names anything that is not on the list, is damaged, or misuses a listed name.
    """
    if isinstance(file, (bytes, bytearray)):
        file = io.BytesIO(file)
    try:
        # numpy expects the bytes of Python 2 to be decoded as latin1.
        return _Unpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, MemoryError, OSError):
        raise
    except Exception as error:  # a damaged program can raise anything
        raise pickle.UnpicklingError(
            f"the pickle is damaged or not one of arrays: {type(error).__name__}: {error}"
        ) from error


class _DType:
    """Stand-in for numpy.dtype, which a pickle could set to an inconsistent state."""

    __slots__ = ("dtype",)

    def __init__(self, spec, align=False, copy=False):
        if not isinstance(spec, str):
            raise pickle.UnpicklingError(f"refused a numpy.dtype of {type(spec).__name__}")
        # 'O8' is a legacy spelling that newer versions of numpy deprecate.
        self.dtype = np.dtype("O" if spec in ("O", "O4", "O8", "|O") else spec)
        if not (self.dtype.kind in _KINDS or self.dtype.kind == "O"):
            raise pickle.UnpicklingError(f"refused an array of type {self.dtype}")

    def __setstate__(self, state):
        # (version, byte order, subarray, names, fields, ...); the rest follows from the name.
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("refused a structured array")
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"refused the byte order {state[1]!r}")
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array whose pickled state is checked before numpy, which trusts it, sees it."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, values = state
        shape, dtype = _shape(shape), _dtype(dtype)
        n_values = int(np.prod(shape, dtype=object))
        if dtype.hasobject:
            if type(values) is not list or len(values) != n_values:
                raise pickle.UnpicklingError("an object array does not hold what its shape says")
        else:
            values = _bytes(values)
            if len(values) != n_values * dtype.itemsize:
                raise pickle.UnpicklingError("an array does not hold what its shape says")
        super().__setstate__((1, shape, dtype, bool(fortran), values))


_NDARRAY = "numpy.ndarray"  # stands for the name: a token, not something to call


def _reconstruct(subtype, shape, typecode):
    if subtype is not _NDARRAY:
        raise pickle.UnpicklingError("refused an array that is not a numpy.ndarray")
    return np.empty(0, np.int8).view(_Array)  # its state brings shape and type


def _frombuffer(buffer, dtype, shape, order, axis_order=None):
    array = np.frombuffer(_bytes(buffer), _plain(dtype))
    if order == "K" and axis_order is not None:
        return array.reshape(_shape(shape)).transpose(_shape(axis_order))
    return array.reshape(_shape(shape), order=order)


def _scalar(dtype, value):
    return np.frombuffer(_bytes(value), _plain(dtype), count=1)[0]


def _encode(text, encoding):
    # Python 3 writes bytes this way under protocols 0 to 2. Other encodings would import a codec.
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"refused _codecs.encode to {encoding!r}")
    return text.encode("latin1")


def _no_bytes():
    return b""  # likewise, for empty bytes


def _dtype(dtype):
    if not isinstance(dtype, _DType):
        raise pickle.UnpicklingError("an array has no numpy.dtype")
    return dtype.dtype


def _plain(dtype):
    if _dtype(dtype).hasobject:
        raise pickle.UnpicklingError("refused Python objects in a buffer")
    return dtype.dtype


def _shape(shape):
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError("an array has no valid shape")
    return shape


def _bytes(values):
    if isinstance(values, str):  # from Python 2
        return values.encode("latin1")
    if not isinstance(values, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array has no bytes")
    return bytes(values)


class _Admitted:
    """A callable that a pickle cannot alter: BUILD sets attributes of a function or a class."""

    __slots__ = ("_call",)

    def __init__(self, call):
        object.__setattr__(self, "_call", call)

    def __call__(self, *args):
        return self._call(*args)

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError(f"refused to set {name!r} of an admitted name")

    def __setstate__(self, state):
        raise pickle.UnpicklingError("refused to set the state of an admitted name")


_ADMITTED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Admitted(_DType),
    ("_codecs", "encode"): _Admitted(_encode),
    ("builtins", "bytes"): _Admitted(_no_bytes),
    ("__builtin__", "bytes"): _Admitted(_no_bytes),
    ("collections", "OrderedDict"): _Admitted(dict),
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _Admitted(_reconstruct)
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _Admitted(_scalar)
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _Admitted(_frombuffer)


class _Unpickler(pickle._Unpickler):
    """The unpickler written in Python, as joblib uses it.

    The C version takes extension codes that were used before from a cache, without calling
    `find_class`, and has no method to override for them.
    """

    def find_class(self, module, name):
        # The whole name is looked up, so dots in it lead nowhere; nothing is imported.
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"refused {module}.{name}: the pickle may only name what arrays need"
            ) from None

    def get_extension(self, code):
        raise pickle.UnpicklingError(f"refused the copyreg extension code {code}")

    def persistent_load(self, pid):
        raise pickle.UnpicklingError(f"refused the persistent id {pid!r}")
