"""Gradient norms of single samples, read off the layers of an encoder in one backward pass."""

from collections import Counter
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..functional.sample_fisher import (
    conv_positions,
    diagonal_sample_norms,
    outer_sample_norms,
    shift_sample_norms,
)

__all__ = ["LayerTaps", "can_be_tapped"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Exact types: a subclass may compute something else. What else holds parameters is not tapped.
_LAYERS = {nn.Linear, *_CONVOLUTIONS, *_BATCH_NORMS, nn.LayerNorm, nn.GroupNorm}
# Values of the windows of a convolution that are laid out at a time.
_PIECE = 2**23


def can_be_tapped(encoder):
    """Whether all trainable parameters of an encoder belong to one layer each, of a known kind.

    Parameters
    ----------
    encoder : torch.nn.Module
    """
    owners = Counter()
    for module in encoder.modules():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if own and type(module) not in _LAYERS:
            return False
        owners.update(own)
    return all(count == 1 for count in owners.values())


class _Tap(torch.autograd.Function):
    """Hands on the output of a layer, and in the backward pass its gradient to a function."""

    @staticmethod
    def forward(ctx, output, token, x, listen):
        ctx.save_for_backward(x)
        ctx.listen = listen
        return output.clone()  # which the encoder may change in place

    @staticmethod
    def backward(ctx, gradient):
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
        self._layers = [
            module
            for module in encoder.modules()
            if any(p.requires_grad for p in module.parameters(recurse=False))
        ]
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
        hooks = [layer.register_forward_hook(self._hook, prepend=True) for layer in self._layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, layer, args, output):
        if not torch.is_grad_enabled():
            return output
        x = args[0] if len(args) == 1 else None
        if layer in self._seen or x is None or not self._has_samples(layer, x):
            self.failed = True
            return output
        self._seen.add(layer)

        def listen(x, gradient):
            with torch.no_grad():
                self._norms.append(_layer_norms(layer, x, gradient, self._n_samples))

        return _Tap.apply(output, self.token, x, listen)

    def _has_samples(self, layer, x):
        """Whether the first axis may be that of the samples, or of several rows of each."""
        n_axes = 2 + len(layer.kernel_size) if isinstance(layer, _CONVOLUTIONS) else 2
        fits = x.ndim == n_axes or (n_axes == 2 and x.ndim > 2)
        return fits and len(x) > 0 and len(x) % self._n_samples == 0

    @property
    def norms(self):
        """Squared norm of each sample's gradient (Tensor of shape (n_samples,))."""
        if not self._norms:
            return self.token.new_zeros(self._n_samples)
        return torch.stack(self._norms).sum(dim=0)


def _layer_norms(layer, x, gradient, n_samples):
    """Squared norm of each sample's gradient of the trainable parameters of a layer."""
    dtype = torch.promote_types(gradient.dtype, torch.float32)
    x, gradient = x.to(dtype), gradient.to(dtype)
    trained = {n for n, p in layer.named_parameters(recurse=False) if p.requires_grad}
    g = _positions(layer, gradient, n_samples)
    total = gradient.new_zeros(n_samples)
    if "bias" in trained:
        total = total + shift_sample_norms(g)
    if "weight" not in trained:
        return total
    if isinstance(layer, nn.Linear):
        return total + outer_sample_norms(_positions(layer, x, n_samples), g)
    if isinstance(layer, _CONVOLUTIONS):
        return total + _conv_norms(layer, x, g, n_samples)
    return total + diagonal_sample_norms(_positions(layer, _normalized(layer, x), n_samples), g)


def _conv_norms(layer, x, g, n_samples):
    """Squared norm of each sample's gradient of the kernel of a convolution."""
    groups, per_sample = layer.groups, len(x) // n_samples
    size = max(1, _PIECE // max(1, g.shape[1] * layer.weight[0].numel() * groups))
    norms = []
    for rows, some in zip(x.split(size * per_sample), g.split(size)):
        windows = conv_positions(
            rows,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.padding_mode,
        ).reshape(*some.shape[:2], -1)
        norms.append(
            outer_sample_norms(_by_group(windows, groups), _by_group(some, groups))
            .unflatten(0, (len(some), groups))
            .sum(dim=1)
        )
    return torch.cat(norms)


def _by_group(x: Tensor, groups: int) -> Tensor:
    """Make the groups of channels samples of their own."""
    return x.unflatten(2, (groups, -1)).transpose(1, 2).flatten(0, 1)


def _positions(layer, x, n_samples):
    """Values of a layer as a Tensor of shape (n_samples, n_positions, n_channels).

    A sample may have several rows, one after the other, as the frames of a video do.
    """
    if isinstance(layer, nn.LayerNorm):
        n_channels = layer.weight.numel()
    else:
        if not isinstance(layer, nn.Linear):
            x = x.movedim(1, -1)
        n_channels = x.shape[-1]
    return x.reshape(n_samples, -1, n_channels)


def _normalized(layer, x):
    """What a normalisation layer multiplies by its weight."""
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return F.group_norm(x, layer.num_groups, eps=layer.eps)
    return F.batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)
