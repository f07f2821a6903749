"""Records of a training run: quantities by name and label, moved off the device once an epoch."""

from collections.abc import Iterable, Mapping
from math import isnan, nan

import numpy as np
import torch
from torch import Tensor

__all__ = ["BatchRecords", "CurveKeys", "EpochRecords"]

# Entries of the history that skorch or the loop make, and that no quantity may overwrite.
_RESERVED = (
    "batches",
    "dur",
    "epoch",
    "train_batch_count",
    "train_batch_size",
    "train_loss",
    "train_objective",
    "valid_acc",
    "valid_batch_count",
    "valid_batch_size",
    "valid_loss",
)


class CurveKeys:
    """Which key of the history holds which quantity of which label.

    Keys are ``<quantity>_<label>``, or ``<quantity>`` for a scalar. Two quantities that would
    share a key are refused instead of overwriting each other.

    Parameters
    ----------
    modalities : tuple of str
        In sorted order; they come first in every curve.
    """

    def __init__(self, modalities):
        self.modalities = tuple(modalities)
        self._owners = {}  # key -> (quantity, label); the label of a scalar is None
        self._claimed = set()  # (quantity, labels) that are known to be fine

    @property
    def labelled(self):
        """Keys of the history that belong to a label (set of str)."""
        return {key for key, (_, label) in self._owners.items() if label is not None}

    def claim(self, quantity, labels):
        """Make sure that a quantity has keys of its own.

        Parameters
        ----------
        quantity : str
        labels : tuple of str, or None for a scalar

        Raises
        ------
        ValueError
            If a key belongs to another quantity or to the loop, or the quantity had labels so far
            and has none now (or the other way round). Then nothing is claimed.
        """
        if (quantity, labels) in self._claimed:
            return
        wanted = {self.key(quantity, label): (quantity, label) for label in labels or (None,)}
        for key, (_, label) in wanted.items():
            self._check_free(key, quantity, label)
        self._owners.update(wanted)
        self._claimed.add((quantity, labels))

    @staticmethod
    def key(quantity, label=None):
        """The history's key of a quantity."""
        return quantity if label is None else f"{quantity}_{label}"

    def _check_free(self, key, quantity, label):
        owner = self._owners.get(key)
        if owner == (quantity, label):
            return
        if owner is not None or key.removesuffix("_best") in _RESERVED or key.startswith("event_"):
            whose = f"{owner[0]!r} of {owner[1]!r}" if owner else "the training loop"
            raise ValueError(
                f"The quantity {quantity!r}{'' if label is None else f' of {label!r}'} would be "
                f"{key!r} in the history, which belongs to {whose}: give it another name."
            )
        for other, known in self._owners.values():
            if other == quantity and (known is None) != (label is None):
                raise ValueError(
                    f"The quantity {quantity!r} is recorded with labels and without: give one of "
                    "them another name."
                )

    def curves(self, history):
        """Return all curves of a history: quantity -> label -> values, or values of a scalar.

        Epochs that did not record a value hold NaN.
        """
        result = {}
        for key, (quantity, label) in self._owners.items():
            found = [epoch.get(key) for epoch in history]
            if all(value is None for value in found):  # an interrupted epoch was dropped
                continue
            flags = all(isinstance(value, bool) for value in found)
            values = found if flags else [nan if value is None else value for value in found]
            array = np.array(values, dtype=bool if flags else float)
            if label is None:
                result[quantity] = array
            else:
                result.setdefault(quantity, {})[label] = array
        return {q: self._ordered(c) if isinstance(c, dict) else c for q, c in result.items()}

    def _ordered(self, curve):
        first = [m for m in self.modalities if m in curve]
        return {label: curve[label] for label in (*first, *curve)}


def by_label(quantity, values, labels, modalities):
    """Return the labels and the values of something recorded, or raise.

    Parameters
    ----------
    quantity : str
        Its name.
    values : number, Tensor, array-like, or mapping from label to number or Tensor of shape ()
    labels : sequence of str or None
        What the values belong to, in their order. None: the modalities, unless `values` is a
        mapping or a single number.
    modalities : tuple of str
        In sorted order.

    Returns
    -------
    labels : tuple of str, or None for a scalar
    values : Tensor or ndarray of one axis, or list of numbers and Tensors of shape (), by label; or
        a single number, Tensor or ndarray of shape ()

    Raises
    ------
    TypeError, ValueError
        Naming the quantity, the shape, and what is accepted.
    """
    if not isinstance(quantity, str) or not quantity:
        raise TypeError(f"record({quantity!r}): the name of a quantity must be a non-empty string.")
    if isinstance(values, Mapping):
        if labels is not None:
            raise ValueError(f"record({quantity!r}): a mapping has its labels; leave labels=None.")
        labels, values = tuple(values), list(values.values())
    if isinstance(values, list | tuple):
        values = [_numbers(quantity, value) for value in values]
        for i, value in enumerate(values):
            if shape := tuple(value.shape):
                label = repr(labels[i]) if labels is not None and i < len(labels) else f"no. {i}"
                raise ValueError(
                    f"record({quantity!r}): the value of {label} must be a single number; got "
                    f"shape {shape}."
                )
        shape = (len(values),)
    else:
        values = _numbers(quantity, values)
        shape = tuple(values.shape)
        if shape == () and labels is None:
            return None, values
    if labels is None:
        if shape != (len(modalities),):
            raise ValueError(
                f"record({quantity!r}): values of shape {shape} do not match the "
                f"{len(modalities)} modalities {', '.join(map(repr, modalities))}. Give "
                "labels=[...] or a mapping from label to value; a scalar has shape ()."
            )
        return tuple(modalities), values
    if isinstance(labels, str):
        labels = (labels,)
    if not isinstance(labels, Iterable):
        raise TypeError(f"record({quantity!r}): labels must be a list of strings; got {labels!r}.")
    labels = tuple(labels)
    if not labels or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"record({quantity!r}): labels must be strings; got {labels!r}.")
    if len(set(labels)) < len(labels):
        raise ValueError(f"record({quantity!r}): a label occurs twice in {labels!r}.")
    if shape != (len(labels),):
        raise ValueError(
            f"record({quantity!r}): values of shape {shape} do not match the {len(labels)} "
            f"labels {', '.join(map(repr, labels))}."
        )
    return labels, values


def _numbers(quantity, value):
    """Return a Tensor as it is, anything else as an array of numbers, or raise."""
    if isinstance(value, Tensor):
        return value.detach()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"record({quantity!r}): values must be numbers ({error}).") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"record({quantity!r}): values must be numbers; got {value!r}.")
    return array


class BatchRecords:
    """What one batch records; stays on the device.

    Parameters
    ----------
    keys : CurveKeys
    logits : Tensor
        Their device is that of the values.
    """

    def __init__(self, keys, logits):
        self._keys = keys
        self._device = logits.device
        # Under autocast the logits are of a shorter type than numbers deserve.
        self._dtype = torch.promote_types(logits.dtype, torch.float32)
        self.values = {}  # (quantity, labels) -> Tensor of shape (n_labels,), (1,) for a scalar

    def record(self, quantity, values, labels=None):
        """Keep a quantity of this batch; see `BatchContext.record`."""
        labels, values = by_label(quantity, values, labels, self._keys.modalities)
        self._keys.claim(quantity, labels)
        for name, others in self.values:
            twice = set(labels or (None,)) & set(others or (None,))
            if name == quantity and twice:
                raise ValueError(
                    f"record({quantity!r}): recorded twice in a batch for "
                    f"{', '.join(map(repr, sorted(twice, key=str)))}. The base class or a monitor "
                    "may record it already: choose another name."
                )
        if isinstance(values, list):
            values = torch.stack([self._tensor(value) for value in values])
        else:
            # A copy: what the method does to its tensor afterwards is not recorded.
            values = self._tensor(values).clone()
        self.values[quantity, labels] = values.reshape(-1)

    def _tensor(self, value):
        if isinstance(value, np.ndarray):
            if value.ndim == 0:  # filled on the device: no copy from the host
                return torch.full((), float(value), dtype=self._dtype, device=self._device)
            value = torch.from_numpy(value).to(self._dtype)
        value = value.to(self._device, non_blocking=True)
        return value if value.is_floating_point() else value.to(self._dtype)


class EpochRecords:
    """What the batches of an epoch recorded, until it is moved off the device in one copy."""

    def __init__(self):
        self._rows = []  # a Tensor of all values of a batch
        self._quantities = []  # the (quantity, labels) of these values, batch by batch
        self.sizes = []

    def add(self, losses, records, n_samples):
        """Keep a batch: its joint loss and whole loss (Tensors of shape ()), and its records."""
        losses = torch.stack([loss.detach() for loss in losses])
        self._rows.append(torch.cat([losses, *records.values.values()]))
        self._quantities.append(tuple(records.values))
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
