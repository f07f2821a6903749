"""Searches and cross-validation that train many networks at once."""

from .cv import MultimodalInfoRegClassifierCV, MultimodalInfoRegRegressorCV
from .search import BatchedGridSearchCV, BatchedRandomizedSearchCV
from .validation import cross_validate_batched

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "MultimodalInfoRegClassifierCV",
    "MultimodalInfoRegRegressorCV",
    "cross_validate_batched",
]
