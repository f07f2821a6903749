"""Batches as slices of blocks: samples are gathered once for many batches."""

from math import prod

import numpy as np
import torch
from torch.utils.data import DataLoader, SequentialSampler

from .batches import Batch, JoinedBatchSampler, each_part
from .presence import Presence

__all__ = ["BLOCK_BYTES", "BlockLoader", "row_bytes"]

#: Bytes of the samples that are gathered at a time: a memory-mapped modality is never copied whole.
BLOCK_BYTES = 64 * 2**20


class BlockLoader(DataLoader):
    """A DataLoader in this process that gathers blocks of samples, and cuts batches off them.

    It gives the same batches in the same order as a plain DataLoader.

    Parameters
    ----------
    dataset : ModalityDataset or ModalitySubset
    batch_sampler : JoinedBatchSampler
    **kwargs
        See ``torch.utils.data.DataLoader``; without workers.
    """

    def __iter__(self):
        # A DataLoader draws a seed for workers first; the order goes on from there.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        n_rows = max(1, BLOCK_BYTES // max(1, row_bytes(self.dataset)))
        block, size = [], 0
        for indices in self.batch_sampler:
            if block and size + len(indices) > n_rows:
                yield from self._batches(block)
                block, size = [], 0
            block.append(indices)
            size += len(indices)
        if block:
            yield from self._batches(block)

    def _batches(self, block):
        """Gather the samples of some batches at once; yield the batches."""
        inputs, target = self.dataset.__getitems__(np.concatenate(block))
        ends = np.cumsum([len(indices) for indices in block]).tolist()
        if len(ends) == 1:
            yield inputs, target
            return
        cut = _Cutter(inputs)
        for start, stop in zip([0, *ends], ends):
            yield cut(start, stop), target[start:stop]

    def in_batches_of(self, n_samples):
        """The same samples in order, in batches of another size."""
        sampler = JoinedBatchSampler(len(self.dataset), n_samples)
        return BlockLoader(
            self.dataset,
            batch_sampler=sampler,
            collate_fn=self.collate_fn,
            generator=self.generator,
        )

    @property
    def is_in_order(self):
        return isinstance(getattr(self.batch_sampler, "sampler", None), SequentialSampler)


class _Cutter:
    """Cuts batches off a large one."""

    def __init__(self, whole):
        self._whole = whole
        # Of an incomplete modality a batch holds the samples that have it: where they begin.
        self._starts = {
            name: [0, *mask.numpy().cumsum().tolist()]
            for name, mask in whole.presence.masks.items()
        }

    def __call__(self, start, stop):
        whole, tensors, masks = self._whole, {}, {}
        for name, starts in self._starts.items():  # a modality may be absent altogether
            if starts[stop] - starts[start] < stop - start:
                masks[name] = whole.presence.masks[name][start:stop]
        for name, value in whole.items():
            first, last = start, stop
            if name in self._starts:
                first, last = self._starts[name][start], self._starts[name][stop]
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


def row_bytes(dataset):
    """Bytes of one sample as a batch holds it.

    Parameters
    ----------
    dataset : ModalityDataset or ModalitySubset

    Returns
    -------
    int
    """
    arrays = getattr(dataset, "dataset", dataset).arrays
    flat = [a for v in arrays.values() for a in (v.values() if isinstance(v, dict) else [v])]
    return sum(prod(array.shape[1:]) * array.dtype.itemsize for array in flat)
