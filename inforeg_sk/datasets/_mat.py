"""Reading of one array of numbers from a MATLAB file, without trust in what the file claims.

`scipy.io.loadmat` allocates what a file claims, and reads kinds of data that no data set here has.
This reads real numbers only, by a walk that checks each claim against the bytes that are there.
"""

import math
import struct
import zlib

import numpy as np

from ..utils.files import BadFile, check_file, check_size, shorten

__all__ = ["read_variable"]

_HEADER = 128  # bytes: text, then version and mark of the byte order
_HEAD = 1024  # bytes of a variable that hold its class, dimensions and name
_CHUNK = 2**14  # bytes that are decompressed at once; they give 17 MB at most
_RATIO = 1032  # the most that deflate compresses
_MOST_VARIABLES = 10_000
_MOST_DIMENSIONS = 32  # of scipy's loadmat

_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8 = 1, 5, 6, 14, 15, 16
# How numbers are stored, which may be shorter than their class: doubles that are small integers
# are stored as bytes.
_STORED = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"},
    **{12: "i8", 13: "u8"},
}
_NUMERIC = range(6, 16)  # double, single, and integers of 8 to 64 bits
_OTHER_CLASSES = {
    1: "a cell array",
    2: "a struct",
    3: "an object",
    4: "text",
    5: "a sparse matrix",
    16: "a function",
    17: "an opaque object",
    18: "an object",
}
_COMPLEX = 1 << 11  # of the flags


def read_variable(path, name, max_bytes):
    """Return an array of real numbers of a MATLAB file, as `scipy.io.loadmat` does.

    Reads files of version 5 to 7, with or without compression. If several variables have the name,
    the first counts, as in `loadmat`.

    Parameters
    ----------
    path : path-like
    name : str
    max_bytes : int
        The most memory that the variable may take.

    Returns
    -------
    ndarray
        In column-major order, of the type and byte order in which the file stores the numbers.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadFile
        If the file is not of these versions, is damaged, has no such variable, or the variable
        holds something else or is too large.
    """
    size = check_file(path)
    with open(path, "rb") as file:
        order = _byte_order(file.read(_HEADER + 390))
        start, n_bytes, is_compressed = _find(file, size, order, name)
        data = _content(file, start, n_bytes, is_compressed, order, name, max_bytes)
    return _numbers(data, order, name)


def _byte_order(beginning):
    """Check the header of the file; return the byte order for `struct`."""
    if b"\x89HDF\r\n\x1a\n" in beginning or beginning[124:128] in (b"\x00\x02IM", b"\x02\x00MI"):
        raise BadFile(
            "it is a MATLAB file of version 7.3 (HDF5), which is not read: save it with -v7."
        )
    if len(beginning) >= _HEADER and beginning[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        return "<" if beginning[126:128] == b"IM" else ">"
    if 0 in beginning[:4]:
        raise BadFile("it is not a .mat file, or one of version 4: save it with -v7.")
    raise BadFile("it is not a readable .mat file: its header names no version from 5 to 7.")


def _find(file, size, order, name):
    """Return where the content of a variable starts, its bytes, and whether it is compressed."""
    at, held = _HEADER, []
    for _ in range(_MOST_VARIABLES):
        if at == size:
            break
        file.seek(at)
        tag = file.read(8)
        if len(tag) < 8:
            raise BadFile("it is cut short or damaged: it ends within the tag of a variable.")
        kind, n_bytes = struct.unpack(f"{order}II", tag)
        start, at = at + 8, at + 8 + n_bytes
        if kind not in (_MATRIX, _COMPRESSED):
            raise BadFile(f"it is damaged: type {kind} is not that of a variable.")
        if at > size:
            raise BadFile(
                f"it is cut short or damaged: a variable claims {n_bytes} bytes, and "
                f"{size - start} are left."
            )
        head = file.read(min(n_bytes, _HEAD))
        if kind == _COMPRESSED:
            inner = _decompress(zlib.decompressobj(), head, _HEAD + 8)
            _matrix_size(inner, order)
            head = inner[8:]
        found = _name(head, order)
        if found == name:
            return start, n_bytes, kind == _COMPRESSED
        held.append(found)
    else:
        raise BadFile(f"it has more than {_MOST_VARIABLES} variables before {name}.")
    names = ", ".join(shorten(repr(x), 40) for x in held[:5]) or "nothing"
    raise BadFile(f"it has no variable {name}; it holds {names}.")


def _content(file, start, n_bytes, is_compressed, order, name, max_bytes):
    """Return the bytes of a variable after its outer tag, as an array."""
    file.seek(start)
    if not is_compressed:
        check_size(f"variable {name}", n_bytes, max_bytes)
        data = np.empty(n_bytes, np.uint8)
        if file.readinto(data) != n_bytes:
            raise BadFile("it was changed while it was read.")
        return data

    stream = zlib.decompressobj()
    left = n_bytes

    def more(limit):
        nonlocal left
        chunk = file.read(min(left, _CHUNK))
        left -= len(chunk)
        if not chunk:
            raise BadFile(f"it is damaged: the compressed variable {name} is cut short.")
        return _decompress(stream, chunk, limit)

    first = more(_HEAD)
    claimed = _matrix_size(first, order)
    check_size(f"variable {name}", claimed, max_bytes)
    if claimed + 8 > _RATIO * n_bytes:
        raise BadFile(
            f"it is damaged: variable {name} claims {claimed} bytes, more than {n_bytes} "
            "compressed bytes can hold."
        )
    data = np.empty(claimed + 8, np.uint8)  # the system provides memory as it is filled
    part, filled = first, 0
    while True:
        if filled + len(part) > len(data) or stream.unused_data:
            raise BadFile(f"it is damaged: variable {name} holds more bytes than it claims.")
        data[filled : filled + len(part)] = np.frombuffer(part, np.uint8)
        filled += len(part)
        # One byte too many shows that there is more; a limit of 0 would be none.
        limit = len(data) - filled + 1
        if stream.unconsumed_tail:
            part = _decompress(stream, stream.unconsumed_tail, limit)
        elif stream.eof:
            break
        else:
            part = more(limit)
    if filled < len(data):
        raise BadFile(f"it is damaged: variable {name} has {filled} bytes, but claims {len(data)}.")
    if left:
        raise BadFile(f"it is damaged: {left} bytes follow the compressed variable {name}.")
    return data[8:]


def _decompress(stream, data, limit):
    try:
        return stream.decompress(data, limit)
    except zlib.error as error:
        raise BadFile(f"it is damaged: a variable cannot be decompressed ({error}).") from error


def _matrix_size(data, order):
    """Return the bytes that the tag of a matrix at the start of `data` claims."""
    kind, n_bytes = struct.unpack(f"{order}II", data[:8]) if len(data) >= 8 else (None, 0)
    if kind != _MATRIX:
        raise BadFile(f"it is damaged: a compressed variable has the type {kind}.")
    return n_bytes


# Within a variable.


def _part(data, at, order):
    """Return the type of the part at `at`, where its content starts and ends, and the next part."""
    if len(data) < at + 8:
        raise BadFile("it is damaged: a variable ends before its numbers.")
    kind, n_bytes = struct.unpack(f"{order}II", bytes(data[at : at + 8]))
    start, following = at + 8, at + 8 + n_bytes + -n_bytes % 8
    if kind >> 16:  # at most four bytes, in the place of their number
        kind, n_bytes, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if n_bytes > 4:
            raise BadFile(f"it is damaged: a part of at most 4 bytes claims {n_bytes}.")
    if start + n_bytes > len(data):
        raise BadFile(
            f"it is damaged: a part of a variable claims {n_bytes} bytes, and "
            f"{max(len(data) - start, 0)} are left."
        )
    return kind, start, start + n_bytes, following


def _flags(data, order):
    """Return the flags of a variable, whose last byte is its class."""
    kind, start, end, at = _part(data, 0, order)
    if kind != _UINT32 or end - start != 8:
        raise BadFile("it is damaged: a variable does not start with its flags.")
    return struct.unpack(f"{order}I", bytes(data[start : start + 4]))[0], at


def _name(data, order):
    """Return the name of a variable from its first bytes, or a word for one without."""
    flags, at = _flags(data, order)
    if flags & 0xFF == 17:  # opaque objects have no dimensions
        return "(opaque)"
    _, at = _dimensions(data, at, order)
    return _text(data, at, order)[0]


def _text(data, at, order):
    kind, start, end, at = _part(data, at, order)
    if kind not in (_INT8, _UTF8):
        raise BadFile(f"it is damaged: the name of a variable has the type {kind}.")
    return bytes(data[start:end]).decode("latin1"), at


def _dimensions(data, at, order):
    kind, start, end, at = _part(data, at, order)
    n = (end - start) // 4
    if kind != _INT32 or (end - start) % 4 or not 2 <= n <= _MOST_DIMENSIONS:
        raise BadFile("it is damaged: a variable has no dimensions.")
    shape = struct.unpack(f"{order}{n}i", bytes(data[start:end]))
    if min(shape) < 0:
        raise BadFile(f"it is damaged: a variable has the shape {shape}.")
    return shape, at


def _numbers(data, order, name):
    """Return the array that the content of a variable holds."""
    flags, at = _flags(data, order)
    kind = flags & 0xFF
    if kind not in _NUMERIC:
        held = _OTHER_CLASSES.get(kind, f"of the unknown class {kind}")
        raise BadFile(f"{name} must hold real numbers; it is {held}.")
    if flags & _COMPLEX:
        raise BadFile(f"{name} must hold real numbers; it holds complex ones.")
    shape, at = _dimensions(data, at, order)
    _, at = _text(data, at, order)
    stored, start, end, following = _part(data, at, order)
    if stored not in _STORED:
        raise BadFile(f"it is damaged: the numbers of {name} have the type {stored}.")
    dtype = np.dtype(_STORED[stored]).newbyteorder(order)
    if math.prod(shape) * dtype.itemsize != end - start:
        raise BadFile(
            f"it is damaged: {name} has {end - start} bytes, but claims {shape} numbers of "
            f"{dtype.itemsize}."
        )
    if len(data) not in (end, following):
        raise BadFile(f"it is damaged: more follows the numbers of {name}.")
    return data[start:end].view(dtype).reshape(shape, order="F")
