"""Checks of what the user gives as X: checked arrays, or an error that names the modality."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from .arrays import CheckedModalities, check_arrays
from .columns import as_blocks, resolve_columns, split_columns
from .container import ModalityDict, find_row_labels, find_rows_in_order, is_mapping
from .conversion import as_table, form_of, reshape_advice
from .mistakes import refuse_swapped, refuse_unnamed, warn_of_target
from .spec import check_shapes, sample_shapes
from .tables import (
    check_column_labels,
    check_row_labels,
    is_table,
    row_labels,
    rows_index,
    warn_of_shuffled_rows,
)

__all__ = [
    "CheckedInput",
    "check_fitted_modalities",
    "check_known_modalities",
    "check_modalities",
    "check_rows_beside",
]

#: Name of the one modality that a 2-D array without a column map becomes.
SINGLE = "X"


class FittedInput(NamedTuple):
    """What a fitted estimator remembers of its data."""

    modalities: tuple
    shapes: dict
    columns: dict | None
    dtype: np.dtype
    labels: dict = {}  # labels of the columns by modality; see `ModalityDict.column_labels`
    sparse: tuple = ()  # modalities that were sparse matrices


class CheckedInput(NamedTuple):
    """Checked data of a first fit, and what has to be remembered of them."""

    X: CheckedModalities
    modalities: tuple  # in the order of the data
    shapes: dict  # shape of one sample of each modality; see `sample_shapes`
    columns: dict | None  # resolved column map; None: X was a mapping
    table: object  # the table itself, for its column names; None: X was a mapping
    labels: dict  # labels of the columns of modalities that are tables
    sparse: tuple  # modalities that are sparse matrices


def check_modalities(X, estimator, dtype, beside=None):
    """Check the data of a first fit.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
    estimator : MultimodalEstimator
        For its parameters `modalities` and `missing`, and its name in errors. Nothing is set on
        it.
    dtype : numpy dtype
    beside : dict of str to object, default=None
        What has a row for each sample too, such as ``{"y": y}``: the labels of its rows, if it
        has some, are to be those of X.

    Returns
    -------
    CheckedInput
    """
    columns = table = None
    y = (beside or {}).get("y")
    refuse_swapped(X, y)
    refuse_unnamed(X)
    if is_mapping(X):
        if estimator.modalities is not None:
            raise ValueError(
                "modalities= cuts a 2-D array or DataFrame, but X is a mapping and names its "
                "modalities itself; leave modalities at None."
            )
        X = as_modalities(X)
    else:
        table = _check_table(X, estimator)
        columns = {SINGLE: slice(None)}
        if estimator.modalities is not None:
            columns = as_blocks(resolve_columns(table, estimator.modalities))
        X = split_columns(table, columns)
    check_rows_beside(X if table is None else table, beside)
    labels = {} if table is not None else X.column_labels
    if "joint" in X:
        raise ValueError(
            "A modality cannot be called 'joint', which stands for all modalities together: give "
            "it another name."
        )
    if y is not None:
        warn_of_target(X, y, estimator.target_class.task)
    checked = check_arrays(X, len(X), dtype, missing=estimator.missing, warn=True)
    for name, mask in checked.presence.masks.items():
        if not mask.numpy().any():
            raise ValueError(
                f"Modality {name!r} is missing in every sample, so nothing can be learnt about "
                "it: leave it out."
            )
    shapes = sample_shapes(checked.arrays)
    thin = tuple(name for name, array in checked.arrays.items() if sparse.issparse(array))
    return CheckedInput(checked, tuple(X), shapes, columns, table, labels, thin)


def check_fitted_modalities(X, estimator, fitted, beside=None):
    """Check data for a fitted estimator: the same modalities and shapes as in ``fit``.

    With ``missing="allow"`` a mapping may leave modalities out, but not all.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
        A table if ``fit`` got one, else a mapping.
    estimator : MultimodalEstimator
        For its parameter `missing`, its name in errors, and the column names that it has seen.
    fitted : FittedInput
        What ``fit`` remembered.
    beside : dict of str to object, default=None
        See `check_modalities`.

    Returns
    -------
    CheckedModalities
    """
    table, name = None, type(estimator).__name__
    if is_mapping(X):
        given, partial = dict(X.items()), estimator.missing == "allow"
        if partial and not isinstance(X, ModalityDict):
            given = {modality: value for modality, value in given.items() if value is not None}
        check_known_modalities(tuple(given), fitted.modalities, name, partial)
        if not isinstance(X, ModalityDict):
            X = ModalityDict(given)
        check_column_labels(fitted.labels, X.column_labels, name)
    else:
        if fitted.columns is None:
            raise ValueError(
                f"{name} was fitted with a mapping of the modalities "
                f"{', '.join(map(repr, fitted.modalities))}; got {type(X).__name__}."
            )
        table = _check_table(X, estimator)
        validate_data(estimator, table, reset=False, skip_check_array=True)
        X = split_columns(table, fitted.columns)
    if beside:
        check_rows_beside(X if table is None else table, beside)
    checked = check_arrays(
        X, len(X), fitted.dtype, missing=estimator.missing, expected=fitted.modalities
    )
    check_shapes(checked.arrays, fitted.shapes)
    return checked


def check_known_modalities(given, expected, who, partial=False):
    """Raise if `given` names are not those that `who` was fitted with (`partial`: some of them)."""
    missing = [] if partial else [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    problems = []
    if missing:
        problems.append(f"misses {', '.join(map(repr, missing))}")
    if unknown:
        problems.append(f"has unknown {', '.join(map(repr, unknown))}")
    if problems:
        hint = " With missing='allow' some may be absent." if given and missing else ""
        raise ValueError(
            f"X {' and '.join(problems)}: {who} was fitted with the modalities "
            f"{', '.join(map(repr, expected))}.{'' if unknown else hint}"
        )


def check_rows_beside(X, beside):
    """Compare the labels of the rows of X with those of what is given with it.

    Parameters
    ----------
    X : mapping, DataFrame or array
    beside : dict of str to object, or None
        Such as ``{"y": y}``.

    Raises
    ------
    ValueError
        If the labels differ or come in another order; see `check_row_labels`.

    Warns
    -----
    UserWarning
        If only the rows of X, or of y, were shuffled; see `warn_of_shuffled_rows`.
    """
    if is_mapping(X):
        X = as_modalities(X)
        labels = {} if X.row_labels is None else dict([X.row_labels])
    else:
        labels = {"X": row_labels(X)}
    others = {w: v for w, v in (beside or {}).items() if not isinstance(v, np.ndarray | None)}
    labels.update({what: row_labels(value) for what, value in others.items()})
    if len(labels) > 1:
        check_row_labels(labels)
    if "y" in others:
        if is_mapping(X):
            found = find_row_labels(X) or find_rows_in_order(X)
        else:
            found = ("X", rows_index(X))
        if found is not None and found[1] is not None:
            warn_of_shuffled_rows(*found, others["y"])


def _check_table(X, estimator):
    """Return `X` as a DataFrame or 2-D array, or raise and say what is accepted."""
    kind, form = type(X).__name__, form_of(X)
    try:
        X = as_table(X, type(estimator).__name__)
    except ValueError:  # rows of unequal length, or no rows at all
        X = np.empty((), dtype=object)
    if is_table(X):
        if X.shape[0] == 0:
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}).")
        return X
    if not sparse.issparse(X) and (len(X.shape) != 2 or np.asarray(X).dtype.kind in "US"):
        raise ValueError(
            "X is a mapping from modality names to arrays, or a 2-D array or DataFrame (with "
            f"modalities={{'name': columns, ...}} to cut it); got {kind}"
            f"{_describe(X)}. {reshape_advice(form)}."
        )
    return check_array(X, ensure_all_finite=False, estimator=estimator, input_name="X")


def _describe(array):
    return "" if array.dtype == object else f" of shape {tuple(array.shape)}, type {array.dtype}"


def as_modalities(X):
    """Return a mapping as a `ModalityDict`; one that is already is not copied."""
    return X if isinstance(X, ModalityDict) else ModalityDict(X)


def as_selectable(X):
    """Return X, in any form that ``fit`` takes, in one whose rows can be selected."""
    if is_mapping(X):
        return as_modalities(X)
    return X if hasattr(X, "shape") else np.asarray(X)
