"""Where a loader looks for files: in the given path, or that of the environment variable."""

import os
from pathlib import Path

__all__ = ["find_home"]


def find_home(parameter, value, what, how):
    """Return the path that a loader looks for files in.

    Parameters
    ----------
    parameter : str
        Name of the loader's parameter that holds `value`.
    value : str, path-like or None
        None uses the environment variable INFOREG_SK_DATA.
    what : str
        What the loader looks for, for the error message, such as ``"aligned_50.pkl"``.
    how : str
        How to get it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If neither gives a path.
    """
    if value is None:
        value = os.environ.get("INFOREG_SK_DATA")
        if not value:
            raise FileNotFoundError(
                f"No folder to look for {what} in: {parameter} is None and the environment "
                f"variable INFOREG_SK_DATA is not set. {how}"
            )
    return Path(value).expanduser()
