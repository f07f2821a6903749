"""The optimizer that the defaults were measured with."""

import torch

__all__ = ["DecayAdamW", "is_fused", "takes_fused"]


class DecayAdamW(torch.optim.AdamW):
    """torch's AdamW with a strong weight decay, 1.0, as its default.

    At the learning rate 0.001 a step takes 0.1 % of each weight away. This keeps small networks
    from learning the noise of small tables by heart; ``benchmarks/DEFAULTS.rst`` has the figures.
    A class of its own, so that another optimizer does not inherit the value.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them.
    lr : float, default=0.001
        Learning rate.
    weight_decay : float, default=1.0
        Share of a weight, relative to `lr`, that a step takes away.
    **kwargs
        See ``torch.optim.AdamW``.

    References
    ----------
    Loshchilov and Hutter: "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.training import DecayAdamW
    >>> DecayAdamW([torch.zeros(2, requires_grad=True)]).defaults["weight_decay"]
    1.0
    """

    def __init__(self, params, lr=1e-3, *, weight_decay=1.0, **kwargs):
        super().__init__(params, lr=lr, weight_decay=weight_decay, **kwargs)


# Those that torch has in one kernel a step, on the CPU and on GPUs.
_FUSED = (DecayAdamW, torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD)
# Settings that exclude it, or decide it.
_DECIDED = ("fused", "foreach", "capturable", "differentiable")


def takes_fused(optimizer, given, module):
    """Whether an optimizer may be told to do its step in one kernel, ``fused=True``.

    Parameters
    ----------
    optimizer : class
        Not a subclass of the user's, which runs as it is.
    given : collection of str
        Names of the settings of the optimizer and of its groups.
    module : torch.nn.Module

    Returns
    -------
    bool
    """
    if optimizer not in _FUSED or any(name in given for name in _DECIDED):
        return False
    parameters = list(module.parameters())
    return (
        all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
        # Sparse gradients have no such kernel.
        and not any(getattr(layer, "sparse", False) for layer in module.modules())
    )


def is_fused(optimizer):
    """Whether a step of an optimizer is one kernel, and takes gradients as they are.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer

    Returns
    -------
    bool
    """
    return type(optimizer) in _FUSED and all(group.get("fused") for group in optimizer.param_groups)
