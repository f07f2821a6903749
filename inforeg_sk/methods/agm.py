"""AGM: gradients of the responses of modalities, by Shapley values of the logits (ICCV 2023)."""

from math import inf
from numbers import Real
from typing import ClassVar

import torch

from ..functional import agm_coefficient, mean_others_ahead, response_losses, shapley_responses
from ..network.parameters import clip_gradient_norm
from ..utils.parameters import Constraint, Interval, IsNone, Options
from .base import BalancingMethod
from .curves import Curve

__all__ = ["AGM"]

#: Modalities of which all coalitions are evaluated.
_MOST_MODALITIES = 8


class AGM(BalancingMethod):
    """Adaptive gradient modulation.

    The response of a modality is its Shapley value of the joint logits. In each batch the gradient
    that reaches a response is scaled: down for a modality that is further ahead of the others than
    it used to be, and up for one that has fallen back.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, >= 0; 0 is joint training.
    cap : float, default=10.0
        Largest difference that counts, >= 0, so that no factor is above ``exp(alpha * cap)``. None:
        no limit. In the authors' code it is 10, 7 or none, by data set.
    clip : float, default=1.0
        Where an element of the gradient of the joint head's weight is larger than this, the norm of
        all gradients is clipped to it; > 0. None: never.
    zero : {"features", "inputs"}, default="features"
        How a modality is left out of a coalition: by features of zeros (ours), or by inputs of
        zeros, as in the authors' code. With "features" and a fusion that is additive, such as
        "concat", responses are the unimodal logits and cost no further pass.

    Attributes
    ----------
    running_losses_ : Tensor of shape (n_modalities,)
        Mean of ``s_m`` over the batches so far, in sorted order of the modalities.
    n_scored_ : Tensor of shape (n_modalities,)
        How many batches that were.

    Notes
    -----
    With the loss ``s_m`` of response ``m``, ``r_m = exp(mean_{j != m} s_j - s_m)`` says how far m
    is ahead, and ``tau_m`` is the same of the running means of ``s``, which are 0 at the start. The
    factor is ``c_m = exp(alpha * min(tau_m - r_m, cap))``. Responses add up to the joint logits
    (less the log prior), so the loss is that of joint training.

    All coalitions but the full one run in evaluation mode, which draws no random numbers and leaves
    running statistics as they are; all have gradients. There are ``2 ** n_modalities`` coalitions;
    more than 8 modalities are refused, unless responses are the unimodal logits.

    With an optimizer that divides by the size of past gradients, such as Adam and the default
    `DecayAdamW`, slowly changing factors have little effect, and neither has `clip`. The method was
    published with SGD; see ``presets.AGM``.

    The published window of epochs is the parameter `active` of the estimators. Outside of it
    factors are 1 (in the authors' code the last ones stay), responses are not computed, and nothing
    is clipped: it is joint training.

    References
    ----------
    Li, Li, Hu, Lei, Li, Zhou: "Boosting Multi-modal Model Performance with Adaptive Gradient
    Modulation", ICCV 2023, arXiv:2308.07686.

    Examples
    --------
    >>> from inforeg_sk import AGM, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(AGM(alpha=0.5), max_epochs=3, random_state=0).fit(X, y)
    >>> {name: bool((c > 0).all()) for name, c in clf.curves_["modulation"].items()}
    {'strong': True, 'weak': True}
    """

    curves: ClassVar[dict[str, Curve]] = {
        "modulation": Curve("Factor on the gradient of the modality's response"),
        "response_loss": Curve("Loss of the modality's response"),
    }
    per_modality = True
    tasks = ("classification",)
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "alpha": [Interval(Real, 0)],
        "cap": [Interval(Real, 0), IsNone()],
        "clip": [Interval(Real, 0, closed="neither"), IsNone()],
        "zero": [Options("features", "inputs")],
    }

    def __init__(self, alpha=1.0, cap=10.0, *, clip=1.0, zero="features"):
        self.alpha = alpha
        self.cap = cap
        self.clip = clip
        self.zero = zero

    def check(self, modalities):
        super().check(modalities)
        if self.zero == "inputs":
            self._check_number(len(modalities))

    def on_train_start(self, training):
        network = training.network
        if not (self.zero == "features" and network.is_additive):
            self._check_number(len(training.modalities))
        if not hasattr(self, "running_losses_"):  # else they come from an earlier call
            like = next(network.head.parameters()).detach()
            like = like.new_zeros(len(training.modalities))
            self.running_losses_ = like.to(torch.promote_types(like.dtype, torch.float32))
            self.n_scored_ = torch.zeros_like(self.running_losses_)

    @staticmethod
    def _check_number(n):
        if n > _MOST_MODALITIES:
            raise ValueError(
                f"AGM evaluates all coalitions of modalities, and {n} modalities have "
                f"{2**n - 1}: at most {_MOST_MODALITIES} modalities are accepted. Take "
                "zero='features' with fusion='concat' or 'sum', which need no coalitions, or join "
                "modalities."
            )

    def loss(self, batch):
        active = batch.epoch.active
        if not any(active.values()):
            batch.record("modulation", dict.fromkeys(batch.modalities, 1.0))
            return batch.joint_loss
        responses = self._responses(batch)
        coefficient = self._coefficient(batch, responses.detach())
        if not all(active.values()):
            ones = torch.ones_like(coefficient)
            chosen = [(coefficient if active[m] else ones)[i] for i, m in enumerate(active)]
            coefficient = torch.stack(chosen)
        batch.record("modulation", coefficient)
        (gradient,) = torch.autograd.grad(batch.joint_loss, batch.logits, retain_graph=True)
        # Responses add up to the joint logits: beside the joint loss only c - 1 is left of c. The
        # value of the loss stays as it is.
        more = (coefficient - 1).to(responses.dtype)[:, None, None] * responses * gradient
        more = more.sum()
        return batch.joint_loss + (more - more.detach())

    def _responses(self, batch):
        """Shapley value of each modality (Tensor of shape (n_modalities, n_samples, n_classes))."""
        prior = batch.network.log_prior
        if self.zero == "features" and batch.network.is_additive:
            logits = torch.stack(list(batch.unimodal_logits.values()))
            return logits if prior is None else logits - prior
        values = batch.all_coalition_logits(zero=self.zero)
        return shapley_responses(values if prior is None else values - prior)

    @torch.no_grad()
    def _coefficient(self, batch, responses):
        """Factor of each modality; brings the running means up to date."""
        running = self.running_losses_
        losses = response_losses(responses.to(running.dtype), batch.target)
        losses = batch.modality_means(losses)
        scored = None
        if batch.present is not None or batch.weight is not None:
            scored = batch.scored
        batch.record(
            "response_loss",
            losses if scored is None else losses.masked_fill(~scored, torch.nan),
        )
        known = self.n_scored_ > 0
        lead, reference = mean_others_ahead(losses, scored), mean_others_ahead(running, known)
        counted = torch.ones_like(known) if scored is None else scored
        n = self.n_scored_ + counted
        mean = running + (losses - running) / n.clamp(min=1)
        self.running_losses_ = torch.where(counted, mean, running)
        self.n_scored_ = n
        coefficient = agm_coefficient(lead, reference, self.alpha, self.cap)
        return torch.where(counted, coefficient, 1)

    def on_gradients(self, batch):
        gradient = batch.network.head.weight.grad
        if self.clip is None or gradient is None or not any(batch.epoch.active.values()):
            return
        limit = gradient.new_full((), self.clip * batch.gradient_scale)
        max_norm = torch.where(gradient.abs().amax() > limit, limit, inf)
        clip_gradient_norm(batch.network.parameters(), max_norm)
