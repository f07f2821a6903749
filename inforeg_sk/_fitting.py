"""How a fit goes: check and build everything, only then change the estimator, and train."""

import copy
import fnmatch
import sys
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from inspect import signature
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from ._door import enter, enter_again
from ._prediction import Prediction
from ._validation import lookup, nearest
from .methods import METHODS, BalancingMethod
from .methods.base import REQUIREMENTS
from .methods.losses import per_sample_loss
from .network import MultimodalNetwork, build_network
from .network.modes import has_batch_norm
from .network.network import measure_again
from .training.batches import ModalityDataset
from .training.device import resolve_dtype
from .training.random import draw_seeds, initialisation, isolated
from .training.records import CurveKeys

__all__ = ["Fitting"]

_PACKAGE = str(Path(__file__).parent)
# The parameters that provide what a method may need.
_PROVIDED_BY = {
    "fisher_trace": ["fisher"],
    "held_out": ["train_split"],
    "additive_fusion": ["fusion"],
}


class _Plan(NamedTuple):
    """Everything a first fit needs, checked and built before the estimator changes."""

    entry: object
    target: object  # what is learnt about y: its classes, or its mean and scale
    dataset: ModalityDataset
    method: BalancingMethod
    network: MultimodalNetwork
    seeds: object


class Fitting(Prediction):
    """Planning and running a fit; `MultimodalEstimator` adds the parameters.

    What depends on the kind of target is said by `Classification` and `Regression`: which criteria
    there are (``_criterion_classes``) and which scores (``_scores``, the first is "auto"), and
    ``_check_target``, ``_first_target``, ``_fitted_target``, ``_take_target``, ``_weights``.
    """

    def _prepare(self, X, y, sample_weight, classes=None):
        """Check and build everything; the estimator itself does not change."""
        self._check_training_parameters()
        dtype = resolve_dtype(self.dtype)[0]
        entry = enter(X, self, dtype)
        rates = self._drop_rates_of(entry.modalities)
        y = self._check_target(y, entry.X.n_samples)
        target = self._first_target(y, sample_weight, classes)
        dataset = self._make_dataset(entry.X, y, target, sample_weight, dtype)
        method = self._make_method(entry.modalities)
        seeds = draw_seeds(self.random_state)
        with initialisation(seeds.weights):
            network = build_network(
                entry.shapes,
                target.n_outputs,
                encoders=self.encoders,
                fusion=self.fusion,
                settings={part: self.get_params_for(part) for part in ("encoders", "fusion")},
                dtype=resolve_dtype(self.dtype)[1],
                dropout_seed=seeds.dropout,
            )
            built = network.encoders
            network = method.prepare(network)
            measure_again(network, built, entry.shapes, resolve_dtype(self.dtype)[1])
        self._check_requirements(method, network)
        self._check_fit_to_data(len(y), network)
        self._check_criterion_of_each(dataset, method, target.n_outputs, rates)
        return _Plan(entry, target, dataset, method, network, seeds)

    def _fit_plan(self, plan, groups, epochs):
        with self._as_before_if_refused():
            self._start(plan)
            return self._train(plan.dataset, groups, epochs)

    @contextmanager
    def _as_before_if_refused(self):
        """What was fitted before stays if an error comes before the first step."""
        before = vars(self).copy()
        history = before.get("history_")
        n_epochs = len(history) if history is not None else 0
        states = [(g, g.get_state()) for g in before.values() if isinstance(g, torch.Generator)]
        try:
            yield
        except BaseException:
            now = vars(self).get("history_")
            fresh = now is not history
            if now is None or len(now) == (0 if fresh else n_epochs):
                vars(self).clear()
                vars(self).update(before)
                for generator, state in states:
                    generator.set_state(state)
            raise

    def _start(self, plan):
        """Take a plan over."""
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
        if plan.entry.table is not None:
            validate_data(self, plan.entry.table, skip_check_array=True)
        self._take_target(plan.target)
        self.modalities_ = plan.entry.modalities
        self.method_ = plan.method
        self.shuffling_ = torch.Generator().manual_seed(plan.seeds.shuffling)
        self.dropping_ = torch.Generator().manual_seed(plan.seeds.modality_dropout)
        self._method_generator = torch.Generator().manual_seed(plan.seeds.method)
        self._curve_keys = CurveKeys(plan.entry.modalities)
        self._shapes, self._columns = plan.entry.shapes, plan.entry.columns
        self._dtype = resolve_dtype(self.dtype)[0]
        self._plan = plan
        try:
            self.initialize()
        finally:
            vars(self).pop("_plan", None)

    def initialize_module(self):
        plan = vars(self).get("_plan")
        if plan is None:
            raise RuntimeError(
                f"{type(self).__name__} learns the network's shapes from data: call fit."
            )
        self.module_ = plan.network
        return self

    def _continue(self, X, y, sample_weight, groups, epochs):
        self.check_is_fitted()
        self._check_training_parameters()
        rates = self._drop_rates_of(self.modalities_)
        X = enter_again(X, self)
        y = self._check_target(y, X.n_samples)
        target = self._fitted_target()
        dataset = self._make_dataset(X, y, target, sample_weight, self._dtype)
        method = self._make_method(self.modalities_)
        method.resume(self.method_)
        self._check_requirements(method, self.module_)
        self._check_criterion_of_each(dataset, method, target.n_outputs, rates)
        with self._as_before_if_refused():
            self.method_ = method
            # A copy: what a refused fit has claimed is forgotten.
            self._curve_keys = copy.deepcopy(self._curve_keys)
            return self._train(dataset, groups, epochs)

    def _make_dataset(self, X, y, target, sample_weight, dtype):
        weight = self._weights(sample_weight, y, target)
        if weight is not None:
            with np.errstate(over="ignore"):
                weight = weight.astype(dtype)
            if not np.isfinite(weight.sum()):
                raise ValueError(f"The weights are too large for {weight.dtype}: scale them.")
            if not weight.any():
                raise ValueError(f"The weights are too small for {weight.dtype}: scale them.")
        return ModalityDataset(X, target.encode(y, dtype), weight)

    def _train(self, dataset, groups, epochs):
        seed = int(torch.randint(2**62, (), generator=self.shuffling_))
        # Read anew by each fit, like the method's settings.
        self._drop_rates = self._drop_rates_of(self.modalities_)
        self._score = self._resolved_score(self.method_)
        self.notify("on_train_begin", X=dataset.X, y=dataset.y)
        with isolated(seed, self.device):
            try:
                self.fit_loop(dataset, dataset.y, epochs=epochs, groups=groups)
            except KeyboardInterrupt:
                # skorch's habit: keep the weights. The unfinished epoch has no traces to go on.
                if self.history and "train_batch_count" not in self.history[-1]:
                    del self.history[-1]
        self.notify("on_train_end", X=dataset.X, y=dataset.y)
        self._warn_if_diverged()
        return self

    def _warn_if_diverged(self):
        for epoch in self.history:
            if not np.isfinite(epoch.get("train_objective", 0.0)):
                warnings.warn(
                    f"{type(self).__name__}: training diverged, the loss of epoch {epoch['epoch']} "
                    f"is {epoch['train_objective']}. Predictions mean nothing; try a smaller lr, "
                    "or scale the data.",
                    ConvergenceWarning,
                    stacklevel=_level_of_caller(),
                )
                return

    def _resolved_score(self, method):
        return self._scores[0] if method.score == "auto" else method.score

    def _make_method(self, modalities):
        """Make the method from the parameters and check its settings."""
        method, settings = self.method, self._method_settings()
        if isinstance(method, str):
            method = lookup(method, METHODS, "method")
        if isinstance(method, type) and issubclass(method, BalancingMethod):
            known = method._get_param_names()
        elif isinstance(method, BalancingMethod):
            known = method.get_params(deep=False)
        else:
            raise TypeError(
                f"method={method!r}; accepted are {', '.join(map(repr, METHODS))}, a "
                "BalancingMethod class or an instance of one."
            )
        for key in settings:
            if key not in known:
                raise ValueError(
                    f"method__{key}: the method takes {', '.join(known) or 'no settings'}"
                    f"{nearest(key, known)}"
                )
        if isinstance(method, type):
            made = method(**settings)
        else:
            made = clone(method).set_params(**settings)
        made.check(tuple(modalities))
        if made.score not in ("auto", *self._scores):
            raise ValueError(
                f"score={made.score!r} of the method {type(made).__name__} is not available for "
                f"{type(self).__name__}; use one of 'auto', {', '.join(map(repr, self._scores))}."
            )
        if self._task not in made.tasks:
            raise ValueError(
                f"The method {type(made).__name__} is defined for {' and '.join(made.tasks)} only, "
                f"and {type(self).__name__} does {self._task}."
            )
        return made

    def _check_requirements(self, method, network):
        """Refuse a method that needs what the estimator does not provide."""
        provided = {
            "fisher_trace": self.fisher is not None,
            "held_out": bool(self.train_split),
            "additive_fusion": network.is_additive,
        }
        for need in method.requires:
            if need not in provided:
                raise ValueError(
                    f"{type(method).__name__}.requires names {need!r}: accepted are "
                    f"{', '.join(map(repr, provided))}."
                )
            if not provided[need]:
                settings = ", ".join(f"{k}={getattr(self, k)!r}" for k in _PROVIDED_BY[need])
                raise ValueError(
                    f"The method {type(method).__name__} needs {REQUIREMENTS[need]}. "
                    f"Got {settings}."
                )

    def _drop_rates_of(self, modalities):
        """Rate of modality dropout of each modality; empty if there is none."""
        given = self.modality_dropout
        rates = dict(given) if isinstance(given, Mapping) else dict.fromkeys(modalities, given)
        for name, rate in rates.items():
            if name not in modalities:
                raise ValueError(
                    f"modality_dropout names the unknown modality {name!r}; the modalities are "
                    f"{', '.join(map(repr, modalities))}{nearest(name, modalities)}"
                )
            if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 <= rate < 1:
                what = f"[{name!r}]" if isinstance(given, Mapping) else ""
                raise ValueError(
                    f"modality_dropout{what}={rate!r}: a probability in [0, 1) is needed."
                )
        rates = {name: float(rates.get(name, 0)) for name in modalities}
        return rates if any(rates.values()) else {}

    def _method_settings(self):
        return self.get_params_for("method")

    def _check_training_parameters(self):
        """Check what skorch and torch would refuse late, or in words that name nothing."""
        resolve_dtype(self.dtype)
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                f"device={vars(self)['device']!r}: torch finds no CUDA device here; 'auto' takes "
                "what there is."
            )
        if self.missing not in ("error", "allow"):
            raise ValueError(f"missing={self.missing!r}: accepted are 'error' and 'allow'.")
        if self.fisher not in ("batch", None):
            raise ValueError(f"fisher={self.fisher!r}: accepted are 'batch' and None.")
        for name in ("max_epochs", "batch_size"):
            value = getattr(self, name)
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if not whole or (value < 1 and not (name == "batch_size" and value == -1)):
                raise ValueError(f"{name}={value!r}: an integer of at least 1 is needed.")
        if not isinstance(self.lr, Real) or isinstance(self.lr, bool) or not 0 <= self.lr < np.inf:
            raise ValueError(f"lr={self.lr!r}: a finite number of at least 0 is needed.")
        if not callable(self.optimizer):
            raise TypeError(f"optimizer={self.optimizer!r}: a torch optimizer class is needed.")
        self._check_optimizer_settings()
        if self.train_split is not None and not callable(self.train_split):
            raise TypeError(
                f"train_split={self.train_split!r}: None or a callable such as "
                "skorch.dataset.ValidSplit(5, stratified=True) is needed."
            )
        if not (self.callbacks in (None, "disable") or isinstance(self.callbacks, list | tuple)):
            raise TypeError(f"callbacks={self.callbacks!r}: None, 'disable' or a list is needed.")
        self._check_criterion()
        for name in ("iterator_train", "iterator_valid"):
            known = signature(getattr(self, name)).parameters
            if any(p.kind is p.VAR_KEYWORD for p in known.values()):
                continue
            for key in self.get_params_for(name):
                if key not in known:
                    raise ValueError(
                        f"{name}__{key}: {getattr(self, name).__name__} has no such setting"
                        f"{nearest(key, known)}"
                    )

    def _check_optimizer_settings(self):
        settings = self.get_params_for("optimizer")
        # Those of groups are the optimizer's to check, when there is a network.
        settings = {key: value for key, value in settings.items() if key != "param_groups"}
        try:
            self.optimizer([torch.nn.Parameter(torch.zeros(1))], **{"lr": self.lr, **settings})
        except TypeError as error:
            names = ", ".join(f"optimizer__{key}" for key in settings) or "no settings"
            raise TypeError(f"The optimizer could not be made with {names}: {error}") from error

    def _check_criterion(self):
        """Refuse a criterion that is not this kind of target's, or not a mean."""
        given, accepted = self.criterion, self._criterion_classes
        if not issubclass(given if isinstance(given, type) else type(given), accepted):
            names = ", ".join(kind.__name__ for kind in accepted)
            raise TypeError(f"criterion={given!r}: {names} or a subclass is needed.")
        reduction = self.get_params_for("criterion").get("reduction")
        if reduction is not None or getattr(given, "reduction", "mean") != "mean":
            raise ValueError(
                "criterion__reduction is not accepted: the loss is the mean over the samples, with "
                "their weights (sample_weight)."
            )

    def _check_criterion_of_each(self, dataset, method, n_outputs, rates):
        """Refuse a criterion that cannot tell samples apart, where that is needed."""
        whole = dataset.weight is None and not dataset.present and not rates
        if whole and self._resolved_score(method) != "negative_loss":
            return
        criterion = self.criterion
        if isinstance(criterion, type):
            criterion = criterion(**self.get_params_for("criterion"))
        target = torch.from_numpy(dataset.y[:1]).repeat(2, *[1] * (dataset.y.ndim - 1))
        per_sample_loss(criterion, torch.zeros(2, n_outputs), target)

    def _check_fit_to_data(self, n_samples, network):
        """Check settings that make sense only for some data or networks."""
        if has_batch_norm(network) and (self.batch_size == 1 or n_samples == 1):
            raise ValueError(
                "The network has batch normalisation, which needs at least 2 samples in a batch; "
                f"got batch_size={self.batch_size} and {n_samples} samples."
            )
        if getattr(self, "iterator_train__drop_last", False) and n_samples < self.batch_size:
            raise ValueError(
                f"iterator_train__drop_last leaves no batch: {n_samples} samples, "
                f"batch_size={self.batch_size}."
            )
        names = [name for name, _ in network.named_parameters()]
        for pattern, _ in getattr(self, "optimizer__param_groups", []):
            if not fnmatch.filter(names, pattern):
                raise ValueError(
                    f"optimizer__param_groups: the pattern {pattern!r} matches no parameter; their "
                    f"names begin with {', '.join(sorted({n.split('.')[0] for n in names}))}."
                )


def _level_of_caller():
    """The ``stacklevel`` by which a warning of the calling function points at the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
