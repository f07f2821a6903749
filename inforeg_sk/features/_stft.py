"""Sound as log-magnitude spectrograms, by librosa."""

from typing import ClassVar

import numpy as np

from ..utils.parameters import Constraint
from ._audio_base import AudioFrontEnd, numbered
from ._constraints import BOOL, POSITIVE

__all__ = ["LogSTFT"]


class LogSTFT(AudioFrontEnd):
    """Log-magnitude spectrogram of recordings, by the short-time Fourier transform.

    Parameters
    ----------
    sample_rate : int, default=22050
        Rate, in Hz, that every recording is resampled to (soxr, high quality).
    duration : float, default=3.0
        Seconds used of each recording, from its beginning; the rest is cut.
    short : {"pad", "tile", "error"}, default="pad"
        What happens to a recording shorter than `duration`: zeros are added at its end, it is
        repeated, or it is an error.
    n_fft : int, default=512
        Samples of a window (Hann); the features are ``1 + n_fft // 2`` frequencies, from 0 to
        half of `sample_rate`.
    hop_length : int, default=256
        Samples from one frame to the next.
    floor : float, default=1e-7
        Added to the magnitude before its natural logarithm is taken.
    clip : bool, default=False
        Whether samples are clipped to [-1, 1]. Files of floats and resampled loud recordings may
        exceed this range.
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
    LogMel : Fewer features, spaced as humans hear pitch.

    Notes
    -----
    Samples are the paths of files, or waveforms; several channels of a file are averaged. The
    output has shape ``(n_samples, n_frames, n_features)`` with ``n_frames = 1 + round(duration *
    sample_rate) // hop_length``: frames are centred, with zeros beyond both ends.

    The zeros that pad a recording become ``log(floor)``, a value like any other; no step is marked
    as padding.

    ``Pipeline(memory=...)`` caches the features. It hashes paths as they are written, and does not
    notice that a file has changed, or that a relative path now leads elsewhere: clear the cache
    then. It hashes all parameters, including `n_jobs` and `verbose`.

    Two kinds of damage go unnoticed: an MP3 or OGG file that ends too early at a clean boundary,
    and damage after the part that is used, in any format but WAV, W64, AIFF, CAF and AU. A size
    of the whole file that is wrong in the header is no damage if all samples are there.

    Source: `librosa.stft` [1]_.

    References
    ----------
    .. [1] B. McFee et al. (2015). "librosa: Audio and Music Signal Analysis in Python". SciPy
       Conference. doi:10.25080/Majora-7b98e3ed-003.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk.features import LogSTFT
    >>> seconds = np.arange(16000) / 16000
    >>> sounds = np.sin(2 * np.pi * np.array([[440.0], [2000.0]]) * seconds)
    >>> front_end = LogSTFT(sample_rate=16000, duration=1.0, waveform_rate=16000)
    >>> spectra = front_end.fit_transform(sounds)
    >>> spectra.shape
    (2, 63, 257)
    >>> spectra.mean(axis=1).argmax(axis=1) * 16000 / 512  # the loudest frequency, in Hz
    array([ 437.5, 2000. ])
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **AudioFrontEnd._parameter_constraints,
        "floor": [POSITIVE],
        "clip": [BOOL],
    }

    def __init__(
        self,
        sample_rate=22050,
        duration=3.0,
        short="pad",
        *,
        n_fft=512,
        hop_length=256,
        floor=1e-7,
        clip=False,
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
            waveform_rate=waveform_rate,
            silence=silence,
            on_error=on_error,
            max_bytes=max_bytes,
            isolate=isolate,
            time_limit=time_limit,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.floor = floor
        self.clip = clip

    @classmethod
    def crema_d(cls, **overrides):
        """Make the front end of the InfoReg authors' code for CREMA-D.

        22,050 Hz, 3 s (shorter recordings are repeated), samples clipped to [-1, 1], windows of 512
        samples every 353, ``log(magnitude + 1e-7)``: 188 frames of 257 frequencies. Their code
        repeats a recording at most three times, which is the same for recordings of at least 1 s,
        and puts the frequencies before the frames.

        Parameters
        ----------
        **overrides
            Other values of the class's parameters, such as ``n_jobs=2``.

        Returns
        -------
        LogSTFT

        Examples
        --------
        >>> from inforeg_sk.features import LogSTFT
        >>> LogSTFT.crema_d(n_jobs=2)
        LogSTFT(clip=True, hop_length=353, n_jobs=2, short='tile')
        """
        settings = {
            "sample_rate": 22050,
            "duration": 3.0,
            "short": "tile",
            "n_fft": 512,
            "hop_length": 353,
            "floor": 1e-7,
            "clip": True,
        }
        return cls(**{**settings, **overrides})

    def get_feature_names_out(self, input_features=None):
        """Names of the features of a frame: ``"logstft0"`` (0 Hz), ``"logstft1"``, ...

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        return numbered("logstft", 1 + self.n_fft // 2)

    def _features(self, sound):
        import librosa

        sound = np.clip(sound, -1, 1) if self.clip else sound
        spectrum = librosa.stft(sound, n_fft=self.n_fft, hop_length=self.hop_length)
        return np.log(np.abs(spectrum) + self.floor)
