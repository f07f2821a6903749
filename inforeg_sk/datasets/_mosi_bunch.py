"""What the loaders of the sequences of CMU-MOSI share: parts, targets and the `Bunch`."""

import numpy as np
from sklearn.utils import Bunch

from ..container import ModalityDict

__all__ = ["PARTS", "TARGETS", "check_sentiment", "check_split", "choose_rows", "make_bunch"]

PARTS = ("train", "validation", "test")
TARGETS = ("binary", "three", "seven", "real")

_DESCR = """\
CMU-MOSI {title}
{underline}

Opinion utterances cut from YouTube film reviews, each rated from -3 (strongly negative) to 3
(strongly positive); sequences of features.

:Samples: {samples}
:Modalities: {shapes}
:Target: {target}
:Order: train, validation, test; in each, that of the file
:Source: {source}
:Licence: none is stated for the features

{notes}
Values that were infinite or no number, now 0: {non_finite}.

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


def check_split(split, features):
    """Refuse a `split` that is no part of the sequences."""
    if split is not None and not (isinstance(split, str) and split in PARTS):
        raise ValueError(
            f"split must be None, 'train', 'validation' or 'test' with features={features!r}; "
            f"got {split!r}."
        )


def check_sentiment(where, sentiment, names):
    """Refuse a rating outside of -3 to 3; `names` are what messages call the samples."""
    wrong = np.flatnonzero(~(np.abs(sentiment) <= 3))  # of nan too
    if len(wrong):
        at = wrong[0]
        raise ValueError(
            f"{where}: the sentiment of sample {names[at]} is {sentiment[at]:g}; it must be in "
            "-3 to 3."
        )


def choose_rows(origin, sentiment, split, drop_zeros):
    """Return which samples are loaded, by the part each is of: boolean, of their shape."""
    rows = np.ones(len(origin), bool) if split is None else origin == split
    return rows & (sentiment != 0) if drop_zeros else rows


def make_bunch(arrays, sentiment, origin, target, drop_zeros, *, title, source, notes, **fields):
    """Return the `Bunch` of the samples that are loaded.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The modalities. Values that are no finite number are set to 0 in place.
    sentiment, origin : ndarray of shape (n_samples,)
        The rating of each sample and the part it is of.
    target, drop_zeros
        As in `load_cmu_mosi`.
    title, source, notes : str
        What `DESCR` says of these features.
    **fields
        What else is in it.
    """
    non_finite = {}
    for name, X in arrays.items():
        bad = ~np.isfinite(X)
        non_finite[name] = int(bad.sum())
        X[bad] = 0
    classes, names = _make_target(sentiment, target, drop_zeros)
    return Bunch(
        data=ModalityDict(arrays),
        target=classes,
        target_names=names,
        sentiment=sentiment,
        non_finite=non_finite,
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
