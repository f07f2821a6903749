"""Figures of a fit: how the modalities learned, and how well each predicts."""

from ._accuracy import ModalityAccuracyDisplay
from ._traces import FisherTraceDisplay

__all__ = ["FisherTraceDisplay", "ModalityAccuracyDisplay"]
