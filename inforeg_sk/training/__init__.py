"""The training loop, batches and random numbers."""

from .batches import ModalityDataset
from .loop import TrainingLoop
from .random import draw_seeds

__all__ = ["ModalityDataset", "TrainingLoop", "draw_seeds"]
