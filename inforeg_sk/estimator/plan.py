"""The plan of a fit: everything checked and built, before the estimator changes."""

from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..data.batches import ModalityDataset
from ..data.checks import CheckedInput, check_fitted_modalities, check_modalities
from ..methods import METHODS, BalancingMethod
from ..methods.active import check_active
from ..methods.base import loss_weights_of
from ..methods.losses import WeightMeans
from ..methods.sample_trace import with_sample_traces
from ..network.network import MultimodalNetwork, build_network, update_widths
from ..training.device import resolve_dtype
from ..training.held_out import FractionSplit
from ..training.random import Seeds, draw_seeds, initialisation
from ..training.run import CallSettings
from ..training.trained import Trained
from ..utils.callers import warn_caller
from ..utils.suggestions import did_you_mean, lookup
from ..utils.words import listed
from .checks import (
    check_criterion,
    check_fit_to_data,
    check_requirements,
    check_sample_trace,
    check_training_parameters,
    drop_rates,
)
from .targets import ClassLabels

__all__ = [
    "Continuation",
    "FitPlan",
    "early_stopping_split",
    "held_out_weight",
    "initial_network",
    "kept_parameters",
    "methods_that_take",
    "plan_continuation",
    "plan_fit",
    "plan_from_description",
    "restore_on_error",
]


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
    trained: Trained | None = None  # where the network was trained together with others


class Continuation(NamedTuple):
    """Everything that a further fit of the same network needs."""

    dataset: ModalityDataset
    method: BalancingMethod
    settings: CallSettings
    trained: None = None


def plan_fit(estimator, X, y, sample_weight, classes=None, held_out=False):
    """Check and build everything for a first fit; the estimator itself does not change.

    Parameters
    ----------
    estimator : MultimodalEstimator
    X, y, sample_weight, classes :
        See `MultimodalEstimator.partial_fit`.
    held_out : bool, default=False
        Whether ``fit`` got validation data.

    Returns
    -------
    FitPlan
    """
    target_class, owner = estimator.target_class, type(estimator).__name__
    check_training_parameters(estimator, target_class, held_out)
    dtype, torch_dtype = resolve_dtype(estimator.dtype, owner)
    beside = {"y": y, "sample_weight": sample_weight}
    data = check_modalities(X, estimator, dtype, beside)
    names = tuple(data.X.arrays)
    rates = drop_rates(estimator.modality_dropout, names, owner)
    y = target_class.check(y, data.X.n_samples, estimator)
    target = target_class.fit(y, owner, sample_weight, classes)
    n_outputs = target.n_outputs
    given = (X if data.table is None else data.table, y)
    dataset = _make_dataset(estimator, data.X, given, target, sample_weight, dtype)
    method = make_method(estimator, names)
    seeds = draw_seeds(estimator.random_state)
    network = _make_network(estimator, method, seeds, data, n_outputs, torch_dtype)
    check_active(estimator.active, names, owner)
    settings = _call_settings(estimator, target, n_outputs, method, rates)
    check_requirements(estimator, method, network, dataset, settings, held_out)
    check_sample_trace(estimator, method, network)
    check_fit_to_data(estimator, len(y), network)
    check_criterion(estimator, dataset, settings)
    return FitPlan(data, target, dataset, method, network, seeds, dtype, settings)


def plan_from_description(estimator, fitted, target):
    """Check and build what stands for a fit whose weights come from a file.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Not fitted; it does not change.
    fitted : FittedInput
        What the fit remembered.
    target : ClassLabels or TargetScaler

    Returns
    -------
    FitPlan
        Without data, dataset and settings.
    """
    check_training_parameters(estimator, estimator.target_class)
    _, torch_dtype = resolve_dtype(estimator.dtype, type(estimator).__name__)
    method = make_method(estimator, tuple(fitted.shapes))
    seeds = draw_seeds(estimator.random_state)
    network = _make_network(estimator, method, seeds, fitted, target.n_outputs, torch_dtype)
    return FitPlan(None, target, None, method, network, seeds, fitted.dtype, None)


def initial_network(estimator):
    """The network of a fitted estimator before its first step: see `MultimodalEstimator`."""
    owner, run = type(estimator).__name__, estimator._run
    if run.weights_seed is None:
        raise ValueError(
            f"The initial weights of this {owner} are not known: its weights come from a file, or "
            "from an older version. Fit it, or give random_state as an int before load_params."
        )
    before, now = estimator._built, kept_parameters(estimator)
    changed = [
        name
        for name in {**before, **now}
        if name.partition("__")[0] in _NETWORK and not _same(before.get(name), now.get(name))
    ]
    if changed:
        raise ValueError(
            f"{owner}: {', '.join(changed)} changed since the fit, so that the network that it "
            "began with cannot be made again. Set the parameters back, or fit anew."
        )
    fitted, n_outputs = estimator.fitted_input_, estimator.target_.n_outputs
    _, torch_dtype = resolve_dtype(estimator.dtype, owner)
    method = make_method(estimator, tuple(fitted.shapes))
    # Dropout draws in training only.
    seeds = draw_seeds(0)._replace(weights=run.weights_seed)
    network = _make_network(estimator, method, seeds, fitted, n_outputs, torch_dtype)
    trained = estimator.module_
    for name, scaler in network.scalers.items():
        scaler.load_state_dict(trained.scalers[name].state_dict())
    if network.log_prior is not None:
        network.set_log_prior(trained.log_prior)
    return network.to(next(trained.parameters()).device).eval()


# Parameters that the network is made of.
_NETWORK = ("encoders", "fusion", "standardize", "prior_offset", "dtype")


def _make_network(estimator, method, seeds, data, n_outputs, torch_dtype):
    """The network for a CheckedInput, or for a FittedInput that describes one."""
    shapes = data.shapes
    # A sparse matrix that is centered is none any more.
    standardize = {name: name not in data.sparse for name in shapes}
    with initialisation(seeds.weights):
        network = build_network(
            shapes,
            n_outputs,
            encoders=estimator.encoders,
            fusion=estimator.fusion,
            settings={part: estimator.get_params_for(part) for part in ("encoders", "fusion")},
            dtype=torch_dtype,
            dropout_seed=seeds.dropout,
            standardize=standardize if estimator.standardize else None,
            owner=type(estimator).__name__,
            # Balanced classes are equally likely: a flat prior is none.
            prior_offset=getattr(estimator, "prior_offset", False)
            and not isinstance(estimator.class_weight, str),
        )
        built = network.encoders
        network = method.prepare(network)
        update_widths(network, built, shapes, torch_dtype)
    return network


def plan_continuation(estimator, X, y, sample_weight, held_out=False):
    """Check and build everything for a fit that goes on with the fitted network.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Fitted; it does not change.
    X, y, sample_weight :
        See `MultimodalEstimator.partial_fit`.
    held_out : bool, default=False
        Whether ``fit`` got validation data.

    Returns
    -------
    Continuation
    """
    target, fitted = estimator.target_, estimator.fitted_input_
    check_training_parameters(estimator, type(target), held_out)
    _warn_of_changes(estimator)
    names = estimator.module_.modalities
    rates = drop_rates(estimator.modality_dropout, names, type(estimator).__name__)
    beside = {"y": y, "sample_weight": sample_weight}
    checked = check_fitted_modalities(X, estimator, fitted, beside)
    y = target.check(y, checked.n_samples, estimator)
    if sample_weight is None and estimator._run.weight_means not in (None, WeightMeans()):
        # Samples without weights have weight 1, beside those of the first fit.
        sample_weight = np.ones(len(y))
    dataset = _make_dataset(estimator, checked, (X, y), target, sample_weight, fitted.dtype)
    dataset.made_for = fitted
    method = make_method(estimator, names)
    method.continue_from(estimator.method_)
    check_active(estimator.active, names, type(estimator).__name__)
    settings = _call_settings(estimator, target, target.n_outputs, method, rates)
    check_requirements(estimator, method, estimator.module_, dataset, settings, held_out)
    check_sample_trace(estimator, method, estimator.module_)
    check_criterion(estimator, dataset, settings)
    return Continuation(dataset, method, settings)


def kept_parameters(estimator):
    """The parameters that a fit which goes on does not read anew (dict)."""
    names = ("encoders", "fusion", "standardize", "prior_offset", "dtype", "optimizer", "criterion")
    names += ("early_stopping", "n_iter_no_change", "tol")  # skorch makes callbacks once
    kept = {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}
    for part in ("encoders", "fusion", "criterion"):
        nested = estimator.get_params_for(part)
        kept.update({f"{part}__{name}": value for name, value in nested.items()})
    return kept


def _warn_of_changes(estimator):
    """Warn if parameters were changed that the fitted network, or what trains it, was made of."""
    before, now = estimator._built, kept_parameters(estimator)
    changed = [name for name in {**before, **now} if not _same(before.get(name), now.get(name))]
    if changed:
        warn_caller(
            f"{type(estimator).__name__}: {', '.join(changed)} changed since the first fit, and "
            "this fit goes on with the network, criterion, optimizer and callbacks that there are. "
            "Fit anew (warm_start=False) for the new values to take effect."
        )
    measured = estimator._measured
    if measured is not None and estimator.fisher not in (None, measured):
        warn_caller(
            f"{type(estimator).__name__}: fisher changed from {measured!r} to "
            f"{estimator.fisher!r}, which measures Fisher traces on another scale. Windows that "
            "are decided on traces of both mean nothing; fit anew (warm_start=False)."
        )


def _same(before, now):
    if before is now:
        return True
    equal = before == now
    return bool(np.all(equal)) if isinstance(equal, np.ndarray) else bool(equal)


def _call_settings(estimator, target, n_outputs, method, rates):
    score = target.scores[0] if method.score == "auto" else method.score
    monitors = _monitors(estimator, method)
    return CallSettings(target.task, n_outputs, score, rates, estimator.active, monitors)


def _monitors(estimator, method):
    """What is measured besides the training."""
    monitors = () if estimator.fisher is None else method.monitors()
    if estimator.fisher == "sample":
        try:
            monitors = with_sample_traces(
                monitors,
                partial(loss_weights_of, method),
                estimator.fisher_samples,
                estimator.batch_size,
            )
        except ValueError as error:
            raise ValueError(
                f"The 'fisher' parameter of {type(estimator).__name__} must be 'batch' or None "
                f"with the method {type(method).__name__}: {error}. Got 'sample'."
            ) from error
    return tuple(monitors)


def _make_dataset(estimator, X, given, target, sample_weight, dtype):
    y = given[1]
    weight = target.weights(sample_weight, y, getattr(estimator, "class_weight", None))
    if weight is not None:
        with np.errstate(over="ignore"):
            weight = weight.astype(dtype)
        if not np.isfinite(weight.sum()):
            raise ValueError(f"The weights are too large for {weight.dtype}: scale them.")
        if not weight.any():
            raise ValueError(f"The weights are too small for {weight.dtype}: scale them.")
    return ModalityDataset(X, target.encode(y, dtype), weight, given)


def early_stopping_split(estimator, seed):
    """What cuts off the samples that early stopping goes by.

    Parameters
    ----------
    estimator : MultimodalEstimator
    seed : int

    Returns
    -------
    FractionSplit
    """
    return FractionSplit(
        estimator.validation_fraction,
        stratified=estimator.target_class is ClassLabels,
        seed=seed,
        owner=type(estimator).__name__,
    )


def held_out_weight(estimator, y, y_fit, sample_weight=None):
    """Weights of held-out samples from elsewhere: theirs, times those of classes in the fit."""
    class_weight = getattr(estimator, "class_weight", None)
    if isinstance(class_weight, str):  # "balanced" means the classes of the fit
        labels, counts = np.unique(y_fit, return_counts=True)
        weights = (len(y_fit) / (len(labels) * counts)).tolist()
        class_weight = dict(zip(labels.tolist(), weights, strict=True))
    weight = estimator.target_.weights(sample_weight, y, class_weight)
    return None if weight is None else weight.astype(estimator.fitted_input_.dtype)


#: Rows of tables that are a method with its settings.
_ROWS = {
    "joint*": "joint training with unimodal losses, method='inforeg' with method__alpha=0",
    "inforeg*": "InfoReg with unimodal losses, method='inforeg' with its defaults",
}


def methods_that_take(setting):
    """Which methods take a setting, as a part of a message; "" if none does."""
    names = [repr(name) for name, m in METHODS.items() if setting in m._get_param_names()]
    if not names:
        return ""
    method = "method" if len(names) == 1 else "methods"
    return f"'method__{setting}' is a setting of the {method} {listed(names)}"


def make_method(estimator, modalities):
    """Make the method from the parameters and check its settings."""
    method, settings = estimator.method, estimator.method_settings()
    owner, target_class = type(estimator).__name__, estimator.target_class
    if isinstance(method, str) and method.lower() in _ROWS:
        raise ValueError(
            f"The 'method' parameter of {owner} is {method!r}, the name of a row of tables: "
            f"{_ROWS[method.lower()]}."
        )
    named = repr(method) if isinstance(method, str) else "given"
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
            end, others = did_you_mean(key, known), methods_that_take(key)
            if end == "." and others:
                end = f"; {others}."
            raise ValueError(
                f"method__{key}: the method {named} takes {', '.join(known) or 'no settings'}{end}"
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
