"""Balancing methods. A new one is one new file and one line here."""

from .base import BalancingMethod, Joint
from .curves import Curve
from .dgl import DGL
from .inforeg import InfoReg
from .tcmax import TCMax

METHODS = {
    "dgl": DGL,
    "inforeg": InfoReg,
    "joint": Joint,
    "tcmax": TCMax,
}

__all__ = ["DGL", "METHODS", "BalancingMethod", "Curve", "InfoReg", "Joint", "TCMax"]
