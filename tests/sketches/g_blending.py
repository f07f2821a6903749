"""G-Blending as a sketch: held-out batches, trial trainings, the label "joint" (peers.md, 5)."""

import torch
from torch import nn

from inforeg_sk import BalancingMethod
from inforeg_sk.methods import Curve


class GBlending(BalancingMethod):
    """Weighs the losses of all heads by how well they generalise."""

    requires = ("held_out",)
    curves = {
        "blend": Curve("Weight of the head's loss"),
        "overfitting": Curve("Growth of the gap between held-out and training loss"),
    }

    def __init__(self, n_epochs=1, every=2):
        self.n_epochs = n_epochs
        self.every = every

    def prepare(self, network):
        out = network.head.out_features
        dtype = network.head.weight.dtype
        for i, width in enumerate(network.widths.values()):
            network.add_module(f"blend_{i}", nn.Linear(width, out, dtype=dtype))
        return network

    def on_epoch_start(self, epoch):
        if epoch.index % self.every == 0:
            self.weights_, overfitting = self._estimate(epoch.training)
            epoch.record("overfitting", overfitting)
        epoch.record("blend", self.weights_)

    def _loss_of(self, batch, label):
        if label == "joint":
            return batch.joint_loss
        head = getattr(batch.network, f"blend_{list(batch.features).index(label)}")
        return batch.loss_of(head(batch.features[label]), label)

    def _estimate(self, training):
        gain, overfitting = {}, {}
        for label in ("joint", *training.modalities):

            def loss(batch, label=label):
                return self._loss_of(batch, label)

            copy = training.train_copy(loss, self.n_epochs)
            modality = None if label == "joint" else label
            try:
                before, after = (
                    [
                        training.mean_loss(loss, part, network=n, modality=modality)
                        for part in ("training", "held_out")
                    ]
                    for n in (None, copy)
                )
            except ValueError:  # no held-out sample has the modality: nothing speaks for it
                gain[label], overfitting[label] = 0.0, float("nan")
                continue
            gain[label] = max(before[1] - after[1], 0.0)
            overfitting[label] = (after[1] - after[0]) - (before[1] - before[0])
        raw = {m: g / max(overfitting[m] ** 2, 1e-8) if g else 0.0 for m, g in gain.items()}
        total = sum(raw.values())
        n = len(raw)
        weights = {m: w / total if total else 1 / n for m, w in raw.items()}
        return weights, overfitting

    def loss(self, batch):
        terms = [w * self._loss_of(batch, label) for label, w in self.weights_.items()]
        return torch.stack(terms).sum()
