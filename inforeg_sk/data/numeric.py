"""What counts as a number: not dates, not cells that hold arrays, and not what a type merges."""

import datetime

import numpy as np

from ..utils.callers import warn_caller

__all__ = ["DATES", "refuse_dates", "refuse_other_columns", "warn_of_merged_values"]

#: Types of dates and time spans.
DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_ADVICE = (
    "give numbers that mean something to a model, such as days since a date, the hour or the "
    "weekday"
)
# A column that loses this share of its different values is reported.
_MERGED = 0.05
_LOOKED_AT = 1000


def refuse_other_columns(name, frame):
    """Raise if a column of a DataFrame holds dates, time spans, or arrays in its cells.

    Parameters
    ----------
    name : str
        The modality.
    frame : DataFrame of pandas or polars

    Raises
    ------
    ValueError
        Naming the modality and the column.
    """
    for i, (label, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True)):
        if _is_temporal(dtype):
            raise ValueError(
                f"Modality {name!r} is not numeric: its column {label!r} holds dates or time spans "
                f"({dtype}): {_ADVICE}."
            )
        if getattr(dtype, "kind", None) == "O" or str(dtype).startswith(("List", "Array", "Obj")):
            column = frame.iloc[:, i] if hasattr(frame, "iloc") else frame[label]
            for row, cell in enumerate(column):
                if isinstance(cell, DATES):
                    raise ValueError(
                        f"Modality {name!r} is not numeric: its column {label!r} holds dates or "
                        f"time spans ({type(cell).__name__}): {_ADVICE}."
                    )
                if hasattr(cell, "__len__") and not isinstance(cell, str | bytes):
                    raise ValueError(
                        f"Modality {name!r} is not numeric: each cell of its column {label!r} "
                        f"holds a {type(cell).__name__} (row {row}): make it a modality of its "
                        f"own, np.stack(table[{label!r}])."
                    )


def refuse_dates(name, array):
    """Raise if an array of objects holds dates or time spans.

    Parameters
    ----------
    name : str
    array : ndarray of objects

    Raises
    ------
    ValueError
    """
    for value in array.flat:
        if isinstance(value, DATES):
            raise ValueError(
                f"Modality {name!r} is not numeric: it holds dates or time spans, such as "
                f"{value!r}: {_ADVICE}."
            )


def warn_of_merged_values(name, array, converted, present=None, labels=None):
    """Warn if different values of a column become one in the floating type.

    Parameters
    ----------
    name : str
        The modality.
    array : ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
        As it was given.
    converted : ndarray of the same shape
        In the floating type.
    present : ndarray of bool of shape (n_samples,), default=None
        Which samples have the modality; None: all.
    labels : tuple, default=None
        Labels of the columns, for the message.

    Warns
    -----
    UserWarning
        If a column loses 5 % of its different values or more; up to 1,000 rows are looked at.
    """
    if np.can_cast(array.dtype, converted.dtype, "safe") or array.ndim not in (2, 3):
        return
    rows = np.arange(len(array)) if present is None else np.flatnonzero(present)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _LOOKED_AT).astype(int))]
    table = np.sort(array[rows].reshape(-1, array.shape[-1]), axis=0)
    before = 1 + (table[1:] > table[:-1]).sum(axis=0)  # NaN, sorted last, is no value
    table = table.astype(converted.dtype)
    after = 1 + (table[1:] > table[:-1]).sum(axis=0)
    merged = np.flatnonzero(before - after >= _MERGED * before)
    if len(merged):
        j = int(merged[0])
        others = f" and of {len(merged) - 1} more" if len(merged) > 1 else ""
        warn_caller(
            f"Modality {name!r}: different values of column {j if labels is None else labels[j]!r}"
            f"{others} become one in {converted.dtype} ({before[j]} values become {after[j]}). "
            "Subtract a common offset or scale them first, or use dtype='float64'.",
        )


def _is_temporal(dtype):
    if hasattr(dtype, "is_temporal"):  # polars
        return dtype.is_temporal()
    kind = getattr(dtype, "kind", None)
    return kind in ("M", "m") or str(dtype).startswith(("period", "date", "time", "duration"))
