"""Loader of the CREMA-D emotions: paths of sounds and videos, and two ways to split them."""

import re
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch

from ..utils.parameters import Interval, InvalidParameterError, Options
from ._arguments import BOOL, COUNT, FOLDER, HOME, MISSING, check_arguments
from ._recordings import (
    Clip,
    find_folder,
    find_lists,
    match_recordings,
    part_indices,
    read_lists,
)

__all__ = ["load_crema_d"]

# In the order of the InfoReg authors' code.
_EMOTIONS = {
    "NEU": "neutral",
    "HAP": "happy",
    "SAD": "sad",
    "FEA": "fear",
    "DIS": "disgust",
    "ANG": "anger",
}
_SENTENCES = "DFA IEO IOM ITH ITS IWL IWW MTI TAI TIE TSI WSI".split()
_ACTORS = range(1001, 1092)
_NAME = re.compile(
    rf"(?P<actor>1(?:00[1-9]|0[1-8]\d|09[01]))_(?P<sentence>{'|'.join(_SENTENCES)})_"
    rf"(?P<emotion>{'|'.join(_EMOTIONS)})_(?P<level>LO|MD|HI|XX)"
)
# By the README of the data set: sound or video too short or empty, or a minute of all emotions.
_DEFECTS = ("1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
_LISTS = {
    "train": ("train.csv",),
    "validation": ("validation.csv", "val.csv"),
    "test": ("test.csv",),
}
_CONSTRAINTS = {
    "root": HOME,
    "split": [Options("lists", "actors")],
    "lists": HOME,
    "audio": FOLDER,
    "video": FOLDER,
    "test_actors": [COUNT],
    "validation_actors": [Interval(Integral, 0)],
    "random_state": [Interval(Integral, 0)],
    "defects": [Options("drop", "keep")],
    "missing": [MISSING],
    "follow_links": [BOOL],
    "return_X_y": [BOOL],
}

_HOW_TO_GET = (
    "Nothing is downloaded: clone github.com/CheyneyComputerScience/CREMA-D with git-lfs installed "
    "and pass the folder as root, or name it in the environment variable INFOREG_SK_DATA."
)
_HOW_TO_LIST = (
    "train.csv and test.csv, with lines such as 1001_DFA_ANG_XX,ANG, are in data/CREMAD of "
    "github.com/GeWu-Lab/OGM-GE_CVPR2022; split='actors' needs no lists."
)

_DESCR = """\
CREMA-D emotions
----------------

Actors say one of 12 sentences with one of six emotions in front of a camera.

:Samples: {n}; {n_train} train, {n_validation} validation, {n_test} test
:Split: {split}; {shared} of {actors} actors are both in test and in another part
:Modalities: audio, video (paths)
:Classes: {classes}
:Left out: {dropped}
:Source: https://github.com/CheyneyComputerScience/CREMA-D
:Licence: Open Database License 1.0; contents Database Contents License 1.0

The class is the emotion that the actor was asked to show, not the one that raters perceived.

Reference: Cao, Cooper, Keutmann, Gur, Nenkova and Verma (2014), "CREMA-D: Crowd-sourced Emotional
Multimodal Actors Dataset", IEEE Transactions on Affective Computing 5(4).
"""


def load_crema_d(
    root=None,
    *,
    split="lists",
    lists=None,
    audio="auto",
    video="auto",
    test_actors=18,
    validation_actors=9,
    random_state=0,
    defects="drop",
    missing="error",
    follow_links=False,
    return_X_y=False,
):
    """Load the CREMA-D emotions (classification): paths of sounds and videos.

    The clips of CREMA-D [1]_ are not part of the package and are not downloaded. No clip is
    opened: the front ends `LogSTFT` and `VideoFrames` read the paths.

    =================   =========================================================
    Classes             6 emotions
    Samples             7442, 4 of them defective
    Modalities          audio, video (paths)
    Groups              91 actors
    =================   =========================================================

    Parameters
    ----------
    root : str or path-like, default=None
        The cloned repository, or a folder that contains it as ``crema_d``. If None, the folder
        that the environment variable ``INFOREG_SK_DATA`` names.
    split : {"lists", "actors"}, default="lists"
        How the clips are split. ``"lists"``: by ``train.csv``, ``test.csv`` and, if there is one,
        ``validation.csv`` or ``val.csv``, as in the InfoReg authors' code [2]_, whose lists share
        actors between the parts. ``"actors"``: all clips on disk, with no actor in two parts.
    lists : str or path-like, default=None
        Folder of the lists. If None, `root`, ``CREMAD`` and ``data/CREMAD`` in it.
    audio : str, default="auto"
        Name of the folder in `root` that holds the sounds ``<clip>.wav``, at any depth. ``"auto"``
        searches all of `root`.
    video : str, default="auto"
        Likewise for the videos: files ``<clip>.mp4`` (or another suffix) or folders ``<clip>`` of
        images. Only the kind that more clips have is used, files in a tie.
    test_actors, validation_actors : int, default=18 and 9
        Numbers of the 91 actors that are in test and in validation with ``split="actors"``.
    random_state : int, default=0
        Seed of their choice: in ``numpy.random.RandomState(random_state).permutation`` of the
        actors 1001 to 1091, the first are test and the next validation. So an actor's part does
        not depend on which files are on disk.
    defects : {"drop", "keep"}, default="drop"
        What happens to the four clips that the description of the data set names as defective.
    missing : {"error", "drop", "allow"}, default="error"
        What happens to clips without sound or video on disk: they are an error; they are left out,
        and `dropped` names them; or those that have one of the two are kept, with None in place of
        the other path, which ``ModalityTransformer(missing="allow")`` and a classifier with
        ``missing="allow"`` accept.
    follow_links : bool, default=False
        Whether to follow symbolic links in `root` that lead out of it: to a recording or a list,
        else an error, or to a folder, else left out with a warning. A link that is itself passed as
        `root` or `lists` is always followed.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of the `Bunch`.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ModalityDict
            ``"audio"`` and ``"video"``, paths of shape (n_samples,), str; in the order of the
            lists, or of the names.
        target : ndarray of shape (n_samples,), int64
            The emotion, with the numbers of the authors' code.
        target_names : ndarray of str
            ``["neutral", "happy", "sad", "fear", "disgust", "anger"]``.
        groups : ndarray of shape (n_samples,), int64
            The actor, 1001 to 1091, for grouped cross-validation.
        clips, sentences, levels : ndarray of shape (n_samples,), str
            Name (``"1001_DFA_ANG_XX"``), sentence (``"DFA"``) and intensity (``"LO"``, ``"MD"``,
            ``"HI"``, or ``"XX"`` if none was asked for) of each clip.
        train_indices, validation_indices, test_indices : ndarray of int
            Positions of the parts in `data`; validation is empty if the lists have none.
        dropped : list of str
            Names of the clips that were left out.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    FileNotFoundError
        If the folder, lists or clips do not exist, or are git-lfs pointers; the message says how
        many, which, and how to get them.
    ValueError
        If an argument has a value that it does not accept; if a list is malformed, names a clip
        twice or disagrees with the clip's name on its emotion; or if a clip is in several places.
    TypeError
        If `root`, `lists`, `audio` or `video` has the wrong type.

    Warns
    -----
    UserWarning
        If a folder in `root` is a link to outside of it, with ``follow_links=False``.

    Notes
    -----
    In the repository, ``audio="AudioWAV"`` has the sounds, ``video="VideoFlash"`` the files
    ``<clip>.flv``, and ``"Image-01-FPS"`` the folders of images that the authors' code extracts.
    That code leaves out clips without sound or video, as ``missing="drop"`` does.

    References
    ----------
    .. [1] H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma (2014).
       "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset". IEEE Transactions on
       Affective Computing 5(4), 377-390. doi:10.1109/TAFFC.2014.2336244.
    .. [2] C. Huang, Y. Wei, Z. Yang and D. Hu (2025). "Adaptive Unimodal Regulation for Balanced
       Multimodal Information Acquisition". CVPR 2025, and its code, GeWu-Lab/InfoReg_CVPR2025.

    Examples
    --------
    >>> from inforeg_sk.datasets import load_crema_d
    >>> emotions = load_crema_d("CREMA-D", split="actors")  # doctest: +SKIP
    >>> emotions.data[emotions.test_indices]["audio"][0]  # doctest: +SKIP
    'CREMA-D/AudioWAV/1003_DFA_ANG_XX.wav'
    """
    check_arguments(
        "load_crema_d",
        _CONSTRAINTS,
        root=root,
        split=split,
        lists=lists,
        audio=audio,
        video=video,
        test_actors=test_actors,
        validation_actors=validation_actors,
        random_state=random_state,
        defects=defects,
        missing=missing,
        follow_links=follow_links,
        return_X_y=return_X_y,
    )
    home = find_folder(root, "CREMA-D", "crema_d", _HOW_TO_GET, follow_links)
    unwanted = _DEFECTS if defects == "drop" else ()
    if split == "lists":
        places = [home, home / "CREMAD", home / "data" / "CREMAD"]
        listed = read_lists(find_lists(lists, places, _LISTS, _HOW_TO_LIST, follow_links), _parse)
        left_out = [clip.name for clip in listed if clip.name in unwanted]
        clips = [clip for clip in listed if clip.name not in unwanted]
    else:
        parts = _parts_of_actors(test_actors, validation_actors, random_state)
        left_out = []

        def clips(names):
            left_out.extend(sorted(names & set(unwanted)))
            return [_clip(name, parts) for name in sorted(names - set(unwanted))]

    data, clips, absent = match_recordings(
        home,
        clips,
        _key,
        audio=audio,
        video=video,
        missing=missing,
        follow_links=follow_links,
        how=_HOW_TO_GET,
    )
    target = np.array([clip.label for clip in clips], dtype=np.int64)
    if return_X_y:
        return data, target
    names = [_NAME.fullmatch(clip.name) for clip in clips]
    groups = np.array([int(name["actor"]) for name in names], dtype=np.int64)
    indices = part_indices(clips, home)
    test = indices["test_indices"]
    shared = set(groups[test]) & set(np.delete(groups, test))
    dropped = left_out + absent
    return Bunch(
        data=data,
        target=target,
        target_names=np.array(list(_EMOTIONS.values())),
        groups=groups,
        clips=np.array([clip.name for clip in clips]),
        sentences=np.array([name["sentence"] for name in names]),
        levels=np.array([name["level"] for name in names]),
        **indices,
        dropped=dropped,
        DESCR=_DESCR.format(
            n=len(clips),
            split=split,
            shared=len(shared),
            actors=len(set(groups)),
            classes=", ".join(_EMOTIONS.values()),
            dropped=", ".join(dropped) or "nothing",
            **{f"n_{name.removesuffix('_indices')}": len(x) for name, x in indices.items()},
        ),
    )


def _key(name):
    return name if _NAME.fullmatch(name) else None


def _clip(name, parts):
    match = _NAME.fullmatch(name)
    label = list(_EMOTIONS).index(match["emotion"])
    return Clip(name, name, label, parts.get(int(match["actor"]), "train"))


def _parse(fields):
    """Return key, name and label of a line such as ``1001_DFA_ANG_XX,ANG``."""
    if len(fields) != 2:
        raise ValueError("expected a clip and its emotion, such as 1001_DFA_ANG_XX,ANG.")
    name, emotion = fields
    if emotion not in _EMOTIONS:
        raise ValueError(f"emotion {emotion!r} is unknown; expected one of {', '.join(_EMOTIONS)}.")
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{name!r} is not a clip of CREMA-D; expected a name such as 1001_DFA_ANG_XX: actor "
            "1001 to 1091, sentence, emotion, level."
        )
    if match["emotion"] != emotion:
        raise ValueError(f"the list says {emotion}, but the clip's name says {match['emotion']}.")
    return name, name, list(_EMOTIONS).index(emotion)


def _parts_of_actors(n_test, n_validation, random_state):
    """Return the part of each actor that is not in train."""
    if n_test + n_validation >= len(_ACTORS):
        raise InvalidParameterError(
            "The 'test_actors' and 'validation_actors' parameters of load_crema_d must leave some "
            f"of the {len(_ACTORS)} actors to train on. Got {n_test} and {n_validation}."
        )
    # The legacy generator gives the same in every version of numpy.
    order = np.random.RandomState(random_state).permutation(_ACTORS).tolist()
    parts = dict.fromkeys(order[:n_test], "test")
    parts.update(dict.fromkeys(order[n_test : n_test + n_validation], "validation"))
    return parts
