"""PMR: a loss on distances to class prototypes helps the modalities that are behind (CVPR 2023)."""

from contextlib import nullcontext
from numbers import Integral, Real
from typing import ClassVar

import torch
from torch import Tensor

from ..functional import (
    class_sums,
    helping_weight,
    pairwise_score_ratios,
    probability,
    prototype_entropy,
    prototype_logits,
    prototypes_of,
    refresh_prototypes,
    restraining_weight,
    weighted_mean,
)
from ..utils.parameters import Constraint, Instance, Interval, IsNone
from .base import BalancingMethod
from .curves import Curve

__all__ = ["PMR"]


class PMR(BalancingMethod):
    """Prototypical modal rebalance: helps the encoders whose features tell the classes worse.

    The prototype of a class is the mean of a modality's features over its samples. A second loss
    of each encoder, the cross-entropy over minus the distances to the prototypes, does not pass
    through fusion and head; it counts the more, the further the modality is behind another one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the prototype losses, >= 0. 0, with `entropy_weight` 0, is joint training.
    momentum : float, default=0.2
        Share of the old prototypes in those after an epoch, in [0, 1]. After the first epoch the
        fresh ones replace the old.
    share : float, default=1.0
        Share of the training samples that prototypes are measured on, drawn anew each time; in
        (0, 1]. The authors' code takes a tenth.
    hard : bool, default=False
        False: the paper's factor on the prototype loss, ``clip(s_best / s_m - 1, 0, 1)``. True: the
        authors' code, 1 for each modality that is behind another, else 0.
    entropy_weight : float, default=0.0
        Strength of the regularization that keeps the modality that is ahead uncertain (PER; mu in
        the paper), >= 0. The authors' code has none.
    entropy_epochs : int, default=None
        It acts in so many first epochs; None: in all.

    Attributes
    ----------
    prototypes_ : dict of str to Tensor of shape (n_classes, n_features)
        Of each modality; NaN for a class of which no training sample has the modality. Such a class
        counts as far away as the farthest other one.

    Notes
    -----
    For any number of modalities (ours; the same as the paper's for two) a modality is compared
    with the best one, and for the entropy with the worst one. Two modalities are compared over the
    samples of the batch that have both. Prototypes are weighted means if samples have weights.

    A class that is not among the samples of `share` keeps its prototype; before the first epoch
    further samples are taken until all classes are there. Distances are not scaled by the number
    of features, so the right `alpha` depends on the encoder. Prototypes are measured before the
    first epoch and after each one, which costs a forward pass over `share` of the training part.

    References
    ----------
    Fan, Xu, Wang, Wang, Guo: "PMR: Prototypical Modal Rebalance for Multimodal Learning",
    CVPR 2023, arXiv:2211.07089.

    Examples
    --------
    >>> from inforeg_sk import PMR, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(PMR(alpha=2.0), max_epochs=3, random_state=0).fit(X, y)
    >>> {name: weight.shape for name, weight in clf.curves_["prototype_weight"].items()}
    {'strong': (3,), 'weak': (3,)}
    """

    tasks = ("classification",)
    curves: ClassVar[dict[str, Curve]] = {
        "prototype_score": Curve("Mean probability of the true class by the prototypes"),
        "prototype_weight": Curve("Factor on the prototype loss of the modality"),
        "entropy_weight": Curve("Factor on the prototype entropy of the modality"),
    }
    prototypes_: dict[str, Tensor]
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "alpha": [Interval(Real, 0)],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "share": [Interval(Real, 0, 1, closed="right")],
        "hard": [Instance(bool, text="a bool")],
        "entropy_weight": [Interval(Real, 0)],
        "entropy_epochs": [IsNone(), Interval(Integral, 0)],
    }

    def __init__(
        self,
        alpha=1.0,
        momentum=0.2,
        share=1.0,
        *,
        hard=False,
        entropy_weight=0.0,
        entropy_epochs=None,
    ):
        self.alpha = alpha
        self.momentum = momentum
        self.share = share
        self.hard = hard
        self.entropy_weight = entropy_weight
        self.entropy_epochs = entropy_epochs

    # Prototypes

    def on_train_start(self, training):
        known = getattr(self, "prototypes_", None)  # of an earlier call
        if known is None:
            self.prototypes_ = self._measure(training, every_class=True)
        elif self._has_new_classes(training):
            fresh = self._measure(training, every_class=True)
            self.prototypes_ = {m: refresh_prototypes(p, fresh[m], 1.0) for m, p in known.items()}

    def on_epoch_end(self, epoch):
        fresh = self._measure(epoch.training)
        momentum = self.momentum if epoch.index else 0
        self.prototypes_ = {
            m: refresh_prototypes(old, fresh[m], momentum) for m, old in self.prototypes_.items()
        }

    def _has_new_classes(self, training):
        """Whether samples of this call show a class that has no prototype in a modality."""
        target, weight, presence = training.samples
        for name, prototypes in self.prototypes_.items():
            counted = presence.mask(name) if weight is None else presence.mask(name) & (weight > 0)
            unknown = prototypes.isnan().any(dim=1).cpu()
            if unknown[target[counted]].any():
                return True
        return False

    def _measure(self, training, *, every_class=False):
        """Measure fresh prototypes on `share` of the training part (dict of Tensor).

        With `every_class` on further samples, until each class is there or there are no more.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, Tensor] = {}
        wanted, seen = self.share * len(training.samples.target), 0
        with _full_precision(training.device):
            for batch in training.batches(shuffle=self.share < 1):
                for i, (name, z) in enumerate(batch.features.items()):
                    weight = batch.weight
                    if batch.present is not None:
                        present = batch.present[:, i]
                        weight = present if weight is None else present * weight
                    more, n = class_sums(z, batch.target, training.n_outputs, weight)
                    sums[name] = sums[name] + more if name in sums else more
                    counts[name] = counts[name] + n if name in counts else n
                seen += batch.n_samples
                if seen >= wanted and not (every_class and _lacks_a_class(counts)):
                    break
        return {name: prototypes_of(sums[name], counts[name]) for name in sums}

    # Loss

    def loss(self, batch):
        entropy_weight = self._entropy_weight(batch.epoch.index)
        logits = {
            name: prototype_logits(z.to(p.dtype), p)
            for (name, z), p in zip(batch.features.items(), self.prototypes_.values(), strict=True)
        }
        values = torch.stack([probability(u.detach(), batch.target) for u in logits.values()])
        present = None if batch.present is None else batch.present.mT
        ratios = pairwise_score_ratios(values, present, batch.weight)
        helping = self.alpha * helping_weight(ratios, hard=self.hard)
        restraining = torch.zeros_like(helping)
        if entropy_weight:
            restraining = entropy_weight * restraining_weight(ratios)
        batch.record("prototype_score", self._mean_scores(values, batch))
        batch.record("prototype_weight", helping)
        batch.record("entropy_weight", restraining)
        loss = batch.joint_loss
        if self.alpha:
            losses = torch.stack([batch.loss_of(u, name) for name, u in logits.items()])
            loss = loss + (helping * losses).sum()
        if entropy_weight:
            entropies = torch.stack([_mean_entropy(batch, u, name) for name, u in logits.items()])
            loss = loss - (restraining * entropies).sum()
        return loss

    def _entropy_weight(self, index):
        if self.entropy_epochs is not None and index >= self.entropy_epochs:
            return 0.0
        return self.entropy_weight

    def _mean_scores(self, values, batch):
        """Mean scores for the history; NaN where no sample of some weight has the modality."""
        if batch.present is None and batch.weight is None:
            return values.mean(dim=-1)
        weight = torch.ones_like(values) if batch.present is None else batch.present.mT
        weight = weight if batch.weight is None else weight * batch.weight
        return weighted_mean(values, weight).masked_fill(~batch.scored, torch.nan)


def _full_precision(device):
    """No autocast, which would round sums and counts."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def _lacks_a_class(counts):
    return any((n == 0).any().item() for n in counts.values())


def _mean_entropy(batch, logits, modality):
    """Mean entropy over the samples that have the modality, weighted as losses are."""
    entropy = prototype_entropy(logits)
    if batch.weight is None and modality not in batch.presence.masks:
        return entropy.mean()
    weight = batch.presence.mask(modality).to(entropy)
    if batch.weight is None:
        return weighted_mean(entropy, weight)
    return (entropy * weight * batch.weight).sum() / batch.loss_divisor(modality)
