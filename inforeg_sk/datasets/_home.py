"""Where the files of a data set are looked for: what the user says, else the environment."""

import os
from pathlib import Path

__all__ = ["find_home"]


def find_home(parameter, value, what, how):
    """Return the path that a loader starts from.

    Parameters
    ----------
    parameter : str
        What the loader calls `value`.
    value : str, path-like or None
        None takes the environment variable INFOREG_SK_DATA.
    what : str
        What is looked for, with its verb: ``"aligned_50.pkl was"``.
    how : str
        How to get it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If neither names a place.
    TypeError
        If `value` is no path.
    """
    if value is None:
        value = os.environ.get("INFOREG_SK_DATA")
        if not value:
            raise FileNotFoundError(
                f"{what} looked for nowhere: {parameter} is None and the environment variable "
                f"INFOREG_SK_DATA is not set. {how}"
            )
    try:
        return Path(value).expanduser()
    except TypeError:
        raise TypeError(
            f"{parameter} must be None, a str or a path; got {type(value).__name__}."
        ) from None
