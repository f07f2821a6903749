"""A batch whose losses and gradients are written out instead of differentiated."""

from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..functional import cross_entropy_losses, log_probability, squared_losses
from .context import SCORES, BatchContext

__all__ = ["ClosedBatch", "LossTerms", "has_closed_form"]


def has_closed_form(criterion):
    """Whether the losses of a criterion are written out here.

    Parameters
    ----------
    criterion : torch loss module

    Returns
    -------
    bool
        True for cross entropy, label smoothing included, and for squared error, as means.
    """
    if type(criterion) is nn.CrossEntropyLoss:
        plain = criterion.weight is None and criterion.ignore_index < 0
        return plain and criterion.reduction == "mean"
    return type(criterion) is nn.MSELoss and criterion.reduction == "mean"


class LossTerms:
    """Loss weights as tensors, made once for all batches that have the same."""

    def __init__(self):
        self._known = {}

    def get(self, weights, like):
        """Weights as a Tensor of shape (n_terms, 1), or a number where all are the same.

        Parameters
        ----------
        weights : tuple of float
        like : Tensor
            Of the type and on the device to have.
        """
        if len(set(weights)) == 1:
            return weights[0]
        if weights not in self._known:
            column = torch.tensor(weights, dtype=like.dtype)[:, None]
            self._known[weights] = column.to(like.device)
        return self._known[weights]


class ClosedBatch(BatchContext):
    """A `BatchContext` of which nothing has a graph: `backward` has computed the gradients.

    Parameters
    ----------
    passed : ClosedPass
    terms : LossTerms
    **kwargs
        As of `BatchContext`.
    """

    def __init__(self, *, passed, terms, **kwargs):
        super().__init__(**kwargs, like=passed.like)
        self._passed = passed
        self._terms = terms
        self._all = None  # logits of all terms, the joint ones first
        self._of_samples = None  # SampleLosses of the same
        self._losses: Any = None  # their mean or weighted sum over the samples, by term

    def backward(self, weights):
        """Compute the loss, and add its gradients to those of the parameters.

        Parameters
        ----------
        weights : dict of str to float
            From `BalancingMethod.loss_weights`.

        Returns
        -------
        Tensor of shape ()
        """
        joint, each = self._weights_of_terms(weights)
        if each:
            return self._backward_all((joint, *(each.get(m, 0) for m in self.network.modalities)))
        share = joint / self.n_samples if self.weight is None else self._share(None) * joint
        found = self._losses_of(self.logits, share)
        self._passed.backward_joint(found.gradient)
        losses = found.losses
        loss = losses.mean() if self.weight is None else (losses * self._share(None)).sum()
        vars(self)["joint_loss"] = loss
        return loss if joint == 1 else loss * joint

    def _backward_all(self, weights):
        factors = self._terms.get(tuple(map(float, weights)), self._passed.like)
        self._all = self._passed.all_logits()
        shares = self._shares
        share = factors / self.n_samples if shares is None else shares * factors
        self._of_samples = found = self._losses_of(self._all, share, dim=-2)
        names = zip(self.modalities, weights[1:], strict=True)
        unused = () if weights[0] else [name for name, weight in names if not weight]
        self._passed.backward_all(found.gradient, unused)
        each = found.losses
        losses = each.mean(dim=-1) if shares is None else (each * shares).sum(dim=-1)
        self._losses = losses
        vars(self)["joint_loss"] = losses[0]  # as the property below would give it
        if not all(weights):  # what does not count may be infinite
            return torch.stack([losses[i] * w for i, w in enumerate(weights) if w]).sum()
        if isinstance(factors, float):
            return losses.sum() if factors == 1 else losses.sum() * factors
        return (losses * factors[:, 0]).sum()

    def _losses_of(self, logits, share, dim=-1):
        if type(self.criterion) is nn.MSELoss:
            return squared_losses(logits, self.target, share, dim)
        smoothing = self.criterion.label_smoothing
        return cross_entropy_losses(logits, self.target, share, smoothing, dim)

    @cached_property
    def _shares(self):
        """What the loss of each sample counts (Tensor of shape (1 + n_modalities, n_samples)).

        None: the mean over the samples, in all terms.
        """
        if self.weight is None and not self.presence.masks:
            return None
        names = (None, *self.network.modalities)
        return torch.stack([self._share(name) for name in names]).to(self._passed.like)

    def _share(self, modality):
        weight = self.weight if modality is None else self._weight_of[modality]
        if weight is None:
            return self._passed.like.new_full((self.n_samples,), 1 / self.n_samples)
        if self.weight is None:
            return weight / weight.sum().clamp(min=1)
        return weight / self.weight_means.mean(modality) / self._count_of(modality)

    # In place of what the base class differentiates

    @cached_property
    def features(self):
        return self._passed.features

    @cached_property
    def logits(self):
        return self._passed.joint_logits() if self._all is None else self._all[0].mT

    @cached_property
    def unimodal_logits(self):
        if self._all is None:
            self._all = self._passed.all_logits()
        return dict(zip(self.network.modalities, self._all[1:].mT.unbind(), strict=True))

    @cached_property
    def unimodal_losses(self):
        if self._of_samples is None:
            return super().unimodal_losses
        return dict(zip(self.network.modalities, self._losses[1:].unbind(), strict=True))

    @cached_property
    def scores(self):
        known = self._of_samples is not None and self._modality_weights is None
        return -self._losses[1:] if known and self._is_minus_loss() else super().scores

    def _is_minus_loss(self):
        if self._rule is SCORES["log_probability"]:
            return not self.criterion.label_smoothing
        return self._rule is SCORES["negative_loss"]

    @cached_property
    def _sample_scores(self):
        if self._of_samples is None:
            if self._rule is not SCORES["log_probability"]:
                return super()._sample_scores
            self._all = self._passed.all_logits()
            return log_probability(self._all[1:], self.target, dim=-2)
        if self._rule is SCORES["negative_loss"]:
            return -self._of_samples.losses[1:]
        scores = self._of_samples.log_probability[1:]
        return scores if self._rule is SCORES["log_probability"] else scores.exp()

    def gradients(self, loss, parameters):
        raise RuntimeError(
            "The gradients of this batch were computed in closed form, since the method declares "
            "closed_form = True: set closed_form = False for a method that needs graphs of its own."
        )
