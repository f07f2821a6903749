"""The training loop: skorch's hooks, wired to the network, the run and the history."""

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import unpack_data
from skorch.history import History
from skorch.utils import is_dataset
from torch.utils.data import DataLoader

from ..data.batches import JoinedBatchSampler, collate_whole_batch
from ..methods.context import TrainingContext
from ..methods.losses import weighted_criterion
from ..network.modes import has_batch_norm
from ..network.scaling import fit_scalers
from .device import resolve_device
from .random import device_generator
from .run import TrainingRun
from .trial import TrainingData

__all__ = ["TrainingLoop"]


class EpochLog(PrintLog):
    """skorch's printed log, without the columns of each modality."""

    def on_epoch_end(self, net, **kwargs):
        # Not a parameter: those are the same before and after a fit.
        self.keys_ignored_ |= {*net._run.keys.labelled, "train_objective"}
        super().on_epoch_end(net, **kwargs)


class TrainingLoop(NeuralNet):
    """How batches become steps and steps become a history; the estimator adds the rest.

    Values of a batch (losses, traces, scores, coefficients) stay on the device in one small
    tensor a batch and move once an epoch. skorch's per-batch entries ``train_loss`` are filled in
    then, so a callback that reads them in ``on_batch_end`` finds none (it gets ``loss=``).
    """

    #: Floating type of data and network; a parameter of the estimators.
    dtype: object
    #: The state of training; None before the first fit.
    _run: TrainingRun | None = None
    _n_batches: int = 0

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            *self._scoring_callbacks(),
            ("print_log", EpochLog()),
        ]

    def _scoring_callbacks(self):
        """Pairs of name and callback; override this to score what the task has to score."""
        return []

    def initialize_history(self):
        # A new one: the old may belong to a model that is kept should this fit fail.
        self.history_ = History()
        return self

    @property
    def device(self):
        given = vars(self)["device"]
        if not isinstance(given, str | int | torch.device | None):
            raise ValueError(
                f"The 'device' parameter of {type(self).__name__} must be a name such as 'auto' "
                f"or 'cpu'. Got {given!r}."
            )
        return resolve_device(given, str(self.dtype), type(self).__name__)

    @device.setter
    def device(self, value):
        vars(self)["device"] = value

    # Data

    def get_iterator(self, dataset, training=False):
        """Make the DataLoader: whole batches, own generator; `iterator_train__...` reach it."""
        # A DataLoader draws a seed for its workers from its generator, not from the global one.
        own = self._run.generators.shuffling if training else torch.Generator()
        return self._make_iterator(dataset, training, own)

    def _make_iterator(self, dataset, training, generator):
        prefix = "iterator_train" if training else "iterator_valid"
        kwargs = {"batch_size": self.batch_size, "shuffle": training, "drop_last": False}
        kwargs.update(self.get_params_for(prefix))
        kwargs.setdefault("collate_fn", collate_whole_batch)
        kwargs.setdefault("generator", generator)
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

    def _make_pass(self, dataset, generator):
        """Make a DataLoader for one look at all samples, shuffled if there is a generator."""
        kwargs = self.get_params_for("iterator_train")
        sampler = JoinedBatchSampler(
            len(dataset),
            len(dataset) if self.batch_size == -1 else self.batch_size,
            generator=generator,
        )
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=collate_whole_batch,
            num_workers=kwargs.get("num_workers", 0),
            # Its seed for workers comes from here, not from the global generator.
            generator=torch.Generator(),
        )

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
        fit_scalers(self.module_, train)
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
        epochs = self.max_epochs if epochs is None else epochs
        try:
            self._enter_run(train, valid, epochs)
            for _ in range(epochs):
                data = {"dataset_train": train, "dataset_valid": valid}
                self.notify("on_epoch_begin", **data)
                self.run_single_epoch(iterators[0], True, "train", self.train_step)
                self.run_single_epoch(iterators[1], False, "valid", self.validation_step)
                self.notify("on_epoch_end", **data)
        finally:
            self._run.leave()
        return self

    def _enter_run(self, train, valid, epochs):
        """Begin a call of ``fit``: what the method sees of it."""
        run, device = self._run, self.device
        settings = run.settings
        data = TrainingData(
            {"training": train, "held_out": valid},
            make_iterator=self._make_iterator,
            make_pass=self._make_pass,
            make_optimizer=self._make_optimizer,
            drop_rates=settings.drop_rates,
            criterion=self.criterion_,
            score=settings.score,
            device=device,
            generator=run.generators.method,
        )
        training = TrainingContext(
            network=self.module_,
            task=settings.task,
            n_outputs=settings.n_outputs,
            device=device,
            generator=run.generators.method,
            device_generator=device_generator(run.generators.method, device),
            first_epoch=len(self.history),
            last_epoch=len(self.history) + epochs - 1,
            history=self.history,
            monitored=frozenset(quantity for m in settings.monitors for quantity in m.curves),
            data=data,
        )
        run.enter(training, self.history)

    def _make_optimizer(self, network):
        """A fresh optimizer of the estimator's kind and settings for a copy of the network."""
        args, kwargs = self.get_params_for_optimizer("optimizer", network.named_parameters())
        return self.optimizer(*args, **kwargs)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch of training or validation, and move its values off the device once."""
        if iterator is None:
            return
        rows = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            size = len(unpack_data(batch)[1])
            if training:
                self._run.finish_step(step["loss"], size)
            else:
                rows.append(step["loss"].detach())
            self.history.record_batch(f"{prefix}_batch_size", size)
            self.notify("on_batch_end", batch=batch, training=training, **step)
        losses = self._run.resolve_epoch() if training else torch.stack(rows).tolist()
        # Training batches come first in an epoch's list, validation batches after them.
        for entry, loss in zip(self.history[-1]["batches"][-len(losses) :], losses, strict=True):
            entry[f"{prefix}_loss"] = loss
        self.history.record(f"{prefix}_batch_count", len(losses))

    # Steps

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        self._run.start_epoch(self._n_batches)

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        self._run.end_epoch()

    def infer(self, x, **fit_params):
        """Forward pass of a batch; a NetworkOutput."""
        device = self.device
        # Batches are cut on the CPU: there is nothing to move.
        return self.module_(x if device.type == "cpu" else x.to(device))

    def evaluation_step(self, batch, training=False):
        """Joint logits of a batch, in evaluation mode."""
        # skorch's own step asks for each batch whether the net is fitted.
        self._set_training(training)
        with torch.set_grad_enabled(training):
            return self.infer(unpack_data(batch)[0]).logits

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
        return self._run.loss(y_pred, target, weight, self.criterion_, self.gradient_scale())

    def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
        # The net's own hook runs before the callbacks': clipping sees the regulated gradient.
        self._run.change_gradients()

    def train_step(self, batch, **fit_params):
        """One optimizer step on what modality dropout and the method leave of a batch."""
        X, y = batch
        result = super().train_step((self._run.start_batch(X), y))
        return {**result, "y_pred": result["y_pred"].logits.detach()}

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
        if is_dataset(X):
            self.check_is_fitted()
        dataset = X if is_dataset(X) else self.get_dataset(X)
        for batch in self.get_iterator(dataset, training=False):
            yield self.evaluation_step(batch, training=training).to(device)
