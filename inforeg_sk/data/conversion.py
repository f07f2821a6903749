"""What the user gives as values of a modality, or as a table, in a form whose rows can be cut."""

import numpy as np
import torch
from scipy import sparse
from torch.utils.data import DataLoader, Dataset

from .tables import is_table

__all__ = ["as_rows", "as_table", "form_of", "refuse_other_containers", "reshape_advice"]

# How to make a table of what has one axis: of one feature, and of one sample.
_RESHAPED = {
    "array": ("array.reshape(-1, 1)", "array.reshape(1, -1)"),
    "list": ("np.asarray(x).reshape(-1, 1)", "np.asarray(x).reshape(1, -1)"),
    "Series": ("df[['a']] or series.to_frame()", "df.iloc[[0]]"),
    "Series of polars": ("df[['a']] or series.to_frame()", "df[[0]]"),
}


def as_rows(name, value):
    """Return the values of a modality in a form whose rows can be counted and selected.

    Parameters
    ----------
    name : str
        The modality, for errors.
    value : array-like, DataFrame, sparse matrix, tensor, or list of anything

    Returns
    -------
    ndarray, DataFrame or CSR matrix
        Not a copy, if it is one of these already.

    Raises
    ------
    TypeError, ValueError
    """
    what = f"Modality {name!r}"
    refuse_other_containers(value, what)
    if value is None:
        raise ValueError(
            f"{what} is None: leave a modality that is not given out of the mapping. An estimator "
            "with missing='allow' then takes it as missing."
        )
    if sparse.issparse(value):
        return _canonical(value)
    value = _from_arrow(value)
    if is_table(value):
        return value
    if isinstance(value, torch.Tensor):
        value = _from_tensor(value, what)
    elif not isinstance(value, np.ndarray):
        value = _from_list(value, what)
    if value.ndim == 0:
        raise ValueError(
            f"{what} is a single value, {value.item()!r}; an array with one sample a row is needed."
        )
    return value


def as_table(X, owner):
    """Return a table of numbers or of anything as a DataFrame, an array or a sparse matrix.

    Parameters
    ----------
    X : DataFrame, array-like, sparse matrix or tensor
    owner : str
        Who takes it, for errors.

    Returns
    -------
    DataFrame, ndarray or sparse matrix

    Raises
    ------
    TypeError
    """
    refuse_other_containers(X, f"X of {owner}")
    if sparse.issparse(X):
        return X
    if isinstance(X, torch.Tensor):
        return _from_tensor(X, "X")
    X = _from_arrow(X)
    if is_table(X) or hasattr(X, "shape"):
        return X
    return _from_list(X, "X")


def form_of(value):
    """What a value is, as far as it matters for `reshape_advice`.

    Parameters
    ----------
    value : object
        As the user gave it.

    Returns
    -------
    {"array", "list", "Series", "Series of polars"}
        "list" is anything else that has no ``reshape``.
    """
    if hasattr(value, "to_frame"):
        return "Series" if hasattr(value, "iloc") else "Series of polars"
    return "array" if hasattr(value, "reshape") else "list"


def reshape_advice(form, feature=True):
    """What to do with one axis where two are needed, in terms that the value given can follow.

    Parameters
    ----------
    form : str
        See `form_of`.
    feature : bool, default=True
        Whether the value may be a single feature, rather than a single sample.

    Returns
    -------
    str
        A sentence without its end.
    """
    column, row = _RESHAPED[form]
    start = "A Series has one axis: give a table," if "Series" in form else "Reshape your data with"
    column = f"{column} if it is a single feature, or " if feature else ""
    return f"{start} {column}{row} if it is a single sample"


def refuse_other_containers(value, what):
    """Raise where a value only looks like an array.

    These are datasets, packed sequences, lazy frames, and structured arrays.
    """
    kind = type(value)
    if isinstance(value, Dataset | DataLoader):
        raise TypeError(
            f"{what} is a Dataset or DataLoader ({kind.__name__}), which is not taken: give "
            "arrays, X = {'text': T, 'audio': A} and y, whose rows are the samples. Memory-mapped "
            "arrays (np.load(file, mmap_mode='r')) are read a batch at a time."
        )
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        raise TypeError(
            f"{what} is a PackedSequence, whose rows are not the samples: give the list of the "
            "sequences and pad it with PadSequences, or torch.nn.utils.rnn.pad_packed_sequence."
        )
    if kind.__name__ == "LazyFrame":
        raise TypeError(f"{what} is a LazyFrame, which holds no values yet: give x.collect().")
    if isinstance(value, np.ndarray):
        _refuse_fields(value, what)


def _refuse_fields(array, what, code="a"):
    """Raise for a structured array, whose columns are hidden in its type."""
    fields = array.dtype.names
    if fields is None:
        return
    table = f"pd.DataFrame({code}{'.ravel()' * (array.ndim > 1)})"
    shown = ", ".join(map(repr, fields[:5])) + (", ..." if len(fields) > 5 else "")
    raise TypeError(
        f"{what} is a structured array with the fields {shown}: give a table of them, {table}; or, "
        f"if all are numbers, an array, numpy.lib.recfunctions.structured_to_unstructured({code})."
    )


def _canonical(value):
    value = value.tocsr()
    if not value.has_canonical_format:  # entries of one place count as their sum
        value = value.copy()
        value.sum_duplicates()
    return value


def _from_tensor(value, what):
    """A tensor as an array: numpy is not copied to each worker."""
    value = value.detach().cpu()
    if value.layout != torch.strided:
        raise TypeError(f"{what} is a sparse tensor; give a dense one, x.to_dense().")
    # numpy has no bfloat16; float32 holds every value of it.
    return (value.float() if value.dtype == torch.bfloat16 else value).resolve_conj().numpy()


def _from_arrow(value):
    """A pyarrow Table as a DataFrame, which can be cut by rows and columns."""
    return value.to_pandas() if hasattr(value, "column_names") else value


def _from_list(value, what):
    """Convert a list or the like; what is ragged, or of several types, becomes objects."""
    if isinstance(value, list | tuple):
        refused = next((v for v in value if isinstance(v, Dataset | DataLoader)), None)
        if refused is not None:
            refuse_other_containers(refused, what)
        for item in value:
            if isinstance(item, np.void):
                _refuse_fields(item, f"{what}, as an array,", "np.asarray(a)")
            elif isinstance(item, np.ndarray):
                _refuse_fields(item, f"{what}, in each sample,")
        value = [_from_tensor(v, what) if isinstance(v, torch.Tensor) else v for v in value]
    try:
        array = np.asarray(value)
        # numpy would make a text of a number or NaN that stands among texts.
        if array.dtype.kind in "US":
            objects = np.asarray(value, dtype=object)
            if not all(isinstance(item, str | bytes) for item in objects.flat):
                return objects
        return array
    except ValueError:
        array = np.empty(len(value), dtype=object)
        array[:] = [None if item is None else np.asarray(item) for item in value]
        return array
