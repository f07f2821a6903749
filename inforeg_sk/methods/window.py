"""The prime learning window: when an encoder gains information fast (paper, Alg. 1)."""

from math import nan

__all__ = ["PADDINGS", "moving_average", "window_ratio"]

PADDINGS = ("none", "zeros")


def moving_average(traces, length, padding="none"):
    """Mean of the last traces.

    Parameters
    ----------
    traces : sequence of float
        At least one, oldest first.
    length : int
        How many epochs are averaged.
    padding : {"none", "zeros"}, default="none"
        What stands before the first epoch: nothing (the mean is over the epochs there are), or
        zeros (as in the authors' code).

    Returns
    -------
    float
    """
    last = traces[-length:]
    return sum(last) / (len(last) if padding == "none" else length)


def window_ratio(traces, smoothing=1, padding="none"):
    """Relative growth of the smoothed trace over the last epoch.

    Parameters
    ----------
    traces : sequence of float
        The traces of all finished epochs, oldest first.
    smoothing : int, default=1
        Length of the moving average, in epochs; 1 takes the traces themselves (the paper).
    padding : {"none", "zeros"}, default="none"
        See `moving_average`.

    Returns
    -------
    float
        ``(MA[t-1] - MA[t-2]) / MA[t-1]``, the window ratio of epoch ``t = len(traces)``; NaN
        where it is not defined: too few epochs, or an average of zero.

    Examples
    --------
    >>> window_ratio([1.0, 2.0])
    0.5
    >>> window_ratio([3.0], smoothing=10, padding="zeros")
    1.0
    >>> window_ratio([0.0, 0.0])
    nan
    """
    if len(traces) < (2 if padding == "none" else 1):
        return nan
    now = moving_average(traces, smoothing, padding)
    before = moving_average(traces[:-1], smoothing, padding) if len(traces) > 1 else 0.0
    return (now - before) / now if now != 0 else nan
