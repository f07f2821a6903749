"""Data of which single modalities get the values of other samples, in the form that was given."""

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline

from ..data.checks import SINGLE, as_modalities, check_rows_beside
from ..data.columns import as_blocks, column_positions, resolve_columns
from ..data.container import ModalityDict, is_mapping
from ..data.conversion import as_table
from ..data.presence import find_present
from ..data.to_columns import ModalitiesToColumns
from ..ensemble.experts import rows_with
from ..utils.compat import safe_indexing

__all__ = ["ModalityRows"]


class ModalityRows:
    """Samples, and donors of values for their modalities.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
        The samples.
    estimator : estimator
        Says which columns of a table make up which modality.
    owner : str
        The function that asks, for errors.
    beside : dict of str to object
        What has a row for each sample too, such as ``{"y": y}``.
    background : as X, default=None
        The donors. None: the samples themselves.

    Attributes
    ----------
    names : tuple of str
        The modalities, in the order of the data.
    n_samples : int
    donors : ndarray of int
        Numbers of the donors' rows, as `replace` takes them.
    present : dict of str to ndarray of bool of shape (n_samples or more,)
        Which rows have a modality: of the samples, and then of the background if there is one.
    """

    def __init__(self, X, estimator, owner, beside, background=None):
        if is_mapping(X):
            given = dict(X.items()) if isinstance(X, ModalityDict) else _without_none(X)
            self._form = _Modalities(X if isinstance(X, ModalityDict) else ModalityDict(given))
        else:
            self._form = _Columns(as_table(X, owner), estimator, owner)
        check_rows_beside(self._form.X, beside)
        self.names, self.n_samples = tuple(self._form.names), len(self._form)
        for what, value in beside.items():
            if value is not None and len(value) != self.n_samples:
                raise ValueError(f"{what} has {len(value)} rows, but X has {self.n_samples}.")
        self.donors = np.arange(self.n_samples)
        if background is not None:
            n_donors = self._form.append(background, owner)
            self.donors = self.n_samples + np.arange(n_donors)
        self.present = self._form.present()

    @property
    def X(self):
        """The samples as they are."""
        return self._form.X

    def replace(self, rows):
        """The samples with some modalities taken from other rows.

        Parameters
        ----------
        rows : dict of str to ndarray of int of shape (n_samples,)
            Of each modality to change, the row that each sample gets it from.

        Returns
        -------
        ModalityDict, ndarray or DataFrame
            In the form of `X`, with its labels of rows.
        """
        return self._form.replace(rows)


class _Modalities:
    """Samples given as a mapping."""

    def __init__(self, X):
        self.X, self._pool = X, X

    @property
    def names(self):
        return self.X.modalities

    def __len__(self):
        return len(self.X)

    def append(self, background, owner):
        if not is_mapping(background):
            raise TypeError(
                f"The 'background' parameter of {owner} must be a mapping, as X is. Got "
                f"{type(background).__name__}."
            )
        background = as_modalities(background)
        lost = [name for name in self.names if name not in background]
        if lost:
            raise ValueError(
                f"The 'background' parameter of {owner} lacks the modality {lost[0]!r} of X."
            )
        background = ModalityDict({name: background[name] for name in self.names})
        self._pool = ModalityDict.concat([self.X, background])
        return len(background)

    def present(self):
        return {name: rows_with(self._pool, name) for name in self.names}

    def replace(self, rows):
        taken = {name: _take(self._pool[name], k, self.X[name]) for name, k in rows.items()}
        return ModalityDict({**self.X, **taken})


class _Columns:
    """Samples given as a table, whose columns make up modalities."""

    def __init__(self, X, estimator, owner):
        if sparse.issparse(X):
            raise TypeError(
                f"{owner} takes a dense table, or a mapping of modalities of which each may be "
                "sparse. Got a sparse table."
            )
        self.X = self._pool = X
        self._columns = column_positions(X, _columns_of(estimator, X, owner))

    @property
    def names(self):
        return tuple(self._columns)

    def __len__(self):
        return self.X.shape[0]

    def append(self, background, owner):
        if is_mapping(background):
            raise TypeError(
                f"The 'background' parameter of {owner} must be a table, as X is. Got "
                f"{type(background).__name__}."
            )
        background = as_table(background, owner)
        if background.shape[1:] != self.X.shape[1:]:
            raise ValueError(
                f"The 'background' parameter of {owner} must have the {self.X.shape[1]} columns of "
                f"X. Got shape {tuple(background.shape)}."
            )
        # A DataFrame is put below by the labels of its columns.
        self._pool = ModalityDict.concat([{SINGLE: self.X}, {SINGLE: background}])[SINGLE]
        return background.shape[0]

    def present(self):
        found = {}
        for name, where in self._columns.items():
            mask = find_present(safe_indexing(self._pool, where, axis=1))
            found[name] = np.ones(self._pool.shape[0], dtype=bool) if mask is None else mask
        return found

    def replace(self, rows):
        changed = self.X.copy()
        for name, chosen in rows.items():
            for column in self._columns[name]:
                if hasattr(changed, "iloc"):
                    values = self._pool.iloc[chosen, column]
                    changed.isetitem(column, values.set_axis(changed.index))
                else:
                    changed[:, column] = self._pool[chosen, column]
        return changed


def _columns_of(estimator, X, owner):
    """Which columns of a table make up which modality, as an estimator knows it."""
    inner = estimator
    while True:
        if isinstance(inner, Pipeline):
            steps = [step for _, step in inner.steps if step not in (None, "passthrough")]
            inner = steps[0] if steps else None
        elif hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        elif not hasattr(inner, "modalities") and hasattr(inner, "estimator"):
            inner = inner.estimator
        else:
            break
    if not hasattr(inner, "modalities") or isinstance(inner, ModalitiesToColumns):
        raise TypeError(
            f"{owner} gets a table as X, and {type(estimator).__name__} does not say which of its "
            "columns make up which modality: give a mapping of modalities, or begin the Pipeline "
            "with ColumnsToModalities({'name': columns, ...})."
        )
    columns = {SINGLE: slice(None)} if inner.modalities is None else inner.modalities
    return as_blocks(resolve_columns(X, columns))


def _take(value, rows, like):
    """Rows of the values of a modality, under the labels of the rows that they stand for."""
    if isinstance(value, ModalityDict):
        return ModalityDict({part: _take(v, rows, like[part]) for part, v in value.items()})
    taken = safe_indexing(value, rows)
    if hasattr(taken, "iloc") and hasattr(taken, "index"):
        taken = taken.set_axis(like.index, axis=0)
    return taken


def _without_none(X):
    return {name: value for name, value in X.items() if value is not None}
