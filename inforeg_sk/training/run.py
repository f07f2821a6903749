"""A training run: what one call of ``fit`` or ``partial_fit`` needs while it lasts."""

from math import nan

import torch

from ..methods.context import BatchContext, EpochContext
from ..network.parameters import encoder_parameters
from .records import BatchRecords, EpochRecords, by_label, epoch_value

__all__ = ["EpochHistory", "TrainingRun"]


class EpochHistory:
    """The history of a run, as quantities by name and label.

    Parameters
    ----------
    history : skorch.history.History
    keys : CurveKeys
    """

    def __init__(self, history, keys):
        self._history = history
        self._keys = keys

    def record(self, quantity, values, labels=None):
        """Write a quantity of the epoch that is running; see `BatchContext.record`."""
        labels, values = by_label(quantity, values, labels, self._keys.modalities)
        self._keys.claim(quantity, labels)
        if isinstance(values, list):
            values = [value.item() for value in values]
        else:
            values = values.tolist()
        for label, value in zip(labels or (None,), [values] if labels is None else values):
            self._history.record(self._keys.key(quantity, label), value)

    def past(self, quantity, n_epochs=None):
        """Values of a quantity of all modalities in finished epochs; see `EpochContext.past`."""
        modalities = self._keys.modalities
        n_past = len(self._history) - 1
        first = 0 if n_epochs is None else max(0, n_past - n_epochs)
        rows = [
            [self._history[t].get(f"{quantity}_{m}", nan) for m in modalities]
            for t in range(first, n_past)
        ]
        return torch.tensor(rows, dtype=torch.float64).reshape(-1, len(modalities))


class TrainingRun:
    """One call of ``fit`` or ``partial_fit``: method, monitors, and the records of the epoch.

    Parameters
    ----------
    method : BalancingMethod
    monitors : list of Monitor
    training : TrainingContext
    score : str
        Name of the performance score; see `inforeg_sk.methods.context.SCORES`.
    history : skorch.history.History
    keys : CurveKeys
    """

    def __init__(self, method, monitors, training, score, history, keys):
        self.method = method
        self.monitors = monitors
        self.training = training
        self._score = score
        self._keys = keys
        self._history = history
        self._values = EpochHistory(history, keys)
        self._curves = {**method.curves}
        for monitor in monitors:
            self._curves.update(monitor.curves)
        self._epoch = self._records = self._batch = None

    def start_epoch(self, n_batches):
        """Begin an epoch, whose row of the history is the last."""
        network = self.training.network
        self._records = EpochRecords()
        self._epoch = EpochContext(
            self.training,
            len(self._history) - 1,
            n_batches,
            encoder_parameters(network.encoders),
            self._values,
        )
        for monitor in self.monitors:
            monitor.on_epoch_start(self._epoch)
        self.method.on_epoch_start(self._epoch)

    def start_batch(self, inputs, output, target, weight, criterion, gradient_scale):
        """Return the context of a batch after its forward pass."""
        self._batch = BatchContext(
            network=self.training.network,
            inputs=inputs,
            output=output,
            target=target,
            weight=weight,
            criterion=criterion,
            score=self._score,
            records=BatchRecords(self._keys, output.logits),
            generator=self.training.device_generator,
            epoch=self._epoch,
            gradient_scale=gradient_scale,
        )
        return self._batch

    def change_gradients(self):
        """Let the method change the gradients of the batch, and the monitors look at them."""
        for monitor in self.monitors:
            monitor.on_gradients(self._batch)
        self.method.on_gradients(self._batch)
        for monitor in self.monitors:
            monitor.on_regulated_gradients(self._batch)

    def finish_step(self, loss, n_samples):
        """Let the method change the weights after the step, and keep what the batch recorded."""
        self.method.on_step(self._batch)
        losses = (self._batch.joint_loss, loss)
        self._records.add(losses, self._batch._records, n_samples)
        self._batch = None

    def resolve_epoch(self):
        """Move the epoch's values off the device, once, and write them to the history.

        Returns
        -------
        list of float
            Joint loss of each batch.
        """
        losses, values = self._records.resolve()
        sizes = self._records.sizes
        whole = sum(row[1] * size for row, size in zip(losses, sizes)) / sum(sizes)
        self._history.record("train_objective", whole)
        for (quantity, label), found in values.items():
            reduction = self._curves[quantity].reduction if quantity in self._curves else "mean"
            self._history.record(self._keys.key(quantity, label), epoch_value(found, reduction))
        self._records = None
        return [row[0] for row in losses]

    def end_epoch(self):
        """End an epoch that was not interrupted."""
        self.method.on_epoch_end(self._epoch)
        self._epoch = None

    def end(self):
        """Release what only training needed, whatever happened."""
        self._epoch = self._batch = self._records = None
        self.method.on_train_end()
