"""PMR's maths: class prototypes, distances to them, and who is helped how much."""

import torch
from torch import Tensor

from .regulation import TIE_TOLERANCE

__all__ = [
    "class_sums",
    "helping_weight",
    "prototype_entropy",
    "prototype_logits",
    "prototypes_of",
    "refresh_prototypes",
    "restraining_weight",
]


def class_sums(
    features: Tensor, target: Tensor, n_classes: int, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of the features of each class, and how much weight it is the sum of.

    Parameters
    ----------
    features : Tensor of shape (..., n_samples, n_features)
    target : Tensor of int64 of shape (..., n_samples)
    n_classes : int
    weight : Tensor of shape (..., n_samples), default=None
        Sample weights, 0 for a sample that does not count. None: all count alike.

    Returns
    -------
    sums : Tensor of shape (..., n_classes, n_features)
    counts : Tensor of shape (..., n_classes)

    Examples
    --------
    >>> import torch
    >>> sums, counts = class_sums(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1]), 2)
    >>> sums[:, 0], counts
    (tensor([4., 5.]), tensor([2., 1.]))
    """
    # Not F.one_hot, which reads the largest label on the host.
    classes = torch.arange(n_classes, device=target.device)
    member = (target[..., None] == classes).to(features.dtype)
    if weight is not None:
        member = member * weight[..., None].to(features.dtype)
    return member.mT @ features, member.sum(dim=-2)


def prototypes_of(sums: Tensor, counts: Tensor) -> Tensor:
    """Prototypes: the mean features of each class.

    Parameters
    ----------
    sums, counts :
        From `class_sums`, perhaps added up over batches.

    Returns
    -------
    Tensor of shape (..., n_classes, n_features)
        NaN for a class of which there is no sample.

    Examples
    --------
    >>> import torch
    >>> prototypes_of(torch.tensor([[4.0], [0.0]]), torch.tensor([2.0, 0.0]))
    tensor([[2.],
            [nan]])
    """
    return (sums / counts[..., None]).masked_fill(counts[..., None] == 0, torch.nan)


def refresh_prototypes(old: Tensor, fresh: Tensor, momentum: float) -> Tensor:
    """Prototypes after an epoch, ``(1 - momentum) fresh + momentum old`` (paper, eq. 12).

    Parameters
    ----------
    old, fresh : Tensor of shape (..., n_classes, n_features)
        From `prototypes_of`.
    momentum : float
        In [0, 1]; 0 takes the fresh ones.

    Returns
    -------
    Tensor of shape (..., n_classes, n_features)
        The old one of a class that has no fresh one, and the fresh one of a class without an old
        one (ours: the authors' code divides 0 by 0).

    Examples
    --------
    >>> import torch
    >>> nan = float("nan")
    >>> old, fresh = torch.tensor([[1.0], [1.0], [nan]]), torch.tensor([[2.0], [nan], [2.0]])
    >>> refresh_prototypes(old, fresh, 0.25)[:, 0]
    tensor([1.7500, 1.0000, 2.0000])
    """
    mixed = fresh if momentum == 0 else (1 - momentum) * fresh + momentum * old
    mixed = torch.where(torch.isnan(old), fresh, mixed)
    return torch.where(torch.isnan(fresh), old, mixed)


def prototype_logits(features: Tensor, prototypes: Tensor) -> Tensor:
    """Minus the Euclidean distance of each sample to each prototype.

    Parameters
    ----------
    features : Tensor of shape (..., n_samples, n_features)
    prototypes : Tensor of shape (..., n_classes, n_features)
        A class whose prototype is NaN is as far away as the farthest of the others.

    Returns
    -------
    Tensor of shape (..., n_samples, n_classes)
        At distance 0 its gradient is 0; that of a plain square root would be NaN.

    Examples
    --------
    >>> import torch
    >>> prototype_logits(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([[-5., -0.]])
    """
    unknown = torch.isnan(prototypes).any(dim=-1)[..., None, :]
    # Exact differences, however large the features are beside the distances.
    distance = torch.cdist(
        features, torch.nan_to_num(prototypes), compute_mode="donot_use_mm_for_euclid_dist"
    )
    farthest = distance.detach().masked_fill(unknown, 0.0).amax(dim=-1, keepdim=True)
    return -torch.where(unknown, farthest, distance)


def prototype_entropy(logits: Tensor) -> Tensor:
    """Entropy of each sample's distribution over the classes.

    Parameters
    ----------
    logits : Tensor of shape (..., n_samples, n_classes)
        From `prototype_logits`.

    Returns
    -------
    Tensor of shape (..., n_samples)

    Examples
    --------
    >>> import torch
    >>> prototype_entropy(torch.tensor([[0.0, 0.0]]))
    tensor([0.6931])
    """
    log_probability = logits.log_softmax(dim=-1)
    return -(log_probability.exp() * log_probability).sum(dim=-1)


def helping_weight(ratios: Tensor, *, hard: bool = False) -> Tensor:
    """Factor on the prototype loss of each modality: how far it is behind (paper, eq. 11).

    Parameters
    ----------
    ratios : Tensor of shape (..., n_modalities, n_modalities)
        From `pairwise_score_ratios`.
    hard : bool, default=False
        False: ``clip(max_n s_n / s_m - 1, 0, 1)``, with two modalities the paper's beta and gamma.
        True, as in the authors' code: 1 for a modality that is behind another by more than
        rounding, else 0.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        In [0, 1]. Pairs that have no sample in common do not count.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.functional import pairwise_score_ratios
    >>> ratios = pairwise_score_ratios(torch.tensor([[0.75], [0.5]]))
    >>> helping_weight(ratios), helping_weight(ratios, hard=True)
    (tensor([0.0000, 0.5000]), tensor([0., 1.]))
    """
    lead = _largest(ratios.mT)
    if hard:
        return (lead > 1 + TIE_TOLERANCE * torch.finfo(lead.dtype).eps).to(lead.dtype)
    return (lead - 1).clamp(0, 1)


def restraining_weight(ratios: Tensor) -> Tensor:
    """Factor on the prototype entropy of each modality: how far it is ahead (paper, eq. 13).

    Parameters
    ----------
    ratios : Tensor of shape (..., n_modalities, n_modalities)
        From `pairwise_score_ratios`.

    Returns
    -------
    Tensor of shape (..., n_modalities)
        ``clip(s_m / min_n s_n - 1, 0, 1)``.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.functional import pairwise_score_ratios
    >>> restraining_weight(pairwise_score_ratios(torch.tensor([[0.75], [0.5]])))
    tensor([0.5000, 0.0000])
    """
    return (_largest(ratios) - 1).clamp(0, 1)


def _largest(ratios: Tensor) -> Tensor:
    """Largest ratio of each row; 1 stands where there is none."""
    return torch.nan_to_num(ratios, nan=1.0).amax(dim=-1)
