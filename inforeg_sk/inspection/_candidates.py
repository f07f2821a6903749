"""Candidates of a search: their parameters, and how the values of these compare and read."""

from math import isfinite
from numbers import Real

import numpy as np

from ..utils.suggestions import did_you_mean

__all__ = [
    "all_values",
    "as_text",
    "distinct",
    "in_order",
    "index_of",
    "is_geometric",
    "is_number",
    "is_same",
    "known_metric",
    "known_params",
    "short_name",
]


def all_values(candidates, name):
    """Values of a parameter, by candidate (list)."""
    return [candidate.get(name) for candidate in candidates]


def known_metric(cv_results, metric):
    """Name of the metric to draw, or a ValueError."""
    found = [str(key)[len("mean_test_") :] for key in cv_results if "mean_test_" in str(key)]
    if not found or "params" not in cv_results:
        raise ValueError(
            "cv_results must be the cv_results_ of a search: it has no mean_test_score."
        )
    if metric is None and len(found) == 1:
        return found[0]
    if metric not in found:
        raise ValueError(
            f"The 'metric' parameter must be one of {', '.join(map(repr, found))}. Got {metric!r}"
            f"{did_you_mean(metric, found) if metric is not None else '.'}"
        )
    return metric


def known_params(candidates, params):
    """Names of the parameters to draw (list), or a ValueError."""
    known = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    if params is None:
        found = [name for name in known if len(distinct(all_values(candidates, name))) > 1]
        if len(found) not in (1, 2):
            raise ValueError(
                f"The search is over {', '.join(map(repr, found)) or 'nothing'}: name one or two "
                "of its parameters in params."
            )
        return found
    names = [params] if isinstance(params, str) else list(params)
    for name in names:
        if name not in known:
            raise ValueError(
                f"The 'params' parameter names {name!r}; the search is over "
                f"{', '.join(map(repr, known))}{did_you_mean(name, known)}"
            )
    if len(names) not in (1, 2) or len(set(names)) < len(names):
        raise ValueError(f"The 'params' parameter must name one parameter or two. Got {params!r}.")
    return names


def is_number(value):
    """Whether a value has a place on an axis of numbers."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and isfinite(value)


def is_same(a, b):
    """Whether two values of a parameter are the same, estimators included."""
    if a is b:
        return True
    if isinstance(a, Real) and isinstance(b, Real):
        return a == b
    return type(a) is type(b) and repr(a) == repr(b)


def distinct(values):
    """Different values in the order of their first appearance."""
    found = []
    for value in values:
        if not any(is_same(value, other) for other in found):
            found.append(value)
    return found


def in_order(values):
    """Different values: sorted if all are numbers, else as they appear."""
    found = distinct(values)
    return sorted(found) if all(map(is_number, found)) else found


def index_of(order, value):
    """Place of a value among different ones."""
    return next(i for i, other in enumerate(order) if is_same(value, other))


def is_geometric(values):
    """Whether numbers above 0 are spread more evenly in their logarithms."""
    if len(values) < 3:
        return len(values) == 2 and values[1] / values[0] >= 5
    uneven = [
        np.std(steps) / np.mean(steps) for steps in (np.diff(values), np.diff(np.log(values)))
    ]
    return uneven[1] < uneven[0]


def short_name(name):
    """Name of a parameter without the parts in front."""
    return name.rpartition("__")[2]


def as_text(value):
    """A value as ticks and titles have it (str)."""
    if is_number(value):
        return f"{float(value):.4g}"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 24 else f"{text[:21]}..."
