"""Forward and backward passes written out, for networks whose logits add up over modalities.

Small networks spend most of a step on the bookkeeping of automatic differentiation. Where the
fusion is a concatenation and the head is linear, the gradients of joint and unimodal losses with
respect to head and features are a few products; those of multilayer perceptrons are, too. Other
encoders run by automatic differentiation, with one backward pass from their features.
"""

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
        self.like = self._joined
        # Parts of one tensor: the gradient of the head is one product with it.
        self._parts = self._joined.split(form.widths, dim=1)
        self.features = dict(zip(form.encoders, self._parts))

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

    def logits(self, unimodal, summed):
        """Joint logits, and those of each modality alone, with the log prior.

        Parameters
        ----------
        unimodal : bool
            Whether to compute the unimodal ones.
        summed : bool
            Whether the joint ones are the sum of them, which saves a product; else they are what
            the network's forward pass gives, to the last bit.

        Returns
        -------
        Tensor of shape (1 or 1 + n_modalities, n_samples, n_outputs)
            The joint ones first, then the modalities in their order.
        """
        network, head = self._form.network, self._form.network.head
        if not unimodal:
            logits = torch.addmm(head.bias, self._joined, head.weight.t())[None]
            return logits if network.log_prior is None else logits.add_(network.log_prior)
        n_modalities = len(self._parts)
        logits = self._joined.new_empty(1 + n_modalities, len(self._joined), head.out_features)
        joint, *each = logits.unbind()
        bias = head.bias / n_modalities
        blocks = head.weight.split(self._form.widths, dim=1)
        for z, block, out in zip(self._parts, blocks, each, strict=True):
            torch.addmm(bias, z, block.t(), out=out)
        if summed:
            torch.sum(logits[1:], dim=0, out=joint)
        else:
            torch.addmm(head.bias, self._joined, head.weight.t(), out=joint)
        return logits if network.log_prior is None else logits.add_(network.log_prior)

    def backward(self, gradient):
        """Add to the gradients of the parameters.

        Parameters
        ----------
        gradient : Tensor of shape (1 or 1 + n_modalities, n_samples, n_outputs)
            Gradient of the loss with respect to the joint logits, or to all.
        """
        head = self._form.network.head
        if len(gradient) == 1:
            joint = gradient[0]
            if head.weight.requires_grad:
                _add_gradient(head.weight, joint.t() @ self._joined)
            if head.bias.requires_grad:
                _add_gradient(head.bias, joint.sum(dim=0))
            parts = (joint @ head.weight).split(self._form.widths, dim=1)
        else:
            # What each term of the joint logits gets: its own loss and the joint one.
            terms = gradient[1:] + gradient[:1]
            of_term = terms.unbind()
            if head.weight.requires_grad:
                weight = torch.empty_like(head.weight)
                blocks = weight.split(self._form.widths, dim=1)
                for term, z, block in zip(of_term, self._parts, blocks, strict=True):
                    torch.mm(term.t(), z, out=block)
                _add_gradient(head.weight, weight)
            if head.bias.requires_grad:
                _add_gradient(head.bias, terms.sum(dim=(0, 1)).div_(len(of_term)))
            blocks = head.weight.split(self._form.widths, dim=1)
            parts = [term @ block for term, block in zip(of_term, blocks, strict=True)]
        self._backward_encoders(dict(zip(self._form.encoders, parts)))

    def _backward_encoders(self, parts):
        for name, (saved, rows) in self._saved.items():
            part = parts[name]
            self._form.chains[name].backward(part if rows is None else part[rows], saved)
        if self._graphs:
            graphs = list(self._graphs.values())
            with torch.enable_grad():
                torch.autograd.backward(
                    graphs, [parts[name].to(z.dtype) for name, z in self._graphs.items()]
                )


class _Chain:
    """Linear, ReLU and dropout layers in a row, written out."""

    def __init__(self, layers):
        self._layers = layers
        trainable = [i for i, layer in enumerate(layers) if _is_trainable(layer)]
        self._first = trainable[0] if trainable else len(layers)

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
        for layer in self._layers:
            kind = type(layer)
            if kind is nn.Linear:
                saved.append(x)
                if x.ndim == 2 and layer.bias is not None:
                    x = torch.addmm(layer.bias, x, layer.weight.t())
                else:
                    x = nn.functional.linear(x, layer.weight, layer.bias)
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

    def backward(self, gradient, saved):
        """Add to the gradients of the parameters.

        Parameters
        ----------
        gradient : Tensor of shape (n_samples, n_features)
            With respect to the features.
        saved : list
            From `forward`.
        """
        for i in range(len(self._layers) - 1, self._first - 1, -1):
            layer, kept = self._layers[i], saved[i]
            kind = type(layer)
            if kind is nn.Linear:
                if layer.weight.requires_grad:
                    _add_gradient(layer.weight, _rows(gradient).t() @ _rows(kept))
                if layer.bias is not None and layer.bias.requires_grad:
                    _add_gradient(layer.bias, _rows(gradient).sum(dim=0))
                if i > self._first:
                    gradient = gradient @ layer.weight
            elif kind is nn.ReLU:
                gradient = _threshold_backward(gradient, kept, 0)
            elif kind is Dropout:
                gradient = gradient if kept is None else gradient * kept
            else:
                gradient = gradient.reshape(kept)


# What torch's own ReLU has as its derivative.
_threshold_backward = torch.ops.aten.threshold_backward.default


def _rows(x):
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _add_gradient(parameter, gradient):
    if parameter.grad is None:
        parameter.grad = gradient
    else:  # a layer that several encoders share
        parameter.grad.add_(gradient)


def _is_trainable(layer):
    return any(p.requires_grad for p in layer.parameters())


def _is_plain(module):
    """Whether nothing but the class's own forward pass runs when a module is called."""
    return "forward" not in vars(module) and not any(getattr(module, h, None) for h in _HOOKS)


def _has_no_hooks(parameter):
    return not (parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


def _has_global_hooks():
    module = nn.modules.module
    return any(getattr(module, f"_global{hooks}", None) for hooks in _HOOKS)
