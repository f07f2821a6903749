"""A balancing method to copy and change: delete the hooks that you do not need
============================================================================

Copy this file, rename the class, and run it: the last lines check the method and train with it.
All that a hook gets is documented in `inforeg_sk.methods.context`.
"""

from numbers import Real

import torch

from inforeg_sk import BalancingMethod, MultimodalClassifier
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.methods import Curve
from inforeg_sk.testing import check_method
from inforeg_sk.utils.parameters import Interval


class MyMethod(BalancingMethod):
    """Say in a line what it does.

    Parameters
    ----------
    strength : float, default=1.0
        Say what it means, in which unit, and what 0 is.
    """

    # What it is defined for; a regressor is refused where only "classification" stands here.
    tasks = ("classification", "regression")
    # What it needs besides the data: "fisher_trace", "held_out", "additive_fusion".
    requires = ()
    # What it records, by name. `estimator.curves_` has it, and displays use the description.
    curves = {
        "damping": Curve("Factor on the encoder's gradients"),
        "average_gap": Curve("Running mean of the performance gap"),
    }

    # What each setting may be; `fit` checks it. Override `check(self, modalities)` as well for what
    # depends on the modalities.
    _parameter_constraints = {
        **BalancingMethod._parameter_constraints,
        "strength": [Interval(Real, 0)],
    }

    def __init__(self, strength=1.0):
        # Store settings as they are given.
        self.strength = strength

    def on_train_start(self, training):
        # Attributes with a trailing underscore are state: they live on through partial_fit,
        # warm_start and pickle; any other attribute is lost. `training` offers passes over the
        # data, held-out samples, and trial trainings of a copy.
        if not hasattr(self, "average_gap_"):
            zeros = [0.0] * len(training.modalities)
            self.average_gap_ = torch.tensor(zeros, device=training.device)

    def on_epoch_start(self, epoch):
        # `epoch.index` counts from 0 over all calls; `epoch.past("fisher_trace")` has the past.
        pass

    def loss_weights(self, batch):
        # The weights of "joint" and of the modalities' own losses. Where your loss is no such
        # sum, delete this and override `loss(self, batch)`.
        return {"joint": 1.0}

    def on_gradients(self, batch):
        # Never read a tensor's value here (no float(), no .item(), no `if` on it): that waits for
        # a GPU in every batch. Record it instead; all records move once an epoch.
        # `performance_gap` is 0 for a modality that is ahead of none. `batch.scores` is 0, which is
        # above every log-probability, for one that no sample of the batch has: mask it by
        # `batch.scored` before you look for the best.
        factors = torch.exp(-self.strength * batch.performance_gap)
        batch.record("damping", factors)
        for factor, parameters in zip(factors, batch.epoch.parameters.values(), strict=True):
            for p in parameters.regulated:
                # It has none if it is unused, or no sample of the batch has the modality.
                if p.grad is not None:
                    p.grad.mul_(factor)
        self.average_gap_ = 0.9 * self.average_gap_ + 0.1 * batch.performance_gap

    def on_epoch_end(self, epoch):
        epoch.record("average_gap", self.average_gap_)


if __name__ == "__main__":
    # It raises at the first failure; on_fail=None reports them all.
    for result in check_method(MyMethod()):
        print(f"{result['status']:8} {result['check_name']}")
    X, y = make_multimodal_classification(random_state=0)
    clf = MultimodalClassifier(MyMethod(strength=2.0), max_epochs=20, random_state=0).fit(X, y)
    print("accuracy", clf.score(X, y), clf.score_by_modality(X, y))
    print("damping", {m: values[-1].round(2) for m, values in clf.curves_["damping"].items()})
