"""The door: whatever the user gives as X becomes checked arrays, or an error."""

from collections.abc import Mapping
from typing import NamedTuple

from sklearn.utils.validation import validate_data

from ._arrays import CheckedModalities, check_shapes, numeric_modalities, sample_shapes
from ._validation import as_modalities, as_table, check_known_modalities
from .columns import resolve_columns, split_columns

__all__ = ["Entry", "enter", "enter_again"]

#: Name of the one modality that a 2-D array without a column map becomes.
SINGLE = "X"


class Entry(NamedTuple):
    """Checked data, and what a fit has to remember of them."""

    X: CheckedModalities
    columns: dict | None  # resolved column map; None: X was a mapping
    table: object  # the table itself, for its column names; None: X was a mapping

    @property
    def modalities(self):
        return tuple(self.X.arrays)

    @property
    def shapes(self):
        return sample_shapes(self.X.arrays)


def enter(X, estimator, dtype):
    """Check the data of a first fit.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
    estimator : MultimodalEstimator
        For its parameters `modalities` and `missing`, and its name in errors. Nothing is set on
        it.
    dtype : numpy dtype

    Returns
    -------
    Entry
    """
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        if estimator.modalities is not None:
            raise ValueError(
                "modalities= cuts a 2-D array or DataFrame, but X is a mapping and names its "
                "modalities itself; leave modalities at None."
            )
        return Entry(_first_modalities(as_modalities(X), estimator, dtype), None, None)
    table = as_table(X, estimator)
    columns = {SINGLE: slice(None)}
    if estimator.modalities is not None:
        columns = resolve_columns(table, estimator.modalities)
    X = _first_modalities(split_columns(table, columns), estimator, dtype)
    return Entry(X, columns, table)


def _first_modalities(X, estimator, dtype):
    checked = numeric_modalities(X, dtype, missing=estimator.missing)
    for name, there in checked.present.items():
        if not there.any():
            raise ValueError(
                f"Modality {name!r} is missing in every sample, so nothing can be learnt about "
                "it: leave it out."
            )
    return checked


def enter_again(X, estimator):
    """Check data for a fitted estimator: the same modalities and shapes as in ``fit``.

    With ``missing="allow"`` a mapping may leave modalities out, but not all.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
        A table if ``fit`` got one, else a mapping.
    estimator : MultimodalEstimator
        Fitted; its network's floating type counts.

    Returns
    -------
    CheckedModalities
    """
    name = type(estimator).__name__
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        X = as_modalities(X)
        partial = estimator.missing == "allow"
        check_known_modalities(X.modalities, estimator.modalities_, name, partial)
    else:
        if estimator._columns is None:
            raise ValueError(
                f"{name} was fitted with a mapping of the modalities "
                f"{', '.join(map(repr, estimator.modalities_))}; got {type(X).__name__}."
            )
        table = as_table(X, estimator)
        validate_data(estimator, table, reset=False, skip_check_array=True)
        X = split_columns(table, estimator._columns)
    checked = numeric_modalities(
        X, estimator._dtype, missing=estimator.missing, expected=estimator.modalities_
    )
    check_shapes(checked.arrays, estimator._shapes)
    return checked
