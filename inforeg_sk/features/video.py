"""Video files and folders of frames as arrays of frames."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..utils.files import BadFile, UnreadableFileError, shorten
from ..utils.isolation import readers
from ..utils.output import SetOutputNoOpMixin
from ..utils.parameters import Constraint, Interval, IsNone, Options, check_parameters
from ._bad_samples import ON_ERROR, fill_name, fill_value
from ._clip import Limits
from ._constraints import BOOL, COUNT, N_JOBS, POSITIVE, READING, VERBOSE
from ._video_reading import optional, read_clip

__all__ = ["VideoFrames"]

# Mean and standard deviation of red, green and blue in ImageNet, for values in [0, 1].
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What a worker imports before its memory is limited.
_MODULES = ("av", "PIL.Image", "PIL.ImageOps")


class _Size(Constraint):
    """A pair of positive ints."""

    def accepts(self, value):
        sized = value.ndim > 0 if isinstance(value, np.ndarray) else isinstance(value, Sequence)
        return sized and len(value) == 2 and all(map(COUNT.accepts, value))

    def __str__(self):
        return "a pair of these, (height, width)"


class VideoFrames(SetOutputNoOpMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Read a few frames of each video.

    A sample is the path of a video file, or of a folder that holds its frames as images. The
    encoders ``"cnn"`` and ``"resnet18"`` take the result. Needs the extra ``video`` (PyAV, Pillow).

    Parameters
    ----------
    n_frames : int, default=3
        Number of frames per sample.
    fps : float or None, default=3
        Frames per second of a video file to choose from: those on screen at 0, ``1 / fps``,
        ``2 / fps``, ... seconds after the first frame. None is every frame. Images of a folder
        have no times, so all of them are candidates.
    size : int or tuple of 2 int, default=224
        Height and width in pixels, or one number for both. The whole frame is resized, by
        Pillow's bilinear filter, regardless of its aspect ratio.
    sampling : {"uniform", "random"}, default="uniform"
        Which frames are chosen: the middle one of each of `n_frames` equal parts of the clip, or
        a random selection without replacement, in the order of time.
    normalize : {"imagenet"} or None, default="imagenet"
        Subtract ImageNet's mean and divide by its standard deviation, channel by channel, as
        weights trained on ImageNet expect. None leaves the values in [0, 1].
    short : {"repeat", "error"}, default="repeat"
        What happens to a clip with fewer than `n_frames` frames to choose from (shorter than
        ``n_frames / fps`` seconds): its last frame is repeated, or it is an error.
    on_error : {"raise", "zeros", "missing"}, default="raise"
        What happens to a clip that cannot be used (a file that is missing, empty, broken or not a
        video; a short clip with ``short="error"``): it is an error that names the clip; all its
        features are zeros; or they are NaN, which a classifier with ``missing="allow"`` takes for
        a missing modality. Without an error, one warning lists all such clips.
    damaged : {"error", "keep"}, default="error"
        What happens to a video that cannot be decoded to its end: it is an error, or the frames
        before the damage are used, if there are any.
    max_duration : float, default=7200
        Seconds that a video may last. A damaged time can claim weeks, so a frame that is further
        from the first one is an error.
    max_bytes : int, default=2**30
        The most memory, in bytes, that reading one sample may take: the frames to choose from at
        their final size, and 16 bytes for each pixel of one frame before it is resized. Sizes are
        checked before anything is allocated.
    follow_links : bool, default=False
        Whether to read images of a folder that are symbolic links to outside of it. A link that
        is itself given as a sample is always followed.
    isolate : bool, default=False
        Whether to read samples in worker processes, `n_jobs` of them, with `max_bytes` (on Linux)
        and `time_limit`. A file that crashes a library is then an error that names the sample,
        subject to `on_error`. Starting the workers takes some seconds.
    time_limit : float, default=300
        Seconds that reading one sample may take. With ``isolate=True`` it is stopped then,
        otherwise between two frames of a video.
    random_state : int, default=0
        Seed of the random selection, at least 0.
    n_jobs : int or None, default=None
        Number of samples read at once; None is 1 and -1 is one per core, in threads, unless
        ``joblib.parallel_config`` says otherwise.
    verbose : bool, default=False
        Whether to show a progress bar (tqdm).

    Attributes
    ----------
    size_ : tuple of int
        ``(height, width)``, in pixels.

    Raises
    ------
    TypeError
        If a sample is not a path.
    ValueError
        If a parameter is out of range, the samples are not an array of paths, or a sample cannot
        be read or exceeds a limit; the message names its row and path.
    ImportError
        If PyAV (for video files) or Pillow is not installed.

    Notes
    -----
    The random selection depends on `random_state` and the last part of the path only, not on
    order, subset, folder or `n_jobs`. It is the same each time, and clips with the same name and
    length get the same selection.

    A video file is decoded once, to its end, and the frames to choose from are held at their final
    size: 27 MB per minute at the defaults, more with a higher `fps`. The output takes
    ``12 * n_frames * height * width`` bytes per sample, 1.8 MB at the defaults.

    A video is a single file of one of FFmpeg's formats for video. Playlists and other files that
    lead to further files or to the network are not followed. Images are BMP, JPEG, PNG, PPM, TIFF
    or WebP, whatever their names say.

    Damage that FFmpeg conceals is not an error: the frames before it are used. This holds for most
    files that are cut off at the end, but not for an mp4, which has its index there and cannot be
    read without it. Videos and images that are marked as rotated are turned upright.

    In a ``Pipeline(memory=...)`` the frames of the training data are read once for all parameters
    of later steps. joblib compares the paths only: clear its cache after changing the files.

    References
    ----------
    Huang, Wei, Yang, Hu: "Adaptive Unimodal Regulation for Balanced Multimodal Information
    Acquisition", CVPR 2025, arXiv:2503.18595, for 3 frames out of 3 per second. Mean and standard
    deviation of ImageNet as in torchvision.

    Examples
    --------
    A clip of four grey frames, as a folder of images:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from inforeg_sk.features.video import VideoFrames
    >>> reader = VideoFrames(n_frames=2, size=(8, 10), normalize=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i, grey in enumerate([0, 51, 102, 255]):
    ...         Image.new("RGB", (20, 16), (grey,) * 3).save(Path(folder) / f"frame{i}.png")
    ...     frames = reader.fit_transform([folder])
    >>> frames.shape
    (1, 3, 2, 8, 10)
    >>> frames[0, 0, :, 0, 0]
    array([0.2, 1. ], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "n_frames": [COUNT],
        "fps": [IsNone(), POSITIVE],
        "size": [COUNT, _Size()],
        "sampling": [Options("uniform", "random")],
        "normalize": [IsNone(), Options("imagenet")],
        "short": [Options("repeat", "error")],
        "on_error": [ON_ERROR],
        "damaged": [Options("error", "keep")],
        "max_duration": [POSITIVE],
        "follow_links": [BOOL],
        **READING,
        "random_state": [Interval(Integral, 0)],
        "n_jobs": N_JOBS,
        "verbose": VERBOSE,
    }

    def __init__(
        self,
        n_frames=3,
        fps=3,
        size=224,
        *,
        sampling="uniform",
        normalize="imagenet",
        short="repeat",
        on_error="raise",
        damaged="error",
        max_duration=7200,
        max_bytes=2**30,
        follow_links=False,
        isolate=False,
        time_limit=300,
        random_state=0,
        n_jobs=None,
        verbose=False,
    ):
        self.n_frames = n_frames
        self.fps = fps
        self.size = size
        self.sampling = sampling
        self.normalize = normalize
        self.short = short
        self.on_error = on_error
        self.damaged = damaged
        self.max_duration = max_duration
        self.max_bytes = max_bytes
        self.follow_links = follow_links
        self.isolate = isolate
        self.time_limit = time_limit
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
        check_parameters(self)
        _as_paths(X)
        optional("PIL.Image")  # report a missing extra before hours of other steps
        size = (self.size, self.size) if isinstance(self.size, Integral) else self.size
        self.size_ = tuple(int(length) for length in size)
        return self

    def fit_transform(self, X, y=None):
        """Check the parameters and read the frames; see `transform`.

        Parameters
        ----------
        X : array-like of str or path of shape (n_samples,) or (n_samples, 1)
            Paths of video files or folders of images.
        y : ignored

        Returns
        -------
        ndarray of float32 of shape (n_samples, 3, n_frames, height, width)

        Raises
        ------
        ValueError
            As `transform`; also, whatever `on_error` is, if no sample can be read: then the paths
            themselves are wrong, and there is nothing to learn from.
        """
        return self.fit(X)._transform(X, all_bad_is_error=True)

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
        return self._transform(X, all_bad_is_error=False)

    def _transform(self, X, all_bad_is_error):
        check_is_fitted(self, "size_")
        check_parameters(self)
        paths = _as_paths(X)
        frames = np.zeros((len(paths), 3, self.n_frames, *self.size_), dtype=np.float32)
        failed = {}
        for i, (clip, error) in enumerate(self._clips(paths)):
            if error is None:
                frames[i] = self._scale(clip)
                continue
            failed[i] = f"sample {i}, {shorten(paths[i], 400)!r}: {error}"
            if self.on_error == "raise":
                raise ValueError(failed[i])
            frames[i] = fill_value(self.on_error)
        if failed:
            listed = "\n".join(failed.values())
            if all_bad_is_error and len(failed) == len(paths):
                raise ValueError(
                    f"VideoFrames: none of the {len(paths)} samples can be read:\n{listed}"
                )
            warnings.warn(
                f"{len(failed)} of {len(paths)} samples could not be read and are "
                f"{fill_name(self.on_error)}:\n{listed}",
                UserWarning,
                stacklevel=3,
            )
        return frames

    def _clips(self, paths):
        """Yield the frames and None, or None and the problem, of each sample."""
        limits = Limits(
            max_bytes=self.max_bytes,
            max_duration=self.max_duration,
            damaged=self.damaged,
            follow_links=self.follow_links,
            time_limit=self.time_limit,
        )
        with readers(
            self.isolate,
            n_workers=effective_n_jobs(self.n_jobs) if self.isolate else 1,
            time_limit=self.time_limit,
            max_bytes=self.max_bytes,
            modules=_MODULES,
        ) as call:
            # Decoding and resizing release the interpreter's lock, and threads start at once; the
            # workers of `call` need threads that wait for them.
            where = {"require": "sharedmem"} if self.isolate else {"prefer": "threads"}
            clips = Parallel(n_jobs=self.n_jobs, return_as="generator", **where)(
                delayed(_read)(call, path, self.fps, self.size_, self._chooser(path), limits)
                for path in paths
            )
            yield from self._progress(clips, len(paths))

    def _scale(self, clip):
        """Turn bytes of shape (frames, height, width, 3) into floats, channels first."""
        clip = clip.transpose(3, 0, 1, 2).astype(np.float32) / 255
        if self.normalize is None:
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True  # samples are paths, not numbers
        return tags


def _choose(n_frames, n_wanted, seed, strict):
    """Return the indices of `n_wanted` of `n_frames` frames, evenly spread without a seed."""
    if n_frames < n_wanted:
        if strict:
            raise ValueError(
                f"the clip has {n_frames} frames, fewer than n_frames={n_wanted} "
                "(short='repeat' repeats the last one, fps=None takes every frame)."
            )
        return [*range(n_frames), *[n_frames - 1] * (n_wanted - n_frames)]
    if seed is None:
        return [(2 * i + 1) * n_frames // (2 * n_wanted) for i in range(n_wanted)]
    chosen = np.random.default_rng(seed).choice(n_frames, n_wanted, replace=False)
    return sorted(int(i) for i in chosen)


def _read(call, path, *settings):
    """Return frames and None, or None and the problem, so that rows are reported in order."""
    try:
        return call(read_clip, path, *settings), None
    except ImportError:
        raise
    except FileNotFoundError:
        return None, "there is no such file or folder."
    except MemoryError:
        return None, "reading it needs more memory than there is."
    except Exception as error:  # on broken data, libraries raise all kinds
        known = isinstance(error, BadFile | UnreadableFileError) or type(error) is ValueError
        return None, str(error) if known else f"{type(error).__name__}: {shorten(error)}"


def _as_paths(X):
    """Return the paths as a list of str; raise an error that names a sample that is not one."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(f"X must be an array of paths, one per sample. Got one path, {X!r}.")
    X = np.asarray(X, dtype=object)
    if X.ndim == 2 and X.shape[1] == 1:  # one column of a table
        X = X[:, 0]
    if X.ndim != 1 or len(X) == 0:
        raise ValueError(
            "X must be an array of paths, one per sample, of shape (n_samples,). Got shape "
            f"{X.shape}."
        )
    for i, path in enumerate(X):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise TypeError(f"sample {i} is {path!r}; it must be the path of a file or folder.")
    return [str(os.fsdecode(path)) for path in X]  # messages would show numpy's str as such
