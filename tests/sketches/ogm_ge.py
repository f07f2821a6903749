"""OGM-GE as a sketch: own noise, the index of the epoch, scores of a batch (peers.md, 1)."""

import torch

from inforeg_sk import BalancingMethod
from inforeg_sk.methods import Curve


class OGMGE(BalancingMethod):
    """Slows the encoder that leads, and adds noise to the gradients of all."""

    curves = {"modulation": Curve("Factor on the encoder's gradient")}
    tasks = ("classification",)
    score = "probability_sum"

    def __init__(self, alpha=0.8, noise=True, first_epoch=0, last_epoch=50):
        self.alpha = alpha
        self.noise = noise
        self.first_epoch = first_epoch
        self.last_epoch = last_epoch

    def on_gradients(self, batch):
        scores = batch.scores
        if not self.first_epoch <= batch.epoch.index <= self.last_epoch:
            batch.record("modulation", torch.ones_like(scores))
            return
        others = (scores.sum() - scores) / max(1, len(scores) - 1)
        ratio = scores / others.clamp(min=1e-12)
        k = torch.where(ratio > 1, 1 - torch.tanh(self.alpha * ratio), torch.ones_like(ratio))
        batch.record("modulation", k)
        for factor, parameters in zip(k, batch.epoch.parameters.values(), strict=True):
            for p in parameters.regulated:
                if p.grad is None or p.ndim < 2:
                    continue
                sd = p.grad.std()  # before scaling
                p.grad.mul_(factor)
                if self.noise and p.numel() > 1:
                    draw = torch.empty_like(p.grad).normal_(generator=batch.generator)
                    p.grad.add_(draw * (sd + 1e-8 * batch.gradient_scale))
