"""Checks of data and names, each with an error that says what was got and what is accepted."""

from difflib import get_close_matches

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, check_array

from .container import ModalityDict


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


def check_word(words, **setting):
    """Raise a ValueError that names a setting that is none of `words`."""
    for name, value in setting.items():
        if not (isinstance(value, str) and value in words):
            raise ValueError(
                f"{name}={value!r} is unknown; accepted are {', '.join(map(repr, words))}"
                f"{nearest(value, words)}"
            )


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
        raise ValueError(
            f"X {' and '.join(problems)}: {who} was fitted with the modalities "
            f"{', '.join(map(repr, expected))}."
            + (" With missing='allow' some may be absent." if missing and not unknown else "")
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


def as_modalities(X):
    """Return a mapping as a `ModalityDict`; one that is already is not copied."""
    return X if isinstance(X, ModalityDict) else ModalityDict(X)


def check_y_given(y, estimator):
    """Raise if there is no target."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )


def check_sample_weight(sample_weight, n_samples):
    """Return sample weights as float64, or raise; None stays None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        At least 0, and not all 0.
    n_samples : int

    Returns
    -------
    ndarray of float64 of shape (n_samples,) or None
        A copy.
    """
    if sample_weight is None:
        return None
    if (axes := np.asarray(sample_weight).ndim) > 1:
        raise ValueError(
            f"sample_weight must be a 1D array of shape ({n_samples},); got one of {axes}D."
        )
    weight = _check_sample_weight(
        sample_weight, np.empty((n_samples, 0)), dtype=np.float64, copy=True
    )
    if weight.min() < 0:
        raise ValueError(
            f"sample_weight holds the negative value {weight.min():g}; weights are at least 0."
        )
    if not weight.any():
        raise ValueError("All weights are 0: at least one sample must count.")
    return weight
