"""The samples of the training and the validation part, without their values."""

from typing import NamedTuple

import numpy as np
import torch

from ..data.batches import ModalitySubset
from ..data.presence import Presence

__all__ = ["PartSamples", "check_part_weights", "samples_of"]


class PartSamples(NamedTuple):
    """Targets and weights of the samples of a part, and which of them have which modality."""

    target: torch.Tensor  # encoded
    weight: torch.Tensor | None
    presence: Presence


def samples_of(part):
    """Samples of the part that a `train_split` gave.

    Parameters
    ----------
    part : ModalityDataset or ModalitySubset

    Returns
    -------
    PartSamples
    """
    whole, rows = _origin(part)
    presence = whole.presence.take(rows) if whole.presence.masks else Presence(len(rows))
    weight = None if whole.weight is None else torch.from_numpy(whole.weight[rows])
    return PartSamples(torch.from_numpy(whole.target[rows]), weight, presence)


def check_part_weights(dataset, part):
    """Raise if no sample of a part counts.

    Parameters
    ----------
    dataset : Dataset or None
    part : str
        Its name, for the error.
    """
    whole, rows = (None, None) if dataset is None else _origin(dataset)
    weight = getattr(whole, "weight", None)
    if weight is not None and not weight[rows].any():
        raise ValueError(
            f"All weights of the {part} part (train_split) are 0: at least one sample must count."
        )


def _origin(dataset):
    """The dataset that a part was cut from, and the rows of the part (ndarray of int64)."""
    rows = np.arange(len(dataset))
    while isinstance(dataset, ModalitySubset):
        rows = np.asarray(dataset.indices)[rows]
        dataset = dataset.dataset
    return dataset, rows
