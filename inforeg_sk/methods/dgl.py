"""DGL: encoders that learn alone, behind them a fusion that learns from frozen features."""

from numbers import Real
from typing import ClassVar

from ..network.parameters import clip_gradient_norm, replace_gradients
from ..utils.parameters import Constraint, Interval, IsNone
from .base import BalancingMethod

__all__ = ["DGL"]


class DGL(BalancingMethod):
    """Decoupled gradient learning: no encoder feels the joint loss.

    Each encoder gets the gradient of the loss of its own logits only, fusion and head that of the
    joint loss only. So one fit gives encoders that were trained alone, and a learnt
    fusion of what they find; it is the control arm of comparisons of balancing methods.

    Parameters
    ----------
    strength : float, default=4.0
        Factor on the unimodal losses (``a``; the authors' scripts have 4, one has 5); >= 0. It
        acts as a factor on the learning rate of the encoders under SGD. Adam divides it out again,
        but for the clipping.
    max_norm : float or None, default=40.0
        Gradients are scaled such that their norm, over all parameters of the network, is at most
        this; > 0. None: they are not clipped.

    Notes
    -----
    With features ``z_m`` the encoders get the gradient of ``strength * sum_m loss(u_m)``, and
    fusion and head that of ``loss(head(fusion(z)))`` at fixed features. Here ``u_m`` are the joint
    logits with the features of the other modalities set to zero, in evaluation mode. Of a
    concatenation with a linear head they are ``W_m z_m + b``, with the whole bias, unlike its
    unimodal logits elsewhere. A sample that lacks a modality does not count in its loss. In
    regression the losses are those of the criterion (ours).

    The loss in the history is the sum of both. A batch has one backward pass through the encoders;
    fusion and head have one for the joint loss and one for each modality.

    References
    ----------
    Decoupled gradient learning, ICCV 2025, arXiv:2507.10213.

    Examples
    --------
    >>> from inforeg_sk import DGL, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(DGL(strength=1.0), max_epochs=3, random_state=0).fit(X, y)
    >>> sorted(clf.score_by_modality(X, y))
    ['strong', 'weak']
    """

    batchable = True
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "strength": [Interval(Real, 0)],
        "max_norm": [IsNone(), Interval(Real, 0, closed="neither")],
    }

    def __init__(self, strength=4.0, max_norm=40.0):
        self.strength = strength
        self.max_norm = max_norm

    def loss(self, batch):
        # Of a concatenation, too, with the whole bias: not `batch.unimodal_losses`.
        losses = [batch.loss_of(batch.coalition_logits({m}), m) for m in batch.modalities]
        alone = self.strength * sum(losses)
        features = [z for z in batch.features.values() if z.requires_grad]
        tensors, gradients = [], []
        # Neither pass goes through the encoders.
        for loss, of in ((alone, features), (batch.joint_loss, _all_but_encoders(batch))):
            found = batch.gradients(loss, of) if of else []
            for tensor, gradient in zip(of, found, strict=True):
                if gradient is not None:
                    tensors.append(tensor)
                    gradients.append(gradient)
        value = batch.joint_loss + alone
        return replace_gradients(value, tensors, gradients, batch.gradient_scale)

    def on_gradients(self, batch):
        if self.max_norm is not None:
            parameters = [*batch.network.parameters(), *batch.criterion.parameters()]
            limit = self.max_norm * batch.gradient_scale
            clip_gradient_norm(parameters, limit, batch.n_leading)


def _all_but_encoders(batch):
    """Trainable parameters of fusion and head, and of a criterion that learns."""
    of_encoders = {p for found in batch.epoch.parameters.values() for p in found.trainable}
    parameters = [*batch.network.parameters(), *batch.criterion.parameters()]
    return [p for p in parameters if p.requires_grad and p not in of_encoders]
