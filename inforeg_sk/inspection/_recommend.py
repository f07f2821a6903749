"""Which of the compared rows to take: the best, or what is simpler and as good within the noise."""

import numpy as np

from ..utils.words import listed
from ._verdicts import compare

__all__ = ["choose_row", "why_row"]


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
    return _chosen(scores, levels, design)[0]


def why_row(scores, levels, design, given, wording):
    """Why `choose_row` takes its row, in words.

    Parameters
    ----------
    scores, levels, design
        As `choose_row` takes them.
    given : str
        The row that is diagnosed.
    wording : Wording

    Returns
    -------
    str
        Whether it is the best or the simplest of those that are as good, which these are, and
        whether no row is better than the network as given.
    """
    row, best, near = _chosen(scores, levels, design)
    tied = [name for name in near if name not in (row, best)]
    if row == best:
        text = "It has the best score"
        if tied:
            text += (
                f"; {listed(tied)} {_are(tied)} as good within one standard error, and no simpler"
            )
    else:
        more = compare(scores[best] - scores[row], design)
        text = (
            f"It is the simplest row within one standard error of the best, {best}, which scores "
            f"{wording.size(float(more.estimate))} more ({wording.sure(more)})"
        )
        if tied:
            text += f"; {listed(tied)} {_are(tied)} within one standard error of it, too"
    text = f"{text}."
    gains = [compare(scores[name] - scores[given], design) for name in levels if name != given]
    if gains and not any(told.low > 0 for told in gains):
        text += f" No row is certainly better than the network as given ({given})"
        text += "." if row == given else ", so that switching is not a sure gain."
    return text


def _are(names):
    return "is" if len(names) == 1 else "are"


def _chosen(scores, levels, design):
    """The row to take, the best one, and all within one standard error of this."""
    means = {row: values.mean() for row, values in scores.items() if row in levels}
    means = {row: mean for row, mean in means.items() if np.isfinite(mean)}
    best = max(means, key=means.get)
    near = []
    for row in means:
        told = compare(scores[best] - scores[row], design)
        error = float(told.standard_error)
        if row == best or means[best] - means[row] <= (0.0 if np.isnan(error) else error):
            near.append(row)
    return min(near, key=lambda row: (levels[row], -means[row])), best, near
