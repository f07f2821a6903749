"""Data sets of an HDF5 file, read only where the file stores what they claim.

The HDF5 library allocates what a file claims, and inflates a chunk however large it becomes. So a
data set is checked against the bytes that the file stores for it, and chunks compressed by deflate
are inflated here, to their size and no further.
"""

import importlib
import itertools
import math
import zlib
from contextlib import contextmanager

import numpy as np

from ..utils.files import BadFile, check_size, shorten

__all__ = ["check_storage", "import_h5py", "located", "read_array"]

_RATIO = 1100  # deflate compresses 1032 times at most
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3  # numbers of filters in HDF5; the last is Fletcher's


def import_h5py():
    """Import h5py, of the extra `hdf5`; nothing else imports it."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError(
            f"load_cmu_mosi(features='sdk') needs h5py, which is not installed ({error}): "
            "pip install 'inforeg-sk[hdf5]'."
        ) from error


@contextmanager
def located(where):
    """Name the place in the file in errors of h5py; a damaged file causes errors of all kinds."""
    try:
        yield
    except BadFile:
        raise
    except MemoryError as error:
        raise BadFile(f"{where} cannot be read: it needs more memory than there is.") from error
    except Exception as error:
        raise BadFile(
            f"{where} cannot be read ({type(error).__name__}: {shorten(error)}): the file is "
            "damaged, or needs a filter that is not installed."
        ) from error


def check_storage(array, where, max_bytes):
    """Raise unless a file stores the values that a data set claims.

    Parameters
    ----------
    array : h5py.Dataset
    where : str
        Its place in the file, for messages.
    max_bytes : int
        The most memory, in bytes, that a chunk and all values may take, each.

    Returns
    -------
    n_stored : int
        The bytes that the file claims to store for it.

    Raises
    ------
    BadFile
    """
    n_stored = array.id.get_storage_size()
    item = array.id.get_type().get_size()
    claimed = math.prod(array.shape) * item
    check_size(where, math.prod(array.shape) * array.dtype.itemsize, max_bytes)
    if array.chunks is not None:
        # Chunks are stored whole; those at the edges are filled up.
        n_chunks = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
        chunk = math.prod(array.chunks) * item
        claimed = n_chunks * chunk
        check_size(f"a chunk of {where}", chunk, max_bytes)
        # A chunk takes one byte at least, so most false claims need no count.
        if n_chunks > n_stored or n_chunks != array.id.get_num_chunks():
            raise BadFile(
                f"{where} claims {n_chunks} chunks of values, shape {array.shape}, but the file "
                f"does not store all of them; it stores {n_stored} bytes."
            )
    if claimed > n_stored * (_RATIO if _filters(array) else 1):
        raise BadFile(
            f"{where} claims {claimed} bytes of values, shape {array.shape}, but the file stores "
            f"{n_stored} bytes of them."
        )
    return n_stored


def read_array(array, where):
    """Return the values of a data set that `check_storage` has accepted, as ``array[()]`` does."""
    with located(where):
        filters = _filters(array)
        return _read_deflated(array, filters) if _DEFLATE in filters else array[()]


def _filters(array):
    """Return the numbers of the filters of a data set, in the order of writing."""
    plist = array.id.get_create_plist()
    return [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]


def _read_deflated(array, filters):
    if len(set(filters)) < len(filters) or not set(filters) <= {_DEFLATE, _SHUFFLE, _CHECKSUM}:
        raise BadFile(
            f"{array.name} is compressed by the filters {filters} of HDF5; with deflate (1), only "
            "shuffle (2) and Fletcher's checksum (3) are read, once each."
        )
    # h5py verifies checksums, and converts types that numpy does not have. It is safe once all
    # chunks have been found to have their size.
    h5py = import_h5py()
    is_plain = array.id.get_type() == h5py.h5t.py_create(array.dtype, logical=True)
    is_plain = is_plain and _CHECKSUM not in filters
    item = array.id.get_type().get_size()
    n_bytes = math.prod(array.chunks) * item
    values = np.empty(array.shape, array.dtype) if is_plain else None
    steps = [range(0, n, c) for n, c in zip(array.shape, array.chunks, strict=True)]
    for offset in itertools.product(*steps):
        skipped, stored = array.id.read_direct_chunk(offset)
        content = _undo(stored, skipped, filters, n_bytes, item)
        if len(content) != n_bytes:
            raise BadFile(
                f"{array.name} is damaged: the chunk at {offset} has not {n_bytes} bytes, as its "
                "shape says."
            )
        if is_plain:
            block = np.frombuffer(content, array.dtype).reshape(array.chunks)
            into = values[tuple(slice(at, at + c) for at, c in zip(offset, array.chunks))]
            into[...] = block[tuple(map(slice, into.shape))]  # a chunk at the edge is larger
    return values if is_plain else array[()]


def _undo(content, skipped, filters, n_bytes, item):
    """Undo the filters of one chunk; bit i of `skipped` says that filter i was not applied."""
    applied = [x for i, x in enumerate(filters) if not skipped >> i & 1]
    while applied:
        last = applied.pop()
        if last == _CHECKSUM:
            content = content[:-4]
        elif last == _DEFLATE:
            stream = zlib.decompressobj()
            # One byte too many shows that there is more.
            content = stream.decompress(content, n_bytes + 4 * (_CHECKSUM in applied) + 1)
            if not stream.eof:
                raise BadFile("a chunk is damaged: it is larger than its shape says, or cut short.")
        elif item > 1:  # shuffle: the first bytes of all numbers, then all second bytes
            whole = len(content) // item * item
            mixed = np.frombuffer(content, np.uint8, whole).reshape(item, -1)
            content = mixed.T.tobytes() + content[whole:]
    return content
