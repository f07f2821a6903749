"""Balancing methods. A new one is one new file and one line here."""

from .active import PrimeWindow
from .agm import AGM
from .base import BalancingMethod, Joint
from .curves import Curve
from .dgl import DGL
from .diagnosing_relearning import DiagnosingRelearning
from .g_blending import GBlending
from .greedy import Greedy
from .inforeg import InfoReg
from .mmpareto import MMPareto
from .ogm_ge import OGMGE
from .opm import OPM
from .pmr import PMR
from .tcmax import TCMax

METHODS = {
    "joint": Joint,
    "inforeg": InfoReg,
    "ogm-ge": OGMGE,
    "agm": AGM,
    "pmr": PMR,
    "g-blending": GBlending,
    "mmpareto": MMPareto,
    "greedy": Greedy,
    "dgl": DGL,
    "tcmax": TCMax,
    "opm": OPM,
    "dr": DiagnosingRelearning,
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
    "PMR",
    "GBlending",
    "MMPareto",
    "Greedy",
    "DGL",
    "TCMax",
    "OPM",
    "DiagnosingRelearning",
]
