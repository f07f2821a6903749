"""A batch whose losses and gradients are written out instead of differentiated."""

from functools import cached_property

import torch
from torch import Tensor, nn

from ..functional import cross_entropy_losses, squared_losses
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
        """Weights as a Tensor of shape (n_terms, 1, 1), or a number where all are the same.

        Parameters
        ----------
        weights : tuple of float
        like : Tensor
            Of the type and on the device to have.
        """
        if weights not in self._known:
            same = len(set(weights)) == 1
            tensor = None if same else torch.tensor(weights, dtype=like.dtype).to(like.device)
            self._known[weights] = weights[0] if same else tensor[:, None, None]
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
        super().__init__(**kwargs)
        self._passed = passed
        self._terms = terms
        self._unimodal = self._summed = False
        self._share_of_gradient = 1.0

    def backward(self, weights, unimodal):
        """Compute the loss, and add its gradients to those of the parameters.

        Parameters
        ----------
        weights : dict of str to float
            From `BalancingMethod.loss_weights`.
        unimodal : bool
            Whether unimodal logits are needed although no loss is.

        Returns
        -------
        Tensor of shape ()
        """
        joint, each = self._weights_of_terms(weights)
        for name in ("_logits", "_of_samples", "_shares", "_losses", "logits", "joint_loss"):
            vars(self).pop(name, None)  # of the joint term alone, should it have been read
        self._unimodal, self._summed = unimodal or bool(each), bool(each)
        values = (joint, *(each.get(m, 0) for m in self.features)) if each else (joint,)
        factors = self._terms.get(tuple(map(float, values)), self._passed.like)
        if self._shares is None:
            self._share_of_gradient = factors / self.n_samples
        else:
            self._share_of_gradient = self._shares[: len(values), :, None] * factors
            if self._unimodal and not each:
                self._share_of_gradient = self._share_of_gradient[0]
        gradient = self._of_samples.gradient
        self._passed.backward(gradient if each else gradient[:1])
        return self._weighted_sum(values, factors)

    def _weighted_sum(self, values, factors):
        if len(values) == 1:
            return self.joint_loss if factors == 1 else self.joint_loss * factors
        losses = self._losses
        if not all(values):  # what does not count may be infinite
            kept = [losses[i] * value for i, value in enumerate(values) if value]
            return torch.stack(kept).sum()
        if isinstance(factors, Tensor):
            return (losses * factors[:, 0, 0]).sum()
        return losses.sum() if factors == 1 else losses.sum() * factors

    # What one pass gives, the joint term first

    @cached_property
    def _logits(self):
        return self._passed.logits(self._unimodal, self._summed)

    @cached_property
    def _of_samples(self):
        share = self._share_of_gradient
        if type(self.criterion) is nn.MSELoss:
            return squared_losses(self._logits, self.target, share)
        smoothing = self.criterion.label_smoothing
        return cross_entropy_losses(self._logits, self.target, share, smoothing)

    @cached_property
    def _shares(self):
        """What the loss of each sample counts (Tensor of shape (n_terms, n_samples)).

        None: the mean over the samples, in all terms.
        """
        if self.weight is None and not self.presence.masks:
            return None
        names = [None, *(self.features if self._unimodal else ())]
        return torch.stack([self._share(name) for name in names]).to(self._passed.like)

    def _share(self, modality):
        weight = self.weight if modality is None else self._weight_of[modality]
        if weight is None:
            return self._passed.like.new_full((self.n_samples,), 1 / self.n_samples)
        if self.weight is not None:
            return weight / self.weight_means.mean(modality) / self._count_of(modality)
        return weight / weight.sum().clamp(min=1)

    @cached_property
    def _losses(self):
        losses = self._of_samples.losses
        if self._shares is None:
            return losses.mean(dim=-1)
        return (losses * self._shares).sum(dim=-1)

    # In place of what the base class differentiates

    @cached_property
    def logits(self):
        return self._logits[0]

    @cached_property
    def joint_loss(self):
        return self._losses[0]

    @cached_property
    def unimodal_losses(self):
        if not self._unimodal:
            return super().unimodal_losses
        return dict(zip(self.features, self._losses[1:].unbind(), strict=True))

    @cached_property
    def unimodal_logits(self):
        if not self._unimodal:
            return super().unimodal_logits
        return dict(zip(self.features, self._logits[1:].unbind(), strict=True))

    @cached_property
    def _sample_scores(self):
        if not self._unimodal:
            return super()._sample_scores
        if self._rule is SCORES["negative_loss"]:
            return -self._of_samples.losses[1:]
        log_probability = self._of_samples.log_probability[1:]
        return log_probability if self._rule is SCORES["log_probability"] else log_probability.exp()

    def gradients(self, loss, parameters):
        raise RuntimeError(
            "The gradients of this batch were computed in closed form, since the method declares "
            "batchable = True: set batchable = False for a method that needs graphs of its own."
        )
