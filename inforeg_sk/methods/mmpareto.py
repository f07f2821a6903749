"""MMPareto: each encoder gets a step that serves the joint and its own loss (ICML 2024)."""

from collections.abc import Sequence
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from ..functional import norm_growth, pareto_weight
from ..network.parameters import inner_products, replace_gradients, spread, tensor_norms
from ..utils.parameters import Constraint, Instance, Interval, Options
from .base import BalancingMethod
from .curves import Curve

__all__ = ["MMPareto"]


class MMPareto(BalancingMethod):
    """Pareto integration of the joint gradient and the unimodal one of each encoder.

    A linear head is added for each modality, with a loss of its own beside the joint one. Where
    the two gradients of an encoder conflict, it gets the combination of the two that serves both,
    as long as their sum.

    Parameters
    ----------
    gamma : float, default=1.5
        Factor on the gradients of encoders, > 0.
    pareto : bool, default=True
        Whether conflicts are resolved. Without, the gradient of an encoder is `gamma` times the
        sum of both: with gamma 1 that is the uniform baseline, plain training on the sum of all
        losses.
    rescale : {"tensor", "encoder"}, default="tensor"
        What is brought up to the norm of the sum: each parameter tensor by itself (the authors'
        code), or the gradient of the encoder as a whole.

    Notes
    -----
    With ``a`` the gradient of the joint loss and ``u`` that of the modality's own loss, with
    respect to the parameters of encoder m, the gradient is
    ``g = gamma * max(|a + u| / |h|, 1) * h`` with ``h = 2 w a + 2 (1 - w) u``: ``w`` is 1/2 if
    ``a.u > 0``, and else that of the shortest ``h``. Fusion and heads get the plain gradient of the
    sum of all losses, as do parameters that several modalities share.

    Without conflict encoders get gamma times the summed gradient, and the heads once: a part of any
    gain is a larger learning rate of the encoders. So compare with ``pareto=False`` at gamma 1 and
    at the same gamma. An optimizer that divides by the size of past gradients, such as Adam and the
    default `DecayAdamW`, divides a constant factor such as gamma out again.

    Fisher traces are measured on ``a + u``. Predictions use the joint head alone.

    In epochs where a modality is not active (`active` of the estimators), its loss does not count.

    References
    ----------
    Wei, Hu: "MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance", ICML 2024,
    arXiv:2405.17730.

    Examples
    --------
    >>> from inforeg_sk import MMPareto, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(MMPareto(), max_epochs=3, random_state=0).fit(X, y)
    >>> sorted(clf.curves_["cosine"])
    ['strong', 'weak']
    """

    curves: ClassVar[dict[str, Curve]] = {
        "cosine": Curve("Cosine of the joint and the unimodal gradient of the encoder"),
        "joint_weight": Curve("Weight of the joint gradient of the encoder"),
    }
    batchable = True
    per_modality = True
    # Parameters, and what is added to their gradients before the step.
    _changes: Sequence[tuple[Tensor, Tensor]] = ()
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "gamma": [Interval(Real, 0, closed="neither")],
        "pareto": [Instance(bool, text="a bool")],
        "rescale": [Options("tensor", "encoder")],
    }

    def __init__(self, gamma=1.5, pareto=True, *, rescale="tensor"):
        self.gamma = gamma
        self.pareto = pareto
        self.rescale = rescale

    def prepare(self, network):
        network.add_unimodal_heads()
        return network

    def on_train_end(self):
        self._changes = ()

    def loss(self, batch):
        names = [m for m in batch.modalities if batch.epoch.active[m]]
        if not names:
            return batch.joint_loss
        alone = sum(batch.head_losses[m] for m in names)
        encoders = {m: batch.epoch.parameters[m].regulated for m in names}
        wanted = _trained(batch)  # with those of all, no further backward pass is needed
        # The loss of a modality reaches no encoder but its own: one pass for all of them.
        joint_gradients = batch.gradients(batch.joint_loss, wanted)
        own_gradients = batch.gradients(alone, wanted)
        found = {id(p): i for i, p in enumerate(wanted)}
        none = torch.full_like(batch.joint_loss.detach(), torch.nan)
        cosines, weights = [], []
        for m in batch.modalities:
            places = [found[id(p)] for p in encoders.get(m, ())]
            triples = [(wanted[i], joint_gradients[i], own_gradients[i]) for i in places]
            triples = [t for t in triples if t[1] is not None and t[2] is not None]
            cosine, weight = self._combine(triples, batch.n_leading) if triples else (none, none)
            cosines.append(cosine)
            weights.append(weight)
        batch.record("cosine", torch.stack(cosines, dim=-1))
        batch.record("joint_weight", torch.stack(weights, dim=-1))
        loss = batch.joint_loss + alone
        return _with_sums(loss, wanted, joint_gradients, own_gradients, batch.gradient_scale)

    def _combine(self, triples, n_leading):
        """Note what to add to the summed gradients of an encoder; return cosine and weight."""
        parameters, joint, own = zip(*triples, strict=True)
        aa, uu, au = (
            inner_products(x, y, n_leading) for x, y in ((joint, joint), (own, own), (joint, own))
        )
        weight = pareto_weight(aa, uu, au) if self.pareto else torch.full_like(aa, 0.5)
        sums = [a + u for a, u in zip(joint, own, strict=True)]
        mixed = [
            spread(2 * weight, a) * a + spread(2 * (1 - weight), u) * u
            for a, u in zip(joint, own, strict=True)
        ]
        norms = [tensor_norms(some, n_leading) for some in (sums, mixed)]
        if self.rescale == "encoder":
            norms = [norm.norm(dim=0).expand(norm.shape) for norm in norms]
        factors = (self.gamma * norm_growth(*norms)).unbind()
        changes = [spread(f, h) * h - s for f, h, s in zip(factors, mixed, sums, strict=True)]
        self._changes = [*self._changes, *zip(parameters, changes, strict=True)]
        length = aa.sqrt() * uu.sqrt()
        return torch.where(length > 0, au / length, torch.nan), weight

    def on_gradients(self, batch):
        # Several batches add up where gradients do.
        for p, change in self._changes:
            if p.grad is not None:
                p.grad.add_(change)
        self._changes = ()


def _trained(batch):
    """All parameters that the loss of a batch may reach."""
    parameters = [*batch.network.parameters(), *batch.criterion.parameters()]
    return [p for p in parameters if p.requires_grad]


def _with_sums(loss, parameters, first, second, scale):
    """A loss whose backward pass is a look-up: the sums of two lists of gradients."""
    reached, sums = [], []
    for p, a, u in zip(parameters, first, second, strict=True):
        terms = [g for g in (a, u) if g is not None]
        if terms:
            total = sum(terms[1:], start=terms[0])
            reached.append(p)
            sums.append(total if scale == 1 else total / scale)
    return replace_gradients(loss, reached, sums)
