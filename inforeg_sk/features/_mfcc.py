"""Sound as mel-frequency cepstra and their changes, by librosa."""

from numbers import Integral
from typing import ClassVar

import numpy as np

from ..utils.parameters import Constraint, Interval, InvalidParameterError
from ._audio_base import MelFrontEnd, numbered
from ._constraints import COUNT

__all__ = ["MFCC"]


class _Odd(Interval):
    """An odd int in an interval."""

    def accepts(self, value):
        return super().accepts(value) and value % 2 == 1

    def __str__(self):
        return super().__str__().replace("an int", "an odd int")


class MFCC(MelFrontEnd):
    """Mel-frequency cepstral coefficients of recordings, with their changes over time.

    Parameters
    ----------
    sample_rate : int, default=22050
        Rate, in Hz, that every recording is resampled to (soxr, high quality).
    duration : float, default=3.0
        Seconds used of each recording, from its beginning; the rest is cut.
    short : {"pad", "tile", "error"}, default="pad"
        What happens to a recording shorter than `duration`: zeros are added at its end, it is
        repeated, or it is an error.
    n_mfcc : int, default=20
        Number of coefficients.
    deltas : {0, 1, 2}, default=2
        Highest order of the derivatives over time that follow the coefficients; 0 adds none.
    delta_width : int, default=9
        Number of frames that a derivative is taken over: odd, at least 3, and no more than a
        recording has.
    n_fft : int, default=2048
        Samples of a window (Hann).
    hop_length : int, default=512
        Samples from one frame to the next.
    n_mels : int, default=128
        Number of bands of the log-mel spectrogram, at least `n_mfcc`.
    fmin : float, default=0.0
        Lowest frequency, in Hz.
    fmax : float, default=None
        Highest frequency, in Hz; None is half of `sample_rate`.
    waveform_rate : int, default=None
        Sampling rate, in Hz, of samples given as waveforms; files state their own. None accepts
        paths only.
    silence : {"error", "allow"}, default="error"
        Whether a recording whose samples are all equal is an error. Such a recording is nearly
        always a failed one, and would silently teach the network that the modality holds no
        information. Allow it if silence has a meaning.
    on_error : {"raise", "zeros", "missing"}, default="raise"
        What happens to a recording that cannot be used (see Raises): it is an error that names the
        recording; all its features are zeros; or they are NaN, which a classifier with
        ``missing="allow"`` takes for a missing modality. Without an error, one warning lists all
        such recordings. Their rows cannot be left out, because a transformer sees neither the
        target nor the other modalities.
    max_bytes : int, default=2**30
        The most memory, in bytes, that one recording may take when it is read. A file whose header
        claims more is refused before anything is allocated.
    isolate : bool, default=False
        Whether to read and process recordings in worker processes, `n_jobs` of them, with
        `max_bytes` (on Linux) and `time_limit`. A file that crashes a library is then an error
        that names the sample, subject to `on_error`. Starting the workers takes some seconds.
    time_limit : float, default=300
        Seconds that one recording may take with ``isolate=True``.
    n_jobs : int, default=None
        Number of samples processed at once, by joblib. None is 1, unless
        ``joblib.parallel_config`` says otherwise; -1 is one per core. Starting the processes takes
        some seconds, and a recording of 3 s a few milliseconds, so more than one pays off only for
        thousands of recordings.
    verbose : bool, default=False
        Whether to show a progress bar (tqdm) for work that takes longer than a second.

    Raises
    ------
    ImportError
        If librosa or soundfile is not installed (the extra ``audio``).
    TypeError
        If a sample is neither a path nor a waveform.
    ValueError
        If a parameter is wrong; or if `on_error` is "raise" and a recording is missing, empty,
        truncated, silent, too short for ``short="error"``, or not an audio file, holds NaN or
        infinity, or exceeds `max_bytes` or `time_limit`.

    See Also
    --------
    LogMel : The spectrum whose shape the coefficients describe.

    Notes
    -----
    A frame has ``n_mfcc * (1 + deltas)`` features: the coefficients, then their first and
    second derivatives. On paths, waveforms, the number of frames, and memory, see the notes of
    `LogSTFT`.

    Source: `librosa.feature.mfcc` and `librosa.feature.delta`, with their defaults (see `LogSTFT`
    for the reference).

    Examples
    --------
    >>> from inforeg_sk.datasets import load_av_digits
    >>> from inforeg_sk.features import MFCC
    >>> paths = load_av_digits().sample_paths[:3]
    >>> front_end = MFCC(16000, 0.8, n_mfcc=13, n_fft=512, hop_length=160, n_mels=40)
    >>> front_end.fit_transform(paths).shape
    (3, 81, 39)
    >>> front_end.get_feature_names_out()[[0, 13, 26]]
    array(['mfcc0', 'mfcc0_delta1', 'mfcc0_delta2'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **MelFrontEnd._parameter_constraints,
        "n_mfcc": [COUNT],
        "deltas": [Interval(Integral, 0, 2, "both")],
        "delta_width": [_Odd(Integral, 3)],
    }

    def __init__(
        self,
        sample_rate=22050,
        duration=3.0,
        short="pad",
        *,
        n_mfcc=20,
        deltas=2,
        delta_width=9,
        n_fft=2048,
        hop_length=512,
        n_mels=128,
        fmin=0.0,
        fmax=None,
        waveform_rate=None,
        silence="error",
        on_error="raise",
        max_bytes=2**30,
        isolate=False,
        time_limit=300,
        n_jobs=None,
        verbose=False,
    ):
        super().__init__(
            sample_rate=sample_rate,
            duration=duration,
            short=short,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            fmin=fmin,
            fmax=fmax,
            waveform_rate=waveform_rate,
            silence=silence,
            on_error=on_error,
            max_bytes=max_bytes,
            isolate=isolate,
            time_limit=time_limit,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.n_mfcc = n_mfcc
        self.deltas = deltas
        self.delta_width = delta_width

    def get_feature_names_out(self, input_features=None):
        """Names of the features of a frame: ``"mfcc0"``, ..., ``"mfcc0_delta1"``, ...

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        names = numbered("mfcc", self.n_mfcc)
        orders = [names + f"_delta{order}" for order in range(1, self.deltas + 1)]
        return np.concatenate([names, *orders])

    def _check_features(self, n_frames):
        super()._check_features(n_frames)
        if self.n_mfcc > self.n_mels:
            raise InvalidParameterError(
                f"The 'n_mfcc' parameter of {type(self).__name__} must be at most "
                f"n_mels={self.n_mels!r}. Got {self.n_mfcc!r}."
            )
        if self.deltas and self.delta_width > n_frames:
            raise InvalidParameterError(
                f"The 'delta_width' parameter of {type(self).__name__} must be at most {n_frames}, "
                f"the number of frames of a recording. Got {self.delta_width!r}; a smaller "
                "hop_length or a longer duration gives more frames, and deltas=0 needs none."
            )

    def _features(self, sound):
        import librosa

        coefficients = librosa.feature.mfcc(y=sound, n_mfcc=self.n_mfcc, **self._mel_settings())
        orders = range(1, self.deltas + 1)
        changes = [
            librosa.feature.delta(coefficients, width=self.delta_width, order=order)
            for order in orders
        ]
        return np.concatenate([coefficients, *changes])
