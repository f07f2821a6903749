"""What is measured while any method trains: Fisher traces and performance scores."""

from typing import NamedTuple

from ..network.parameters import TracedEncoders, layer_weights
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
    needs_graph : bool
        Whether it differentiates anything of a batch itself. If not, gradients may be computed in
        closed form.
    """

    curves: dict[str, Curve] = {}
    after_regulation: bool = False
    needs_graph: bool = True

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

    needs_graph = False

    def __init__(self, trace="encoder"):
        self._rule = TRACES[trace]
        self.after_regulation = self._rule.after_regulation
        self.curves = {
            "fisher_trace": Curve("Fisher trace of the encoder", reduction=self._rule.reduction)
        }

    def on_epoch_start(self, epoch):
        if self._rule.layers_only:
            encoders = epoch.network.encoders
            traced = [self._layers(encoders[m], p) for m, p in epoch.parameters.items()]
        else:
            traced = [(p.trainable, None) for p in epoch.parameters.values()]
        self._traced = TracedEncoders(traced)

    @staticmethod
    def _layers(encoder, parameters):
        """Weights of layers, and one over the number of elements of each."""
        weights = layer_weights(encoder, parameters.trainable)
        return weights, [1.0 / p.numel() for p in weights]

    def on_gradients(self, batch):
        traces = self._traced.traces()
        if batch.gradient_scale != 1:
            scale = batch.gradient_scale**2
            traces = [t / scale for t in traces] if isinstance(traces, list) else traces / scale
        batch.record("fisher_trace", traces)


class PerformanceScore(Monitor):
    """Records each modality's performance score."""

    needs_graph = False
    curves: dict[str, Curve] = {
        "performance_score": Curve("Performance score of the modality alone")
    }

    def on_gradients(self, batch):
        batch.record("performance_score", batch.reported_scores)
