"""Mistakes that X and y show together: y inside X, the two swapped, modalities without names."""

from collections.abc import Mapping
from math import prod
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..utils.callers import warn_caller
from .container import is_mapping
from .target import as_labels, as_numbers

__all__ = ["refuse_swapped", "refuse_target", "refuse_unnamed", "warn_of_target"]

# Columns are compared on so many rows first: nearly all of them differ there already.
_FIRST_ROWS = 64
# A column that agrees by chance does not do so in as many samples as these.
_REPEATS = 8


def refuse_swapped(X, y):
    """Raise where y has the modalities and X the values of the samples.

    Parameters
    ----------
    X, y : as given to ``fit``

    Raises
    ------
    TypeError
    """
    if is_mapping(X) or y is None or len(_shape(X)) != 1:
        return
    if is_mapping(y) or (len(_shape(y)) > 1 and _shape(y)[0] == _shape(X)[0]):
        got = "mapping" if is_mapping(y) else f"table of shape {tuple(_shape(y))}"
        raise TypeError(
            f"X and y look swapped: X has one value per sample and y is a {got}. Give X, the "
            "modalities, before y, the target."
        )


def refuse_unnamed(X):
    """Raise where X is a list of the arrays of the modalities, which has no names.

    Parameters
    ----------
    X : as given to ``fit``

    Raises
    ------
    TypeError
    """
    if isinstance(X, list | tuple) and any(len(_shape(item)) > 1 for item in X):
        shown = ", ".join(f"'name_{i}': X[{i}]" for i in range(min(len(X), 2)))
        raise TypeError(
            f"X is a {type(X).__name__} of {len(X)} arrays, whose modalities have no names: give a "
            f"dict {{name: array}}, such as {{{shown}}}."
        )


def refuse_target(X, y, task):
    """Raise if a modality, or a column of one, equals the target.

    Parameters
    ----------
    X : ModalityDict, or dict of str to array-like
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    task : {"classification", "regression"}
        Classes are compared as a partition of the samples, whatever they are called.

    Raises
    ------
    ValueError
    """
    found = _find(X, y, task, columns=True)
    if found is not None:
        raise ValueError(found.message)


def warn_of_target(X, y, task):
    """Warn if a modality of one column equals the target, and raise if it cannot be meant.

    Parameters
    ----------
    X, y, task :
        As of `refuse_target`.

    Raises
    ------
    ValueError
        If the modality has one axis, which no network takes.

    Warns
    -----
    UserWarning
    """
    found = _find(X, y, task, columns=False)
    if found is None:
        return
    if found.flat:
        raise ValueError(found.message)
    warn_caller(found.message)


class _Found(NamedTuple):
    message: str
    flat: bool  # whether the modality has one axis


class _Classes:
    """A target of classes: a column equals it if it has one value of its own for each class."""

    def __init__(self, y):
        self._first, codes = np.unique(y, return_index=True, return_inverse=True)[1:]
        self._rows_of_class = self._first[codes]
        self._codes = codes

    @property
    def tells(self):
        n_classes = len(self._first)
        return n_classes > 1 and len(self._codes) - n_classes >= _REPEATS

    def like(self, take, rows):
        """Columns that may equal it, by some rows (ndarray of bool)."""
        a, b = take(self._first[:2])
        same = take(rows) == take(self._rows_of_class[rows])
        return np.logical_and.reduce(same) & (a != b)

    def equals(self, column):
        values = set(column[self._first].tolist())
        same = np.asarray(column == column[self._rows_of_class])
        return bool(same.all()) and len(values) == len(self._first)

    def in_one_hot_form(self, array):
        """Whether a table has one column for each class, with ones in its samples."""
        if array.ndim != 2 or array.shape[1] != len(self._first) or array.dtype.kind not in "biuf":
            return False
        ones = array == 1
        if not ((array == 0) | ones).all() or not (ones.sum(axis=1) == 1).all():
            return False
        return self.equals(ones.argmax(axis=1))


class _Numbers:
    """A target of numbers: one of its outputs."""

    def __init__(self, y):
        self._y = y

    @property
    def tells(self):
        return len(self._y) >= _REPEATS and bool((self._y != self._y[0]).any())

    def _as(self, dtype):
        return self._y.astype(dtype) if dtype.kind == "f" else self._y

    def like(self, take, rows):
        values = take(rows)
        return np.logical_and.reduce(values == self._as(values.dtype)[rows][:, None])

    def equals(self, column):
        return bool(np.asarray(column == self._as(column.dtype)).all())

    def in_one_hot_form(self, array):
        return False


def _find(X, y, task, columns):
    """The first modality that equals the target; with `columns`, or has a column that does."""
    targets = None
    for name, given in X.items():
        for part, value in (given if isinstance(given, Mapping) else {None: given}).items():
            n_columns = 0 if isinstance(value, Mapping) else prod(_shape(value)[1:])
            if n_columns != 1 and not (columns and n_columns):
                continue
            if targets is None:
                targets = [target for target in _targets(y, task) if target.tells]
            if not targets:
                return None
            found = _place(value, targets, _shape(y)[0])
            if found is None:
                continue
            what = f"Modality {name if part is None else f'{name}[{part}]'!r}"
            where = "" if n_columns == 1 or found == () else f", at {_named(value, found)},"
            message = (
                f"{what}{where} equals the target, which would give the answer away: take it out "
                "of X."
            )
            return _Found(message, part is None and len(_shape(value)) == 1)
    return None


def _place(value, targets, n_samples):
    """Where a modality equals one of the targets: the index of a column; () is all of it."""
    array = value if sparse.issparse(value) else np.asarray(value)
    if array.shape[0] != n_samples or not _is_comparable(array, targets):
        return None
    rows = np.unique(np.linspace(0, n_samples - 1, _FIRST_ROWS).astype(int))
    for target in targets:
        if not sparse.issparse(array) and target.in_one_hot_form(array):
            return ()
        likely = target.like(lambda chosen: _rows(array, chosen), rows)
        for j in np.flatnonzero(likely).tolist():
            index = tuple(int(i) for i in np.unravel_index(j, array.shape[1:]))
            if target.equals(_column(array, index)):
                return index
    return None


def _rows(array, chosen):
    part = array[chosen]
    part = part.toarray() if sparse.issparse(part) else part
    return part.reshape(len(chosen), -1)


def _column(array, index):
    if sparse.issparse(array):
        return array[:, [index[0]]].toarray()[:, 0]
    return array[(slice(None), *index)]


def _is_comparable(array, targets):
    """Whether values of an array may be compared with one another, and with numbers."""
    if array.dtype != object:
        return array.dtype.kind in "biuf" or isinstance(targets[0], _Classes)
    return all(isinstance(item, str | Number) for item in array.flat)


def _named(value, index):
    """A column in words."""
    if len(index) > 1:
        return f"the index {index} of each sample"
    label = getattr(value, "columns", None)
    return f"column {index[0]}" if label is None else f"the column {label[index[0]]!r}"


def _targets(y, task):
    try:
        if task == "classification":
            array = as_labels(y, "fit")
            array = array[:, 0] if array.shape[1:] == (1,) else array
            return [_Classes(array)] if array.ndim == 1 else []
        array = np.asarray(as_numbers(y, "fit"), dtype=np.float64)
    except (TypeError, ValueError):
        return []  # a bad y, which the check of the target names
    return [_Numbers(column) for column in array.reshape(len(array), -1).T]


def _shape(value: Any):
    """Shape of what has one; of a list of single values, its length; else ()."""
    if hasattr(value, "shape"):
        return tuple(value.shape)
    if isinstance(value, list | tuple):
        return (len(value), *(_shape(value[0]) if value else ()))
    return ()
