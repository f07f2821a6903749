"""What is measured while any method trains: Fisher traces and performance scores."""

from typing import NamedTuple

import torch

from ..network.parameters import fisher_traces, layer_weights
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
    """Watches a training run without changing it.

    Attributes
    ----------
    curves : dict of str to Curve
        What it records.
    after_regulation : bool
        Whether it looks at gradients as the method left them, before clipping; else before the
        method.
    """

    curves: dict[str, Curve] = {}
    after_regulation: bool = False

    def on_epoch_start(self, epoch):
        """Prepare an epoch (an EpochContext)."""

    def on_gradients(self, batch):
        """Look at the gradients of a batch (a BatchContext)."""

    def on_epoch_end(self, epoch):
        """Look at the network after the last step of an epoch that was not interrupted."""


class FisherTrace(Monitor):
    """Records each encoder's Fisher trace.

    Parameters
    ----------
    trace : {"encoder", "layers"}, default="encoder"
        How it is measured; see `InfoReg`.
    """

    def __init__(self, trace="encoder"):
        self._rule = TRACES[trace]
        self.after_regulation = self._rule.after_regulation
        self.curves = {
            "fisher_trace": Curve("Fisher trace of the encoder", reduction=self._rule.reduction)
        }

    def on_epoch_start(self, epoch):
        traced = {name: (p.trainable, None) for name, p in epoch.parameters.items()}
        if self._rule.layers_only:
            encoders = epoch.network.encoders
            traced = {name: self._layers(encoders[name], p) for name, (p, _) in traced.items()}
        self._traced = list(traced.values())

    @staticmethod
    def _layers(encoder, parameters):
        """Weights of layers, and one over the number of elements of each."""
        parameters = layer_weights(encoder, parameters)
        # Made once an epoch, so that no batch waits for a copy to the device.
        weights = torch.tensor([1.0 / p.numel() for p in parameters], dtype=torch.float64)
        return parameters, weights.to(parameters[0]) if parameters else weights

    def on_gradients(self, batch):
        zero = batch.joint_loss.detach().new_zeros(())
        scale = batch.gradient_scale**2
        traces = [zero if t is None else t / scale for t in fisher_traces(self._traced)]
        batch.record("fisher_trace", torch.stack(traces))


class PerformanceScore(Monitor):
    """Records each modality's performance score."""

    curves: dict[str, Curve] = {
        "performance_score": Curve("Performance score of the modality alone")
    }

    def on_gradients(self, batch):
        batch.record("performance_score", batch.reported_scores)
