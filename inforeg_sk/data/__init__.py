"""From what the user gives to batches: container, checks, arrays, presence of modalities."""

from .columns import ColumnsToModalities
from .container import ModalityDict

__all__ = ["ColumnsToModalities", "ModalityDict"]
