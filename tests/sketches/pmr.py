"""PMR as a sketch: a pass over the training data, prototypes that live on (peers.md, 3)."""

import torch

from inforeg_sk import BalancingMethod
from inforeg_sk.methods import Curve


class PMR(BalancingMethod):
    """Helps the weaker modalities by a loss on distances to class prototypes."""

    curves = {"prototype_weight": Curve("Factor on the prototype loss of the modality")}
    tasks = ("classification",)

    def __init__(self, alpha=1.0, momentum=0.2, share=1.0):
        self.alpha = alpha
        self.momentum = momentum
        self.share = share

    def on_train_start(self, training):
        self._training = training
        if not hasattr(self, "prototypes_"):  # else they come from an earlier call
            self.prototypes_ = self._measure({})

    def on_epoch_end(self, epoch):
        fresh = self._measure(self.prototypes_)
        if epoch.index == 0:
            self.prototypes_ = fresh
            return
        q = self.momentum
        self.prototypes_ = {m: (1 - q) * fresh[m] + q * old for m, old in self.prototypes_.items()}

    def on_train_end(self):
        self._training = None

    def _measure(self, old):
        """Mean features by class; a class that nobody shows keeps its old one, or gets zeros."""
        n_classes, sums, counts = self._training.n_outputs, {}, {}
        for batch in self._training.batches("training"):
            # Not F.one_hot, which reads the largest label on the host.
            classes = torch.arange(n_classes, device=batch.target.device)
            one_hot = (batch.target[:, None] == classes).to(batch.logits.dtype)
            for i, (m, z) in enumerate(batch.features.items()):
                rows = one_hot if batch.present is None else one_hot * batch.present[:, i : i + 1]
                sums[m] = sums.get(m, 0) + rows.T @ z
                counts[m] = counts.get(m, 0) + rows.sum(dim=0)[:, None]
        result = {}
        for m, total in sums.items():
            before = old.get(m, torch.zeros_like(total))
            result[m] = torch.where(counts[m] > 0, total / counts[m].clamp(min=1), before)
        return result

    def loss(self, batch):
        losses, scores = [], []
        for m, z in batch.features.items():
            logits = -torch.cdist(z, self.prototypes_[m])
            losses.append(batch.loss_of(logits, m))
            probability = logits.detach().softmax(dim=1).gather(1, batch.target[:, None])
            scores.append(probability.mean())
        score = torch.stack(scores)
        weight = (score.max() / score - 1).clamp(0, 1)
        batch.record("prototype_weight", weight)
        return batch.joint_loss + self.alpha * (weight * torch.stack(losses)).sum()
