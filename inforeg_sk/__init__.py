"""Multimodal estimators that learn from all of their modalities, the scikit-learn way."""

from . import presets
from ._version import __version__
from .classifier import MultimodalClassifier, MultimodalInfoRegClassifier
from .compose import ModalityTransformer
from .data import ColumnsToModalities, ModalityDict
from .ensemble import EvidencePool
from .methods import BalancingMethod, InfoReg, Joint
from .model_selection.cv import MultimodalInfoRegClassifierCV, MultimodalInfoRegRegressorCV
from .regressor import MultimodalInfoRegRegressor, MultimodalRegressor

__all__ = [
    "BalancingMethod",
    "ColumnsToModalities",
    "EvidencePool",
    "InfoReg",
    "Joint",
    "ModalityDict",
    "ModalityTransformer",
    "MultimodalClassifier",
    "MultimodalInfoRegClassifier",
    "MultimodalInfoRegClassifierCV",
    "MultimodalInfoRegRegressor",
    "MultimodalInfoRegRegressorCV",
    "MultimodalRegressor",
    "__version__",
    "presets",
]
