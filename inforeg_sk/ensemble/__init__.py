"""Estimators that combine others: members of different seeds, and one expert for each modality."""

from .deep_ensemble import DeepEnsembleClassifier, DeepEnsembleRegressor, Uncertainty
from .late_fusion import LateFusionClassifier, LateFusionRegressor
from .stacked import StackedModalitiesClassifier, StackedModalitiesRegressor

__all__ = [
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "StackedModalitiesClassifier",
    "StackedModalitiesRegressor",
    "Uncertainty",
]
