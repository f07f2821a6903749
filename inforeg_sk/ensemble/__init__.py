"""Estimators that combine others: members of different seeds, and one expert for each modality."""

from .deep_ensemble import DeepEnsembleClassifier, DeepEnsembleRegressor, Uncertainty
from .late_fusion import LateFusionClassifier, LateFusionRegressor
from .pool import EvidencePool
from .pool_report import BlockImportance, Evidence
from .stacked import StackedModalitiesClassifier, StackedModalitiesRegressor

__all__ = [
    "BlockImportance",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "Evidence",
    "EvidencePool",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "StackedModalitiesClassifier",
    "StackedModalitiesRegressor",
    "Uncertainty",
]
