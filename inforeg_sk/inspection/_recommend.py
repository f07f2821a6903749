"""Which of the compared rows to take: the best, or what is simpler and as good within the noise."""

import numpy as np

from ._verdicts import compare

__all__ = ["choose_row"]


def choose_row(scores, levels, design):
    """The simplest row within one standard error of the best.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_seeds, n_folds)
        NaN in rows that failed, which are left out.
    levels : dict of str to float
        How simple each row is.
    design : Design

    Returns
    -------
    str
    """
    means = {row: values.mean() for row, values in scores.items() if row in levels}
    means = {row: mean for row, mean in means.items() if np.isfinite(mean)}
    best = max(means, key=means.get)
    near = []
    for row in means:
        told = compare(scores[best] - scores[row], design)
        error = float(told.standard_error)
        if row == best or means[best] - means[row] <= (0.0 if np.isnan(error) else error):
            near.append(row)
    return min(near, key=lambda row: (levels[row], -means[row]))
