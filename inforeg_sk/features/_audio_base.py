"""What the audio front ends share: which samples there are, reading them, what is bad."""

import warnings
from importlib.util import find_spec
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from .._output import OwnOutput
from .._validation import check_word
from ..network.checks import check_number_or_none, check_positive
from ._bad_samples import FILL, filling
from ._sound import BadSample, describe, load

__all__ = [
    "FILL",
    "AudioFrontEnd",
    "check_bands",
    "check_positive_number",
    "numbered",
]

_MAX_LISTED = 20  # bad samples that a warning lists with their reasons


class AudioFrontEnd(OwnOutput, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Base of the audio front ends; a subclass says how samples become features.

    A subclass has the parameters that are read here (see `LogMel`) and overrides `_features`,
    `get_feature_names_out` and, for its own parameters, `_check_features`.
    """

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
            As `transform`, and whatever `on_error` is if no sample at all can be used:
            then the paths themselves are wrong, and there would be nothing to learn from.
        """
        return self._transform(X, all_bad_is_error=True)

    def transform(self, X):
        """Return the features of each recording.

        Parameters
        ----------
        X : array-like of shape (n_samples,) or (n_samples, n_samples_in)
            Paths (str or pathlib.Path), or waveforms: an array of floats with one a row, or a
            list or array of objects that holds 1-D arrays of floats of any length.

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
            sample and its path are named.
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
        """Raise a ValueError if a parameter of `_features` is wrong."""

    # What is the same for all.

    def _check(self):
        missing = [name for name in ("librosa", "soundfile") if find_spec(name) is None]
        if missing:
            raise ImportError(
                f"{type(self).__name__} needs {' and '.join(missing)}: install the extra, "
                "pip install 'inforeg-sk[audio]'."
            )
        check_positive(sample_rate=self.sample_rate, n_fft=self.n_fft, hop_length=self.hop_length)
        if self.waveform_rate is not None:
            check_positive(waveform_rate=self.waveform_rate)
        check_positive_number(duration=self.duration)
        check_word(("pad", "tile", "error"), short=self.short)
        check_word(("error", "allow"), silence=self.silence)
        check_word(("raise", *FILL), on_error=self.on_error)
        jobs = self.n_jobs
        if jobs is not None and (
            not isinstance(jobs, Integral) or isinstance(jobs, bool) or jobs == 0
        ):
            raise ValueError(f"n_jobs={jobs!r}: None or an integer other than 0 is needed.")
        if not isinstance(self.verbose, (bool, np.bool_, Integral)):
            raise ValueError(f"verbose={self.verbose!r}: True or False is needed.")
        n = round(self.duration * self.sample_rate)
        if n < self.n_fft:
            raise ValueError(
                f"duration={self.duration!r} at sample_rate={self.sample_rate!r} is {n} samples, "
                f"fewer than n_fft={self.n_fft!r}: at least one whole window is needed."
            )
        self._check_features(1 + n // self.hop_length)

    def _items(self, X):
        """Return the samples of `X` as a sequence of paths and waveforms."""
        accepted = (
            f"{type(self).__name__} takes paths of sound files, shape (n_samples,), or waveforms, "
            "one a row"
        )
        if sparse.issparse(X):
            raise TypeError(f"{accepted}; got a sparse matrix.")
        array = X.to_numpy() if hasattr(X, "to_numpy") else X
        if not isinstance(array, np.ndarray):
            try:
                array = np.asarray(array)
            except ValueError:  # waveforms of unequal length
                array = list(array)
        if isinstance(array, np.ndarray):
            if array.ndim == 0:
                raise TypeError(f"{accepted}; got the single value {array.item()!r}: [value]?")
            if len(array) == 0:
                raise ValueError(f"Found array with 0 sample(s): {accepted}, at least one.")
            kind = array.dtype.kind
            if array.ndim > 2 or kind not in "UTOf" or (kind in "UT" and array.ndim == 2):
                hint = ": x.ravel()?" if array.ndim == 2 and array.shape[1] == 1 else ""
                hint = (
                    ": scale PCM to floats first, such as int16 / 32768" if kind in "iu" else hint
                )
                raise TypeError(f"{accepted}; got {array.dtype} of shape {array.shape}{hint}.")
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
        jobs = (delayed(_compute)(self, index, item) for index, item in enumerate(items))
        results = Parallel(n_jobs=self.n_jobs, return_as="generator")(jobs)
        if self.verbose:
            from tqdm import tqdm

            # Work of less than a second shows no bar.
            results = tqdm(results, total=len(items), desc=type(self).__name__, delay=1)
        n_frames = 1 + round(self.duration * self.sample_rate) // self.hop_length
        shape = (len(items), n_frames, len(self.get_feature_names_out()))
        output, bad = np.zeros(shape, dtype=np.float32), {}
        for index, (features, problem) in enumerate(results):
            if problem is None:
                output[index] = features
            else:
                output[index] = FILL[self.on_error]
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
                f"have {filling(self.on_error)} in all features:\n{listed}",
                stacklevel=3,
            )
        return output


def _compute(front_end, index, item):
    """Return features and None, or None and what is wrong if that is to be gone over."""
    try:
        sound = load(
            item,
            sample_rate=front_end.sample_rate,
            duration=front_end.duration,
            short=front_end.short,
            silence=front_end.silence,
            waveform_rate=front_end.waveform_rate,
        )
    except (BadSample, TypeError) as error:
        problem = f"{describe(index, item)}: {error}."
        if isinstance(error, TypeError):  # no broken file, but data of a wrong kind
            raise TypeError(problem) from error
        if front_end.on_error == "raise":
            raise ValueError(problem) from error
        return None, problem
    return np.asarray(front_end._features(sound).T, dtype=np.float32), None


def check_positive_number(**settings):
    """Raise a ValueError that names a setting that is no finite number above 0."""
    for name, value in settings.items():
        check_number_or_none(**{name: value})
        if value is None or value <= 0:
            raise ValueError(f"{name}={value!r}: a finite number above 0 is needed.")


def check_bands(front_end):
    """Raise a ValueError if the number of mel bands, or the frequencies they span, are wrong."""
    check_positive(n_mels=front_end.n_mels)
    fmin, fmax, half = front_end.fmin, front_end.fmax, front_end.sample_rate / 2
    check_number_or_none(fmin=fmin, fmax=fmax)
    if fmin is None or not 0 <= fmin < (half if fmax is None else fmax) <= half:
        raise ValueError(
            f"fmin={fmin!r}, fmax={fmax!r}: 0 <= fmin < fmax <= {half:g} Hz, half of sample_rate, "
            "is needed; fmax=None is that half."
        )


def numbered(word, count):
    """Return the names ``word0``, ``word1``, ... as an array of objects."""
    return np.array([f"{word}{i}" for i in range(count)], dtype=object)
