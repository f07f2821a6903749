"""The optimizer that the defaults were measured with."""

import torch
from torch.optim import optimizer as optimizer_module

__all__ = ["DecayAdamW", "adamw_step", "is_fused", "step_of", "takes_fused"]


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


def step_of(optimizer, own_hook):
    """What makes a step of a fused optimizer, at the least cost.

    Half of the time of a small step is torch's own bookkeeping: hooks, a mark for the profiler,
    sorting by device. It is left out where nothing asks for it.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        For which `is_fused` is true.
    own_hook : callable
        The hook before steps that does nothing now.

    Returns
    -------
    callable
    """
    hooks = list(optimizer._optimizer_step_pre_hooks.values())
    watched = (
        "step" in vars(optimizer)  # a schedule counts steps
        or hooks not in ([], [own_hook])
        or optimizer._optimizer_step_post_hooks
        or optimizer_module._global_optimizer_pre_hooks
        or optimizer_module._global_optimizer_post_hooks
        or torch.autograd._profiler_enabled()
    )
    plain = type(optimizer) in (DecayAdamW, torch.optim.AdamW) and all(
        _is_plain(group) for group in optimizer.param_groups
    )
    if watched or not plain or hasattr(optimizer, "grad_scale"):
        return optimizer.step
    return _AdamWStep(optimizer)


def _is_plain(group):
    numbers = (group["lr"], *group["betas"], group["weight_decay"], group["eps"])
    return not (
        any(group[name] for name in ("amsgrad", "maximize", "capturable", "differentiable"))
        or any(isinstance(value, torch.Tensor) for value in numbers)
        or len({(p.device, p.dtype) for p in group["params"]}) > 1
    )


def adamw_step(settings, parameters, gradients, means, squares, steps):
    """A step of AdamW in one kernel, in place.

    Parameters
    ----------
    settings : dict
        ``"lr"``, ``"betas"``, ``"eps"`` and ``"weight_decay"``, as numbers.
    parameters, gradients, means, squares : list of Tensor
        With the running means of gradients and of their squares.
    steps : list of Tensor of shape ()
        Counted from 1, this step included.
    """
    torch._fused_adamw_(
        parameters,
        gradients,
        means,
        squares,
        [],
        steps,
        amsgrad=False,
        lr=settings["lr"],
        beta1=settings["betas"][0],
        beta2=settings["betas"][1],
        weight_decay=settings["weight_decay"],
        eps=settings["eps"],
        maximize=False,
        grad_scale=None,
        found_inf=None,
    )


class _AdamWStep:
    """What ``torch.optim.AdamW.step`` does with ``fused=True``, for one epoch.

    Parameters
    ----------
    optimizer : torch.optim.AdamW
        Its state has to stay the same objects.
    """

    def __init__(self, optimizer):
        self._optimizer = optimizer
        self._groups = []  # with parameters and their state, once they have one
        self._others = []  # parameters without a state, such as frozen ones

    @torch.no_grad()
    def __call__(self):
        if not self._groups or any(p.grad is not None for p in self._others):
            self._optimizer.step()  # torch makes the state
            self._find()
            return
        for group, parameters, state in self._groups:
            gradients = [p.grad for p in parameters]
            if any(gradient is None for gradient in gradients):  # of an absent modality
                used = [i for i, gradient in enumerate(gradients) if gradient is not None]
                gradients = [gradients[i] for i in used]
                parameters = [parameters[i] for i in used]
                state = [[values[i] for i in used] for values in state]
            if not gradients:
                continue
            means, squares, steps = state
            torch._foreach_add_(steps, 1)
            adamw_step(group, parameters, gradients, means, squares, steps)

    def _find(self):
        known = self._optimizer.state
        names = ("exp_avg", "exp_avg_sq", "step")
        self._groups, self._others = [], []
        for group in self._optimizer.param_groups:
            parameters = [p for p in group["params"] if known.get(p)]
            self._others += [p for p in group["params"] if not known.get(p)]
            state = [[known[p][name] for p in parameters] for name in names]
            self._groups.append((group, parameters, state))
