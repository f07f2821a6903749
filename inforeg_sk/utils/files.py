"""Files of others: regular ones only, inside the given folder, and errors that name them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "BadFile",
    "UnreadableFileError",
    "check_file",
    "check_inside",
    "check_size",
    "is_pointer",
    "is_regular",
    "leads_out",
    "named",
    "shorten",
]

# Beginning of a file that git-lfs has not fetched: a few lines of text.
_POINTER = b"version https://git-lfs"
# What a failed download leaves: a page, or the error message of a server.
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")
_HEAD = 512  # bytes that tell a pointer or a page


class BadFile(ValueError):
    """What is wrong with a file, as the rest of a sentence about it; the caller names the file."""


class UnreadableFileError(ValueError):
    """A file that cannot be used: damaged, not what it should be, or beyond a limit.

    The message names the file.
    """


def shorten(value: object, length: int = 120) -> str:
    """Return a value as text for a message, cut in the middle if it is long."""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= length:
        return text
    return f"{text[: length // 2]}...{text[-length // 3 :]}"


@contextmanager
def named(path: object, kind: str) -> Iterator[None]:
    """Name the file in every error that reading it raises.

    Parameters
    ----------
    path : str or path-like
    kind : str
        What the file should be, with its article, such as ``"an HDF5 file"``.

    Raises
    ------
    UnreadableFileError
        In place of a `BadFile`, an exception of a library, or a MemoryError. Those that name the
        file already (UnreadableFileError, FileNotFoundError), ImportError, and warnings that the
        user's filters turn into errors, pass.
    """
    try:
        yield
    except (UnreadableFileError, FileNotFoundError, ImportError, Warning):
        raise
    except BadFile as error:
        raise UnreadableFileError(f"{path}: {error}") from error
    except MemoryError as error:
        raise UnreadableFileError(f"{path}: reading it needs more memory than there is.") from error
    except Exception as error:  # on damaged data, libraries raise all kinds
        raise UnreadableFileError(
            f"{path} is damaged or not {kind} ({type(error).__name__}: {shorten(error)})."
        ) from error


def check_file(path: str | os.PathLike[str]) -> int:
    """Return the size of a regular file, in bytes; look at its beginning, but read no more.

    A named pipe or a device is never opened: opening one can wait for ever.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadFile
        If it is not a regular file, is empty, cannot be opened, or is a pointer of git-lfs or a
        web page in place of data.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path}: there is no such file.") from error
    except (OSError, ValueError) as error:  # too long, a null character, no permission
        raise BadFile(f"it cannot be opened ({_reason(error)}).") from error
    if stat.S_ISDIR(status.st_mode):
        raise BadFile("it is a folder, not a file.")
    if not stat.S_ISREG(status.st_mode):
        raise BadFile("it is not a regular file, but a pipe, a socket or a device.")
    if status.st_size == 0:
        raise BadFile("the file is empty (0 bytes).")
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise BadFile(f"it cannot be opened ({_reason(error)}).") from error
    if head.startswith(_POINTER):
        raise BadFile(
            "it is a pointer of git-lfs, not the data: install git-lfs and run `git lfs pull` in "
            "the repository."
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        raise BadFile(
            "it is a web page, not the data: a failed download often leaves one. Open it in a "
            "browser to see why, and download the file again."
        )
    return status.st_size


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error  # str(error) would repeat the path


def is_pointer(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file is a pointer of git-lfs in place of the data."""
    if not is_regular(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a regular file that may be opened without waiting."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def leads_out(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Whether symbolic links lead from a path in a folder to outside of that folder."""
    outside = Path(os.path.realpath(path))
    return not outside.is_relative_to(os.path.realpath(folder))


def check_inside(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], follow_links: bool
) -> None:
    """Raise if a file found in a folder is a link to outside of it.

    Raises
    ------
    UnreadableFileError
        The message says where the link leads, and names `follow_links`.
    """
    if not follow_links and leads_out(path, folder):
        raise UnreadableFileError(
            f"{path} is a symbolic link to {os.path.realpath(path)}, outside of {folder}; such "
            "links are not followed without follow_links=True."
        )


def check_size(what: str, n_bytes: int, max_bytes: int) -> None:
    """Raise if something that a file claims would take more memory than allowed.

    Parameters
    ----------
    what : str
        As the subject of the sentence, such as ``"variable d_depth"``.
    n_bytes : int
    max_bytes : int
        The parameter of this name.

    Raises
    ------
    BadFile
    """
    if n_bytes > max_bytes:
        raise BadFile(
            f"{what} would take {n_bytes} bytes of memory; max_bytes={max_bytes} is the limit."
        )
