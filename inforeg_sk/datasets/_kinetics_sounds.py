"""Loader of Kinetics-Sounds: paths of the sounds and videos of 31 audible actions."""

import re

import numpy as np
from sklearn.utils import Bunch

from ._arguments import BOOL, FOLDER, HOME, MISSING, check_arguments
from ._recordings import find_folder, find_lists, match_recordings, part_indices, read_lists

__all__ = ["load_kinetics_sounds"]

# Alphabetical; datasets/kinetics_sounds/README.rst says how this order was found.
_CLASSES = (
    "blowing nose, blowing out candles, bowling, chopping wood, dribbling basketball, laughing, "
    "mowing lawn, playing accordion, playing bagpipes, playing bass guitar, playing clarinet, "
    "playing drums, playing guitar, playing harmonica, playing keyboard, playing organ, "
    "playing piano, playing saxophone, playing trombone, playing trumpet, playing violin, "
    "playing xylophone, ripping paper, shoveling snow, shuffling cards, singing, "
    "stomping grapes, tap dancing, tapping guitar, tapping pen, tickling"
).split(", ")
# YouTube's id of the video and the second that the clip starts at; Kinetics adds its last second.
_NAME = re.compile(r"(?P<video>[\w-]{11})_(?P<start>\d{1,6})(?:_\d{1,6})?", re.ASCII)
_LISTS = {
    part: (f"my_{short}.txt", f"{short}.txt", f"{short}.csv", f"{short}_1fps_path.txt")
    for part, short in (("train", "train"), ("validation", "val"), ("test", "test"))
}
_CONSTRAINTS = {
    "root": HOME,
    "lists": HOME,
    "audio": FOLDER,
    "video": FOLDER,
    "missing": [MISSING],
    "follow_links": [BOOL],
    "return_X_y": [BOOL],
}

_HOW_TO_GET = (
    "Nothing is downloaded: get the clips of Kinetics-400 in the 31 classes "
    "(github.com/cvdfoundation/kinetics-dataset), extract sounds and frames as "
    "datasets/kinetics_sounds/README.rst says, and pass the folder as root, or name it in the "
    "environment variable INFOREG_SK_DATA."
)
_HOW_TO_LIST = (
    "my_train.txt and my_test.txt, with lines such as -7aeB7vFtB4_37,10,16, are in "
    "data/KineticSound of github.com/GeWu-Lab/OGM-GE_CVPR2022."
)

_DESCR = """\
Kinetics-Sounds
---------------

Clips of about 10 s from YouTube: the 31 actions of Kinetics-400 that can be seen and heard.

:Samples: {n}; {n_train} train, {n_validation} validation, {n_test} test
:Videos: {videos}, of which {shared} are both in test and in another part
:Modalities: audio, video (paths)
:Classes: 31
:Left out: {n_dropped} clips without sound or video on disk
:Source: https://github.com/cvdfoundation/kinetics-dataset
:Licence: annotations CC BY 4.0; the clips belong to those who uploaded them

The numbers depend on which videos were still available, so copies differ.

Reference: Arandjelovic and Zisserman (2017), "Look, Listen and Learn", ICCV 2017.
"""


def load_kinetics_sounds(
    root=None,
    *,
    lists=None,
    audio="auto",
    video="auto",
    missing="error",
    follow_links=False,
    return_X_y=False,
):
    """Load Kinetics-Sounds (classification): paths of sounds and videos.

    The clips of Kinetics-Sounds [1]_, a selection from Kinetics-400 [2]_, are not part of the
    package and are not downloaded. No clip is opened: the front ends `LogSTFT` and `VideoFrames`
    read the paths.

    =================   =========================================================
    Classes             31 actions
    Samples             as listed and still available
    Modalities          audio, video (paths of about 10 s)
    Groups              YouTube videos
    =================   =========================================================

    Parameters
    ----------
    root : str or path-like, default=None
        The folder of the clips, or a folder that contains it as ``kinetics_sounds``. If None, the
        folder that the environment variable ``INFOREG_SK_DATA`` names.
    lists : str or path-like, default=None
        Folder of the lists ``my_train.txt`` and ``my_test.txt`` (or ``train.txt``, ``train.csv``,
        ``train_1fps_path.txt`` and so on) and, if there is one, ``my_val.txt``. If None,
        `root`, ``KineticSound`` and ``data/KineticSound`` in it.
    audio : str, default="auto"
        Name of the folder in `root` that holds the sounds ``<clip>.wav``, at any depth. ``"auto"``
        searches all of `root`.
    video : str, default="auto"
        Likewise for the videos: files ``<clip>.mp4`` (or another suffix) or folders ``<clip>`` of
        images. Only the kind that more clips have is used, files in a tie.
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
            lists, train first.
        target : ndarray of shape (n_samples,), int64
            The class, 0 to 30.
        target_names : ndarray of str
            Names of the classes.
        groups : ndarray of shape (n_samples,), str
            YouTube's id of the video that a clip is from, for grouped cross-validation.
        clips : ndarray of shape (n_samples,), str
            Names of the clips, as listed.
        train_indices, validation_indices, test_indices : ndarray of int
            Positions of the parts in `data`; validation is empty if there is no such list.
        dropped : list of str
            Names of the clips that were left out.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    FileNotFoundError
        If the folder, lists or clips do not exist; the message says how many, which, and how to
        get them.
    ValueError
        If an argument has a value that it does not accept; if a list is malformed or names a clip
        twice; or if a clip is in several places.
    TypeError
        If `root`, `lists`, `audio` or `video` has the wrong type.

    Warns
    -----
    UserWarning
        If a folder in `root` is a link to outside of it, with ``follow_links=False``.

    Notes
    -----
    Nearly every copy lacks some of the listed clips; see `missing`.

    A line of a list holds a clip, seconds or a number of frames (optional), and a class, separated
    by commas or blanks. The name of a clip is that of the video and the start, such as
    ``-7aeB7vFtB4_000037_000047`` or ``-7aeB7vFtB4_37``; folders in front of it and a suffix are
    ignored. The names on disk may have the other form, since only the video and the start count.
    A class is a number or a name, which may have underscores for blanks.

    References
    ----------
    .. [1] R. Arandjelovic and A. Zisserman (2017). "Look, Listen and Learn". ICCV 2017,
       arXiv:1705.08168.
    .. [2] W. Kay et al. (2017). "The Kinetics Human Action Video Dataset". arXiv:1705.06950.

    Examples
    --------
    >>> from inforeg_sk.datasets import load_kinetics_sounds
    >>> sounds = load_kinetics_sounds("kinetics_sounds", missing="drop")  # doctest: +SKIP
    >>> X_test = sounds.data[sounds.test_indices]  # doctest: +SKIP
    """
    check_arguments(
        "load_kinetics_sounds",
        _CONSTRAINTS,
        root=root,
        lists=lists,
        audio=audio,
        video=video,
        missing=missing,
        follow_links=follow_links,
        return_X_y=return_X_y,
    )
    home = find_folder(root, "Kinetics-Sounds", "kinetics_sounds", _HOW_TO_GET, follow_links)
    places = [home, home / "KineticSound", home / "data" / "KineticSound"]
    clips = read_lists(find_lists(lists, places, _LISTS, _HOW_TO_LIST, follow_links), _parse)
    data, clips, dropped = match_recordings(
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
    groups = np.array([name for (name, _), *_ in clips])
    indices = part_indices(clips, home)
    test = indices["test_indices"]
    shared = set(groups[test]) & set(np.delete(groups, test))
    return Bunch(
        data=data,
        target=target,
        target_names=np.array(_CLASSES),
        groups=groups,
        clips=np.array([clip.name for clip in clips]),
        **indices,
        dropped=dropped,
        DESCR=_DESCR.format(
            n=len(clips),
            videos=len(set(groups)),
            shared=len(shared),
            n_dropped=len(dropped),
            **{f"n_{name.removesuffix('_indices')}": len(x) for name, x in indices.items()},
        ),
    )


def _key(name):
    """Return the video and the start of a clip, in either form; None if it is not a clip."""
    match = _NAME.fullmatch(name)
    return match and (match["video"], int(match["start"]))


def _parse(fields):
    """Return key, name and label of a line such as ``-7aeB7vFtB4_37,10,16``."""
    if len(fields) not in (2, 3) or (len(fields) == 3 and not fields[1].isdigit()):
        raise ValueError(
            "expected a clip, a number of seconds or frames (optional), and a class, such as "
            "-7aeB7vFtB4_37,10,16."
        )
    name = re.sub(r"\.\w+$", "", fields[0].replace("\\", "/").rsplit("/", 1)[-1])
    key = _key(name)
    if key is None:
        raise ValueError(
            f"{fields[0]!r} is not a clip; expected a name such as -7aeB7vFtB4_37 or "
            "-7aeB7vFtB4_000037_000047: video and start."
        )
    return key, name, _label(fields[-1])


def _label(text):
    name = text.replace("_", " ").lower()
    if name in _CLASSES:
        return _CLASSES.index(name)
    if text.isdigit() and int(text) < len(_CLASSES):
        return int(text)
    raise ValueError(
        f"class {text!r} is unknown; expected 0 to {len(_CLASSES) - 1} or the name of a class, "
        f"such as {_CLASSES[16]!r}."
    )
