"""Rows into a transformer and out of it: texts as one axis, whole samples, the same number."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    StratifiedGroupKFold,
)
from sklearn.utils import get_tags

from ..data.container import is_mapping
from ..data.tables import row_labels

__all__ = [
    "as_single_column",
    "check_folds",
    "check_rows",
    "count_rows",
    "ravel_column",
    "takes_sequences",
]

# Splitters that keep the rows of a group in one fold, and do not run without groups.
_BY_GROUP = (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    StratifiedGroupKFold,
)


def takes_sequences(transformer):
    """Whether a transformer says, by its tags, that it takes arrays of three axes as they are."""
    return isinstance(transformer, BaseEstimator) and get_tags(transformer).input_tags.three_d_array


def as_single_column(transformer, value):
    """Return a table of one column as the 1-D array that a vectorizer of texts wants.

    Such a transformer iterates over what it gets, and a DataFrame gives its column names.

    Parameters
    ----------
    transformer : transformer
        The tags of scikit-learn say what it takes; those of a Pipeline's first step count.
    value : values of a modality in a ModalityDict, or a table of their steps

    Returns
    -------
    `value` itself unless the transformer takes no tables; then ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the transformer takes no tables and the table has not one column.
    """
    if sparse.issparse(value) or not _takes_one_axis(transformer):
        return value
    if isinstance(value, Mapping):
        raise ValueError(
            "it takes one value per sample, such as a text, but the modality is made of the arrays "
            f"{', '.join(map(repr, value))}. Make each of them a modality of its own."
        )
    if len(value.shape) < 2:
        return value
    if value.shape[1:] != (1,):
        names = getattr(value, "column_names", getattr(value, "columns", ()))  # of pyarrow, pandas
        names = f" ({', '.join(map(str, names))})" if len(names) else ""
        raise ValueError(
            "it takes one value per sample, such as a text, but the modality is a table of shape "
            f"{tuple(value.shape)}{names}. Join the columns into one text, make each of them a "
            "modality of its own, or give the modality a ColumnTransformer with one transformer "
            "for each column."
        )
    return ravel_column(value)


def ravel_column(value):
    """The values of a table of shape (n_samples, 1), an array or DataFrame, as a 1-D array."""
    if isinstance(value, np.ndarray):
        return value[:, 0]  # which may be masked
    if hasattr(value, "iloc"):
        return value.iloc[:, 0].to_numpy(dtype=object)
    return np.asarray(value, dtype=object)[:, 0]


def _takes_one_axis(transformer):
    """Whether a transformer, or what it hands its input to, takes 1-D input only."""
    if not isinstance(transformer, BaseEstimator):
        return False
    parts = [pair[1] for pair in getattr(transformer, "transformer_list", ())]  # FeatureUnion
    steps = [step for _, step in getattr(transformer, "steps", ())]  # Pipeline
    parts += [step for step in steps if step not in (None, "passthrough")][:1]
    parts.append(getattr(transformer, "estimator", None))  # a search
    if any(part is not None and _takes_one_axis(part) for part in parts):
        return True
    takes = get_tags(transformer).input_tags
    others = takes.string or takes.dict or takes.one_d_array
    return others and not takes.two_d_array and not takes.three_d_array


def check_folds(transformer, n_samples, n_rows):
    """Raise if a transformer splits rows into folds where a sample has several.

    Parameters
    ----------
    transformer : transformer
        A parameter called ``cv``, its own or a part's, says that it makes folds.
    n_samples, n_rows : int
        Where they are equal, each sample has one row.
    """
    if n_rows == n_samples or not hasattr(transformer, "get_params"):
        return
    for name, cv in transformer.get_params().items():
        if name.split("__")[-1] != "cv" or isinstance(cv, _BY_GROUP) or cv == "prefit":
            continue
        raise ValueError(
            f"it splits rows into folds ({name}={cv!r}), and {n_samples} samples have {n_rows} "
            "rows here, one for each step: the steps of one sample would be in several folds, so "
            "that its target leaks from one to the other. Give it a modality with one row for each "
            "sample; or, if it can, a splitter such as GroupKFold, and the groups by metadata "
            "routing, one for each sample."
        )


def check_rows(output, table, unit="samples"):
    """Raise unless a transformer gave one row for each row it got, in the same order.

    Parameters
    ----------
    output : array-like, DataFrame, sparse matrix, or mapping of such
        What came out.
    table : array, DataFrame, sparse matrix, list, or ModalityDict
        What went in.
    unit : {"samples", "steps"}, default="samples"
        What the rows of `table` are.
    """
    n_rows = count_rows(table)
    parts = output if is_mapping(output) else {None: output}
    for part, value in parts.items():
        which = "it returned" if part is None else f"in {part!r} it returned"
        n_out = count_rows(value)
        if n_out is None:
            raise ValueError(
                f"{which} {type(value).__name__}, not one row for each of the {n_rows} {unit}."
            )
        if n_out != n_rows:
            raise ValueError(
                f"{which} {n_out} rows for {n_rows} {unit}; it must return one row for each, or "
                "the modalities no longer belong together. Select samples before, in X and y; or "
                "set all values of a sample to NaN, which missing='allow' leaves out."
            )
        if _reordered(value, table):
            raise ValueError(
                f"{which} the rows in another order, by their index; they must stay in order, or "
                "the modalities no longer belong together. Sort samples before, in X and y."
            )


def count_rows(value):
    """Number of entries of an array-like, or None if there are none to count."""
    if hasattr(value, "shape"):
        return int(value.shape[0]) if len(value.shape) else None
    single = isinstance(value, str | bytes) or is_mapping(value)
    return None if single or not hasattr(value, "__len__") else len(value)


def _reordered(output, table):
    """Whether the index of a pandas object has the labels of the input in another order."""
    index, labels = row_labels(output), getattr(table, "index", None)
    if index is None:
        return False
    if not hasattr(labels, "equals"):
        labels = range(count_rows(table))
    elif index.equals(labels):
        return False
    return list(index) != list(labels) and Counter(index) == Counter(labels)
