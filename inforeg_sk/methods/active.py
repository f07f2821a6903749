"""When a method may act: always, inside or outside prime learning windows, or in given epochs."""

from math import nan
from numbers import Integral, Real
from typing import ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from ..functional import PADDINGS, window_open, window_ratio
from ..utils.parameters import (
    Constraint,
    Instance,
    Interval,
    IsNone,
    Options,
    check_parameters,
)
from ..utils.suggestions import did_you_mean

__all__ = ["ACTIVE_CONSTRAINTS", "PrimeWindow", "active_modalities", "as_window", "check_active"]


class PrimeWindow(BaseEstimator):
    """The prime learning window of each modality, or what lies outside it (paper, Alg. 1).

    For the parameter `active` of the estimators; ``"window"`` and ``"outside"`` mean one with the
    defaults.

    Parameters
    ----------
    threshold : float, default=0.04
        The window of a modality is open in an epoch if its Fisher trace grew by more than this
        share over the epoch before (K in the paper).
    smoothing : int, default=10
        Epochs over which the trace is averaged before its growth is taken; 1 is the paper.
    padding : {"none", "zeros"}, default="zeros"
        What stands before the first epoch in the moving average: nothing, or zeros.
    leader : str, default=None
        A modality whose window decides for all; None: each modality's own.
    first_epoch : {"closed", "open"}, default="open"
        The window in epoch 0, where no trace is known yet.
    inside : bool, default=True
        False: a method may act where the window is closed.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier, PrimeWindow
    >>> clf = MultimodalClassifier("inforeg", active=PrimeWindow(smoothing=1, inside=False))
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "threshold": [Interval(Real, infinite=True)],
        "smoothing": [Interval(Integral, 1)],
        "padding": [Options(*PADDINGS)],
        "leader": [IsNone(), Instance(str, text="the name of a modality")],
        "first_epoch": [Options("closed", "open")],
        "inside": [Instance(bool, text="a bool")],
    }

    def __init__(
        self,
        threshold=0.04,
        smoothing=10,
        padding="zeros",
        *,
        leader=None,
        first_epoch="open",
        inside=True,
    ):
        self.threshold = threshold
        self.smoothing = smoothing
        self.padding = padding
        self.leader = leader
        self.first_epoch = first_epoch
        self.inside = inside

    def decide(self, traces: Tensor | None, modalities: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Growth of the trace of each modality in an epoch, and whether its window is open.

        Parameters
        ----------
        traces : Tensor of float64 of shape (..., n_epochs, n_modalities), or None in epoch 0
            Of the last ``smoothing + 1`` epochs before it, or of all.
        modalities : tuple of str

        Returns
        -------
        ratio : Tensor of float64 of shape (..., n_modalities)
        is_open : Tensor of bool of shape (..., n_modalities)
            Of the window itself, whatever `inside` is.
        """
        if traces is None:  # nothing is known yet: the ratio only says what was decided
            first = self.first_epoch == "open"
            ratio = torch.full((len(modalities),), 1.0 if first else nan).double()
            return ratio, torch.full_like(ratio, first, dtype=torch.bool)
        ratio = window_ratio(traces, self.smoothing, self.padding)
        leader = None if self.leader is None else modalities.index(self.leader)
        return ratio, window_open(ratio, self.threshold, leader)


#: What the parameter `active` may be.
ACTIVE_CONSTRAINTS: list[Constraint] = [
    IsNone(),
    Options("window", "outside"),
    Instance(PrimeWindow, text="a PrimeWindow"),
    Instance(range, set, frozenset, text="a range or a set of epochs, counted from 0"),
]


def as_window(active) -> PrimeWindow | None:
    """The window that `active` means; None if it is of no window."""
    if isinstance(active, str):
        return PrimeWindow(inside=active == "window")
    return active if isinstance(active, PrimeWindow) else None


def check_active(active, modalities: tuple[str, ...], owner: str) -> None:
    """Check the parameter `active`, whose type is right.

    Parameters
    ----------
    active : None, str, PrimeWindow, range or set of int
    modalities : tuple of str
    owner : str
        Name of the estimator.

    Raises
    ------
    ValueError
    """
    window = as_window(active)
    if window is not None:
        check_parameters(window)
        leader = window.leader
        if leader is not None and leader not in modalities:
            raise ValueError(
                f"The 'leader' parameter of PrimeWindow names the unknown modality {leader!r}; the "
                f"modalities are {', '.join(map(repr, modalities))}"
                f"{did_you_mean(leader, modalities)}"
            )
    elif active is not None and not (
        active and all(isinstance(i, Integral) and int(i) >= 0 for i in active)
    ):
        raise ValueError(
            f"The 'active' parameter of {owner} must hold at least one epoch, counted from 0, if "
            f"it is a range or a set. Got {active!r}."
        )


def active_modalities(active, epoch) -> dict[str, bool]:
    """Which modalities a method may act on in an epoch.

    Parameters
    ----------
    active : None, str, PrimeWindow, range or set of int
    epoch : EpochContext

    Returns
    -------
    dict of str to bool
    """
    window = as_window(active)
    if window is None:
        return dict.fromkeys(epoch.modalities, active is None or epoch.index in active)
    past = epoch.past("fisher_trace", window.smoothing + 1) if epoch.index else None
    _, is_open = window.decide(past, epoch.modalities)
    found = (is_open == window.inside).tolist()
    return dict(zip(epoch.modalities, found, strict=True))
