"""Figures and measures of a fit: how the modalities learned, and what each is worth."""

from ._accuracy import ModalityAccuracyDisplay
from ._importance import modality_permutation_importance, modality_shapley
from ._traces import FisherTraceDisplay

__all__ = [
    "FisherTraceDisplay",
    "ModalityAccuracyDisplay",
    "modality_permutation_importance",
    "modality_shapley",
]
