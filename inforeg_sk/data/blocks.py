"""Batches as slices of blocks: samples are gathered once for many batches."""

from math import prod

import numpy as np
import torch
from torch.utils.data import DataLoader, SequentialSampler

from .batches import JoinedBatchSampler, each_part
from .cutter import Cutter
from .resident import ResidentSamples, move_block

__all__ = ["BLOCK_BYTES", "BlockLoader", "row_bytes"]

#: Bytes of the samples that are gathered at a time: a memory-mapped modality is never copied whole.
#: The C library keeps more than one for a while; together they stay below 64 MB.
BLOCK_BYTES = 16 * 2**20


class BlockLoader(DataLoader):
    """A DataLoader in this process that gathers blocks of samples, and cuts batches off them.

    It gives the same batches in the same order as a plain DataLoader. On another device than the
    CPU, their values are there already (`Batch.moved`): samples that fit are copied once and
    gathered there, of others a block moves at a time.

    Parameters
    ----------
    dataset : ModalityDataset or ModalitySubset
    batch_sampler : JoinedBatchSampler
    device : torch.device, default=None
        Where the batches go; None is the CPU.
    resident : bool, default=None
        Whether samples stay on the device from pass to pass, also if that is the CPU. None: where
        they fit, from the second pass on if they come in order: the first may be the only one.
    **kwargs
        See ``torch.utils.data.DataLoader``; without workers.
    """

    def __init__(self, dataset, *, device=None, resident=None, **kwargs):
        super().__init__(dataset, **kwargs)
        self._device = torch.device("cpu") if device is None else device
        self._moves = self._device.type != "cpu" or resident is not None
        self._stays, self._resident, self._is_second = resident, None, False
        self._as_views = False

    def __iter__(self):
        # A DataLoader draws a seed for workers first; the order goes on from there.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        if self._as_views and not self._moves and self.dataset.has_views:
            n_samples, size = len(self.dataset), self.batch_sampler.batch_size
            for start in range(0, n_samples, size):
                yield self.dataset.view(start, min(start + size, n_samples))
            return
        n_rows = max(1, BLOCK_BYTES // max(1, row_bytes(self.dataset)))
        if self._moves and self._becomes_resident(n_rows):
            yield from self._resident.batches(list(self.batch_sampler), n_rows)
            return
        block, size = [], 0
        for indices in self.batch_sampler:
            if block and size + len(indices) > n_rows:
                yield from self._batches(block, followed=True)
                block, size = [], 0
            block.append(indices)
            size += len(indices)
        if block:
            yield from self._batches(block)

    def _batches(self, block, followed=False):
        """Gather the samples of some batches at once; yield the batches."""
        inputs, target = self.dataset.__getitems__(np.concatenate(block))
        ends = np.cumsum([len(indices) for indices in block]).tolist()
        if self._moves:
            yield from move_block(inputs, target, ends, self._device)
            return
        if len(ends) == 1:
            yield inputs, target
            return
        cut = Cutter(inputs)
        for start, stop in zip([0, *ends], ends):
            batch = cut(start, stop)
            if followed and stop == ends[-1]:
                # A slice would keep the block in memory while the next is gathered.
                batch.update({n: each_part(torch.clone, x) for n, x in batch.items()})
            yield batch, target[start:stop]

    def _becomes_resident(self, n_rows):
        """Copy the samples to the device if they are to stay there; say whether they do."""
        if self._resident is None:
            stays = self._stays
            if stays is None:
                stays = self._is_second or not self.is_in_order
                size = row_bytes(self.dataset)
                stays = stays and ResidentSamples.fit_on(self._device, self.dataset, size)
            if stays:
                self._resident = ResidentSamples(self.dataset, self._device, n_rows)
            self._is_second = True
        return self._resident is not None

    def in_batches_of(self, n_samples, as_views=False):
        """The same samples in order, in batches of another size.

        Parameters
        ----------
        n_samples : int
        as_views : bool, default=False
            Whether batches may share memory with the data, where they can.

        Returns
        -------
        BlockLoader
        """
        sampler = JoinedBatchSampler(len(self.dataset), n_samples)
        loader = BlockLoader(
            self.dataset,
            batch_sampler=sampler,
            collate_fn=self.collate_fn,
            generator=self.generator,
            device=self._device,
        )
        loader._as_views = as_views
        return loader

    @property
    def is_in_order(self):
        return isinstance(getattr(self.batch_sampler, "sampler", None), SequentialSampler)


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
