"""Constraints of arguments that several loaders share, and their check."""

from collections.abc import Iterator, Mapping
from os import PathLike

from ..features._constraints import BOOL, COUNT
from ..utils.parameters import (
    ByName,
    Constraint,
    Instance,
    IsNone,
    Options,
    check_parameter,
)

__all__ = [
    "BOOL",
    "COUNT",
    "FOLDER",
    "HOME",
    "MISSING",
    "PATHS_BY_NAME",
    "Subset",
    "check_arguments",
]

_PATH = Instance(str, PathLike, text="a path")
HOME = [IsNone(), _PATH]
MISSING = Options("error", "drop", "allow")


class _FolderName(Constraint):
    """The name of a folder, or "auto"."""

    def accepts(self, value):
        return isinstance(value, str) and bool(value)

    def __str__(self):
        return "'auto' or the name of a folder"


class _PathsByName(ByName):
    """A dict from names to paths."""

    def accepts(self, value):
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)

    def __str__(self):
        return "a dict from modality to path"


class Subset(Constraint):
    """A sequence of some of the given strings, each at most once, and at least one."""

    def __init__(self, *names):
        self.names = names

    def accepts(self, value):
        if isinstance(value, str | Iterator):  # checking an iterator would use it up
            return False
        try:
            names = tuple(value)
            return bool(names) and len(set(names)) == len(names) and set(names) <= set(self.names)
        except TypeError:  # not a sequence, or not one of strings
            return False

    def __str__(self):
        return f"some of {', '.join(map(repr, self.names))}, each once, such as {[self.names[0]]!r}"


FOLDER = [_FolderName()]
PATHS_BY_NAME = _PathsByName(_PATH)


def check_arguments(function, constraints, **arguments):
    """Raise if an argument of a function violates its constraints.

    Parameters
    ----------
    function : str
        Its name, for the message.
    constraints : dict of str to list of Constraint
    **arguments

    Raises
    ------
    InvalidParameterError
        The message names the argument, what it must be and what was given.
    """
    for name, value in arguments.items():
        check_parameter(name, value, constraints[name], function)
