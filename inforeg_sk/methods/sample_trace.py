"""The Fisher trace of single samples (paper, eq. 7), measured at the end of an epoch."""

from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ..network.encoders import is_light
from ..network.sample_norms import (
    EncoderCalls,
    looped_norms,
    measuring,
    squared_norm,
    vmapped_norms,
)
from ..network.taps import LayerTaps, can_be_tapped
from .curves import Curve
from .losses import per_sample_loss
from .monitors import FisherTrace, Monitor

__all__ = ["SampleFisherTrace", "draw_rows", "sample_losses", "with_sample_traces"]

# Ways to the gradient norms of the samples of an encoder, the fastest first. "network" is what they
# all mean: one pass of the whole network, and one backward pass, for each sample.
_WAYS = ("layers", "torch.func", "loop", "network")
# Samples at a time of encoders that take little memory, or where batches are all of the data.
_LIGHT = 1024


class SampleFisherTrace(Monitor):
    """Records each encoder's Fisher trace as eq. 7 of the paper has it.

    That is the mean over samples of the squared norm of the gradient, over all trainable parameters
    of the encoder, of the loss that a batch of this one sample has, joint and unimodal. Sample
    weights are those of the mean, so that a sample of weight 2 counts like two. It is measured
    after the last step of an epoch, in evaluation mode: no dropout, no modality dropout, batch
    normalisation by its running statistics.

    The mean of an encoder is over `n_samples` samples that have the modality, and a weight, drawn
    once from the training part. They are the same in all epochs, so that the growth of a trace is
    that of the encoder and not of the draw. A modality that no sample has gets 0.

    Parameters
    ----------
    loss_weights : callable
        `BalancingMethod.loss_weights` of the method.
    n_samples : int or None
        None takes all that there are.
    batch_size : int
        Samples that the network gets at a time; -1 for all.
    """

    # What is known of the training part, and the rows that are measured.
    _samples: Any
    _rows: Any
    curves = {"fisher_trace": Curve("Fisher trace of the encoder, over single samples")}

    needs_graph = False  # it makes passes of its own

    def __init__(self, loss_weights, n_samples, batch_size):
        self._loss_weights = loss_weights
        self._n_samples = n_samples
        self._batch_size = batch_size
        self._samples, self._rows, self._shares = None, None, {}
        self._parameters: dict[str, list] = {}
        self._ways: dict[str, str] = {}
        self._checked: set[str] = set()  # encoders whose way has proved right

    def on_epoch_end(self, epoch):
        training = epoch.training
        # Hooks do not reach into a compiled network.
        network = getattr(epoch.network, "_orig_mod", epoch.network)
        if self._rows is None:
            self._samples = training.samples
            seed = training.generator.initial_seed()
            self._rows, self._shares = draw_rows(
                self._samples, network.modalities, self._n_samples, seed
            )
        names = self._choose_ways(network, epoch.parameters)
        zero = torch.zeros((), dtype=torch.float64, device=training.device)
        totals: dict[str, Tensor] = {}
        with measuring(network, training.device):
            for start in range(0, len(self._rows), self._size(network)):
                chunk = slice(start, start + self._size(network))
                rows = self._rows[chunk]
                for name, norms in self._norms(names, rows, network, epoch).items():
                    share = self._shares[name][chunk][self._having(name, rows)]
                    share = share.to(norms.device, non_blocking=True)
                    total = torch.where(share > 0, norms.double() * share, 0).sum()
                    totals[name] = totals.get(name, zero) + total
        epoch.record("fisher_trace", {m: totals.get(m, zero) for m in network.modalities})

    def _size(self, network):
        """How many samples the network gets at a time."""
        n_rows = max(1, len(self._rows))
        if self._batch_size == -1 or all(map(is_light, network.encoders.values())):
            return min(n_rows, _LIGHT)
        return min(n_rows, self._batch_size)

    def _having(self, name, rows):
        """Which of some rows have a modality (Tensor of bool)."""
        return self._samples.presence.mask(name)[rows]

    # Ways

    def _choose_ways(self, network, parameters):
        """Choose a way for each encoder that has something to train; return their names."""
        trainable = {name: p.trainable for name, p in parameters.items() if p.trainable}
        ids = {name: [id(p) for p in trained] for name, trained in trainable.items()}
        if ids != {name: [id(p) for p in trained] for name, trained in self._parameters.items()}:
            encoders = network.encoders
            users = Counter(p for part in _parts(network) for p in set(part.parameters()))
            self._ways, self._checked = {}, set()
            for name, trained in trainable.items():
                if any(users[p] > 1 for p in trained):
                    way = "network"
                else:
                    way = "layers" if can_be_tapped(encoders[name]) else "torch.func"
                self._ways[name] = way
        self._parameters = trainable
        return list(trainable)

    def _norms(self, names, rows, network, epoch):
        """Squared gradient norms of those samples that have the modality, by name of the encoder.

        At first what the fast ways give is compared with the slow one, since an encoder can do
        things to its samples that are not to be seen from outside.
        """
        present = {name: self._having(name, rows) for name in names}
        names = [name for name in names if present[name].any()]
        found: dict[str, Tensor] = {}
        while pending := [name for name in names if name not in found]:
            slow = [name for name in pending if self._ways[name] == "network"]
            if slow:
                norms = self._norms_one_by_one(slow, rows, network, epoch)
                found.update({name: norms[name][present[name]] for name in slow})
            if fast := [name for name in pending if name not in slow]:
                found.update(self._norms_at_once(fast, rows, network, epoch, present))
            unchecked = [n for n in found if n in fast and n not in self._checked]
            for name in self._doubtful(unchecked, found, rows, network, epoch, present):
                self._ways[name] = "network"
                del found[name]
            self._checked.update(unchecked)
        return found

    def _doubtful(self, names, found, rows, network, epoch, present):
        """Encoders whose norms are not those of single samples, where these are largest (list)."""
        if not names:
            return []
        doubtful = []
        largest = torch.stack([found[name].argmax() for name in names]).tolist()
        for name, index in zip(names, largest, strict=True):
            row = rows[present[name]][index : index + 1]
            expected = self._norms_one_by_one([name], row, network, epoch)[name][0]
            got = found[name][index].to(expected)
            # What tells rounding, also that of TF32, from a wrong assumption.
            rtol = 10 * torch.finfo(expected.dtype).eps ** 0.5
            if not torch.isclose(got, expected, rtol=rtol, atol=0, equal_nan=True):
                doubtful.append(name)
        return doubtful

    # Measuring

    def _norms_one_by_one(self, names, rows, network, epoch):
        """Norms of all rows, by one pass of the network for each."""
        norms: dict[str, list] = {name: [] for name in names}
        wanted = {id(p): p for name in names for p in self._parameters[name]}
        for row in rows.tolist():
            batch = epoch.training.run_on([row], network=network, epoch=epoch)
            loss = batch.weighted_loss(self._loss_weights(batch))
            found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
            gradients = dict(zip(wanted, found, strict=True))
            for name in names:
                norm = squared_norm([gradients[id(p)] for p in self._parameters[name]])
                norms[name].append(torch.as_tensor(norm, device=loss.device, dtype=loss.dtype))
        return {name: torch.stack(found) for name, found in norms.items()}

    def _norms_at_once(self, names, rows, network, epoch, present):
        """Norms of the rows that have the modality, without the encoders whose way has failed."""
        encoders = network.encoders
        like = next(network.head.parameters()).detach()
        taps, calls = {}, {}
        with ExitStack() as stack:
            for name in names:
                if self._ways[name] == "layers":
                    taps[name] = LayerTaps(encoders[name], like)
                    stack.enter_context(taps[name].listening(int(present[name].sum())))
                else:
                    calls[name] = EncoderCalls(encoders[name])
                    stack.enter_context(calls[name].listening())
            batch = epoch.training.run_on(rows.tolist(), network=network, epoch=epoch)
        loss = sample_losses(batch, self._loss_weights(batch)).sum()
        inputs = {name: tap.token for name, tap in taps.items()}
        inputs.update({name: batch.features[name] for name in calls})
        # Samples do not influence one another, so that the sum has the gradients of each.
        got = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
        gradients = dict(zip(inputs, got, strict=True))
        found = {name: tap.norms for name, tap in taps.items() if not tap.failed}
        for name, call in calls.items():
            norms = self._norms_of_features(
                name, encoders[name], call.calls, gradients[name], present
            )
            if norms is not None:
                found[name] = norms
        for name in names:
            if name not in found:
                self._ways[name] = _WAYS[_WAYS.index(self._ways[name]) + 1]
        return found

    def _norms_of_features(self, name, encoder, calls, gradients, present):
        """Norms by the gradients of features, or None if that fails."""
        having = present[name].nonzero()[:, 0]
        if len(calls) != 1:
            return None
        if gradients is None:  # the loss does not depend on the modality
            return next(encoder.parameters()).new_zeros(len(having))
        if not present[name].all():
            gradients = gradients[having.to(gradients.device, non_blocking=True)]
        if self._ways[name] == "loop":
            return looped_norms(encoder, calls[0], gradients)
        try:
            return vmapped_norms(encoder, calls[0], gradients)
        except Exception:  # torch.func has no rule for this encoder, or its code asks for values
            return None


def _parts(network):
    """The parts of a network, each encoder by itself, also where two are one."""
    encoders = list(network.encoders.values())
    return [*encoders, *(part for part in network.children() if part not in encoders)]


def draw_rows(samples, modalities, n_samples, seed):
    """Draw the samples of which traces are taken: as many of each modality.

    Parameters
    ----------
    samples : PartSamples
        Weight and presence of the training part.
    modalities : sequence of str
    n_samples : int or None
        Of each modality; fewer if there are no more. None: all.
    seed : int

    Returns
    -------
    rows : Tensor of int64 of shape (n_rows,)
        In order.
    shares : dict of str to Tensor of float64 of shape (n_rows,)
        Of each modality, the weights of the mean over its samples; 0 for samples that do not count.
    """
    presence, weight = samples.presence, samples.weight
    order = torch.randperm(presence.n_samples, generator=torch.Generator().manual_seed(seed))
    if weight is not None:
        order = order[weight[order] > 0]
    chosen = {}
    for name in modalities:
        having = order if name not in presence.masks else order[presence.masks[name][order]]
        chosen[name] = having[:n_samples]
    rows = torch.cat(list(chosen.values())).unique()
    shares = {}
    for name, some in chosen.items():
        share = torch.isin(rows, some).double()
        share = share if weight is None else share * weight[rows]
        shares[name] = share / share.sum() if len(some) else share
    return rows, shares


def sample_losses(batch, weights):
    """Loss of each sample, as a batch of it alone would have it, without weights.

    Parameters
    ----------
    batch : BatchContext
    weights : dict of str to float
        See `BatchContext.weighted_loss`.

    Returns
    -------
    Tensor of shape (n_samples,)
    """

    def term(prediction, modality=None):
        losses = per_sample_loss(batch.criterion, prediction, batch.target)
        mask = batch.presence.masks.get(modality)
        return losses if mask is None else losses * mask

    terms = [weights["joint"] * term(batch.logits)] if weights.get("joint") else []
    terms += [
        weights[name] * term(batch.unimodal_logits[name], name)
        for name in batch.features
        if weights.get(name)
    ]
    return sum(terms[1:], start=terms[0])


def with_sample_traces(monitors, loss_weights, n_samples, batch_size):
    """Monitors with `SampleFisherTrace` in the place of `FisherTrace`.

    Parameters
    ----------
    monitors : list of Monitor
    loss_weights, n_samples, batch_size :
        See `SampleFisherTrace`.

    Returns
    -------
    list of Monitor

    Raises
    ------
    ValueError
        If another monitor measures the trace.
    """
    found = []
    for monitor in monitors:
        if type(monitor) is FisherTrace:
            monitor = SampleFisherTrace(loss_weights, n_samples, batch_size)
        elif "fisher_trace" in monitor.curves:
            raise ValueError(
                f"the monitor {type(monitor).__name__} measures the Fisher trace in its own way"
            )
        found.append(monitor)
    return found
