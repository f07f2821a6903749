"""Sound as mel-frequency cepstra and their changes, by librosa."""

from numbers import Integral

import numpy as np

from ..network.checks import check_positive
from ._audio_base import AudioFrontEnd, check_bands, numbered

__all__ = ["MFCC"]


class MFCC(AudioFrontEnd):
    """Mel-frequency cepstral coefficients of recordings, with their changes over time.

    Parameters
    ----------
    sample_rate : int, default=22050
        Samples per second, in Hz, to which every recording is resampled (soxr, high quality).
    duration : float, default=3.0
        Seconds of each recording that are used, from its beginning; what is longer is cut.
    short : {"pad", "tile", "error"}, default="pad"
        What happens to a recording shorter than `duration`: zeros are added at its end, it is
        repeated, or it is an error.
    n_mfcc : int, default=20
        Number of coefficients.
    deltas : {0, 1, 2}, default=2
        Up to which order the local derivatives over time follow the coefficients.
    delta_width : int, default=9
        Frames over which a derivative is taken, odd and at least 3; no more than there are.
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
        Sampling rate, in Hz, of samples given as waveforms; a file says its own. None: there
        are no waveforms.
    silence : {"error", "allow"}, default="error"
        Whether a recording that holds one and the same value throughout is an error. A recording
        without any sound is nearly always a failed one, and would teach the network, unnoticed,
        that the modality says nothing; where silence is an answer, allow it.
    on_error : {"raise", "zeros", "missing"}, default="raise"
        What happens to a recording that cannot be used (see Raises): an error that names it, or
        zeros in all its features, or NaN (which a classifier with ``missing="allow"`` takes for a
        missing modality), and one warning that lists all of these. Its row cannot be left
        out: a transformer does not see the target nor the other modalities, whose rows would no
        longer be those of the same samples.
    n_jobs : int, default=None
        Samples worked on at once, by joblib. None is 1, unless ``joblib.parallel_config`` says
        otherwise; -1 is one for each core. Starting the processes costs some seconds, and a
        recording of 3 s a few milliseconds: it pays from thousands of recordings on.
    verbose : bool, default=False
        Whether work that takes longer than a second shows a progress bar (tqdm).

    Raises
    ------
    ImportError
        If librosa or soundfile is not installed (the extra ``audio``).
    TypeError
        If a sample is neither a path nor a waveform.
    ValueError
        If a parameter is wrong; or if a recording is missing, empty, truncated, silent, too short
        for ``short="error"``, no sound file, or holds NaN or infinity, and `on_error` is "raise".

    See Also
    --------
    LogMel : The spectrum whose shape the coefficients tell.

    Notes
    -----
    A frame has ``n_mfcc * (1 + deltas)`` features: the coefficients, then their first and their
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
        n_jobs=None,
        verbose=False,
    ):
        self.sample_rate = sample_rate
        self.duration = duration
        self.short = short
        self.n_mfcc = n_mfcc
        self.deltas = deltas
        self.delta_width = delta_width
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.waveform_rate = waveform_rate
        self.silence = silence
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

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
        check_positive(n_mfcc=self.n_mfcc)
        check_bands(self)
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc={self.n_mfcc!r} is more than n_mels={self.n_mels!r}.")
        if not _is_integer(self.deltas) or not 0 <= self.deltas <= 2:
            raise ValueError(f"deltas={self.deltas!r}: 0, 1 or 2 is needed.")
        width = self.delta_width
        if not _is_integer(width) or width < 3 or width % 2 == 0:
            raise ValueError(f"delta_width={width!r}: an odd integer of 3 or more is needed.")
        if self.deltas and width > n_frames:
            raise ValueError(
                f"delta_width={width!r} is more than the {n_frames} frames of a recording: give a "
                "smaller one, a smaller hop_length, a longer duration, or deltas=0."
            )

    def _features(self, sound):
        import librosa

        coefficients = librosa.feature.mfcc(
            y=sound,
            sr=self.sample_rate,
            n_mfcc=self.n_mfcc,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
            fmin=self.fmin,
            fmax=self.fmax,
        )
        orders = range(1, self.deltas + 1)
        changes = [
            librosa.feature.delta(coefficients, width=self.delta_width, order=order)
            for order in orders
        ]
        return np.concatenate([coefficients, *changes])


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)
