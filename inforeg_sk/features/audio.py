"""Front ends for sound: paths of files or waveforms to spectrograms and cepstra, by librosa."""

from ._mel import LogMel
from ._mfcc import MFCC
from ._stft import LogSTFT

__all__ = ["LogMel", "LogSTFT", "MFCC"]
