"""Container of data sets with several modalities."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from ..utils.compat import safe_indexing
from .concat import concat_values
from .conversion import as_rows, form_of, refuse_other_containers, reshape_advice
from .tables import (
    check_row_labels,
    column_labels,
    is_table,
    row_labels,
    rows_index,
    shared_column_labels,
)

__all__ = ["ModalityDict"]


class ModalityDict(Mapping):
    """A mapping from modality names to arrays whose rows are the same samples.

    A plain dict is enough for ``clf.fit(X, y)``. scikit-learn's own tools (splitters, searches,
    cross-validation, ``Pipeline``) count and select samples, which a plain dict does not support;
    ``ModalityDict(X)`` does.

    Parameters
    ----------
    data : mapping of str to array-like
        One entry per modality. A value holds one sample per row: an array of shape
        ``(n_samples, ...)``, a DataFrame, a sparse matrix (kept as CSR), a torch tensor, or a list
        of anything (texts, paths, arrays of unequal length: kept as an object array, where None
        stays None); or a mapping of these, for a modality that is made of several arrays, such as
        token ids and their mask; it becomes a `ModalityDict` itself. All values must have the same
        number of samples. Arrays are not copied.

    Attributes
    ----------
    shape : tuple of one int
        ``(n_samples,)``.
    modalities : tuple of str
        The names, in the order given.

    Raises
    ------
    TypeError
        If `data` is not a mapping, or a name is not a string.
    ValueError
        If there is no modality, a name is empty, a value is a scalar, or two modalities have
        different numbers of samples.

    Notes
    -----
    ``X["text"]`` is the array of a modality; any other key selects samples and gives a new
    `ModalityDict`: an integer array, a boolean mask, a slice, one integer, or the tuple
    ``(rows, ...)`` that scikit-learn uses. As with a DataFrame, ``len(X)`` is the number of
    samples while iteration runs over the names. ``X.iloc[rows]`` is ``X[rows]``; ``X.loc[labels]``
    goes by the labels of the rows, where tables or Series have some.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import ModalityDict
    >>> X = ModalityDict({"text": np.ones((4, 3)), "audio": np.zeros((4, 2))})
    >>> X
    ModalityDict(4 samples: text (3,), audio (2,))
    >>> X[[0, 2]].shape
    (2,)
    >>> X["audio"].shape
    (4, 2)
    >>> from sklearn.model_selection import train_test_split
    >>> train, test = train_test_split(X, test_size=1, random_state=0)
    >>> len(train), len(test)
    (3, 1)
    """

    def __init__(self, data):
        refuse_other_containers(data, "The mapping")
        if not is_mapping(data):
            raise TypeError(
                "ModalityDict takes a mapping from modality names to arrays, such as "
                f"{{'text': T, 'audio': A}}; got {type(data).__name__}. A table is cut by "
                "ColumnsToModalities({'text': columns, ...})."
            )
        if len(data.keys()) == 0:
            raise ValueError("ModalityDict got an empty mapping: at least one modality is needed.")
        self._data, labels = {}, {}
        self._columns = dict(getattr(data, "_columns", {}))
        self._forms = dict(getattr(data, "_forms", {}))
        for name in data.keys():
            given = data[check_name(name)]
            self._data[name] = _as_values(name, given)
            self._forms.setdefault(name, form_of(given))
            labels[f"modality {name!r}"] = _rows_of(given)
            if isinstance(given, list | tuple):
                columns = shared_column_labels(name, given)
                if columns is not None:
                    self._columns[name] = columns
        if isinstance(data, ModalityDict):
            self._rows = data._rows
        else:
            check_row_labels(labels, self._hint_at_one_sample())
            self._rows = next(((w, i) for w, i in labels.items() if i is not None), None)
        self.shape = _Shape((common_length(self._data, self._hint_at_one_sample()),))

    @property
    def modalities(self):
        return tuple(self._data)

    # Row selection by two protocols, since scikit-learn uses either.

    def __getitem__(self, key):
        if isinstance(key, str):
            try:
                return self._data[key]
            except KeyError:
                raise KeyError(
                    f"no modality {key!r}; there are {', '.join(map(repr, self._data))}"
                ) from None
        if isinstance(key, tuple):
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(
                    "A ModalityDict has one axis, the samples: it takes X['name'] or X[rows]; "
                    f"got X[{', '.join(map(str, key))}]."
                )
            key = key[0]
        return self.take(key)

    def take(self, indices, axis=0):
        """Select samples.

        Parameters
        ----------
        indices : int, slice, array-like of int, or boolean mask of shape (n_samples,)
            The samples. One integer gives a `ModalityDict` of one sample.
        axis : int, default=0
            Must be 0, the samples; exists for compatibility with ``DataFrame.take``.

        Returns
        -------
        ModalityDict
        """
        if axis != 0:
            raise IndexError(f"A ModalityDict has one axis, the samples; got axis={axis!r}.")
        if isinstance(indices, (int, np.integer)):
            indices = [indices]
        if not isinstance(indices, slice):
            indices = np.asarray(indices)
            if indices.size == 0 and indices.dtype != bool:
                indices = indices.astype(int)
            if indices.dtype.kind not in "iub" or indices.ndim != 1:
                raise IndexError(
                    "Samples are selected by integers, a slice or a boolean mask; got "
                    f"{indices.dtype} of shape {indices.shape}."
                )
            if indices.dtype == bool:
                if len(indices) != len(self):
                    raise IndexError(
                        f"The mask has {len(indices)} entries for {len(self)} samples."
                    )
                indices = np.flatnonzero(indices)
        new = type(self).__new__(type(self))
        new._data = {k: safe_indexing(v, indices) for k, v in self._data.items()}
        new._columns, new._forms = self._columns, self._forms
        new._rows = None
        if self._rows is not None:
            new._rows = (self._rows[0], self._rows[1][indices])
        new.shape = _Shape((n_rows(next(iter(new._data.values()))),))
        return new

    @property
    def iloc(self):
        """Positional row selection, ``X.iloc[rows]``: the same as ``X[rows]``."""
        return self

    @property
    def loc(self):
        """Selection by the labels of the rows, ``X.loc[labels]``, as in a DataFrame.

        A label, a list of labels, a slice of labels (with its end) or a boolean mask. Where no
        modality is a table or Series with labels of its own, the same as ``X[rows]``.

        Raises
        ------
        KeyError
            If there is no sample with a label.
        """
        found = find_row_labels(self)
        return self if found is None else _ByLabel(self, *found)

    @classmethod
    def concat(cls, parts):
        """Samples of several containers, one after another, such as of training and validation.

        Parameters
        ----------
        parts : sequence of ModalityDict or mapping
            With the same modalities, in any order; the values of each of one kind, with samples of
            one shape. Tables go by the labels of their columns.

        Returns
        -------
        ModalityDict
            A copy, with the modalities in the order of the first part. Labels of rows stay where
            all parts have some.

        Raises
        ------
        TypeError, ValueError
            If there is no part, or the parts do not fit together; the message names the modality.

        Examples
        --------
        >>> import numpy as np
        >>> from inforeg_sk import ModalityDict
        >>> train = ModalityDict({"text": np.ones((4, 3)), "audio": np.zeros((4, 2))})
        >>> valid = {"text": np.ones((2, 3)), "audio": np.zeros((2, 2))}
        >>> ModalityDict.concat([train, valid])
        ModalityDict(6 samples: text (3,), audio (2,))
        """
        if is_mapping(parts):
            raise TypeError("ModalityDict.concat takes a list of parts. Got a single one.")
        parts = [part if isinstance(part, ModalityDict) else cls(part) for part in parts]
        if not parts:
            raise ValueError("ModalityDict.concat got no parts: at least one is needed.")
        first = parts[0]
        for number, part in enumerate(parts):
            if set(part) != set(first):
                raise ValueError(
                    f"Part {number} has the modalities {', '.join(map(repr, part))}, and part 0 "
                    f"{', '.join(map(repr, first))}: all parts need the same."
                )
        return cls({name: _concat(name, [part[name] for part in parts]) for name in first})._like(
            parts
        )

    def _like(self, parts):
        """Take over what the values themselves do not say."""
        self._forms = parts[0]._forms
        labels = [part._columns for part in parts]
        for name in dict.fromkeys(name for columns in labels for name in columns):
            found = {columns.get(name) for columns in labels}
            if len(found) > 1:
                raise ValueError(
                    f"Modality {name!r}: the tables of the samples have other columns in different "
                    "parts."
                )
            self._columns[name] = found.pop()
        rows = [part._rows for part in parts]
        if self._rows is None and all(given is not None for given in rows):
            (owner, index), *others = rows
            self._rows = owner, index.append([other for _, other in others])
        return self

    # Labels: what tables say of their columns and rows.

    @property
    def column_labels(self):
        """Labels of the columns by modality, or by part as ``"text[ids]"`` (dict).

        Of tables and lists of tables; None where the values have no labels.
        """
        labels = {}
        for name, value in self._data.items():
            if isinstance(value, ModalityDict):
                inner = value.column_labels
                labels.update({f"{name}[{part}]": columns for part, columns in inner.items()})
            elif not isinstance(value, np.ndarray) and is_table(value):
                labels[name] = column_labels(value)
            else:
                labels[name] = self._columns.get(name)
        return labels

    @property
    def row_labels(self):
        """Labels of the samples (pair of what they belong to and a pandas.Index), or None."""
        return self._rows

    def _hint_at_one_sample(self):
        """What may be behind rows that do not match: the features of one sample taken for rows."""
        arrays = [value for value in self._data.values() if isinstance(value, np.ndarray)]
        if len(arrays) < len(self._data) or any(
            a.ndim > 1 or a.dtype.kind not in "biuf" for a in arrays
        ):
            return ""
        forms = dict.fromkeys(self._forms[name] for name in self._data)
        return "".join(f" {reshape_advice(form, feature=False)}." for form in forms)

    # Mapping. The views are the inner dict's, so that len(X.keys()) counts names.

    def __iter__(self):
        return iter(self._data)

    def __contains__(self, name):
        return name in self._data

    def keys(self):
        return self._data.keys()

    def values(self):
        return self._data.values()

    def items(self):
        return self._data.items()

    def __len__(self):
        return self.shape[0]

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return set(self) == set(other) and all(_equal(self[k], other[k]) for k in self)

    __hash__ = None

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "A ModalityDict is not one array, so tools that need a 2-D array cannot take it. Give "
            "them the 2-D array of all features, and the classifier "
            "modalities={'name': columns, ...}; or take one modality, X['name']."
        )

    def __repr__(self):
        return f"ModalityDict({len(self)} sample{'' if len(self) == 1 else 's'}: {self._parts()})"

    def _parts(self):
        return ", ".join(f"{name} {_describe(value)}" for name, value in self._data.items())


def find_row_labels(X):
    """Labels of the samples, also those that nobody gave, if they are not in order any more.

    Such are those of the rows of a table that were selected or shuffled.

    Parameters
    ----------
    X : ModalityDict

    Returns
    -------
    pair of str and pandas.Index, or None
        Like `ModalityDict.row_labels`.
    """
    return X.row_labels or _first_labels(X, find_row_labels, row_labels)


def find_rows_in_order(X):
    """Labels of the samples that nobody gave, and that are in order, of the first table.

    Parameters
    ----------
    X : ModalityDict

    Returns
    -------
    pair of str and pandas.Index, or None
        Like `ModalityDict.row_labels`.
    """
    return _first_labels(X, find_rows_in_order, _labels_in_order)


def _labels_in_order(value):
    return rows_index(value) if row_labels(value) is None else None


def _first_labels(X, of_several, of_one):
    """What the first labels belong to, and they; by a function of a `ModalityDict`, and of a table.

    Those of one of several arrays are of "modality 'm', array 'a'".
    """
    for name, value in X.items():
        if isinstance(value, ModalityDict):
            found = of_several(value)
            if found is not None:
                what, index = found
                return f"modality {name!r}, {what.replace('modality', 'array', 1)}", index
        elif (index := of_one(value)) is not None:
            return f"modality {name!r}", index
    return None


def forms_of(X):
    """What the modalities of a `ModalityDict` were given as; see `form_of` (dict, else empty)."""
    return getattr(X, "_forms", {})


class _ByLabel:
    """``X.loc`` of a `ModalityDict` whose samples have labels."""

    def __init__(self, X, owner, index):
        self._X, self._owner, self._index = X, owner, index

    def __getitem__(self, key):
        import pandas as pd  # there, since there are labels

        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        elif isinstance(key, tuple) and self._index.nlevels == 1:
            return self._X[key]  # which raises
        try:
            rows = pd.Series(np.arange(len(self._index)), index=self._index).loc[key]
        except (KeyError, TypeError) as error:
            some, reason = ", ".join(map(repr, self._index[:3])), "".join(map(str, error.args[:1]))
            raise KeyError(
                f"X.loc[{key!r}]: samples are selected by the labels of {self._owner}, such as "
                f"{some} ({reason}). Positions are given as X.iloc[rows]."
            ) from error
        return self._X.take(np.atleast_1d(rows).astype(int))


class _Shape(tuple):
    """``(n_samples,)``; who asks for the number of columns reads what has columns."""

    def __getitem__(self, axis):
        try:
            return super().__getitem__(axis)
        except IndexError:
            raise IndexError(
                "A ModalityDict has one axis, the samples, so tools that go through columns, such "
                "as permutation_importance, cannot take it. Give them the 2-D array of all "
                "features, and fit the estimator on it with modalities={'name': columns, ...}; "
                "score_by_modality(X, y) tells what each modality knows by itself."
            ) from None


def check_name(name):
    """Return `name` if it can name a modality, else raise."""
    if not isinstance(name, str):
        raise TypeError(
            f"Modality names must be strings. Got {name!r} of type {type(name).__name__}."
        )
    if not name:
        raise ValueError("A modality name is empty; it must have at least one character.")
    return name


def n_rows(value):
    """Number of samples of one modality's values."""
    return int(value.shape[0])


def common_length(data, advice=""):
    """Return the number of samples that all values of `data` share, else raise, with `advice`."""
    lengths = {name: n_rows(value) for name, value in data.items()}
    first, n = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != n:
            raise ValueError(
                f"Modalities have different numbers of samples: {first!r} has {n}, "
                f"{name!r} has {length}.{advice}"
            )
    return n


def is_mapping(value):
    """Whether a value is a mapping of arrays; a sparse matrix of keys is none."""
    return isinstance(value, Mapping) and not sparse.issparse(value)


def _rows_of(value):
    rows = value.row_labels if isinstance(value, ModalityDict) else row_labels(value)
    return rows[1] if isinstance(rows, tuple) else rows


def _as_values(name, value):
    """Values of one modality, or of each of the arrays that it is made of."""
    if is_mapping(value):
        try:
            return value if isinstance(value, ModalityDict) else ModalityDict(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Modality {name!r}, made of several arrays: {error}") from error
    return as_rows(name, value)


def _concat(name, values):
    """Values of one modality of all parts."""
    several = [isinstance(value, ModalityDict) for value in values]
    if any(several) and not all(several):
        raise TypeError(
            f"Modality {name!r} is made of several arrays in one part and of one in another."
        )
    if not all(several):
        return concat_values(name, values)
    try:
        return ModalityDict.concat(values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Modality {name!r}, made of several arrays: {error}") from error


def _describe(value):
    if isinstance(value, ModalityDict):
        return f"{{{value._parts()}}}"
    return f"{tuple(value.shape[1:])}" if len(value.shape) > 1 else f"({value.dtype})"


def _equal(a, b):
    arrays = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)  # one perhaps memory-mapped
    if a.shape != b.shape or not (arrays or type(a) is type(b)):
        return False
    if isinstance(a, ModalityDict):
        return a == b
    if sparse.issparse(a):
        return all((x != y).nnz == 0 for x, y in zip(_split_nan(a), _split_nan(b)))
    if hasattr(a, "equals"):
        return bool(a.equals(b))
    if np.ma.isMaskedArray(a) or np.ma.isMaskedArray(b):
        masks = [np.ma.getmaskarray(x) for x in (a, b)]
        if not np.array_equal(*masks):
            return False
        a, b = (np.ma.getdata(x)[~mask] for x, mask in zip((a, b), masks))
    if a.dtype == object:  # texts, or arrays of unequal length
        return all(map(np.array_equal, a.flat, b.flat))
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _split_nan(value):
    """A sparse matrix with zeros for NaN, and where it has NaN: NaN equals NaN, as in arrays."""
    nan = np.isnan(value.data) if value.dtype.kind == "f" else np.zeros(len(value.data), dtype=bool)
    numbers, nans = value.copy(), value.astype(bool)
    numbers.data, nans.data = np.where(nan, 0, value.data), nan
    return numbers, nans
