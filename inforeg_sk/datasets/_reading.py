"""How a loader reads the files of others: limits, links, and a worker process if wanted."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..features._constraints import BOOL
from ..features._constraints import READING as _OF_FRONT_ENDS

__all__ = ["READING", "Reading"]

#: Constraints of the parameters that loaders share.
READING = {**_OF_FRONT_ENDS, "follow_links": [BOOL]}


class Reading(NamedTuple):
    """Passed from a loader to the functions that find and read its files."""

    # Calls a function of module level on its arguments: here, or in a worker process.
    call: Callable[..., Any]
    max_bytes: int
    follow_links: bool
