"""Figures and measures of a fit: how the modalities learned, and what each is worth."""

from ._accuracy import ModalityAccuracyDisplay
from ._diagnose import diagnose
from ._importance import modality_permutation_importance, modality_shapley
from ._learned_share import learned_share
from ._report import DiagnosisReport
from ._scores import score_by_modality
from ._traces import FisherTraceDisplay

__all__ = [
    "DiagnosisReport",
    "FisherTraceDisplay",
    "ModalityAccuracyDisplay",
    "diagnose",
    "learned_share",
    "modality_permutation_importance",
    "modality_shapley",
    "score_by_modality",
]
