"""Records of an epoch: what its batches recorded, moved off the device in one copy."""

from math import isnan, nan

import torch

__all__ = ["BatchRow", "EpochRecords", "epoch_value", "epoch_values"]


class BatchRow(dict):
    """A batch's row of the history while its epoch runs: a loss leaves the device when it is read.

    At the end of the epoch a plain dict of floats takes its place.
    """

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if isinstance(value, torch.Tensor):
            value = self[key] = value.item()
        return value

    def get(self, key, default=None):
        return self[key] if key in self else default

    def items(self):
        return [(key, self[key]) for key in self]

    def values(self):
        return [self[key] for key in self]

    def __reduce__(self):
        return dict, (self.items(),)


class EpochRecords:
    """What the batches of an epoch recorded, until it is moved off the device in one copy."""

    def __init__(self):
        self._rows = []  # a Tensor of all values of a batch
        self._quantities = []  # the (quantity, labels) of these values, batch by batch
        self.sizes = []

    def add(self, batch, loss, n_samples):
        """Keep the joint loss of a batch, its whole loss, and what it recorded."""
        losses = torch.stack([batch.joint_loss.detach(), loss.detach()])
        self._rows.append(torch.cat([losses, *batch.recorded.values()]))
        self._quantities.append(tuple(batch.recorded))
        self.sizes.append(n_samples)

    def resolve(self):
        """Move everything to the host, once.

        Returns
        -------
        losses : list of list of float
            Joint loss and whole loss of each batch.
        values : dict of (str, str or None) to list of float
            Values of each quantity and label, of the batches that recorded it.
        """
        flat = torch.cat(self._rows).tolist()
        losses, values, start = [], {}, 0
        for row, quantities in zip(self._rows, self._quantities, strict=True):
            entries = flat[start : start + len(row)]
            start += len(row)
            losses.append(entries[:2])
            columns = [(q, label) for q, labels in quantities for label in labels or (None,)]
            for column, value in zip(columns, entries[2:], strict=True):
                values.setdefault(column, []).append(value)
        return losses, values


def epoch_values(values, reductions):
    """Values of an epoch from those of its batches.

    Parameters
    ----------
    values : dict of (str, str or None) to list of float
        Of each quantity and label; no list is empty.
    reductions : dict of str to {"mean", "sum"}
        Of quantities; "mean" for one that is left out.

    Returns
    -------
    dict of (str, str or None) to float
    """
    return {
        column: epoch_value(found, reductions.get(column[0], "mean"))
        for column, found in values.items()
    }


def epoch_value(values, reduction):
    """Value of an epoch from those of its batches; NaN is left out, where a batch could not tell.

    Parameters
    ----------
    values : list of float
        Not empty.
    reduction : {"mean", "sum"}

    Returns
    -------
    float
    """
    known = [value for value in values if not isnan(value)] or [nan]
    mean = sum(known) / len(known)
    return mean * len(values) if reduction == "sum" else mean
