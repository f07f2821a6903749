"""Balancing methods. A new one is one new file and one line here."""

from .base import BalancingMethod, Joint
from .inforeg import InfoReg

METHODS = {"inforeg": InfoReg, "joint": Joint}

__all__ = ["METHODS", "BalancingMethod", "InfoReg", "Joint"]
