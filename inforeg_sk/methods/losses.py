"""The criterion of a batch and of its samples, and what weights are divided by."""

import copy
from typing import NamedTuple

from ..functional import weighted_mean

__all__ = ["WeightMeans", "per_sample_loss", "weighted_criterion"]


class WeightMeans(NamedTuple):
    """Means of the sample weights over a training part: what the loss divides weights by.

    Parameters
    ----------
    overall : float
        Over all samples; 1 without weights.
    by_modality : dict of str to float
        Over the samples that have a modality; `overall` for one that is left out.
    """

    overall: float = 1.0
    by_modality: dict = {}

    @classmethod
    def of(cls, weight, presence):
        """Means over the samples of a part.

        Parameters
        ----------
        weight : Tensor of shape (n_samples,) or None
        presence : Presence
            A modality that no sample of some weight has gets the overall mean.

        Returns
        -------
        WeightMeans
        """
        if weight is None:
            return cls()
        weight = weight.double()
        by_modality = {name: weight[mask].mean().item() for name, mask in presence.masks.items()}
        return cls(weight.mean().item(), {m: mean for m, mean in by_modality.items() if mean > 0})

    def mean(self, modality=None):
        """Mean over the samples that have a modality (float); None: over all."""
        return self.by_modality.get(modality, self.overall)

    def epoch_factor(self, n_samples, total_weight):
        """What scales losses of batches so that their mean by batch sizes is the weighted mean.

        The loss divides weights by their mean in the first fit; the samples of an epoch may have
        another one: validation data, further data, batches left out.

        Parameters
        ----------
        n_samples : int
            Of all batches.
        total_weight : float
            Sum of the weights of these samples; with 0 the losses, all 0, stay as they are.

        Returns
        -------
        float
        """
        return n_samples * self.mean() / total_weight if total_weight else 1.0


def weighted_criterion(criterion, prediction, target, weight=None, *, mean=None, n_samples=None):
    """Criterion of a batch, with sample weights.

    Parameters
    ----------
    criterion : torch loss module
    prediction, target : Tensor
    weight : Tensor of shape (n_samples,), default=None
        None: the criterion's own mean.
    mean : float, default=None
        The loss is the sum of ``weight / mean`` times the loss of each sample, divided by
        `n_samples`. So a sample of weight 2 counts like two in any batch, and one of weight 0 for
        nothing. None: the weighted mean of the batch.
    n_samples : int or Tensor of shape (), default=None
        Samples of the batch that count.

    Returns
    -------
    Tensor of shape ()
    """
    if weight is None:
        return criterion(prediction, target)
    losses = per_sample_loss(criterion, prediction, target)
    if mean is None:
        return weighted_mean(losses, weight)
    return (losses * (weight / mean)).sum() / n_samples


def per_sample_loss(criterion, prediction, target):
    """The same criterion (label smoothing and all) of each sample (Tensor of shape (n_samples,)).

    Raises
    ------
    TypeError
        If the criterion ignores ``reduction="none"``.
    """
    # A copy of a compiled criterion would hand its settings on to the original.
    each = copy.copy(getattr(criterion, "_orig_mod", criterion))  # shares what the criterion holds
    each.reduction = "none"
    losses = each(prediction, target)
    if losses.shape[:1] != target.shape[:1]:
        raise TypeError(
            f"criterion={type(criterion).__name__} gives {tuple(losses.shape)} for "
            f"{len(target)} samples with reduction='none', but one value a sample is needed for "
            "sample weights, missing modalities, and the scores of a regressor."
        )
    return losses if losses.ndim == 1 else losses.flatten(1).mean(dim=1)
