"""TCMax: a loss whose optimum is the total correlation of the modalities and the class."""

import torch
from torch import nn

from ..functional import total_correlation_loss
from .base import BalancingMethod

__all__ = ["TCMax"]


class TCMax(BalancingMethod):
    """Total correlation maximization: the loss compares samples with re-paired ones.

    It is the cross entropy, normalized over all labels and all re-pairings of the batch: ones that
    take each modality's values from any sample. So the logits have to tell which values belong
    together besides the class, and no modality can be left aside. It has no settings.

    Notes
    -----
    With joint logits ``f``, a batch of B samples, M modalities and K classes the loss is
    ``log Z - mean_i f(x_i)[y_i] - log(B^M K)``, where Z is the sum of ``exp(f)`` over the ``B^M``
    re-pairings and all classes. It is 0 where all logits are equal, and its negative bounds the
    total correlation of modalities and class from below.

    It needs logits that are a sum over the modalities, ``f = b + sum_m f_m`` (a concatenation with
    a linear head), since then Z factorizes, and the batch costs ``B M K`` terms. Each ``f_m`` has
    its share ``b / M`` of the bias. Other fusions are refused, and so are samples that lack a
    modality, weights, and label smoothing, for which it is not defined.

    With `prior_offset` the logits ``f`` contain the log prior of the classes, once. By the
    definition the softmax of ``f`` over the classes is the predicted probability, as it is that of
    all logits of the network: at the optimum ``f = log p(x, y) - sum_m log p(x_m) + const``, whose
    softmax is ``p(y | x)``, with the prior in it. Without the offset the bias learns it.

    The value depends on the batch size: larger batches have more re-pairings to tell apart.

    References
    ----------
    TCMax, ICLR 2026, arXiv:2602.13015.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier("tcmax", max_epochs=3, random_state=0).fit(X, y)
    >>> bool(clf.history[-1, "train_objective"] < clf.history[0, "train_objective"])
    True
    """

    batchable = True

    @property
    def requires(self):
        return ("additive_fusion", "complete", "unweighted")

    @property
    def tasks(self):
        return ("classification",)

    def loss(self, batch):
        _check_criterion(batch.criterion)
        # Sums of exponentials in a short type would lose the smaller ones.
        dtype = torch.promote_types(batch.logits.dtype, torch.float32)
        alone = torch.stack([u.to(dtype) for u in batch.unimodal_logits.values()], dim=-3)
        prior = batch.network.log_prior
        return total_correlation_loss(batch.logits.to(dtype), alone, batch.target, prior)


def _check_criterion(criterion):
    """Refuse a criterion that the loss would not follow."""
    criterion = getattr(criterion, "_orig_mod", criterion)  # of a compiled one
    if type(criterion) is nn.CrossEntropyLoss and not criterion.label_smoothing:
        return
    given = type(criterion).__name__
    if type(criterion) is nn.CrossEntropyLoss:
        given += f" with label_smoothing={criterion.label_smoothing}"
    raise ValueError(
        "The method TCMax has a loss of its own, which is defined for plain cross entropy: "
        f"criterion=torch.nn.CrossEntropyLoss, without label smoothing. Got {given}."
    )
