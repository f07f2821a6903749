"""Records of an epoch: what its batches recorded, moved off the device in one copy."""

from math import isnan, nan

import torch

__all__ = ["EpochRecords", "epoch_value", "epoch_values"]


class EpochRecords:
    """What the batches of an epoch recorded, until it is moved off the device in one copy."""

    def __init__(self):
        self._values = []  # Tensors, batch by batch
        self._numbers = {}  # lists of numbers that are on the host, by quantity and labels
        self._joined = []  # one Tensor for many batches
        self._quantities = []  # the (quantity, labels) of these values, batch by batch
        self.sizes = []

    def add(self, batch, loss, n_samples):
        """Keep the joint loss of a batch, its whole loss, and what it recorded."""
        joint = batch.joint_loss
        if loss.requires_grad:
            joint, loss = joint.detach(), loss.detach()
        self._values += [joint, loss]
        quantities = []
        for key, value in batch.recorded.items():
            if isinstance(value, list):
                self._numbers.setdefault(key, []).append(value)
            else:
                self._values.append(value)
                quantities.append(key)
        self._quantities.append(tuple(quantities))
        self.sizes.append(n_samples)
        if len(self._values) > _JOINED:
            self._join()

    def _join(self):
        if self._values:
            self._joined.append(torch.cat([value.reshape(-1) for value in self._values]))
            self._values = []

    def resolve(self):
        """Move everything to the host, once.

        Returns
        -------
        losses : list of tuple of float
            Joint loss and whole loss of each batch.
        values : dict of (str, str or None) to list of float
            Values of each quantity and label, of the batches that recorded it.
        """
        self._join()
        flat = torch.cat(self._joined).tolist()
        losses, values, start = [], {}, 0
        if len(set(self._quantities)) == 1:  # the usual case, column by column
            columns = _columns(self._quantities[0])
            width = 2 + len(columns)
            losses = list(zip(flat[::width], flat[1::width], strict=True))
            values = {c: flat[i::width] for i, c in enumerate(columns, start=2)}
        else:
            for quantities in self._quantities:
                columns = _columns(quantities)
                losses.append(tuple(flat[start : start + 2]))
                for i, column in enumerate(columns, start=start + 2):
                    values.setdefault(column, []).append(flat[i])
                start += 2 + len(columns)
        for key, rows in self._numbers.items():
            for column, found in zip(_columns([key]), zip(*rows, strict=True), strict=True):
                values.setdefault(column, []).extend(found)
        return losses, values


# Tensors that are kept apart at most.
_JOINED = 4096


def _columns(quantities):
    return [(quantity, label) for quantity, labels in quantities for label in labels or (None,)]


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
