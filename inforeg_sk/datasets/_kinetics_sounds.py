"""Loader of Kinetics-Sounds: paths of the sounds and videos of 31 actions that are heard."""

import re

import numpy as np
from sklearn.utils import Bunch

from ._recordings import check_choices, find_folder, find_lists, gather, positions, read_lists

__all__ = ["load_kinetics_sounds"]

# Alphabetical; see the card, datasets/kinetics_sounds/README.rst, for how this was found out.
_CLASSES = (
    "blowing nose, blowing out candles, bowling, chopping wood, dribbling basketball, laughing, "
    "mowing lawn, playing accordion, playing bagpipes, playing bass guitar, playing clarinet, "
    "playing drums, playing guitar, playing harmonica, playing keyboard, playing organ, "
    "playing piano, playing saxophone, playing trombone, playing trumpet, playing violin, "
    "playing xylophone, ripping paper, shoveling snow, shuffling cards, singing, "
    "stomping grapes, tap dancing, tapping guitar, tapping pen, tickling"
).split(", ")
# YouTube's name of the film and the second that the clip starts at; Kinetics adds where it ends.
_NAME = re.compile(r"(?P<film>[\w-]{11})_(?P<start>\d{1,6})(?:_\d{1,6})?", re.ASCII)
_LISTS = {
    part: (f"my_{short}.txt", f"{short}.txt", f"{short}.csv", f"{short}_1fps_path.txt")
    for part, short in (("train", "train"), ("validation", "val"), ("test", "test"))
}

_HOW_TO_GET = (
    "Nothing is downloaded: get the clips of Kinetics-400 in the 31 classes "
    "(github.com/cvdfoundation/kinetics-dataset), cut out sounds and frames as "
    "datasets/kinetics_sounds/README.rst says, and pass the folder as root, or name it in the "
    "environment variable INFOREG_SK_DATA."
)
_HOW_TO_LIST = (
    "my_train.txt and my_test.txt, lines such as -7aeB7vFtB4_37,10,16, lie in data/KineticSound "
    "of github.com/GeWu-Lab/OGM-GE_CVPR2022."
)

_DESCR = """\
Kinetics-Sounds
---------------

Clips of about 10 s from YouTube, of the 31 actions of Kinetics-400 that are seen and heard.

:Samples: {n}; {n_train} train, {n_validation} validation, {n_test} test
:Films: {films}, of which {shared} are both in test and in another part
:Modalities: audio, video (paths)
:Classes: 31
:Left out: {n_dropped} clips without sound or video on disk
:Source: https://github.com/cvdfoundation/kinetics-dataset
:Licence: annotations CC BY 4.0; the clips belong to those who uploaded them

Numbers depend on which films were still to be had; no two copies are quite alike.

Reference: Arandjelovic and Zisserman (2017), "Look, Listen and Learn", ICCV 2017.
"""


def load_kinetics_sounds(
    root=None,
    *,
    lists=None,
    audio="auto",
    video="auto",
    missing="error",
    return_X_y=False,
):
    """Load Kinetics-Sounds (classification): paths of sounds and videos.

    The clips of Kinetics-Sounds [1]_, a selection from Kinetics-400 [2]_, are not part of the
    package and are not downloaded. No clip is opened: the front ends `LogSTFT` and `VideoFrames`
    read the paths.

    =================   =========================================================
    Classes             31 actions
    Samples             as listed, and as still to be had
    Modalities          audio, video (paths of about 10 s)
    Groups              YouTube's films
    =================   =========================================================

    Parameters
    ----------
    root : str or path-like, default=None
        The folder of the clips, or a folder with such a folder ``kinetics_sounds`` in it. If
        None, the folder that the environment variable ``INFOREG_SK_DATA`` names.
    lists : str or path-like, default=None
        Folder of the lists ``my_train.txt`` and ``my_test.txt`` (or ``train.txt``, ``train.csv``,
        ``train_1fps_path.txt`` and so on) and, where there is one, ``my_val.txt``. If None,
        `root`, ``KineticSound`` and ``data/KineticSound`` in it.
    audio : str, default="auto"
        Name of the folder in `root` with the sounds ``<clip>.wav``, at any depth, such as
        ``"audio"``. ``"auto"`` searches all of `root`.
    video : str, default="auto"
        Likewise of the videos: files ``<clip>.mp4`` (or another suffix) or folders ``<clip>`` of
        images. Of the two only the kind that more clips have is taken, files if as many have
        both.
    missing : {"error", "drop", "allow"}, default="error"
        What happens to clips without sound or video on disk, as there are in nearly every copy:
        an error; they are left out, and `dropped`
        has their names; or those that have one of the two are kept, with None in place of the
        other path, which ``ModalityTransformer(missing="allow")`` and a classifier with
        ``missing="allow"`` take.
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
            YouTube's name of the film that a clip is from, for grouped cross-validation.
        clips : ndarray of shape (n_samples,), str
            Names of the clips, as listed.
        train_indices, validation_indices, test_indices : ndarray of int
            Positions of the parts in `data`; validation is empty where there is no such list.
        dropped : list of str
            Names of the clips that were left out.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    FileNotFoundError
        If folder, lists or clips are not there; the message says how many, which, and how to get
        them.
    ValueError
        If a parameter has an unknown value, a list is malformed or names a clip twice, or a clip
        lies in several places.
    TypeError
        If a path or folder is none.

    Notes
    -----
    A line of a list is a clip, seconds or a number of frames (which may be left out), and a class,
    separated by commas or blanks. A clip is named ``-7aeB7vFtB4_000037_000047`` or
    ``-7aeB7vFtB4_37``, film and start; folders in front and a suffix do not count. The names on
    disk may be of the other kind: film and start decide. A class is a number or, with blanks or
    underscores, a name.

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
    check_choices(missing=(missing, ("error", "drop", "allow")))
    home = find_folder(root, "Kinetics-Sounds", "kinetics_sounds", _HOW_TO_GET)
    places = [home, home / "KineticSound", home / "data" / "KineticSound"]
    clips = read_lists(find_lists(lists, places, _LISTS, _HOW_TO_LIST), _parse)
    data, clips, dropped = gather(
        home, clips, _key, audio=audio, video=video, missing=missing, how=_HOW_TO_GET
    )
    target = np.array([clip.label for clip in clips], dtype=np.int64)
    if return_X_y:
        return data, target
    groups = np.array([film for (film, _), *_ in clips])
    indices = positions(clips, home)
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
            films=len(set(groups)),
            shared=len(shared),
            n_dropped=len(dropped),
            **{f"n_{name.removesuffix('_indices')}": len(x) for name, x in indices.items()},
        ),
    )


def _key(name):
    """Film and start of a clip, however it is written; None if it is the name of no clip."""
    match = _NAME.fullmatch(name)
    return match and (match["film"], int(match["start"]))


def _parse(fields):
    """Key, name and label of a line ``-7aeB7vFtB4_37,10,16``."""
    if len(fields) not in (2, 3) or (len(fields) == 3 and not fields[1].isdigit()):
        raise ValueError(
            "accepted are a clip, a number (of seconds or frames) or nothing, and a class, such "
            "as -7aeB7vFtB4_37,10,16."
        )
    name = re.sub(r"\.\w+$", "", fields[0].replace("\\", "/").rsplit("/", 1)[-1])
    key = _key(name)
    if key is None:
        raise ValueError(
            f"{fields[0]!r} is no clip; accepted are names such as -7aeB7vFtB4_37 or "
            "-7aeB7vFtB4_000037_000047: film and start."
        )
    return key, name, _label(fields[-1])


def _label(text):
    name = text.replace("_", " ").lower()
    if name in _CLASSES:
        return _CLASSES.index(name)
    if text.isdigit() and int(text) < len(_CLASSES):
        return int(text)
    raise ValueError(
        f"class {text!r} is unknown; accepted are 0 to {len(_CLASSES) - 1} and the names of the "
        f"classes, such as {_CLASSES[16]!r}."
    )
