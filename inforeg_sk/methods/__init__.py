"""Balancing methods. A new one is one new file and one line here."""

from .active import PrimeWindow
from .base import BalancingMethod, Joint
from .curves import Curve
from .diagnosing_relearning import DiagnosingRelearning
from .g_blending import GBlending
from .inforeg import InfoReg
from .ogm_ge import OGMGE
from .opm import OPM
from .pmr import PMR

METHODS = {
    "joint": Joint,
    "inforeg": InfoReg,
    "ogm-ge": OGMGE,
    "pmr": PMR,
    "g-blending": GBlending,
    "dr": DiagnosingRelearning,
    "opm": OPM,
}

__all__ = [
    "METHODS",
    "BalancingMethod",
    "Curve",
    "PrimeWindow",
    "Joint",
    "InfoReg",
    "OGMGE",
    "OPM",
    "PMR",
    "DiagnosingRelearning",
    "GBlending",
]
