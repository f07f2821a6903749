"""Several estimators as one: rivals of joint training."""

from .late_fusion import LateFusionClassifier, LateFusionRegressor
from .stacked import StackedModalitiesClassifier, StackedModalitiesRegressor

__all__ = [
    "LateFusionClassifier",
    "LateFusionRegressor",
    "StackedModalitiesClassifier",
    "StackedModalitiesRegressor",
]
