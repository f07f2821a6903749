"""Several estimators as one: rivals of joint training."""

from .late_fusion import LateFusionClassifier, LateFusionRegressor

__all__ = ["LateFusionClassifier", "LateFusionRegressor"]
