"""Blocks of samples on another device: copied there once where they fit, else a block at a time."""

import numpy as np
import torch
from scipy import sparse

from .batches import Batch, each_part
from .cutter import cut_on_device, places_in_batches
from .presence import Presence

__all__ = ["RESIDENT_SHARE", "ResidentSamples", "free_bytes", "move_block"]

#: Share of the free memory of a device that samples may take there. The rest is for activations,
#: the parameters with their gradients and two moments, and for other processes.
RESIDENT_SHARE = 0.25


def free_bytes(device):
    """Free memory of a device in bytes; 0 where torch does not say, or it is that of the host."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def send(tensor, device):
    """A tensor of the CPU on a device; nothing waits for the copy."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


class ResidentSamples:
    """The samples of a dataset on a device, and the blocks of an epoch gathered there.

    What a batch tells about its samples (presence, weights, the user's target) also stays on the
    CPU, where modality dropout and callbacks look at it.

    Parameters
    ----------
    dataset : ModalityDataset or ModalitySubset
        Of dense arrays.
    device : torch.device
    piece : int
        Rows copied at a time: a memory-mapped array is never read whole.
    """

    def __init__(self, dataset, device, piece):
        whole = getattr(dataset, "dataset", dataset)
        rows = np.asarray(getattr(dataset, "indices", np.arange(len(dataset))))
        self.device, self.whole, self.rows = device, whole, rows

        def copied(array):
            kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
            there = torch.empty((len(rows), *array.shape[1:]), dtype=kind, device=device)
            for start in range(0, len(rows), piece):
                part = torch.from_numpy(array[rows[start : start + piece]])
                there[start : start + piece].copy_(part)
            return there

        self.arrays = {name: each_part(copied, value) for name, value in whole.arrays.items()}
        self.target = copied(np.zeros(len(whole), int) if whole.target is None else whole.target)
        self.weight = None if whole.weight is None else copied(whole.weight)
        self.masks = {name: copied(m.numpy()) for name, m in whole.presence.masks.items()}

    @staticmethod
    def fit_on(device, dataset, n_bytes):
        """Whether samples of `n_bytes` each may stay on a device."""
        arrays = getattr(dataset, "dataset", dataset).arrays.values()
        flat = [a for v in arrays for a in (v.values() if isinstance(v, dict) else [v])]
        if any(map(sparse.issparse, flat)):
            return False
        return len(dataset) * n_bytes <= RESIDENT_SHARE * free_bytes(device)

    def batches(self, lists, n_rows):
        """Batches of the given rows (lists of int), gathered for at most `n_rows` at a time.

        Yields
        ------
        tuple of Batch and Tensor
        """
        if not lists:
            return
        epoch = _Epoch(self, lists)
        first, ends = 0, epoch.ends
        while first < len(lists):
            start = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, start + n_rows, "right")))
            stop = int(ends[last - 1])
            host, there, target = epoch.block(start, stop)
            yield from cut_on_device(host, there, target, (ends[first:last] - start).tolist())
            first = last


class _Epoch:
    """The order of an epoch, sent to the device in one copy."""

    def __init__(self, samples, lists):
        self._samples = samples
        self.ends = np.cumsum([len(indices) for indices in lists])
        order = np.concatenate(lists).astype(np.int64)
        self._given = samples.rows[order]
        presence = samples.whole.presence
        self._masks = {name: m.numpy()[self._given] for name, m in presence.masks.items()}
        self._starts = {m: np.concatenate([[0], np.cumsum(k)]) for m, k in self._masks.items()}
        plan = [order]
        for mask in self._masks.values():
            plan += [order[mask], places_in_batches(mask, self.ends)]
        sent = send(torch.from_numpy(np.concatenate(plan)), samples.device)
        self._order, *rest = sent.split([len(part) for part in plan])
        self._rows = dict(zip(self._masks, zip(rest[::2], rest[1::2])))

    def block(self, start, stop):
        """Gather samples: the block as the CPU knows it, as the device does, and the target."""
        samples, order, given = self._samples, self._order[start:stop], self._given[start:stop]
        tensors, places = {}, {}
        for name in self._masks:
            first, last = self._starts[name][[start, stop]].tolist()
            places[name] = self._rows[name][1][first:last]
        for name, value in samples.arrays.items():
            chosen = order
            if name in self._masks:
                first, last = self._starts[name][[start, stop]].tolist()
                chosen = self._rows[name][0][first:last]
            tensors[name] = each_part(lambda t, rows=chosen: t.index_select(0, rows), value)
        whole, n_samples = samples.whole, stop - start
        masks = {m: torch.from_numpy(mask[start:stop]) for m, mask in self._masks.items()}
        host = Batch(
            tensors,
            Presence(n_samples, masks),
            None if whole.weight is None else torch.from_numpy(whole.weight[given]),
            None if whole.y is None else whole.y[given],
        )
        there = Batch(
            tensors,
            Presence(
                n_samples, {m: k.index_select(0, order) for m, k in samples.masks.items()}, places
            ),
            None if samples.weight is None else samples.weight.index_select(0, order),
        )
        return host, there, samples.target.index_select(0, order)


def move_block(inputs, target, ends, device):
    """Move gathered samples to a device, and cut batches off them there.

    Parameters
    ----------
    inputs : Batch
        On the CPU.
    target : Tensor of shape (n_samples, ...)
    ends : list of int
        Where the batches end.
    device : torch.device

    Yields
    ------
    tuple of Batch and Tensor
    """
    tensors = {name: each_part(lambda t: send(t, device), x) for name, x in inputs.items()}
    presence, masks, places = inputs.presence, {}, {}
    for name, mask in presence.masks.items():
        masks[name] = send(mask, device)
        places[name] = send(torch.from_numpy(places_in_batches(mask.numpy(), ends)), device)
    weight = None if inputs.weight is None else send(inputs.weight, device)
    host = Batch(tensors, presence, inputs.weight, inputs.y)
    there = Batch(tensors, Presence(inputs.n_samples, masks, places), weight)
    yield from cut_on_device(host, there, send(target, device), ends)
