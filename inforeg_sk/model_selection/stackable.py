"""Which fits may be made together, and why others may not."""

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..classifier import MultimodalClassifier, MultimodalInfoRegClassifier
from ..methods import BalancingMethod, InfoReg, Joint
from ..methods.active import as_window
from ..methods.closed_batch import has_closed_form
from ..methods.monitors import FisherTrace, PerformanceScore
from ..network.closed_form import ClosedForm
from ..network.dropout import Dropout
from ..regressor import MultimodalInfoRegRegressor, MultimodalRegressor
from ..training.optimizer import DecayAdamW

__all__ = [
    "acts_by_hooks",
    "criterion_of",
    "device_of",
    "stops_early",
    "why_not_planned",
    "why_not_together",
]

_ESTIMATORS = (
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
    MultimodalInfoRegRegressor,
)
# What a stack of members may take at a time.


def why_not_together(estimator):
    """Why an estimator cannot be fitted together with others, as far as its parameters tell.

    Parameters
    ----------
    estimator : estimator
        Not fitted.

    Returns
    -------
    str, or None if it can
    """
    name = type(estimator).__name__
    if type(estimator) not in _ESTIMATORS:
        return f"{name} is none of the estimators of this library"
    kept = {
        "callbacks": None,
        "train_split": None,
        "compile": False,
        "modality_dropout": 0.0,
        "iterator_train": DataLoader,
        "verbose": 0,
        "warm_start": False,
    }
    for parameter, plain in kept.items():
        value = getattr(estimator, parameter)
        if value != plain:
            return f"{parameter}={value!r} needs fits of their own"
    if estimator.fisher not in ("batch", None):
        return f"fisher={estimator.fisher!r} needs fits of their own"
    nested = [p for p in vars(estimator) if p.startswith(("iterator_", "callbacks__"))]
    for parameter in nested:
        if "__" in parameter:
            return f"{parameter} needs fits of their own"
    if estimator.optimizer not in (DecayAdamW, torch.optim.AdamW):
        return f"optimizer={getattr(estimator.optimizer, '__name__', '?')} needs fits of their own"
    known = {"weight_decay", "betas", "eps", "lr"}
    if others := set(estimator.get_params_for("optimizer")) - known:
        return f"optimizer__{min(others)} needs fits of their own"
    return None


def why_not_planned(estimator, plan):
    """The same, once the network is known."""
    reason = why_not_acting(plan)
    if reason is not None:
        return reason
    if any(type(m) not in (FisherTrace, PerformanceScore) for m in plan.settings.monitors):
        return "other monitors need fits of their own"
    form = ClosedForm.of(plan.network)
    names = plan.network.modalities
    if form is None or set(form.chains) != set(names):
        return "only multilayer perceptrons with a concatenation are stacked"
    for encoder in plan.network.encoders.values():
        if not _is_stackable([type(layer) for layer in encoder]):
            return "only multilayer perceptrons are stacked"
        if any(layer.bias is None for layer in encoder if isinstance(layer, torch.nn.Linear)):
            return "layers without a bias need fits of their own"
        if not all(p.requires_grad for p in encoder.parameters()):
            return "frozen encoders need fits of their own"
    if len({id(encoder) for encoder in plan.network.encoders.values()}) < len(names):
        return "encoders that modalities share need fits of their own"
    if not all(isinstance(v, np.ndarray) for v in plan.dataset.arrays.values()):
        return "sparse matrices and modalities of several arrays need fits of their own"
    if device_of(estimator).type not in ("cpu", "cuda"):
        return "fits together run on the CPU and on CUDA devices"
    if not has_closed_form(criterion_of(estimator)):
        return "the criterion has no closed form"
    return None


def acts_by_hooks(plan):
    """Whether the hooks of the method are called in a stack; Joint and InfoReg have their own."""
    return type(plan.method) not in (Joint, InfoReg)


def why_not_acting(plan):
    """Why what a method does in a batch cannot be done for many networks at once, or None."""
    method, active = plan.method, plan.settings.active
    name = type(method).__name__
    if as_window(active) is not None:
        return f"active={active!r} needs fits of their own"
    if not acts_by_hooks(plan):
        return None if active is None else f"active with method {name} needs fits of their own"
    if not method.batchable:
        return f"method {name} is not batchable"
    for hook in _OF_EPOCHS:
        if getattr(type(method), hook) is not getattr(BalancingMethod, hook):
            return f"{hook} of the method {name} needs fits of their own"
    if plan.dataset.weight is not None or plan.dataset.presence.masks:
        return f"weights and missing modalities with method {name} need fits of their own"
    return None


# Hooks that see inputs or what an epoch has come to, which members of a stack do not share.
_OF_EPOCHS = ("on_train_start", "on_batch_start", "on_epoch_end")
# What may stand before each kind of layer; None: the beginning.
_BEFORE = {
    torch.nn.Flatten: (None,),
    torch.nn.Linear: (None, torch.nn.Flatten, torch.nn.ReLU, Dropout),
    torch.nn.ReLU: (torch.nn.Linear,),
    Dropout: (torch.nn.ReLU,),
}


def _is_stackable(kinds):
    return all(
        before in _BEFORE.get(kind, ()) for before, kind in zip([None, *kinds], kinds, strict=False)
    )


def stops_early(estimator):
    return getattr(estimator, "early_stopping", False) is True


def device_of(estimator):
    return estimator.device or torch.device("cpu")  # None: where the network is made


def criterion_of(estimator):
    return estimator.criterion(**estimator.get_params_for("criterion"))
