"""Where a loader looks for files: in the given path, or that of the environment variable."""

import os
from pathlib import Path

from ..utils.files import check_inside, is_regular, shorten

__all__ = ["find_home", "first_present"]


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
        If neither gives a path, or ``~user`` names no user with a home folder.
    ValueError
        If the path holds a null character.
    """
    given = parameter
    if value is None:
        given = "the environment variable INFOREG_SK_DATA"
        value = os.environ.get("INFOREG_SK_DATA")
        if not value:
            raise FileNotFoundError(
                f"No folder to look for {what} in: {parameter} is None and the environment "
                f"variable INFOREG_SK_DATA is not set. {how}"
            )
    path = Path(value)
    if "\0" in str(path):
        raise ValueError(f"{given} is {shorten(repr(str(path)))}; no path has a null character.")
    try:
        return path.expanduser()
    except RuntimeError as error:  # what pathlib raises
        raise FileNotFoundError(
            f"{given} is {shorten(repr(str(path)))}: there is no such user, or no home folder."
        ) from error


def first_present(paths, home, follow_links):
    """Return the first of some paths in the folder `home` that exists, or None.

    A regular file is preferred to anything else of the same name. A link that leads nowhere exists
    here, so that reading it says so.

    Raises
    ------
    UnreadableFileError
        If it is a symbolic link to outside of `home`, unless `follow_links`.
    """
    present = [path for path in paths if os.path.lexists(path)]
    if not present:
        return None
    found = next(filter(is_regular, present), present[0])
    check_inside(found, home, follow_links)
    return found
