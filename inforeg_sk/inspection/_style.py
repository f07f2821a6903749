"""How modalities and classes look: told apart by line, marker and hatch, not by colour alone."""

import numpy as np
from sklearn.base import is_classifier

__all__ = [
    "hatch_of",
    "is_share",
    "line_of",
    "marker_of",
    "name_of_scoring",
    "score_label",
    "scored_in_percent",
]

_LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h")
_HATCHES = ("////", "....", "xxxx", "----", "\\\\\\\\", "oooo", "++++", "||||")
_PERCENT = ("accuracy", "balanced_accuracy", "top_k_accuracy")
_NAMES = {"acc": "accuracy", "r2": "R²"}


def line_of(i):
    """Colour and line style of the modality with a number (dict)."""
    return {"color": f"C{i % 10}", "linestyle": _LINES[i % len(_LINES)]}


def marker_of(i):
    """Marker of the modality or class with a number (str)."""
    return _MARKERS[i % len(_MARKERS)]


def hatch_of(i):
    """Hatch of the modality with a number (str)."""
    return _HATCHES[i % len(_HATCHES)]


def score_label(name):
    """Name of a score as axes have it (str)."""
    return _NAMES.get(name, name.replace("_", " "))


def name_of_scoring(scoring, estimator):
    """Name of what a scorer, or an estimator's own ``score``, gives (str)."""
    if scoring is None:
        return "accuracy" if is_classifier(estimator) else "r2"
    return scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")


def is_share(name):
    """Whether scores of a name are shares by nature, which axes show in percent."""
    return _NAMES.get(name, name) in _PERCENT


def scored_in_percent(name, values):
    """Whether axes show these scores in percent: shares by name that are between 0 and 1."""
    known = np.concatenate([np.ravel(v) for v in values])
    known = known[np.isfinite(known)]
    return is_share(name) and bool(((known >= 0) & (known <= 1)).all())
