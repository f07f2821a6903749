"""Forward and backward passes written out, for networks whose logits add up over modalities.

Small networks spend most of a step on the bookkeeping of automatic differentiation. Where the
fusion is a concatenation and the head is linear, the gradients of joint and unimodal losses with
respect to head and features are a few products; those of multilayer perceptrons are, too. Other
encoders run by automatic differentiation, with one backward pass from their features.
"""

from functools import cached_property, partial
from inspect import isroutine

import torch
from torch import nn

from .builtin_fusions import Concat
from .dropout import Dropout
from .network import MultimodalNetwork
from .vectors import MLPEncoder

__all__ = ["ClosedForm", "ClosedPass"]

_CHAINS = (MLPEncoder, nn.Sequential)
_LAYERS = (nn.Linear, nn.ReLU, nn.Flatten, Dropout)
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class ClosedForm:
    """A network that has a closed form; made anew for each epoch, since layers may get hooks.

    Parameters
    ----------
    network : MultimodalNetwork
    chains : dict of str to _Chain
        The encoders that are written out.
    """

    def __init__(self, network, chains):
        self.network = network
        self.encoders = network.encoders
        self.chains = chains
        self.widths = list(network.fusion.widths.values())
        self.n_modalities = len(self.widths)
        #: Number of features of each modality, where it is the same.
        self.width = self.widths[0] if len(set(self.widths)) == 1 else None
        #: Whether the last ReLU of all encoders is one operation on all features.
        self.joins_relu = all(m in chains and chains[m].ends_with_relu for m in self.encoders)
        if self.joins_relu:
            for chain in chains.values():
                chain.leave_last_relu()

    @classmethod
    def of(cls, network):
        """The closed form of a network, or None if it has none.

        Parameters
        ----------
        network : torch.nn.Module

        Returns
        -------
        ClosedForm or None
            None for another fusion or head, and where hooks have to see a forward pass.
        """
        outer = isinstance(network, MultimodalNetwork) and [network, network.fusion, network.head]
        if (
            not outer
            or list(map(type, outer)) != [MultimodalNetwork, Concat, nn.Linear]
            or network.head.bias is None
            or tuple(network.fusion.widths) != network.modalities
            or not all(map(_is_plain, outer))
            or _has_global_hooks()
            or not all(map(_has_no_hooks, network.head.parameters()))
        ):
            return None
        chains = {name: _Chain.of(encoder) for name, encoder in network.encoders.items()}
        return cls(network, {name: chain for name, chain in chains.items() if chain})

    def forward(self, X):
        """Features of all modalities.

        Parameters
        ----------
        X : Batch

        Returns
        -------
        ClosedPass
        """
        return ClosedPass(self, X)


class ClosedPass:
    """One forward pass, and the backward pass that belongs to it.

    Parameters
    ----------
    form : ClosedForm
    X : Batch
        On the network's device.

    Attributes
    ----------
    features : dict of str to Tensor of shape (n_samples, n_features)
        Without a graph; zeros where a sample lacks the modality.
    like : Tensor
        Of the type and on the device of all others.
    """

    def __init__(self, form, X):
        self._form = form
        self._presence = X.presence
        self._saved, self._graphs = {}, {}
        parts = [self._encode(name, encoder, X) for name, encoder in form.encoders.items()]
        self._joined = torch.cat(parts, dim=1)
        if form.joins_relu:
            self._joined.relu_()
        self.like = self._joined

    @cached_property
    def features(self):
        return dict(zip(self._form.encoders, self._parts, strict=True))

    @cached_property
    def _parts(self):
        return torch.split_with_sizes(self._joined, self._form.widths, dim=1)

    def _by_term(self, joined):
        """A Tensor of shape (n, n_joined_features) as one of shape (n_modalities, n, width)."""
        form = self._form
        return joined.view(-1, form.n_modalities, form.width).transpose(0, 1)

    def _encode(self, name, encoder, X):
        form, chain = self._form, self._form.chains.get(name)
        if chain is None:
            with torch.enable_grad():
                features = form.network.encode_one(name, encoder, X, self._presence)
            if features.requires_grad:
                self._graphs[name] = features
            return features.detach()
        if name not in self._presence.masks:
            features, saved = chain.forward(*form.network.inputs_of(name, encoder, X[name]))
            self._saved[name] = saved, None
            return features
        rows = self._presence.rows(name)
        features = form.network.head.weight.new_zeros(
            self._presence.n_samples, form.network.fusion.widths[name]
        )
        if len(rows):
            found, saved = chain.forward(*form.network.inputs_of(name, encoder, X[name]))
            self._saved[name] = saved, rows
            features.index_copy_(0, rows, found)
        return features

    def joint_logits(self):
        """What the network's forward pass gives, to the last bit.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
        """
        head, log_prior = self._form.network.head, self._form.network.log_prior
        logits = torch.addmm(head.bias, self._joined, head.weight.t())
        return logits if log_prior is None else logits.add_(log_prior)

    def all_logits(self):
        """Joint logits, as the sum of the unimodal ones, and these.

        Returns
        -------
        Tensor of shape (1 + n_modalities, n_outputs, n_samples)
            The joint ones first, then the modalities in their order. Classes come before samples
            because a softmax over a short last axis is slow.
        """
        form = self._form
        head, log_prior, widths = form.network.head, form.network.log_prior, form.widths
        shape = (1 + form.n_modalities, head.out_features, self._presence.n_samples)
        logits = self._joined.new_empty(shape)
        each, bias = logits[1:], (head.bias / form.n_modalities)[:, None]
        if form.width is not None:
            self._blocks, self._stacked = self._by_term(head.weight), self._by_term(self._joined)
            torch.baddbmm(bias, self._blocks, self._stacked.mT, out=each)
        else:
            blocks = torch.split_with_sizes(head.weight, widths, dim=1)
            for block, z, out in zip(blocks, self._parts, each.unbind(), strict=True):
                torch.addmm(bias, block, z.t(), out=out)
        torch.sum(each, dim=0, out=logits[0])
        return logits if log_prior is None else logits.add_(log_prior[:, None])

    def backward_joint(self, gradient):
        """Add to the gradients of the parameters, from that of the joint loss.

        Parameters
        ----------
        gradient : Tensor of shape (n_samples, n_outputs)
            With respect to the joint logits.
        """
        head = self._form.network.head
        if head.weight.requires_grad:
            _add_gradient(head.weight, gradient.t() @ self._joined)
        if head.bias.requires_grad:
            _add_gradient(head.bias, gradient.sum(dim=0))
        self._backward_encoders(gradient @ head.weight, ())

    def backward_all(self, gradient, unused=()):
        """Add to the gradients of the parameters, from those of all losses.

        Parameters
        ----------
        gradient : Tensor of the shape of `all_logits`
            With respect to these.
        unused : collection of str, default=()
            Modalities that no loss depends on: their encoders get no gradient.
        """
        form, head = self._form, self._form.network.head
        # What each term of the joint logits gets: its own loss and the joint one.
        terms = gradient[1:] + gradient[:1]
        weight = torch.empty_like(head.weight) if head.weight.requires_grad else None
        features = torch.empty_like(self._joined)
        if form.width is not None:
            if weight is not None:
                torch.bmm(terms, self._stacked, out=self._by_term(weight))
            torch.bmm(terms.mT, self._blocks, out=self._by_term(features))
        else:
            split = partial(torch.split_with_sizes, split_sizes=form.widths, dim=1)
            of_term = terms.unbind()
            if weight is not None:
                for term, z, out in zip(of_term, self._parts, split(weight), strict=True):
                    torch.mm(term, z, out=out)
            blocks = split(head.weight)
            for term, block, out in zip(of_term, blocks, split(features), strict=True):
                torch.mm(term.t(), block, out=out)
        if weight is not None:
            _add_gradient(head.weight, weight)
        if head.bias.requires_grad:
            _add_gradient(head.bias, terms.sum(dim=(0, 2)).div_(form.n_modalities))
        self._backward_encoders(features, unused)

    def _backward_encoders(self, gradient, unused):
        widths = self._form.widths
        sums = [None] * self._form.n_modalities
        if self._form.joins_relu:
            _threshold_backward.grad_input(gradient, self._joined, 0, grad_input=gradient)
            sums = torch.split_with_sizes(gradient.sum(dim=0), widths)
        parts = torch.split_with_sizes(gradient, widths, dim=1)
        graphs, given = [], []
        for name, part, total in zip(self._form.encoders, parts, sums, strict=True):
            if name in unused:
                continue
            if name in self._saved:
                saved, rows = self._saved[name]
                part = part if rows is None else part[rows]
                self._form.chains[name].backward(part, saved, total)
            elif name in self._graphs:
                graphs.append(self._graphs[name])
                given.append(part.to(graphs[-1].dtype))
        if graphs:
            with torch.enable_grad():
                torch.autograd.backward(graphs, given)


class _Chain:
    """Linear, ReLU and dropout layers in a row, written out."""

    def __init__(self, layers):
        self._layers = [(type(layer), layer, *_weights(layer)) for layer in layers]
        trainable = [i for i, layer in enumerate(layers) if _is_trainable(layer)]
        self._first = trainable[0] if trainable else len(layers)

    @property
    def ends_with_relu(self):
        return [kind for kind, *_ in self._layers[-2:]] == [nn.Linear, nn.ReLU]

    def leave_last_relu(self):
        """Leave the last layer, a ReLU, to the caller."""
        del self._layers[-1]

    @classmethod
    def of(cls, encoder):
        """The chain that an encoder is, or None if it is something else."""
        if type(encoder) not in _CHAINS or not _is_plain(encoder):
            return None
        layers = list(encoder)
        if not all(type(layer) in _LAYERS and _is_plain(layer) for layer in layers):
            return None
        if not all(map(_has_no_hooks, encoder.parameters())):
            return None
        if any(
            type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) != (1, -1)
            for layer in layers
        ):
            return None
        return cls(layers)

    def forward(self, x):
        """Features, and what the backward pass needs of each layer."""
        saved, owned = [], False
        for kind, layer, weight, bias in self._layers:
            if kind is nn.Linear:
                saved.append(x)
                x = nn.functional.linear(x, weight, bias)
                owned = True
            elif kind is nn.ReLU:
                x = x.relu_() if owned else x.relu()
                saved.append(x)
                owned = False
            elif kind is Dropout:
                factors = layer.factors(x)
                saved.append(factors)
                if factors is not None:
                    x = x * factors
            else:
                saved.append(x.shape)
                x = x.flatten(1)
        return x, saved

    def backward(self, gradient, saved, total=None):
        """Add to the gradients of the parameters.

        Parameters
        ----------
        gradient : Tensor of shape (n_samples, n_features)
            With respect to the features.
        saved : list
            From `forward`.
        total : Tensor of shape (n_features,), default=None
            Its sum over the samples, where that is known.
        """
        for i in range(len(self._layers) - 1, self._first - 1, -1):
            kind, _, weight, bias = self._layers[i]
            kept = saved[i]
            if kind is nn.Linear:
                if weight.requires_grad:
                    _add_gradient(weight, _rows(gradient).t() @ _rows(kept))
                if bias is not None and bias.requires_grad:
                    _add_gradient(bias, _rows(gradient).sum(dim=0) if total is None else total)
                total = None
                if i > self._first:
                    gradient = gradient @ weight
            elif kind is nn.ReLU:
                gradient = _threshold_backward.default(gradient, kept, 0)
            elif kind is Dropout:
                gradient = gradient if kept is None else gradient * kept
            else:
                gradient = gradient.reshape(kept)


# What torch's own ReLU has as its derivative.
_threshold_backward = torch.ops.aten.threshold_backward


def _rows(x):
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _add_gradient(parameter, gradient):
    if parameter.grad is None:
        parameter.grad = gradient
    else:  # a layer that several encoders share
        parameter.grad.add_(gradient)


def _weights(layer):
    return getattr(layer, "weight", None), getattr(layer, "bias", None)


def _is_trainable(layer):
    return any(p.requires_grad for p in layer.parameters())


def _is_plain(module):
    """Whether nothing but the class's own methods run when a module is called."""
    overridden = any(map(isroutine, vars(module).values()))
    return not overridden and not any(getattr(module, hooks, None) for hooks in _HOOKS)


def _has_no_hooks(parameter):
    return not (parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


def _has_global_hooks():
    module = nn.modules.module
    return any(getattr(module, f"_global{hooks}", None) for hooks in _HOOKS)
