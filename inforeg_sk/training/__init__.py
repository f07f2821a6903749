"""The training loop, batches, random numbers and the default optimizer."""

from ..data.batches import ModalityDataset
from .loop import TrainingLoop
from .optimizer import DecayAdamW
from .random import draw_seeds

__all__ = ["DecayAdamW", "ModalityDataset", "TrainingLoop", "draw_seeds"]
