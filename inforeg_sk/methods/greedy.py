"""Greedy, feature-level adaptation: now and then, a branch learns without the others' help."""

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..functional import branch_to_rebalance, conditional_speed, learning_speed
from ..network.branches import BranchHeads, GatedBranches
from ..network.builtin_fusions import Concat
from ..utils.parameters import Constraint, Interval
from .base import BalancingMethod
from .curves import Curve

__all__ = ["Greedy"]


class Greedy(BalancingMethod):
    """Greedy, feature-level adaptation: balanced learning by conditional learning speeds.

    Each modality has a branch of its own: encoder, gates on its features that depend on all
    features, and a linear head. The branch that learns from the others through its gates rather
    than from its own input has its gates frozen at their running mean for some batches, so that it
    must learn from its own input. This is not the published method, which has gates inside of
    convolutional branches; it is ours, for features at the end of any encoders.

    Parameters
    ----------
    threshold : float, default=0.01
        Difference of conditional learning speeds (logarithms to base 10) above which a branch is
        re-balanced; >= 0. Infinity: never, which is plain training of the branches.
    n_rebalancing : int, default=5
        Batches that a re-balancing takes; >= 1.
    start_epoch : int, default=2
        First epoch, counted from 1, in which a re-balancing may be decided on; before it speeds are
        only accumulated.

    Notes
    -----
    The method brings its own fusion: it needs ``fusion="concat"``, the default, and puts a unit in
    its place that squeezes the features of all modalities to a hidden layer of half their number,
    ``e = relu(A z + a)``, with gates ``w_m = sigmoid(B_m e + b_m)`` and gated features
    ``w_m * z_m``. Joint logits are the mean of the branches' logits, and the loss is the sum of the
    branches' losses. Unimodal logits are those of a branch with its gates at their running mean.

    After the backward pass of each usual batch, the learning speed of a group of parameters is the
    squared norm of its gradient over that of its weights. With sums over all usual batches so far,
    the conditional speed of a branch is ``v_m = log10(sum bypass_m / sum main_m)``: "main" is
    encoder and head, "bypass" is ``B_m, b_m, A, a``. If ``max v - min v`` is above `threshold`, the
    branch of the largest is re-balanced in the next `n_rebalancing` batches, in which nothing is
    accumulated or decided. For two modalities that is the published rule; for more it is ours.

    In re-balancing batches the frozen gate's parameters have no gradient, so that a momentum, too,
    leaves them alone. From `start_epoch` on each usual batch waits for one number from the device.
    Samples that lack a modality are refused.

    References
    ----------
    Wu, Jastrzebski, Cho, Geras: "Characterizing and Overcoming the Greedy Nature of Learning in
    Multi-modal Deep Neural Networks", ICML 2022, arXiv:2202.05306; Joze, Shaban, Iuzzolino,
    Koishida: "MMTM: Multimodal Transfer Module for CNN Fusion", CVPR 2020, arXiv:1911.08670.

    Examples
    --------
    >>> from inforeg_sk import Greedy, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(Greedy(), max_epochs=3, random_state=0).fit(X, y)
    >>> {name: share.shape for name, share in clf.curves_["rebalanced"].items()}
    {'strong': (3,), 'weak': (3,)}
    """

    curves: ClassVar[dict[str, Curve]] = {
        "conditional_speed": Curve("Conditional learning speed of the branch"),
        "rebalanced": Curve("Share of the batches in which the branch was re-balanced"),
    }
    per_modality = True
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        **BalancingMethod._parameter_constraints,
        "threshold": [Interval(Real, 0, infinite=True)],
        "n_rebalancing": [Interval(Integral, 1)],
        "start_epoch": [Interval(Integral, 1)],
    }
    #: State: sums of learning speeds, by modality; the last decision (-1: none), until the next
    #: batch reads it; the branch that is re-balanced, and batches left of it.
    main_speed_: Tensor
    bypass_speed_: Tensor
    decision_: Tensor | None
    branch_: int
    n_left_: int
    # What stands for a call of fit, and for an epoch.
    _fusion: Any = None  # GatedBranches
    _groups: Any = None  # _Groups
    _active: Tensor | None = None

    def __init__(self, threshold=0.01, n_rebalancing=5, start_epoch=2):
        self.threshold = threshold
        self.n_rebalancing = n_rebalancing
        self.start_epoch = start_epoch

    @property
    def requires(self):
        return ("complete",)

    def prepare(self, network):
        if type(network.fusion) is not Concat:
            raise ValueError(
                f"The method {type(self).__name__} brings its own fusion, gates between branches, "
                "in the place of a plain concatenation: set fusion='concat', the default. Got a "
                f"fusion of class {type(network.fusion).__name__}."
            )
        like, widths = next(network.head.parameters()), network.widths
        network.fusion = GatedBranches(widths).to(like)
        network.head = BranchHeads(widths, network.head.out_features).to(like)
        return network

    def on_train_start(self, training):
        self._fusion = training.network.fusion
        if not hasattr(self, "main_speed_"):
            zeros = torch.zeros(len(training.modalities), dtype=torch.float64)
            self.main_speed_ = zeros.to(training.device)
            self.bypass_speed_ = self.main_speed_.clone()
            self.decision_, self.branch_, self.n_left_ = None, -1, 0

    def on_epoch_start(self, epoch):
        heads = epoch.network.head.branches
        pairs = zip(epoch.parameters.values(), heads, self._fusion.gates, strict=True)
        main, bypass = [], []
        for encoder, head, gate in pairs:
            main.append([*encoder.trainable, *head.parameters()])
            bypass.append([*gate.parameters(), *self._fusion.squeeze.parameters()])
        self._groups = _Groups(main + bypass)
        active = torch.tensor([epoch.active[m] for m in epoch.modalities])
        self._active = active.to(self.main_speed_.device)

    def on_batch_start(self, inputs, epoch):
        if self.n_left_ == 0 and self.decision_ is not None:
            self.branch_ = int(self.decision_)
            self.n_left_ = self.n_rebalancing if self.branch_ >= 0 else 0
        self.decision_ = None
        if self.n_left_ and not epoch.active[epoch.modalities[self.branch_]]:
            self.n_left_ = 0  # begun in an epoch in which the method might act
        self._fusion.rebalanced = epoch.modalities[self.branch_] if self.n_left_ else None
        self.n_left_ = max(0, self.n_left_ - 1)
        return inputs

    def loss(self, batch):
        network = batch.network
        logits = network.fusion.branch_logits(batch.features, network.head)
        prior = 0 if network.log_prior is None else network.log_prior
        return sum(batch.loss_of(u + prior, m) for m, u in logits.items())

    def on_gradients(self, batch):
        now = self._fusion.rebalanced
        batch.record("rebalanced", [float(m == now) for m in batch.modalities])
        if now is not None:
            batch.record("conditional_speed", torch.full_like(self.main_speed_, torch.nan))
            return
        main, bypass = self._groups.learning_speeds(batch.gradient_scale).chunk(2)
        self.main_speed_ = self.main_speed_ + main
        self.bypass_speed_ = self.bypass_speed_ + bypass
        speeds = conditional_speed(self.bypass_speed_, self.main_speed_)
        batch.record("conditional_speed", speeds)
        if batch.epoch.index + 1 >= self.start_epoch:
            self.decision_ = branch_to_rebalance(speeds, self.threshold, self._active)

    def on_epoch_end(self, epoch):
        self._release()

    def on_train_end(self):
        self._release()
        self._fusion = None

    def _release(self):
        self._groups = self._active = None
        if self._fusion is not None:
            self._fusion.rebalanced = None


class _Groups:
    """Groups of parameters, which may overlap, and how fast each learns in a batch."""

    def __init__(self, groups):
        groups = [[p for p in group if p.requires_grad] for group in groups]
        self._parameters = list(dict.fromkeys(p for group in groups for p in group))
        members = [[p in group for p in self._parameters] for group in map(set, groups)]
        self._members = torch.tensor(members, dtype=torch.float64)

    def learning_speeds(self, gradient_scale):
        """Learning speeds (Tensor of float64 of shape (n_groups,)).

        All 0 if a gradient is not finite, since a loss scaler leaves out such a step.
        """
        used = [p for p in self._parameters if p.grad is not None]
        norms = dict(zip(used, torch._foreach_norm([p.grad for p in used]), strict=True))
        zero = norms[used[0]].new_zeros(())
        gradients = self._squares([norms.get(p, zero) for p in self._parameters])
        weights = self._squares(torch._foreach_norm([p.detach() for p in self._parameters]))
        speeds = learning_speed(gradients / gradient_scale**2, weights)
        return torch.where(speeds.isfinite().all(), speeds, torch.zeros_like(speeds))

    def _squares(self, norms):
        norms = torch.stack(list(norms)).double()
        self._members = self._members.to(norms.device)
        return self._members @ norms.square()
