"""An estimator on its way through the engine: what goes in and what comes out."""

import copy
import time

import numpy as np
import torch

from ..data.resident import RESIDENT_SHARE, free_bytes
from ..estimator.plan import early_stopping_split, plan_fit
from ..functional import class_log_prior
from ..methods.losses import WeightMeans
from ..methods.monitors import TRACES
from ..network.scaling import fit_scalers
from ..training.members import Member, Samples
from ..training.parts import check_part_weights, samples_of
from ..training.run import Generators
from ..training.trained import Trained
from .followed import FollowedRun
from .parts import FittedOne
from .stackable import acts_by_hooks, criterion_of, device_of, why_not_planned

__all__ = ["Job", "as_tensor"]


class Job:
    """An estimator on its way through the engine."""

    def __init__(self, index, estimator, plan, part, groups=None):
        self.index, self.estimator, self.plan, self.part = index, estimator, plan, part
        self.spent = 0.0
        self.device = device_of(estimator)
        self.generators = Generators.from_seeds(plan.seeds)
        self.criterion = criterion_of(estimator)
        dataset, network = plan.dataset, plan.network
        self.train, self.held_out = dataset, None
        if estimator.early_stopping:
            split = early_stopping_split(estimator, plan.seeds.split)
            self.train, self.held_out = split(dataset, dataset.y, groups)
            check_part_weights(self.train, "training")
            check_part_weights(self.held_out, "validation")
        self.n_train = len(self.train)
        learned = samples_of(self.train)
        self.means = WeightMeans.of(learned.weight, learned.presence)
        if network.log_prior is not None:
            n_classes = len(network.log_prior)
            network.set_log_prior(class_log_prior(learned.target, n_classes, learned.weight))
        self.total_weight = None if learned.weight is None else float(learned.weight.double().sum())
        fit_scalers(network, self.train)
        self.rows, self.claims = [], []
        self.samples, self.n_batches, self.n_steps = None, 0, 0
        self.outcome = self.early_stop = None

    @classmethod
    def of(cls, index, estimator, part, given, others):
        """The job of an estimator, and None; or None, and why it has to be fitted alone."""
        start = time.perf_counter()
        X, y, params = given
        plan = plan_fit(estimator, X, y, params.get("sample_weight"))
        reason = why_not_planned(estimator, plan)
        if reason is not None:
            return None, reason
        job = cls(index, estimator, plan, part, params.get("groups"))
        job._share_samples(others)
        if job.device.type == "cuda":
            kept = {id(samples): samples for samples in (j.samples for j in (*others, job))}
            n_bytes = sum(x.nbytes for samples in kept.values() for x in samples.inputs.values())
            if n_bytes > RESIDENT_SHARE * free_bytes(job.device):
                return None, "the samples take too much of the device's memory"
        job.spent = time.perf_counter() - start
        return job, None

    def _share_samples(self, others):
        """Use the arrays of another job of the same fold instead of equal ones."""
        dataset, network = self.plan.dataset, self.plan.network
        target = torch.from_numpy(dataset.target)
        weight = None if dataset.weight is None else torch.from_numpy(dataset.weight)
        for other in others:
            if other.part is self.part and _equal(self, other):
                dataset.arrays = other.plan.dataset.arrays
                self.samples = other.samples
                return
        masks = dataset.presence.masks
        inputs = {}
        with torch.no_grad():
            for name, array in dataset.arrays.items():
                values = network.inputs_of(name, network.encoders[name], as_tensor(array))[0]
                inputs[name] = values.flatten(1)
                if name in masks:
                    inputs[name] = torch.where(masks[name][:, None], inputs[name], 0.0)
        present = dataset.presence.matrix(network.modalities).T.contiguous() if masks else None
        self.samples = Samples(inputs, target, weight, present)

    @property
    def batch_size(self):
        size = self.estimator.batch_size
        return self.n_train if size == -1 else size

    @property
    def stream(self):
        """What members of a stream have in common: samples and their order."""
        state = self.generators.shuffling.get_state().numpy().tobytes()
        rows = None if self.held_out is None else self.train.indices.tobytes()
        return id(self.samples), self.batch_size, state, rows

    @property
    def signature(self):
        """What all that are stacked have in common."""
        network, method, settings = self.plan.network, self.plan.method, self.plan.settings
        layers = tuple(
            tuple((type(x).__name__, *(p.shape for p in x.parameters())) for x in encoder)
            for encoder in network.encoders.values()
        )
        traces = method.trace if settings.monitors else None
        smoothing = getattr(self.criterion, "label_smoothing", None)
        return (
            network.modalities,
            layers,
            network.head.weight.shape,
            network.head.weight.dtype,
            network.log_prior is None,
            self.device,
            self.samples.weight is None,
            self.samples.present is None,
            self.held_out is None,
            type(self.criterion),
            smoothing,
            settings.score,
            traces,
            getattr(method, "pull", None) if traces else None,
            self.estimator.max_epochs,
            self._hooked_with,
        )

    @property
    def _hooked_with(self):
        """What those have in common whose hooks are called once for all; None: none are."""
        if not acts_by_hooks(self.plan):
            return None
        method, active = self.plan.method, self.plan.settings.active
        settings = repr(sorted(method.get_params().items()))
        epochs = None if active is None else tuple(sorted(active))
        return type(method), settings, epochs, self.n_train, self.batch_size

    def member(self, order):
        plan, method = self.plan, self.plan.method
        traced, after = [], False
        if plan.settings.monitors:
            rule = TRACES[method.trace]
            after = rule.after_regulation
            for encoder in plan.network.encoders.values():
                weights = []
                for layer in encoder:
                    if isinstance(layer, torch.nn.Linear):
                        of_weight = 1 / layer.weight.numel() if rule.layers_only else 1.0
                        weights += [of_weight, 0.0 if rule.layers_only else 1.0]
                traced.append(weights)
        return Member(
            network=plan.network,
            samples=self.samples,
            mean_weights=[self.means.mean(name) for name in (None, *plan.network.modalities)],
            batches=order,
            held_out=None if self.held_out is None else self.held_out.indices,
            run=FollowedRun(self),
            optimizer=self._optimizer_settings(),
            criterion=self.criterion,
            score=plan.settings.score,
            traced=traced,
            after_regulation=after,
            n_epochs=self.estimator.max_epochs,
            method=method if acts_by_hooks(plan) else None,
            active=plan.settings.active,
            generator=self.generators.method,
        )

    def _optimizer_settings(self):
        estimator = self.estimator
        settings = {"lr": estimator.lr, **estimator.get_params_for("optimizer")}
        return estimator.optimizer([torch.zeros(1)], **settings).param_groups[0]

    def without_data(self):
        """What goes to another process, and back: all but the data and samples."""
        job = copy.copy(self)
        job.plan = self.plan._replace(data=None, dataset=None, target=None)
        job.part = job.samples = job.train = None
        if self.held_out is not None:
            job.train, job.held_out = (_Rows(part.indices) for part in (self.train, self.held_out))
        return job

    def take(self, elsewhere):
        """Take over what a copy of this job has become in another process."""
        network, method = elsewhere.plan.network, elsewhere.plan.method
        self.plan = self.plan._replace(network=network, method=method)
        for name in (
            "generators",
            "rows",
            "claims",
            "n_batches",
            "n_steps",
            "outcome",
            "early_stop",
        ):
            setattr(self, name, getattr(elsewhere, name))

    def finish(self, share):
        """Let the estimator take its results over."""
        start = time.perf_counter()
        trained = Trained(
            self.rows,
            self.claims,
            self.outcome.states,
            self.outcome.shuffling,
            self.generators.method.get_state(),
            self.n_batches,
            self.n_steps,
            self.train,
            self.held_out,
            self.early_stop,
        )
        plan = self.plan._replace(trained=trained)
        try:
            fitted = self.estimator._start(plan, None, self.estimator.max_epochs)._judged()
        except Exception as error:
            return FittedOne(None, error, self.spent + share)
        spent = self.spent + share + time.perf_counter() - start
        return FittedOne(fitted, None, spent)


class _Rows:
    """A part of the samples without the samples, for another process."""

    def __init__(self, indices):
        self.indices = indices


def as_tensor(array):
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _equal(job, other):
    mine, theirs = job.plan, other.plan
    if list(mine.dataset.arrays) != list(theirs.dataset.arrays):
        return False
    if not all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(mine.dataset.arrays.values(), theirs.dataset.arrays.values(), strict=True)
    ):
        return False
    if not np.array_equal(mine.dataset.target, theirs.dataset.target):
        return False
    weights = mine.dataset.weight, theirs.dataset.weight
    if (weights[0] is None) != (weights[1] is None) or not np.array_equal(*weights):
        return False
    scalers = [plan.network.scalers for plan in (mine, theirs)]
    return scalers[0].keys() == scalers[1].keys() and all(
        torch.equal(a, b)
        for m in scalers[0]
        for a, b in zip(scalers[0][m].buffers(), scalers[1][m].buffers(), strict=True)
    )
