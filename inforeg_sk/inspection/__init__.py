"""Figures and measures of a fit: how the modalities learned, and what each is worth."""

from ._accuracy import ModalityAccuracyDisplay
from ._diagnose import diagnose
from ._embedding import EmbeddingDisplay
from ._gaps import GapDisplay
from ._gradient_similarity import GradientSimilarityDisplay, gradient_similarity
from ._importance import modality_permutation_importance, modality_shapley
from ._learned_share import learned_share
from ._report import DiagnosisReport
from ._score_curves import ScoreByModalityDisplay
from ._scores import score_by_modality
from ._sensitivity import SensitivityDisplay
from ._traces import FisherTraceDisplay

__all__ = [
    "DiagnosisReport",
    "EmbeddingDisplay",
    "FisherTraceDisplay",
    "GapDisplay",
    "GradientSimilarityDisplay",
    "ModalityAccuracyDisplay",
    "ScoreByModalityDisplay",
    "SensitivityDisplay",
    "diagnose",
    "gradient_similarity",
    "learned_share",
    "modality_permutation_importance",
    "modality_shapley",
    "score_by_modality",
]
