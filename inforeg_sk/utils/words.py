"""Pieces of sentences that messages and reports share."""

__all__ = ["counted", "listed"]


def listed(names):
    """Names in words: "a, b and c" (str)."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def counted(n, noun):
    """A number and its noun: "1 seed", "3 seeds" (str)."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
