"""Balancing methods. A new one is one new file and one line here."""

from .active import PrimeWindow
from .agm import AGM
from .base import BalancingMethod, Joint
from .curves import Curve
from .inforeg import InfoReg
from .mmpareto import MMPareto
from .ogm_ge import OGMGE

METHODS = {
    "joint": Joint,
    "inforeg": InfoReg,
    "ogm-ge": OGMGE,
    "agm": AGM,
    "mmpareto": MMPareto,
}

__all__ = [
    "METHODS",
    "BalancingMethod",
    "Curve",
    "PrimeWindow",
    "Joint",
    "InfoReg",
    "OGMGE",
    "AGM",
    "MMPareto",
]
