"""Which samples have which modality; a sample without any value lacks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import sparse

from .container import ModalityDict, n_rows

__all__ = ["CHUNK", "Presence", "find_present", "is_missing", "scatter_rows", "stack_rows"]

#: Rows examined at a time, so that a memory-mapped modality is never read whole.
CHUNK = 4096


@dataclass
class Presence:
    """Which samples have which modality; passed from the checked data to the method.

    Parameters
    ----------
    n_samples : int
    masks : dict of str to Tensor of bool of shape (n_samples,), default=None
        True where a sample has the modality; only for modalities that some sample lacks.
    found_rows : dict of str to Tensor of int64, default=None
        Indices where the masks are true. They are computed once, on the CPU, because computing
        them on another device would wait for it.
    """

    n_samples: int
    masks: dict = field(default_factory=dict)
    found_rows: dict | None = None

    @classmethod
    def from_arrays(cls, n_samples, masks):
        """Make one from numpy masks; those that are true everywhere are left out."""
        return cls(n_samples, {m: torch.from_numpy(k) for m, k in masks.items() if not k.all()})

    def mask(self, name):
        """Which samples have a modality (Tensor of bool of shape (n_samples,))."""
        if name in self.masks:
            return self.masks[name]
        some = next(iter(self.masks.values()), None)
        device = None if some is None else some.device
        return torch.ones(self.n_samples, dtype=torch.bool, device=device)

    def rows(self, name):
        """The samples that have an incomplete modality (Tensor of int64 of shape (n_present,))."""
        if self.found_rows is None:
            self.found_rows = {m: mask.nonzero()[:, 0] for m, mask in self.masks.items()}
        return self.found_rows[name]

    def matrix(self, names):
        """Presence as a Tensor of bool of shape (n_samples, n_modalities)."""
        return torch.stack([self.mask(name) for name in names], dim=1)

    def common(self):
        """Which samples have all modalities that occur (Tensor of bool of shape (n_samples,))."""
        common = torch.ones(self.n_samples, dtype=torch.bool)
        for mask in self.masks.values():
            if mask.any():
                common &= mask
        return common

    def take(self, indices):
        """Presence of some samples (array of int)."""
        return Presence.from_arrays(
            len(indices), {m: mask.numpy()[indices] for m, mask in self.masks.items()}
        )

    def replace(self, masks):
        """Presence with other masks of some modalities."""
        return Presence(self.n_samples, {**self.masks, **masks})

    def to(self, device):
        """Presence on a device."""
        # What comes to the CPU without waiting may be read before it is there.
        soon = device.type != "cpu"
        rows = {m: self.rows(m).to(device, non_blocking=soon) for m in self.masks}
        masks = {m: mask.to(device, non_blocking=soon) for m, mask in self.masks.items()}
        return Presence(self.n_samples, masks, rows)


def find_present(value):
    """Find the samples that have a modality.

    A sample lacks it if all of its values are missing: NaN in floats (in a sparse matrix, all
    stored values of a row), masked in a masked array, None (or NaN, or pandas' NA) in objects. A
    modality that is made of several arrays is missing if one of them has no value, since integers
    cannot mark missing values.

    Parameters
    ----------
    value : values of a modality in a ModalityDict

    Returns
    -------
    ndarray of bool of shape (n_samples,), or None if all have it
    """
    if isinstance(value, Mapping):
        masks = [mask for mask in map(find_present, value.values()) if mask is not None]
        return np.logical_and.reduce(masks) if masks else None
    if sparse.issparse(value):
        present = _present_in_sparse(value.tocsr())
    elif hasattr(value, "isna"):
        if value.shape[1] == 0:
            return None
        present = ~value.isna().to_numpy().all(axis=1)
    elif not hasattr(value, "dtype"):  # a DataFrame of another library
        return find_present(np.asarray(value))
    elif isinstance(value, np.ma.MaskedArray):
        gone = np.ma.getmaskarray(value)
        if value.dtype.kind == "f":
            gone = gone | np.isnan(np.ma.getdata(value))
        present = ~gone.reshape(len(value), -1).all(axis=1)
    elif value.dtype.kind == "O":
        present = np.array([not all(map(is_missing, row)) for row in value.reshape(len(value), -1)])
    elif value.dtype.kind == "f":
        present = np.ones(len(value), dtype=bool)
        for start in range(0, len(value), CHUNK):
            part = value[start : start + CHUNK].reshape(len(value[start : start + CHUNK]), -1)
            # Reading the first value of each row is fast, and usually enough.
            candidates = np.flatnonzero(np.isnan(part[:, 0])) if part.shape[1] else []
            for row in candidates:
                present[start + row] = not np.isnan(part[row]).all()
    else:
        return None
    return None if present.all() else present


def _present_in_sparse(value):
    stored = np.diff(value.indptr)
    if value.dtype.kind != "f":
        return np.ones(len(stored), dtype=bool)
    nans = np.bincount(np.repeat(np.arange(len(stored)), stored), np.isnan(value.data), len(stored))
    return (stored == 0) | (nans < stored)


def is_missing(value):
    """Whether an object stands for a missing value: None, NaN, pandas' NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and value != value


def stack_rows(array):
    """Stack rows that are numeric arrays of one shape; return anything else as it is."""
    objects = isinstance(array, np.ndarray) and array.dtype == object
    if not objects or array.ndim != 1 or len(array) == 0:
        return array
    rows = [np.asarray(row) if hasattr(row, "__len__") else None for row in array]
    if any(row is None or row.ndim == 0 or row.dtype.kind not in "biuf" for row in rows):
        return array
    return np.stack(rows) if len({row.shape for row in rows}) == 1 else array


def scatter_rows(value, present, keep_integers=False):
    """Put the values of present samples into their rows; the other rows are missing.

    Parameters
    ----------
    value : array, DataFrame, sparse matrix, or mapping of such, of n_present rows
    present : ndarray of bool of shape (n_samples,)
    keep_integers : bool, default=False
        Whether integers and booleans become a masked array; always so in a mapping.

    Returns
    -------
    ndarray, DataFrame, sparse matrix or ModalityDict
        With n_samples rows. Missing rows hold NaN in floats, one NaN in sparse matrices, and None
        in objects and texts.
    """
    if isinstance(value, Mapping):
        parts = {part: scatter_rows(array, present, True) for part, array in value.items()}
        return ModalityDict(parts)
    if sparse.issparse(value):
        return _scatter_sparse(value.tocsr(), present)
    if hasattr(value, "reindex"):  # a DataFrame
        rows = np.full(len(present), -1)
        rows[present] = np.arange(n_rows(value))
        return value.reset_index(drop=True).reindex(rows).reset_index(drop=True)
    value = np.asarray(value)
    shape = (len(present), *value.shape[1:])
    if value.dtype.kind in "biu" and keep_integers:
        whole = np.ma.zeros(shape, value.dtype)
        whole[present] = value
        whole[~present] = np.ma.masked
        return whole
    if value.dtype.kind in "biuf":
        whole = np.full(shape, np.nan, np.result_type(value.dtype, np.float32))
    else:
        whole = np.full(shape, None, dtype=object)
    whole[present] = value
    return whole


def _scatter_sparse(value, present):
    stored = np.ones(len(present), dtype=value.indptr.dtype)
    stored[present] = np.diff(value.indptr)
    dtype = np.result_type(value.dtype, np.float32)
    real = np.repeat(present, stored)
    data, columns = np.full(len(real), np.nan, dtype), np.zeros(len(real), value.indices.dtype)
    data[real], columns[real] = value.data, value.indices
    starts = np.concatenate([[0], np.cumsum(stored)])
    return type(value)((data, columns, starts), shape=(len(present), value.shape[1]))
