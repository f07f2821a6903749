"""What a reader should look at beside the verdicts; notes are no verdicts, and Holm has none."""

import numpy as np

from ._verdicts import LINEAR, compare

__all__ = ["notes_of"]

#: From this score on, in all folds, a modality may contain the target, where others are as much
#: below as the second number says.
_LEAK, _FAR = 0.995, 0.1
#: Rows that read modalities one by one, or with the linear models.
_MIXED = ("best single", "late fusion", "evidence pool")


def notes_of(scores, measures, design, wording):
    """Notes of a report.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_seeds, n_folds)
        By row of the comparison.
    measures : dict of str to dict of str to ndarray of shape (n_seeds, n_folds)
        By measure and modality.
    design : Design
    wording : Wording

    Returns
    -------
    list of str
    """
    notes = _leaks(scores, measures, wording) if wording.limits[1] == 1 else []
    for name in measures["alone"]:
        told = compare(measures["probe_untrained"][name] - measures["alone"][name], design)
        if told.df > 1 and told.low > 0:
            notes.append(wording.untrained_is_better(name, told))
    return notes


def _leaks(scores, measures, wording):
    """A modality, or a linear model, that is right for all samples where the others are not."""
    alone = measures["alone"]
    notes = []
    for name, values in alone.items():
        others = max(np.nanmean(alone[other]) for other in alone if other != name)
        if _is_perfect(values) and others <= np.nanmean(values) - _FAR:
            notes.append(
                f"{name} alone scores {wording.score(np.nanmean(values))}, the best other modality "
                f"{wording.score(others)}: does {name} contain the target?"
            )
    if notes:
        return notes
    networks = [row for row in scores if row not in (*LINEAR, *_MIXED)]
    others = max([np.nanmean(v) for v in [*(scores[row] for row in networks), *alone.values()]])
    for row in LINEAR:
        if row in scores and _is_perfect(scores[row]):
            score = np.nanmean(scores[row])
            if others <= score - _FAR:
                return [
                    f"{row} scores {wording.score(score)}, the best network "
                    f"{wording.score(others)}: does a modality contain the target?"
                ]
    return []


def _is_perfect(values):
    return bool(np.nanmin(values) >= _LEAK)
