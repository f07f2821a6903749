"""Balancing methods. A new one is one new file and one line here."""

from .base import BalancingMethod, Joint
from .curves import Curve
from .dgl import DGL
from .greedy import Greedy
from .inforeg import InfoReg
from .tcmax import TCMax

METHODS = {
    "dgl": DGL,
    "greedy": Greedy,
    "inforeg": InfoReg,
    "joint": Joint,
    "tcmax": TCMax,
}

__all__ = ["DGL", "METHODS", "BalancingMethod", "Curve", "Greedy", "InfoReg", "Joint", "TCMax"]
