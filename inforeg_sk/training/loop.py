"""The training loop: skorch's hooks, wired to the network, the run and the history."""

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    PassthroughScoring,
    PrintLog,
)
from skorch.dataset import unpack_data
from skorch.history import History
from skorch.utils import is_dataset
from torch.utils.data import DataLoader

from ..data.batches import (
    Batch,
    JoinedBatchSampler,
    ModalityDataset,
    ModalitySubset,
    collate_whole_batch,
)
from ..data.blocks import BlockLoader, row_bytes
from ..functional import class_log_prior
from ..methods.context import TrainingContext
from ..methods.losses import WeightMeans, weighted_criterion
from ..network.encoders import is_light
from ..network.modes import has_batch_norm, in_mode
from ..network.scaling import fit_scalers
from .closed_step import ClosedStep
from .device import resolve_device
from .history import BatchRow, DroppedBatches, TrainingHistory
from .optimizer import takes_fused
from .parts import check_part_weights, samples_of
from .random import device_generator
from .run import TrainingRun
from .split import own_part
from .trial import TrainingData

__all__ = ["TrainingLoop"]


# Settings of an iterator that a BlockLoader knows.
_PLAIN = {"batch_size", "shuffle", "drop_last", "collate_fn", "generator"}
_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# Bytes of inputs in a batch of a prediction, where it may be larger than in training.
_PREDICTED_BYTES = 2**20


class EpochLog(PrintLog):
    """skorch's printed log, without the columns of each modality that nobody asked for."""

    def on_epoch_end(self, net, **kwargs):
        # Not a parameter: those are the same before and after a fit.
        self.keys_ignored_ |= {*net._run.keys.not_printed, "train_objective"}
        super().on_epoch_end(net, **kwargs)


class TrainingLoop(NeuralNet):
    """How batches become steps and steps become a history; the estimator adds the rest.

    Values of a batch (losses, traces, scores, coefficients) stay on the device in one small
    tensor a batch and move once an epoch. skorch's per-batch entries ``train_loss`` and
    ``valid_loss`` move when a callback reads them, else then, too.

    Callbacks get the user's labels and units: ``X`` and ``y`` of a dataset, and the ``y`` of a
    batch, are what ``fit`` got. A step (``train_step``, ``get_loss``) gets the encoded target.
    """

    #: Parameters of the estimators: the floating type of data and network, and when to stop.
    dtype: object
    early_stopping: bool
    n_iter_no_change: int
    tol: float
    #: Whether the rows of batches stay in the history.
    record_batches: bool
    #: The state of training; None before the first fit.
    _run: TrainingRun | None = None
    _n_batches: int = 0
    #: Mode of the pass that is running, and which callbacks hear of its batches.
    _mode: bool | None = None
    _listeners: dict | None = None
    #: skorch's cached predictions and what they gave, so that a scorer may predict twice.
    _cached: tuple = (None, None)

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            *self._scoring_callbacks(),
            *self._stopping_callbacks(),
            ("print_log", EpochLog()),
        ]

    def _scoring_callbacks(self):
        """Pairs of name and callback; override this to score what the task has to score."""
        return []

    def _stopping_callbacks(self):
        given = self.early_stopping
        if not isinstance(given, bool | np.bool_) or not given:  # fit refuses what is not a bool
            return []
        stop = EarlyStopping(
            patience=self.n_iter_no_change, threshold=self.tol, threshold_mode="abs", load_best=True
        )
        return [("stop_early", stop)]

    def record_by_modality(self, quantity, values):
        """Record a quantity of the modalities in an epoch's row of the history.

        For callbacks, at the end of an epoch: ``curves_`` then has the quantity, and ``verbose=1``
        prints it.

        Parameters
        ----------
        quantity : str
            The keys are this and the modality, such as ``valid_acc_audio``.
        values : dict of str to float
            By modality; one that is left out has NaN.
        """
        keys = self._run.keys
        keys.claim(quantity, tuple(values))
        keys.print_labels(quantity)
        for name, value in values.items():
            self.history.record(keys.key(quantity, name), float(value))

    def initialize_history(self):
        # A new one: the old may belong to a model that is kept should this fit fail.
        self.history_ = TrainingHistory()
        return self

    @property
    def device(self):
        given = vars(self)["device"]
        if not isinstance(given, str | int | torch.device | None):
            raise ValueError(
                f"The 'device' parameter of {type(self).__name__} must be a name such as 'auto' "
                f"or 'cpu'. Got {given!r}."
            )
        if given is None:  # skorch's word for: leave everything where it is
            return None
        return resolve_device(given, str(self.dtype), type(self).__name__)

    def _placement(self):
        """Where the network is (torch.device)."""
        device = self.device
        return next(self.module_.parameters()).device if device is None else device

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
        if (
            factory is DataLoader
            and set(kwargs) <= _PLAIN
            and kwargs["collate_fn"] is collate_whole_batch
            and isinstance(dataset, ModalityDataset | ModalitySubset)
        ):
            factory = BlockLoader
            # Accelerate moves what its own DataLoader gives.
            kwargs["device"] = None if "accelerator" in vars(self) else self._placement()
        if factory in (DataLoader, BlockLoader) and not {"batch_sampler", "sampler"} & set(kwargs):
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
        n_workers = kwargs.get("num_workers", 0)
        moves = not n_workers and isinstance(dataset, ModalityDataset | ModalitySubset)
        kind, more = DataLoader, {"num_workers": n_workers}
        if moves and "accelerator" not in vars(self):
            kind, more = BlockLoader, {"device": self._placement()}
        return kind(
            dataset,
            batch_sampler=sampler,
            collate_fn=collate_whole_batch,
            # Its seed for workers comes from here, not from the global generator.
            generator=torch.Generator(),
            **more,
        )

    def fit_loop(self, X, y=None, epochs=None, groups=None, held_out=None):
        """Train for some epochs on a checked dataset.

        Parameters
        ----------
        X : ModalityDataset
        y : ndarray, default=None
            Not used: the dataset has it.
        epochs : int, default=None
            None takes `max_epochs`.
        groups : array-like of shape (n_samples,), default=None
            For the split.
        held_out : ModalityDataset, default=None
            The validation part; X is then the training part.

        Returns
        -------
        self
        """
        self.check_training_readiness()
        if type(self.history_) is History:  # as skorch reads it from a file
            self.history_ = TrainingHistory(self.history_)
        train, valid = X, held_out
        if held_out is None:
            train, valid = self.get_split_datasets(X, groups=groups)
        self._learn_from(train, valid)
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
                try:
                    self.notify("on_epoch_end", **data)
                finally:  # early stopping raises
                    if not self.record_batches:
                        self.history[-1]["batches"] = DroppedBatches()
        except BaseException:
            if self._run.in_epoch:  # what is there of it is nothing to go on from
                del self.history[-1]
            raise
        finally:
            for name in ("_cached", "_mode", "_listeners"):
                vars(self).pop(name, None)
            self._run.leave()
        return self

    def take_training(self, trained, epochs):
        """Take over what `fit_loop` would have done, where the network was trained with others.

        Parameters
        ----------
        trained : Trained
        epochs : int
        """
        self.check_training_readiness()
        self._learn_from(trained.train, trained.held_out)
        self._n_batches = trained.n_batches
        try:
            self._enter_run(trained.train, trained.held_out, epochs)
            callbacks = dict(self.callbacks_)
            trained.hand_over(self._run, self.history, self.optimizer_, callbacks)
            if not self.record_batches:
                for epoch in self.history:
                    epoch["batches"] = DroppedBatches()
        finally:
            self._run.leave()

    def _learn_from(self, train, valid):
        """Check the parts; in a first fit, learn what stays from the training part."""
        check_part_weights(train, "training")
        check_part_weights(valid, "validation")
        if self._run.weight_means is None:
            samples = samples_of(train)
            self._run.weight_means = WeightMeans.of(samples.weight, samples.presence)
            if self.module_.log_prior is not None:
                n_classes = len(self.module_.log_prior)
                prior = class_log_prior(samples.target, n_classes, samples.weight)
                self.module_.set_log_prior(prior)

    def get_split_datasets(self, X, y=None, groups=None, **fit_params):
        """Split a dataset by `train_split`, or for early stopping.

        Parameters
        ----------
        X : ModalityDataset
        y : ignored
            The dataset has it.
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        train : ModalityDataset or ModalitySubset
        valid : ModalityDataset, ModalitySubset or None
        """
        split = self.train_split or self._own_split()
        if not split:
            return X, None
        parts = split(X, X.y, **({} if groups is None else {"groups": groups}))
        train, valid = (
            None if part is None else own_part(part, X, lambda *given: self._made_part(*given, X))
            for part in parts
        )
        return train, valid

    def _own_split(self):
        """What cuts off samples for early stopping, or None; override this."""
        return None

    def _made_part(self, X, y, whole):
        """Samples that `train_split` brings from elsewhere, as a dataset."""
        return self.get_dataset(X, y)

    def _enter_run(self, train, valid, epochs):
        """Begin a call of ``fit``: what the method sees of it."""
        run, device = self._run, self._placement()
        run.train = train
        if "accelerator" in vars(self):
            # Accelerate binds the forward pass to this very object; we need it of copies.
            vars(self.criterion_).pop("forward", None)
        settings = run.settings
        data = TrainingData(
            {"training": train, "held_out": valid},
            make_iterator=self._make_iterator,
            make_pass=self._make_pass,
            make_optimizer=self._make_optimizer,
            drop_rates=settings.drop_rates,
            criterion=self.criterion_,
            score=settings.score,
            weight_means=run.weight_means,
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
        optimizers = [getattr(self, f"{name}_") for name in self._optimizers]
        # skorch's AccelerateMixin wraps them.
        run.enter(training, self.history, [getattr(o, "optimizer", o) for o in optimizers])

    def get_params_for_optimizer(self, prefix, named_parameters):
        """See skorch; torch's own optimizers do their step in one kernel where they can."""
        args, kwargs = super().get_params_for_optimizer(prefix, named_parameters)
        if prefix == "optimizer":
            given = {*kwargs, *(name for group in args[0] for name in group)}
            if takes_fused(self.optimizer, given, self.module_):
                kwargs["fused"] = True
        return args, kwargs

    def _make_optimizer(self, network):
        """A fresh optimizer of the estimator's kind and settings for a copy of the network."""
        args, kwargs = self.get_params_for_optimizer("optimizer", network.named_parameters())
        return self.optimizer(*args, **kwargs)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch of training or validation, and move its values off the device once."""
        if iterator is None:
            return
        losses, weights, n_samples = [], [], 0
        self._mode = None
        self._set_training(training)
        self._mode = training
        self._listeners = {name: self._hear(name, training) for name in _BATCH_EVENTS}
        # skorch's own callbacks leave modules and optimizer as they are while an epoch runs.
        heard = [type(c).__module__ for found in self._listeners.values() for c in found]
        changing = training and not all(name.startswith("skorch.") for name in heard)
        silent = not any(self._listeners.values()) and self._hears_as_usual()
        closed = ClosedStep.of(self, TrainingLoop, silent) if training else None
        rows = self.history[-1]["batches"]
        for batch in iterator:
            X, target = unpack_data(batch)
            n_samples += target.shape[0]
            if getattr(X, "weight", None) is not None:
                weights.append(X.weight.double().sum())
            if silent:
                rows.append(BatchRow())
            else:
                # What callbacks see: the inputs before any dropout, the target as the user gave it.
                shown = X, target if getattr(X, "y", None) is None else X.y
                self.notify("on_batch_begin", batch=shown, training=training)
                if changing:  # callbacks may have registered hooks
                    closed = ClosedStep.of(self, TrainingLoop, silent)
            step = closed or step_fn
            step = step((self._run.start_batch(X), target) if training else (X, target))
            if training:
                loss = self._run.finish_step(step["loss"], target.shape[0])
            else:
                loss = step["loss"].detach()
                losses.append(loss)
            rows[-1][f"{prefix}_loss"] = loss
            rows[-1][f"{prefix}_batch_size"] = target.shape[0]
            if not silent:
                # Of a step that the user wrote, too, callbacks get the joint logits.
                y_pred = getattr(step["y_pred"], "logits", step["y_pred"]).detach()
                self.notify(
                    "on_batch_end", batch=shown, training=training, **{**step, "y_pred": y_pred}
                )
        self._mode = self._listeners = None
        losses = self._run.resolve_epoch() if training else torch.stack(losses).tolist()
        if weights:
            factor = self._run.weight_means.epoch_factor(n_samples, sum(weights).item())
            losses = [loss * factor for loss in losses]
        # Training batches come first in an epoch's list, validation batches after them.
        batches = self.history[-1]["batches"]
        batches[-len(losses) :] = [
            {**row, f"{prefix}_loss": loss}
            for row, loss in zip(batches[-len(losses) :], losses, strict=True)
        ]
        self.history.record(f"{prefix}_batch_count", len(losses))

    def _hears_as_usual(self):
        """Whether the estimator's own methods for the events of a batch are those of this class."""
        return all(
            name not in vars(self) and getattr(type(self), name) is getattr(TrainingLoop, name)
            for name in ("notify", *_BATCH_EVENTS)
        )

    def _hear(self, event, training):
        """Callbacks that do something at an event; most have skorch's empty method."""
        return [
            callback
            for _, callback in self.callbacks_
            if (
                event in vars(callback)
                or getattr(type(callback), event, None) is not getattr(Callback, event)
            )
            # It is for training batches or for validation batches, and returns at the others.
            and not (type(callback) is EpochScoring and callback.on_train is not training)
        ]

    def notify(self, method_name, **cb_kwargs):
        listeners = None if self._listeners is None else self._listeners.get(method_name)
        if listeners is None:
            super().notify(method_name, **cb_kwargs)
            return
        getattr(self, method_name)(self, **cb_kwargs)
        for callback in listeners:
            getattr(callback, method_name)(self, **cb_kwargs)

    def _set_training(self, training=True):
        # skorch walks through all modules in each batch. A callback that predicts changes the mode.
        if self._mode is training and self.module_.training is training:
            return
        if not (in_mode(self.module_, training) and in_mode(self.criterion_, training)):
            super()._set_training(training)

    # Steps

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        self._run.start_epoch(self._n_batches)

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        self._run.end_epoch()

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        super().on_batch_begin(net, batch, training, **kwargs)
        self.history[-1]["batches"][-1] = BatchRow()

    def infer(self, x, **fit_params):
        """Forward pass of a batch; a NetworkOutput."""
        # Inside `with torch.autocast(...)` torch keeps its casts of the weights, also after a step
        # has changed them.
        torch.clear_autocast_cache()
        device = self._placement()
        # On the CPU there is nothing to move; elsewhere a BlockLoader has done so.
        moved = x if device.type == "cpu" else x.to(device)
        output = self.module_(moved)
        # Accelerate's mixed precision makes the output anew, without what a Batch knows.
        return output if output.inputs is moved else output._replace(inputs=moved)

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
        device = self._placement()
        target = y_true.to(device)
        weight = None if X is None or X.weight is None else X.weight_on(device)
        if not training:
            logits = getattr(y_pred, "logits", y_pred)
            mean = None if weight is None else self._run.weight_means.mean()
            return weighted_criterion(
                self.criterion_, logits, target, weight, mean=mean, n_samples=len(target)
            )
        return self._run.loss(y_pred, target, weight, self.criterion_, self.gradient_scale())

    def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
        # The net's own hook runs before the callbacks': clipping sees the regulated gradient.
        accelerator = vars(self).get("accelerator")  # of skorch's AccelerateMixin
        if accelerator is None or accelerator.sync_gradients:
            self._run.change_gradients()

    def _zero_grad_optimizer(self, set_to_none=None):
        if "accelerator" not in vars(self):
            super()._zero_grad_optimizer(set_to_none)
        elif self._run.has_stepped:
            # skorch zeroes before each batch, and so loses what Accelerate adds up over several.
            for name in self._optimizers:
                getattr(self, f"{name}_").optimizer.zero_grad()

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

    def forward(self, X, training=False, device="cpu"):
        """Joint logits of all samples; X is a dataset, or whatever ``predict`` takes.

        Parameters
        ----------
        X : as in ``fit``, or Dataset
        training : bool, default=False
            Whether layers such as dropout act.
        device : str, default="cpu"
            Where to put the logits.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
        """
        # While a scoring callback runs, skorch puts its cached predictions in the place of
        # `forward_iter`; they are of the dataset or batch that the callback hands on, and of no
        # other data.
        iterate = vars(self).get("forward_iter")
        if iterate is None or not (is_dataset(X) or isinstance(X, Batch)):
            return torch.cat(list(type(self).forward_iter(self, X, training, device)))
        if self._cached[0] is not iterate:
            self._cached = iterate, torch.cat(list(iterate(X, training=training, device=device)))
        return self._cached[1]

    def _in_large_batches(self, iterator):
        """The same samples in larger batches, where the encoders are known to be small."""
        n_samples = getattr(self, "iterator_valid__batch_size", None)
        if type(iterator) is not BlockLoader or not iterator.is_in_order or n_samples is not None:
            return iterator
        if len(iterator.dataset) <= self.batch_size:
            return iterator
        if self.batch_size == -1 or not all(map(is_light, self.module_.encoders.values())):
            return iterator
        n_samples = _PREDICTED_BYTES // max(1, row_bytes(iterator.dataset))
        # Encoders that are known to be light leave what they get as it is.
        return iterator.in_batches_of(max(n_samples, self.batch_size), as_views=True)

    def forward_iter(self, X, training=False, device="cpu"):
        """Joint logits batch by batch; X is a dataset, or whatever ``predict`` takes."""
        self.check_is_fitted()
        if isinstance(X, Batch):
            yield self.evaluation_step((X, None), training=training).to(device)
            return
        iterator = self.get_iterator(self.get_dataset(X), training=False)
        for batch in self._in_large_batches(iterator):
            yield self.evaluation_step(batch, training=training).to(device)
