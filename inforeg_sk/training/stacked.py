"""Many networks of one architecture, trained as one.

The weights of all members are stacked: what is a matrix in one network has a leading axis of
members here. A step of all of them is a dozen products, and costs little more bookkeeping than a
step of one. Each member keeps its own samples, order, weights and settings. The formulas are those
of `inforeg_sk.network.closed_form`, `inforeg_sk.methods` and torch's AdamW.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..functional import (
    cross_entropy_losses,
    performance_gap,
    pull_share,
    regulation_coefficient,
    squared_losses,
)
from ..methods.context import SCORES
from ..network.dropout import Dropout
from .optimizer import adamw_step

__all__ = ["EpochOfMember", "Member", "Regulation", "StackedTraining"]


class Member(NamedTuple):
    """One network to train, and all that is its own."""

    network: nn.Module  # of multilayer perceptrons, a concatenation and a linear head
    inputs: dict  # of str to Tensor of shape (n_samples, n_features): what the encoders get
    target: Tensor
    weight: Tensor | None
    mean_weight: float
    batches: "BatchOrder"
    regulation: "Regulation"
    optimizer: dict  # lr, betas, eps, weight_decay
    criterion: nn.Module
    score: str
    traced: list  # of (list of float): the weight of each encoder's parameters in its trace
    after_regulation: bool  # whether traces are of the gradient with the pull
    n_epochs: int


class BatchOrder:
    """The batches of one stream of samples, epoch by epoch.

    Parameters
    ----------
    sampler : iterable of list of int
    generator : torch.Generator
        Of the sampler.
    """

    def __init__(self, sampler, generator):
        self.generator = generator
        self._sampler = sampler

    def __len__(self):
        return len(self._sampler)

    def epoch(self):
        """Lists of rows, as a BlockLoader draws them."""
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        return list(self._sampler)


class EpochOfMember(NamedTuple):
    """What an epoch of a member gave."""

    losses: list  # joint loss of each batch
    objective: list  # whole loss of each batch
    sizes: list  # samples of each batch
    values: dict  # of quantity to list of float: the epoch's value of each modality


class Regulation:
    """What regulates a member: it says in each epoch how strongly; override what it needs.

    Attributes
    ----------
    unimodal_weight : float
    beta : float
    pull : {"gradient", "decoupled"}
    """

    unimodal_weight = 0.0
    beta = 0.0
    pull = "decoupled"

    def begin_epoch(self, others, epoch):
        """Begin an epoch of some members, of which this is the first.

        Parameters
        ----------
        others : list of Regulation
            Of all members, this one included.
        epoch : int

        Returns
        -------
        list of list of float, or None
            Base strength of each modality, of each member; None: it is not regulated.
        """
        return [None] * len(others)

    def end_epoch(self, epoch, result):
        """Hear what an epoch gave (an EpochOfMember)."""


#: Bytes of the samples that are gathered at a time.
_GATHERED_BYTES = 16 * 2**20


def _mean(values):
    """Mean over the first axis; NaN is left out, where a batch could not tell."""
    if not np.isnan(values).any():
        return values.mean(axis=0)
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class _Stream:
    """Members that see the same samples in the same order."""

    def __init__(self, members):
        first = members[0]
        self.inputs, self.target, self.weight = first.inputs, first.target, first.weight
        self.order = first.batches


class StackedTraining:
    """Trains members together.

    Parameters
    ----------
    streams : list of list of Member
        Each list shares samples and order. All lists are of the same length, or of length 1, and
        those with more batches come first.
    """

    def __init__(self, streams):
        if len({len(stream) for stream in streams}) != 1:
            raise ValueError("all streams must have the same number of members")
        if [len(s[0].batches) for s in streams] != sorted(
            (len(s[0].batches) for s in streams), reverse=True
        ):
            raise ValueError("streams must come in falling order of their numbers of batches")
        self._streams = [_Stream(stream) for stream in streams]
        self._members = [member for stream in streams for member in stream]
        self._per_stream = len(streams[0])
        first = self._members[0]
        self._modalities = first.network.modalities
        self._like = first.network.head.weight.detach()
        self._stack()
        self._join_samples()
        self._n_batches = [len(stream.order) for stream in self._streams]
        self._batch_counts = self._of_members(torch.tensor(self._n_batches))[:, None]
        self._rule = SCORES[first.score]
        self._monitored = bool(first.traced)

    # Stacks

    def _stack(self):
        networks = [member.network for member in self._members]

        def stacked(get):
            return torch.stack([get(network).detach() for network in networks])

        # By modality a list of weight, bias, whether a ReLU follows, and the members' dropout.
        self._encoders = []
        self._layers_of = []
        for name in self._modalities:
            chains = [list(network.encoders[name]) for network in networks]
            layers, places = [], []
            for i, layer in enumerate(chains[0]):
                if isinstance(layer, nn.Linear):
                    followed = i + 1 < len(chains[0]) and isinstance(chains[0][i + 1], nn.ReLU)
                    weight = torch.stack([chain[i].weight.detach() for chain in chains])
                    bias = torch.stack([chain[i].bias.detach() for chain in chains])
                    drops = [
                        layer
                        for chain in chains
                        for layer in chain[i + 2 : i + 3]
                        if isinstance(layer, Dropout)
                    ]
                    layers.append((weight, bias, followed, drops))
                    places.append(i)
            self._encoders.append(layers)
            self._layers_of.append(places)
        self._widths = list(networks[0].fusion.widths.values())
        self._head = stacked(lambda network: network.head.weight)
        self._head_bias = stacked(lambda network: network.head.bias)
        prior = networks[0].log_prior
        self._prior = None if prior is None else stacked(lambda n: n.log_prior)[:, :, None]
        self._parameters = [t for layers in self._encoders for w, b, *_ in layers for t in (w, b)]
        self._of_encoder = [i for i, e in enumerate(self._encoders) for _ in range(2 * len(e))]
        self._parameters += [self._head, self._head_bias]
        self._moments = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]
        self._n_steps = [0] * len(self._members)
        settings = [member.optimizer for member in self._members]
        self._settings = [(s["lr"], s["betas"], s["eps"], s["weight_decay"]) for s in settings]
        self._is_uniform = len(set(self._settings)) == 1
        # Weights of squared gradients in traces, of each parameter of an encoder.
        traced = self._members[0].traced
        weights = [w for of_encoder in traced for w in of_encoder]
        self._trace_weights = torch.tensor(weights, dtype=self._like.dtype)[:, None]
        self._betas = self._column([member.regulation.beta for member in self._members])
        uni = [member.regulation.unimodal_weight for member in self._members]
        self._unimodal = self._column(uni)[:, 0]
        self._any_unimodal = any(uni)
        self._smoothing = getattr(self._members[0].criterion, "label_smoothing", 0.0)
        self._mean_weights = self._column([member.mean_weight for member in self._members])
        #: Weights of the joint loss and of the unimodal ones.
        self._terms = self._like.new_ones(1 + len(self._modalities), len(self._members))
        self._terms[1:] = self._unimodal
        self._known_shares = {}

    def _column(self, values):
        return torch.tensor(values, dtype=torch.float64)[:, None].to(self._like)

    def _join_samples(self):
        """The samples of all streams as one tensor for each modality; streams may share them."""
        offsets, start, unique = {}, 0, []
        for stream in self._streams:
            key = id(stream.inputs)
            if key not in offsets:
                offsets[key] = start
                start += len(stream.target)
                unique.append(stream)
        self._offsets = [offsets[id(stream.inputs)] for stream in self._streams]
        one = len(unique) == 1
        self._inputs = [
            unique[0].inputs[m] if one else torch.cat([s.inputs[m] for s in unique])
            for m in self._modalities
        ]
        self._target = torch.cat([stream.target for stream in unique])
        weighted = self._streams[0].weight is not None
        self._weight = torch.cat([s.weight for s in unique]) if weighted else None

    # Training

    def run(self):
        """Train all members for their epochs, which are the same number; results are in them."""
        for epoch in range(self._members[0].n_epochs):
            self._run_epoch(epoch)
        self._write_back()

    def _run_epoch(self, epoch):
        orders = [stream.order.epoch() for stream in self._streams]
        largest = max(len(rows) for order in orders for rows in order)
        n_batches = self._n_batches[0]
        index = np.zeros((len(orders), n_batches, largest), dtype=np.int64)
        sizes = np.zeros((len(orders), n_batches), dtype=np.int64)
        for i, (order, offset) in enumerate(zip(orders, self._offsets, strict=True)):
            for j, rows in enumerate(order):
                index[i, j, : len(rows)] = rows
                sizes[i, j] = len(rows)
            index[i] += offset
        self._index, self._sizes = torch.from_numpy(index), sizes
        self._targets = self._of_members(self._target[self._index])
        if self._weight is not None:
            self._weights = self._of_members(self._weight[self._index])
        self._begin_regulation(epoch)
        k, m = len(self._members), len(self._modalities)
        kept = {"joint": (n_batches, k), "objective": (n_batches, k)}
        if self._monitored:
            kept |= dict.fromkeys(("fisher_trace", "performance_score"), (n_batches, k, m))
        if self._alpha is not None:
            kept["coefficient"] = (n_batches, k, m)
        if self._members[0].after_regulation:  # measured last
            kept["fisher_trace"] = kept.pop("fisher_trace")
        kept = {name: self._like.new_zeros(shape) for name, shape in kept.items()}
        row = sum(x.shape[1] for x in self._inputs) * self._like.element_size()
        at_once = max(1, _GATHERED_BYTES // (row * largest * len(orders)))
        for first in range(0, n_batches, at_once):
            self._gather(first, min(first + at_once, n_batches))
            for j in range(first, min(first + at_once, n_batches)):
                self._step(j, kept)
        self._end_epoch(epoch, {name: values.numpy() for name, values in kept.items()})

    def _gather(self, first, stop):
        """Gather the samples of some batches at once."""
        index = self._index[:, first:stop]
        rows = index.reshape(-1)
        self._block = [x.index_select(0, rows).view(*index.shape, -1) for x in self._inputs]
        self._block_starts = first

    def _begin_regulation(self, epoch):
        regulations = [member.regulation for member in self._members]
        alphas = regulations[0].begin_epoch(regulations, epoch)
        self._alpha = self._reference = None
        self._regulates = [alpha is not None for alpha in alphas]
        if any(self._regulates):
            zeros = [0.0] * len(self._modalities)
            rows = [zeros if alpha is None else alpha for alpha in alphas]
            self._alpha = torch.tensor(rows, dtype=torch.float64).to(self._like)
            self._reference = [p.clone() for p in self._parameters[: len(self._of_encoder)]]
            self._by_gradient = self._members[0].regulation.pull == "gradient"

    def _end_epoch(self, epoch, kept):
        joint, objective = kept.pop("joint"), kept.pop("objective")
        means = {}
        for n in set(self._n_batches):
            for name, array in kept.items():
                found = _mean(array[:n].astype(np.float64))
                if name == "fisher_trace" and self._members[0].after_regulation:
                    found = found * n  # the sum over batches
                means[n, name] = found.tolist()
        for i, member in enumerate(self._members):
            stream = i // self._per_stream
            n = self._n_batches[stream]
            result = EpochOfMember(
                joint[:n, i].tolist(),
                objective[:n, i].tolist(),
                self._sizes[stream, :n].tolist(),
                {
                    name: means[n, name][i]
                    for name in kept
                    if name != "coefficient" or self._regulates[i]
                },
            )
            member.regulation.end_epoch(epoch, result)

    def _step(self, j, kept):
        """One step of the members that have a batch `j`: those of the first streams."""
        n_streams = sum(n > j for n in self._n_batches)
        k = n_streams * self._per_stream
        sizes = self._sizes[:n_streams, j]
        largest = int(sizes.max())
        at = j - self._block_starts
        inputs = [x[:n_streams, at, :largest] for x in self._block]
        target = self._targets[:k, j, :largest]
        share, mask, weight = self._shares(j, k, sizes, largest)
        features, saved = self._forward(inputs, k, self._of_members(torch.from_numpy(sizes)))
        logits = self._logits(features, k)
        found = self._losses(logits, target, share)
        gradients = self._backward(found.gradient, features, saved, inputs, k)
        each = (found.losses * self._counts).sum(dim=-1)  # (1 + n_modalities, k)
        kept["joint"][j, :k] = each[0]
        objective = each[0]
        if self._any_unimodal:
            objective = objective + self._unimodal[:k] * each[1:].sum(dim=0)
        kept["objective"][j, :k] = objective
        if self._monitored:
            scores = self._scores(found, mask, weight, sizes)
            kept["performance_score"][j, :k] = scores
            if weight is not None:  # without any weight a score means nothing
                nothing = (weight.sum(dim=-1) == 0)[:, None]
                kept["performance_score"][j, :k].masked_fill_(nothing, torch.nan)
            if not self._members[0].after_regulation:
                kept["fisher_trace"][j, :k] = self._traces(gradients, k)
        coefficient = None
        if self._alpha is not None:
            gap = performance_gap(scores)
            coefficient = regulation_coefficient(gap, self._alpha[:k], self._betas[:k])
            kept["coefficient"][j, :k] = coefficient
            if self._by_gradient:
                self._pull_gradients(gradients, coefficient, k)
        if self._monitored and self._members[0].after_regulation:
            kept["fisher_trace"][j, :k] = self._traces(gradients, k)
        self._update(gradients, k)
        if coefficient is not None and not self._by_gradient:
            self._pull_weights(pull_share(coefficient, self._batch_counts[:k]), k)

    def _of_members(self, of_streams):
        return of_streams.repeat_interleave(self._per_stream, dim=0)

    def _shares(self, j, k, sizes, largest):
        """What the loss of each sample counts in its gradient, by term; and which are there."""
        key = (k, largest, sizes.tobytes())
        if self._weight is None and key in self._known_shares:
            share, mask, self._counts = self._known_shares[key]
            return share, mask, None
        like = self._like
        n = self._of_members(torch.from_numpy(sizes)).to(like)[:, None]
        mask = weight = None
        if not (sizes == largest).all():
            there = np.arange(largest)[None] < sizes[:, None]
            mask = self._of_members(torch.from_numpy(there)).to(like)
        counts = (1 / n).expand(k, largest) if mask is None else mask / n
        if self._weight is not None:
            weight = self._weights[:k, j, :largest]
            weight = weight if mask is None else weight * mask
            counts = weight / self._mean_weights[:k] / n
        self._counts = counts
        share = self._terms[:, :k, None] * counts
        if weight is None:
            self._known_shares[key] = share, mask, counts
        return share, mask, weight

    def _forward(self, inputs, k, sizes):
        """Features (k, n_samples, width) of each modality; inputs and dropout of each layer."""
        features, saved = [], []
        for x, layers in zip(inputs, self._encoders, strict=True):
            kept = []
            for i, (weight, bias, followed, drops) in enumerate(layers):
                below = x
                if i == 0:
                    x = self._first_layer(x, weight[:k], bias[:k])
                else:
                    x = torch.baddbmm(bias[:k, None], x, weight[:k].mT)
                if followed:
                    x = x.relu_()
                factors = self._draw(drops[:k], x, sizes)
                x = x if factors is None else x * factors
                kept.append((below, factors))
            if not layers:
                x = self._of_members(x)
            features.append(x)
            saved.append(kept)
        return features, saved

    @staticmethod
    def _draw(drops, x, sizes):
        """What dropout multiplies features by, each member's from its own generator; or None."""
        if not drops:
            return None
        factors = torch.zeros_like(x)
        for i, (layer, n) in enumerate(zip(drops, sizes.tolist(), strict=True)):
            factors[i, :n] = layer.factors(x[i, :n])
        return factors

    def _first_layer(self, x, weight, bias):
        """One product for all members of a stream, which get the same samples."""
        s, n, _ = x.shape
        a, out = self._per_stream, weight.shape[1]
        if a == 1:
            return torch.baddbmm(bias[:, None], x, weight.mT)
        wide = weight.reshape(s, a * out, -1)
        found = torch.baddbmm(bias.reshape(s, 1, a * out), x, wide.mT)
        return found.view(s, n, a, out).transpose(1, 2).reshape(s * a, n, out)

    def _logits(self, features, k):
        """Joint and unimodal logits, (1 + n_modalities, k, n_outputs, n_samples)."""
        head, bias = self._head[:k], self._head_bias[:k, :, None] / len(features)
        shape = (1 + len(features), k, head.shape[1], features[0].shape[1])
        logits = features[0].new_empty(shape)
        joint, *each = logits.unbind()
        for z, block, out in zip(features, head.split(self._widths, dim=2), each, strict=True):
            torch.baddbmm(bias, block, z.mT, out=out)
        torch.sum(logits[1:], dim=0, out=joint)
        return logits if self._prior is None else logits.add_(self._prior[:k])

    def _losses(self, logits, target, share):
        if isinstance(self._members[0].criterion, nn.MSELoss):
            return squared_losses(logits, target, share, dim=-2)
        return cross_entropy_losses(logits, target, share, self._smoothing, dim=-2)

    def _backward(self, gradient, features, saved, inputs, k):
        """Gradients in the order of the parameters."""
        terms = gradient[1:] + gradient[:1] if self._any_unimodal else None
        head = self._head[:k]
        blocks = head.split(self._widths, dim=2)
        encoders, of_head = [], []
        for i, (z, block, layers, kept) in enumerate(
            zip(features, blocks, self._encoders, saved, strict=True)
        ):
            term = gradient[0] if terms is None else terms[i]
            of_head.append(term @ z)
            upper = term.mT @ block if layers else None
            out, found = z, []
            for j in range(len(layers) - 1, -1, -1):
                weight, _, followed, _ = layers[j]
                below, factors = kept[j]
                if factors is not None:
                    upper = upper * factors
                if followed:  # where a unit was dropped, its gradient is zero already
                    upper = torch.ops.aten.threshold_backward.default(upper, out, 0)
                found.append(upper.sum(dim=1))
                if j:
                    found.append(upper.mT @ below)
                    upper, out = upper @ weight[:k], below
                else:
                    found.append(self._first_gradient(upper, below))
            encoders += reversed(found)
        total = gradient[0] if terms is None else terms.mean(dim=0)
        return [*encoders, torch.cat(of_head, dim=2), total.sum(dim=-1)]

    def _first_gradient(self, upper, x):
        a = self._per_stream
        if a == 1:
            return upper.mT @ x
        (k, n, out), s = upper.shape, len(x)
        wide = upper.view(s, a, n, out).transpose(1, 2).reshape(s, n, a * out)
        return (wide.mT @ x).view(k, out, -1)

    def _scores(self, found, mask, weight, sizes):
        """Performance scores (k, n_modalities)."""
        if self._rule is SCORES["negative_loss"]:
            each = -found.losses[1:]
        else:
            each = found.log_probability[1:]
            each = each.exp() if self._rule is SCORES["probability_sum"] else each
        counted = mask if weight is None else weight
        total = (each if counted is None else each * counted).sum(dim=-1)
        if self._rule.mean:
            if weight is None:
                count = self._of_members(torch.from_numpy(sizes)).to(total)
            else:
                count = weight.sum(dim=-1)
                count = torch.where(count > 0, count, 1.0)
            total = total / count
        return total.mT

    def _traces(self, gradients, k):
        """Fisher traces (k, n_modalities)."""
        if not self._of_encoder:
            return self._like.new_zeros(k, len(self._modalities))
        norms = [
            torch.linalg.vector_norm(gradient.reshape(k, -1), dim=1)
            for gradient in gradients[: len(self._of_encoder)]
        ]
        squares = torch.stack(norms).square() * self._trace_weights
        parts = squares.split([2 * len(layers) for layers in self._encoders])
        return torch.stack([part.sum(dim=0) for part in parts], dim=1)

    def _pull_gradients(self, gradients, coefficient, k):
        for i, gradient, p, r in zip(
            self._of_encoder, gradients, self._parameters, self._reference, strict=False
        ):
            c = coefficient[:, i].view(k, *[1] * (p.ndim - 1))
            gradient.add_((p[:k] - r[:k]) * c)

    def _pull_weights(self, share, k):
        shares = [share[:, i].contiguous() for i in range(len(self._modalities))]
        for i, p, r in zip(self._of_encoder, self._parameters, self._reference, strict=False):
            p[:k].lerp_(r[:k], shares[i].view(k, *[1] * (p.ndim - 1)))

    def _update(self, gradients, k):
        """A step of AdamW; members that have the same settings and step go together."""
        if k == len(self._members) and self._is_uniform and len(set(self._n_steps)) == 1:
            stacks = self._parameters, gradients, self._moments, self._squares
            self._update_alike(0, stacks)
        else:
            start = 0
            for stop in range(1, k + 1):
                same = stop < k and self._settings[stop] == self._settings[start]
                if same and self._n_steps[stop] == self._n_steps[start]:
                    continue
                stacks = self._parameters, gradients, self._moments, self._squares
                self._update_alike(start, [[t[start:stop] for t in stack] for stack in stacks])
                start = stop
        for i in range(k):
            self._n_steps[i] += 1

    def _update_alike(self, i, stacks):
        """A step of members that have the settings and the step of member `i`."""
        step = torch.tensor(float(self._n_steps[i] + 1))
        settings = self._members[i].optimizer
        adamw_step(settings, *stacks, [step] * len(stacks[0]))

    # Results

    def _write_back(self):
        """Write the weights to the members' networks."""
        with torch.no_grad():
            for i, member in enumerate(self._members):
                for p, stacked in zip(self.parameters_of(member), self._parameters, strict=True):
                    p.copy_(stacked[i])

    def parameters_of(self, member):
        """Parameters of a member's network, in the order of the stacks."""
        network = member.network
        found = []
        for name, places in zip(self._modalities, self._layers_of, strict=True):
            encoder = network.encoders[name]
            found += [p for i in places for p in (encoder[i].weight, encoder[i].bias)]
        return [*found, network.head.weight, network.head.bias]

    def optimizer_state(self, i):
        """State of a member's optimizer, of each of its parameters (list of dict)."""
        step = torch.tensor(float(self._n_steps[i]), dtype=torch.float32)
        return [
            {"step": step.clone(), "exp_avg": m[i].clone(), "exp_avg_sq": v[i].clone()}
            for m, v in zip(self._moments, self._squares, strict=True)
        ]
