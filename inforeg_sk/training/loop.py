"""The training loop: skorch's hooks, wired to the network, the method and the history."""

from math import isnan, nan
from typing import NamedTuple

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import unpack_data
from skorch.history import History
from skorch.utils import is_dataset
from torch.utils.data import DataLoader

from ..methods.base import Step, weighted_criterion
from ..methods.fisher import TRACES, encoder_parameters, squared_gradient
from ..network.modes import has_batch_norm
from .batches import JoinedBatchSampler, draw_kept, identity

__all__ = ["EpochContext", "TrainingLoop"]

# Recorded for each modality as ``<quantity>_<modality>``; too many columns for the printed log.
QUANTITIES = ("fisher_trace", "window_ratio", "window", "coefficient", "performance_score")


class EpochContext(NamedTuple):
    """What a method learns at the start of an epoch."""

    parameters: dict  # modality -> EncoderParameters
    n_batches: int
    traces: dict | None  # modality -> traces of all earlier epochs; None: not tracked


class EpochLog(PrintLog):
    """skorch's printed log, without the columns of each modality."""

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        # Not a parameter: those are the same before and after a fit.
        self.keys_ignored_ |= {f"{q}_{m}" for q in QUANTITIES for m in net.modalities_}
        self.keys_ignored_.add("train_objective")


class TrainingLoop(NeuralNet):
    """How batches become steps and steps become a history; the estimator adds the rest.

    Values of a batch (losses, traces, scores, coefficients) stay on the device in one small
    tensor a batch and move once an epoch. skorch's per-batch entries ``train_loss`` are filled in
    then, so a callback that reads them in ``on_batch_end`` finds none (it gets ``loss=``).
    """

    #: What the kind of task adds to the callbacks: pairs of name and callback.
    _scoring_callbacks = ()

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            *self._scoring_callbacks,
            ("print_log", EpochLog()),
        ]

    def initialize_history(self):
        # A new one: the old may belong to a model that is kept should this fit fail.
        self.history_ = History()
        return self

    # Data

    def get_iterator(self, dataset, training=False):
        """Make the DataLoader: whole batches, own generator; `iterator_train__...` reach it."""
        prefix = "iterator_train" if training else "iterator_valid"
        kwargs = {"batch_size": self.batch_size, "shuffle": training, "drop_last": False}
        kwargs.update(self.get_params_for(prefix))
        kwargs.setdefault("collate_fn", identity)
        # A DataLoader draws a seed for its workers from this instead of the global generator.
        kwargs.setdefault("generator", self.shuffling_ if training else torch.Generator())
        factory = getattr(self, prefix)
        if factory is DataLoader and not {"batch_sampler", "sampler"} & set(kwargs):
            size, drop_last = kwargs.pop("batch_size"), kwargs.pop("drop_last")
            kwargs["batch_sampler"] = JoinedBatchSampler(
                len(dataset),
                len(dataset) if size == -1 else size,
                generator=kwargs["generator"] if kwargs.pop("shuffle") else None,
                drop_last=drop_last,
                join=training and has_batch_norm(self.module_),
            )
        elif {"batch_sampler", "sampler"} & set(kwargs):
            kwargs.pop("shuffle")
            if "batch_sampler" in kwargs:
                kwargs.pop("batch_size"), kwargs.pop("drop_last")
        return factory(dataset, **kwargs)

    def fit_loop(self, X, y=None, epochs=None, groups=None):
        """Train for some epochs on a checked dataset.

        Parameters
        ----------
        X : ModalityDataset
        y : ndarray
            Encoded target.
        epochs : int, default=None
            None takes `max_epochs`.
        groups : array-like of shape (n_samples,), default=None
            For `train_split`.

        Returns
        -------
        self
        """
        self.check_training_readiness()
        train, valid = X, None
        if self.train_split:
            train, valid = self.train_split(X, y, **({} if groups is None else {"groups": groups}))
        iterators = (
            self.get_iterator(train, training=True),
            None if valid is None else self.get_iterator(valid, training=False),
        )
        self._n_batches = len(iterators[0])
        if self._n_batches == 0:
            raise ValueError(
                f"{len(train)} training samples make no batch: batch_size={self.batch_size!r} "
                "with drop_last leaves none."
            )
        for _ in range(self.max_epochs if epochs is None else epochs):
            data = {"dataset_train": train, "dataset_valid": valid}
            self.notify("on_epoch_begin", **data)
            self.run_single_epoch(iterators[0], True, "train", self.train_step)
            self.run_single_epoch(iterators[1], False, "valid", self.validation_step)
            self.notify("on_epoch_end", **data)
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch of training or validation, and move its values off the device once."""
        if iterator is None:
            return
        rows, sizes = [], []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            rows.append(self._batch_values(step["loss"]) if training else step["loss"].detach())
            sizes.append(len(unpack_data(batch)[1]))
            self.history.record_batch(f"{prefix}_batch_size", sizes[-1])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        values = torch.stack(rows).tolist()
        losses = [row[0] for row in values] if training else values
        # Training batches come first in an epoch's list, validation batches after them.
        for entry, loss in zip(self.history[-1]["batches"][-len(losses) :], losses, strict=True):
            entry[f"{prefix}_loss"] = loss
        self.history.record(f"{prefix}_batch_count", len(losses))
        if training:
            self._record_epoch(values, sizes)

    def _batch_values(self, loss):
        """One tensor: joint loss, whole loss, and the quantities of each modality in turn."""
        step = self._step
        parts = [step.joint_loss.detach(), loss.detach()]
        self._recorded = tuple(step.records)
        return torch.cat([torch.stack(parts), *(v.detach() for v in step.records.values())])

    def _record_epoch(self, values, sizes):
        n, total = len(values), sum(sizes)
        self.history.record(
            "train_objective", sum(row[1] * size for row, size in zip(values, sizes)) / total
        )
        columns = [(q, m) for q in self._recorded for m in self.module_.modalities]
        for i, (quantity, modality) in enumerate(columns, start=2):
            # NaN where a batch has no sample that could tell.
            batches = [row[i] for row in values if not isnan(row[i])] or [nan]
            mean = sum(batches) / len(batches)
            if quantity == "fisher_trace" and not TRACES[self.method_.trace].mean:
                mean *= n
            self.history.record(f"{quantity}_{modality}", mean)

    # Steps

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        rule = TRACES[self.method_.trace]
        self._parameters = encoder_parameters(self.module_.encoders, rule)
        past = self.history.to_list()[:-1]
        traces = None
        if self.fisher is not None:
            traces = {m: [e[f"fisher_trace_{m}"] for e in past] for m in self.module_.modalities}
        context = EpochContext(self._parameters, self._n_batches, traces)
        for quantity, values in self.method_.on_epoch_start(context).items():
            for modality, value in values.items():
                self.history.record(f"{quantity}_{modality}", value)

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        self._release()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        super().on_train_end(net, X, y, **kwargs)
        self._release()  # also after a keyboard interrupt in mid-epoch

    def _release(self):
        self.method_.on_epoch_end()
        self._step = self._parameters = None

    def infer(self, x, **fit_params):
        """Forward pass of a batch; a NetworkOutput."""
        return self.module_(x.to(self.device))

    def evaluation_step(self, batch, training=False):
        """Joint logits of a batch, in evaluation mode."""
        return super().evaluation_step(batch, training=training).logits

    def validation_step(self, batch, **fit_params):
        """Joint loss and joint logits of a validation batch."""
        step = super().validation_step(batch)
        return {"loss": step["loss"], "y_pred": step["y_pred"].logits}

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Loss of a batch: the method's in training, the joint loss in validation."""
        target = y_true.to(self.device)
        weight = None if X is None or X.weight is None else X.weight.to(self.device)
        if not training:
            return weighted_criterion(self.criterion_, y_pred.logits, target, weight)
        self._step = Step(
            self.module_,
            y_pred,
            target,
            weight,
            self.criterion_,
            self._score,
            self.gradient_scale(),
        )
        return self.method_.loss(self._step)

    def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
        # The net's own hook runs before the callbacks': clipping sees the regulated gradient.
        step, rule = self._step, TRACES[self.method_.trace]
        if self.fisher is not None and not rule.after_regulation:
            self._measure(step)
        self.method_.on_gradients(step)
        if self.fisher is not None and rule.after_regulation:
            self._measure(step)

    def _measure(self, step):
        step.record("performance_score", step.reported_scores)
        zero = step.joint_loss.detach().new_zeros(())
        traces = [squared_gradient(p.measured, p.factors) for p in self._parameters.values()]
        scale = step.gradient_scale**2
        step.record(
            "fisher_trace",
            torch.stack([zero if t is None else t / scale for t in traces]),
        )

    def train_step(self, batch, **fit_params):
        """One optimizer step, and what the method does after it."""
        result = super().train_step(self._drop_modalities(batch))
        self.method_.on_step(self._step)
        return {**result, "y_pred": result["y_pred"].logits.detach()}

    def _drop_modalities(self, batch):
        """Leave modalities out of samples at random (`modality_dropout`), never all of one's."""
        if not self._drop_rates:
            return batch
        X, y = batch
        return X.keep(draw_kept(X, self._drop_rates, self.dropping_)), y

    def gradient_scale(self):
        """Factor by which a loss scaler has multiplied the gradients (mixed precision).

        Override this if training scales its loss (``torch.amp.GradScaler``): traces are divided
        by its square and the pull is multiplied by it, so that both mean the same as without.

        Returns
        -------
        float
            1.0 unless overridden.
        """
        return 1.0

    def forward_iter(self, X, training=False, device="cpu"):
        """Joint logits batch by batch; X is a dataset, or whatever ``predict`` takes."""
        dataset = X if is_dataset(X) else self.get_dataset(X)
        for batch in self.get_iterator(dataset, training=False):
            yield self.evaluation_step(batch, training=training).to(device)
