"""Training and evaluation mode of parts of a network, and which parts it matters to."""

from contextlib import contextmanager

import torch
from torch import nn

__all__ = [
    "evaluating",
    "evaluating_with_gradients",
    "has_batch_norm",
    "in_mode",
    "is_batch_norm",
]


def is_batch_norm(module):
    """Whether a layer is batch normalisation."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def has_batch_norm(module):
    """Whether a module has batch normalisation anywhere inside."""
    return any(map(is_batch_norm, module.modules()))


def in_mode(module, training):
    """Whether a module and all that is inside are in training mode, or in evaluation mode.

    To see that costs a fifth of setting it.
    """
    if module.training is not training:
        return False
    return all(in_mode(part, training) for part in module._modules.values() if part is not None)


@contextmanager
def evaluating(*modules):
    """Modules, with all that is inside, in evaluation mode; afterwards as before."""
    training = [part for module in modules for part in module.modules() if part.training]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def evaluating_with_gradients(module):
    """A module in evaluation mode, for a pass that is differentiated; afterwards as before.

    cuDNN has no backward pass of recurrent layers in evaluation mode; torch's own kernels have.
    """
    recurrent = any(isinstance(part, nn.RNNBase) for part in module.modules())
    with evaluating(module):
        if not recurrent:
            yield
            return
        with torch.backends.cudnn.flags(enabled=False):
            yield
