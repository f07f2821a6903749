"""Looking into a fit: figures of how the modalities learned and what each knows."""

from ._accuracy import ModalityAccuracyDisplay
from ._traces import FisherTraceDisplay

__all__ = ["FisherTraceDisplay", "ModalityAccuracyDisplay"]
