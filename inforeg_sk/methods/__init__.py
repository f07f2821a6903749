"""Balancing methods. A new one is one new file and one line here."""

from .base import BalancingMethod, Joint
from .curves import Curve
from .inforeg import InfoReg
from .mmpareto import MMPareto
from .ogm_ge import OGMGE

METHODS = {
    "inforeg": InfoReg,
    "joint": Joint,
    "mmpareto": MMPareto,
    "ogm-ge": OGMGE,
}

__all__ = [
    "METHODS",
    "OGMGE",
    "BalancingMethod",
    "Curve",
    "InfoReg",
    "Joint",
    "MMPareto",
]
