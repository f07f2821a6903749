"""Data sets: loaders of published multimodal features and recordings, and a synthetic generator."""

from inforeg_sk.datasets._av_digits import load_av_digits
from inforeg_sk.datasets._cmu_mosi import load_cmu_mosi
from inforeg_sk.datasets._crema_d import load_crema_d
from inforeg_sk.datasets._generator import make_multimodal_classification
from inforeg_sk.datasets._kinetics_sounds import load_kinetics_sounds
from inforeg_sk.datasets._utd_mhad import load_utd_mhad

__all__ = [
    "load_av_digits",
    "load_cmu_mosi",
    "load_crema_d",
    "load_kinetics_sounds",
    "load_utd_mhad",
    "make_multimodal_classification",
]
