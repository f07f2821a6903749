"""Loader of the shipped audio-visual digits: written digits and their spoken names."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..data.container import ModalityDict
from ..utils.parameters import IsNone, Options
from ._arguments import BOOL, check_arguments

__all__ = ["load_av_digits"]

_DATA = Path(__file__).resolve().parent / "data"
_SPLITS = ("train", "validation", "test")
_CONSTRAINTS = {"split": [IsNone(), Options(*_SPLITS)], "return_X_y": [BOOL]}
_TARGET_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Values are stored as integer steps above a base. These are the base and the steps per 1, as in
# datasets/av_digits/generate.py.
_CODES = {"audio": (0, 4000), "image": (-6, 5000)}

_DESCR = """\
Audio-visual digits
-------------------

Scikit-learn's handwritten digits, each with the English name of the digit in a synthetic voice;
both are noisy, so that neither modality is enough alone.

:Samples: 1797; 599 train (20 voices), 300 validation (10 voices), 898 test (30 voices)
:Modalities: audio 32 frames x 32 mel bands, image 64 pixels
:Classes: 10, of about equal size in each part
:Order: train, validation, test; random within a part
:Source: sklearn.datasets.load_digits; speech by espeak-ng, made for this data set
:Licence: images CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits); speech BSD 3-Clause,
    as the library

No voice is in two parts. The writers of the images are not known, so images of one writer are
in several parts. Image and voice are paired at random, so given the class the modalities are
independent, unlike those of real recordings. Synthetic voices vary less than people do.

audio is in dB below the loudest cell of the utterance: 1 is the loudest, 0 is 50 dB below it or
less. image is 0 for paper and 1 for full ink, to which uneven light (image_light) and normal
noise (of standard deviation image_sd) are added, so that it goes beyond [0, 1].

Trained on train, each modality alone is right for about 86 % of test; a network trained on both
reaches 94 %, its image encoder alone 61 %, and 98 % with unimodal losses (torch's AdamW,
40 epochs).

Reference: E. Alpaydin and C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository, doi:10.24432/C50P49. datasets/av_digits in the source repository
holds the card and the generator.
"""


def load_av_digits(*, split=None, return_X_y=False):
    """Load the audio-visual digits (classification); they are part of the package.

    Scikit-learn's 1797 handwritten digits [1]_, each paired with the English name of the digit,
    spoken by one of 60 synthetic voices. Both modalities are noisy: each alone is right for about
    86 % of the test samples, both together for up to 98 %. In joint training the audio starves
    the image encoder.

    =================   ==================================================
    Classes             10 ("zero" to "nine")
    Samples             1797 (599 train, 300 validation, 898 test)
    Modalities          audio (32, 32), image (64,)
    Groups              60 voices (20, 10 and 30), none in two parts
    =================   ==================================================

    Parameters
    ----------
    split : {"train", "validation", "test"}, default=None
        The part to load. If None, all, in this order.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of the `Bunch`.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ModalityDict
            ``"audio"``, float32 of shape (n_samples, 32, 32): frames of 25 ms by mel bands, in
            [0, 1] (0 to 50 dB below the loudest cell, which is 1). ``"image"``, float32 of
            shape (n_samples, 64): the 8 x 8 pixels row by row, 0 for paper and 1 for ink, with
            uneven light and noise that go beyond this range.
        target : ndarray of shape (n_samples,), int64
            The digit.
        target_names : ndarray of str
            ``["zero", ..., "nine"]``.
        groups : ndarray of shape (n_samples,), str
            The voice, such as ``"en-us+f3"`` (accent and variant of espeak-ng), for grouped
            cross-validation.
        train_indices, validation_indices, test_indices : ndarray of int
            Positions of the parts in `data`; empty for a part that is not loaded.
        rates, pitches : ndarray of shape (n_samples,), int64
            Words per minute and espeak-ng's pitch (50 is the voice's own) of the utterance.
        starts : ndarray of shape (n_samples,), float64
            Time at which the word begins, in seconds.
        snr_db : ndarray of shape (n_samples,), float64
            Signal-to-noise ratio of the utterance.
        image_sd : ndarray of shape (n_samples,), float64
            Standard deviation of the pixel noise.
        image_light : ndarray of shape (n_samples, 3), float64
            The uneven light on the image: its brightness in the middle, and how much that rises
            from the middle to the right and to the bottom.
        digits_index : ndarray of shape (n_samples,), int64
            Position of the clean image in :func:`sklearn.datasets.load_digits`.
        sample_paths : list of pathlib.Path
            FLAC files (16 kHz, mono) of some of the loaded samples.
        sample_indices : ndarray of int
            The position in `data` of each of them.
        versions : dict of str to str
            Versions of the programs that made the data.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ValueError
        If `split` or `return_X_y` has a value that it does not accept.

    Notes
    -----
    ``row`` in the name of a sound file counts all samples, even if only one part is loaded.

    References
    ----------
    .. [1] E. Alpaydin and C. Kaynak (1998). "Optical Recognition of Handwritten Digits". UCI
       Machine Learning Repository. doi:10.24432/C50P49.

    Examples
    --------
    >>> from inforeg_sk.datasets import load_av_digits
    >>> digits = load_av_digits()
    >>> digits.data
    ModalityDict(1797 samples: audio (32, 32), image (64,))
    >>> X_test = digits.data[digits.test_indices]
    >>> y_test = digits.target[digits.test_indices]
    >>> len(X_test), len(set(digits.groups[digits.test_indices]))
    (898, 30)
    """
    check_arguments("load_av_digits", _CONSTRAINTS, split=split, return_X_y=return_X_y)
    with np.load(_DATA / "av_digits.npz") as file:
        arrays = dict(file)
    parts, sample_rows = arrays.pop("split"), arrays.pop("sample_rows")
    names, versions = arrays.pop("sample_names"), arrays.pop("versions")
    rows = np.flatnonzero((parts == split) if split is not None else (parts != ""))
    arrays = {name: values[rows] for name, values in arrays.items()}

    data = ModalityDict({name: _decode(arrays[name], *code) for name, code in _CODES.items()})
    if return_X_y:
        return data, arrays["target"]
    position = {row: index for index, row in enumerate(rows.tolist())}
    samples = [
        (_DATA / "av_digits_samples" / name, position[row])
        for name, row in zip(names.tolist(), sample_rows.tolist(), strict=True)
        if row in position
    ]
    return Bunch(
        data=data,
        target=arrays["target"],
        target_names=np.array(_TARGET_NAMES),
        groups=arrays["voice"],
        **{f"{part}_indices": np.flatnonzero(parts[rows] == part) for part in _SPLITS},
        rates=arrays["rate"],
        pitches=arrays["pitch"],
        starts=arrays["start"],
        snr_db=arrays["snr_db"],
        image_sd=arrays["image_sd"],
        image_light=arrays["light"],
        digits_index=arrays["digits_index"],
        sample_paths=[path for path, _ in samples],
        sample_indices=np.array([index for _, index in samples], dtype=np.int64),
        versions=dict(versions.tolist()),
        DESCR=_DESCR,
    )


def _decode(codes, base, steps):
    """Return the float32 values that the codes stand for."""
    return (codes / steps + base).astype(np.float32)
