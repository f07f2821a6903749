"""Pieces of sentences that several parts of a report share."""

__all__ = ["counted", "folds_told", "listed"]


def listed(names):
    """Names in words: "a, b and c" (str)."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def counted(n, noun):
    """A number and its noun: "1 seed", "3 seeds" (str)."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def folds_told(n_folds, n_seeds, same_folds=False):
    """What was repeated: "3 folds x 2 seeds", or "one split, 2 seeds" (str)."""
    if n_folds == 1:
        return f"one split, {counted(n_seeds, 'seed')}"
    same = " (the same folds)" if same_folds and n_seeds > 1 else ""
    return f"{n_folds} folds x {counted(n_seeds, 'seed')}{same}"
