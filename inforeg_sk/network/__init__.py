"""The network: encoders, fusions, and what holds them together."""

from .dropout import Dropout
from .encoders import ENCODERS, GRUEncoder, MLPEncoder
from .fusion import FUSIONS, Concat, zeroed_unimodal_logits
from .network import MultimodalNetwork, NetworkOutput, build_network

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "Concat",
    "Dropout",
    "GRUEncoder",
    "MLPEncoder",
    "MultimodalNetwork",
    "NetworkOutput",
    "build_network",
    "zeroed_unimodal_logits",
]
