"""Many networks of one architecture, trained as one.

A step of all of them is a dozen products, and costs little more bookkeeping than a step of one.
Each member keeps its own samples, order, weights and settings. The formulas are those of
`inforeg_sk.methods`.
"""

import numpy as np
import torch
from torch import nn

from ..functional import (
    batch_score,
    cross_entropy_losses,
    pairwise_batch_scores,
    pairwise_performance_gap,
    performance_gap,
    pull_share,
    regulation_coefficient,
    squared_losses,
)
from ..methods.context import SCORES
from .members import EpochOfMember, Outcome, Verdict
from .stacked_network import StackedNetwork

__all__ = ["StackedTraining"]

#: Bytes of the samples that are gathered at a time, and of features in evaluation.
_GATHERED_BYTES = 16 * 2**20


class StackedTraining:
    """Trains members together.

    Parameters
    ----------
    streams : list of list of Member
        Each list shares samples and order. All lists are of the same length, or of length 1, and
        those with more batches come first.
    device : torch.device
        Where they train; samples and order move there.
    """

    def __init__(self, streams, device):
        if len({len(stream) for stream in streams}) != 1:
            raise ValueError("all streams must have the same number of members")
        if [len(s[0].batches) for s in streams] != sorted(
            (len(s[0].batches) for s in streams), reverse=True
        ):
            raise ValueError("streams must come in falling order of their numbers of batches")
        members = [member for stream in streams for member in stream]
        self._outcomes = [None] * len(members)
        first = members[0]
        self._n_epochs = first.n_epochs
        self._modalities = first.network.modalities
        self._rule = SCORES[first.score]
        self._monitored = bool(first.traced)
        self._after_regulation = first.after_regulation
        self._criterion = first.criterion
        self._smoothing = getattr(first.criterion, "label_smoothing", 0.0)
        self._net = StackedNetwork(
            [member.network for member in members],
            len(streams[0]),
            [member.optimizer for member in members],
            first.traced,
            device,
        )
        self._take(streams, range(len(members)))

    def _take(self, streams, places):
        """Begin with these members, or go on with some; `places` are those in the results."""
        self._places = list(places)
        self._members = [member for stream in streams for member in stream]
        self._per_stream = len(streams[0])
        self._orders = [stream[0].batches for stream in streams]
        self._n_batches = [len(order) for order in self._orders]
        self._batch_counts = self._send(self._of_members(torch.tensor(self._n_batches)))[:, None]
        self._betas = self._column([[member.run.beta] for member in self._members])
        means = self._column([member.mean_weights for member in self._members])
        self._mean_weights = means.T[:, :, None]
        unimodal = [member.run.unimodal_weight for member in self._members]
        self._any_unimodal = any(unimodal)
        #: Weights of the joint loss and of the unimodal ones, by member.
        self._terms = self._like.new_ones(1 + len(self._modalities), len(self._members))
        self._terms[1:] = self._column([unimodal])[0]
        self._best = None
        self._known_shares = {}
        self._join_samples([stream[0] for stream in streams])

    @property
    def _like(self):
        return self._net.like

    def _column(self, values):
        return torch.tensor(values, dtype=torch.float64).to(self._like)

    def _send(self, tensor):
        return tensor.to(self._net.device)

    def _of_members(self, of_streams):
        return of_streams.repeat_interleave(self._per_stream, dim=0)

    def _join_samples(self, firsts):
        """The samples of all streams as one tensor for each modality; streams may share them."""
        offsets, start, unique = {}, 0, []
        for samples in (member.samples for member in firsts):
            if id(samples) not in offsets:
                offsets[id(samples)] = start
                start += len(samples.target)
                unique.append(samples)

        def joined(get, dim=0):
            parts = [get(samples) for samples in unique]
            return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts, dim)

        def sent(get):
            return self._send(joined(get))

        self._offsets = [offsets[id(member.samples)] for member in firsts]
        self._inputs = [sent(lambda s, m=m: s.inputs[m]) for m in self._modalities]
        self._target = sent(lambda s: s.target)
        self._weight = None if firsts[0].samples.weight is None else sent(lambda s: s.weight)
        # On the CPU: steps ask which encoders rest.
        self._present = joined(lambda s: s.present, dim=1)
        self._held_out = None
        if firsts[0].held_out is not None:
            rows = [[member.held_out] for member in firsts]
            self._held_out = self._padded(rows)

    # Training

    def run(self):
        """Train all members for their epochs, or until they stop; the weights are in them then.

        Returns
        -------
        list of Outcome
            Of the members in their order.
        """
        for epoch in range(self._n_epochs):
            verdicts = self._run_epoch(epoch)
            if any(verdict.is_best for verdict in verdicts):
                self._keep_best([verdict.is_best for verdict in verdicts])
            if any(verdict.stops for verdict in verdicts):
                for i, verdict in enumerate(verdicts):
                    if verdict.stops:
                        self._finish(i)
                if not self._drop_finished():
                    break
        for i in self._active():
            self._finish(i)
        return self._outcomes

    def _active(self):
        """The members that have not stopped (list of int)."""
        return [i for i, place in enumerate(self._places) if self._outcomes[place] is None]

    def _keep_best(self, are_best):
        if self._best is None:
            self._best = [p.clone() for p in self._net.parameters]
        index = torch.tensor(are_best)
        for best, p in zip(self._best, self._net.parameters, strict=True):
            best[index] = p[index]

    def _finish(self, i):
        """Keep what a member has come to; the stack may go on with its weights for a while."""
        self._net.write_back(i)
        self._net.silence(i)
        best = None if self._best is None else [p[i].clone() for p in self._best]
        shuffling = self._members[i].batches.generator.get_state()
        outcome = Outcome(self._net.optimizer_state(i), shuffling, best)
        self._outcomes[self._places[i]] = outcome

    def _drop_finished(self):
        """Leave out members that have stopped, where that makes the stack smaller.

        All streams keep as many members as the largest needs, so that some go along for nothing.

        Returns
        -------
        bool
            Whether any member goes on.
        """
        a = self._per_stream
        ends = np.ones(len(self._members), dtype=bool)
        ends[self._active()] = False
        active = (~ends).reshape(-1, a).sum(axis=1)
        largest = active.max()
        if not largest:
            return False
        if largest == a and active.all():
            return True
        streams, kept = [], []
        for s in np.flatnonzero(active):
            rows = np.arange(s * a, (s + 1) * a)
            # Those that go on come first, and some that have ended fill the stream.
            chosen = np.sort(rows[np.argsort(ends[rows], kind="stable")][:largest])
            kept += chosen.tolist()
            streams.append([self._members[i] for i in chosen])
        best = self._best
        self._net.keep(kept, int(largest))
        self._take(streams, [self._places[i] for i in kept])
        self._best = (
            None if best is None else [p[torch.tensor(kept, device=p.device)] for p in best]
        )
        return True

    def _padded(self, orders):
        """Rows of batches (n_streams, n_batches, largest) as a Tensor, and their sizes."""
        largest = max(len(rows) for order in orders for rows in order)
        n_batches = max(map(len, orders))
        index = np.zeros((len(orders), n_batches, largest), dtype=np.int64)
        sizes = np.zeros((len(orders), n_batches), dtype=np.int64)
        for i, (order, offset) in enumerate(zip(orders, self._offsets, strict=True)):
            for j, rows in enumerate(order):
                index[i, j, : len(rows)] = rows
                sizes[i, j] = len(rows)
            index[i] += offset
        return torch.from_numpy(index), sizes

    def _run_epoch(self, epoch):
        self._index, self._sizes = self._padded([order.epoch() for order in self._orders])
        n_batches, largest = self._index.shape[1:]
        self._sent_index = self._send(self._index)
        self._targets = self._of_members(self._target[self._sent_index])
        if self._weight is not None:
            self._weights = self._of_members(self._weight[self._sent_index])
        self._begin_regulation(epoch)
        k, m = len(self._members), len(self._modalities)
        kept = {"joint": (n_batches, k), "objective": (n_batches, k)}
        kept |= {name: (n_batches, k, m) for name in self._kept_quantities()}
        kept = {name: self._like.new_zeros(shape) for name, shape in kept.items()}
        row = sum(x.shape[1] for x in self._inputs) * self._like.element_size()
        at_once = max(1, _GATHERED_BYTES // (row * largest * len(self._orders)))
        for first in range(0, n_batches, at_once):
            self._gather(first, min(first + at_once, n_batches))
            for j in range(first, min(first + at_once, n_batches)):
                self._step(j, kept)
        held_out = None if self._held_out is None else self._evaluate()
        return self._end_epoch(epoch, {name: v.cpu().numpy() for name, v in kept.items()}, held_out)

    def _kept_quantities(self):
        """Names of what a step keeps of each modality, in the order of the history."""
        kept = ["fisher_trace", "performance_score"] if self._monitored else []
        kept += [] if self._alpha is None else ["coefficient"]
        if self._after_regulation:  # measured last
            kept = [*kept[1:], "fisher_trace"]
        return kept

    def _gather(self, first, stop):
        """Gather the samples of some batches at once."""
        index = self._sent_index[:, first:stop]
        rows = index.reshape(-1)
        self._block = [x.index_select(0, rows).view(*index.shape, -1) for x in self._inputs]
        self._block_starts = first

    def _begin_regulation(self, epoch):
        active = self._active()
        runs = [self._members[i].run for i in active]
        alphas = [None] * len(self._members)
        for i, alpha in zip(active, runs[0].begin_epoch(runs, epoch), strict=True):
            alphas[i] = alpha
        self._alpha = self._reference = None
        self._regulates = [alpha is not None for alpha in alphas]
        if any(self._regulates):
            zeros = [0.0] * len(self._modalities)
            self._alpha = self._column([zeros if alpha is None else alpha for alpha in alphas])
            self._reference = self._net.encoder_weights()
            self._by_gradient = runs[0].pull == "gradient"

    def _end_epoch(self, epoch, kept, held_out):
        joint, objective = kept.pop("joint"), kept.pop("objective")
        values = self._epoch_values(kept)
        verdicts = [Verdict()] * len(self._members)
        for i in self._active():
            stream = i // self._per_stream
            n = self._n_batches[stream]
            result = EpochOfMember(
                joint[:n, i].tolist(),
                objective[:n, i].tolist(),
                self._sizes[stream, :n].tolist(),
                values[i],
                None if held_out is None else held_out[i],
            )
            verdicts[i] = self._members[i].run.end_epoch(epoch, result)
        return verdicts

    def _epoch_values(self, kept):
        """By member, the epoch's values of each quantity and its labels (list of dict)."""
        means = {}
        for n in set(self._n_batches):
            for name, array in kept.items():
                found = _mean(array[:n].astype(np.float64))
                if name == "fisher_trace" and self._after_regulation:
                    found = found * n  # the sum over batches
                means[n, name] = found.tolist()
        return [
            {
                (name, self._modalities): means[self._n_batches[i // self._per_stream], name][i]
                for name in kept
                if name != "coefficient" or regulates
            }
            for i, regulates in enumerate(self._regulates)
        ]

    def _step(self, j, kept):
        """One step of the members that have a batch `j`: those of the first streams."""
        n_streams = sum(n > j for n in self._n_batches)
        k = n_streams * self._per_stream
        sizes = self._sizes[:n_streams, j]
        largest = int(sizes.max())
        at = j - self._block_starts
        inputs = [x[:n_streams, at, :largest] for x in self._block]
        target = self._targets[:k, j, :largest]
        weight = None if self._weight is None else self._weights[:k, j, :largest]
        there = self._there(sizes, largest)
        present = used = None
        if self._present is not None:
            found, used = self._presence(self._index[:n_streams, j, :largest], there)
            present = found.to(self._like)
        drawn = self._drawn(sizes, None if present is None else found)
        share = self._shares(k, sizes, largest, there, weight, present)
        passed = self._net.forward(inputs, k, present, drawn)
        logits = self._net.logits(passed[0], k)
        found = self._losses(logits, target, share)
        gradients = self._net.backward(found.gradient, passed, k, present, self._any_unimodal)
        each = (found.losses * self._counts).sum(dim=-1)  # (1 + n_modalities, k)
        kept["joint"][j, :k] = each[0]
        objective = each[0]
        if self._any_unimodal:
            objective = objective + (self._terms[1:, :k] * each[1:]).sum(dim=0)
        kept["objective"][j, :k] = objective
        gap = None
        if self._monitored:
            scores, gap = self._scores(found, there, weight, present)
            kept["performance_score"][j, :k] = scores
            if not self._after_regulation:
                kept["fisher_trace"][j, :k] = self._net.traces(gradients, k)
        coefficient = None
        if self._alpha is not None:
            coefficient = regulation_coefficient(gap(), self._alpha[:k], self._betas[:k])
            kept["coefficient"][j, :k] = coefficient
            if self._by_gradient:
                self._net.pull_gradients(gradients, self._reference, coefficient, k)
        if self._monitored and self._after_regulation:
            kept["fisher_trace"][j, :k] = self._net.traces(gradients, k)
        self._net.step(gradients, k, used)
        if coefficient is not None and not self._by_gradient:
            share = pull_share(coefficient, self._batch_counts[:k])
            self._net.pull_weights(self._reference, share, k)

    def _there(self, sizes, largest):
        """1 where a member has a sample (k, n_samples), 0 where others only; None: all have."""
        if (sizes == largest).all():
            return None
        there = np.arange(largest)[None] < sizes[:, None]
        return self._of_members(torch.from_numpy(there)).to(self._like)

    def _presence(self, index, there):
        """Whether a sample has a modality (n_modalities, k, n_samples); which encoders have any."""
        present = self._present[:, index].repeat_interleave(self._per_stream, dim=1)
        if there is not None:
            present &= there.cpu().bool()
        return present, present.any(dim=-1).T.numpy()

    def _drawn(self, sizes, present):
        """By modality and member, the samples that dropout draws for."""
        if present is None:
            rows = [slice(n) for n in np.repeat(sizes, self._per_stream).tolist()]
            return [rows] * len(self._modalities)
        return [[mask.nonzero()[:, 0] for mask in of_modality] for of_modality in present]

    def _shares(self, k, sizes, largest, there, weight, present):
        """What the loss of each sample counts in its gradient, by term.

        The same without the weights of the terms is in `_counts`.
        """
        key = (k, largest, sizes.tobytes())
        alike = weight is None and present is None
        if alike and key in self._known_shares:
            share, self._counts = self._known_shares[key]
            return share
        n = self._of_members(torch.from_numpy(sizes)).to(self._like)[:, None]
        if weight is None:
            counts = (1 / n).expand(k, largest)[None]
        else:
            counts = (weight / self._mean_weights[0, :k] / n)[None]
        counts = counts if there is None else counts * there
        if present is not None:
            # Of each modality the mean is over the samples that have it.
            n = present.sum(dim=-1, keepdim=True).clamp(min=1)
            each = present / n
            if weight is not None:
                each = each * (weight / self._mean_weights[1:, :k])
            counts = torch.cat([counts, each])
        self._counts = counts
        share = self._terms[:, :k, None] * counts
        if alike:
            self._known_shares[key] = share, counts
        return share

    def _losses(self, logits, target, share):
        if isinstance(self._criterion, nn.MSELoss):
            return squared_losses(logits, target, share, dim=-2)
        return cross_entropy_losses(logits, target, share, self._smoothing, dim=-2)

    def _scores(self, found, there, weight, present):
        """Scores (k, n_modalities), NaN where they mean nothing; and what gives the gaps."""
        if self._rule is SCORES["negative_loss"]:
            each = -found.losses[1:]
        else:
            each = found.log_probability[1:]
            each = each.exp() if self._rule is SCORES["probability_sum"] else each
        each = each.transpose(0, 1)  # (k, n_modalities, n_samples)
        mean = self._rule.mean
        counted = None if present is None else present.transpose(0, 1)
        if counted is None and there is not None:
            counted = there[:, None].expand(each.shape)
        if weight is not None:
            of_all = weight[:, None].expand(each.shape)
            counted = of_all if counted is None else counted * of_all
        scores = batch_score(each, counted, mean=mean)
        reported = scores
        if weight is not None or present is not None:
            reported = scores.masked_fill(counted.sum(dim=-1) == 0, torch.nan)
        if present is None:
            return reported, lambda: performance_gap(scores)
        pairs = each, present.transpose(0, 1), weight
        return reported, lambda: pairwise_performance_gap(pairwise_batch_scores(*pairs, mean=mean))

    # Held-out samples

    @torch.no_grad()
    def _evaluate(self):
        """Losses of each member's held-out samples, and which it gets right (list of tuple)."""
        index, sizes = self._held_out
        index, k = index[:, 0], len(self._members)
        widest = max(p.shape[1] for p in self._net.parameters)
        at_once = max(1, _GATHERED_BYTES // (k * widest * self._like.element_size()))
        losses, right = [], []
        for first in range(0, index.shape[1], at_once):
            rows = index[:, first : first + at_once]
            present = self._present
            present = None if present is None else self._presence(rows, None)[0].to(self._like)
            rows = self._send(rows)
            features, _ = self._net.forward([x[rows] for x in self._inputs], k, present)
            logits, target = self._net.logits(features, k)[:1], self._of_members(self._target[rows])
            losses.append(self._losses(logits, target, 1.0).losses[0])
            if target.ndim == 2:
                right.append(logits[0].argmax(dim=-2) == target)
        losses = torch.cat(losses, dim=1).double().cpu().numpy()
        right = torch.cat(right, dim=1).cpu().numpy() if right else None
        counts = np.repeat(sizes[:, 0], self._per_stream)
        return [
            (losses[i, :n], None if right is None else right[i, :n]) for i, n in enumerate(counts)
        ]


def _mean(values):
    """Mean over the first axis; NaN is left out, where a batch could not tell."""
    if not np.isnan(values).any():
        return values.mean(axis=0)
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
