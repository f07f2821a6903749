"""One transformer for each modality."""

from .transformer import ModalityTransformer

__all__ = ["ModalityTransformer"]
