"""G-Blending: weighs the losses of all heads by how well they generalize (CVPR 2020)."""

from collections.abc import Mapping
from math import nan
from numbers import Integral, Real
from typing import ClassVar

import torch

from ..functional import blending_weights, gain_and_overfitting
from ..network.modes import evaluating
from ..utils.callers import warn_caller
from ..utils.parameters import ByName, Constraint, Interval, Options
from ..utils.suggestions import did_you_mean
from .base import BalancingMethod
from .curves import Curve

__all__ = ["GBlending"]

_JOINT = "joint"


class GBlending(BalancingMethod):
    """Gradient blending: a weighted sum of the joint loss and of one head's loss a modality.

    Each modality gets a linear head of its own. To find the weights, copies of the network are
    trained for some epochs, each on the loss of one head alone. A head weighs ``G / O^2``: G is by
    how much its held-out loss fell, O by how much its held-out loss less its training loss rose.

    Parameters
    ----------
    weights : {"online", "offline"} or dict of str to float, default="online"
        "online": estimated from the state of the network before the first epoch and again after
        every `super_epoch` epochs. "offline": estimated once, before the first epoch, by trials of
        as many epochs as that call of ``fit`` has. A dict gives fixed weights of ``"joint"`` and of
        modalities, >= 0, and is used as it is; a modality that is left out has weight 0.
    super_epoch : int, default=10
        Epochs of a trial, and from one estimation to the next, with "online".

    Attributes
    ----------
    weights_ : dict of str to float
        Weight of each modality's head and of ``"joint"`` in force.
    estimated_in_ : int or None
        Epoch before which they were estimated, counted from 0; None for fixed weights.

    Notes
    -----
    The authors released the weighted loss and weights typed in by hand; the estimation follows the
    paper. Ours: the four losses are means over samples, in evaluation mode, with sample weights;
    each is taken over the samples that have the modality, and a head that no held-out sample has
    gets weight 0. A head whose held-out loss rose gets weight 0; O^2 counts as at least 1e-8; all
    weights are equal if no head gained. The curves "generalization" and "overfitting" hold G and O
    as measured. Each trial has a fresh optimizer and generators of its own; it changes nothing in
    the network, the optimizer, and the random states of the training.

    Held-out samples are those of `train_split` or `early_stopping`; with fixed weights none are
    needed. Weights that add up to 1 make the step of SGD smaller than a joint loss with unimodal
    losses beside it; Adam divides such a factor out.

    With weight 0 of ``"joint"`` the joint head, which makes the predictions, is not trained: as a
    fixed weight that is an error, as an estimated one it warns.

    References
    ----------
    Wang, Tran, Feiszli: "What Makes Training Multi-Modal Classification Networks Hard?",
    CVPR 2020, arXiv:1905.12681.

    Examples
    --------
    >>> from inforeg_sk import GBlending, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> method = GBlending({"strong": 0.2, "weak": 0.4, "joint": 0.4})
    >>> clf = MultimodalClassifier(method, max_epochs=3, random_state=0).fit(X, y)
    >>> {head: float(weight[-1]) for head, weight in clf.curves_["blending_weight"].items()}
    {'strong': 0.2, 'weak': 0.4, 'joint': 0.4}
    """

    weights_: dict[str, float]
    estimated_in_: int | None
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "weights": [Options("online", "offline"), ByName(Interval(Real, 0))],
        "super_epoch": [Interval(Integral, 1)],
    }

    def __init__(self, weights="online", super_epoch=10):
        self.weights = weights
        self.super_epoch = super_epoch

    @property
    def _is_fixed(self):
        return isinstance(self.weights, Mapping)

    @property
    def requires(self):
        return () if self._is_fixed else ("held_out",)

    @property
    def curves(self):  # type: ignore[override]  # by the settings, as `requires` is
        curves = {"blending_weight": Curve("Weight of the head's loss")}
        if not self._is_fixed:
            curves["generalization"] = Curve("By how much a trial made the held-out loss fall (G)")
            curves["overfitting"] = Curve("By how much held-out less training loss rose (O)")
        return curves

    def check(self, modalities):
        super().check(modalities)
        if not self._is_fixed:
            return
        names = (*modalities, _JOINT)
        for name in self.weights:
            if name not in names:
                raise ValueError(
                    f"The 'weights' parameter of GBlending names the unknown head {name!r}; the "
                    f"heads are {', '.join(map(repr, names))}{did_you_mean(name, names)}"
                )
        if not self.weights.get(_JOINT):
            raise ValueError(
                "The 'weights' parameter of GBlending must give 'joint' a weight above 0, since "
                f"the joint head makes the predictions. Got {self.weights!r}."
            )

    def prepare(self, network):
        network.add_unimodal_heads()
        return network

    def on_epoch_start(self, epoch):
        if self._is_fixed:
            heads = (*epoch.modalities, _JOINT)
            self.weights_ = {head: float(self.weights.get(head, 0.0)) for head in heads}
            self.estimated_in_ = None
        elif any(epoch.active.values()) and self._is_due(epoch.index):
            self._estimate(epoch)
        weights = getattr(self, "weights_", None)
        if weights is None:  # no modality was active so far: plain joint training
            weights = {**dict.fromkeys(epoch.modalities, 0.0), _JOINT: 1.0}
        epoch.record("blending_weight", weights)

    def _is_due(self, index):
        estimated_in = getattr(self, "estimated_in_", None)
        if estimated_in is None:
            return True
        return self.weights == "online" and index - estimated_in >= self.super_epoch

    def _estimate(self, epoch):
        training = epoch.training
        heads = (*epoch.modalities, _JOINT)
        length = self.super_epoch
        if self.weights == "offline":
            length = training.last_epoch - training.first_epoch + 1
        before = self._losses(training, training.network, heads)
        after = torch.empty_like(before)
        for i, head in enumerate(heads):
            copy = training.train_copy(lambda batch, head=head: _loss_of(batch, head), length)
            after[:, i] = self._losses(training, copy, [head])[:, 0]
        gain, overfitting = gain_and_overfitting(before, after)
        weights = blending_weights(gain, overfitting)
        self.weights_ = dict(zip(heads, weights.tolist(), strict=True))
        self.estimated_in_ = epoch.index
        if self.weights_[_JOINT] == 0:
            warn_caller(
                "GBlending gives the joint head, which makes the predictions, weight 0 for some "
                "epochs, because its held-out loss did not fall in its trial: it is not trained "
                "then. Give fixed weights, or a smaller learning rate.",
            )
        epoch.record("generalization", gain, heads)
        epoch.record("overfitting", overfitting, heads)

    @staticmethod
    def _losses(training, network, heads):
        """Mean losses on the training and the held-out part (Tensor of float64, (2, n_heads)).

        NaN for a head that no sample of the part has.
        """
        rows = []
        for part in ("training", "held_out"):
            total = count = torch.zeros(len(heads), dtype=torch.float64)
            for batch in training.batches(part, network=network):
                with torch.no_grad(), evaluating(network):
                    losses = torch.stack([_loss_of(batch, head) for head in heads]).double()
                    named = [None if head == _JOINT else head for head in heads]
                    divisors = torch.stack([batch.loss_divisor(name) for name in named])
                    weights = torch.stack([batch.total_weight(name) for name in named])
                total = total.to(losses.device) + losses * divisors
                count = count.to(losses.device) + weights
            rows.append((total / count).cpu())
        return torch.stack(rows).masked_fill(torch.stack(rows).isinf(), nan)

    def loss(self, batch):
        # A weight of 0 counts, too: then the gradient of the head is 0, not missing.
        terms = [weight * _loss_of(batch, head) for head, weight in self.weights_.items()]
        return sum(terms[1:], start=terms[0])


def _loss_of(batch, head):
    return batch.joint_loss if head == _JOINT else batch.head_losses[head]
