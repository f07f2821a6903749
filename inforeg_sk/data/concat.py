"""Samples of several containers, one after another."""

import numpy as np
from scipy import sparse

from .tables import column_labels, is_table, row_labels

__all__ = ["concat_values"]


def concat_values(name, values):
    """Return the values of one modality of several parts, one after another.

    Parameters
    ----------
    name : str
        The modality, for errors.
    values : list of ndarray, DataFrame or CSR matrix
        As a `ModalityDict` keeps them.

    Returns
    -------
    ndarray, DataFrame or CSR matrix
        A copy.

    Raises
    ------
    TypeError, ValueError
        If the parts are not of one kind, or their samples not of one shape.
    """
    kinds = dict.fromkeys(_kind(value) for value in values)
    if len(kinds) > 1:
        raise TypeError(
            f"Modality {name!r} is {' and '.join(kinds)} in different parts: give one kind in all."
        )
    if sparse.issparse(values[0]):
        _check_shapes(name, values)
        return sparse.vstack(values, format="csr")
    if is_table(values[0]):
        return _concat_tables(name, values)
    if any(value.dtype == object and value.ndim == 1 for value in values):
        values = [_as_objects(value) for value in values]
    _check_shapes(name, values)
    masked = any(np.ma.isMaskedArray(value) for value in values)
    return (np.ma if masked else np).concatenate(values)


def _kind(value):
    if sparse.issparse(value):
        return "a sparse matrix"
    if is_table(value):
        return f"a table of {type(value).__module__.partition('.')[0]}"
    return "an array"


def _check_shapes(name, values):
    shapes = dict.fromkeys(tuple(value.shape[1:]) for value in values)
    if len(shapes) > 1:
        raise ValueError(
            f"Modality {name!r} has samples of the shapes {' and '.join(map(str, shapes))} in "
            "different parts."
        )


def _concat_tables(name, tables):
    columns = [tuple(table.columns) for table in tables]
    if any(set(other) != set(columns[0]) for other in columns):
        raise ValueError(
            f"Modality {name!r}: the tables have other columns in different parts; give all the "
            "same, such as table[columns]."
        )
    # Columns belong together by their labels, where they have some.
    if column_labels(tables[0]) is not None:
        tables = [table[list(columns[0])] for table in tables]
    if hasattr(tables[0], "iloc"):
        import pandas as pd  # there, since the tables are its

        nobody_gave = all(row_labels(table) is None for table in tables)
        return pd.concat(tables, ignore_index=nobody_gave)
    import polars as pl

    return pl.concat(tables, how="vertical_relaxed")


def _as_objects(value):
    """Samples of any kind as an array of objects, one a sample."""
    if value.dtype == object and value.ndim == 1:
        return value
    objects = np.empty(len(value), dtype=object)
    objects[:] = list(value)
    return objects
