"""What stands in the output for a sample that cannot be used."""

import numpy as np

__all__ = ["FILL", "filling"]

#: By `on_error`; a row of NaN is a missing modality.
FILL = {"zeros": 0.0, "missing": np.nan}


def filling(on_error):
    """The same in words, for a warning."""
    return "NaN" if on_error == "missing" else "zeros"
