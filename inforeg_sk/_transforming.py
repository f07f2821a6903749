"""One modality through its transformer."""

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing, get_tags

from ._missing import present_rows, scatter_rows, stack_rows
from ._steps import from_steps, to_steps

__all__ = ["is_word", "run_transformer"]


def is_word(transformer, *words):
    """Whether a transformer is one of the words that may stand for one."""
    return isinstance(transformer, str) and transformer in words


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
    if is_word(transformer, "drop"):
        return None
    if is_word(transformer, "passthrough"):
        return value
    there = None
    if skip_missing:
        there = present_rows(value)
        if there is not None:
            if not there.any():
                if method == "transform":
                    return None
                raise ValueError(
                    f"Modality {name!r} is missing in every sample, so its transformer cannot be "
                    "fitted: leave it out."
                )
            rows = np.flatnonzero(there)
            value = _safe_indexing(value, rows)
            y = None if y is None else _safe_indexing(y, rows)
        value = stack_rows(value)
    output = _run(name, transformer, value, y, method, padding_value)
    return output if there is None or method == "fit" else scatter_rows(output, there)


def _run(name, transformer, value, y, method, padding_value):
    """The same on all rows; more than two axes go through a 2-D table."""
    who = f"Modality {name!r}, {type(transformer).__name__}"
    shape = value.shape
    table, real = value, None
    whole = len(shape) < 3 or _takes_sequences(transformer)
    try:
        if not whole:
            table, y, real = to_steps(np.asarray(value), y, padding_value)
        if method == "transform":
            output = transformer.transform(table)
        elif method == "fit_transform" and hasattr(transformer, "fit_transform"):
            output = transformer.fit_transform(table, y)
        else:
            output = transformer.fit(table, y)
            output = output.transform(table) if method == "fit_transform" else output
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        hint = "" if "missing='allow'" in str(error) else _hint(value)
        raise kind(f"{who}: {error}{hint}") from error
    if method == "fit" or whole:
        return output
    output = output.toarray() if sparse.issparse(output) else np.asarray(output)
    if output.shape[:1] != (len(table),):
        raise ValueError(f"{who}: output of shape {output.shape} for {len(table)} steps.")
    return from_steps(output, shape[:-1], real, padding_value)


def _takes_sequences(transformer):
    """Whether a transformer says, by its tags, that it takes arrays of three axes as they are."""
    return isinstance(transformer, BaseEstimator) and get_tags(transformer).input_tags.three_d_array


def _hint(value):
    """What may be behind an error of a transformer, or nothing."""
    there = present_rows(value)
    if there is not None:
        return (
            f" Sample {int(np.argmin(there))} has no value here: "
            "ModalityTransformer(missing='allow') leaves such samples out."
        )
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        if all(isinstance(row, np.ndarray) for row in value):
            return " Samples are arrays of unequal lengths: PadSequences makes one array of them."
    return ""
