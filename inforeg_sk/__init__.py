"""Multimodal estimators that learn from all of their modalities, the scikit-learn way."""

from . import presets
from ._version import __version__
from .classifier import MultimodalClassifier, MultimodalInfoRegClassifier
from .compose import ModalityTransformer
from .data import ColumnsToModalities, ModalitiesToColumns, ModalityDict
from .ensemble import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    EvidencePool,
    LateFusionClassifier,
    LateFusionRegressor,
    StackedModalitiesClassifier,
    StackedModalitiesRegressor,
)
from .inspection import diagnose
from .methods import OGMGE, BalancingMethod, InfoReg, Joint, PrimeWindow
from .model_selection.cv import MultimodalInfoRegClassifierCV, MultimodalInfoRegRegressorCV
from .regressor import MultimodalInfoRegRegressor, MultimodalRegressor

__all__ = [
    "BalancingMethod",
    "ColumnsToModalities",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "EvidencePool",
    "InfoReg",
    "Joint",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "ModalitiesToColumns",
    "ModalityDict",
    "ModalityTransformer",
    "MultimodalClassifier",
    "MultimodalInfoRegClassifier",
    "MultimodalInfoRegClassifierCV",
    "MultimodalInfoRegRegressor",
    "MultimodalInfoRegRegressorCV",
    "MultimodalRegressor",
    "OGMGE",
    "PrimeWindow",
    "StackedModalitiesClassifier",
    "StackedModalitiesRegressor",
    "__version__",
    "diagnose",
    "presets",
]
