"""Where a warning points."""

import sys
from pathlib import Path

__all__ = ["level_of_caller"]

_PACKAGE = str(Path(__file__).parents[1])


def level_of_caller() -> int:
    """The ``stacklevel`` by which a warning of the calling function points at the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
