"""Estimators that are fitted together: which may be, and what goes into the engine and out."""

import copy
import itertools
import time

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..classifier import MultimodalClassifier, MultimodalInfoRegClassifier
from ..data.batches import JoinedBatchSampler
from ..data.resident import RESIDENT_SHARE, free_bytes
from ..estimator.plan import early_stopping_split, plan_fit
from ..functional import class_log_prior
from ..methods import InfoReg, Joint
from ..methods.closed_batch import has_closed_form
from ..methods.losses import WeightMeans
from ..methods.monitors import TRACES, FisherTrace, PerformanceScore
from ..network.closed_form import ClosedForm
from ..network.dropout import Dropout
from ..network.scaling import fit_scalers
from ..regressor import MultimodalInfoRegRegressor, MultimodalRegressor
from ..training.members import BatchOrder, Member, MemberRun, Samples, Verdict
from ..training.optimizer import DecayAdamW
from ..training.parts import check_part_weights, samples_of
from ..training.run import Generators
from ..training.stacked import StackedTraining
from ..training.trained import EarlyStop, Trained
from .parts import FittedOne, fit_alone, log
from .processes import Call, Processes

__all__ = ["fit_together", "why_not_together"]

_ESTIMATORS = (
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
    MultimodalInfoRegRegressor,
)
# What a stack of members may take at a time.
_STACK_BYTES = 2**30


def why_not_together(estimator):
    """Why an estimator cannot be fitted together with others, as far as its parameters tell.

    Parameters
    ----------
    estimator : estimator
        Not fitted.

    Returns
    -------
    str, or None if it can
    """
    name = type(estimator).__name__
    if type(estimator) not in _ESTIMATORS:
        return f"{name} is none of the estimators of this library"
    kept = {
        "callbacks": None,
        "train_split": None,
        "compile": False,
        "modality_dropout": 0.0,
        "iterator_train": DataLoader,
        "verbose": 0,
        "warm_start": False,
    }
    for parameter, plain in kept.items():
        value = getattr(estimator, parameter)
        if value != plain:
            return f"{parameter}={value!r} needs fits of their own"
    if estimator.fisher not in ("batch", None):
        return f"fisher={estimator.fisher!r} needs fits of their own"
    nested = [p for p in vars(estimator) if p.startswith(("iterator_", "callbacks__"))]
    for parameter in nested:
        if "__" in parameter:
            return f"{parameter} needs fits of their own"
    if estimator.optimizer not in (DecayAdamW, torch.optim.AdamW):
        return f"optimizer={getattr(estimator.optimizer, '__name__', '?')} needs fits of their own"
    known = {"weight_decay", "betas", "eps", "lr"}
    if others := set(estimator.get_params_for("optimizer")) - known:
        return f"optimizer__{min(others)} needs fits of their own"
    return None


def _why_not_planned(estimator, plan):
    """The same, once the network is known."""
    if type(plan.method) not in (Joint, InfoReg):
        return f"method {type(plan.method).__name__} is not one that is stacked"
    if any(type(m) not in (FisherTrace, PerformanceScore) for m in plan.settings.monitors):
        return "other monitors need fits of their own"
    form = ClosedForm.of(plan.network)
    names = plan.network.modalities
    if form is None or set(form.chains) != set(names):
        return "only multilayer perceptrons with a concatenation are stacked"
    for encoder in plan.network.encoders.values():
        if not _is_stackable([type(layer) for layer in encoder]):
            return "only multilayer perceptrons are stacked"
        if any(layer.bias is None for layer in encoder if isinstance(layer, torch.nn.Linear)):
            return "layers without a bias need fits of their own"
        if not all(p.requires_grad for p in encoder.parameters()):
            return "frozen encoders need fits of their own"
    if len({id(encoder) for encoder in plan.network.encoders.values()}) < len(names):
        return "encoders that modalities share need fits of their own"
    if not all(isinstance(v, np.ndarray) for v in plan.dataset.arrays.values()):
        return "sparse matrices and modalities of several arrays need fits of their own"
    if _device(estimator).type not in ("cpu", "cuda"):
        return "fits together run on the CPU and on CUDA devices"
    if not has_closed_form(_criterion(estimator)):
        return "the criterion has no closed form"
    return None


# What may stand before each kind of layer; None: the beginning.
_BEFORE = {
    torch.nn.Flatten: (None,),
    torch.nn.Linear: (None, torch.nn.Flatten, torch.nn.ReLU, Dropout),
    torch.nn.ReLU: (torch.nn.Linear,),
    Dropout: (torch.nn.ReLU,),
}


def _is_stackable(kinds):
    return all(
        before in _BEFORE.get(kind, ()) for before, kind in zip([None, *kinds], kinds, strict=False)
    )


def _stops_early(estimator):
    return getattr(estimator, "early_stopping", False) is True


def _device(estimator):
    return estimator.device or torch.device("cpu")  # None: where the network is made


def _criterion(estimator):
    return estimator.criterion(**estimator.get_params_for("criterion"))


def fit_together(estimators, parts, n_jobs=None):
    """Fit many estimators, together where that is possible.

    Parameters
    ----------
    estimators : list of estimator
        Not fitted, each an object of its own.
    parts : list of Part
        What each is fitted on; the same object for those that share it.
    n_jobs : int, default=None
        In how many processes stacks are trained, by joblib's backend. None: in this one.

    Returns
    -------
    list of FittedOne
        In the order of `estimators`.
    """
    results = [None] * len(estimators)
    jobs, alone, reasons = [], [], {}
    given = None  # of one part at a time: its data are cut once for all that follow each other
    for i, (estimator, part) in enumerate(zip(estimators, parts, strict=True)):
        job = None
        params = {name for name, value in part.params.items() if value is not None}
        reason = why_not_together(estimator)
        known = {"sample_weight", *(["groups"] if _stops_early(estimator) else [])}
        if others := params - known:
            reason = f"{min(others)} in fit needs fits of their own"
        if reason is None:
            given = given if given is not None and given[0] is part else (part, part.cut())
            try:
                job, reason = _Job.of(i, estimator, part, given[1], jobs)
            except Exception as error:  # what `fit` would raise first
                results[i] = FittedOne(None, error, 0.0)
                continue
        if job is None:
            alone.append(i)
            reasons[reason] = reasons.get(reason, 0) + 1
        else:
            jobs.append(job)
    for reason, count in reasons.items():
        log.info("%d fits, one after another: %s", count, reason)
    processes = Processes(n_jobs)
    groups = list(_groups(jobs, processes.n_parts))
    if processes.are_used(len(groups)):
        log.info("%d stacks of %d fits, by %s", len(groups), len(jobs), processes)
        trained = processes.map(_trained_elsewhere, _calls(groups))
    else:
        trained = map(_trained, groups)
    for group, (found, spent) in zip(groups, trained, strict=True):
        for job, elsewhere in zip(group, found, strict=True):
            if elsewhere is not job:
                job.take(elsewhere)
            results[job.index] = job.finish(spent / len(group))
    single = [(estimators[i], parts[i]) for i in alone]
    if processes.are_used(len(single)):
        log.info("%d single fits, by %s", len(single), processes)
        taken_apart = [(estimator, *part.without_data()) for estimator, part in single]
        calls = [Call((estimator, part), data) for estimator, part, data in taken_apart]
        fits = processes.map(_fitted_elsewhere, calls)
    else:
        fits = itertools.starmap(fit_alone, single)
    for i, one in zip(alone, fits, strict=True):
        results[i] = one
    return results


def _trained(group):
    """Train a stack, perhaps in another process; return it and its time in seconds."""
    start = time.perf_counter()
    _train(group)
    return group, time.perf_counter() - start


def _calls(groups):
    """Calls of `_trained_elsewhere`: the samples of a fold are the same object in all of them."""
    arrays, calls = {}, []
    for group in groups:
        folds = {id(job.samples): job.samples for job in group}
        for fold, samples in folds.items():
            if fold not in arrays:  # not tensors: joblib maps arrays into the memory
                arrays[fold] = _each(torch.Tensor.numpy, samples)
        place = {fold: k for k, fold in enumerate(folds)}
        own = [(job.without_data(), place[id(job.samples)]) for job in group]
        calls.append(Call(own, tuple(arrays[fold] for fold in folds)))
    return calls


def _trained_elsewhere(own, *folds):
    """As `_trained`, from what `_calls` took apart; samples do not go back."""
    folds = [_each(_tensor, fold) for fold in folds]
    for job, k in own:
        job.samples = folds[k]
    _, spent = _trained([job for job, _ in own])
    return [job.without_data() for job, _ in own], spent


def _each(convert, samples):
    """Samples with all of their arrays converted."""
    inputs = {name: convert(values) for name, values in samples.inputs.items()}
    others = (None if values is None else convert(values) for values in samples[1:])
    return Samples(inputs, *others)


def _fitted_elsewhere(own, *data):
    """As `fit_alone`, of a part that comes without its data."""
    estimator, part = own
    return fit_alone(estimator, part.with_data(*data))


class _Rows:
    """A part of the samples without the samples, for another process."""

    def __init__(self, indices):
        self.indices = indices


class _Job:
    """An estimator on its way through the engine."""

    def __init__(self, index, estimator, plan, part, groups=None):
        self.index, self.estimator, self.plan, self.part = index, estimator, plan, part
        self.spent = 0.0
        self.device = _device(estimator)
        self.generators = Generators.from_seeds(plan.seeds)
        self.criterion = _criterion(estimator)
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
        reason = _why_not_planned(estimator, plan)
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
                values = network.inputs_of(name, network.encoders[name], _tensor(array))[0]
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
        )

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
            run=_Records(self),
            optimizer=self._optimizer_settings(),
            criterion=self.criterion,
            score=plan.settings.score,
            traced=traced,
            after_regulation=after,
            n_epochs=self.estimator.max_epochs,
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


def _tensor(array):
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


class _Records(MemberRun):
    """How a member is regulated and stops, and its history."""

    def __init__(self, job):
        self._job = job
        self._method = method = job.plan.method
        self._modalities = job.plan.network.modalities
        self._settings = job.plan.settings
        self._regulates = type(method) is InfoReg
        self._traced = bool(self._settings.monitors)
        self._traces, self._row, self._best = [], {}, {}
        self._stopping = None
        if job.held_out is not None:
            estimator = job.estimator
            self._stopping = EarlyStop(estimator.n_iter_no_change, estimator.tol)
            job.early_stop = self._stopping
            rows = job.held_out.indices
            self._sizes = np.diff([*range(0, len(rows), job.batch_size), len(rows)])
            weight = job.samples.weight
            self._held_out_weight = None if weight is None else weight[rows].double().numpy()
        if self._regulates:
            self.unimodal_weight, self.beta, self.pull = (
                float(method.unimodal_weight),
                float(method.beta),
                method.pull,
            )
        encoders = job.plan.network.encoders
        self._regulated = [m for m, e in encoders.items() if any(True for _ in e.parameters())]

    def _put(self, quantity, values):
        labels = self._modalities
        if (quantity, labels) not in self._job.claims:
            self._job.claims.append((quantity, labels))
        self._row |= {f"{quantity}_{m}": v for m, v in zip(labels, values, strict=True)}

    def begin_epoch(self, others, epoch):
        windows = {}  # members whose windows are decided in one go
        for i, other in enumerate(others):
            other._start_row(epoch)
            if other._regulates and other._traced:
                windows.setdefault(other._window_settings, []).append(i)
        alphas = [None] * len(others)
        for members in windows.values():
            found = [others[i] for i in members]
            method, names = found[0]._method, found[0]._modalities
            past = None
            if epoch:
                kept = method.window_smoothing + 1
                past = torch.tensor([m._traces[-kept:] for m in found], dtype=torch.float64)
            ratios, are_open = method.window(past, names)
            if past is None:
                ratios, are_open = ratios.expand(len(found), -1), are_open.expand(len(found), -1)
            for i, other, ratio, is_open in zip(
                members, found, ratios.tolist(), are_open.tolist(), strict=True
            ):
                other._put("window_ratio", ratio)
                other._put("window", is_open)
                strengths = other._method.strengths(is_open, names, other._regulated)
                if any(strengths.values()) and len(names) > 1:
                    alphas[i] = list(strengths.values())
        return alphas

    @property
    def _window_settings(self):
        method = self._method
        return (
            method.window_threshold,
            method.window_smoothing,
            method.padding,
            method.leader,
            method.first_epoch,
        )

    def _start_row(self, epoch):
        self._start = time.perf_counter()
        self._row = {"batches": [], "epoch": epoch + 1}
        if self._regulates:
            self._put("coefficient", [0.0] * len(self._modalities))

    def end_epoch(self, epoch, result):
        sizes, job = result.sizes, self._job
        n_samples = sum(sizes)
        pairs = zip(result.objective, sizes, strict=True)
        self._row["train_objective"] = sum(loss * n for loss, n in pairs) / n_samples
        for quantity, values in result.values.items():
            self._put(quantity, values)
        if "fisher_trace" in result.values:
            self._traces.append(result.values["fisher_trace"])
        losses = result.losses
        if job.total_weight is not None:
            factor = n_samples * job.means.mean() / job.total_weight if job.total_weight else 1.0
            losses = [loss * factor for loss in losses]
        self._row["batches"] = [
            {"train_loss": loss, "train_batch_size": n}
            for loss, n in zip(losses, sizes, strict=True)
        ]
        self._row["train_batch_count"] = len(sizes)
        if self._stopping is not None:
            held_out_losses = self._losses_of(result.held_out[0])
            self._row["batches"] += [
                {"valid_loss": loss, "valid_batch_size": n}
                for loss, n in zip(held_out_losses, self._sizes.tolist(), strict=True)
            ]
            self._row["valid_batch_count"] = len(held_out_losses)
        self._row["dur"] = time.perf_counter() - self._start
        self._score("train_loss", np.average(losses, weights=sizes))
        verdict = Verdict()
        if self._stopping is not None:
            loss = np.average(held_out_losses, weights=self._sizes)
            self._score("valid_loss", loss)
            right = result.held_out[1]
            if right is not None:
                self._score("valid_acc", float(right.mean()), lower_is_better=False)
            verdict = Verdict(*self._stopping.hear(loss, epoch + 1))
        job.rows.append(self._row)
        job.n_steps += len(sizes)
        return verdict

    def _losses_of(self, losses):
        """Losses of the held-out batches (list of float), as the training loop has them."""
        starts = np.cumsum([0, *self._sizes[:-1]])
        weight = self._held_out_weight
        if weight is None:
            return (np.add.reduceat(losses, starts) / self._sizes).tolist()
        # Their mean by batch sizes is the weighted mean.
        factor = len(losses) / weight.sum()
        return (np.add.reduceat(losses * weight, starts) / self._sizes * factor).tolist()

    def _score(self, name, value, lower_is_better=True):
        """Record a value, and whether it is the best so far."""
        before = self._best.get(name, np.inf if lower_is_better else -np.inf)
        is_best = value < before if lower_is_better else value > before
        self._best[name] = value if is_best else before
        self._row[name], self._row[f"{name}_best"] = value, bool(is_best)


def _groups(jobs, n_parts=1):
    """Jobs that are stacked: of one signature, and few enough for the memory of a stack.

    Parameters
    ----------
    jobs : list of _Job
    n_parts : int, default=1
        Into how many stacks those of one kind are divided at least, where there are as many.

    Yields
    ------
    list of _Job
    """
    by_signature = {}
    for job in jobs:
        by_signature.setdefault(job.signature, []).append(job)
    for group in by_signature.values():
        size = sum(p.numel() * p.element_size() for p in group[0].plan.network.parameters())
        most = max(1, min(_STACK_BYTES // (6 * size), len(group) // n_parts))
        streams = {}
        for job in group:
            streams.setdefault(job.stream, []).append(job)
        by_length = {}  # streams with as many members go together
        for stream in streams.values():
            by_length.setdefault(len(stream), []).append(stream)
        for length, found in by_length.items():
            if length > most:
                for stream in found:
                    yield from _pieces(stream, most)
                continue
            for several in _pieces(found, max(1, most // length)):
                yield [job for stream in several for job in stream]


def _pieces(values, most):
    """Pieces of a list, of nearly the same length, at most `most`."""
    n = -(-len(values) // most)
    cuts = [i * len(values) // n for i in range(n + 1)]
    return [values[a:b] for a, b in itertools.pairwise(cuts)]


def _train(group):
    streams = {}
    for job in group:
        streams.setdefault(job.stream, []).append(job)
    made = []
    for jobs in streams.values():
        first = jobs[0]
        generator = first.generators.shuffling
        sampler = JoinedBatchSampler(first.n_train, first.batch_size, generator)
        rows = None if first.held_out is None else first.train.indices
        order = BatchOrder(sampler, generator, rows)
        made.append((jobs, [job.member(order) for job in jobs]))
    made.sort(key=lambda pair: -len(pair[1][0].batches))
    engine = StackedTraining([members for _, members in made], group[0].device)
    with torch.no_grad():
        outcomes = iter(engine.run())
    for jobs, members in made:
        for job, member in zip(jobs, members, strict=True):
            job.outcome, job.n_batches = next(outcomes), len(member.batches)
            if job.early_stop is not None:
                job.early_stop.best = job.outcome.best
                job.outcome = job.outcome._replace(best=None)
