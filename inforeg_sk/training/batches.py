"""From checked arrays to batches: whole-batch indexing, no work for a single sample."""

import numpy as np
import torch
from skorch.dataset import Dataset
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

__all__ = ["Batch", "JoinedBatchSampler", "ModalityDataset", "identity"]


class Batch(dict):
    """The modalities of a batch as tensors, and the weights of its samples.

    Attributes
    ----------
    weight : Tensor of shape (n_samples,) or None
    """

    weight = None

    def to(self, device):
        """The batch on a device."""
        moved = Batch({name: x.to(device, non_blocking=True) for name, x in self.items()})
        moved.weight = None if self.weight is None else self.weight.to(device)
        return moved


class ModalityDataset(Dataset):
    """Samples of several modalities, with encoded labels and weights.

    Parameters
    ----------
    X : dict of str to ndarray of shape (n_samples, ...)
        Checked arrays of one floating type; they stay in numpy (perhaps memory-mapped) until a
        batch is cut.
    y : ndarray of int of shape (n_samples,), default=None
        Encoded labels.
    weight : ndarray of shape (n_samples,), default=None
        Sample weights.
    """

    # A skorch dataset, so that its callbacks find X and y; its own constructor looks for ways to
    # index a sample, which we never do.
    def __init__(self, X, y=None, weight=None):
        self.X = X
        self.y = y
        self.weight = weight

    def __len__(self):
        return len(next(iter(self.X.values())))

    def __getitems__(self, indices):
        rows = np.asarray(indices)
        batch = Batch({name: torch.from_numpy(array[rows]) for name, array in self.X.items()})
        if self.weight is not None:
            batch.weight = torch.from_numpy(self.weight[rows])
        # skorch unpacks a batch into inputs and target; without a target it gets a zero.
        target = np.zeros(len(rows), int) if self.y is None else self.y[rows]
        return batch, torch.from_numpy(target)

    def __getitem__(self, index):
        return self.__getitems__([index])


class JoinedBatchSampler(BatchSampler):
    """Batches of indices, where a last batch of one sample joins the one before.

    Batch normalisation has no variance to offer for a single sample, and leaving the sample out
    would be a silent loss.

    Parameters
    ----------
    n_samples : int
    batch_size : int
    generator : torch.Generator, default=None
        Shuffles with it; None keeps the order.
    drop_last : bool, default=False
        Leave out a last batch that is not full.
    join : bool, default=False
        Whether to join at all.
    """

    def __init__(self, n_samples, batch_size, generator=None, drop_last=False, join=False):
        order = range(n_samples)
        if generator is None:
            sampler = SequentialSampler(order)
        else:
            sampler = RandomSampler(order, generator=generator)
        super().__init__(sampler, batch_size, drop_last)
        self.joined = join and not drop_last and batch_size > 1 and n_samples % batch_size == 1
        self.joined = self.joined and n_samples > batch_size

    def __iter__(self):
        if not self.joined:
            yield from super().__iter__()
            return
        waiting = None
        for indices in super().__iter__():
            if waiting is not None:
                if len(indices) == 1:
                    indices = waiting + indices
                else:
                    yield waiting
            waiting = indices
        yield waiting

    def __len__(self):
        return super().__len__() - self.joined


def identity(batch):
    """Collate function of batches that are cut whole (a lambda could not go to workers)."""
    return batch
