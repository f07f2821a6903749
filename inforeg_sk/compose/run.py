"""One modality through its transformer."""

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from ..data.presence import find_present, scatter_rows, stack_rows
from ..utils.compat import safe_indexing
from ..utils.parameters import error_kind
from .timesteps import flatten_time_steps, restore_time_steps

__all__ = ["is_keyword", "run_transformer"]


def is_keyword(transformer, *keywords):
    """Whether `transformer` is one of the given keywords."""
    return isinstance(transformer, str) and transformer in keywords


def run_transformer(name, transformer, value, y, method, padding_value, skip_missing):
    """Run a method of one modality's transformer.

    Parameters
    ----------
    name : str
        The modality, for errors.
    transformer : transformer, "passthrough" or "drop"
    value : the values of the modality in a ModalityDict
    y : array-like of shape (n_samples,) or None
    method : {"fit", "fit_transform", "transform"}
    padding_value : float or None
        See `ModalityTransformer`.
    skip_missing : bool
        Whether samples that lack the modality are left out, and stay missing.

    Returns
    -------
    transformed values, None for a modality that is dropped or that all samples lack, or, for
    "fit", anything
    """
    if is_keyword(transformer, "drop"):
        return None
    if is_keyword(transformer, "passthrough"):
        return value
    present = None
    if skip_missing:
        present = find_present(value)
        if present is not None:
            if not present.any():
                if method == "transform":
                    return None
                raise ValueError(
                    f"Modality {name!r} is missing in every sample, so its transformer cannot be "
                    "fitted: leave it out."
                )
            rows = np.flatnonzero(present)
            value = safe_indexing(value, rows)
            y = None if y is None else safe_indexing(y, rows)
        value = stack_rows(value)
    output = _run(name, transformer, value, y, method, padding_value)
    return output if present is None or method == "fit" else scatter_rows(output, present)


def _run(name, transformer, value, y, method, padding_value):
    """The same on all rows; more than two axes go through a 2-D table."""
    who = f"Modality {name!r}, {type(transformer).__name__}"
    shape = value.shape
    table, real = value, None
    whole = len(shape) < 3 or _takes_sequences(transformer)
    try:
        if not whole:
            table, y, real = flatten_time_steps(np.asarray(value), y, padding_value)
        if method == "transform":
            output = transformer.transform(table)
        elif method == "fit_transform" and hasattr(transformer, "fit_transform"):
            output = transformer.fit_transform(table, y)
        else:
            output = transformer.fit(table, y)
            output = output.transform(table) if method == "fit_transform" else output
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        kind = error_kind(error)
        hint = "" if "missing='allow'" in str(error) else _hint(value)
        raise kind(f"{who}: {error}{hint}") from error
    if method == "fit" or whole:
        return output
    output = output.toarray() if sparse.issparse(output) else np.asarray(output)
    if output.shape[:1] != (len(table),):
        raise ValueError(f"{who}: output of shape {output.shape} for {len(table)} steps.")
    return restore_time_steps(output, shape[:-1], real, padding_value)


def _takes_sequences(transformer):
    """Whether a transformer says, by its tags, that it takes arrays of three axes as they are."""
    return isinstance(transformer, BaseEstimator) and get_tags(transformer).input_tags.three_d_array


def _hint(value):
    """What may be behind an error of a transformer, or nothing."""
    present = find_present(value)
    if present is not None:
        return (
            f" Sample {int(np.argmin(present))} has no value here: "
            "ModalityTransformer(missing='allow') leaves such samples out."
        )
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        if all(isinstance(row, np.ndarray) for row in value):
            return " Samples are arrays of unequal lengths: PadSequences makes one array of them."
    return ""
