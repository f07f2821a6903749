"""A training run: all that a continuation needs, and what one call of ``fit`` adds to it."""

import copy
from typing import NamedTuple

import torch

from ..data.batches import Batch
from ..methods.base import loss_weights_of
from ..methods.closed_batch import ClosedBatch
from ..methods.context import BatchContext, EpochContext
from ..methods.curves import Curve
from ..methods.records import CurveKeys
from ..network.network import NetworkOutput
from ..network.parameters import encoder_parameters
from .records import EpochRecords, epoch_values

__all__ = ["CallSettings", "Generators", "TrainingRun"]


class Generators(NamedTuple):
    """The random generators of a run, on the CPU; they go on from one call to the next."""

    shuffling: torch.Generator
    modality_dropout: torch.Generator
    method: torch.Generator
    modules: torch.Generator  # stands for torch's global one, which users' modules draw on

    @classmethod
    def from_seeds(cls, seeds):
        """New generators from the seeds of a fit."""
        shuffling, modality_dropout, method = (
            torch.Generator().manual_seed(seed)
            for seed in (seeds.shuffling, seeds.modality_dropout, seeds.method)
        )
        modules = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=shuffling)))
        return cls(shuffling, modality_dropout, method, modules)


class CallSettings(NamedTuple):
    """What one call of ``fit`` or ``partial_fit`` reads anew from the estimator's parameters."""

    task: str
    n_outputs: int
    score: str  # name of the performance score
    drop_rates: dict  # rate of modality dropout by modality; empty if there is none
    active: object  # when the method may act, as the estimators take it
    monitors: tuple  # what tracks Fisher traces and scores; empty with fisher=None


class TrainingRun:
    """The state of training that lives on from call to call, and is part of a pickle.

    Parameters
    ----------
    method : BalancingMethod
    generators : Generators
    keys : CurveKeys
        Which quantities were recorded.
    weight_means : WeightMeans, default=None
        Of the training part of the first fit; None until then.
    split_seed : int, default=0
        Seed of the samples that early stopping holds out, the same in all calls.
    weights_seed : int, default=None
        Seed of the initial weights; None where it is not known.
    """

    #: Of a run that was pickled before runs had it.
    weights_seed: int | None = None

    def __init__(
        self, method, generators, keys, weight_means=None, split_seed=0, weights_seed=None
    ):
        self.method = method
        self.generators = generators
        self.keys = keys
        self.weight_means = weight_means
        self.split_seed = split_seed
        self.weights_seed = weights_seed
        self._leave()

    @classmethod
    def first(cls, method, seeds, modalities, shown):
        """The run of a first fit; `modalities` are sorted, `shown` are in the user's order."""
        keys = CurveKeys(modalities, shown)
        generators = Generators.from_seeds(seeds)
        return cls(method, generators, keys, split_seed=seeds.split, weights_seed=seeds.weights)

    def next(self, method):
        """The run that goes on with a method that has taken over the state of this one's."""
        # A copy: what a refused fit has claimed is forgotten.
        keys = copy.deepcopy(self.keys)
        return TrainingRun(
            method, self.generators, keys, self.weight_means, self.split_seed, self.weights_seed
        )

    # One call of fit

    #: Set by the estimator before it trains.
    settings: CallSettings | None = None
    #: Whether a call of ``fit`` or ``partial_fit`` is running, callbacks at its ends included.
    in_fit = False
    #: Whether the last call was interrupted, and the part of its data that it trained on.
    interrupted = False
    train = None
    #: Whether an epoch has begun and not ended.
    in_epoch = False
    #: Epoch in which the call is or was, and the last that it was to make, counted from 1.
    stopped_in = (0, 0)
    #: Batches of this call so far.
    n_steps = 0
    #: Whether the last batch ended with an optimizer's step.
    has_stepped = True

    def enter(self, training, history, optimizers):
        """Begin a call of ``fit`` or ``partial_fit``; `settings` are those of the call."""
        self.training = training
        self.monitors = self.settings.monitors
        self._history = history
        self.n_steps, self.has_stepped = 0, True
        self.stopped_in = (len(history) + 1, training.last_epoch + 1)
        self._curves = {**self.method.curves}
        if self.settings.active is not None:
            self._curves["active"] = Curve("Whether the method may act", flag=True)
        for monitor in self.monitors:
            self._curves.update(monitor.curves)
        # A training step of the user's own may step an optimizer without a closure.
        self._hooks = [o.register_step_pre_hook(self.before_step) for o in optimizers]
        self.method.move_state(training.device)
        self.method.on_train_start(training)

    def leave(self):
        """End a call: release what only training needed, whatever happened."""
        for hook in self._hooks:
            hook.remove()
        self._leave()
        self.method.on_train_end()

    def _leave(self):
        self.training = self._history = None
        self._changed, self._hooks, self.in_epoch = False, [], False
        self._epoch = self._records = self._batch = None
        self.monitors, self._curves = (), {}

    def take_global_state(self):
        """Bring the generator that stands for torch's global one up to date, in mid-training."""
        if self.training is not None:
            self.generators.modules.set_state(torch.get_rng_state())

    def __getstate__(self):
        self.take_global_state()
        # What belongs to a call of `fit` is never part of a pickle.
        return {
            "method": self.method,
            "generators": self.generators,
            "keys": self.keys,
            "weight_means": self.weight_means,
            "split_seed": self.split_seed,
            "weights_seed": self.weights_seed,
        }

    def __setstate__(self, state):
        vars(self).update(state)
        self._leave()

    # Epochs and batches

    def start_epoch(self, n_batches):
        """Begin an epoch, whose row of the history is the last."""
        self.in_epoch = True
        self.stopped_in = (len(self._history), self.training.last_epoch + 1)
        self._records = EpochRecords()
        self._epoch = EpochContext(
            self.training,
            len(self._history) - 1,
            n_batches,
            encoder_parameters(self.training.network.encoders),
            self.keys,
            self._curves,
            self.settings.active,
        )
        if self._epoch.is_limited:
            self._epoch.record("active", self._epoch.active)
            self._epoch.acts = self.method.per_modality or any(self._epoch.active.values())
        for monitor in self.monitors:
            monitor.on_epoch_start(self._epoch)
        self.method.on_epoch_start(self._epoch)

    def start_batch(self, inputs):
        """The inputs of a batch, as modality dropout and the method leave them."""
        if self.settings.drop_rates:
            inputs = inputs.drop(self.settings.drop_rates, self.generators.modality_dropout)
        if not self._epoch.acts:
            return inputs
        changed = self.method.on_batch_start(inputs, self._epoch)
        if changed is not inputs:
            self._check_inputs(changed)
        return changed

    def _check_inputs(self, inputs):
        name = type(self.method).__name__
        if not isinstance(inputs, Batch):
            raise TypeError(
                f"{name}.on_batch_start must return a Batch. Got {type(inputs).__name__}."
            )
        if not inputs.presence.matrix(self.keys.modalities).any(dim=1).all():
            raise ValueError(f"{name}.on_batch_start leaves a sample without any modality.")

    def loss(self, output, target, weight, criterion, gradient_scale):
        """The method's loss of a batch, after its forward pass."""
        self._start(BatchContext, output, target, weight, criterion, gradient_scale=gradient_scale)
        loss = self.method.loss(self._batch) if self._epoch.acts else self._batch.joint_loss
        if loss.ndim:
            raise ValueError(
                f"{type(self.method).__name__}.loss must return a single number. Got a tensor of "
                f"shape {tuple(loss.shape)}."
            )
        return loss

    def closed_loss(self, passed, inputs, target, weight, criterion, terms):
        """The method's loss of a batch, whose gradients are computed with it.

        Parameters
        ----------
        passed : ClosedPass
        inputs : Batch
        target, weight : Tensor
        criterion : torch loss module
        terms : LossTerms

        Returns
        -------
        Tensor of shape ()
        """
        output = NetworkOutput(None, None, inputs.presence, inputs)
        self._start(ClosedBatch, output, target, weight, criterion, passed=passed, terms=terms)
        weights = loss_weights_of(self.method, self._batch)
        if weights is None:
            return self.method.loss(self._batch)  # which says what is wrong
        return self._batch.backward(weights)

    @property
    def joint_logits(self):
        """Of the batch that is being trained on (Tensor of shape (n_samples, n_outputs))."""
        return self._batch.logits

    def _start(self, kind, output, target, weight, criterion, **more):
        self._changed = False
        self._batch = kind(
            network=self.training.network,
            output=output,
            target=target,
            weight=weight,
            criterion=criterion,
            score=self.settings.score,
            keys=self.keys,
            weight_means=self.weight_means,
            generator=self.training.device_generator,
            epoch=self._epoch,
            **more,
        )

    def change_gradients(self):
        """Let the method change the gradients of the batch, and the monitors look at them."""
        self._changed = True
        for monitor in self.monitors:
            if not monitor.after_regulation:
                monitor.on_gradients(self._batch)
        if self._epoch.acts:
            self.method.on_gradients(self._batch)
        for monitor in self.monitors:
            if monitor.after_regulation:
                monitor.on_gradients(self._batch)

    def before_step(self, *args):
        """Change the gradients before an optimizer's step, unless the training step saw to it."""
        if self._batch is not None and not self._changed:
            self.change_gradients()

    def finish_step(self, loss, n_samples):
        """Let the method change the weights after the step, and keep what the batch recorded.

        Returns
        -------
        Tensor of shape ()
            Joint loss of the batch.
        """
        self.n_steps += 1
        self.has_stepped = self._changed  # else gradients only add up for a later step
        if self.has_stepped and self._epoch.acts:
            self.method.on_step(self._batch)
        self._records.add(self._batch, loss, n_samples)
        joint = self._batch.joint_loss.detach()
        self._batch = None
        return joint

    def resolve_epoch(self):
        """Move the epoch's values off the device, once, and write them to the history.

        Returns
        -------
        list of float
            Joint loss of each batch.
        """
        reductions = {quantity: curve.reduction for quantity, curve in self._curves.items()}
        losses, values = self._records.resolve()
        values = epoch_values(values, reductions)
        sizes = self._records.sizes
        whole = sum(row[1] * size for row, size in zip(losses, sizes)) / sum(sizes)
        self._history.record("train_objective", whole)
        for key, value in self.keys.entries(values).items():
            self._history.record(key, value)
        self._records = None
        return [row[0] for row in losses]

    def end_epoch(self):
        """End an epoch that was not interrupted."""
        for monitor in self.monitors:
            monitor.on_epoch_end(self._epoch)
        self.method.on_epoch_end(self._epoch)
        self.method.check_state()
        self._epoch, self.in_epoch = None, False
