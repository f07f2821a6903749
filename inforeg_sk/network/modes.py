"""Training and evaluation mode of parts of a network, and which parts it matters to."""

from contextlib import contextmanager

from torch import nn

__all__ = ["evaluating", "has_batch_norm", "is_batch_norm"]


def is_batch_norm(module):
    """Whether a layer is batch normalisation."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def has_batch_norm(module):
    """Whether a module has batch normalisation anywhere inside."""
    return any(map(is_batch_norm, module.modules()))


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
