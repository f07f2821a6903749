"""From what the user gives to batches: container, checks, arrays, presence of modalities."""

from .columns import ColumnsToModalities
from .container import ModalityDict
from .to_columns import ModalitiesToColumns

__all__ = ["ColumnsToModalities", "ModalitiesToColumns", "ModalityDict"]
