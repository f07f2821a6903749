"""How a fit goes: check and build everything, only then change the estimator, and train."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import validate_data
from torch import nn

from ._door import encode_target, enter, enter_again, first_classes, sample_weights
from ._prediction import Prediction
from ._validation import check_target, lookup, nearest
from .methods import METHODS, BalancingMethod
from .network import MultimodalNetwork, build_network
from .training.batches import ModalityDataset
from .training.device import resolve_dtype
from .training.loop import has_batch_norm
from .training.random import draw_seeds, initialisation, isolated

__all__ = ["Fitting"]


class _Plan(NamedTuple):
    """Everything a first fit needs, checked and built before the estimator changes."""

    entry: object
    classes: np.ndarray
    dataset: ModalityDataset
    method: BalancingMethod
    network: MultimodalNetwork
    seeds: object


class Fitting(Prediction):
    """Planning and running a fit; `MultimodalClassifier` adds parameters and the public methods."""

    def _prepare(self, X, y, sample_weight, classes=None):
        """Check and build everything; the estimator itself does not change."""
        self._check_training_parameters()
        entry = enter(X, self, resolve_dtype(self.dtype)[0])
        y = check_target(y, entry.n_samples, self)
        classes = first_classes(y, self, classes)
        dataset = self._make_dataset(entry.X, y, classes, sample_weight)
        method = self._make_method(tuple(entry.X))
        seeds = draw_seeds(self.random_state)
        with initialisation(seeds.weights):
            network = build_network(
                entry.shapes,
                len(classes),
                encoders=self.encoders,
                fusion=self.fusion,
                settings={part: self.get_params_for(part) for part in ("encoders", "fusion")},
                dtype=resolve_dtype(self.dtype)[1],
                dropout_seed=seeds.dropout,
            )
            network = method.prepare(network)
        if has_batch_norm(network) and (self.batch_size == 1 or len(y) == 1):
            raise ValueError(
                "The network has batch normalisation, which needs at least 2 samples in a batch; "
                f"got batch_size={self.batch_size} and {len(y)} samples."
            )
        return _Plan(entry, classes, dataset, method, network, seeds)

    def _start(self, plan):
        """Take a plan over; if skorch then refuses a setting, all is as it was."""
        before = vars(self).copy()
        try:
            for name in ("n_features_in_", "feature_names_in_"):
                vars(self).pop(name, None)
            if plan.entry.table is not None:
                validate_data(self, plan.entry.table, skip_check_array=True)
            self.classes_inferred_ = plan.classes
            self.modalities_ = tuple(plan.entry.X)
            self.method_ = plan.method
            self.shuffling_ = torch.Generator().manual_seed(plan.seeds.shuffling)
            self._shapes, self._columns = plan.entry.shapes, plan.entry.columns
            self._plan = plan
            self.initialize()
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
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
        arrays = enter_again(X, self, resolve_dtype(self.dtype)[0])
        y = check_target(y, len(next(iter(arrays.values()))), self)
        dataset = self._make_dataset(arrays, y, self.classes_, sample_weight)
        self.method_ = self._make_method(self.modalities_)
        return self._train(dataset, groups, epochs)

    def _make_dataset(self, arrays, y, classes, sample_weight):
        target = encode_target(y, classes)
        weight = sample_weights(sample_weight, self.class_weight, target, classes, y)
        dtype = next(iter(arrays.values())).dtype
        return ModalityDataset(arrays, target, None if weight is None else weight.astype(dtype))

    def _train(self, dataset, groups, epochs):
        seed = int(torch.randint(2**62, (), generator=self.shuffling_))
        self.notify("on_train_begin", X=dataset.X, y=dataset.y)
        with isolated(seed, self.device):
            try:
                self.fit_loop(dataset, dataset.y, epochs=epochs, groups=groups)
            except KeyboardInterrupt:
                # skorch's habit: keep the weights. The unfinished epoch has no traces to go on.
                if self.history and "train_batch_count" not in self.history[-1]:
                    del self.history[-1]
        self.notify("on_train_end", X=dataset.X, y=dataset.y)
        return self

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
        made.check(tuple(modalities), self.fisher)
        return made

    def _method_settings(self):
        return self.get_params_for("method")

    def _check_training_parameters(self):
        resolve_dtype(self.dtype), self.device
        if self.fisher not in ("batch", None):
            raise ValueError(f"fisher={self.fisher!r}: accepted are 'batch' and None.")
        for name, minimum in (("max_epochs", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if name == "batch_size" and value == -1:
                continue
            if not isinstance(value, Integral) or value < minimum:
                raise ValueError(f"{name}={value!r}: an integer of at least {minimum} is needed.")
        if isinstance(self.lr, Real) and not 0 <= self.lr < np.inf:
            raise ValueError(f"lr={self.lr!r}: a finite number of at least 0 is needed.")
        criterion = self.criterion if isinstance(self.criterion, type) else type(self.criterion)
        if not issubclass(criterion, nn.CrossEntropyLoss):
            raise TypeError(
                f"criterion={self.criterion!r}: CrossEntropyLoss or a subclass of it is needed."
            )
        for key in ("weight", "reduction"):
            if hasattr(self, f"criterion__{key}"):
                raise ValueError(
                    f"criterion__{key} is not accepted: weights are given as class_weight or "
                    "sample_weight, and the loss is their mean."
                )
