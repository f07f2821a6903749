"""How long fits will take, from a few epochs of one of them."""

import warnings

from sklearn.base import clone

from .parts import fit_alone

__all__ = ["duration", "seconds_of_fit"]

# Epochs of the two short fits whose difference is the time of an epoch.
_SHORT, _LONG = 1, 4


def seconds_of_fit(estimator, part):
    """Estimate how long a fit of a network takes by itself.

    Two clones are fitted, for one epoch and for four: what the second takes more is three epochs.
    Early stopping is not foreseen, so that the estimate is at most right.

    Parameters
    ----------
    estimator : estimator
        Not fitted; it has `max_epochs`.
    part : Part

    Returns
    -------
    float
        NaN if these fits fail: the fit itself will say why.
    """
    spent = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of models that are hardly trained
        for n_epochs in (_SHORT, _SHORT, _LONG):  # the first one warms up
            one = fit_alone(_short(estimator, n_epochs), part)
            if one.error is not None:
                return float("nan")
            spent.append(one.fit_time)
    del spent[0]
    epoch = max(0.0, spent[1] - spent[0]) / (_LONG - _SHORT)
    return spent[0] + (estimator.max_epochs - _SHORT) * epoch


def _short(estimator, n_epochs):
    return clone(estimator).set_params(max_epochs=n_epochs, verbose=0, callbacks=None)


def duration(seconds):
    """Seconds in words: "40 s", "3 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
