"""Balancing methods. A new one is one new file and one line here."""

from .agm import AGM
from .base import BalancingMethod, Joint
from .curves import Curve
from .inforeg import InfoReg
from .mmpareto import MMPareto
from .ogm_ge import OGMGE

METHODS = {
    "agm": AGM,
    "inforeg": InfoReg,
    "joint": Joint,
    "mmpareto": MMPareto,
    "ogm-ge": OGMGE,
}

__all__ = [
    "AGM",
    "METHODS",
    "OGMGE",
    "BalancingMethod",
    "Curve",
    "InfoReg",
    "Joint",
    "MMPareto",
]
