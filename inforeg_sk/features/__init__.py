"""Front ends: scikit-learn transformers from raw samples to arrays, for `ModalityTransformer`."""

from inforeg_sk.features.audio import MFCC, LogMel, LogSTFT
from inforeg_sk.features.sequences import PadSequences
from inforeg_sk.features.tokens import Tokens
from inforeg_sk.features.video import VideoFrames

__all__ = ["LogMel", "LogSTFT", "MFCC", "PadSequences", "Tokens", "VideoFrames"]
