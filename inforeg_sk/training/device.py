"""Device and floating type, from what the user wrote."""

from functools import lru_cache

import numpy as np
import torch

__all__ = ["resolve_device", "resolve_dtype"]

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@lru_cache
def resolve_device(device, dtype="float32", owner="the estimator"):
    """Return the device to use.

    Parameters
    ----------
    device : str, torch.device or None
        "auto" takes cuda, else mps (which has no float64), else cpu. None is the CPU.
    dtype : str, default="float32"
        The floating type, as a string in any spelling.
    owner : str, default="the estimator"
        Whose parameter it is, for the error.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch does not know the device.
    """
    if device is None:
        return torch.device("cpu")
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if "float64" not in dtype and torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"The 'device' parameter of {owner} must be 'auto', 'cpu', 'cuda', 'cuda:0', 'mps' or "
            f"another device of torch. Got {device!r} ({error})."
        ) from error


def resolve_dtype(dtype, owner="the estimator"):
    """Return the name, numpy and torch type of the floating type.

    Parameters
    ----------
    dtype : {"float32", "float64"}, or the numpy or torch type of that name
    owner : str, default="the estimator"
        Whose parameter it is, for the error.

    Returns
    -------
    tuple of numpy.dtype and torch.dtype

    Raises
    ------
    ValueError
    """
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES and dtype is not None:  # numpy reads None as float64
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = None
    if name not in _DTYPES:
        raise ValueError(
            f"The 'dtype' parameter of {owner} must be one of 'float32', 'float64'. Got {dtype!r}."
        )
    return np.dtype(name), _DTYPES[name]
