"""Sound as log-mel spectrograms, by librosa."""

from numbers import Real

import numpy as np

from ..network.checks import check_number_or_none
from ._audio_base import AudioFrontEnd, check_bands, numbered

__all__ = ["LogMel"]


class LogMel(AudioFrontEnd):
    """Log-mel spectrogram of recordings: the power in bands spaced as pitch is heard, in dB.

    Parameters
    ----------
    sample_rate : int, default=22050
        Samples per second, in Hz, to which every recording is resampled (soxr, high quality).
    duration : float, default=3.0
        Seconds of each recording that are used, from its beginning; what is longer is cut.
    short : {"pad", "tile", "error"}, default="pad"
        What happens to a recording shorter than `duration`: zeros are added at its end, it is
        repeated, or it is an error.
    n_fft : int, default=2048
        Samples of a window (Hann).
    hop_length : int, default=512
        Samples from one frame to the next.
    n_mels : int, default=128
        Number of bands, the features.
    fmin : float, default=0.0
        Lowest frequency, in Hz.
    fmax : float, default=None
        Highest frequency, in Hz; None is half of `sample_rate`.
    ref : float or "max", default=1.0
        The power that is 0 dB; "max" is each recording's loudest cell, which takes away how loud
        it was recorded.
    top_db : float, default=80.0
        What is further than this below the recording's loudest cell, in dB, is set to that; None
        keeps it.
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
    MFCC : The shape of this spectrum in fewer numbers, and its changes.

    Notes
    -----
    On paths, waveforms, the number of frames, and memory, see the notes of `LogSTFT`. What is
    filled up with zeros comes out as the lowest value, not as the zeros that the encoders of
    sequences take for padding; but with ``ref="max"`` a silent recording is 0 dB throughout.

    Source: `librosa.feature.melspectrogram` and `librosa.power_to_db`, with their defaults (see
    `LogSTFT` for the reference).

    Examples
    --------
    The spoken digits that come with the library:

    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklearn.pipeline import make_pipeline
    >>> from inforeg_sk import ModalityDict, ModalityTransformer
    >>> from inforeg_sk.datasets import load_av_digits
    >>> from inforeg_sk.features import LogMel
    >>> digits = load_av_digits()
    >>> rows = digits.sample_indices[:4]
    >>> X = ModalityDict({"audio": digits.sample_paths[:4], "image": digits.data["image"][rows]})
    >>> front_end = LogMel(16000, 0.775, n_fft=512, hop_length=400, n_mels=32)
    >>> ModalityTransformer({"audio": front_end}).fit_transform(X)
    ModalityDict(4 samples: audio (32, 32), image (64,))
    """

    def __init__(
        self,
        sample_rate=22050,
        duration=3.0,
        short="pad",
        *,
        n_fft=2048,
        hop_length=512,
        n_mels=128,
        fmin=0.0,
        fmax=None,
        ref=1.0,
        top_db=80.0,
        waveform_rate=None,
        silence="error",
        on_error="raise",
        n_jobs=None,
        verbose=False,
    ):
        self.sample_rate = sample_rate
        self.duration = duration
        self.short = short
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.ref = ref
        self.top_db = top_db
        self.waveform_rate = waveform_rate
        self.silence = silence
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def get_feature_names_out(self, input_features=None):
        """Names of the features of a frame: ``"logmel0"`` (the lowest), ``"logmel1"``, ...

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        return numbered("logmel", self.n_mels)

    def _check_features(self, n_frames):
        check_bands(self)
        check_number_or_none(top_db=self.top_db)
        if self.top_db is not None and self.top_db < 0:
            raise ValueError(f"top_db={self.top_db!r}: None or a number of 0 or more is needed.")
        ref = self.ref
        if not (isinstance(ref, str) and ref == "max") and not (
            isinstance(ref, Real) and not isinstance(ref, bool) and 0 < ref < np.inf
        ):
            raise ValueError(f"ref={ref!r}: 'max' or a finite number above 0 is needed.")

    def _features(self, sound):
        import librosa

        power = librosa.feature.melspectrogram(
            y=sound,
            sr=self.sample_rate,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
            fmin=self.fmin,
            fmax=self.fmax,
        )
        ref = np.max if isinstance(self.ref, str) else self.ref
        return librosa.power_to_db(power, ref=ref, top_db=self.top_db)
