"""Transformers between raw tables and modalities: one per modality, and columns to modalities."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from ._validation import check_known_modalities
from .container import ModalityDict, check_name

__all__ = ["ColumnsToModalities", "ModalityTransformer"]


class ModalityTransformer(TransformerMixin, _BaseComposition, auto_wrap_output_keys=None):
    """Apply one scikit-learn transformer to each modality.

    Parameters
    ----------
    transformers : transformer, "passthrough" or dict
        A dict from modality name to a transformer, ``"passthrough"`` (the modality is kept as it
        is) or ``"drop"``; or one transformer, which is cloned for every modality.
    remainder : {"passthrough", "drop"}, default="passthrough"
        What happens to modalities that the dict does not name.

    Attributes
    ----------
    transformers_ : dict of str to transformer, "passthrough" or "drop"
        What was fitted, by modality.
    modalities_ : tuple of str
        Names of the modalities that come out.

    Raises
    ------
    TypeError
        If a transformer has no ``fit`` and ``transform``.
    ValueError
        If a transformer names a modality that the data do not have, or the data given to
        ``transform`` miss one. An error of a transformer is raised again with the name of its
        modality in front.

    Notes
    -----
    Most transformers take 2-D tables. A modality with more axes, such as sequences of shape
    ``(n_samples, n_steps, n_features)``, is given to its transformer as a table with one row for
    each step of each sample, and takes its own shape again afterwards: ``StandardScaler`` then
    scales each feature over all samples and steps. Transformers that take raw values (a text
    vectorizer on an array of strings) get the 1-D array.

    The parameters of a dict's transformers are searched as ``text__n_components``, those of a
    single transformer as ``transformers__n_components``. With ``set_output(transform="pandas")``
    2-D outputs are DataFrames inside the `ModalityDict`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from inforeg_sk import ModalityTransformer
    >>> X = {"text": np.array([[0.0], [2.0]]), "audio": np.array([[1.0, 5.0], [3.0, 7.0]])}
    >>> scaler = ModalityTransformer({"audio": StandardScaler()}).fit(X)
    >>> scaler.transform(X)["audio"]
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> scaler.get_feature_names_out()
    array(['text__x0', 'audio__x0', 'audio__x1'], dtype=object)
    """

    def __init__(self, transformers="passthrough", *, remainder="passthrough"):
        self.transformers = transformers
        self.remainder = remainder

    # `_BaseComposition` sets nested parameters and replaces steps in a list of pairs.
    @property
    def _pairs(self):
        return list(self.transformers.items()) if isinstance(self.transformers, Mapping) else []

    @_pairs.setter
    def _pairs(self, value):
        self.transformers = dict(value)

    def get_params(self, deep=True):
        if isinstance(self.transformers, Mapping):
            return self._get_params("_pairs", deep=deep)
        return super().get_params(deep=deep)

    def set_params(self, **params):
        if "transformers" in params:
            self.transformers = params.pop("transformers")
        if isinstance(self.transformers, Mapping):
            return self._set_params("_pairs", **params)
        return super().set_params(**params)

    def fit(self, X, y=None):
        """Fit each modality's transformer.

        Parameters
        ----------
        X : dict of arrays or ModalityDict
            The modalities.
        y : array-like of shape (n_samples,), default=None
            The target, for transformers that use it.

        Returns
        -------
        self : ModalityTransformer
        """
        self._fit(X, y, "fit")
        return self

    def fit_transform(self, X, y=None):
        """Fit and return the transformed modalities; see `fit` and `transform`."""
        return self._collect(self._fit(X, y, "fit_transform"))

    def transform(self, X):
        """Transform each modality.

        Parameters
        ----------
        X : dict of arrays or ModalityDict
            The modalities that ``fit`` saw.

        Returns
        -------
        ModalityDict
        """
        check_is_fitted(self, "transformers_")
        X = ModalityDict(X)
        check_known_modalities(X.modalities, self._n_columns, "ModalityTransformer")
        return self._collect(
            {n: _apply(n, t, X[n], None, "transform") for n, t in self.transformers_.items()}
        )

    def _fit(self, X, y, method):
        X = ModalityDict(X)
        chosen = {name: t if isinstance(t, str) else clone(t) for name, t in self._choose(X)}
        output = {name: _apply(name, t, X[name], y, method) for name, t in chosen.items()}
        self.transformers_ = chosen
        self.modalities_ = tuple(n for n, t in chosen.items() if not _is(t, "drop"))
        self._n_columns = {n: X[n].shape[-1] if len(X[n].shape) > 1 else 1 for n in X}
        self._columns = {
            name: [str(c) for c in X[name].columns] for name in X if hasattr(X[name], "columns")
        }
        return output

    def _choose(self, X):
        """Yield name and transformer for each modality, checked."""
        if self.remainder not in ("passthrough", "drop"):
            raise ValueError(
                f"remainder={self.remainder!r} is unknown: it is 'passthrough' or 'drop'."
            )
        given = self.transformers
        if not isinstance(given, Mapping):
            given = dict.fromkeys(X, given)
        unknown = [name for name in given if name not in X]
        if unknown:
            raise ValueError(
                f"transformers names {', '.join(map(repr, unknown))}, but the data's modalities "
                f"are {', '.join(map(repr, X))}."
            )
        for name in X:
            transformer = given.get(name, self.remainder)
            if _is(transformer, "drop", "passthrough"):
                yield name, transformer
            elif isinstance(transformer, type) or not (
                hasattr(transformer, "fit") and hasattr(transformer, "transform")
            ):
                raise TypeError(
                    f"The transformer of modality {name!r} is {transformer!r}: it is a "
                    "transformer (an instance with fit and transform), 'passthrough' or 'drop'."
                )
            else:
                yield name, transformer

    def _collect(self, output):
        kept = {name: value for name, value in output.items() if value is not None}
        if not kept:
            raise ValueError("ModalityTransformer dropped every modality; keep at least one.")
        return ModalityDict(kept)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns, each with its modality in front.

        Parameters
        ----------
        input_features : ignored
            The names come from the DataFrames seen in ``fit``, else they are ``x0``, ``x1``, ...

        Returns
        -------
        ndarray of str
            ``"text__x0"`` and so on, modality after modality.
        """
        check_is_fitted(self, "transformers_")
        names = []
        for name in self.modalities_:
            transformer = self.transformers_[name]
            columns = self._columns.get(name)
            if columns is None:
                columns = [f"x{i}" for i in range(self._n_columns[name])]
            if not _is(transformer, "passthrough"):
                if not hasattr(transformer, "get_feature_names_out"):
                    raise AttributeError(
                        f"The transformer of modality {name!r}, {type(transformer).__name__}, "
                        "does not provide get_feature_names_out."
                    )
                # Raw input, such as texts, has no columns to name.
                raw = getattr(transformer, "n_features_in_", None) is None
                columns = transformer.get_feature_names_out(None if raw else columns)
            names += [f"{name}__{column}" for column in columns]
        return np.asarray(names, dtype=object)

    def set_output(self, *, transform=None):
        """Choose the container of 2-D outputs for each transformer; see scikit-learn.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            None leaves the choice as it is.

        Returns
        -------
        self : ModalityTransformer
        """
        given = self.transformers
        inner = list(given.values()) if isinstance(given, Mapping) else [given]
        for transformer in inner + list(getattr(self, "transformers_", {}).values()):
            if hasattr(transformer, "set_output"):
                transformer.set_output(transform=transform)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "transformers_")


class ColumnsToModalities(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Cut a 2-D array or DataFrame into modalities.

    Parameters
    ----------
    modalities : dict of str to columns
        For each modality the columns that make it up: a slice, an integer or list of integers
        (positions), a column name or list of names, a slice of names, a boolean mask, or a
        callable that gets ``X`` and returns one of these (such as
        ``sklearn.compose.make_column_selector``). A single column given as a bare name or
        integer becomes a 1-D modality (raw texts); in a list, a table of one column.

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
        X = _as_table(X)
        columns = resolve_columns(X, self.modalities)
        validate_data(self, X, skip_check_array=True)  # sets n_features_in_, feature_names_in_
        self.modalities_ = tuple(columns)
        self._columns = columns
        return self

    def transform(self, X):
        """Cut `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns) or DataFrame

        Returns
        -------
        ModalityDict
        """
        check_is_fitted(self, "modalities_")
        X = _as_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return split_columns(X, self._columns)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, each with its modality in front.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Column names where ``fit`` saw none.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "modalities_")
        names = _check_feature_names_in(self, input_features)
        # One row of column positions, cut like the data, says which column went where.
        cut = {
            name: np.atleast_1d(_safe_indexing(names, _positions(key, names)))
            for name, key in self._columns.items()
        }
        return np.asarray([f"{m}__{c}" for m, cols in cut.items() for c in cols], dtype=object)

    def set_output(self, *, transform=None):
        """Do nothing: a DataFrame is cut into DataFrames, an array into arrays.

        Parameters
        ----------
        transform : ignored
            Here so that ``Pipeline.set_output`` reaches the steps after this one.

        Returns
        -------
        self : ColumnsToModalities
        """
        return self


def resolve_columns(X, modalities):
    """Check a column map against a table and return it with its callables called.

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
            "modalities is a dict from modality name to columns, such as {'text': slice(0, 100), "
            f"'audio': slice(100, 173)}}; got {modalities!r}."
        )
    columns = {check_name(n): key(X) if callable(key) else key for n, key in modalities.items()}
    labels = np.asarray(getattr(X, "columns", range(X.shape[1])), dtype=object)
    for name, key in columns.items():
        try:
            if key is None:
                raise TypeError("None selects nothing")
            chosen = _safe_indexing(X[:1], key, axis=1)
            _positions(key, labels)  # pandas takes a slice that ends at a name it does not have
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"modalities: the columns of {name!r}, {key!r}, are not in the data of "
                f"{X.shape[1]} columns ({error})."
            ) from error
        if chosen.shape[1:] == (0,):
            raise ValueError(f"modalities: {name!r} has no columns ({key!r}).")
    return columns


def split_columns(X, columns):
    """Cut a table by a resolved column map into a `ModalityDict`."""
    parts = {name: _safe_indexing(X, key, axis=1) for name, key in columns.items()}
    return ModalityDict(parts)


def _positions(key, names):
    """Column positions or names -> positions, through one row of positions as a table."""
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


def _as_table(X):
    if sparse.issparse(X):
        raise TypeError("ColumnsToModalities takes a dense table; got a sparse one (X.toarray()).")
    if not (hasattr(X, "columns") and hasattr(X, "shape")):
        X = np.asarray(X)
    if len(X.shape) != 2:
        raise ValueError(
            f"ColumnsToModalities takes a 2-D array or a DataFrame; got shape {X.shape}."
        )
    return X


def _is(transformer, *words):
    return isinstance(transformer, str) and transformer in words


def _apply(name, transformer, value, y, method):
    """Run `method` of one modality's transformer; more than two axes go through a 2-D table."""
    if _is(transformer, "drop"):
        return None
    if _is(transformer, "passthrough"):
        return value
    shape = value.shape
    table, steps = value, y
    if len(shape) > 2:
        table = np.asarray(value).reshape(-1, shape[-1])
        steps = None if y is None else np.repeat(y, len(table) // shape[0])
    try:
        if method == "transform":
            output = transformer.transform(table)
        elif method == "fit_transform" and hasattr(transformer, "fit_transform"):
            output = transformer.fit_transform(table, steps)
        else:
            output = transformer.fit(table, steps)
            output = output.transform(table) if method == "fit_transform" else output
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Modality {name!r}, {type(transformer).__name__}: {error}") from error
    if method == "fit" or len(shape) < 3:
        return output
    output = output.toarray() if sparse.issparse(output) else np.asarray(output)
    return output.reshape(*shape[:-1], -1)
