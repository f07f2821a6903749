"""Many networks of one kind as one estimator."""

from .deep_ensemble import DeepEnsembleClassifier, DeepEnsembleRegressor, Uncertainty

__all__ = ["DeepEnsembleClassifier", "DeepEnsembleRegressor", "Uncertainty"]
