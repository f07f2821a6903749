"""How a loader reads the files of others: limits, links, and a worker process if wanted."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..features._constraints import BOOL, COUNT, POSITIVE

__all__ = ["READING", "Reading"]

#: Constraints of the parameters that loaders share.
READING = {
    "max_bytes": [COUNT],
    "follow_links": [BOOL],
    "isolate": [BOOL],
    "time_limit": [POSITIVE],
}


class Reading(NamedTuple):
    """Passed from a loader to the functions that find and read its files."""

    # Calls a function of module level on its arguments: here, or in a worker process.
    call: Callable[..., Any]
    max_bytes: int
    follow_links: bool
