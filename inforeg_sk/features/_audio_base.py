"""Base of the audio front ends: parameters, samples, reading, and reports of bad samples."""

import warnings
from importlib.util import find_spec
from numbers import Real
from pathlib import PurePath
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from ..utils.files import BadFile
from ..utils.isolation import readers
from ..utils.output import SetOutputNoOpMixin
from ..utils.parameters import (
    Constraint,
    Interval,
    InvalidParameterError,
    IsNone,
    Options,
    check_parameters,
)
from ._bad_samples import ON_ERROR, fill_name, fill_value
from ._constraints import COUNT, N_JOBS, POSITIVE, READING, VERBOSE
from ._sound import describe, load

__all__ = ["AudioFrontEnd", "MelFrontEnd", "numbered"]

_MAX_LISTED = 20  # bad samples that a warning lists with their reasons
# What a worker imports before its memory is limited.
_MODULES = ("librosa.core.audio", "librosa.feature.spectral", "soundfile", "soxr")


class AudioFrontEnd(
    SetOutputNoOpMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Base of the audio front ends; a subclass turns samples into features.

    A subclass writes out its constructor's signature, since scikit-learn reads the parameters
    there, and passes those of this class on. It documents them as the other front ends do, and
    overrides `_features`, `get_feature_names_out` and, where its parameters depend on each other,
    `_check_features`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "sample_rate": [COUNT],
        "duration": [POSITIVE],
        "short": [Options("pad", "tile", "error")],
        "n_fft": [COUNT],
        "hop_length": [COUNT],
        "waveform_rate": [IsNone(), COUNT],
        "silence": [Options("error", "allow")],
        "on_error": [ON_ERROR],
        **READING,
        "n_jobs": N_JOBS,
        "verbose": VERBOSE,
    }

    def __init__(
        self,
        *,
        sample_rate,
        duration,
        short,
        n_fft,
        hop_length,
        waveform_rate,
        silence,
        on_error,
        max_bytes,
        isolate,
        time_limit,
        n_jobs,
        verbose,
    ):
        self.sample_rate = sample_rate
        self.duration = duration
        self.short = short
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.waveform_rate = waveform_rate
        self.silence = silence
        self.on_error = on_error
        self.max_bytes = max_bytes
        self.isolate = isolate
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X, y=None):
        """Check the parameters and the form of `X`; nothing is read and nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_samples_in)
            See `transform`.
        y : ignored

        Returns
        -------
        self : transformer
        """
        self._check()
        self._items(X)
        return self

    def fit_transform(self, X, y=None):
        """Check the parameters and return the features; see `transform`.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_samples_in)
        y : ignored

        Returns
        -------
        ndarray of shape (n_samples, n_frames, n_features), float32

        Raises
        ------
        ValueError
            As in `transform`; also if no sample can be used, whatever `on_error` is: the paths
            themselves are then wrong, and there is nothing to learn from.
        """
        return self._transform(X, all_bad_is_error=True)

    def transform(self, X):
        """Return the features of each recording.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_samples_in)
            Paths (str or pathlib.Path), also as a table of one column; or waveforms: an array of
            floats, one waveform per row, or a list or array of objects that holds 1-D arrays of
            floats of any length.

        Returns
        -------
        ndarray of shape (n_samples, n_frames, n_features), float32
            ``n_frames`` is ``1 + round(duration * sample_rate) // hop_length``.

        Raises
        ------
        ImportError
            If librosa or soundfile is not installed.
        TypeError
            If a sample is neither a path nor a waveform, or a waveform comes without a
            `waveform_rate`.
        ValueError
            If a parameter is wrong, or a recording cannot be used and `on_error` is "raise"; the
            message names the sample and its path.
        """
        return self._transform(X, all_bad_is_error=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        return tags

    def __sklearn_is_fitted__(self):
        return True  # nothing is learned

    # What a subclass overrides.

    def _features(self, sound):
        """Return features of shape (n_features, n_frames) of samples of fixed length."""
        raise NotImplementedError

    def get_feature_names_out(self, input_features=None):
        raise NotImplementedError

    def _check_features(self, n_frames):
        """Raise an InvalidParameterError if parameters of `_features` are incompatible."""

    # Shared by all subclasses.

    def _check(self):
        missing = [name for name in ("librosa", "soundfile") if find_spec(name) is None]
        if missing:
            raise ImportError(
                f"{type(self).__name__} needs {' and '.join(missing)}: install the extra, "
                "pip install 'inforeg-sk[audio]'."
            )
        check_parameters(self)
        n = round(self.duration * self.sample_rate)
        if n < self.n_fft:
            raise InvalidParameterError(
                f"The 'n_fft' parameter of {type(self).__name__} must be at most {n}, the number "
                f"of samples in duration={self.duration!r} s at sample_rate={self.sample_rate!r}. "
                f"Got {self.n_fft!r}."
            )
        self._check_features(self._n_frames())

    def _n_frames(self):
        return 1 + round(self.duration * self.sample_rate) // self.hop_length

    def _items(self, X):
        """Return the samples of `X` as a sequence of paths and waveforms."""
        accepted = (
            f"{type(self).__name__} takes paths of audio files, of shape (n_samples,), or "
            "waveforms, one per row"
        )
        if sparse.issparse(X):
            raise TypeError(f"{accepted}; got a sparse matrix.")
        array = X.to_numpy() if hasattr(X, "to_numpy") else X
        if not isinstance(array, np.ndarray):
            try:
                array = np.asarray(array)
            except ValueError:  # waveforms of unequal length
                array = list(array)
        if _is_column_of_paths(array):
            array = array[:, 0]
        if isinstance(array, np.ndarray):
            if array.ndim == 0:
                value = array.item()
                raise TypeError(
                    f"{accepted}; got the single value {value!r}. Did you mean [{value!r}]?"
                )
            if len(array) == 0:
                raise ValueError(f"Found array with 0 sample(s): {accepted}, at least one.")
            kind = array.dtype.kind
            texts = kind in "UT" or any(isinstance(v, (str, PurePath)) for v in array.flat[:1])
            if array.ndim > 2 or kind not in "UTOf" or (texts and array.ndim == 2):
                hint = ""
                if kind in "iu":
                    hint = " Scale PCM to floats first, such as int16 / 32768."
                elif texts:
                    hint = " Give it the one column that holds paths."
                raise TypeError(f"{accepted}; got {array.dtype} of shape {array.shape}.{hint}")
            if kind == "f" and array.ndim == 1:
                raise TypeError(
                    f"{accepted}; got numbers of shape {array.shape}. Reshape a single waveform "
                    "with x.reshape(1, -1)."
                )
            if kind in "UT":
                array = array.astype(object)
        return array

    def _transform(self, X, all_bad_is_error):
        self._check()
        items = self._items(X)
        shape = (len(items), self._n_frames(), len(self.get_feature_names_out()))
        output, bad = np.zeros(shape, dtype=np.float32), {}
        for index, (features, problem) in enumerate(self._results(items)):
            if problem is None:
                output[index] = features
            else:
                output[index] = fill_value(self.on_error)
                bad[index] = problem
        if bad:
            listed = "\n".join(list(bad.values())[:_MAX_LISTED])
            if len(bad) > _MAX_LISTED:
                listed += f"\nand samples {', '.join(map(str, list(bad)[_MAX_LISTED:]))}"
            if all_bad_is_error and len(bad) == len(items):
                raise ValueError(
                    f"{type(self).__name__}: none of the {len(items)} samples can be used:\n"
                    f"{listed}"
                )
            warnings.warn(
                f"{type(self).__name__}: {len(bad)} of {len(items)} samples cannot be used, and "
                f"have {fill_name(self.on_error)} in all features:\n{listed}",
                stacklevel=3,
            )
        return output

    def _results(self, items):
        """Yield the features and None, or None and the problem, of each sample."""
        with readers(
            self.isolate,
            n_workers=effective_n_jobs(self.n_jobs) if self.isolate else 1,
            time_limit=self.time_limit,
            max_bytes=self.max_bytes,
            modules=_MODULES,
        ) as call:
            jobs = (delayed(_compute)(call, self, i, item) for i, item in enumerate(items))
            # Threads wait for the workers of `call`.
            shared = {"require": "sharedmem"} if self.isolate else {}
            results = Parallel(n_jobs=self.n_jobs, return_as="generator", **shared)(jobs)
            if self.verbose:
                from tqdm import tqdm

                # Work of less than a second shows no bar.
                results = tqdm(results, total=len(items), desc=type(self).__name__, delay=1)
            yield from results


class MelFrontEnd(AudioFrontEnd):
    """Base of the audio front ends that begin with a mel spectrogram.

    Its parameters are `n_mels`, `fmin` and `fmax`, and those of `AudioFrontEnd`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **AudioFrontEnd._parameter_constraints,
        "n_mels": [COUNT],
        "fmin": [Interval(Real, 0)],
        "fmax": [IsNone(), POSITIVE],
    }

    def __init__(self, *, n_mels, fmin, fmax, **shared):
        super().__init__(**shared)
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax

    def _check_features(self, n_frames):
        owner, half = type(self).__name__, self.sample_rate / 2
        if self.fmax is not None and self.fmax > half:
            raise InvalidParameterError(
                f"The 'fmax' parameter of {owner} must be at most {half:g} Hz, half of "
                f"sample_rate, or None, which is that half. Got {self.fmax!r}."
            )
        top = half if self.fmax is None else self.fmax
        if self.fmin >= top:
            raise InvalidParameterError(
                f"The 'fmin' parameter of {owner} must be less than {top:g} Hz, "
                f"{'half of sample_rate' if self.fmax is None else 'fmax'}. Got {self.fmin!r}."
            )

    def _mel_settings(self):
        """Return the settings that librosa's functions of mel spectrograms share."""
        return {
            "sr": self.sample_rate,
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
            "n_mels": self.n_mels,
            "fmin": self.fmin,
            "fmax": self.fmax,
        }


def _is_column_of_paths(array):
    """Whether an array is a table of one column without numbers; waveforms have more samples."""
    if not isinstance(array, np.ndarray) or array.shape[1:] != (1,):
        return False
    return array.dtype.kind in "UT" or (
        array.dtype.kind == "O" and not any(isinstance(v, (Real, np.ndarray)) for v in array[:, 0])
    )


def _compute(call, front_end, index, item):
    """Return features and None, or None and the problem, when `on_error` says to skip bad samples.

    Data of the wrong type raise an error, whatever `on_error` is. `call` computes the features here
    or in a worker.
    """
    try:
        return call(_features_of, front_end, item), None
    except (BadFile, TypeError) as error:
        problem = f"{describe(index, item)}: {str(error).rstrip('.')}."
        if isinstance(error, TypeError):  # data of the wrong kind rather than a broken file
            raise TypeError(problem) from error
        if front_end.on_error == "raise":
            raise ValueError(problem) from error
        return None, problem


def _features_of(front_end, item):
    """Return the features of one sample, of shape (n_frames, n_features)."""
    sound = load(
        item,
        sample_rate=front_end.sample_rate,
        duration=front_end.duration,
        short=front_end.short,
        silence=front_end.silence,
        waveform_rate=front_end.waveform_rate,
        max_bytes=front_end.max_bytes,
    )
    return np.asarray(front_end._features(sound).T, dtype=np.float32)


def numbered(word, count):
    """Return the names ``word0``, ``word1``, ... as an array of objects."""
    return np.array([f"{word}{i}" for i in range(count)], dtype=object)
