"""Figures and measures of a fit: how the modalities learned, and what each is worth."""

from ._accuracy import ModalityAccuracyDisplay
from ._importance import modality_permutation_importance, modality_shapley
from ._learned_share import learned_share
from ._scores import score_by_modality
from ._traces import FisherTraceDisplay

__all__ = [
    "FisherTraceDisplay",
    "ModalityAccuracyDisplay",
    "learned_share",
    "modality_permutation_importance",
    "modality_shapley",
    "score_by_modality",
]
