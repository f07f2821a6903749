"""What is measured while any method trains: Fisher traces and performance scores."""

from typing import ClassVar, NamedTuple

import torch

from ..network.parameters import layer_weights, squared_gradient
from .curves import Curve

__all__ = ["TRACES", "FisherTrace", "Monitor", "PerformanceScore", "TraceRule"]


class TraceRule(NamedTuple):
    """How the trace of an encoder is measured over an epoch."""

    layers_only: bool  # only the weights of linear and convolution layers, each averaged
    after_regulation: bool  # of the gradient as the method left it
    reduction: str  # of the batches of an epoch


TRACES = {
    # Mean over batches of the squared norm of the batch gradient over all encoder parameters.
    "encoder": TraceRule(layers_only=False, after_regulation=False, reduction="mean"),
    # The authors' code: sum over layers of the mean over a weight's elements of the sum over
    # batches of its squared gradient, after the regulation term was added.
    "layers": TraceRule(layers_only=True, after_regulation=True, reduction="sum"),
}


class Monitor:
    """Watches a training run without changing it; override the hooks that are needed.

    Attributes
    ----------
    curves : dict of str to Curve
        What it records.
    """

    curves: ClassVar[dict[str, Curve]] = {}

    def on_epoch_start(self, epoch):
        """Prepare an epoch (an EpochContext)."""

    def on_gradients(self, batch):
        """Look at the gradients of a batch (a BatchContext) before the method changes them."""

    def on_regulated_gradients(self, batch):
        """Look at the gradients as the method left them, before clipping."""


class FisherTrace(Monitor):
    """Records each encoder's Fisher trace.

    Parameters
    ----------
    trace : {"encoder", "layers"}, default="encoder"
        How it is measured; see `InfoReg`.
    """

    def __init__(self, trace="encoder"):
        self._rule = TRACES[trace]
        self.curves = {
            "fisher_trace": Curve("Fisher trace of the encoder", reduction=self._rule.reduction)
        }

    def on_epoch_start(self, epoch):
        self._traced = {}
        for name, encoder in epoch.network.encoders.items():
            parameters, weights = epoch.parameters[name].trainable, None
            if self._rule.layers_only:
                parameters = layer_weights(encoder, parameters)
                # Made once an epoch, so that no batch waits for a copy to the device.
                weights = torch.tensor([1.0 / p.numel() for p in parameters], dtype=torch.float64)
                if parameters:
                    weights = weights.to(parameters[0])
            self._traced[name] = (parameters, weights)

    def on_gradients(self, batch):
        if not self._rule.after_regulation:
            self._record(batch)

    def on_regulated_gradients(self, batch):
        if self._rule.after_regulation:
            self._record(batch)

    def _record(self, batch):
        zero = batch.joint_loss.detach().new_zeros(())
        scale = batch.gradient_scale**2
        traces = [squared_gradient(*traced) for traced in self._traced.values()]
        batch.record(
            "fisher_trace", torch.stack([zero if t is None else t / scale for t in traces])
        )


class PerformanceScore(Monitor):
    """Records each modality's performance score."""

    curves: ClassVar[dict[str, Curve]] = {
        "performance_score": Curve("Performance score of the modality alone")
    }

    def on_gradients(self, batch):
        batch.record("performance_score", batch.reported_scores)
