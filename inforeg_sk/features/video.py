"""Video files and folders of frames as arrays of frames."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from functools import partial
from math import isfinite
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._output import OwnOutput
from ._bad_samples import FILL, filling
from ._video_reading import optional, read_clip

__all__ = ["VideoFrames"]

# Mean and standard deviation of ImageNet's red, green and blue, of values in [0, 1].
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHOICES = {
    "sampling": ("uniform", "random"),
    "normalise": ("imagenet", None),
    "short": ("repeat", "error"),
    "on_error": ("raise", *FILL),
}


class VideoFrames(OwnOutput, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Read a few frames of each video.

    A sample is a path: of a video file, or of a folder that holds its frames as images. Comes out
    what the encoders ``"cnn"`` and ``"resnet18"`` take. Needs the extra ``video`` (PyAV, Pillow).

    Parameters
    ----------
    n_frames : int, default=3
        Frames a sample.
    fps : float or None, default=3
        Frames a second of a video file that there are to choose from: those on screen at the
        times 0, ``1 / fps``, ``2 / fps``, ... seconds from the first frame on. None: every frame.
        Images of a folder have no times; all of them are there to choose from.
    size : int or tuple of 2 int, default=224
        Height and width in pixels, or one number for both. The whole frame is resized, by
        Pillow's bilinear filter, whatever its proportions.
    sampling : {"uniform", "random"}, default="uniform"
        Which frames are chosen: the middle one of each of `n_frames` equal parts of the clip, or
        a random selection without replacement, in the order of time.
    normalise : {"imagenet"} or None, default="imagenet"
        Subtract ImageNet's mean and divide by its standard deviation, channel by channel, as
        weights trained there expect. None: values in [0, 1].
    short : {"repeat", "error"}, default="repeat"
        What becomes of a clip with less than `n_frames` frames to choose from (shorter than
        ``n_frames / fps`` seconds): its last frame is repeated, or it is an error.
    on_error : {"raise", "zeros", "missing"}, default="raise"
        What an error of a sample does (a file that is missing, empty, broken or no video; a short
        clip with ``short="error"``): raise it, or give zeros for that sample, or NaN (which a
        classifier with ``missing="allow"`` takes for a missing modality), and one warning that
        names all such.
    random_state : int, default=0
        Seed of the random selection, at least 0.
    n_jobs : int or None, default=None
        How many samples are read at once; -1: as many as there are processors. Threads, unless
        ``joblib.parallel_config`` asks for others.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    size_ : tuple of int
        ``(height, width)``, in pixels.

    Raises
    ------
    TypeError
        If a sample is no path.
    ValueError
        If a parameter is out of range, the samples are no array of paths, or a sample cannot be
        read; its row and path are named.
    ImportError
        If PyAV (for video files) or Pillow is not installed.

    Notes
    -----
    The random selection goes by `random_state` and the last part of the path, so it does not
    depend on order, subset, folder or `n_jobs`; it is the same each time, and clips of equal names
    and lengths get the same.

    A video file is decoded once, to its end, and the frames to choose from are held at their final
    size: 27 MB for each minute at the defaults, more with a higher `fps`. The output takes
    ``12 * n_frames * height * width`` bytes a sample, 1.8 MB at the defaults.

    Damage that FFmpeg conceals is no error: the frames before it are used. So it is with most files
    that are cut off at the end; but an mp4 has its index there, and cannot be read without it.
    Films and images that are marked as turned are turned upright.

    In a ``Pipeline(memory=...)`` the frames of the training data are read once for all parameters
    of later steps. joblib goes by the paths: after changing the files, clear its cache.

    References
    ----------
    Huang, Wei, Yang, Hu: "Adaptive Unimodal Regulation for Balanced Multimodal Information
    Acquisition", CVPR 2025, arXiv:2503.18595, for 3 frames out of 3 a second. Mean and standard
    deviation of ImageNet as in torchvision.

    Examples
    --------
    A clip of four grey frames, as a folder of images:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from inforeg_sk.features.video import VideoFrames
    >>> reader = VideoFrames(n_frames=2, size=(8, 10), normalise=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i, grey in enumerate([0, 51, 102, 255]):
    ...         Image.new("RGB", (20, 16), (grey,) * 3).save(Path(folder) / f"frame{i}.png")
    ...     frames = reader.fit_transform([folder])
    >>> frames.shape
    (1, 3, 2, 8, 10)
    >>> frames[0, 0, :, 0, 0]
    array([0.2, 1. ], dtype=float32)
    """

    def __init__(
        self,
        n_frames=3,
        fps=3,
        size=224,
        *,
        sampling="uniform",
        normalise="imagenet",
        short="repeat",
        on_error="raise",
        random_state=0,
        n_jobs=None,
        verbose=False,
    ):
        self.n_frames = n_frames
        self.fps = fps
        self.size = size
        self.sampling = sampling
        self.normalise = normalise
        self.short = short
        self.on_error = on_error
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X, y=None):
        """Check the parameters and that `X` holds paths; no file is read.

        Parameters
        ----------
        X : array-like of str or path of shape (n_samples,) or (n_samples, 1)
            Paths of video files or folders of images.
        y : ignored

        Returns
        -------
        self : VideoFrames
        """
        size = self._check_parameters()
        _as_paths(X)
        optional("PIL.Image")  # a missing extra is said before hours of other steps
        self.size_ = size
        return self

    def transform(self, X):
        """Read the frames.

        Parameters
        ----------
        X : array-like of str or path of shape (n_samples,) or (n_samples, 1)
            Paths of video files or folders of images.

        Returns
        -------
        ndarray of float32 of shape (n_samples, 3, n_frames, height, width)
            Red, green and blue.
        """
        check_is_fitted(self, "size_")
        self._check_parameters()
        paths = _as_paths(X)
        frames = np.zeros((len(paths), 3, self.n_frames, *self.size_), dtype=np.float32)
        # Decoding and resizing release the interpreter's lock, and threads start at once.
        clips = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")(
            delayed(_read)(path, self.fps, self.size_, self._chooser(path)) for path in paths
        )
        failed = {}
        for i, (clip, error) in enumerate(self._progress(clips, len(paths))):
            if error is None:
                frames[i] = self._scale(clip)
                continue
            failed[i] = f"sample {i}, {paths[i]!r}: {error}"
            frames[i] = FILL.get(self.on_error, 0)
            if self.on_error == "raise":
                raise ValueError(failed[i])
        if failed:
            warnings.warn(
                f"{len(failed)} of {len(paths)} samples could not be read and are "
                f"{filling(self.on_error)}:\n" + "\n".join(failed.values()),
                UserWarning,
                stacklevel=2,
            )
        return frames

    def _scale(self, clip):
        """Bytes of shape (frames, height, width, 3) as floats, channels first."""
        clip = clip.transpose(3, 0, 1, 2).astype(np.float32) / 255
        if self.normalise is None:
            return clip
        mean, std = (np.array(v, dtype=np.float32)[:, None, None, None] for v in IMAGENET)
        return (clip - mean) / std

    def _chooser(self, path):
        seed = None
        if self.sampling == "random":
            name = os.path.basename(os.path.normpath(path))
            # Python's own hash differs from run to run.
            digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
            seed = [int(self.random_state), int.from_bytes(digest[:8], "little")]
        return partial(_choose, n_wanted=self.n_frames, seed=seed, strict=self.short == "error")

    def _progress(self, clips, total):
        if not self.verbose:
            return clips
        from tqdm.auto import tqdm

        return tqdm(clips, total=total, desc="VideoFrames", unit="clip")

    def _check_parameters(self):
        """Raise a ValueError that names a parameter out of range; return height and width."""
        for name in CHOICES:
            value = getattr(self, name)
            if not (value is None or isinstance(value, str)) or value not in CHOICES[name]:
                accepted = " or ".join(map(repr, CHOICES[name]))
                raise ValueError(f"{name}={value!r} is unknown: it is {accepted}.")
        size = self.size if _is_pair(self.size) else (self.size, self.size)
        if not all(_is_int(length, 1) for length in size):
            raise ValueError(
                f"size={self.size!r}: a positive integer, or a pair of them, (height, width), is "
                "needed."
            )
        needs = {
            "n_frames": (_is_int(self.n_frames, 1), "a positive integer"),
            "fps": (self.fps is None or _is_positive(self.fps), "a positive number or None"),
            "random_state": (_is_int(self.random_state, 0), "an integer of at least 0"),
            "n_jobs": (
                self.n_jobs is None or (_is_int(self.n_jobs) and self.n_jobs != 0),
                "a positive or negative integer or None",
            ),
            "verbose": (isinstance(self.verbose, bool | np.bool_ | Integral), "a bool"),
        }
        for name, (good, accepted) in needs.items():
            if not good:
                raise ValueError(f"{name}={getattr(self, name)!r}: {accepted} is needed.")
        return tuple(int(length) for length in size)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True  # samples are paths, no numbers
        return tags


def _choose(n_frames, n_wanted, seed, strict):
    """Positions of `n_wanted` of `n_frames` frames; without a seed spread evenly."""
    if n_frames < n_wanted:
        if strict:
            raise ValueError(
                f"the clip has {n_frames} of the n_frames={n_wanted} frames wanted "
                "(short='repeat' repeats the last one, fps=None takes every frame)."
            )
        return [*range(n_frames), *[n_frames - 1] * (n_wanted - n_frames)]
    if seed is None:
        return [(2 * i + 1) * n_frames // (2 * n_wanted) for i in range(n_wanted)]
    chosen = np.random.default_rng(seed).choice(n_frames, n_wanted, replace=False)
    return sorted(int(i) for i in chosen)


def _read(path, fps, size, choose):
    """Frames and None, or None and what is wrong: rows are reported in order, on one thread."""
    try:
        return read_clip(path, fps, size, choose), None
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # on broken data, decoders raise all kinds
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        return None, f"{kind}{error}"


def _as_paths(X):
    """Return a list of str, or say which sample is no path."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(f"X is one path, {X!r}; an array of paths, one a sample, is needed.")
    X = np.asarray(X, dtype=object)
    if X.ndim == 2 and X.shape[1] == 1:  # one column of a table
        X = X[:, 0]
    if X.ndim != 1 or len(X) == 0:
        raise ValueError(
            f"X of shape {X.shape}: paths, one a sample, of shape (n_samples,) are needed."
        )
    for i, path in enumerate(X):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise TypeError(f"sample {i} is {path!r}: a path of a file or folder is needed.")
    return [str(os.fsdecode(path)) for path in X]  # numpy's str would show in messages


def _is_pair(value):
    pair = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    return pair and np.ndim(value) == 1 and len(value) == 2


def _is_int(value, least=None):
    good = isinstance(value, Integral) and not isinstance(value, bool)
    return good and (least is None or value >= least)


def _is_positive(value):
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value) and value > 0
