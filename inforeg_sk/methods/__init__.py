"""Balancing methods. A new one is one new file and one line here."""

from .active import PrimeWindow
from .base import BalancingMethod, Joint
from .curves import Curve
from .inforeg import InfoReg
from .ogm_ge import OGMGE

METHODS = {
    "joint": Joint,
    "inforeg": InfoReg,
    "ogm-ge": OGMGE,
}

__all__ = [
    "METHODS",
    "BalancingMethod",
    "Curve",
    "PrimeWindow",
    "Joint",
    "InfoReg",
    "OGMGE",
]
