"""Loader of the UTD-MHAD human actions: skeletons, inertial signals and depth videos."""

import os
import re

import numpy as np
from sklearn.utils import Bunch

from ..data.container import ModalityDict
from ..utils.files import BadFile, UnreadableFileError, check_inside, check_size, named
from ..utils.isolation import readers
from ..utils.parameters import IsNone, Options
from ._arguments import BOOL, HOME, Subset, check_arguments
from ._home import find_home
from ._mat import read_variable
from ._reading import READING

__all__ = ["load_utd_mhad"]

_SPLITS = ("train", "test")
# Folder, variable in the files, and shape, where None is the number of frames.
_FILES = {
    "skeleton": ("Skeleton", "d_skel", (20, 3, None)),
    "inertial": ("Inertial", "d_iner", (None, 6)),
    "depth": ("Depth", "d_depth", (240, 320, None)),
}
_CONSTRAINTS = {
    "root": HOME,
    "modalities": [Subset(*_FILES)],
    "split": [IsNone(), Options(*_SPLITS)],
    **READING,
    "return_X_y": [BOOL],
}
_STEPS = {"skeleton": 40, "inertial": 60}
_HIP_CENTRE = 3  # of head, shoulder centre, spine, hip centre, ...
_LARGEST_NUMBER = 10_000  # of a subject or a trial; the published files have 8 and 4
_DEPTH_BLOCK = 10  # pixels, so that 240 x 320 become 24 x 32

_TARGET_NAMES = (
    "swipe left, swipe right, wave, clap, throw, cross arms, basketball shoot, draw x, "
    "draw circle clockwise, draw circle counter-clockwise, draw triangle, bowling, boxing, "
    "baseball swing, tennis swing, arm curl, tennis serve, push, knock, catch, "
    "pick up and throw, jog, walk, sit to stand, stand to sit, lunge, squat"
).split(", ")

_HOW_TO_GET = (
    "Nothing is downloaded: get Skeleton.zip, Inertial.zip and, if wanted, Depth.zip of "
    "UTD-MHAD from the page of its authors (personal.utdallas.edu/~kehtar/UTD-MHAD.html), unpack "
    "them into one folder and pass it as root, or name it in the environment variable "
    "INFOREG_SK_DATA."
)

_DESCR = """\
UTD-MHAD human actions
----------------------

27 actions, each performed about four times by 8 people in front of a depth camera, with an
inertial sensor on the right wrist (actions 1 to 21) or the right thigh (22 to 27).

:Samples: {n}; {n_train} train (odd subjects), {n_test} test (even subjects)
:Modalities: {shapes}
:Classes: 27
:Order: action, subject, trial: shuffle when splitting
:Source: https://personal.utdallas.edu/~kehtar/UTD-MHAD.html
:Licence: described as freely available and public domain; no licence text

Skeletons and inertial signals are resampled to a fixed number of steps; depth is one motion map.
The place of the inertial sensor distinguishes actions 1 to 21 from the others.

Reference: Chen, Jafari and Kehtarnavaz (2015), "UTD-MHAD: A Multimodal Dataset for Human Action
Recognition Utilizing a Depth Camera and a Wearable Inertial Sensor", ICIP 2015.
"""


def load_utd_mhad(
    root=None,
    *,
    modalities=("skeleton", "inertial"),
    split=None,
    max_bytes=2**30,
    follow_links=False,
    isolate=False,
    time_limit=600,
    return_X_y=False,
):
    """Load the UTD-MHAD human actions (classification).

    Reads the published files of UTD-MHAD [1]_, one per recording and modality, such as
    ``Skeleton/a1_s1_t1_skeleton.mat`` (action 1, subject 1, trial 1). They are not part of the
    package and are not downloaded.

    =================   =========================================================
    Classes             27 actions
    Samples             861 (431 train, 430 test)
    Modalities          skeleton (40, 60), inertial (60, 6), depth (24, 32)
    Groups              8 subjects, none in two parts
    =================   =========================================================

    Parameters
    ----------
    root : str or path-like, default=None
        The folder with the folders ``Skeleton``, ``Inertial`` and ``Depth`` (in upper or lower
        case), or with all files directly, or a folder that contains it as ``utd_mhad``. If None,
        the folder that the environment variable ``INFOREG_SK_DATA`` names.
    modalities : sequence of {"skeleton", "inertial", "depth"}, default=("skeleton", "inertial")
        The modalities to read, in this order. Files of others are not opened; depth is large.
    split : {"train", "test"}, default=None
        The published part to load: subjects 1, 3, 5 and 7, or 2, 4, 6 and 8. If None, both, sorted
        by action, so that the parts are mixed.
    max_bytes : int, default=2**30
        The most memory, in bytes, that the content of one file may take. A file that claims more
        is refused before anything is allocated.
    follow_links : bool, default=False
        Whether to read a file in `root` that is a symbolic link to outside of it. A link that is
        itself passed as `root` is always followed.
    isolate : bool, default=False
        Whether to read the files in a worker process, with `max_bytes` (on Linux) and
        `time_limit`. A file that crashes a library is then an error that names it. Starting the
        worker takes a few seconds.
    time_limit : float, default=600
        Seconds that reading one file may take with ``isolate=True``.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of the `Bunch`.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ModalityDict
            Arrays of float32. ``"skeleton"``, of shape (n_samples, 40, 60): x, y and z of joint
            1, of joint 2 and so on, in metres from the hip centre (the fourth joint) in the first
            frame. ``"inertial"``, (n_samples, 60, 6): acceleration in g, then angular velocity in
            degrees per second, each x, y and z. ``"depth"``, (n_samples, 24, 32): the motion map.
        target : ndarray of shape (n_samples,), int64
            The action, 0 to 26; the files count from 1.
        target_names : ndarray of str
            Short names of the actions.
        groups : ndarray of shape (n_samples,), int64
            The subject, 1 to 8, for grouped cross-validation.
        trials : ndarray of shape (n_samples,), int64
            The trial, 1 to 4.
        lengths : dict of str to ndarray of int64
            Frames of each recording before resampling, by modality.
        train_indices, test_indices : ndarray of int
            Positions of the published parts in `data`; empty for a part that is not loaded.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    FileNotFoundError
        If there are no files, or a recording lacks the file of a modality; the message names it.
    TypeError
        If `root` is not a path.
    ValueError
        If an argument has a value that it does not accept. An `UnreadableFileError`, which names
        the file, if one is damaged, holds something else, exceeds `max_bytes`, is a link to
        outside of `root`, or is of the same recording as another.

    Notes
    -----
    Skeletons and inertial signals are resampled by linear interpolation at 40 and 60 equally
    spaced times from the first frame to the last, so that a slow and a quick performance look
    alike; `lengths` keeps the original number of frames. The motion map is the absolute difference
    of successive depth frames, averaged over the frames and over blocks of 10 x 10 pixels.

    Nothing is scaled; use a `ModalityTransformer` with a `StandardScaler`.

    References
    ----------
    .. [1] C. Chen, R. Jafari and N. Kehtarnavaz (2015). "UTD-MHAD: A Multimodal Dataset for Human
       Action Recognition Utilizing a Depth Camera and a Wearable Inertial Sensor". ICIP 2015.

    Examples
    --------
    >>> from inforeg_sk.datasets import load_utd_mhad
    >>> actions = load_utd_mhad("UTD-MHAD")  # doctest: +SKIP
    >>> actions.data  # doctest: +SKIP
    ModalityDict(861 samples: skeleton (40, 60), inertial (60, 6))
    """
    check_arguments(
        "load_utd_mhad",
        _CONSTRAINTS,
        root=root,
        modalities=modalities,
        split=split,
        max_bytes=max_bytes,
        follow_links=follow_links,
        isolate=isolate,
        time_limit=time_limit,
        return_X_y=return_X_y,
    )
    modalities = tuple(modalities)
    found, looked = _find_files(root, modalities, follow_links)
    names = sorted(set().union(*found.values()))
    if split is not None:
        names = [name for name in names if name[1] % 2 == (split == "train")]
    if not names:
        raise FileNotFoundError(
            f"Files such as a1_s1_t1_{modalities[0]}.mat{f' of {split}' if split else ''} are not "
            f"in any of: {', '.join(looked)}. {_HOW_TO_GET}"
        )
    for modality in modalities:
        for name in names:
            if name not in found[modality]:
                raise FileNotFoundError(_missing(modality, name, found, looked))

    data, lengths = {}, {}
    with readers(isolate, time_limit=time_limit, max_bytes=max_bytes) as call:
        for modality in modalities:
            prepared = []
            for name in names:
                path = found[modality][name]
                with named(path, "a .mat file"):  # what the worker says of a crash names no file
                    prepared.append(call(_read_prepared, path, modality, max_bytes))
            data[modality] = np.stack([x for x, _ in prepared]).astype(np.float32)
            lengths[modality] = np.array([length for _, length in prepared], dtype=np.int64)
    data = ModalityDict(data)
    actions, subjects, trials = np.array(names, dtype=np.int64).T
    target = actions - 1
    if return_X_y:
        return data, target
    train, test = (np.flatnonzero(subjects % 2 == odd) for odd in (1, 0))
    shapes = ", ".join(f"{name} {X.shape[1:]}" for name, X in data.items())
    return Bunch(
        data=data,
        target=target,
        target_names=np.array(_TARGET_NAMES),
        groups=subjects.copy(),
        trials=trials.copy(),
        lengths=lengths,
        train_indices=train,
        test_indices=test,
        DESCR=_DESCR.format(n=len(names), n_train=len(train), n_test=len(test), shapes=shapes),
    )


def _find_files(root, modalities, follow_links):
    """Return ``{modality: {(action, subject, trial): path}}`` and the folders looked in."""
    root = find_home("root", root, "the UTD-MHAD files", _HOW_TO_GET)
    looked = []
    for home in (root, root / "utd_mhad"):
        found = {}
        for modality in modalities:
            folder = _FILES[modality][0]
            looked += [str(home / folder), str(home)]
            found[modality] = _list_files(root, home, folder, modality, follow_links)
        if any(found.values()):
            return found, list(dict.fromkeys(looked))
    return found, list(dict.fromkeys(looked))


def _list_files(root, home, folder, modality, follow_links):
    """Return the files of one modality in `home` and in its folder; the latter take precedence."""
    content = _list_folder(root, home, follow_links)
    inner = [path for path in content if path.name.lower() == folder.lower()]
    found = {}
    for path in content + [x for place in inner for x in _list_folder(root, place, follow_links)]:
        match = re.fullmatch(rf"a(\d+)_s(\d+)_t(\d+)_{modality}\.mat", path.name, re.IGNORECASE)
        if match:
            name = tuple(map(int, match.groups()))
            if not 1 <= name[0] <= len(_TARGET_NAMES):
                raise UnreadableFileError(
                    f"{path}: expected an action of 1 to {len(_TARGET_NAMES)}; got {name[0]}."
                )
            if max(name) > _LARGEST_NUMBER:
                raise UnreadableFileError(f"{path}: the numbers in its name are too large.")
            # A file in the folder of its modality takes precedence; any other pair is an accident.
            if name in found and (found[name].parent != home or path.parent == home):
                raise UnreadableFileError(f"{path} is of the same recording as {found[name]}.")
            check_inside(path, root, follow_links)
            found[name] = path
    return found


def _list_folder(root, folder, follow_links):
    """Return the paths in a folder; none if there is no such folder."""
    if not os.path.isdir(folder):
        return []
    check_inside(folder, root, follow_links)
    with named(folder, "a folder that can be listed"):
        return list(folder.iterdir())


def _missing(modality, name, found, looked):
    """Return the message that names the missing file and another file of the same recording."""
    action, subject, trial = name
    other = next(files[name] for files in found.values() if name in files)
    folders = [x for x in looked if x.endswith(_FILES[modality][0])]
    return (
        f"a{action}_s{subject}_t{trial}_{modality}.mat is not in {' or '.join(folders)}, but "
        f"{other.name} of the same recording is. {_HOW_TO_GET} To load the others without "
        f"{modality}, leave it out of modalities."
    )


def _read_prepared(path, modality, max_bytes):
    """Return the features of one file and its number of frames."""
    with named(path, "a .mat file"):
        return _PREPARE[modality](_read(path, modality, max_bytes))


def _read(path, modality, max_bytes):
    """Return the array of one file."""
    _, variable, shape = _FILES[modality]
    X = read_variable(path, variable, max_bytes)
    # MATLAB drops a last axis of length 1.
    X = X[..., None] if X.ndim == 2 and len(shape) == 3 else X
    fits = X.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, X.shape))
    if not fits or X.size == 0:
        wanted = " x ".join("frames" if n is None else str(n) for n in shape)
        raise BadFile(f"{variable} must hold {wanted} numbers; got {X.shape} {X.dtype}.")
    if modality != "depth":  # which is converted frame by frame
        check_size(f"variable {variable}, as float64,", 8 * X.size, max_bytes)
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        raise BadFile(f"{variable} holds values that are not finite.")
    return X


def _resample(X, n_steps):
    """Return `n_steps` rows, interpolated linearly between those of `X`."""
    times = np.linspace(0, len(X) - 1, n_steps)
    low = np.floor(times).astype(int)
    high = np.minimum(low + 1, len(X) - 1)
    part = (times - low)[:, None]
    return X[low] * (1 - part) + X[high] * part


def _prepare_skeleton(joints):
    frames = joints.astype(np.float64).transpose(2, 0, 1)
    frames = frames - frames[0, _HIP_CENTRE]
    return _resample(frames.reshape(len(frames), -1), _STEPS["skeleton"]), len(frames)


def _prepare_inertial(signals):
    return _resample(signals.astype(np.float64), _STEPS["inertial"]), len(signals)


def _prepare_depth(video):
    height, width, n_frames = video.shape
    total = np.zeros((height, width))
    for i in range(1, n_frames):  # frame by frame: a video of 64-bit numbers is large
        total += np.abs(video[:, :, i].astype(np.float64) - video[:, :, i - 1])
    b = _DEPTH_BLOCK
    blocks = (total / max(n_frames - 1, 1)).reshape(height // b, b, width // b, b)
    return blocks.mean(axis=(1, 3)), n_frames


_PREPARE = {
    "skeleton": _prepare_skeleton,
    "inertial": _prepare_inertial,
    "depth": _prepare_depth,
}
