"""Modalities side by side as the columns of one table."""

from math import prod
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from ..utils.parameters import Constraint, Instance, IsNone, Options, SequenceOf, check_parameters
from ..utils.suggestions import did_you_mean
from .arrays import check_arrays
from .checks import check_known_modalities, check_rows_beside
from .container import ModalityDict, is_mapping
from .presence import CHUNK
from .spec import check_shapes, sample_shapes
from .tables import check_column_labels

__all__ = ["ModalitiesToColumns"]


class ModalitiesToColumns(TransformerMixin, BaseEstimator):
    """Put modalities side by side as the columns of a 2-D array, for estimators that want one.

    ``make_pipeline(ModalitiesToColumns(), LogisticRegression())`` is a baseline in one line.
    `ColumnsToModalities` does the opposite.

    Parameters
    ----------
    modalities : list of str or None, default=None
        Which modalities to take, in this order. None: all, in the order of the data given to
        ``fit``.
    missing : {"error", "allow"}, default="error"
        What a sample without any value in a modality is (all NaN; all masked; None): an error, or
        NaN in all columns of the modality. With "allow" a modality may also be left out of the data
        given to ``transform``.

    Attributes
    ----------
    modalities_ : tuple of str
        The modalities, in the order of their columns.
    columns_ : dict of str to slice
        The columns of each modality, in a form that ``modalities=`` of the multimodal estimators
        and `ColumnsToModalities` take.

    Raises
    ------
    TypeError
        If X is not a mapping, or a modality is not numeric or made of several arrays, such as token
        ids and their mask.
    ValueError
        If a modality of `modalities` is not in the data; if the data given to ``transform`` miss a
        modality, or its samples have another shape than in ``fit``; if there are NaN or infinite
        values, where they are not a missing sample; if sequences are padded with NaN, since the
        same column would be a step of some samples and nothing in others; if a sample of a sparse
        modality is missing.

    Notes
    -----
    Samples of more axes, such as images and sequences of one length, are flattened. If a modality
    is sparse the result is (CSR). It is float32 if all modalities have that type or less, else
    float64.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import ModalitiesToColumns
    >>> X = {"text": np.array([[1.0, 2.0], [3.0, 4.0]]), "audio": np.array([[5.0], [6.0]])}
    >>> to_columns = ModalitiesToColumns().fit(X)
    >>> to_columns.transform(X)
    array([[1., 2., 5.],
           [3., 4., 6.]])
    >>> to_columns.get_feature_names_out()
    array(['text__x0', 'text__x1', 'audio__x0'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "modalities": [IsNone(), SequenceOf(Instance(str, text="a str"), alone=True)],
        "missing": [Options("error", "allow")],
    }

    def __init__(self, modalities=None, *, missing="error"):
        self.modalities = modalities
        self.missing = missing

    def fit(self, X, y=None):
        """Remember the modalities, their order and shapes.

        Parameters
        ----------
        X : dict of str to array, or ModalityDict
        y : array-like of shape (n_samples,), default=None
            Only the labels of its rows, if it has some, are compared with those of X.

        Returns
        -------
        self : ModalitiesToColumns
        """
        check_parameters(self)
        X = _as_modalities(X)
        check_rows_beside(X, {"y": y})
        names = self._choose(X)
        chosen = ModalityDict({name: X[name] for name in names})
        checked = self._check(chosen)
        absent = [name for name in names if name not in checked.arrays]
        if absent:
            raise ValueError(
                f"Modality {absent[0]!r} is missing in every sample, so its columns are unknown: "
                "leave it out."
            )
        self.modalities_ = names
        self._shapes = sample_shapes(checked.arrays)
        self._labels = chosen.column_labels
        self._thin = {name for name, array in checked.arrays.items() if sparse.issparse(array)}
        ends = np.cumsum([prod(self._shapes[name]) for name in names]).tolist()
        starts = [0, *ends[:-1]]
        self.columns_ = {n: slice(a, b) for n, a, b in zip(names, starts, ends, strict=True)}
        return self

    def transform(self, X):
        """Put the modalities side by side.

        Parameters
        ----------
        X : dict of str to array, or ModalityDict
            The modalities that ``fit`` saw, in any order; those that it did not choose may be left
            out.

        Returns
        -------
        ndarray or CSR matrix of float32 or float64 of shape (n_samples, n_columns)
        """
        check_is_fitted(self, "modalities_")
        X = _as_modalities(X)
        taken = tuple(X) if self.modalities is None else [n for n in X if n in self.modalities_]
        owner = type(self).__name__
        check_known_modalities(taken, self.modalities_, owner, partial=self.missing == "allow")
        if not taken:
            raise ValueError(
                f"X has none of the modalities that {owner} was fitted with, "
                f"{', '.join(map(repr, self.modalities_))}."
            )
        chosen = ModalityDict({name: X[name] for name in taken})
        check_column_labels(self._labels, chosen.column_labels, owner)
        checked = self._check(chosen)
        check_shapes(checked.arrays, self._shapes)
        blocks = [self._block(name, checked) for name in self.modalities_]
        if any(map(sparse.issparse, blocks)):
            return sparse.hstack(blocks, format="csr")
        return np.hstack(blocks)

    def inverse_transform(self, X):
        """Cut columns into modalities again.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_columns)

        Returns
        -------
        ModalityDict
            Samples in the shapes of ``fit``.
        """
        check_is_fitted(self, "modalities_")
        X = check_array(X, accept_sparse="csr", ensure_all_finite=False, dtype=None)
        n_columns = max(columns.stop for columns in self.columns_.values())
        if X.shape[1] != n_columns:
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} made {n_columns}."
            )
        values = {}
        for name, columns in self.columns_.items():
            part, shape = X[:, columns], self._shapes[name]
            if len(shape) > 1:
                part = part.toarray() if sparse.issparse(part) else part
                part = part.reshape(len(part), *shape)
            values[name] = part
        return ModalityDict(values)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, each with its modality in front.

        Parameters
        ----------
        input_features : ignored
            The names come from the DataFrames seen in ``fit``, else they are ``x0``, ``x1``, ...

        Returns
        -------
        ndarray of str
            ``"text__x0"`` and so on, modality after modality.
        """
        check_is_fitted(self, "modalities_")
        names = []
        for name, columns in self.columns_.items():
            labels = self._labels.get(name) or [
                f"x{i}" for i in range(columns.stop - columns.start)
            ]
            names += [f"{name}__{label}" for label in labels]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = self.missing == "allow"
        return tags

    def _choose(self, X):
        """The modalities to take, in order."""
        if self.modalities is None:
            return tuple(X)
        names = tuple(self.modalities)
        for name in names:
            if name not in X:
                raise ValueError(
                    f"The 'modalities' parameter of {type(self).__name__} names {name!r}, but the "
                    f"data's modalities are {', '.join(map(repr, X))}{did_you_mean(name, X)}"
                )
        if len(set(names)) < len(names):
            raise ValueError(
                f"The 'modalities' parameter of {type(self).__name__} must name each modality "
                f"once. Got {names!r}."
            )
        return names

    def _check(self, X):
        """The chosen modalities, checked at the door of the house."""
        several = [name for name in X if is_mapping(X[name])]
        if several:
            raise TypeError(
                f"Modality {several[0]!r} is made of the arrays "
                f"{', '.join(map(repr, X[several[0]]))}, which are no columns of features: "
                "encode it first (ModalityTransformer), or choose others, modalities=[...]."
            )
        small = all(np.dtype(getattr(X[n], "dtype", object)) in _SMALL for n in X)
        dtype = np.dtype(np.float32 if small else np.float64)
        checked = check_arrays(X, len(X), dtype, missing=self.missing)
        for name, array in checked.arrays.items():
            self._refuse_gaps(name, array, checked.presence.mask(name).numpy())
        return checked

    @staticmethod
    def _refuse_gaps(name, array, present):
        """Raise for what has no place in columns: padding, and missing samples of sparse ones."""
        if sparse.issparse(array):
            if not present.all():
                raise ValueError(
                    f"Modality {name!r} is sparse, and missing in row {int(np.argmin(present))}: "
                    "such a row has no values that stand for it. Impute it first, or make the "
                    "modality dense, x.toarray()."
                )
            return
        for start in range(0, len(array), CHUNK) if array.ndim == 3 else ():
            rows = slice(start, start + CHUNK)
            padded = np.isnan(array[rows, -1]).any(axis=1) & present[rows]
            if padded.any():
                raise ValueError(
                    f"Modality {name!r} has sequences of unequal lengths (row "
                    f"{start + int(np.argmax(padded))} is padded with NaN), whose steps are no "
                    "columns: take statistics of the steps first, or choose others, "
                    "modalities=[...]."
                )

    def _block(self, name, checked):
        """Columns of one modality."""
        array = checked.arrays.get(name)
        n_columns = prod(self._shapes[name])
        if array is None:
            if name in self._thin:
                raise ValueError(
                    f"Modality {name!r} was sparse in fit and is missing in every sample now: such "
                    "rows have no values that stand for them."
                )
            return np.full((checked.n_samples, n_columns), np.nan, _type_of(checked))
        if sparse.issparse(array):
            return array
        block = array.reshape(len(array), -1)
        present = checked.presence.mask(name).numpy()
        if present.all():
            return block
        return np.where(present[:, None], block, np.asarray(np.nan, block.dtype))


#: Types that float32 holds without loss.
_SMALL = [np.dtype(t) for t in ("float16", "float32", "int8", "uint8", "int16", "uint16", "bool")]


def _type_of(checked):
    return next(iter(checked.arrays.values())).dtype


def _as_modalities(X):
    if isinstance(X, ModalityDict):
        return X
    if not is_mapping(X):
        raise TypeError(
            "ModalitiesToColumns takes a mapping from modality names to arrays, such as "
            f"{{'text': T, 'audio': A}}. Got {type(X).__name__}; a table has its columns already."
        )
    return ModalityDict(X)
