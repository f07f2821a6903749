"""One modality through its transformer."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from ..data.container import n_rows
from ..data.presence import find_present, scatter_rows, stack_rows
from ..utils.compat import safe_indexing
from ..utils.parameters import error_kind
from .metadata import Metadata
from .rows import as_single_column, check_folds, check_rows, takes_sequences
from .timesteps import flatten_time_steps, restore_time_steps, sample_of_step

__all__ = ["is_keyword", "run_transformer"]


def is_keyword(transformer, *keywords):
    """Whether `transformer` is one of the given keywords."""
    return isinstance(transformer, str) and transformer in keywords


def run_transformer(name, transformer, value, y, method, padding_value, skip_missing, routed):
    """Run a method of one modality's transformer.

    Parameters
    ----------
    name : str
        The modality, for errors.
    transformer : transformer, "passthrough" or "drop"
    value : the values of the modality in a ModalityDict
    y : array-like of shape (n_samples,) or (n_samples, n_targets), or None
    method : {"fit", "fit_transform", "transform"}
    padding_value : float or None
        See `ModalityTransformer`.
    skip_missing : bool
        Whether samples that lack the modality are left out, and stay missing.
    routed : mapping of str to dict
        Metadata for each method of the transformer; see `ModalityTransformer.get_metadata_routing`.

    Returns
    -------
    transformed values, None for a modality that is dropped or that all samples lack, or, for
    "fit", anything
    """
    if is_keyword(transformer, "drop"):
        return None
    if is_keyword(transformer, "passthrough"):
        return value
    who = f"Modality {name!r}, {type(transformer).__name__}"
    extra = Metadata(y, routed, n_rows(value), who)
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
            value, extra = safe_indexing(value, rows), extra.take(rows)
        value = stack_rows(value)
    output = _run(who, transformer, value, extra, method, padding_value)
    return output if present is None or method == "fit" else scatter_rows(output, present)


def _run(who, transformer, value, extra, method, padding_value):
    """The same on all rows; more than two axes go through a 2-D table."""
    shape = value.shape
    table, real = value, None
    whole = len(shape) < 3 or takes_sequences(transformer)
    try:
        if not whole:
            table, real = flatten_time_steps(np.asarray(value), padding_value)
            extra = extra.take(sample_of_step(shape, real))
            if method != "transform":
                check_folds(transformer, len(value), len(table))
        table = as_single_column(transformer, table)
        output = _call(transformer, method, table, extra)
        if method == "fit":
            return output
        check_rows(output, table, "samples" if whole else "steps")
        if not whole:
            output = _of_steps(output, table, shape)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        kind = error_kind(error)
        hint = "" if "missing='allow'" in str(error) else _hint(value, str(error))
        raise kind(f"{who}: {error}{hint}") from error
    return output if whole else restore_time_steps(output, shape[:-1], real, padding_value)


def _of_steps(output, table, shape):
    """Output for a table of the steps as an array; raise if it can hardly be meant for steps."""
    if sparse.issparse(output):
        return output.toarray()
    if isinstance(output, Mapping):
        parts = ", ".join(map(repr, output))
        raise ValueError(f"it returned the arrays {parts} for steps, which take one array.")
    output = np.asarray(output)
    if output.ndim == 1 and table.ndim == 2:  # such as the mean over axis 1, which are features
        raise ValueError(
            f"it got one row for each step, a table of shape {table.shape}, and returned one value "
            "for each without an axis of features. What is to see the array of shape "
            f"{tuple(shape)}, such as a mean over the steps, is done before, on the values of the "
            "modality, or in a transformer whose tag input_tags.three_d_array is True. If one "
            "value for each step is meant, return a column, values.reshape(-1, 1)."
        )
    return output


def _call(transformer, method, table, extra):
    """Call a method, or those that make it up."""
    if method == "transform":
        return transformer.transform(table, **extra.of("transform"))
    if method == "fit_transform" and hasattr(transformer, "fit_transform"):
        return transformer.fit_transform(table, extra.y, **extra.of("fit_transform"))
    fitted = transformer.fit(table, extra.y, **extra.of("fit"))
    if method == "fit":
        return fitted
    return fitted.transform(table, **extra.of("transform"))


def _hint(value, error):
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
    if "reshape(" in error and isinstance(value, np.ndarray) and value.ndim == 1:
        return " A column of a DataFrame is given as a table, df[['a']], not as a Series."
    return ""
