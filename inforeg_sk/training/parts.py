"""The samples of the training and the validation part, without their values."""

from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Subset

from ..data.batches import ModalityDataset, ModalitySubset
from ..data.presence import Presence

__all__ = ["PartSamples", "check_part_weights", "samples_of"]


class PartSamples(NamedTuple):
    """Targets and weights of the samples of a part, and which of them have which modality."""

    target: torch.Tensor  # encoded
    weight: torch.Tensor | None
    presence: Presence


def samples_of(dataset, make_pass):
    """Samples of the part that a `train_split` gave.

    Parameters
    ----------
    dataset : Dataset
        A ModalityDataset, subsets of one, or another dataset that gives a Batch.
    make_pass : callable
        ``dataset -> iterable of batches``, for the last.

    Returns
    -------
    PartSamples
    """
    whole, rows = _origin(dataset)
    if isinstance(whole, ModalityDataset):
        presence = whole.presence.take(rows) if whole.presence.masks else Presence(len(rows))
        weight = None if whole.weight is None else torch.from_numpy(whole.weight[rows])
        return PartSamples(torch.from_numpy(whole.target[rows]), weight, presence)
    batches = list(make_pass(dataset))
    inputs, targets = [batch for batch, _ in batches], [target for _, target in batches]
    names = {name for batch in inputs for name in batch.presence.masks}
    masks = {m: torch.cat([batch.presence.mask(m) for batch in inputs]) for m in names}
    weights = [batch.weight for batch in inputs if batch.weight is not None]
    target = torch.cat(targets)
    return PartSamples(
        target, torch.cat(weights) if weights else None, Presence(len(target), masks)
    )


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
    while isinstance(dataset, Subset | ModalitySubset):
        rows = np.asarray(dataset.indices)[rows]
        dataset = dataset.dataset
    return dataset, rows
