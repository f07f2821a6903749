"""Splitting of tables into modalities by columns."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..utils.compat import check_feature_names_in, safe_indexing
from ..utils.output import SetOutputNoOpMixin
from .container import ModalityDict, check_name
from .conversion import as_table

__all__ = ["ColumnsToModalities", "column_positions", "resolve_columns", "split_columns"]


class ColumnsToModalities(
    SetOutputNoOpMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Split a 2-D array or DataFrame into modalities.

    Parameters
    ----------
    modalities : dict of str to columns
        The columns of each modality: a slice, an integer or list of integers (positions), a column
        name or list of names, a slice of names, a boolean mask, or a callable that gets ``X`` and
        returns one of these (such as ``sklearn.compose.make_column_selector``). A single column
        given as a bare name or integer becomes a 1-D modality (such as raw texts); in a list, it
        becomes a table of one column.

    Attributes
    ----------
    modalities_ : tuple of str
        The names, in the order given.
    n_features_in_ : int
        Number of columns.

    Raises
    ------
    ValueError
        If a modality's columns are not in the data or select none (the modality is named), or
        the data have another number of columns, or other column names, than in ``fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import ColumnsToModalities
    >>> table = np.arange(6).reshape(2, 3)
    >>> X = ColumnsToModalities({"text": slice(0, 2), "audio": [2]}).fit_transform(table)
    >>> X["audio"]
    array([[2],
           [5]])
    """

    def __init__(self, modalities):
        self.modalities = modalities

    def fit(self, X, y=None):
        """Check the column map against `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns) or DataFrame
        y : ignored

        Returns
        -------
        self : ColumnsToModalities
        """
        X = _dense_table(X)
        columns = resolve_columns(X, self.modalities)
        validate_data(self, X, skip_check_array=True)  # sets n_features_in_, feature_names_in_
        self.modalities_ = tuple(columns)
        self._columns = columns
        return self

    def transform(self, X):
        """Split `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns) or DataFrame

        Returns
        -------
        ModalityDict
        """
        check_is_fitted(self, "modalities_")
        X = _dense_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return split_columns(X, self._columns)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, each prefixed with its modality.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Column names, if ``fit`` saw none.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "modalities_")
        names = check_feature_names_in(self, input_features)
        # A row of column positions, split like the data, shows where each column went.
        cut = {
            name: np.atleast_1d(safe_indexing(names, _positions(key, names)))
            for name, key in self._columns.items()
        }
        return np.asarray([f"{m}__{c}" for m, cols in cut.items() for c in cols], dtype=object)


def resolve_columns(X, modalities):
    """Check a column map against a table and return it with its callables resolved.

    Parameters
    ----------
    X : ndarray or DataFrame of shape (n_samples, n_columns)
    modalities : dict of str to columns
        See `ColumnsToModalities`.

    Returns
    -------
    dict of str to columns
    """
    if not isinstance(modalities, Mapping) or not modalities:
        raise ValueError(
            "modalities must be a dict from modality name to columns, such as {'text': "
            f"slice(0, 100), 'audio': slice(100, 173)}}. Got {modalities!r}."
        )
    columns = {check_name(n): key(X) if callable(key) else key for n, key in modalities.items()}
    labels = np.empty(X.shape[1], dtype=object)
    labels[:] = list(getattr(X, "columns", range(X.shape[1])))
    levels = list(labels) if len(labels) and isinstance(labels[0], tuple) else None
    for name, key in columns.items():
        try:
            if key is None:
                raise TypeError("None selects nothing")
            if levels is not None and isinstance(key, str | tuple | list):
                key = columns[name] = _positions_of_levels(key, levels)
            chosen = safe_indexing(X[:1], key, axis=1)
            _positions(key, labels)  # pandas accepts a slice that ends at a missing name
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"modalities: the columns of {name!r}, {key!r}, are not in the data of "
                f"{X.shape[1]} columns ({error})."
            ) from error
        if chosen.shape[1:] == (0,):
            raise ValueError(f"modalities: {name!r} has no columns ({key!r}).")
    return columns


def split_columns(X, columns):
    """Split a table by a resolved column map into a `ModalityDict`."""
    parts = {name: safe_indexing(X, key, axis=1) for name, key in columns.items()}
    return ModalityDict(parts)


def column_positions(X, columns):
    """Positions of each modality's columns in a table.

    Parameters
    ----------
    X : ndarray or DataFrame of shape (n_samples, n_columns)
    columns : dict of str to columns
        From `resolve_columns`.

    Returns
    -------
    dict of str to ndarray of int
    """
    labels = np.empty(X.shape[1], dtype=object)
    labels[:] = list(getattr(X, "columns", range(X.shape[1])))
    where = np.arange(len(labels))
    return {n: where[np.atleast_1d(_positions(key, labels))] for n, key in columns.items()}


def as_blocks(columns):
    """A column map whose single columns are tables of one column: numbers are never 1-D."""
    return {
        name: [key] if isinstance(key, str | Integral) else key for name, key in columns.items()
    }


def _positions_of_levels(key, labels):
    """Positions of columns of several levels: of a label, or of all below one of the first level.

    Anything that is no label, such as positions, is returned as it is.
    """
    if isinstance(key, list):
        if not key or not all(isinstance(k, str | tuple) for k in key):
            return key
        return [i for k in key for i in _positions_of_levels(k, labels)]
    if not isinstance(key, str) and key not in labels:
        return key
    found = [i for i, label in enumerate(labels) if key in (label, label[0])]
    if not found:
        firsts = ", ".join(map(repr, dict.fromkeys(label[0] for label in labels)))
        raise KeyError(f"{key!r} is not in the first level of the columns, {firsts}")
    return found


def _positions(key, names):
    """Return the positions of columns that are given by position or by name."""
    row = np.arange(len(names))
    if isinstance(key, slice) and isinstance(key.start or key.stop, str):
        where = {name: i for i, name in enumerate(names)}
        start = where[key.start] if key.start is not None else None
        stop = where[key.stop] + 1 if key.stop is not None else None  # names include the end
        return row[start:stop]
    if isinstance(key, str):
        return int(np.flatnonzero(names == key)[0])
    if not isinstance(key, slice) and np.asarray(key).dtype.kind in "UO":
        return [int(np.flatnonzero(names == k)[0]) for k in key]
    return row[list(key) if isinstance(key, tuple) else key]


def _dense_table(X):
    if sparse.issparse(X):
        raise TypeError("ColumnsToModalities takes a dense table; got a sparse one (X.toarray()).")
    X = as_table(X, "ColumnsToModalities")
    if len(X.shape) != 2:
        raise ValueError(
            f"ColumnsToModalities takes a 2-D array or a DataFrame; got shape {X.shape}."
        )
    return X
