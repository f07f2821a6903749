"""The representation of missing modalities: samples without any value."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from .container import ModalityDict, n_rows

__all__ = ["present_rows", "scatter_rows"]

# Rows looked at at a time, so that a memory-mapped modality is never read whole.
_CHUNK = 4096


def present_rows(value):
    """Find the samples that have a modality.

    A sample lacks it where all of its values are missing in the way that the array knows: NaN in
    floats, the mask of a masked array, None (or NaN, or pandas' NA) in objects. A modality that is
    made of several arrays is missing where one of them has no value, since integers and sparse
    matrices know no way.

    Parameters
    ----------
    value : values of a modality in a ModalityDict

    Returns
    -------
    ndarray of bool of shape (n_samples,), or None if all are there
    """
    if isinstance(value, Mapping):
        masks = [mask for mask in map(present_rows, value.values()) if mask is not None]
        return np.logical_and.reduce(masks) if masks else None
    if sparse.issparse(value):
        return None
    if hasattr(value, "isna"):
        there = ~value.isna().to_numpy().all(axis=1)
    elif not hasattr(value, "dtype"):  # a frame of another library
        return present_rows(np.asarray(value))
    elif isinstance(value, np.ma.MaskedArray):
        gone = np.ma.getmaskarray(value)
        if value.dtype.kind == "f":
            gone = gone | np.isnan(np.ma.getdata(value))
        there = ~gone.reshape(len(value), -1).all(axis=1)
    elif value.dtype.kind == "O":
        there = np.array([not all(map(_is_missing, row)) for row in value.reshape(len(value), -1)])
    elif value.dtype.kind == "f":
        there = np.ones(len(value), dtype=bool)
        for start in range(0, len(value), _CHUNK):
            part = value[start : start + _CHUNK].reshape(len(value[start : start + _CHUNK]), -1)
            # The first value of each row is quickly read, and usually enough.
            candidates = np.flatnonzero(np.isnan(part[:, 0])) if part.shape[1] else []
            for row in candidates:
                there[start + row] = not np.isnan(part[row]).all()
    else:
        return None
    return None if there.all() else there


def _is_missing(value):
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float | np.floating) and value != value


def scatter_rows(value, there):
    """Put the values of present samples where they came from, and nothing at the others.

    Parameters
    ----------
    value : array, DataFrame, sparse matrix, or mapping of such, of n_present rows
    there : ndarray of bool of shape (n_samples,)

    Returns
    -------
    ndarray, DataFrame, or ModalityDict
        Of n_samples rows: floats with rows of NaN. In a modality that is made of several arrays
        integers and booleans become masked arrays; objects and texts get None.
    """
    if isinstance(value, Mapping):
        return ModalityDict({part: _scatter(array, there, True) for part, array in value.items()})
    return _scatter(value, there, False)


def _scatter(value, there, keep_integers):
    if hasattr(value, "reindex"):  # a DataFrame
        rows = np.full(len(there), -1)
        rows[there] = np.arange(n_rows(value))
        table = value.reset_index(drop=True).reindex(rows)
        return table.reset_index(drop=True)
    value = value.toarray() if sparse.issparse(value) else np.asarray(value)
    shape = (len(there), *value.shape[1:])
    if value.dtype.kind in "biu" and keep_integers:
        whole = np.ma.zeros(shape, value.dtype)
        whole[there] = value
        whole[~there] = np.ma.masked
        return whole
    if value.dtype.kind in "biuf":
        whole = np.full(shape, np.nan, np.result_type(value.dtype, np.float32))
    else:
        whole = np.full(shape, None, dtype=object)
    whole[there] = value
    return whole
