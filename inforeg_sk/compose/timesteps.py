"""Sequences as a table with one row a step, without the steps that only pad, and back."""

from math import isnan, prod

import numpy as np

from ..data.padding import real_lengths, real_steps

__all__ = ["flatten_time_steps", "restore_time_steps", "sample_of_step"]


def flatten_time_steps(value, padding_value):
    """Make a table of all real steps of all samples.

    Parameters
    ----------
    value : ndarray of shape (n_samples, ..., n_features)
        With at least three axes.
    padding_value : float or None
        What all features of a padding step hold (NaN is a value too); None, or other than three
        axes, or values that are no numbers: every step is real.

    Returns
    -------
    table : ndarray of shape (n_real_steps, n_features)
        A view of `value` where all are real and memory allows it.
    real : ndarray of bool of shape (n_samples, n_steps), or None
        Where the rows of the table lie in `value`; None: everywhere.
    """
    real = _real_steps(value, padding_value)
    table = value.reshape(-1, value.shape[-1]) if real is None else value[real]
    return table, real


def sample_of_step(shape, real):
    """Which sample each row of the table belongs to.

    Parameters
    ----------
    shape : tuple of int
        ``(n_samples, ..., n_features)``, of the values.
    real :
        See `flatten_time_steps`.

    Returns
    -------
    ndarray of int of shape (n_real_steps,)
    """
    return np.repeat(np.arange(shape[0]), prod(shape[1:-1]) if real is None else real.sum(axis=1))


def restore_time_steps(table, axes, real, padding_value):
    """Put the steps of a table where they came from, and padding where none came from.

    Parameters
    ----------
    table : ndarray of shape (n_real_steps, ...)
    axes : tuple of int
        ``(n_samples, n_steps)``, or more steps' axes.
    real, padding_value
        See `flatten_time_steps`.

    Returns
    -------
    ndarray of shape (n_samples, ..., n_features)
    """
    if real is None:
        return table.reshape(*axes, -1)
    table = table.reshape(len(table), -1)
    dtype = _dtype_that_holds(padding_value, table.dtype)
    value = np.full((*axes, table.shape[1]), padding_value, dtype)
    value[real] = table
    return value


def _real_steps(value, padding_value):
    """Mask of the steps up to each sample's last that is not padding, or None if that is all.

    A sample of nothing but padding keeps its first step; one of nothing but NaN keeps all, since it
    is no padding but a missing sample.
    """
    sequences = value.ndim == 3 and value.shape[1] > 1 and value.dtype.kind in "biuf"
    if padding_value is None or not sequences:
        return None
    # Unlike a numpy scalar, Python's is compared in the array's precision: float32 can hold 0.1.
    padding_value = float(padding_value)
    # No padding without some at the very end, and one step of each sample is quickly read.
    if real_lengths(value[:, -1:], padding_value).all():
        return None
    n_steps = value.shape[1]
    lengths = real_lengths(value, padding_value)
    lengths[lengths == 0] = n_steps if isnan(padding_value) else 1
    return None if lengths.min() == n_steps else real_steps(lengths, n_steps)


def _dtype_that_holds(number, dtype):
    """`dtype` if it holds `number`, else one that does, at least as well as a network's float32."""
    number = np.float64(number)  # which is not rounded to be compared
    if np.isnan(number):
        return dtype if dtype.kind in "fcO" else np.result_type(dtype, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        held = number.astype(dtype)
    if held == number:
        return dtype
    return np.result_type(dtype, np.float32, np.min_scalar_type(number))
