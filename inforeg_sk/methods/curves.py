"""What a method reports: named quantities over the epochs."""

from typing import NamedTuple

__all__ = ["REDUCTIONS", "Curve"]

REDUCTIONS = ("mean", "sum")


class Curve(NamedTuple):
    """A quantity that a method records, as its attribute ``curves`` declares it.

    Parameters
    ----------
    description : str
        What it is, in a line; displays show it.
    flag : bool, default=False
        Whether its values are true or false. `FisherTraceDisplay` draws flags as tracks.
    reduction : {"mean", "sum"}, default="mean"
        How the values of the batches make that of the epoch. Batches that record NaN are left out
        of the mean; the sum is the mean times the number of batches that recorded the quantity.
    """

    description: str
    flag: bool = False
    reduction: str = "mean"
