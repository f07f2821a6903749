"""Values that replace the features of a sample that cannot be used."""

import numpy as np

from ..utils.parameters import Options

__all__ = ["ON_ERROR", "fill_name", "fill_value"]

# By `on_error`; a row of NaN is a missing modality.
_FILL = {"zeros": 0.0, "missing": np.nan}

#: Accepted values of the parameter `on_error` of a front end.
ON_ERROR = Options("raise", *_FILL)


def fill_value(on_error):
    """Return the value of all features of such a sample; `on_error` is not "raise"."""
    return _FILL[on_error]


def fill_name(on_error):
    """Return the name of that value, for a warning."""
    return "NaN" if on_error == "missing" else "zeros"
