"""OPM: now and then a sample has to do without the modality that leads (TPAMI 2024)."""

from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from ..functional import lead_over_mean, leading_drop_rate, pairwise_score_ratios, probability
from ..utils.parameters import Constraint, Interval
from .base import BalancingMethod
from .curves import Curve

__all__ = ["OPM"]


class OPM(BalancingMethod):
    """On-the-fly prediction modulation: drops the modality that leads, more often the further.

    Our reading: the published form of the probability was not available to us. A modality is
    dropped from each sample with probability ``q tanh(alpha (rho - 1))`` if its ratio ``rho`` is
    above 1, else it stays. ``rho`` is its mean probability of the true class, by the unimodal
    logits, divided by the mean one of the others.

    Parameters
    ----------
    q : float, default=0.5
        What the probability tends to as the lead grows; in [0, 1). 0 is joint training.
    alpha : float, default=1.0
        How fast it rises with the lead, >= 0. 0 is joint training.

    Attributes
    ----------
    ratio_ : Tensor of shape (n_modalities,)
        ``rho`` of the last batch, with modalities in sorted order. It decides what is dropped
        from the next one; 1 before the first.

    Notes
    -----
    The ratio is that of the batch before, since encoders do not run for what is dropped (ours). Two
    modalities are compared over the samples of the batch that have both after dropping; where none
    has, they count as equal. No sample loses all its modalities. Features of what is dropped are
    zeros, as with `modality_dropout`, and the draws come from the method's own generator.

    On a GPU the ratio of each batch has to be waited for, before the next one begins.

    References
    ----------
    Wei, Hu, Du, Wen: "On-the-fly Modulation for Balanced Multimodal Learning", IEEE TPAMI, 2024,
    arXiv:2410.11582.

    Examples
    --------
    >>> from inforeg_sk import OPM, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(OPM(), max_epochs=10, random_state=0).fit(X, y)
    >>> rate = clf.curves_["drop_rate"]
    >>> bool(rate["strong"][-1] > rate["weak"][-1])
    True
    """

    tasks = ("classification",)
    curves: ClassVar[dict[str, Curve]] = {
        "score_ratio": Curve("Score of the modality divided by the mean one of the others"),
        "drop_rate": Curve("Probability with which the modality is dropped"),
    }
    score = "probability_sum"
    closed_form = True
    ratio_: Tensor
    _rates: dict[str, float]
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "q": [Interval(Real, 0, 1)],
        "alpha": [Interval(Real, 0)],
    }

    def __init__(self, q=0.5, alpha=1.0):
        self.q = q
        self.alpha = alpha

    def on_train_start(self, training):
        if not hasattr(self, "ratio_"):  # else it is of an earlier call
            self.ratio_ = torch.ones(len(training.modalities), device=training.device)

    def on_batch_start(self, inputs, epoch):
        rates = leading_drop_rate(self.ratio_, self.q, self.alpha).tolist()
        self._rates = dict(zip(epoch.modalities, rates, strict=True))
        if not any(rates):
            return inputs
        return inputs.drop(self._rates, epoch.training.generator)

    def on_gradients(self, batch):
        logits = torch.stack([u.detach() for u in batch.unimodal_logits.values()])
        values = probability(
            logits.to(torch.promote_types(logits.dtype, torch.float32)), batch.target
        )
        present = None if batch.present is None else batch.present.mT
        self.ratio_ = lead_over_mean(pairwise_score_ratios(values, present, batch.weight))
        batch.record("score_ratio", self.ratio_)
        batch.record("drop_rate", self._rates)
