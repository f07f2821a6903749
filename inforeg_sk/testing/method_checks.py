"""The checks that a balancing method must pass; see `check_method`."""

import inspect
import pickle
from collections.abc import Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import chain

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.overrides import TorchFunctionMode

from ..data import ModalityDict
from ..methods.base import REQUIREMENTS, TASKS, BalancingMethod, loss_weights_of
from ..methods.context import BatchContext, EpochContext, TrainingContext
from ..methods.curves import REDUCTIONS, Curve
from ..network.fusion import FUSIONS
from .fits import (
    BATCH,
    ESTIMATORS,
    N_SAMPLES,
    assert_finite,
    assert_same_fit,
    make_data,
    make_estimator,
    weights_of,
)


def check_settings(method):
    """Settings are stored untouched, cloned, and set by name."""
    parameters = method.get_params(deep=False)
    twin = type(method)(**parameters)
    for name, value in parameters.items():
        assert getattr(twin, name) is value, (
            f"__init__ must store {name!r} as it is given; check settings in check()."
        )
    signature = inspect.signature(type(method).__init__).parameters
    defaults = {n: p.default for n, p in signature.items() if n in parameters}
    if inspect.Parameter.empty not in defaults.values():
        plain = type(method)()
        for name, default in defaults.items():
            assert getattr(plain, name) is default, f"__init__ changes the default of {name!r}."
    extra = set(vars(twin)) - set(parameters)
    assert not extra, f"__init__ sets {sorted(extra)}, which are no settings; set them in a hook."
    assert repr(method)


def check_declarations(method):
    """`tasks`, `requires`, `curves` and the flags hold what they may."""
    assert method.tasks and set(method.tasks) <= set(TASKS), f"tasks={method.tasks!r}"
    assert set(method.requires) <= set(REQUIREMENTS), f"requires={method.requires!r}"
    assert isinstance(method.curves, Mapping), f"curves={method.curves!r} must be a dict."
    for name, curve in method.curves.items():
        assert isinstance(curve, Curve), f"curves[{name!r}] must be a Curve; got {curve!r}."
        assert curve.reduction in REDUCTIONS, f"curves[{name!r}].reduction={curve.reduction!r}"
    for flag in ("closed_form", "batchable", "per_modality"):
        assert isinstance(getattr(method, flag), bool), f"{flag}={getattr(method, flag)!r}"
    hooks = [name for name in dir(BalancingMethod) if not name.startswith("_")]
    for name in set(dir(method)) - set(hooks) - set(method.get_params()):
        near = get_close_matches(name, hooks, n=1, cutoff=0.85)
        assert not near or name.startswith("_") or name.endswith("_"), (
            f"{name!r} is not a hook; did you mean {near[0]!r}?"
        )
    declared = type(method).loss is BalancingMethod.loss
    assert declared or not method.closed_form, "closed_form: declare the loss by loss_weights."


def check_tasks(method):
    """Tasks that are not declared are refused by name."""
    for task in set(TASKS) - set(method.tasks):
        X, y = make_data(task)
        estimator = make_estimator(method, task)
        _assert_refused(method, lambda e=estimator, X=X, y=y: e.fit(X, y), f"{task}")


def check_trains(method):
    """It trains with two and three modalities, in float32 and float64."""
    for task in method.tasks:
        for n_modalities in (2, 3):
            X, y = make_data(task, n_modalities)
            for dtype in ("float32", "float64"):
                estimator = make_estimator(method, task, dtype=dtype).fit(X, y)
                assert_finite(estimator, X, y)
                losses = estimator.history[:, "train_objective"]
                assert len(losses) == 3


def check_fusions(method):
    """It trains with every fusion, or refuses by name those that it cannot work with."""
    trained = 0
    for task in method.tasks:
        X, y = make_data(task)
        for fusion in FUSIONS:
            settings = {"fusion__conditioning": "a"} if fusion in ("gated", "film") else {}
            estimator = make_estimator(method, task, fusion=fusion, **settings)
            try:
                estimator.fit(X, y)
            except ValueError as error:
                if type(method).__name__ not in str(error):
                    raise
                continue
            trained += 1
            assert_finite(estimator, X, y)
            if "additive_fusion" in method.requires:
                assert estimator.module_.is_additive, f"fusion={fusion!r} was not refused."
    assert trained, "every fusion is refused."


def check_curves(method):
    """What is declared is recorded, and what is recorded is declared."""
    for task in method.tasks:
        X, y = make_data(task)
        estimator = make_estimator(method, task).fit(X, y)
        monitored = set(chain(*(monitor.curves for monitor in method.monitors())))
        recorded = set(estimator.curves_) - monitored
        assert recorded <= set(method.curves), (
            f"recorded but not declared in curves: {sorted(recorded - set(method.curves))}"
        )
        assert recorded == set(method.curves), (
            f"declared in curves but not recorded: {sorted(set(method.curves) - recorded)}"
        )
        for name, curve in method.curves.items():
            values = estimator.curves_[name]
            for array in values.values() if isinstance(values, dict) else [values]:
                assert array.shape == (3,), f"the curve {name!r} has shape {array.shape}."
                assert not np.isinf(array.astype(float)).any(), f"the curve {name!r} is infinite."
                assert curve.flag == (array.dtype == bool), (
                    f"the curve {name!r} has type {array.dtype}, but flag={curve.flag}."
                )


def check_missing_modalities(method):
    """Samples lack modalities, and one batch has none of a modality; or they are refused."""
    for task in method.tasks:
        X, y = make_data(task)
        X["a"][: BATCH + 3] = np.nan
        X["b"][BATCH + 3 :: 4] = np.nan
        estimator = make_estimator(method, task, missing="allow", iterator_train__shuffle=False)
        if "complete" in method.requires:
            _assert_refused(method, lambda e=estimator, X=X, y=y: e.fit(X, y), "missing samples")
            dropout, data = make_estimator(method, task, modality_dropout=0.2), make_data(task)
            _assert_refused(method, lambda e=dropout, d=data: e.fit(*d), "modality dropout")
        else:
            assert_finite(estimator.fit(X, y), X, y)


def _assert_refused(method, call, what):
    """A call raises an error that names the method."""
    try:
        call()
    except (TypeError, ValueError) as error:
        assert type(method).__name__ in str(error), f"the error does not name the method: {error}"
    else:
        raise AssertionError(f"{what} must be refused: the method says so in requires.")


def check_sample_weight(method):
    """Weights of 1 change nothing, and samples of weight 0 are harmless; or they are refused."""
    for task in method.tasks:
        X, y = make_data(task)
        weight = np.random.default_rng(1).integers(0, 3, N_SAMPLES)
        weight[BATCH : 2 * BATCH] = 0  # a whole batch, with held-out samples or without
        estimator = make_estimator(method, task, iterator_train__shuffle=False)
        if "unweighted" in method.requires:
            _assert_refused(
                method, lambda e=estimator, d=(X, y, weight): e.fit(*d), "sample weights"
            )
            continue
        plain = make_estimator(method, task).fit(X, y)
        weighted = make_estimator(method, task).fit(X, y, sample_weight=np.ones(N_SAMPLES))
        assert_same_fit(plain, weighted, "sample weights of 1", exact=False)
        assert_finite(estimator.fit(X, y, sample_weight=weight), X, y)


def check_random_state(method):
    """Two fits with one seed are equal bit for bit; the global generators stay as they were."""
    for task in method.tasks:
        X, y = make_data(task)
        before = torch.get_rng_state(), np.random.get_state()
        first = make_estimator(method, task, encoders__dropout=0.2).fit(X, y)
        assert torch.equal(torch.get_rng_state(), before[0]), "torch's generator has moved."
        now = np.random.get_state()
        same = now[2] == before[1][2] and np.array_equal(now[1], before[1][1])
        assert same, "numpy's generator has moved."
        with torch.random.fork_rng([]):
            torch.rand(3)  # from another state the result is the same
            second = make_estimator(method, task, encoders__dropout=0.2).fit(X, y)
        assert_same_fit(first, second, "the same random_state")


def check_order_of_modalities(method):
    """The order in which modalities are given changes nothing."""
    for task in method.tasks:
        X, y = make_data(task)
        first = make_estimator(method, task).fit(X, y)
        second = make_estimator(method, task).fit(dict(reversed(X.items())), y)
        assert_same_fit(first, second, "another order of modalities")


def check_partial_fit(method):
    """Three calls of partial_fit are three epochs of fit, in a fixed order of samples."""
    for task in method.tasks:
        X, y = make_data(task)
        fixed = {"iterator_train__shuffle": False}
        whole = make_estimator(method, task, **fixed).fit(X, y)
        parts = make_estimator(method, task, **fixed)
        for _ in range(3):
            parts.partial_fit(X, y)
        assert_same_fit(whole, parts, "partial_fit")


def check_pickle(method):
    """A pickle between two epochs loses nothing and holds nothing that only training needs."""
    for task in method.tasks:
        X, y = make_data(task)
        plain = make_estimator(method, task).partial_fit(X, y)
        saved = pickle.loads(pickle.dumps(plain))
        known = {*method.get_params(deep=False), *plain.method_.state_dict()} - {"method"}
        held = set(vars(saved.method_)) - known
        assert not held, f"the pickle holds {sorted(held)}, which are neither settings nor state."
        for _ in range(2):
            plain.partial_fit(X, y)
            saved = pickle.loads(pickle.dumps(saved)).partial_fit(X, y)
        assert_same_fit(plain, saved, "a pickle between epochs")


def check_release(method):
    """After training the method holds no tensors, networks or contexts besides its state."""
    task = method.tasks[0]
    X, y = make_data(task)
    fitted = make_estimator(method, task).fit(X, y).method_
    known = {*method.get_params(deep=False), *fitted.state_dict()}
    held = [k for k, v in vars(fitted).items() if k not in known and _holds_training(v)]
    assert not held, f"{held} hold what only training needs; release them in on_train_end."


def _holds_training(value):
    if isinstance(value, Mapping):
        return any(map(_holds_training, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(_holds_training, value))
    contexts = (TrainingContext, EpochContext, BatchContext)
    return isinstance(value, (torch.Tensor, nn.Module, torch.Generator, *contexts))


class _Other(BalancingMethod):
    """Has state of its own."""

    def on_train_start(self, training):
        self.kept_ = 1.0


def check_state_of_another_class(method):
    """State of another class is refused by name."""
    task = method.tasks[0]
    X, y = make_data(task)
    estimator = make_estimator(_Other(), task, train_split=ValidSplit(4)).partial_fit(X, y)
    try:
        estimator.set_params(method=method).partial_fit(X, y)
    except ValueError as error:
        named = type(method).__name__ in str(error) and "_Other" in str(error)
        assert named, f"the error does not name both classes: {error}"
    else:
        raise AssertionError("the state of another class was taken.")


def check_gradient_scale(method):
    """Scaled gradients (mixed precision) change nothing; see `TrainingLoop.gradient_scale`."""
    for task in method.tasks:
        X, y = make_data(task)
        plain = make_estimator(method, task).fit(X, y)
        scaled = make_estimator(method, task, cls=_scaled(ESTIMATORS[task])).fit(X, y)
        assert_same_fit(plain, scaled, "scaled gradients", exact=False)


def _scaled(base, scale=1024.0):
    class Scaled(base):
        def gradient_scale(self):
            return scale

        def get_loss(self, *args, training=False, **kwargs):
            loss = super().get_loss(*args, training=training, **kwargs)
            return loss * scale if training else loss

        def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
            def unscaled(batch):
                result = step_fn(batch)
                return {**result, "loss": result["loss"] / scale} if training else result

            super().run_single_epoch(iterator, training, prefix, unscaled, **fit_params)

        def _step_optimizer(self, step_fn):
            def unscale():
                loss = step_fn()
                for p in self.module_.parameters():
                    if p.grad is not None:
                        p.grad /= scale
                return loss

            super()._step_optimizer(unscale)

    return Scaled


class _Parts(nn.Module):
    """A frozen, a used and an unused layer."""

    def __init__(self, input_shape):
        super().__init__()
        self.frozen = nn.Linear(input_shape[-1], 4).requires_grad_(False)
        self.used = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x):
        return torch.tanh(self.used(torch.tanh(self.frozen(x))))


def check_frozen_parameters(method):
    """Frozen and unused parameters, and an encoder frozen as a whole, do no harm."""
    for task in method.tasks:
        X, y = make_data(task, 2)
        estimator = make_estimator(method, task, encoders=_Parts, encoders__hidden=None)
        estimator.set_params(callbacks=[_Remember()])
        del estimator.encoders__hidden
        estimator.fit(X, y)
        assert_finite(estimator, X, y)
        start = dict(estimator.callbacks_)["_Remember"].start
        for name, value in weights_of(estimator).items():
            if ".frozen." in name:
                assert np.array_equal(value, start[name]), f"the frozen {name!r} has moved."


class _Remember(Callback):
    def on_train_begin(self, net, **kwargs):
        self.start = {n: p.detach().numpy().copy() for n, p in net.module_.named_parameters()}


def check_no_transfer_in_a_batch(method):
    """The hooks of a batch read no value of a tensor, which would wait for a GPU every time."""
    task = method.tasks[0]
    X, y = make_data(task)
    with _Reads() as reads:
        watched = _watched(type(method), reads)(**method.get_params(deep=False))
        make_estimator(watched, task).fit(X, y)
    assert not reads.found, (
        f"{', '.join(sorted(reads.found))} in loss, on_gradients or on_step: values are read while "
        "a batch is trained. Use torch.where instead of an if on tensors, and record() values."
    )


def _watched(cls, reads):
    """A subclass whose hooks of a batch are watched."""

    def watch(hook):
        def call(self, batch):
            with reads.watching():
                return getattr(super(Watched, self), hook)(batch)

        return call

    hooks = {name: watch(name) for name in ("loss", "on_gradients", "on_step")}
    # Those that the method leaves to its base class stay as they are.
    hooks = {k: v for k, v in hooks.items() if getattr(cls, k) is not getattr(BalancingMethod, k)}
    Watched = type(cls.__name__, (cls,), hooks)
    return Watched


class _Reads(TorchFunctionMode):
    """Notes which calls, made while watching, bring values of a tensor to Python."""

    NAMES = frozenset(
        "item tolist numpy cpu nonzero masked_select unique __bool__ __float__ __int__ __index__ "
        "__array__ is_nonzero equal allclose".split()
    )

    def __init__(self):
        super().__init__()
        self.found = set()
        self._watching = False

    @contextmanager
    def watching(self):
        before, self._watching = self._watching, True
        try:
            yield
        finally:
            self._watching = before

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        by_mask = name == "__getitem__" and any(map(_is_mask, args[1:]))
        if self._watching and (name in self.NAMES or by_mask):
            self.found.add(f"{name}()" if not by_mask else "indexing by a mask")
        return func(*args, **(kwargs or {}))


def _is_mask(index):
    if isinstance(index, tuple):
        return any(map(_is_mask, index))
    return isinstance(index, torch.Tensor) and index.dtype == torch.bool


def check_loss_weights(method):
    """The declared loss weights are those of the loss."""
    if type(method).loss is not BalancingMethod.loss:
        return
    seen = []

    class Watched(type(method)):
        def on_gradients(self, batch):
            weights = loss_weights_of(self, batch)
            assert weights is not None, "return loss weights, or override loss()."
            assert set(weights) <= {"joint", *batch.features}, f"loss weights of {set(weights)}"
            seen.append(len(weights))
            super().on_gradients(batch)

    task = method.tasks[0]
    X, y = make_data(task)
    make_estimator(Watched(**method.get_params(deep=False)), task).fit(X, y)
    assert seen


def check_search(method):
    """Settings are nested parameters, and clones in a search are independent."""
    task = method.tasks[0]
    X, y = make_data(task)
    grid = {f"method__{k}": [v] for k, v in method.get_params(deep=False).items()}
    grid = grid or {"lr": [0.05]}
    search = GridSearchCV(make_estimator(method, task), grid, cv=2, error_score="raise")
    search.fit(ModalityDict(X), y)
    assert search.best_estimator_.method_ is not method


class _Interrupt(Callback):
    """Interrupts the second epoch in its second batch."""

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == 2 and len(net.history[-1, "batches"]) == 2:
            raise KeyboardInterrupt


def check_interrupt(method):
    """After an interrupt in mid-epoch training goes on."""
    task = method.tasks[0]
    X, y = make_data(task)
    estimator = make_estimator(method, task, callbacks=[_Interrupt()]).fit(X, y)
    assert len(estimator.history) == 1, "the interrupted epoch is still in the history."
    estimator.set_params(callbacks=None).partial_fit(X, y)
    assert_finite(estimator, X, y)


CHECKS = [
    check_settings,
    check_declarations,
    check_tasks,
    check_trains,
    check_fusions,
    check_curves,
    check_missing_modalities,
    check_sample_weight,
    check_random_state,
    check_order_of_modalities,
    check_partial_fit,
    check_pickle,
    check_release,
    check_state_of_another_class,
    check_gradient_scale,
    check_frozen_parameters,
    check_no_transfer_in_a_batch,
    check_loss_weights,
    check_search,
    check_interrupt,
]
