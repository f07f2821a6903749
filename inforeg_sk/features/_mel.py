"""Sound as log-mel spectrograms, by librosa."""

from numbers import Real
from typing import ClassVar

import numpy as np

from ..utils.parameters import Constraint, Interval, IsNone, Options
from ._audio_base import MelFrontEnd, numbered
from ._constraints import POSITIVE

__all__ = ["LogMel"]


class LogMel(MelFrontEnd):
    """Log-mel spectrogram of recordings: the power, in dB, in bands spaced by pitch.

    Parameters
    ----------
    sample_rate : int, default=22050
        Rate, in Hz, that every recording is resampled to (soxr, high quality).
    duration : float, default=3.0
        Seconds used of each recording, from its beginning; the rest is cut.
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
        The power that is 0 dB; "max" is that of each recording's loudest cell, which removes the
        loudness of the recording.
    top_db : float, default=80.0
        Cells more than this many dB below the recording's loudest cell are raised to that level;
        None leaves them as they are.
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
    MFCC : The shape of this spectrum in fewer numbers, and its changes.

    Notes
    -----
    On paths, waveforms, the number of frames, and memory, see the notes of `LogSTFT`. The zeros
    that pad a recording become the lowest value, and no step is marked as padding; with
    ``ref="max"`` a silent recording is 0 dB throughout.

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

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **MelFrontEnd._parameter_constraints,
        "ref": [Options("max"), POSITIVE],
        "top_db": [IsNone(), Interval(Real, 0)],
    }

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
        self.ref = ref
        self.top_db = top_db

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

    def _features(self, sound):
        import librosa

        power = librosa.feature.melspectrogram(y=sound, **self._mel_settings())
        ref = np.max if isinstance(self.ref, str) else self.ref
        return librosa.power_to_db(power, ref=ref, top_db=self.top_db)
