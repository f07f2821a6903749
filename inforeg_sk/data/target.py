"""What the user gives for each sample beside X: class labels, and numbers."""

from numbers import Integral

import numpy as np
import torch
from scipy import sparse

from .conversion import as_table, refuse_other_containers
from .numeric import DATES

__all__ = ["as_labels", "as_numbers", "kinds_of_labels"]


def as_labels(y, owner, name="y"):
    """Return class labels as an array that holds each of them exactly.

    Parameters
    ----------
    y : array-like of shape (n_samples,), Series or tensor
        Of any library.
    owner : str
        Name of the estimator, for errors.
    name : str, default="y"
        What it is called, for errors.

    Returns
    -------
    ndarray
        Of the type that numpy has for them; a mix of types becomes objects. Not a copy, if it is
        an array already.

    Raises
    ------
    TypeError
        If it is a dataset, a sparse matrix, or a single value.
    ValueError
        If a label is missing or masked, naming the row, or a date or time span.
    """
    advice = "class labels are texts or numbers, such as y.astype(str) or the weekday"
    array = _as_array(y, owner, name, "label", advice)
    if array.dtype.kind == "T":  # numpy's texts of any length, which scikit-learn does not take
        return array.astype(object)
    if array.dtype.kind == "f" and isinstance(y, list | tuple):
        array = _undo_rounding(y, array)
    return _without_objects(array) if array.dtype == object else array


def as_numbers(y, owner, name="y", noun="value"):
    """Return numbers of the samples as an array, before they become floats.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), Series, DataFrame or tensor
        Of any library.
    owner : str
        Name of the estimator, for errors.
    name : str, default="y"
        What it is called, for errors.
    noun : str, default="value"
        What one of them is called.

    Returns
    -------
    ndarray
        Of any type: whether it holds numbers is not checked. Not a copy, if it is an array already.

    Raises
    ------
    TypeError
        If it is a dataset, a sparse matrix, or a single value.
    ValueError
        If a value is missing or masked, naming the row, or a date or time span.
    """
    advice = (
        f"{owner} takes numbers, whose unit is clear, such as (end - start).dt.total_seconds() or "
        "days since a date"
    )
    array = _as_array(y, owner, name, noun, advice)
    return array.astype(object) if array.dtype.kind in "SU" else array


def kinds_of_labels(labels):
    """Names of the types of labels, where all texts count as one type, and all integers.

    Parameters
    ----------
    labels : ndarray

    Returns
    -------
    set of str
        Empty for an array that does not hold objects: they are of one type.
    """
    kinds = {"str": str, "bytes": bytes, "bool": bool | np.bool_, "int": Integral}
    kinds["float"] = float | np.floating
    return {
        next((name for name, kind in kinds.items() if issubclass(t, kind)), t.__name__)
        for t in _types(labels)
    }


def _as_array(value, owner, name, noun, advice):
    """An array of what was given, without rounding, gaps, dates, or texts made of numbers."""
    refuse_other_containers(value, name)
    if isinstance(value, torch.Tensor) and value.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor; give a dense one, {name}.to_dense().")
    if sparse.issparse(value):
        raise TypeError(f"{name} is a sparse matrix; give a dense array, {name}.toarray().")
    _refuse_masked(value, name, noun)
    value = as_table(value, owner)
    # Nullable types of pandas, which scikit-learn takes for floats, become what they hold.
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if isinstance(array, np.ma.MaskedArray):
        array = array.data
    if array.ndim == 0:
        raise TypeError(
            f"{name} is a single value, {array.item()!r}; an array of at least 1 dimension is "
            "needed, with one entry a sample."
        )
    _refuse_cells(array, name, noun)
    kind = _kind_of_dates(array)
    if kind:
        raise ValueError(f"{name} holds dates or time spans ({kind}): {advice}.")
    _refuse_missing(array, name, noun)
    return array


def _refuse_masked(value, name, noun):
    """Raise if a masked array, or one in a list, masks an entry."""
    if isinstance(value, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(value)
    elif isinstance(value, list | tuple):
        masked = np.array(
            [isinstance(v, np.ma.MaskedArray) and np.ma.getmaskarray(v).any() for v in value]
        )
    else:
        return
    _refuse_rows(masked, name, noun, "it is masked there")


def _refuse_cells(array, name, noun):
    """Raise if an entry is itself an array, a list, or the like."""
    bad = tuple(
        t for t in _types(array) if hasattr(t, "__len__") and not issubclass(t, str | bytes)
    )
    if bad:
        index, item = next((i, v) for i, v in np.ndenumerate(array) if isinstance(v, bad))
        raise ValueError(
            f"{name} holds a {type(item).__name__} in row {index[0]}, where one {noun} is needed, "
            "or as many in every row."
        )


def _refuse_missing(array, name, noun):
    kind = array.dtype.kind
    if kind in "fc":
        missing = np.isnan(array)
    elif kind == "T" or not _types(array) <= {str, bool, int}:
        items = array.astype(object).ravel().tolist()
        missing = np.array([_is_missing(item) for item in items], dtype=bool)
    else:
        return
    _refuse_rows(missing.reshape(array.shape), name, noun, f"{name} contains NaN, None or NA")


def _refuse_rows(bad, name, noun, why):
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1)) if bad.size else ()
    if len(rows):
        raise ValueError(
            f"{name} has a missing {noun} in row {rows[0]}: drop such samples ({why})."
        )


def _is_missing(item):
    if item is None or type(item).__name__ == "NAType":  # pandas.NA
        return True
    try:
        return bool(item != item)  # NaN, NaT and Decimal("NaN")
    except (ArithmeticError, TypeError, ValueError):
        return False


def _kind_of_dates(array):
    """The type of the dates or time spans in an array, as text; None without any."""
    if array.dtype.kind in "Mm":
        return str(array.dtype)
    # NaT is a date by its type; among texts it is a label that is missing.
    found = (t for t in _types(array) if t.__name__ == "Period" or issubclass(t, DATES))
    return next((t.__name__ for t in found if t.__name__ != "NaTType"), None)


def _types(array):
    """The types of the objects in an array; none if it holds anything else."""
    return set(map(type, array.flat)) if array.dtype == object else set()


def _undo_rounding(given, array):
    """Objects, if integers of a list have been rounded to become floats beside others."""
    objects = np.asarray(given, dtype=object)
    same = all(
        not isinstance(item, Integral) or int(rounded) == item
        for item, rounded in zip(objects.flat, array.flat, strict=True)
    )
    return array if same else objects


def _without_objects(array):
    """The array in numpy's own type, if its objects are all bools, integers, or floats."""
    kinds = kinds_of_labels(array)
    types = {"bool": [bool], "int": [np.int64, np.uint64], "float": [np.float64]}
    for dtype in types.get(*kinds, ()) if len(kinds) == 1 else ():
        try:
            return array.astype(dtype)
        except OverflowError:
            pass
    return array
