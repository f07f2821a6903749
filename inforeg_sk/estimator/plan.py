"""The plan of a fit: everything checked and built, before the estimator changes."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone

from ..data.batches import ModalityDataset
from ..data.checks import CheckedInput, check_fitted_modalities, check_modalities
from ..methods import METHODS, BalancingMethod
from ..network.network import MultimodalNetwork, build_network, update_widths
from ..training.device import resolve_dtype
from ..training.random import Seeds, draw_seeds, initialisation
from ..training.run import CallSettings
from ..utils.suggestions import did_you_mean, lookup
from .checks import (
    check_criterion,
    check_fit_to_data,
    check_requirements,
    check_training_parameters,
    drop_rates,
)

__all__ = ["Continuation", "FitPlan", "plan_continuation", "plan_fit", "restore_on_error"]


class FitPlan(NamedTuple):
    """Everything that a first fit needs."""

    data: CheckedInput
    target: object  # ClassLabels or TargetScaler
    dataset: ModalityDataset
    method: BalancingMethod
    network: MultimodalNetwork
    seeds: Seeds
    dtype: np.dtype
    settings: CallSettings


class Continuation(NamedTuple):
    """Everything that a further fit of the same network needs."""

    dataset: ModalityDataset
    method: BalancingMethod
    settings: CallSettings


def plan_fit(estimator, X, y, sample_weight, classes=None):
    """Check and build everything for a first fit; the estimator itself does not change.

    Parameters
    ----------
    estimator : MultimodalEstimator
    X, y, sample_weight, classes :
        See `MultimodalEstimator.partial_fit`.

    Returns
    -------
    FitPlan
    """
    target_class, owner = estimator.target_class, type(estimator).__name__
    check_training_parameters(estimator, target_class)
    dtype, torch_dtype = resolve_dtype(estimator.dtype, owner)
    data = check_modalities(X, estimator, dtype)
    names = tuple(data.X.arrays)
    rates = drop_rates(estimator.modality_dropout, names, owner)
    y = target_class.check(y, data.X.n_samples, estimator)
    target = target_class.fit(y, owner, sample_weight, classes)
    n_outputs = target.n_outputs
    dataset = _make_dataset(estimator, data.X, y, target, sample_weight, dtype)
    method = make_method(estimator, names)
    seeds = draw_seeds(estimator.random_state)
    with initialisation(seeds.weights):
        network = build_network(
            data.shapes,
            n_outputs,
            encoders=estimator.encoders,
            fusion=estimator.fusion,
            settings={part: estimator.get_params_for(part) for part in ("encoders", "fusion")},
            dtype=torch_dtype,
            dropout_seed=seeds.dropout,
            standardize={m: not sparse.issparse(a) for m, a in data.X.arrays.items()}
            if estimator.standardize
            else None,
            owner=owner,
        )
        built = network.encoders
        network = method.prepare(network)
        update_widths(network, built, data.shapes, torch_dtype)
    settings = _call_settings(estimator, target, n_outputs, method, rates)
    check_requirements(estimator, method, network, dataset, settings)
    check_fit_to_data(estimator, len(y), network)
    check_criterion(estimator, dataset, settings)
    return FitPlan(data, target, dataset, method, network, seeds, dtype, settings)


def plan_continuation(estimator, X, y, sample_weight):
    """Check and build everything for a fit that goes on with the fitted network.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Fitted; it does not change.
    X, y, sample_weight :
        See `MultimodalEstimator.partial_fit`.

    Returns
    -------
    Continuation
    """
    target, fitted = estimator.target_, estimator.fitted_input_
    check_training_parameters(estimator, type(target))
    names = estimator.module_.modalities
    rates = drop_rates(estimator.modality_dropout, names, type(estimator).__name__)
    X = check_fitted_modalities(X, estimator, fitted)
    y = target.check(y, X.n_samples, estimator)
    dataset = _make_dataset(estimator, X, y, target, sample_weight, fitted.dtype)
    method = make_method(estimator, names)
    method.continue_from(estimator.method_)
    settings = _call_settings(estimator, target, target.n_outputs, method, rates)
    check_requirements(estimator, method, estimator.module_, dataset, settings)
    check_criterion(estimator, dataset, settings)
    return Continuation(dataset, method, settings)


def _call_settings(estimator, target, n_outputs, method, rates):
    score = target.scores[0] if method.score == "auto" else method.score
    monitors = () if estimator.fisher is None else tuple(method.monitors())
    return CallSettings(target.task, n_outputs, score, rates, monitors)


def _make_dataset(estimator, X, y, target, sample_weight, dtype):
    weight = target.weights(sample_weight, y, getattr(estimator, "class_weight", None))
    if weight is not None:
        with np.errstate(over="ignore"):
            weight = weight.astype(dtype)
        if not np.isfinite(weight.sum()):
            raise ValueError(f"The weights are too large for {weight.dtype}: scale them.")
        if not weight.any():
            raise ValueError(f"The weights are too small for {weight.dtype}: scale them.")
    return ModalityDataset(X, target.encode(y, dtype), weight)


def make_method(estimator, modalities):
    """Make the method from the parameters and check its settings."""
    method, settings = estimator.method, estimator.method_settings()
    owner, target_class = type(estimator).__name__, estimator.target_class
    if isinstance(method, str):
        method = lookup(method, METHODS, "method", owner, ", a BalancingMethod class or instance")
    if isinstance(method, type) and issubclass(method, BalancingMethod):
        known = method._get_param_names()
    elif isinstance(method, BalancingMethod):
        known = method.get_params(deep=False)
    else:
        raise TypeError(
            f"The 'method' parameter of {owner} must be one of {', '.join(map(repr, METHODS))}, a "
            f"BalancingMethod class or an instance of one. Got {method!r}."
        )
    for key in settings:
        if key not in known:
            raise ValueError(
                f"method__{key}: the method takes {', '.join(known) or 'no settings'}"
                f"{did_you_mean(key, known)}"
            )
    if isinstance(method, type):
        made = method(**settings)
    else:
        made = clone(method).set_params(**settings)
    made.check(tuple(modalities))
    name, task = type(made).__name__, target_class.task
    if task not in made.tasks:
        by_score = "" if made.score == "auto" else f" with score={made.score!r}"
        raise ValueError(
            f"The method {name}{by_score} is defined for {' and '.join(made.tasks)} only, and "
            f"{owner} does {task}."
        )
    if made.score not in ("auto", *target_class.scores):
        raise ValueError(
            f"score={made.score!r} of the method {name} is not available for {owner}; use one of "
            f"'auto', {', '.join(map(repr, target_class.scores))}."
        )
    return made


@contextmanager
def restore_on_error(estimator):
    """Keep what was fitted before if a fit fails.

    A model that was fitted before is kept by a new fit that fails at any time. A fit that goes on
    with the same network is undone if it fails before its first step; later, the weights have
    changed, and it keeps what it has.
    """
    before = vars(estimator).copy()
    run, network = before.get("_run"), before.get("module_")
    states = [] if run is None else [(g, g.get_state()) for g in run.generators]
    n_epochs = len(before.get("history_") or ())
    try:
        yield
    except BaseException:
        now = vars(estimator)
        new = network is not None and now.get("module_") is not network
        if new or now.get("_run") is None or now["_run"] is run or now["_run"].n_steps == 0:
            if not new and network is not None:
                del estimator.history_[n_epochs:]
            now.clear()
            now.update(before)
            for generator, state in states:
                generator.set_state(state)
        raise


def first_divergence(history):
    """The entry of the first epoch with a loss that is not finite, or None."""
    for epoch in history:
        if not np.isfinite(epoch.get("train_objective", 0.0)):
            return epoch
    return None
