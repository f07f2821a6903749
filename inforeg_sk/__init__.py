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
from .methods import (
    AGM,
    DGL,
    OGMGE,
    OPM,
    PMR,
    BalancingMethod,
    DiagnosingRelearning,
    GBlending,
    Greedy,
    InfoReg,
    Joint,
    MMPareto,
    PrimeWindow,
    TCMax,
)
from .model_selection.cv import MultimodalInfoRegClassifierCV, MultimodalInfoRegRegressorCV
from .regressor import MultimodalInfoRegRegressor, MultimodalRegressor

__all__ = [
    "AGM",
    "BalancingMethod",
    "ColumnsToModalities",
    "DGL",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "DiagnosingRelearning",
    "EvidencePool",
    "GBlending",
    "Greedy",
    "InfoReg",
    "Joint",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "MMPareto",
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
    "OPM",
    "PMR",
    "PrimeWindow",
    "StackedModalitiesClassifier",
    "StackedModalitiesRegressor",
    "TCMax",
    "__version__",
    "diagnose",
    "presets",
]
