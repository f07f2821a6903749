"""Ids of parametrized tests that are the same in every process."""

import re

__all__ = ["stable_id"]


def stable_id(value):
    """The value in words, without the addresses of functions and objects."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
