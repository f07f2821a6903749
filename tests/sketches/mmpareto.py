"""MMPareto as a sketch: several backward passes, scaled gradients (peers.md, 6)."""

import torch

from inforeg_sk import BalancingMethod
from inforeg_sk.methods import Curve


class MMPareto(BalancingMethod):
    """Gives each encoder the min-norm combination of its joint and its unimodal gradient."""

    curves = {"cosine": Curve("Cosine of the joint and the unimodal gradient")}

    def __init__(self, gamma=1.5, pareto=True):
        self.gamma = gamma
        self.pareto = pareto

    def loss(self, batch):
        self._pairs = {}
        for m, parameters in batch.epoch.parameters.items():
            used = parameters.trainable
            if not used:
                continue
            joint = batch.gradients(batch.joint_loss, used)
            alone = batch.gradients(batch.unimodal_losses[m], used)
            self._pairs[m] = [
                (p, a, u)
                for p, a, u in zip(used, joint, alone, strict=True)
                if a is not None and u is not None
            ]
        return batch.joint_loss + sum(batch.unimodal_losses.values())

    def on_gradients(self, batch):
        cosines = {}
        for m, pairs in self._pairs.items():
            if not pairs:
                continue
            a = torch.cat([a.flatten() for _, a, _ in pairs])
            u = torch.cat([u.flatten() for _, _, u in pairs])
            aa, uu, au = a @ a, u @ u, a @ u
            cosines[m] = au / (aa * uu).sqrt().clamp(min=torch.finfo(a.dtype).tiny)
            w = (uu - au) / (aa + uu - 2 * au).clamp(min=torch.finfo(a.dtype).tiny)
            w = torch.where(au > 0, 0.5, w) if self.pareto else torch.full_like(w, 0.5)
            for p, g, h in pairs:
                combined = 2 * w * g + 2 * (1 - w) * h
                norm = combined.norm()
                growth = torch.where(norm > 0, (g + h).norm() / norm, torch.ones_like(norm))
                p.grad.copy_(self.gamma * growth.clamp(min=1) * combined)
        if cosines:
            batch.record("cosine", cosines)

    def on_train_end(self):
        self._pairs = {}
