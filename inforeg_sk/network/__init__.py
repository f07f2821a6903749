"""The network: encoders, fusions, and what holds them together."""

from .builtin_fusions import Attention, Concat, FiLM, Gated, MLPFusion, Sum
from .dropout import Dropout
from .encoders import ENCODERS
from .fusion import FUSIONS, zeroed_unimodal_logits
from .images import CNNEncoder, ResNet18Encoder
from .network import MultimodalNetwork, NetworkOutput, build_network
from .pretrained import PretrainedEncoder
from .sequences import GRUEncoder, TransformerEncoder
from .vectors import MLPEncoder

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "Attention",
    "CNNEncoder",
    "Concat",
    "Dropout",
    "FiLM",
    "GRUEncoder",
    "Gated",
    "MLPEncoder",
    "MLPFusion",
    "MultimodalNetwork",
    "NetworkOutput",
    "PretrainedEncoder",
    "ResNet18Encoder",
    "Sum",
    "TransformerEncoder",
    "build_network",
    "zeroed_unimodal_logits",
]
