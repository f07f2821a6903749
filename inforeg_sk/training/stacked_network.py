"""Networks of one architecture as one: what is a matrix in each has a leading axis of members here.

The formulas are those of `inforeg_sk.network.closed_form` and torch's AdamW.
"""

import numpy as np
import torch
from torch import nn

from ..network.dropout import Dropout
from .optimizer import adamw_step

__all__ = ["StackedNetwork"]


class StackedNetwork:
    """The weights of members, their gradients and their optimizers.

    Members come in streams, as many in each. Those of a stream get the same samples, so that their
    first layers are one product. All methods take the number of members, `k`: the first ones, of
    whole streams.

    Parameters
    ----------
    networks : list of MultimodalNetwork
    per_stream : int
    settings : list of dict
        ``lr``, ``betas``, ``eps`` and ``weight_decay`` of each member's AdamW.
    trace_weights : list of list of float
        By encoder, what the squared gradient of each of its parameters counts in its trace.
    device : torch.device
        Of the stacks; the networks stay where they are.
    """

    def __init__(self, networks, per_stream, settings, trace_weights, device):
        self._networks, self._per_stream = list(networks), per_stream
        self._take_settings(settings)
        self.device = device
        first = networks[0]
        self.widths = list(first.fusion.widths.values())
        self.modalities = first.modalities
        self.parameters, self.groups, self._places = [], [], []
        # By modality a list of: place of the weight in `parameters` (the bias follows), whether a
        # ReLU does, and the members' dropout.
        self._layers = [self._stack_encoder(i, m) for i, m in enumerate(self.modalities)]
        self.n_encoder_parameters = len(self.parameters)
        #: The modalities that have heads of their own, whose weights stand before the head's.
        self._heads = list(first.unimodal_heads)
        heads = [[*network.unimodal_heads.values(), network.head] for network in networks]
        self.parameters += [
            self._stacked(getattr(head, name) for head in of_all)
            for of_all in zip(*heads, strict=True)
            for name in ("weight", "bias")
        ]
        of_head = len(self.modalities)
        for group in (*range(of_head + 1, of_head + len(heads[0])), of_head):
            self.groups += [group] * 2
        self._moments = [torch.zeros_like(p) for p in self.parameters]
        self._squares = [torch.zeros_like(p) for p in self.parameters]
        # Of each encoder, the head and unimodal heads: what gets no gradient makes no step.
        self._n_steps = np.zeros((len(networks), max(self.groups) + 1), dtype=np.int64)
        self.prior = None
        if first.log_prior is not None:
            self.prior = self._stacked(network.log_prior for network in networks)[:, :, None]
        weights = [w for of_encoder in trace_weights for w in of_encoder]
        self._trace_weights = torch.tensor(weights, dtype=torch.float64).to(self.like)[:, None]

    def _stacked(self, tensors):
        return torch.stack([tensor.detach() for tensor in tensors]).to(self.device)

    def _take_settings(self, settings):
        self._settings = settings
        self._numbers = [
            (s["lr"], tuple(s["betas"]), s["eps"], s["weight_decay"]) for s in settings
        ]
        self._is_uniform = len(set(self._numbers)) == 1

    def _stack_encoder(self, i, name):
        chains = [list(network.encoders[name]) for network in self._networks]
        layers = []
        for j, layer in enumerate(chains[0]):
            if not isinstance(layer, nn.Linear):
                continue
            followed = j + 1 < len(chains[0]) and isinstance(chains[0][j + 1], nn.ReLU)
            drops = [
                found for c in chains for found in c[j + 2 : j + 3] if isinstance(found, Dropout)
            ]
            layers.append((len(self.parameters), followed, drops))
            self._places.append((name, j))
            for part in ("weight", "bias"):
                self.parameters.append(self._stacked(getattr(c[j], part) for c in chains))
                self.groups.append(i)
        return layers

    @property
    def like(self):
        """A Tensor of the type and on the device of all others."""
        return self.parameters[-1]

    def as_leaves(self):
        """The parameters, in the same memory, as Tensors that gather gradients (list)."""
        return [p.detach().requires_grad_() for p in self.parameters]

    def encoder_parameters(self, tensors):
        """Of tensors in the order of `parameters`, those of each encoder (dict of str to list)."""
        found = {name: [] for name in self.modalities}
        for i, tensor in zip(self.groups, tensors, strict=True):
            if i < len(self.modalities):
                found[self.modalities[i]].append(tensor)
        return found

    def unimodal_heads(self, tensors):
        """Of tensors in the order of `parameters`, weight and bias of each unimodal head (dict)."""
        own = tensors[self.n_encoder_parameters : -2]
        return dict(zip(self._heads, zip(own[::2], own[1::2], strict=True), strict=True))

    def of_members(self, of_streams):
        """What streams have (n_streams, ...), for each of their members (n_members, ...)."""
        return of_streams.repeat_interleave(self._per_stream, dim=0)

    # Passes

    def forward(self, inputs, k, present=None, drawn=None, parameters=None):
        """Features of all modalities.

        Parameters
        ----------
        inputs : list of Tensor of shape (n_streams, n_samples, n_features)
        k : int
        present : Tensor of shape (n_modalities, k, n_samples), default=None
            1 where a sample has a modality, else 0. None: all have all.
        drawn : list of list of (slice or Tensor of int64), default=None
            By modality and member, the samples that dropout draws for. None: no dropout.
        parameters : list of Tensor, default=None
            What stands for `parameters`, such as leaves.

        Returns
        -------
        features : list of Tensor of shape (k, n_samples, width)
        saved : list
            By modality, of each layer what came in and what dropout multiplied by.
        """
        features, saved = [], []
        parameters = self.parameters if parameters is None else parameters
        for i, (x, layers) in enumerate(zip(inputs, self._layers, strict=True)):
            kept = []
            for j, (place, followed, drops) in enumerate(layers):
                weight, bias = parameters[place : place + 2]
                below = x
                if j == 0:
                    x = self._first_layer(x, weight[:k], bias[:k])
                else:
                    x = torch.baddbmm(bias[:k, None], x, weight[:k].mT)
                if followed:
                    x = x.relu_()
                factors = _draw(drops[:k], x, drawn[i]) if drops and drawn else None
                x = x if factors is None else x * factors
                kept.append((below, factors))
            if not layers:
                x = self.of_members(x)
            elif present is not None:
                x = x * present[i, ..., None]
            features.append(x)
            saved.append(kept)
        return features, saved

    def _first_layer(self, x, weight, bias):
        """One product for all members of a stream, which get the same samples."""
        s, n, _ = x.shape
        a, out = self._per_stream, weight.shape[1]
        if a == 1:
            return torch.baddbmm(bias[:, None], x, weight.mT)
        wide = weight.reshape(s, a * out, -1)
        found = torch.baddbmm(bias.reshape(s, 1, a * out), x, wide.mT)
        return found.view(s, n, a, out).transpose(1, 2).reshape(s * a, n, out)

    def logits(self, features, k):
        """Joint and unimodal logits (Tensor of shape (1 + n_modalities, k, n_outputs, n_samples)).

        Parameters
        ----------
        features : list of Tensor
            From `forward`.
        k : int
        """
        head, bias = self.parameters[-2][:k], self.parameters[-1][:k, :, None] / len(features)
        shape = (1 + len(features), k, head.shape[1], features[0].shape[1])
        logits = features[0].new_empty(shape)
        joint, *each = logits.unbind()
        for z, block, out in zip(features, head.split(self.widths, dim=2), each, strict=True):
            torch.baddbmm(bias, block, z.mT, out=out)
        torch.sum(logits[1:], dim=0, out=joint)
        return logits if self.prior is None else logits.add_(self.prior[:k])

    def backward(self, gradient, passed, k, present=None, unimodal=True):
        """Gradients in the order of `parameters`.

        Parameters
        ----------
        gradient : Tensor of the shape of `logits`
            With respect to these.
        passed : tuple
            From `forward`.
        k : int
        present : Tensor, default=None
            As in `forward`.
        unimodal : bool, default=True
            Whether unimodal losses count; else only the joint logits have a gradient.

        Returns
        -------
        list of Tensor
        """
        terms = gradient[1:] + gradient[:1] if unimodal else None
        blocks = self.parameters[-2][:k].split(self.widths, dim=2)
        encoders, of_head = [], []
        parts = zip(*passed, blocks, self._layers, strict=True)
        for i, (z, kept, block, layers) in enumerate(parts):
            term = gradient[0] if terms is None else terms[i]
            of_head.append(term @ z)
            if layers:
                upper = term.mT @ block
                upper = upper if present is None else upper * present[i, ..., None]
                encoders += self._encoder_backward(upper, z, kept, layers, k)
        total = gradient[0] if terms is None else terms.mean(dim=0)
        return [*encoders, torch.cat(of_head, dim=2), total.sum(dim=-1)]

    def _encoder_backward(self, upper, out, kept, layers, k):
        found = []
        for j in range(len(layers) - 1, -1, -1):
            place, followed, _ = layers[j]
            below, factors = kept[j]
            if factors is not None:
                upper = upper * factors
            if followed:  # where a unit was dropped, its gradient is zero already
                upper = torch.ops.aten.threshold_backward.default(upper, out, 0)
            found.append(upper.sum(dim=1))
            if j:
                found.append(upper.mT @ below)
                upper, out = upper @ self.parameters[place][:k], below
            else:
                found.append(self._first_gradient(upper, below))
        return reversed(found)

    def _first_gradient(self, upper, x):
        a = self._per_stream
        if a == 1:
            return upper.mT @ x
        (k, n, out), s = upper.shape, len(x)
        wide = upper.view(s, a, n, out).transpose(1, 2).reshape(s, n, a * out)
        return (wide.mT @ x).view(k, out, -1)

    def traces(self, gradients, k):
        """Fisher traces (Tensor of shape (k, n_modalities))."""
        if not self.n_encoder_parameters:
            return self.like.new_zeros(k, len(self.modalities))
        norms = [
            torch.linalg.vector_norm(gradient.reshape(k, -1), dim=1)
            for gradient in gradients[: self.n_encoder_parameters]
        ]
        squares = torch.stack(norms).square() * self._trace_weights
        parts = squares.split([2 * len(layers) for layers in self._layers])
        return torch.stack([part.sum(dim=0) for part in parts], dim=1)

    # Pulls and steps

    def encoder_weights(self):
        """A copy of the parameters of the encoders (list of Tensor)."""
        return [p.clone() for p in self.parameters[: self.n_encoder_parameters]]

    def pull_gradients(self, gradients, reference, coefficient, k):
        """Add the pull towards reference weights to the gradients (paper, eq. 12)."""
        pairs = zip(self.groups, gradients, self.parameters, reference, strict=False)
        for i, gradient, p, r in pairs:
            c = coefficient[:, i].view(k, *[1] * (p.ndim - 1))
            gradient.add_((p[:k] - r[:k]) * c)

    def pull_weights(self, reference, share, k):
        """Move weights by a share of their way to reference weights."""
        shares = [share[:, i].contiguous() for i in range(len(self.modalities))]
        for i, p, r in zip(self.groups, self.parameters, reference, strict=False):
            p[:k].lerp_(r[:k], shares[i].view(k, *[1] * (p.ndim - 1)))

    def step(self, gradients, k, used=None):
        """A step of AdamW; members that have the same settings and steps go together.

        Parameters
        ----------
        gradients : list of Tensor
        k : int
        used : ndarray of bool of shape (k, n_modalities) or (k, n_groups), default=None
            Which encoders, or groups of parameters, have a gradient. None: all.
        """
        moved = np.ones((k, self._n_steps.shape[1]), dtype=bool)
        if used is not None:
            moved[:, : used.shape[1]] = used
        steps = self._n_steps[:k]
        steps += moved
        if self._is_uniform and (steps == steps[0]).all() and (moved == moved[0]).all():
            self._step_alike(gradients, 0, k, moved[0])
            return
        kinds = [
            (numbers, step.tobytes(), these.tobytes())
            for numbers, step, these in zip(self._numbers, steps, moved, strict=False)
        ]
        start = 0
        for stop in range(1, k + 1):
            if stop == k or kinds[stop] != kinds[start]:
                self._step_alike(gradients, start, stop, moved[start])
                start = stop

    def _step_alike(self, gradients, start, stop, moved):
        of_each = zip(
            self.groups, self.parameters, gradients, self._moments, self._squares, strict=True
        )
        whole = stop - start == len(self._networks)
        stacks = [(i, *tensors) for i, *tensors in of_each if moved[i]]
        counts = [torch.tensor(float(n), device=self.device) for n in self._n_steps[start]]
        steps = [counts[i] for i, *_ in stacks]
        tensors = [
            list(stack) if whole else [t[start:stop] for t in stack]
            for stack in zip(*(tensors for _, *tensors in stacks), strict=True)
        ]
        adamw_step(self._settings[start], *tensors, steps)

    # Members

    def parameters_of(self, i):
        """Parameters of a member's network, in the order of the stacks (list of Parameter)."""
        network = self._networks[i]
        layers = [network.encoders[name][j] for name, j in self._places]
        layers += [*network.unimodal_heads.values(), network.head]
        return [p for layer in layers for p in (layer.weight, layer.bias)]

    def optimizer_state(self, i):
        """What a member's optimizer remembers (list of Parameter and dict).

        Of a parameter that has never moved it is nothing.
        """
        found = []
        pairs = zip(self.parameters_of(i), self.groups, strict=True)
        for j, (parameter, encoder) in enumerate(pairs):
            n = self._n_steps[i, encoder]
            state = {
                "step": torch.tensor(float(n), dtype=torch.float32, device=self.device),
                "exp_avg": self._moments[j][i].clone(),
                "exp_avg_sq": self._squares[j][i].clone(),
            }
            found.append((parameter, state if n else {}))
        return found

    def write_back(self, i):
        """Write a member's weights to its network."""
        with torch.no_grad():
            for p, stacked in zip(self.parameters_of(i), self.parameters, strict=True):
                p.copy_(stacked[i])

    def silence(self, i):
        """Let a member that has stopped draw no more random numbers."""
        for layers in self._layers:
            for _, _, drops in layers:
                if drops:
                    drops[i] = None

    def keep(self, members, per_stream):
        """Go on with some members (list of int, in rising order), in streams of `per_stream`."""
        index = torch.tensor(members, device=self.device)
        for stacks in (self.parameters, self._moments, self._squares):
            stacks[:] = [stack[index] for stack in stacks]
        if self.prior is not None:
            self.prior = self.prior[index]
        self._n_steps = self._n_steps[members]
        self._networks = [self._networks[i] for i in members]
        self._take_settings([self._settings[i] for i in members])
        self._layers = [
            [(p, followed, [d[i] for i in members] if d else d) for p, followed, d in layers]
            for layers in self._layers
        ]
        self._per_stream = per_stream


def _draw(drops, x, drawn):
    """What dropout multiplies features by, each member's from its own generator."""
    factors = torch.zeros_like(x)
    for i, (layer, rows) in enumerate(zip(drops, drawn, strict=True)):
        found = x[i, rows].detach()
        if layer is not None and len(found):
            factors[i, rows] = layer.factors(found)
    return factors
