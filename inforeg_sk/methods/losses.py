"""The criterion of a batch and of its samples."""

import copy

from ..functional import weighted_mean

__all__ = ["per_sample_loss", "weighted_criterion"]


def weighted_criterion(criterion, prediction, target, weight=None):
    """Criterion of a batch: its own mean, or a mean with sample weights (Tensor of shape ())."""
    if weight is None:
        return criterion(prediction, target)
    return weighted_mean(per_sample_loss(criterion, prediction, target), weight)


def per_sample_loss(criterion, prediction, target):
    """The same criterion (label smoothing and all) of each sample (Tensor of shape (n_samples,)).

    Raises
    ------
    TypeError
        If the criterion ignores ``reduction="none"``.
    """
    each = copy.copy(criterion)  # which shares what the criterion holds
    each.reduction = "none"
    losses = each(prediction, target)
    if losses.shape[:1] != target.shape[:1]:
        raise TypeError(
            f"criterion={type(criterion).__name__} gives {tuple(losses.shape)} for "
            f"{len(target)} samples with reduction='none', but one value a sample is needed for "
            "sample weights, missing modalities, and the scores of a regressor."
        )
    return losses if losses.ndim == 1 else losses.flatten(1).mean(dim=1)
