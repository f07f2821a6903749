"""Data sets of recordings: lists of clips, and where their sounds and videos lie."""

import os
from typing import NamedTuple

import numpy as np

from ..container import ModalityDict
from ..features._video_reading import SUFFIXES as IMAGES
from ._home import find_home

__all__ = [
    "Clip",
    "check_choices",
    "find_folder",
    "find_lists",
    "gather",
    "positions",
    "read_lists",
]

PARTS = ("train", "validation", "test")
SOUNDS = (".wav",)
FILMS = (".avi", ".flv", ".mkv", ".mov", ".mp4", ".webm")
# A file that git-lfs has not fetched holds a few lines of text that begin so.
_POINTER = b"version https://git-lfs"
_POINTER_SIZE = 1024  # bytes; they are smaller than this


class Clip(NamedTuple):
    """One line of a list: the key that its files are found by, its name, class and part."""

    key: object
    name: str
    label: int
    part: str


def check_choices(**choices):
    """Raise unless each value is among its accepted ones: ``split=(value, accepted)``."""
    for name, (value, accepted) in choices.items():
        if not (isinstance(value, str) and value in accepted):
            raise ValueError(
                f"{name} must be one of {', '.join(map(repr, accepted))}; got {value!r}."
            )


def find_folder(root, title, name, how):
    """Return the folder `root`, or the folder `name` in it.

    Parameters
    ----------
    root : str, path-like or None
        None takes the environment variable INFOREG_SK_DATA.
    title, name : str
        Of the data set, for people and as a folder.
    how : str
        How to get it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If it is no folder.
    """
    root = find_home("root", root, f"The {title} files were", how)
    inner = root / name
    if not root.is_dir():
        raise FileNotFoundError(f"root: there is no folder {root}. {how}")
    return inner if inner.is_dir() else root


def find_lists(folder, places, forms, how):
    """Return the paths of the lists by part; validation only where there is one.

    Parameters
    ----------
    folder : pathlib.Path or None
        The only folder to look in, or None for `places`.
    places : list of pathlib.Path
    forms : dict of str to tuple of str
        Names of the files by part, most wanted first.
    how : str
        How to get them.

    Raises
    ------
    FileNotFoundError
        If the list of train or test is nowhere; or train is and test is not in the same folder.
    """
    places = [find_home("lists", folder, "The lists were", how)] if folder is not None else places
    for place in places:
        there = {
            part: next((place / name for name in names if (place / name).is_file()), None)
            for part, names in forms.items()
        }
        if there["train"] or there["test"]:
            break
    lost = [part for part in ("train", "test") if there[part] is None]
    if len(lost) == 2:
        raise FileNotFoundError(
            f"The lists of train and test ({' or '.join(forms['train'])}, "
            f"{' or '.join(forms['test'])}) are in none of: {', '.join(map(str, places))}. {how}"
        )
    if lost:
        raise FileNotFoundError(
            f"{place} has a list of {'test' if lost == ['train'] else 'train'} and none of "
            f"{lost[0]} ({' or '.join(forms[lost[0]])}). {how}"
        )
    return {part: there[part] for part in PARTS if there.get(part)}


def read_lists(files, parse):
    """Read the lists, one clip a line, fields separated by commas or else by blanks.

    Parameters
    ----------
    files : dict of str to pathlib.Path
        By part.
    parse : callable
        Maps the fields of a line to ``(key, name, label)`` or raises a ValueError that says what
        is wrong with them.

    Returns
    -------
    list of Clip
        In the order of parts and lines.

    Raises
    ------
    ValueError
        If a line is malformed, a clip is listed twice, or a list is empty; the file, the line and
        the clip are named.
    """
    clips, seen = [], {}
    for part, path in files.items():
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text in UTF-8: {error}.") from error
        before = len(clips)
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            fields = [field.strip() for field in (line.split(",") if "," in line else line.split())]
            where = f"{path}, line {number}"
            try:
                key, name, label = parse(fields)
            except ValueError as error:
                raise ValueError(f"{where} ({line.strip()!r}): {error}") from None
            if key in seen:
                raise ValueError(f"{where}: clip {name} is listed twice; first in {seen[key]}.")
            seen[key] = where
            clips.append(Clip(key, name, label, part))
        if len(clips) == before:
            raise ValueError(f"{path} lists no clips.")
    return clips


def scan(folder, key):
    """Return the recordings under `folder`.

    Parameters
    ----------
    folder : pathlib.Path
    key : callable
        Maps a file's name without suffix, or a folder's, to the key of its clip or None.

    Returns
    -------
    dict of str to dict of object to list of str
        Paths by kind ("sound", "film", "frames") and key; the frames of a clip are a folder with
        images, named as the clip or as its video file. What is hidden is left out.
    """
    found = {"sound": {}, "film": {}, "frames": {}}
    waiting, visited = [str(folder)], set()
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in visited:  # a link back
            continue
        visited.add(real)
        pictures = False
        with os.scandir(place) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                suffix = suffix.lower()
                if stem.startswith("."):
                    continue
                if entry.is_dir():
                    waiting.append(entry.path)
                elif suffix in IMAGES:
                    pictures = True
                elif suffix in SOUNDS + FILMS and key(stem) is not None:
                    kind = "sound" if suffix in SOUNDS else "film"
                    found[kind].setdefault(key(stem), []).append(entry.path)
        name, suffix = os.path.splitext(os.path.basename(place))
        clip = key(name + ("" if suffix.lower() in FILMS else suffix)) if pictures else None
        if clip is not None:
            found["frames"].setdefault(clip, []).append(place)
    return found


def gather(home, clips, key, *, audio, video, missing, how):
    """Find the sound and the video of each clip.

    Parameters
    ----------
    home : pathlib.Path
    clips : list of Clip, or callable
        A callable makes it of all keys that there are, where there is no list.
    key : callable
        See `scan`.
    audio, video : str
        "auto" or the name of a folder in `home`.
    missing : {"error", "drop", "allow"}
    how : str
        How to get what is missing.

    Returns
    -------
    data : ModalityDict
        Arrays of paths ``"audio"`` and ``"video"``; with None where a kept clip lacks one.
    clips : list of Clip
        Those with both or, with ``missing="allow"``, with at least one.
    dropped : list of str
        Names of the others.

    Raises
    ------
    FileNotFoundError
        If a folder or a recording is missing, or not yet fetched by git-lfs.
    ValueError
        If a clip has several recordings of a kind.
    """
    scans = {}
    for parameter, folder in (("audio", audio), ("video", video)):
        if folder not in scans:
            scans[folder] = scan(_subfolder(home, parameter, folder), key)
    sounds, films, frames = scans[audio]["sound"], scans[video]["film"], scans[video]["frames"]
    if callable(clips):
        clips = clips(sounds.keys() | films.keys() | frames.keys())
    # Files and frames are not mixed: a network would learn how the frames were cut out.
    n_films, n_frames = (sum(clip.key in x for clip in clips) for x in (films, frames))
    videos = films if n_films >= n_frames else frames
    what = "a video file" if videos is films else "a folder of frames"
    what = what if n_films + n_frames else "a video file or folder of frames"
    present = []
    for parameter, kind, recordings in (
        ("audio", "a wav file", sounds),
        ("video", what, videos),
    ):
        lost = [clip.name for clip in clips if clip.key not in recordings]
        if lost and missing == "error":
            folder = {"audio": audio, "video": video}[parameter]
            where = home if folder == "auto" else home / folder
            raise FileNotFoundError(
                f"{parameter}: {len(lost)} of {len(clips)} clips have no {kind.split(' ', 1)[1]} "
                f"under {where}, first: {_first(lost)}. {how} missing='drop' leaves them out, "
                "missing='allow' keeps those that have the other."
            )
        for clip in clips:
            if len(recordings.get(clip.key, ())) > 1:
                raise ValueError(
                    f"{parameter}: clip {clip.name} has {kind} in more than one place: "
                    f"{_first(sorted(recordings[clip.key]))}; name the folder to take it from, as "
                    f"{parameter}='<folder in {home}>'."
                )
        present.append(recordings)
    enough, both = (any, "or") if missing == "allow" else (all, "and")
    wanted = [enough(clip.key in recordings for recordings in present) for clip in clips]
    kept = [clip for clip, good in zip(clips, wanted) if good]
    dropped = [clip.name for clip, good in zip(clips, wanted) if not good]
    if not kept:
        raise FileNotFoundError(
            f"None of {len(clips)} clips has a wav file {both} a video under {home}. {how}"
        )
    data = {
        name: [recordings.get(clip.key, [None])[0] for clip in kept]
        for name, recordings in zip(("audio", "video"), present)
    }
    _check_fetched(data)
    # With None in it, an array of objects.
    return ModalityDict({name: np.array(paths) for name, paths in data.items()}), kept, dropped


def positions(clips, home):
    """Positions of each part, as the fields of a Bunch; an error if train or test has none."""
    parts = np.array([clip.part for clip in clips])
    for part in ("train", "test"):
        if part not in parts:
            raise FileNotFoundError(f"No clip of the part {part} is under {home}.")
    return {f"{part}_indices": np.flatnonzero(parts == part) for part in PARTS}


def _subfolder(home, parameter, folder):
    if not isinstance(folder, str) or not folder:
        raise TypeError(f"{parameter} must be 'auto' or the name of a folder; got {folder!r}.")
    if folder != "auto" and not (home / folder).is_dir():
        raise FileNotFoundError(
            f"{parameter}={folder!r}: there is no such folder in {home}; there are: "
            f"{_first(sorted(x.name for x in home.iterdir() if x.is_dir()), 10) or 'none'}."
        )
    return home if folder == "auto" else home / folder


def _check_fetched(data):
    """Raise where files are still the pointers of git-lfs."""
    for name, paths in data.items():
        pointers = [path for path in paths if path is not None and _is_pointer(path)]
        if pointers:
            raise FileNotFoundError(
                f"{name}: {len(pointers)} of {len(paths)} files are pointers of git-lfs, not "
                f"recordings, first: {_first(pointers)}. Install git-lfs and run `git lfs pull` in "
                "the repository."
            )


def _is_pointer(path):
    if os.path.isdir(path) or os.path.getsize(path) > _POINTER_SIZE:
        return False
    with open(path, "rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def _first(names, n=3):
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")
