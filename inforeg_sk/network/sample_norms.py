"""Gradient norms of single samples of any encoder: by torch.func, or one sample after the other."""

import warnings
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from .modes import evaluating, is_batch_norm

__all__ = [
    "EncoderCalls",
    "looped_norms",
    "measuring",
    "mixes_samples",
    "squared_norm",
    "vmapped_norms",
]

# Values of gradients of samples that are held at a time.
_PIECE = 2**25


def mixes_samples(network):
    """Names of batch normalisation layers that take statistics of the batch in evaluation, too."""
    return [
        name
        for name, module in network.named_modules()
        if is_batch_norm(module) and module.running_mean is None
    ]


@contextmanager
def measuring(network, device):
    """Run a network in evaluation mode, in its own precision, and leave no trace of it.

    Parameters
    ----------
    network : torch.nn.Module
    device : torch.device
    """
    # cuDNN has no backward pass of recurrent layers in evaluation mode, which differs from training
    # by their dropout only.
    recurrent = [m for m in network.modules() if isinstance(m, nn.RNNBase)]
    dropout = [m.dropout for m in recurrent]
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        evaluating(network),
        torch.autocast(device.type, enabled=False),
        torch.enable_grad(),
    ):
        modes = [m.training for m in recurrent]
        try:
            for module in recurrent:
                module.training, module.dropout = True, 0.0
            yield
        finally:
            for module, mode, rate in zip(recurrent, modes, dropout, strict=True):
                module.training, module.dropout = mode, rate


class EncoderCalls:
    """What an encoder gets, call by call.

    Parameters
    ----------
    encoder : torch.nn.Module
    """

    def __init__(self, encoder):
        self._encoder = encoder

    @contextmanager
    def listening(self):
        """Keep the arguments of the encoder's calls in `calls`, a list of args and kwargs."""
        self.calls = []
        hook = self._encoder.register_forward_pre_hook(
            lambda module, args, kwargs: self.calls.append((args, kwargs)), with_kwargs=True
        )
        try:
            yield
        finally:
            hook.remove()


def squared_norm(gradients):
    """Squared norm of a list of gradients, of which some may be None (Tensor of shape (), or 0)."""
    return sum(g.square().sum() for g in gradients if g is not None)


def looped_norms(encoder, call, gradients):
    """Squared norm of each sample's gradient of the trainable parameters, sample by sample.

    Parameters
    ----------
    encoder : torch.nn.Module
    call : tuple of tuple and dict
        Arguments of the encoder: tensors with the samples as the first axis, in any nesting.
    gradients : Tensor of shape (n_samples, n_features)
        Of each sample's loss with respect to its features.

    Returns
    -------
    Tensor of shape (n_samples,)
    """
    parameters = [p for p in encoder.parameters() if p.requires_grad]
    norms = gradients.new_zeros(len(gradients))
    for i, gradient in enumerate(gradients):
        args, kwargs = _map(lambda x, i=i: x[i : i + 1], call)
        features = encoder(*args, **kwargs)
        found = torch.autograd.grad(features, parameters, gradient[None], allow_unused=True)
        norms[i] = squared_norm(found)
    return norms


def vmapped_norms(encoder, call, gradients):
    """The same by torch.func, many samples at a time.

    Raises
    ------
    Exception
        Whatever torch raises where it has no rule for some part of the encoder.
    """
    parameters = {name: p.detach() for name, p in encoder.named_parameters() if p.requires_grad}

    def norm(call, gradient):
        args, kwargs = _map(lambda x: x[None], call)

        def loss(parameters):
            features = functional_call(encoder, parameters, args, kwargs)
            return (features * gradient).sum()

        return squared_norm(grad(loss)(parameters).values())

    axes = _map(lambda x: 0, call, other=lambda x: None)
    n_parameters = sum(p.numel() for p in parameters.values())
    pieces = max(1, min(len(gradients), _PIECE // max(1, n_parameters)))
    with warnings.catch_warnings():
        # Without a rule of its own a function runs sample by sample: slower than a plain loop.
        warnings.filterwarnings("error", message="There is a performance drop")
        mapped = vmap(norm, in_dims=(axes, 0), chunk_size=pieces)
        return mapped(call, gradients)


def _map(function, value, other=lambda x: x):
    """Apply a function to the tensors of nested tuples and dicts, and `other` to the rest."""
    if torch.is_tensor(value):
        return function(value)
    if isinstance(value, dict):
        return {key: _map(function, x, other) for key, x in value.items()}
    if isinstance(value, tuple):
        return tuple(_map(function, x, other) for x in value)
    return other(value)
