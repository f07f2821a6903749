"""What classifiers and regressors share."""

from .base import MultimodalEstimator

__all__ = ["MultimodalEstimator"]
