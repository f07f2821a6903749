"""Many networks trained as one by the hooks of a method, with automatic differentiation."""

from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from ..data.presence import Presence
from ..methods.context import BatchContext
from ..methods.losses import per_sample_loss
from ..network.parameters import EncoderParameters
from .random import device_generator
from .records import epoch_value
from .stacked import StackedTraining

__all__ = ["HookedTraining"]


class HookedTraining(StackedTraining):
    """Trains members that have the same method with the same settings; see `BalancingMethod`.

    Their samples have no weights and lack no modality, and their batches are of the same sizes.

    Parameters
    ----------
    streams, device :
        See `StackedTraining`.
    """

    def _take(self, streams, places):
        super()._take(streams, places)
        first = self._members[0]
        self._method, self._active_epochs = first.method, first.active
        self._generators = [
            device_generator(member.generator, self._net.device) for member in self._members
        ]
        self._leaves = self._net.as_leaves()
        self._view = StackedView(self._net, self._leaves)

    def run(self):
        try:
            return super().run()
        finally:
            self._method.on_train_end()

    def _begin_regulation(self, epoch):
        super()._begin_regulation(epoch)
        acts = self._active_epochs is None or epoch in self._active_epochs
        self._epoch = SimpleNamespace(
            index=epoch,
            n_batches=self._n_batches[0],
            network=self._view,
            modalities=self._modalities,
            parameters=self._view.encoder_parameters,
            active=dict.fromkeys(self._modalities, acts),
            is_limited=self._active_epochs is not None,
            acts=acts or self._method.per_modality,
        )
        self._recorded = {}
        self._method.on_epoch_start(self._epoch)

    def _kept_quantities(self):
        return []  # what the hooks and the monitors record is kept apart

    def _step(self, j, kept):
        k, net, method = len(self._members), self._net, self._method
        at, n_samples = j - self._block_starts, int(self._sizes[0, j])
        inputs = [x[:, at, :n_samples] for x in self._block]
        drawn = self._drawn(self._sizes[:, j], None)
        for leaf in self._leaves:
            leaf.grad = None
        with torch.enable_grad():
            features, _ = net.forward(inputs, k, drawn=drawn, parameters=self._leaves)
            batch = StackedBatch(
                self._view,
                dict(zip(self._modalities, features, strict=True)),
                self._targets[:, j, :n_samples],
                self._criterion,
                self._members[0].score,
                self._epoch,
                self._generators,
            )
            loss = method.loss(batch) if self._epoch.acts else batch.joint_loss
            if loss.shape != (k,):
                raise ValueError(
                    f"{type(method).__name__} declares itself batchable: its loss of {k} networks "
                    f"must have the shape ({k},). Got {tuple(loss.shape)}."
                )
            loss.sum().backward()
        if self._monitored:
            if not self._after_regulation:
                self._record_trace(batch)
            batch.record("performance_score", batch.scores)
        if self._epoch.acts:
            method.on_gradients(batch)
        if self._monitored and self._after_regulation:
            self._record_trace(batch)
        net.step(*self._gradients(k))
        if self._epoch.acts:
            method.on_step(batch)
        kept["joint"][j], kept["objective"][j] = batch.joint_loss.detach(), loss.detach()
        for key, values in batch.recorded.items():
            self._recorded.setdefault(key, []).append(values)

    def _record_trace(self, batch):
        batch.record("fisher_trace", self._net.traces(self._filled(), len(self._members)))

    def _filled(self):
        """Gradients of all parameters, zeros where there is none."""
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in self._leaves]

    def _gradients(self, k):
        """Gradients of all parameters, the number of networks, and which groups have any."""
        groups = self._net.groups
        used = np.zeros((k, max(groups) + 1), dtype=bool)
        for i, leaf in zip(groups, self._leaves, strict=True):
            used[:, i] |= leaf.grad is not None
        return self._filled(), k, used

    def _epoch_values(self, kept):
        means = {}
        curves = self._method.curves
        for (quantity, labels), rows in self._recorded.items():
            reduction = curves[quantity].reduction if quantity in curves else "mean"
            if quantity == "fisher_trace" and self._after_regulation:
                reduction = "sum"
            found = torch.stack(rows).double().cpu().permute(1, 2, 0).tolist()
            means[quantity, labels] = [
                [epoch_value(values, reduction) for values in of_member] for of_member in found
            ]
        return [{key: m[i] for key, m in means.items()} for i in range(len(self._members))]


class StackedView:
    """What methods see of stacked networks: the names of `MultimodalNetwork`.

    Parameters
    ----------
    net : StackedNetwork
    leaves : list of Tensor
        Its parameters, as leaves that gather gradients.
    """

    is_additive = True

    def __init__(self, net, leaves):
        self.modalities = net.modalities
        self._leaves = leaves
        self._head, self._bias = leaves[-2:]
        self._widths = net.widths
        self._heads = net.unimodal_heads(leaves)
        self.encoder_parameters = {
            m: EncoderParameters(own, own) for m, own in net.encoder_parameters(leaves).items()
        }
        prior = net.prior
        #: Of shape (n_networks, n_classes), or None.
        self.log_prior = None if prior is None else prior[..., 0]

    def parameters(self):
        """All of them (list of Tensor)."""
        return list(self._leaves)

    @property
    def head_parameters(self):
        """Weight and bias of the head (list of Tensor)."""
        return [self._head, self._bias]

    def _with_prior(self, logits):
        return logits if self.log_prior is None else logits + self.log_prior[:, None]

    def _terms(self, features):
        blocks = self._head.split(self._widths, dim=2)
        return {
            name: features[name] @ block.mT
            for name, block in zip(self.modalities, blocks, strict=True)
        }

    def joint_logits(self, features):
        """As `MultimodalNetwork.joint_logits`."""
        total = sum(self._terms(features).values())
        return self._with_prior(total + self._bias[:, None])

    def unimodal_logits(self, features):
        """As `MultimodalNetwork.unimodal_logits`."""
        bias = self._bias[:, None] / len(self.modalities)
        return {m: self._with_prior(u + bias) for m, u in self._terms(features).items()}

    def head_logits(self, features):
        """As `MultimodalNetwork.head_logits`."""
        return {
            m: self._with_prior(features[m] @ weight.mT + bias[:, None])
            for m, (weight, bias) in self._heads.items()
        }

    def coalition_logits(self, features, coalition):
        """As `MultimodalNetwork.coalition_logits`."""
        terms = self._terms(features)
        found = [terms[m] for m in self.modalities if m in coalition]
        zero = self._bias.new_zeros(next(iter(terms.values())).shape)
        return self._with_prior(sum(found, start=zero) + self._bias[:, None])


class StackedBatch(BatchContext):
    """A `BatchContext` with one more axis in front, of the networks."""

    n_leading = 1

    def __init__(self, view, features, target, criterion, score, epoch, generators):
        n_samples = target.shape[1]
        logits = view.joint_logits(features)
        super().__init__(
            network=view,
            output=(logits, features, Presence(n_samples), None),
            target=target,
            weight=None,
            criterion=criterion,
            score=score,
            keys=None,
            epoch=epoch,
        )
        self.n_samples = n_samples
        self._generators = generators

    def loss_of(self, prediction, modality=None):
        """As of one network; of shape (n_networks,)."""
        return self._losses(prediction).mean(dim=-1)

    def _losses(self, prediction):
        k = len(prediction)
        losses = per_sample_loss(
            self.criterion, prediction.flatten(0, 1), self.target.flatten(0, 1)
        )
        return losses.view(k, -1)

    def gradients(self, loss, parameters):
        return super().gradients(loss.sum(), parameters)

    def draw_normal(self, like):
        """Standard normal values, those of each network from its own generator."""
        rows = zip(torch.empty_like(like), self._generators, strict=True)
        return torch.stack([row.normal_(generator=generator) for row, generator in rows])

    def record(self, quantity, values, labels=None):
        """As of one network; values by label have the axis of the networks in front."""
        if isinstance(values, dict):
            labels, values = tuple(values), torch.stack(list(values.values()), dim=-1)
        if not isinstance(values, Tensor):
            values = torch.as_tensor(values, dtype=self._dtype, device=self._device)
        values = values.detach()
        if values.ndim == 0 or (labels is None and values.shape == (len(self.logits),)):
            labels, values = None, values.expand(len(self.logits))[:, None]
        else:
            labels = tuple(labels or self.modalities)
            values = values.expand(len(self.logits), len(labels))
        if (quantity, labels) in self.recorded:
            raise ValueError(f"record({quantity!r}): recorded twice in a batch.")
        self.recorded[quantity, labels] = values.clone()

    @cached_property
    def _sample_scores(self):
        logits = self.__dict__.get("unimodal_logits")
        if logits is None:
            with torch.no_grad():
                logits = self.network.unimodal_logits(self.features)
        logits = [u.detach() for u in logits.values()]
        if self._rule.per_sample is None:
            return -torch.stack([self._losses(u) for u in logits], dim=1)
        return self._rule.per_sample(torch.stack(logits, dim=1), self.target[:, None])

    @property
    def score_numbers(self):
        return None

    @property
    def gap_numbers(self):
        return None
