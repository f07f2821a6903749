"""Balancing methods. A new one is one new file and one line here."""

from .active import PrimeWindow
from .base import BalancingMethod, Joint
from .curves import Curve
from .inforeg import InfoReg

METHODS = {"inforeg": InfoReg, "joint": Joint}

__all__ = ["METHODS", "BalancingMethod", "Curve", "InfoReg", "Joint", "PrimeWindow"]
