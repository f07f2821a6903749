"""What methods record: quantities by name and label."""

from collections.abc import Iterable, Mapping
from math import nan
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["BatchRecorder", "CurveKeys", "EpochRecorder", "by_label"]

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
        In sorted order, as values without labels are.
    shown : tuple of str, default=None
        The modalities in the order of the user's data, as curves have them; None: sorted.
    """

    def __init__(self, modalities, shown=None):
        self.modalities = tuple(modalities)
        self._shown = self.modalities if shown is None else tuple(shown)
        self._owners = {}  # key -> (quantity, label); the label of a scalar is None
        self._claimed = set()  # (quantity, labels) that are known to be fine
        self._printed = set()  # quantities whose labels have columns in the printed log

    @property
    def labelled(self):
        """Keys of the history that belong to a label (set of str)."""
        return {key for key, (_, label) in self._owners.items() if label is not None}

    @property
    def not_printed(self):
        """Those of them that have no column in the printed log (set of str)."""
        return {key for key in self.labelled if self._owners[key][0] not in self._printed}

    def print_labels(self, quantity):
        """Have a column printed for each label of a quantity."""
        self._printed.add(quantity)

    @property
    def columns(self):
        """What was recorded (list of pairs of quantity and label; None: a scalar)."""
        return list(self._owners.values())

    def is_known(self, quantity, label):
        """Whether a quantity was recorded with a label."""
        return self._owners.get(self.key(quantity, label)) == (quantity, label)

    def is_claimed(self, quantity, labels):
        """Whether `claim` has found a quantity of these labels to be fine."""
        return (quantity, labels) in self._claimed

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

    def entries(self, values):
        """Values by quantity and label as entries of the history (dict)."""
        return {self.key(*column): value for column, value in values.items()}

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

        Epochs that did not record a value hold NaN, or False where the others hold flags.
        """
        result: dict[str, Any] = {}
        for key, (quantity, label) in self._owners.items():
            found = [epoch.get(key) for epoch in history]
            known = [value for value in found if value is not None]
            if not known:  # an interrupted epoch was dropped
                continue
            flag = all(isinstance(value, bool) for value in known)
            fill = False if flag else nan
            values = [fill if value is None else value for value in found]
            array = np.array(values, dtype=bool if flag else float)
            if label is None:
                result[quantity] = array
            else:
                result.setdefault(quantity, {})[label] = array
        return {q: self._ordered(c) if isinstance(c, dict) else c for q, c in result.items()}

    def _ordered(self, curve):
        first = [m for m in self._shown if m in curve]
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


_FLOATS = (torch.float32, torch.float64)


class BatchRecorder:
    """What records the quantities of a batch; they stay on the device.

    Parameters
    ----------
    keys : CurveKeys
    logits : Tensor
        Their device is that of the values.

    Attributes
    ----------
    recorded : dict of (str, tuple of str or None) to Tensor of shape (n_labels,) or list of float
        By quantity and labels; of a scalar the labels are None, and the shape is (1,). A list is of
        numbers that were on the host.
    """

    def __init__(self, keys, logits):
        self._keys = keys
        self._device = logits.device
        # Under autocast the logits are of a shorter type than numbers deserve.
        self._dtype = torch.promote_types(logits.dtype, torch.float32)
        self.recorded = {}

    def record(self, quantity, values, labels=None):
        """Keep a quantity of this batch for the history and `curves_`.

        Parameters
        ----------
        quantity : str
            The history has it as ``<quantity>_<label>``, or ``<quantity>`` if it is a scalar.
        values : number, Tensor, array-like, or dict from label to number or Tensor of shape ()
            A Tensor stays on its device until the end of the epoch, when all values move at once.
        labels : sequence of str, default=None
            What the values belong to, in their order: modalities, or names of the method's own,
            such as "joint". None: all modalities in sorted order (or a dict's keys, or a scalar).

        Raises
        ------
        TypeError, ValueError
            If the shape does not match the labels, the name is taken, or it was recorded for this
            batch before.
        """
        modalities = self._keys.modalities
        if labels is None and self._is_usual(quantity, values):
            # What was found right in an earlier batch, at little cost.
            if isinstance(values, list):
                self.recorded[quantity, modalities] = list(values)
            else:
                self.recorded[quantity, modalities] = values.detach().clone()
            return
        labels, values = by_label(quantity, values, labels, modalities)
        self._keys.claim(quantity, labels)
        for name, others in self.recorded:
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
        self.recorded[quantity, labels] = values.reshape(-1)

    def _is_usual(self, quantity, values):
        modalities = self._keys.modalities
        if isinstance(values, list):
            usual = len(values) == len(modalities) and all(type(v) is float for v in values)
        elif isinstance(values, Tensor):
            usual = values.shape == (len(modalities),) and values.dtype in _FLOATS
            usual = usual and values.device == self._device
        else:
            return False
        if not usual or not isinstance(quantity, str):
            return False
        if not self._keys.is_claimed(quantity, modalities):
            return False
        for name, _ in self.recorded:
            if name == quantity:
                return False
        return True

    def _tensor(self, value):
        if isinstance(value, np.ndarray):
            if value.ndim == 0:  # filled on the device: no copy from the host
                return torch.full((), float(value), dtype=self._dtype, device=self._device)
            value = torch.from_numpy(value).to(self._dtype)
        if value.device != self._device:
            value = value.to(self._device, non_blocking=True)
        return value if value.is_floating_point() else value.to(self._dtype)


class EpochRecorder:
    """What records the quantities of an epoch in the history, and reads those of earlier ones.

    Parameters
    ----------
    history : skorch.history.History
    keys : CurveKeys
    declared : collection of str, default=()
        Quantities that may be asked for before they are recorded.
    """

    def __init__(self, history, keys, declared=()):
        self._history = history
        self._keys = keys
        self._declared = declared

    def record(self, quantity, values, labels=None):
        """Keep a quantity of this epoch; see `BatchContext.record`.

        What batches of the epoch record of the same quantity replaces this value.
        """
        labels, values = by_label(quantity, values, labels, self._keys.modalities)
        self._keys.claim(quantity, labels)
        if isinstance(values, list) and all(isinstance(v, torch.Tensor) for v in values):
            if len({(v.device, v.dtype) for v in values}) == 1:
                values = torch.stack(values)  # so that the host waits once
        if isinstance(values, list):
            values = [value.item() for value in values]
        else:
            values = values.tolist()
        for label, value in zip(labels or (None,), [values] if labels is None else values):
            self._history.record(self._keys.key(quantity, label), value)

    def past(self, quantity, n_epochs=None, labels=None):
        """Values of a quantity in earlier epochs.

        Parameters
        ----------
        quantity : str
            Such as ``"fisher_trace"``.
        n_epochs : int, default=None
            The last so many at most; None takes all.
        labels : sequence of str, default=None
            The labels it was recorded with; None: the modalities in sorted order. An empty one: it
            is a scalar.

        Returns
        -------
        Tensor of float64 of shape (n_earlier_epochs, n_labels), or (n_earlier_epochs,) of a scalar
            On the CPU, oldest first; NaN where an epoch did not record it.

        Raises
        ------
        KeyError
            If nothing of that name and label was ever recorded, and the method and its monitors
            do not declare it.
        """
        labels = self._keys.modalities if labels is None else tuple(labels)
        for label in labels or (None,):
            if quantity not in self._declared and not self._keys.is_known(quantity, label):
                raise KeyError(
                    f"past({quantity!r}): nothing of that name was recorded"
                    + ("." if label is None else f" for {label!r}.")
                )
        n_past = len(self._history) - 1
        first = 0 if n_epochs is None else max(0, n_past - n_epochs)
        rows = [
            [self._history[t].get(self._keys.key(quantity, m), nan) for m in labels or (None,)]
            for t in range(first, n_past)
        ]
        values = torch.tensor(rows, dtype=torch.float64)
        return values.reshape(-1, len(labels)) if labels else values.reshape(-1)
