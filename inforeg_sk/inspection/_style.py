"""How modalities and classes look: told apart by line, marker and hatch, not by colour alone."""

import numpy as np
from sklearn.base import is_classifier

__all__ = [
    "hatch_of",
    "is_share",
    "limits_of",
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
#: Scores that end somewhere, by how their name starts.
_LIMITS = {
    **dict.fromkeys(_PERCENT, (0.0, 1.0)),
    **dict.fromkeys(("f1", "precision", "recall", "jaccard", "roc_auc"), (0.0, 1.0)),
    "average_precision": (0.0, 1.0),
    "matthews_corrcoef": (-1.0, 1.0),
    "neg_": (-np.inf, 0.0),
    "r2": (-np.inf, 1.0),
    "explained_variance": (-np.inf, 1.0),
}


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


def limits_of(name):
    """Least and largest value of a score by its name (tuple of float); infinite if not known."""
    for start, limits in _LIMITS.items():
        if name.startswith(start):
            return limits
    return -np.inf, np.inf
