"""What the experts of a pool are given: tables of the modalities, and who has them."""

from math import prod

import numpy as np
from scipy import sparse
from sklearn.base import clone

from ..data.arrays import CheckedModalities, check_arrays
from ..data.batches import ModalityDataset, each_part
from ..data.checks import as_modalities, as_selectable, check_modalities
from ..data.columns import split_columns
from ..data.container import is_mapping
from ..data.presence import Presence
from ..network.encoders import FLATTENED
from ..training.device import resolve_dtype
from ..utils.compat import safe_indexing

__all__ = ["Side", "Sides", "table_kinds"]


def table_kinds(checked):
    """How experts get each modality.

    Parameters
    ----------
    checked : CheckedModalities

    Returns
    -------
    dict of str to {"vector", "flat", "features"}
        "vector": as it is. "flat": sequences of few values without padding, flattened as the
        network does it. "features": what the network's encoder makes of it.
    """
    kinds = {}
    for name, array in checked.arrays.items():
        if isinstance(array, dict):
            kinds[name] = "features"
        elif array.ndim == 2:
            kinds[name] = "vector"
        else:
            rows = checked.presence.mask(name).numpy()
            small = array.ndim == 3 and prod(array.shape[1:]) <= FLATTENED  # as by the network
            kinds[name] = "flat" if small and np.isfinite(array[rows]).all() else "features"
    return kinds


class Side:
    """Samples as networks and experts get them: a training part, a held-out part, or new ones.

    Parameters
    ----------
    checked : CheckedModalities
    kinds : dict of str to str
        See `table_kinds`.
    rows : ndarray of int, default=None
        Which of the samples; None: all.

    Attributes
    ----------
    features : dict of str to ndarray
        After `make_features`.
    """

    def __init__(self, checked, kinds, rows=None):
        self._checked, self._kinds = checked, kinds
        self._rows = np.arange(checked.n_samples) if rows is None else rows
        self.n_samples = len(self._rows)
        self.features = {}

    def has(self, needs):
        """Which samples have all of some modalities (ndarray of bool of shape (n_samples,))."""
        found = np.ones(self.n_samples, dtype=bool)
        for name in needs:
            found &= self._checked.presence.mask(name).numpy()[self._rows]
        return found

    def dataset(self, network, absent=(), rows=None):
        """Samples as a fitted network takes them, without another check.

        Parameters
        ----------
        network : MultimodalEstimator
        absent : collection of str, default=()
            Modalities to leave out.
        rows : ndarray of bool of shape (n_samples,), default=None
            None: all.

        Returns
        -------
        ModalityDataset
        """
        chosen = self._rows if rows is None else self._rows[rows]
        arrays = {
            name: each_part(lambda array: array[chosen], value)
            for name, value in self._checked.arrays.items()
            if name not in absent
        }
        masks = {
            name: mask.numpy()[chosen]
            for name, mask in self._checked.presence.masks.items()
            if name not in absent
        }
        masks |= {name: np.zeros(len(chosen), dtype=bool) for name in absent}
        for name, mask in masks.items():
            if not mask.any():
                arrays.pop(name, None)
        presence = Presence.from_arrays(len(chosen), masks)
        made = ModalityDataset(CheckedModalities(arrays, presence))
        made.made_for = network.fitted_input_
        return made

    def make_features(self, network):
        """Have a fitted network turn the modalities that are no tables into features.

        Parameters
        ----------
        network : MultimodalEstimator
        """
        if "features" in self._kinds.values():
            made = network.transform_by_modality(self.dataset(network))
            self.features = {m: made[m] for m, kind in self._kinds.items() if kind == "features"}

    def table(self, needs, rows):
        """Columns of some modalities, side by side.

        Parameters
        ----------
        needs : tuple of str
        rows : ndarray of bool of shape (n_samples,)
            Samples that have all of them.

        Returns
        -------
        ndarray or sparse matrix (CSR) of shape (n_rows, n_columns)
        """
        parts = [self._part(name, rows) for name in needs]
        if len(parts) == 1:
            return parts[0]
        thin = any(map(sparse.issparse, parts))
        return sparse.hstack(parts, format="csr") if thin else np.hstack(parts)

    def _part(self, name, rows):
        kind = self._kinds[name]
        if kind == "features":
            return self.features[name][rows]
        part = self._checked.arrays[name][self._rows[rows]]
        if kind == "vector":
            return part
        if not np.isfinite(part).all():
            raise ValueError(
                f"Modality {name!r} has padded sequences here, and had none in fit, where its "
                "experts took whole sequences: fit with padded ones, too."
            )
        return part.reshape(part.shape[0], -1)


class Sides:
    """Training and held-out part of each split, and of all samples.

    Parameters
    ----------
    X : as in ``fit`` of the pool
    y : ndarray
    front : Pipeline or None
        Steps in front of the network, not fitted; they are fitted on each training part.
    network : MultimodalEstimator
        Not fitted; for its parameters.
    beside : dict of str to object
        What has a row for each sample, for the comparison of row labels.
    splits : list of tuple of ndarray of int
        The last is all samples, and none held out.

    Attributes
    ----------
    pairs : list of tuple of Side and Side
    given : list of object
        The training part as the network's ``fit`` takes it, with its rows of all samples: None
        where they are the whole of what is given.
    fronts : list of Pipeline or None
        Fitted.
    checked : CheckedInput
        Of all samples.
    kinds : dict of str to str
    """

    def __init__(self, X, y, front, network, beside, splits):
        dtype, _ = resolve_dtype(network.dtype, type(network).__name__)
        X = as_selectable(X)
        if front is None:
            self.checked = check_modalities(X, network, dtype, beside)
            self.kinds = table_kinds(self.checked.X)
            self.fronts = [None] * len(splits)
            self.given = [(X, train) for train, _ in splits]
            self.pairs = [
                tuple(Side(self.checked.X, self.kinds, rows) for rows in split) for split in splits
            ]
            return
        self.fronts, self.given, held_out = [], [], []
        for train, test in splits:
            made = clone(front)
            self.given.append((made.fit_transform(safe_indexing(X, train), y[train]), None))
            held_out.append(made.transform(safe_indexing(X, test)) if len(test) else None)
            self.fronts.append(made)
        self.checked = check_modalities(self.given[-1][0], network, dtype)
        self.kinds = table_kinds(self.checked.X)
        whole = Side(self.checked.X, self.kinds)
        self.pairs = [
            (self._side(given, network, dtype), self._side(held, network, dtype))
            for (given, _), held in zip(self.given[:-1], held_out)
        ]
        self.pairs.append((whole, Side(self.checked.X, self.kinds, np.arange(0))))

    def _side(self, X, network, dtype):
        X = as_selectable(X)
        parts = as_modalities(X) if is_mapping(X) else split_columns(X, self.checked.columns)
        made = check_arrays(
            parts, len(parts), dtype, missing=network.missing, expected=self.checked.modalities
        )
        return Side(made, self.kinds)
