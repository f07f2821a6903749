"""Batches as slices of a larger one, on the CPU or on another device."""

import numpy as np

from .batches import Batch, each_part
from .presence import Presence

__all__ = ["Cutter", "cut_on_device", "places_in_batches"]


class Cutter:
    """Cuts batches off a large one.

    Parameters
    ----------
    whole : Batch
        With its presence on the CPU.

    Attributes
    ----------
    starts : dict of str to list of int
        Of an incomplete modality, how many samples before each one have it.
    """

    def __init__(self, whole):
        self._whole = whole
        self.starts = {
            name: [0, *mask.numpy().cumsum().tolist()]
            for name, mask in whole.presence.masks.items()
        }

    def __call__(self, start, stop):
        whole, tensors, masks = self._whole, {}, {}
        for name, starts in self.starts.items():  # a modality may be absent altogether
            if starts[stop] - starts[start] < stop - start:
                masks[name] = whole.presence.masks[name][start:stop]
        for name, value in whole.items():
            first, last = start, stop
            if name in self.starts:
                first, last = self.starts[name][start], self.starts[name][stop]
            if isinstance(value, dict):
                tensors[name] = each_part(lambda t, a=first, b=last: t[a:b], value)
            else:
                tensors[name] = value[first:last]
        return Batch(
            tensors,
            Presence(stop - start, masks),
            None if whole.weight is None else whole.weight[start:stop],
            None if whole.y is None else whole.y[start:stop],
        )


def cut_on_device(host, there, target, ends):
    """Cut batches off a block whose values are on a device.

    Parameters
    ----------
    host, there : Batch
        The block, with the same values: what it tells about its samples (presence, weights, the
        user's target) is on the CPU in one, on the device in the other. The rows of an incomplete
        modality (`Presence.found_rows`) are those of its batches: each counts from 0.
    target : Tensor of shape (n_samples, ...)
        On the device.
    ends : list of int
        Where the batches end.

    Yields
    ------
    tuple of Batch and Tensor
    """
    cut = Cutter(host)
    for start, stop in zip([0, *ends], ends):
        batch = cut(start, stop)
        masks = {name: there.presence.masks[name][start:stop] for name in batch.presence.masks}
        rows = {
            name: there.presence.rows(name)[cut.starts[name][start] : cut.starts[name][stop]]
            for name in masks
        }
        weight = None if there.weight is None else there.weight[start:stop]
        batch.moved = Batch(batch, Presence(stop - start, masks, rows), weight)
        yield batch, target[start:stop]


def places_in_batches(mask, ends):
    """Which rows of its batch have a modality, for all batches of a block or an epoch.

    Parameters
    ----------
    mask : ndarray of bool of shape (n_samples,)
    ends : array-like of int
        Where the batches end.

    Returns
    -------
    ndarray of int64 of shape (n_present,)
        Each batch counts from 0.
    """
    sizes = np.diff(ends, prepend=0)
    found = np.flatnonzero(mask)
    return found - np.repeat(np.asarray(ends) - sizes, sizes)[found]
