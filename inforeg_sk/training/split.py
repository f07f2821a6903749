"""What `train_split` gives: parts of the data of a fit, or samples of their own."""

import numpy as np
from skorch.utils import data_from_dataset, is_dataset
from torch.utils.data import Subset

from ..data.batches import ModalityDataset, ModalitySubset
from ..data.checks import as_selectable
from ..utils.compat import safe_indexing

__all__ = ["given_data", "own_part"]


def own_part(part, whole, make):
    """Return a part of a split as a dataset of ours.

    Parameters
    ----------
    part : Dataset, or tuple of X and y
        Some samples of `whole` (torch's ``Subset``), or samples from elsewhere in the user's
        labels and units, as ``skorch.helper.predefined_split`` gives them.
    whole : ModalityDataset
        The data of the fit.
    make : callable
        ``(X, y) -> ModalityDataset``: checks samples from elsewhere.

    Returns
    -------
    ModalityDataset or ModalitySubset

    Raises
    ------
    TypeError, ValueError
        If the samples from elsewhere are not as those of the fit.
    """
    if part is whole:
        return part
    if isinstance(part, Subset | ModalitySubset):
        indices, dataset = part.indices, part.dataset
        while isinstance(dataset, Subset | ModalitySubset):
            indices, dataset = [dataset.indices[i] for i in indices], dataset.dataset
        if dataset is whole:
            return ModalitySubset(whole, indices)
    try:
        X, y = given_data(part)
        if y is None:
            raise ValueError(
                "they have no y; give predefined_split(skorch.dataset.Dataset(X_valid, y_valid))."
            )
        return make(X, y)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"The samples that train_split gives cannot be used: {error}") from error


def given_data(dataset):
    """X and y of a dataset, or of a tuple of both, as the user gave them.

    Raises
    ------
    TypeError
        If it does not say what they are.
    """
    if isinstance(dataset, tuple | list) and len(dataset) == 2:
        return tuple(dataset)
    if isinstance(dataset, Subset):
        X, y = given_data(dataset.dataset)
        rows = np.asarray(dataset.indices, dtype=int)
        return safe_indexing(as_selectable(X), rows), None if y is None else safe_indexing(y, rows)
    if is_dataset(dataset):
        if isinstance(dataset, ModalityDataset | ModalitySubset):
            return dataset.X, dataset.y
        try:
            return data_from_dataset(dataset)
        except AttributeError:
            pass
    elif hasattr(dataset, "keys"):
        return dataset, None
    raise TypeError(
        "a dataset must be a skorch.dataset.Dataset(X, y) of what fit takes, or a part of the "
        f"data that train_split got. Got {type(dataset).__name__}."
    )
