"""Gradient norms of single samples, read off the layers of an encoder in one backward pass."""

from collections import Counter
from contextlib import contextmanager

import torch

from .tapped_layers import LAYERS, parts_of, run_in_parts, squared_norms

__all__ = ["LayerTaps", "can_be_tapped"]


def can_be_tapped(encoder):
    """Whether all trainable parameters of an encoder belong to one layer each, of a known kind.

    Parameters
    ----------
    encoder : torch.nn.Module
    """
    owners = Counter()
    for module in _layers(encoder):
        # An exact type: a subclass may compute something else.
        if type(module) not in LAYERS:
            return False
        owners.update({p for part in parts_of(module) for p in part.parameters(recurse=False)})
    return all(count == 1 for p, count in owners.items() if p.requires_grad)


def _layers(encoder):
    """Modules of an encoder that hold trainable parameters of their own, or of their parts."""
    layers = [m for m in encoder.modules() if any(p.requires_grad for p in _own(m))]
    # The output of attention is a layer that attention uses without running it.
    inner = {part for layer in layers for part in parts_of(layer)[1:]}
    return [layer for layer in layers if layer not in inner]


def _own(module):
    return [p for part in parts_of(module) for p in part.parameters(recurse=False)]


class _Tap(torch.autograd.Function):
    """Hands on the output of a layer, and in the backward pass its gradient to a function."""

    @staticmethod
    def forward(ctx, output, token, listen, x):
        ctx.save_for_backward(x)  # torch says so if the encoder has changed it in place
        ctx.listen = listen
        return output.clone()  # which the encoder may change in place

    @staticmethod
    def backward(ctx, gradient):
        with torch.no_grad():
            ctx.listen(*ctx.saved_tensors, gradient)
        return gradient, None, None, None


class LayerTaps:
    """Sums up the squared gradient norms of samples over the layers of an encoder.

    Within `listening` forward passes are tapped. A backward pass to `token` from the sum of the
    losses of samples that do not influence one another then gives `norms`.

    Parameters
    ----------
    encoder : torch.nn.Module
        One that `can_be_tapped`, in evaluation mode.
    like : Tensor
        Its device is that of the norms.

    Attributes
    ----------
    token : Tensor of shape ()
        What to take gradients with respect to (its own is None).
    failed : bool
        Whether a layer ran several times, or without the samples as its first axis: then `norms`
        is worth nothing.
    """

    def __init__(self, encoder, like):
        self._layers = _layers(encoder)
        self.token = like.new_zeros((), requires_grad=True)

    @contextmanager
    def listening(self, n_samples):
        """Tap the layers.

        Parameters
        ----------
        n_samples : int
            That the encoder gets.
        """
        self._n_samples = n_samples
        self._seen = set()
        self._norms = []
        self.failed = False
        hooks = [
            layer.register_forward_hook(self._hook, prepend=True, with_kwargs=True)
            for layer in self._layers
        ]
        try:
            yield
        finally:
            self._seen = None
            for hook in hooks:
                hook.remove()

    def _hook(self, layer, args, kwargs, output):
        if self._seen is None or not torch.is_grad_enabled() or self.failed:
            return output
        if layer in self._seen:
            self.failed = True
            return output
        self._seen.add(layer)
        found = run_in_parts(layer, args, kwargs, output, self._n_samples, self._tap)
        if found is None:
            self.failed = True
            return output
        return found

    def _tap(self, layer, parameters, x, output):
        """Tap a step of a layer.

        Parameters
        ----------
        layer : torch.nn.Module or None
            None: a linear one.
        parameters : dict of str to Parameter or None
            Its ``"weight"`` and ``"bias"``.
        x : Tensor, or callable that returns it when the backward pass comes
            What it got.
        output : Tensor
            What it gave.

        Returns
        -------
        Tensor
            To go on with instead of the output.
        """
        trained = {name for name, p in parameters.items() if p is not None and p.requires_grad}
        if not trained:
            return output

        def listen(saved, gradient):
            inputs = x() if saved is None else saved
            self._norms.append(squared_norms(layer, trained, inputs, gradient, self._n_samples))

        return _Tap.apply(output, self.token, listen, None if callable(x) else x)

    @property
    def norms(self):
        """Squared norm of each sample's gradient (Tensor of shape (n_samples,))."""
        if not self._norms:
            return self.token.new_zeros(self._n_samples)
        return torch.stack(self._norms).sum(dim=0)
