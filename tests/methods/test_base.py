"""A method of the user's own: every hook, in the documented order, and nothing else to change."""

import numpy as np
import torch
from torch import nn

from inforeg_sk import BalancingMethod, MultimodalClassifier


class Halving(BalancingMethod):
    """Halves the text encoder's gradient, with an extra head on it; logs what is called."""

    def __init__(self, weight=0.5):
        self.weight = weight

    def check(self, modalities, fisher):
        super().check(modalities, fisher)
        self.calls = [f"check {modalities}"]

    def prepare(self, network):
        self.calls.append("prepare")
        network.extra = nn.Linear(64, 3)
        return network

    def on_epoch_start(self, epoch):
        self.calls.append(f"epoch {len(epoch.traces['text'])} of {epoch.n_batches} batches")
        return {"strength": dict.fromkeys(epoch.parameters, self.weight)}

    def loss(self, step):
        self.calls.append("loss")
        return step.joint_loss + step.loss_of(step.network.extra(step.features["text"]))

    def on_gradients(self, step):
        self.calls.append("gradients")
        for p in step.network.encoders["text"].parameters():
            p.grad.mul_(self.weight)
        step.record("gap", step.scores - step.scores.mean())

    def on_step(self, step):
        self.calls.append("step")

    def on_epoch_end(self):
        self.calls.append("end")


def test_hooks_run_in_order_and_reach_the_history(trimodal):
    X, y = trimodal
    method = Halving()
    kwargs = {"max_epochs": 2, "batch_size": 64, "random_state": 0, "optimizer": torch.optim.SGD}
    clf = MultimodalClassifier(method, **kwargs).fit(X, y)
    batch = ["loss", "gradients", "step"]
    assert clf.method_.calls == [
        "check ('audio', 'text', 'video')",
        "prepare",
        "epoch 0 of 2 batches",
        *batch * 2,
        "end",
        "epoch 1 of 2 batches",
        *batch * 2,
        "end",
        "end",
    ]
    assert not hasattr(method, "calls")
    assert clf.history[0, "strength_text"] == 0.5
    gaps = [clf.history[1, f"gap_{name}"] for name in X]
    assert abs(sum(gaps)) < 1e-6 and any(gaps)
    # The extra head was trained, and the halved gradient made a difference.
    whole = MultimodalClassifier(Halving(1.0), **kwargs).fit(X, y)
    key = "encoder_text.0.weight"
    halved, full = (dict(c.module_.named_parameters())[key] for c in (clf, whole))
    assert not np.array_equal(halved.detach().numpy(), full.detach().numpy())
    assert clf.module_.extra.weight.grad is not None
