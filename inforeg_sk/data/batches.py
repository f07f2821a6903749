"""From checked arrays to batches: whole-batch indexing, no work for a single sample."""

from itertools import islice

import numpy as np
import torch
from scipy import sparse
from skorch.dataset import Dataset
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

from ..utils.compat import safe_indexing
from .checks import as_selectable
from .presence import Presence

__all__ = [
    "Batch",
    "JoinedBatchSampler",
    "ModalityDataset",
    "ModalitySubset",
    "collate_whole_batch",
    "sample_modality_dropout",
]


class Batch(dict):
    """The modalities of a batch as tensors, and the weights of its samples.

    The tensor of a modality (or dict of tensors, if it is made of several arrays) holds the
    samples that have the modality, and may be left out if none has.

    Parameters
    ----------
    tensors : dict of str to Tensor
    presence : Presence, default=None
        None: all samples have all modalities.
    weight : Tensor of shape (n_samples,), default=None
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), default=None
        The target as the user gave it, for callbacks.

    Attributes
    ----------
    n_samples : int
    presence : Presence
    weight : Tensor of shape (n_samples,) or None
    y : ndarray or None
        None also in what `to`, `zeroed`, `drop` and `keep` return.
    moved : Batch or None
        Of a batch whose values are on another device already: the same with its presence and
        weights there, too. Here they are on the CPU, so that looking at them waits for nothing.
    """

    moved = None

    # Accelerate makes a mapping anew from its items alone.
    def __init__(self, tensors, presence=None, weight=None, y=None):
        super().__init__(tensors)
        if presence is None:
            first = next(iter(self.values()))
            presence = Presence(
                len(next(iter(first.values())) if isinstance(first, dict) else first)
            )
        self.n_samples = presence.n_samples
        self.presence = presence
        self.weight = weight
        self.y = y

    def to(self, device):
        """The batch on a device; itself, or `moved`, if that is there already."""
        for batch in (self, self.moved):
            if batch is not None and all(is_on(t, device) for t in batch._tensors()):
                return batch
        # What comes to the CPU without waiting may be read before it is there.
        soon = device.type != "cpu"
        return Batch(
            {
                name: each_part(lambda t: t.to(device, non_blocking=soon), x)
                for name, x in self.items()
            },
            self.presence.to(device) if self.presence.masks else self.presence,
            None if self.weight is None else self.weight.to(device),
        )

    def _tensors(self):
        """One tensor of each kind: values, presence and weights."""
        for tensors in (self, self.presence.masks):
            for first in islice(tensors.values(), 1):
                yield next(iter(first.values())) if isinstance(first, dict) else first
        if self.weight is not None:
            yield self.weight

    def weight_on(self, device):
        """Weights of the samples on a device (Tensor of shape (n_samples,)), or None."""
        batch = self if self.moved is None else self.moved
        return None if batch.weight is None else batch.weight.to(device)

    def zeroed(self, names):
        """The batch with the values of some modalities set to zero."""
        tensors = {
            name: each_part(torch.zeros_like, x) if name in names else x for name, x in self.items()
        }
        return Batch(tensors, self.presence, self.weight)

    def drop(self, rates, generator):
        """The batch with modalities of samples left out at random, never all of a sample's.

        Parameters
        ----------
        rates : dict of str to float
            Probability of each modality, in [0, 1); 0 for one that is left out.
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        Batch
        """
        rates = {**rates, **{name: 0.0 for name in self if name not in rates}}
        return self.keep(sample_modality_dropout(self, rates, generator))

    def keep(self, kept):
        """The batch without some samples of some modalities.

        Parameters
        ----------
        kept : dict of str to Tensor of bool of shape (n_samples,)
            Where it is false, or the sample lacks the modality already, it is left out.

        Returns
        -------
        Batch
        """
        tensors, masks = dict(self), {}
        for name, mask in kept.items():
            if name not in self or mask.numpy().all():
                continue
            mask = mask & self.presence.mask(name)
            chosen = mask[self.presence.rows(name)] if name in self.presence.masks else mask
            rows = chosen.nonzero()[:, 0]
            # Sent by itself: indexing with rows of the CPU would wait for another device.
            tensors[name] = each_part(
                lambda t, rows=rows: t[rows.to(t.device, non_blocking=True)], self[name]
            )
            masks[name] = mask
        return Batch(tensors, self.presence.replace(masks), self.weight)


def sample_modality_dropout(batch, rates, generator):
    """Draw which modalities of a batch's samples are kept (modality dropout).

    Each modality of a sample is dropped with its probability, independently; if that would leave
    the sample none, one that it has, any with the same probability, stays.

    Parameters
    ----------
    batch : Batch
    rates : dict of str to float
        Probability of each modality, in [0, 1).
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    dict of str to Tensor of bool of shape (n_samples,)
    """
    rate = torch.tensor(list(rates.values()), dtype=torch.float64)
    present = batch.presence.matrix(rates)
    drawn = torch.rand(present.shape, generator=generator, dtype=torch.float64)
    kept = present & (drawn >= rate)
    # Where all would go, each draw is uniform below its rate: as a share of that, the largest is
    # any of them with the same probability.
    last = torch.where(present, drawn / rate, -1).argmax(dim=1)
    empty = (~kept.any(dim=1)).nonzero()[:, 0]
    kept[empty, last[empty]] = True
    return dict(zip(rates, kept.unbind(dim=1), strict=True))


def _cut(value, rows):
    return each_part(lambda array: torch.from_numpy(_dense(array[rows])), value)


def _dense(array):
    return array.toarray() if sparse.issparse(array) else array


def is_on(tensor, device):
    """Whether a tensor is on a device; one without a number, such as "cuda", stands for any."""
    here = tensor.device
    return here.type == device.type and device.index in (None, here.index)


def each_part(function, value):
    """Apply a function to an array, or to each of the arrays that a modality is made of."""
    if isinstance(value, dict):
        return {part: function(array) for part, array in value.items()}
    return function(value)


class ModalityDataset(Dataset):
    """Samples of several modalities, with encoded targets and weights.

    Parameters
    ----------
    X : CheckedModalities
        Checked arrays of one floating type; they stay in numpy (perhaps memory-mapped, or sparse)
        until a batch is cut.
    target : ndarray of shape (n_samples,) or (n_samples, n_outputs), default=None
        Encoded target.
    weight : ndarray of shape (n_samples,), default=None
        Sample weights.
    given : tuple of X and y, default=None
        The same samples as the user gave them. None: `X` and `target` are all there is.

    Attributes
    ----------
    X : ModalityDict, 2-D array or DataFrame
        The samples as the user gave them; a skorch dataset has this attribute and the next, and
        callbacks score by them.
    y : ndarray or None
        The target in the user's labels and units.
    made_for : object
        What the fitted estimator remembers of its data; None: made by hand.
    """

    made_for = None

    # A skorch dataset, so that its callbacks find X and y; its own constructor looks for ways to
    # index a sample, which we never do.
    def __init__(self, X, target=None, weight=None, given=None):
        self.arrays = X.arrays
        self.presence = X.presence
        self.target = target
        self.weight = weight
        self._X, self.y = (X.arrays, target) if given is None else given

    @property
    def X(self):
        self._X = as_selectable(self._X)
        return self._X

    def __len__(self):
        return self.presence.n_samples

    def __getitems__(self, indices):
        rows = np.asarray(indices)
        complete = not self.presence.masks
        presence = Presence(len(rows)) if complete else self.presence.take(rows)
        tensors = {
            name: _cut(value, rows[presence.rows(name).numpy()] if name in presence.masks else rows)
            for name, value in self.arrays.items()
        }
        weight = None if self.weight is None else torch.from_numpy(self.weight[rows])
        # skorch unpacks a batch into inputs and target; without a target it gets a zero.
        target = np.zeros(len(rows), int) if self.target is None else self.target[rows]
        y = None if self.y is None else self.y[rows]
        return Batch(tensors, presence, weight, y), torch.from_numpy(target)

    def __getitem__(self, index):
        return self.__getitems__([index])

    @property
    def has_views(self):
        """Whether `view` can be taken: of complete dense arrays that may be written to."""
        return not self.presence.masks and all(
            isinstance(value, np.ndarray) and value.flags.writeable
            for value in self.arrays.values()
        )

    def view(self, start, stop):
        """A batch of samples in a row, and their target, that share memory with the data."""
        tensors = {n: torch.from_numpy(value[start:stop]) for n, value in self.arrays.items()}
        n_samples = stop - start
        weight = None if self.weight is None else torch.from_numpy(self.weight[start:stop])
        target = np.zeros(n_samples, int) if self.target is None else self.target[start:stop]
        y = None if self.y is None else self.y[start:stop]
        return Batch(tensors, Presence(n_samples), weight, y), torch.from_numpy(target)


class ModalitySubset(Dataset):
    """Some samples of a `ModalityDataset`.

    In place of torch's ``Subset``, whose rows skorch would cut modality by modality.

    Parameters
    ----------
    dataset : ModalityDataset
    indices : array-like of int of shape (n_samples,)

    Attributes
    ----------
    X, y, target, weight :
        As of `ModalityDataset`.
    """

    has_views = False

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=int)

    @property
    def X(self):
        return safe_indexing(self.dataset.X, self.indices)

    @property
    def y(self):
        return self._rows(self.dataset.y)

    @property
    def target(self):
        return self._rows(self.dataset.target)

    @property
    def weight(self):
        return self._rows(self.dataset.weight)

    @property
    def presence(self):
        """Which of these samples have which modality."""
        return self.dataset.presence.take(self.indices)

    @property
    def made_for(self):
        return self.dataset.made_for

    def _rows(self, value):
        return None if value is None else value[self.indices]

    def __len__(self):
        return len(self.indices)

    def __getitems__(self, indices):
        return self.dataset.__getitems__(self.indices[np.asarray(indices)])

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


def collate_whole_batch(batch):
    """Return a batch that was cut whole as it is (a lambda could not go to workers)."""
    return batch
