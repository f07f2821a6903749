"""Data sets of recordings: lists of clips, and where their sounds and videos are."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.container import ModalityDict
from ..features._video_reading import SUFFIXES as IMAGES
from ..utils.callers import warn_caller
from ..utils.files import (
    BadFile,
    UnreadableFileError,
    check_file,
    check_inside,
    is_pointer,
    is_regular,
    leads_out,
    named,
    shorten,
)
from ._home import find_home

__all__ = [
    "Clip",
    "find_folder",
    "find_lists",
    "match_recordings",
    "part_indices",
    "read_lists",
]

PARTS = ("train", "validation", "test")
SOUNDS = (".wav",)
VIDEOS = (".avi", ".flv", ".mkv", ".mov", ".mp4", ".webm")
_LINE = 4096  # characters; the lines of a list are shorter


class Clip(NamedTuple):
    """One line of a list: the key that its files are found by, its name, class and part."""

    key: object
    name: str
    label: int
    part: str


def find_folder(root, title, name, how, follow_links):
    """Return the folder `root`, or the folder `name` in it.

    Parameters
    ----------
    root : str, path-like or None
        None uses the environment variable INFOREG_SK_DATA.
    title, name : str
        The name of the data set in messages, and that of its folder.
    how : str
        How to get it.
    follow_links : bool
        Whether the folder in `root` may be a symbolic link to outside of it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If it is not a folder.
    UnreadableFileError
        If it is such a link.
    """
    root = find_home("root", root, f"the {title} files", how)
    inner = root / name
    if not root.is_dir():
        raise FileNotFoundError(f"root: there is no folder {root}. {how}")
    if not inner.is_dir():
        return root
    check_inside(inner, root, follow_links)
    return inner


def find_lists(folder, places, file_names, how, follow_links):
    """Return the paths of the lists by part; the list of validation is optional.

    Parameters
    ----------
    folder : str, path-like or None
        The only folder to look in, or None for `places`.
    places : list of pathlib.Path
    file_names : dict of str to tuple of str
        Possible names of the files by part, in order of preference.
    how : str
        How to get them.
    follow_links : bool
        Whether a list may be a symbolic link to outside of the first place.

    Raises
    ------
    FileNotFoundError
        If no folder has the lists of train and test, or the first with one of them lacks the other.
    UnreadableFileError
        If a list is such a link.
    """
    places = [Path(folder).expanduser()] if folder is not None else places
    for place in places:
        found = {
            part: next((place / name for name in names if (place / name).is_file()), None)
            for part, names in file_names.items()
        }
        if found["train"] or found["test"]:
            break
    absent = [part for part in ("train", "test") if found[part] is None]
    if len(absent) == 2:
        raise FileNotFoundError(
            f"The lists of train and test ({' or '.join(file_names['train'])}, "
            f"{' or '.join(file_names['test'])}) are not in any of: "
            f"{', '.join(map(str, places))}. {how}"
        )
    if absent:
        raise FileNotFoundError(
            f"{place} has a list of {'test' if absent == ['train'] else 'train'} but none of "
            f"{absent[0]} ({' or '.join(file_names[absent[0]])}). {how}"
        )
    lists = {part: found[part] for part in PARTS if found.get(part)}
    for path in lists.values():
        check_inside(path, places[0], follow_links)
    return lists


def read_lists(files, parse):
    """Read the lists: one clip per line, its fields separated by commas or else by blanks.

    Parameters
    ----------
    files : dict of str to pathlib.Path
        By part.
    parse : callable
        Maps the fields of a line to ``(key, name, label)``, or raises a ValueError that says what
        is wrong.

    Returns
    -------
    list of Clip
        In the order of the parts and lines.

    Raises
    ------
    UnreadableFileError
        If a line is malformed, a clip is listed twice, or a list is empty or not text; the message
        names the file, the line and the clip.
    """
    clips, seen = [], {}
    for part, path in files.items():
        before = len(clips)
        with named(path, "a list of clips"):
            check_file(path)
            for number, line in _lines(path):
                where = f"{path}, line {number}"
                parts = line.split(",") if "," in line else line.split()
                try:
                    key, name, label = parse([field.strip() for field in parts])
                except ValueError as error:
                    raise UnreadableFileError(
                        f"{where} ({shorten(line.strip())!r}): {error}"
                    ) from None
                if key in seen:
                    raise UnreadableFileError(
                        f"{where}: clip {name} is listed twice; first in {seen[key]}."
                    )
                seen[key] = where
                clips.append(Clip(key, name, label, part))
        if len(clips) == before:
            raise UnreadableFileError(f"{path} lists no clips.")
    return clips


def _lines(path):
    """Yield the number and the text of each line that is not blank."""
    with open(path, encoding="utf-8-sig") as file:
        try:
            # A bound, since a file of zeros has one line.
            for number, line in enumerate(iter(lambda: file.readline(_LINE + 1), ""), start=1):
                if len(line) > _LINE:
                    raise BadFile(f"line {number} has more than {_LINE} characters.")
                if line.strip():
                    yield number, line
        except UnicodeDecodeError as error:
            raise BadFile(f"it is not text in UTF-8: {error}.") from error


def scan(folder, key, home, follow_links):
    """Return the recordings under `folder`.

    Parameters
    ----------
    folder : pathlib.Path
    key : callable
        Maps the name of a file (without suffix) or folder to the key of its clip, or to None.
    home : pathlib.Path
        The folder that symbolic links may not lead out of.
    follow_links : bool
        Whether they may.

    Returns
    -------
    dict of str to dict of object to list of str
        Paths by kind ("sound", "video", "frames") and key. The frames of a clip are a folder of
        images with the name of the clip or of its video file. Hidden files are left out.

    Raises
    ------
    UnreadableFileError
        If a recording is a link out of `home`, or not a regular file.

    Warns
    -----
    UserWarning
        If folders are links out of `home`: they are left out.
    """
    found, outside = {"sound": {}, "video": {}, "frames": {}}, []
    waiting, visited = [str(folder)], set()
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in visited:  # a link to a folder above
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
                    # To follow a link to / is to walk the disk.
                    if entry.is_symlink() and not follow_links and leads_out(entry.path, home):
                        outside.append(entry.path)
                    else:
                        waiting.append(entry.path)
                elif suffix in IMAGES:
                    pictures = True
                elif suffix in SOUNDS + VIDEOS and key(stem) is not None:
                    _check_entry(entry, home, follow_links)
                    kind = "sound" if suffix in SOUNDS else "video"
                    found[kind].setdefault(key(stem), []).append(entry.path)
        name, suffix = os.path.splitext(os.path.basename(place))
        clip = key(name + ("" if suffix.lower() in VIDEOS else suffix)) if pictures else None
        if clip is not None:
            found["frames"].setdefault(clip, []).append(place)
    if outside:
        warn_caller(
            f"Folders that are symbolic links to outside of {home} are left out ({len(outside)}): "
            f"{_first(sorted(outside))}. follow_links=True includes them."
        )
    return found


def _check_entry(entry, home, follow_links):
    """Raise if a recording is not a regular file in `home`; the name of an absent one may stand."""
    if entry.is_symlink():
        check_inside(entry.path, home, follow_links)
    if os.path.exists(entry.path) and not is_regular(entry.path):
        raise UnreadableFileError(
            f"{entry.path} is not a regular file, but a pipe, a socket or a device."
        )


def match_recordings(home, clips, key, *, audio, video, missing, follow_links, how):
    """Find the sound and the video of each clip.

    Parameters
    ----------
    home : pathlib.Path
    clips : list of Clip, or callable
        If there is no list, a callable that makes the clips from the set of all keys found.
    key : callable
        See `scan`.
    audio, video : str
        "auto" or the name of a folder in `home`.
    missing : {"error", "drop", "allow"}
    follow_links : bool
        See `scan`.
    how : str
        How to get what is missing.

    Returns
    -------
    data : ModalityDict
        Arrays of paths ``"audio"`` and ``"video"``, with None where a clip lacks one.
    clips : list of Clip
        Those with both recordings or, with ``missing="allow"``, with at least one.
    dropped : list of str
        Names of the other clips.

    Raises
    ------
    FileNotFoundError
        If a folder or a recording is missing, or not yet fetched by git-lfs.
    ValueError
        If a clip has several recordings of the same kind.
    """
    scans = {}
    for parameter, folder in (("audio", audio), ("video", video)):
        if folder not in scans:
            place = _subfolder(home, parameter, folder, follow_links)
            scans[folder] = scan(place, key, home, follow_links)
    sounds, videos, frames = scans[audio]["sound"], scans[video]["video"], scans[video]["frames"]
    if callable(clips):
        clips = clips(sounds.keys() | videos.keys() | frames.keys())
    chosen, kind = _choose_videos(clips, videos, frames)
    recordings = {"audio": sounds, "video": chosen}
    _check_recordings(home, clips, "audio", audio, sounds, "wav file", missing, how)
    _check_recordings(home, clips, "video", video, chosen, kind, missing, how)

    enough, both = (any, "or") if missing == "allow" else (all, "and")
    usable = [enough(clip.key in found for found in recordings.values()) for clip in clips]
    kept = [clip for clip, good in zip(clips, usable) if good]
    dropped = [clip.name for clip, good in zip(clips, usable) if not good]
    if not kept:
        raise FileNotFoundError(
            f"None of {len(clips)} clips has a wav file {both} a video under {home}. {how}"
        )
    data = {
        name: [found.get(clip.key, [None])[0] for clip in kept]
        for name, found in recordings.items()
    }
    _check_fetched(data)
    # An array of paths with None among them has dtype object.
    return ModalityDict({name: np.array(paths) for name, paths in data.items()}), kept, dropped


def _choose_videos(clips, videos, frames):
    """Return the kind of videos that more clips have, files or frames, and its name."""
    # They are not mixed: a network would learn how the frames were extracted.
    n_videos, n_frames = (sum(clip.key in found for clip in clips) for found in (videos, frames))
    if not n_videos + n_frames:
        return videos, "video file or folder of frames"
    return (videos, "video file") if n_videos >= n_frames else (frames, "folder of frames")


def _check_recordings(home, clips, parameter, folder, found, kind, missing, how):
    """Raise if a clip has several recordings, or none where that is an error."""
    absent = [clip.name for clip in clips if clip.key not in found]
    if absent and missing == "error":
        where = home if folder == "auto" else home / folder
        raise FileNotFoundError(
            f"{parameter}: {len(absent)} of {len(clips)} clips have no {kind} under {where}, "
            f"first: {_first(absent)}. {how} missing='drop' leaves them out, missing='allow' keeps "
            "those that have the other recording."
        )
    for clip in clips:
        if len(found.get(clip.key, ())) > 1:
            raise ValueError(
                f"{parameter}: clip {clip.name} has a {kind} in more than one place: "
                f"{_first(sorted(found[clip.key]))}. Choose a folder by "
                f"{parameter}='<folder in {home}>'."
            )


def part_indices(clips, home):
    """Return the positions of each part, as the fields of a Bunch; train and test must have some.

    Raises
    ------
    FileNotFoundError
        If train or test has no clips.
    """
    parts = np.array([clip.part for clip in clips])
    for part in ("train", "test"):
        if part not in parts:
            raise FileNotFoundError(f"No clip of the part {part} is under {home}.")
    return {f"{part}_indices": np.flatnonzero(parts == part) for part in PARTS}


def _subfolder(home, parameter, folder, follow_links):
    if folder != "auto" and not (home / folder).is_dir():
        raise FileNotFoundError(
            f"{parameter}={folder!r}: there is no such folder in {home}; its folders are: "
            f"{_first(sorted(x.name for x in home.iterdir() if x.is_dir()), 10) or 'none'}."
        )
    if folder != "auto":
        check_inside(home / folder, home, follow_links)
    return home if folder == "auto" else home / folder


def _check_fetched(data):
    """Raise if files are still pointers of git-lfs."""
    for name, paths in data.items():
        pointers = [path for path in paths if path is not None and is_pointer(path)]
        if pointers:
            raise FileNotFoundError(
                f"{name}: {len(pointers)} of {len(paths)} files are pointers of git-lfs, not "
                f"recordings, first: {_first(pointers)}. Install git-lfs and run `git lfs pull` in "
                "the repository."
            )


def _first(names, n=3):
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")
