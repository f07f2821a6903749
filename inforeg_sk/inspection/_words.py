"""Pieces of sentences that several parts of a report share."""

from ..utils.words import counted

__all__ = ["folds_told"]


def folds_told(n_folds, n_seeds, same_folds=False):
    """What was repeated: "3 folds x 2 seeds", or "one split, 2 seeds" (str)."""
    if n_folds == 1:
        return f"one split, {counted(n_seeds, 'seed')}"
    same = " (the same folds)" if same_folds and n_seeds > 1 else ""
    return f"{n_folds} folds x {counted(n_seeds, 'seed')}{same}"
