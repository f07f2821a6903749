"""Checks of an estimator's parameters before anything is built, and against data and network."""

import fnmatch
from inspect import signature
from numbers import Integral, Real

import numpy as np
import torch

from ..methods import BalancingMethod
from ..methods.active import ACTIVE_CONSTRAINTS, as_window
from ..methods.losses import per_sample_loss
from ..network.modes import has_batch_norm
from ..network.sample_norms import mixes_samples
from ..utils.parameters import (
    ByName,
    Instance,
    Interval,
    IsCallable,
    IsNone,
    Options,
    check_parameters,
)
from ..utils.suggestions import did_you_mean

__all__ = [
    "SHARED_CONSTRAINTS",
    "check_criterion",
    "check_fit_to_data",
    "check_requirements",
    "check_sample_trace",
    "check_training_parameters",
    "drop_rates",
    "holds_out",
]

# What the loop records of held-out samples only.
_HELD_OUT = ("valid_loss", "valid_acc")
_RATE = Interval(Real, 0, 1)
#: What the parameters that all estimators share may be. `random_state`, `dtype`, `device`,
#: `modalities`, `encoders`, `fusion` and `method` have checks of their own.
SHARED_CONSTRAINTS = {
    "active": ACTIVE_CONSTRAINTS,
    "fisher": [Options("batch", "sample"), IsNone()],
    "fisher_samples": [Interval(Integral, 1), IsNone()],
    "record_batches": [Instance(bool, np.bool_, text="a bool")],
    "optimizer": [IsCallable("a torch optimizer class")],
    "lr": [Interval(Real, 0)],
    "max_epochs": [Interval(Integral, 1)],
    "batch_size": [Interval(Integral, 1), Interval(Integral, -1, -1, "both")],
    "missing": [Options("error", "allow")],
    "modality_dropout": [_RATE, ByName(_RATE)],
    "standardize": [Instance(bool, np.bool_, text="a bool")],
    "train_split": [
        IsNone(),
        IsCallable("a callable such as skorch.dataset.ValidSplit(5, stratified=True)"),
    ],
    "early_stopping": [Instance(bool, np.bool_, text="a bool")],
    "validation_fraction": [Interval(Real, 0, 1, "neither")],
    "n_iter_no_change": [Interval(Integral, 1)],
    "tol": [Interval(Real, 0)],
    "callbacks": [IsNone(), Options("disable"), Instance(list, tuple, text="a list or tuple")],
    "warm_start": [Instance(bool, np.bool_, text="a bool")],
    "verbose": [Interval(Integral, 0), Instance(bool, np.bool_, text="a bool")],
    "iterator_train": [IsCallable("a DataLoader class")],
    "iterator_valid": [IsCallable("a DataLoader class")],
    "compile": [Instance(bool, np.bool_, text="a bool")],
    "use_caching": [Options("auto"), Instance(bool, np.bool_, text="a bool")],
    "torch_load_kwargs": [IsNone(), Instance(dict, text="a dict")],
}


def check_training_parameters(estimator, target_class, held_out=False):
    """Check what skorch and torch would refuse late, or without naming the parameter.

    Parameters
    ----------
    estimator : MultimodalEstimator
    target_class : class
        `ClassLabels` or `TargetScaler`: which criteria there are.
    held_out : bool, default=False
        Whether there is validation data besides what the parameters hold out.
    """
    check_parameters(estimator)
    owner = type(estimator).__name__
    if str(estimator.device).startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"The 'device' parameter of {owner} must be a device that is here: torch finds no "
            f"CUDA device; 'auto' takes what there is. Got {vars(estimator)['device']!r}."
        )
    if estimator.early_stopping and estimator.callbacks == "disable":
        raise ValueError(
            f"The 'early_stopping' parameter of {owner} must be False with callbacks='disable', "
            "which leaves out all callbacks. Got True."
        )
    if held_out and estimator.train_split:
        raise ValueError(
            f"{owner}.fit got validation_data, and the 'train_split' parameter holds out samples, "
            "too: give one of them."
        )
    if not held_out:
        _check_monitors(estimator, owner)
    _check_optimizer_settings(estimator)
    _check_criterion_class(estimator, target_class, owner)
    for name in ("iterator_train", "iterator_valid"):
        known = signature(getattr(estimator, name)).parameters
        if any(p.kind is p.VAR_KEYWORD for p in known.values()):
            continue
        for key in estimator.get_params_for(name):
            if key not in known:
                raise ValueError(
                    f"{name}__{key}: {getattr(estimator, name).__name__} has no such setting"
                    f"{did_you_mean(key, known)}"
                )


def _check_monitors(estimator, owner):
    """Refuse callbacks that wait for values of held-out samples where there are none."""
    if holds_out(estimator) or not isinstance(estimator.callbacks, list | tuple):
        return
    callbacks = [item[1] if isinstance(item, tuple) else item for item in estimator.callbacks]
    callbacks = [c for c in callbacks if c is not None]
    kinds = [c if isinstance(c, type) else type(c) for c in callbacks]
    # A callback of the user's may record such a value, and a setting may name another.
    foreign = not all(kind.__module__.startswith("skorch.") for kind in kinds)
    if foreign or any(key.startswith("callbacks__") for key in vars(estimator)):
        return
    own_names = {getattr(callback, "name", None) for callback in callbacks}
    for callback, kind in zip(callbacks, kinds, strict=True):
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, type) and "monitor" in signature(callback).parameters:
            monitor = signature(callback).parameters["monitor"].default
        value = monitor.removesuffix("_best") if isinstance(monitor, str) else None
        if value in _HELD_OUT and value not in own_names:
            raise ValueError(
                f"The callback {kind.__name__} of {owner} monitors {monitor!r}, which needs "
                "held-out samples: train_split=skorch.dataset.ValidSplit(5), or validation_data "
                "in fit. Got train_split=None."
            )


def _check_optimizer_settings(estimator):
    settings = estimator.get_params_for("optimizer")
    # The optimizer validates per-group settings, once there is a network.
    settings = {key: value for key, value in settings.items() if key != "param_groups"}
    try:
        estimator.optimizer(
            [torch.nn.Parameter(torch.zeros(1))], **{"lr": estimator.lr, **settings}
        )
    except TypeError as error:
        names = ", ".join(f"optimizer__{key}" for key in settings) or "no settings"
        raise TypeError(f"The optimizer could not be made with {names}: {error}") from error


def _check_criterion_class(estimator, target_class, owner):
    """Refuse a criterion that does not fit the kind of target, or is not a mean."""
    given, accepted = estimator.criterion, target_class.criteria
    if not issubclass(given if isinstance(given, type) else type(given), accepted):
        names = ", ".join(kind.__name__ for kind in accepted)
        raise TypeError(
            f"The 'criterion' parameter of {owner} must be {names} or a subclass. Got {given!r}."
        )
    settings = estimator.get_params_for("criterion")
    if settings.get("reduction") is not None or getattr(given, "reduction", "mean") != "mean":
        raise ValueError(
            "criterion__reduction is not accepted: the loss is the mean over the samples, with "
            "their weights (sample_weight)."
        )
    target_class.check_criterion(given, settings, owner)


def check_criterion(estimator, dataset, settings):
    """Refuse a criterion that cannot tell samples apart, where that is needed."""
    whole = dataset.weight is None and not dataset.presence.masks and not settings.drop_rates
    if whole and settings.score != "negative_loss" and estimator.fisher != "sample":
        return
    criterion = estimator.criterion
    if isinstance(criterion, type):
        criterion = criterion(**estimator.get_params_for("criterion"))
    target = torch.from_numpy(dataset.target[:1]).repeat(2, *[1] * (dataset.target.ndim - 1))
    per_sample_loss(criterion, torch.zeros(2, settings.n_outputs), target)


def check_fit_to_data(estimator, n_samples, network):
    """Check settings that make sense only for some data or networks."""
    if (estimator.batch_size == 1 or n_samples == 1) and has_batch_norm(network):
        raise ValueError(
            "The network has batch normalisation, which needs at least 2 samples in a batch; "
            f"got batch_size={estimator.batch_size} and {n_samples} samples."
        )
    if getattr(estimator, "iterator_train__drop_last", False) and n_samples < estimator.batch_size:
        raise ValueError(
            f"iterator_train__drop_last leaves no batch: {n_samples} samples, "
            f"batch_size={estimator.batch_size}."
        )
    names = [name for name, _ in network.named_parameters()]
    for pattern, _ in getattr(estimator, "optimizer__param_groups", []):
        if not fnmatch.filter(names, pattern):
            raise ValueError(
                f"optimizer__param_groups: the pattern {pattern!r} matches no parameter; their "
                f"names begin with {', '.join(sorted({n.split('.')[0] for n in names}))}."
            )


def holds_out(estimator):
    """Whether the parameters hold out samples of the data."""
    return bool(estimator.train_split) or estimator.early_stopping


def check_requirements(estimator, method, network, dataset, settings, held_out=False):
    """Refuse a method that needs what the estimator or the data do not provide."""
    # What provides it, and what the user has to give for it.
    provided = {
        "fisher_trace": (
            any("fisher_trace" in monitor.curves for monitor in settings.monitors),
            f"the Fisher traces: fisher='batch' or 'sample'. Got fisher={estimator.fisher!r}",
        ),
        "held_out": (
            held_out or holds_out(estimator),
            "held-out samples: train_split=skorch.dataset.ValidSplit(5), or validation_data in "
            "fit. Got train_split=None",
        ),
        "additive_fusion": (
            network.is_additive,
            "unimodal logits that add up to the joint logits: fusion='concat'. Got "
            f"fusion={estimator.fusion!r}",
        ),
        "complete": (
            not dataset.presence.masks and not settings.drop_rates,
            "samples that have all modalities, and no modality_dropout",
        ),
        "unweighted": (dataset.weight is None, "samples without weights"),
    }
    name = type(method).__name__
    for need in method.requires:
        if need not in provided:
            raise ValueError(
                f"{name}.requires must hold names among {', '.join(map(repr, provided))}. Got "
                f"{need!r}{did_you_mean(need, provided)}"
            )
        is_provided, what = provided[need]
        if not is_provided:
            raise ValueError(f"The method {name} needs {what}.")
    if as_window(estimator.active) is not None and not provided["fisher_trace"][0]:
        needed = provided["fisher_trace"][1]
        raise ValueError(f"The 'active' parameter of {type(estimator).__name__} needs {needed}.")


def check_sample_trace(estimator, method, network):
    """Refuse ``fisher="sample"`` where the loss of a single sample, or its gradient, is not known.

    Parameters
    ----------
    estimator : MultimodalEstimator
    method : BalancingMethod
    network : MultimodalNetwork
    """
    if estimator.fisher != "sample":
        return
    name, reason = type(method).__name__, None
    mixing = mixes_samples(network)
    if method.trace != "encoder":
        reason = (
            f"trace={method.trace!r} of the method {name}, which is made of gradients of batches; "
            "trace='encoder' goes with both"
        )
    elif type(method).loss is not BalancingMethod.loss:
        reason = (
            f"the method {name}, whose loss is not a sum of joint and unimodal losses "
            "(loss_weights), so that it is not known what it is for a single sample"
        )
    elif mixing:
        reason = (
            f"batch normalisation that keeps no running statistics ({mixing[0]}), where a single "
            "sample has no gradient of its own"
        )
    if reason:
        raise ValueError(
            f"The 'fisher' parameter of {type(estimator).__name__} must be 'batch' or None with "
            f"{reason}. Got 'sample'."
        )


def drop_rates(given, modalities, owner):
    """Rate of modality dropout of each modality; empty if there is none.

    Parameters
    ----------
    given : float or dict of str to float
        The checked parameter `modality_dropout`.
    modalities : tuple of str
    owner : str
        Name of the estimator.
    """
    if isinstance(given, Real):
        rates = dict.fromkeys(modalities, float(given))
    else:
        check_names(given, modalities, "modality_dropout", owner)
        rates = {name: float(given.get(name, 0)) for name in modalities}
    return rates if any(rates.values()) else {}


def check_names(given, modalities, parameter, owner):
    """Raise if a dict by modality names one that the data do not have."""
    for name in given:
        if name not in modalities:
            raise ValueError(
                f"The {parameter!r} parameter of {owner} names the unknown modality {name!r}; the "
                f"modalities are {', '.join(map(repr, modalities))}"
                f"{did_you_mean(name, modalities)}"
            )
