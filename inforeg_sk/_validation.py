"""Checks of data and names, each with an error that says what was got and what is accepted."""

from difflib import get_close_matches

import numpy as np
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array

from .container import ModalityDict

# Rows checked at a time, so that a memory-mapped modality is never read whole.
_CHUNK = 4096


def nearest(name, options):
    """Return ``"; did you mean 'x'?"`` for the option nearest to `name`, or an empty string."""
    close = get_close_matches(str(name), list(options), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def lookup(name, registry, parameter):
    """Return ``registry[name]``, or raise a ValueError that lists what there is."""
    if name not in registry:
        raise ValueError(
            f"{parameter}={name!r} is unknown; accepted are "
            f"{', '.join(map(repr, registry))}{nearest(name, registry)}"
        )
    return registry[name]


def check_known_modalities(given, expected, who):
    """Raise if `given` names are not exactly those `who` was fitted with."""
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    problems = []
    if missing:
        problems.append(f"misses {', '.join(map(repr, missing))}")
    if unknown:
        problems.append(f"has unknown {', '.join(map(repr, unknown))}")
    if problems:
        raise ValueError(
            f"X {' and '.join(problems)}: {who} was fitted with the modalities "
            f"{', '.join(map(repr, expected))}."
        )


def check_shapes(X, expected):
    """Raise if the samples of a modality have another shape than in ``fit``."""
    for name, shape in expected.items():
        got = tuple(X[name].shape[1:])
        if got != tuple(shape):
            raise ValueError(
                f"Modality {name!r} has samples of shape {got}, but was fitted with {tuple(shape)}."
            )


def numeric_modalities(X, dtype):
    """Return the modalities as finite arrays of one floating type.

    Parameters
    ----------
    X : ModalityDict
    dtype : numpy dtype
        Floating type of the result.

    Returns
    -------
    dict of str to ndarray of shape (n_samples, ...)
        In sorted-name order. An array that already has the type is not copied.

    Raises
    ------
    TypeError
        If a modality is sparse or not numeric.
    ValueError
        If there is no sample, or a modality is 1-D, complex, has no values, or holds NaN or
        infinity.
    """
    if len(X) == 0:
        raise ValueError("Found array with 0 sample(s): at least 1 sample is required.")
    return {name: _numeric(name, X[name], dtype) for name in sorted(X)}


def _numeric(name, value, dtype):
    if sparse.issparse(value):
        raise TypeError(
            f"Modality {name!r} is a sparse matrix, but a dense array is needed: use "
            "X.toarray(), or reduce it first (TruncatedSVD in a ModalityTransformer)."
        )
    if np.ma.is_masked(value):
        raise ValueError(
            f"Modality {name!r} has masked values: all values must be there; impute them, or drop "
            "such samples first."
        )
    array = np.asarray(value)
    if array.ndim < 2:
        raise ValueError(
            f"Modality {name!r} has shape {array.shape} and type {array.dtype}: one row a sample "
            "is needed, (n_samples, n_features) or (n_samples, n_steps, n_features). Reshape your "
            "data with array.reshape(-1, 1) if it is a single feature, or encode it first "
            "(ModalityTransformer) if it is text or of unequal lengths."
        )
    if 0 in array.shape:
        raise ValueError(f"Modality {name!r} is empty: 0 feature(s) in shape {array.shape}.")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: modality {name!r} is {array.dtype}.")
    if array.dtype.kind not in "biuf":
        array = _parse(name, array, dtype)
    with np.errstate(over="ignore"):  # an overflow becomes infinite, and is reported below
        converted = array if array.dtype == dtype else array.astype(dtype)
    _check_finite(name, converted, array)
    return converted


def _parse(name, array, dtype):
    """Convert an array of objects that hold numbers; text is refused even where it reads as one."""
    try:
        if array.dtype.kind != "O":
            raise ValueError(f"{array.dtype} values")
        text = next((value for value in array.flat if isinstance(value, (str, bytes))), None)
        if text is not None:
            raise ValueError(f"it holds the text {text!r}")
        return array.astype(dtype)
    except (OverflowError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Modality {name!r} is not numeric ({error}): numbers are needed; encode text or "
            "categories first, for example in a ModalityTransformer."
        ) from error


def _check_finite(name, array, original):
    for start in range(0, len(array), _CHUNK):
        part = array[start : start + _CHUNK]
        # One pass and no copy in the usual case: a sum is finite unless something is not, or it
        # overflows itself, and then every value is looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(part.sum(dtype=np.float64)):
                continue
        bad = ~np.isfinite(part).reshape(len(part), -1)
        if not bad.any():
            continue
        row = start + int(np.flatnonzero(bad.any(axis=1))[0])
        value = np.asarray(original[row], dtype=np.float64).ravel()[np.argmax(bad[row - start])]
        if np.isfinite(value):
            raise ValueError(
                f"Modality {name!r} contains a value too large for {array.dtype} ({value:g}) in "
                f"row {row}: scale it, or use dtype='float64'."
            )
        what = "NaN" if np.isnan(value) else "infinity"
        raise ValueError(
            f"Modality {name!r} contains {what} in row {row}: all values must be finite; impute "
            "or drop such samples first."
        )


def as_table(X, estimator):
    """Return `X` as a DataFrame or 2-D array, or raise and say what is accepted."""
    if hasattr(X, "columns") and hasattr(X, "shape"):
        if X.shape[0] == 0:
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}).")
        return X
    if not sparse.issparse(X):
        try:
            array = X if hasattr(X, "shape") else np.asarray(X)
        except ValueError:  # rows of unequal length, or no rows at all
            array = np.empty((), dtype=object)
        if len(array.shape) != 2 or np.asarray(array).dtype.kind in "US":
            raise ValueError(
                "X is a mapping from modality names to arrays, or a 2-D array or DataFrame (with "
                f"modalities={{'name': columns, ...}} to cut it); got {type(X).__name__}"
                f"{_describe(array)}. Reshape your data with array.reshape(-1, 1) if it is a "
                "single feature."
            )
    return check_array(X, ensure_all_finite=False, estimator=estimator, input_name="X")


def _describe(array):
    return "" if array.dtype == object else f" of shape {tuple(array.shape)}, type {array.dtype}"


def check_target(y, n_samples, estimator):
    """Return the labels as a 1-D array, or raise.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
    n_samples : int
        Number of samples of X.
    estimator : estimator
        Named in errors.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=estimator)
    y = column_or_1d(y, warn=True)
    if len(y) != n_samples:
        raise ValueError(f"y has {len(y)} labels, but X has {n_samples} samples.")
    if y.dtype.kind == "S" or (y.dtype == object and any(isinstance(v, bytes) for v in y)):
        raise TypeError(
            "y holds labels of bytes; string or integer labels are accepted, such as y.astype(str)."
        )
    try:
        check_classification_targets(y)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in y.tolist()})
        if len(kinds) == 1:
            raise
        raise TypeError(
            f"y mixes labels of the types {', '.join(kinds)}, which have no order: give labels of "
            "one type."
        ) from error
    return y


def as_modalities(X):
    """Return a mapping as a `ModalityDict`; one that is already is not copied."""
    return X if isinstance(X, ModalityDict) else ModalityDict(X)
