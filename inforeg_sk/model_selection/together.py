"""Estimators that are fitted together: stacks of them, in this process or in others."""

import itertools
import time

import torch

from ..data.batches import JoinedBatchSampler
from ..training.members import BatchOrder, Samples
from ..training.stacked import StackedTraining
from ..training.stacked_hooks import HookedTraining
from .job import Job, as_tensor
from .parts import FittedOne, fit_alone, log
from .processes import Call, Processes
from .stackable import acts_by_hooks, stops_early, why_not_together

__all__ = ["fit_together"]

# What a stack of members may take at a time.
_STACK_BYTES = 2**30


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
        known = {"sample_weight", *(["groups"] if stops_early(estimator) else [])}
        if others := params - known:
            reason = f"{min(others)} in fit needs fits of their own"
        if reason is None:
            given = given if given is not None and given[0] is part else (part, part.cut())
            try:
                job, reason = Job.of(i, estimator, part, given[1], jobs)
            except Exception as error:  # what `fit` would raise first
                results[i] = FittedOne(None, error, 0.0)
                continue
        if job is None:
            alone.append(i)
            reasons[reason] = reasons.get(reason, 0) + 1
        else:
            jobs.append(job)
    processes = Processes(n_jobs)
    groups = list(_groups(jobs, processes.n_parts))
    single = [group[0] for group in groups if len(group) == 1 and acts_by_hooks(group[0].plan)]
    if single:  # by itself it takes a shorter way, perhaps in closed form
        groups = [group for group in groups if group[0] not in single]
        alone += [job.index for job in single]
        reasons["no other has the method, its settings and the size of the data"] = len(single)
    for reason, count in reasons.items():
        log.info("%d fits, one after another: %s", count, reason)
    if processes.are_used(len(groups)):
        log.info("%d stacks of %d fits, by %s", len(groups), sum(map(len, groups)), processes)
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
    folds = [_each(as_tensor, fold) for fold in folds]
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


def _groups(jobs, n_parts=1):
    """Jobs that are stacked: of one signature, and few enough for the memory of a stack.

    Parameters
    ----------
    jobs : list of Job
    n_parts : int, default=1
        Into how many stacks those of one kind are divided at least, where there are as many.

    Yields
    ------
    list of Job
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
    by_hooks = made[0][1][0].method is not None
    kind = HookedTraining if by_hooks else StackedTraining
    engine = kind([members for _, members in made], group[0].device)
    with torch.no_grad():
        outcomes = iter(engine.run())
    for jobs, members in made:
        for job, member in zip(jobs, members, strict=True):
            job.outcome, job.n_batches = next(outcomes), len(member.batches)
            if job.early_stop is not None:
                job.early_stop.best = job.outcome.best
                job.outcome = job.outcome._replace(best=None)
