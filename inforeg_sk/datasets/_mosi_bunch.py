"""Shared by the loaders of CMU-MOSI's sequences: parts, targets and the `Bunch`."""

import numpy as np
from sklearn.utils import Bunch

from ..data.container import ModalityDict
from ..data.padding import real_lengths, real_steps
from ..utils.files import UnreadableFileError

__all__ = ["PARTS", "TARGETS", "check_sentiment", "choose_rows", "make_bunch"]

PARTS = ("train", "validation", "test")
TARGETS = ("binary", "three", "seven", "real")

_DESCR = """\
CMU-MOSI {title}
{underline}

Opinion utterances cut from YouTube movie reviews, each rated from -3 (strongly negative) to 3
(strongly positive); sequences of features.

:Samples: {samples}
:Modalities: {shapes}
:Target: {target}
:Order: train, validation, test; in each, that of the file
:Source: {source}
:Licence: none is stated for the features

{notes}
Values that were infinite or NaN, now 0: {non_finite}.

Reference: Zadeh, Zellers, Pincus and Morency (2016), "MOSI: Multimodal Corpus of Sentiment
Intensity and Subjectivity Analysis in Online Opinion Videos", arXiv:1606.06259.
"""

_RULES = {
    "binary": "0 where the sentiment is below 0, 1 where it is 0 or above",
    "nonzero": "0 where the sentiment is below 0, 1 where it is above; zeros are left out",
    "three": "0 where the sentiment is below 0, 1 where it is 0, 2 where it is above",
    "seven": "the sentiment rounded (halves to even) to -3, ..., 3, as the classes 0 to 6",
    "real": "the sentiment",
}


def check_sentiment(where, sentiment, names):
    """Raise if a rating is outside [-3, 3]; messages call the samples by `names`."""
    wrong = np.flatnonzero(~(np.abs(sentiment) <= 3))  # NaN too
    if len(wrong):
        first = wrong[0]
        raise UnreadableFileError(
            f"{where}: the sentiment of sample {names[first]} is {sentiment[first]:g}; it must be "
            "in [-3, 3]."
        )


def choose_rows(origin, sentiment, split, drop_zeros):
    """Return a boolean mask of the samples to load; `origin` is the part of each sample."""
    rows = np.ones(len(origin), bool) if split is None else origin == split
    return rows & (sentiment != 0) if drop_zeros else rows


def make_bunch(
    arrays,
    sentiment,
    origin,
    target,
    drop_zeros,
    *,
    title,
    source,
    notes,
    lengths,
    mark_padding=True,
    **fields,
):
    """Return the `Bunch` of the samples that are loaded.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The modalities. Values that are not finite are set to 0 in place.
    sentiment, origin : ndarray of shape (n_samples,)
        The rating and the part of each sample.
    target, drop_zeros
        As in `load_cmu_mosi`.
    title, source, notes : str
        What `DESCR` says about these features.
    lengths : dict of str to ndarray of int, or None
        Number of steps of each sample, by modality.
    mark_padding : bool, default=True
        Whether steps of zeros behind the end of a sample become NaN, in place.
    **fields
        More fields of the `Bunch`.
    """
    non_finite = {}
    for name, X in arrays.items():
        bad = ~np.isfinite(X)
        non_finite[name] = int(bad.sum())
        X[bad] = 0
        if mark_padding and lengths[name] is not None:
            # A sample without any step keeps one, of zeros: else it would be a missing one.
            ends = np.maximum(real_lengths(X, 0.0), lengths[name]).clip(min=1)
            X[~real_steps(ends, X.shape[1])] = np.nan
    classes, names = _make_target(sentiment, target, drop_zeros)
    return Bunch(
        data=ModalityDict(arrays),
        target=classes,
        target_names=names,
        sentiment=sentiment,
        non_finite=non_finite,
        lengths=lengths,
        **fields,
        **{f"{part}_indices": np.flatnonzero(origin == part) for part in PARTS},
        DESCR=_DESCR.format(
            title=title,
            underline="-" * len(f"CMU-MOSI {title}"),
            samples="; ".join(f"{(origin == part).sum()} {part}" for part in PARTS),
            shapes=", ".join(f"{name} {X.shape[1:]}" for name, X in arrays.items()),
            target=_RULES["nonzero" if drop_zeros else target],
            source=source,
            notes=notes,
            non_finite=", ".join(f"{name} {n}" for name, n in non_finite.items()),
        ),
    )


def _make_target(sentiment, target, drop_zeros):
    """Return the target and the names of its classes."""
    if target == "real":
        return sentiment.copy(), None
    if target == "binary":
        names = ["negative", "positive" if drop_zeros else "non-negative"]
        return (sentiment >= 0).astype(np.int64), np.array(names)
    if target == "three":
        return np.sign(sentiment).astype(np.int64) + 1, np.array(
            ["negative", "neutral", "positive"]
        )
    return np.round(sentiment).astype(np.int64) + 3, np.array([str(n) for n in range(-3, 4)])
