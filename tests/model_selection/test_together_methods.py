"""Methods whose hooks are called once for many networks: results equal those of single fits."""

import warnings

import numpy as np
import pytest
import torch
from closed_runs import assert_equal_fits
from sklearn.base import clone
from together_runs import FOLDS, SETTINGS, check, make_data

from inforeg_sk import (
    DGL,
    OGMGE,
    BalancingMethod,
    MMPareto,
    MultimodalClassifier,
    MultimodalRegressor,
    TCMax,
)
from inforeg_sk.methods import Curve
from inforeg_sk.model_selection.fits import fit_all
from inforeg_sk.network.parameters import scale_gradients


class Damping(BalancingMethod):
    """Scales the gradients of the encoders that lead, by one factor a network."""

    batchable = True
    curves = {"most": Curve("Largest factor", reduction="sum")}

    def __init__(self, strength=1.0):
        self.strength = strength

    def on_gradients(self, batch):
        factors = torch.exp(-self.strength * batch.performance_gap)
        batch.record("factor", factors)
        batch.record("most", factors.amax(dim=-1))
        for i, parameters in enumerate(batch.epoch.parameters.values()):
            scale_gradients(parameters.regulated, factors[..., i])


class Detached(BalancingMethod):
    """The head learns from features that it does not change; encoders from their own heads."""

    batchable = True

    def prepare(self, network):
        network.add_unimodal_heads()
        return network

    def loss(self, batch):
        detached = {m: z.detach() for m, z in batch.features.items()}
        joint = batch.loss_of(batch.network.joint_logits(detached))
        batch.record("own", {m: loss for m, loss in batch.head_losses.items()})
        return joint + 2 * sum(batch.head_losses.values())


class OwnGradients(BalancingMethod):
    """Adds noise to gradients that it computes itself, and shrinks weights after a step."""

    batchable = True

    def on_gradients(self, batch):
        for parameters in batch.epoch.parameters.values():
            for p in parameters.regulated:
                p.grad.add_(0.01 * batch.draw_normal(p.grad))

    def on_step(self, batch):
        with torch.no_grad():
            for parameters in batch.epoch.parameters.values():
                for p in parameters.regulated:
                    p.mul_(0.999)


class Sums(BalancingMethod):
    """Takes gradients of two losses by itself."""

    batchable = True

    def loss(self, batch):
        self._found = [
            (p, g)
            for m, parameters in batch.epoch.parameters.items()
            for p, g in zip(
                parameters.trainable,
                batch.gradients(batch.unimodal_losses[m], parameters.trainable),
                strict=True,
            )
        ]
        return batch.joint_loss

    def on_gradients(self, batch):
        for p, g in self._found:
            p.grad.add_(g)

    def on_train_end(self):
        self._found = []


METHODS = [Damping(), Detached(), OwnGradients(), Sums()]
METHODS += [OGMGE(), MMPareto(), DGL(), DGL(max_norm=0.5), TCMax()]
GRID = [{"lr": 0.01}, {"lr": 0.02}, {"random_state": 3}]


@pytest.mark.parametrize(
    ("method", "names"),
    [(method, ("text", "audio", "video")) for method in METHODS]
    + [(method, ("text",)) for method in (OGMGE(), MMPareto(), DGL(), TCMax())],
    ids=lambda value: str(len(value)) if isinstance(value, tuple) else type(value).__name__,
)
def test_members_equal_single_fits_and_go_on_as_they_do(method, names, stacks):
    X, y = make_data(names)
    base = MultimodalClassifier(method, **{**SETTINGS, "max_epochs": 3})
    folds = [np.arange(100), np.arange(40, 140)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator, alone, rows in check(base, GRID, X, y, [4, 2], stacks, folds=folds):
            estimator.partial_fit(X[rows], y[rows])
            assert_equal_fits(estimator, alone.partial_fit(X[rows], y[rows]))


KINDS = {
    "dropout": {"encoders__dropout": 0.3},
    "smoothing": {"criterion__label_smoothing": 0.2},
    "prior": {"prior_offset": True},
    "early_stopping": {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 12, "tol": 0.1},
    "epochs": {"active": range(1, 3)},
    "no_traces": {"fisher": None},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "method", [Damping(), Detached(), DGL(), TCMax()], ids=lambda m: type(m).__name__
)
def test_every_setting_equals_single_fits(method, kind, stacks):
    X, y = make_data()
    if kind == "smoothing" and isinstance(method, TCMax):
        pytest.skip("TCMax is defined without smoothing")
    base = MultimodalClassifier(method, **{**SETTINGS, "max_epochs": 4, **KINDS[kind]})
    folds = [np.arange(100), np.arange(40, 140)]
    found = list(check(base, [{"lr": 0.01}, {"lr": 0.05}], X, y, [4], stacks, folds=folds))
    if kind == "early_stopping":
        assert len({len(estimator.history_) for estimator, _, _ in found}) > 1


@pytest.mark.parametrize("score", ["log_probability", "probability_sum", "negative_loss"])
def test_scores(score, stacks):
    class Scored(Damping):
        pass

    Scored.score = score
    X, y = make_data()
    base = MultimodalClassifier(Scored(0.1), **{**SETTINGS, "max_epochs": 3})
    assert list(check(base, [{}, {"lr": 0.02}], X, y, [2], stacks, folds=FOLDS[:1]))


def test_a_regressor(stacks):
    X, y = make_data(task="regression")
    base = MultimodalRegressor(Damping(0.5), **{**SETTINGS, "max_epochs": 4})
    assert list(check(base, [{}, {"lr": 0.02}], X, y, [2], stacks, folds=FOLDS[:1]))


def test_only_equal_settings_of_the_method_go_together(stacks):
    X, y = make_data()
    base = MultimodalClassifier(Damping(), **{**SETTINGS, "max_epochs": 2})
    grid = [{"method__strength": s, "lr": lr} for s in (0.5, 1.0) for lr in (0.01, 0.02)]
    assert list(check(base, grid, X, y, [2, 2], stacks, folds=FOLDS[:1]))


def test_parts_of_other_sizes_are_stacked_apart(stacks):
    X, y = make_data()
    base = MultimodalClassifier(Damping(), **{**SETTINGS, "max_epochs": 2})
    folds = [np.arange(96), np.arange(97), np.arange(3, 99)]
    assert list(check(base, [{}], X, y, [2], stacks, folds=folds))  # the other one alone


class WithEpochs(Damping):
    def on_epoch_end(self, epoch):
        epoch.record("seen", 1.0)


class NotBatchable(Damping):
    batchable = False


@pytest.mark.parametrize("kind", ["epoch_hook", "not_batchable", "window", "weights", "missing"])
def test_what_the_hooks_cannot_do_for_many_is_fitted_alone(kind, stacks):
    X, y = make_data()
    method = {"epoch_hook": WithEpochs(), "not_batchable": NotBatchable()}.get(kind, Damping())
    base = MultimodalClassifier(method, **{**SETTINGS, "max_epochs": 2})
    params = {}
    if kind == "window":
        base.set_params(active="window")
    if kind == "weights":
        params = {"sample_weight": np.arange(1.0, len(y) + 1)}
    if kind == "missing":
        X["text"][30:35] = np.nan
        base.set_params(missing="allow")
    (one,) = fit_all([clone(base)], X, y, [FOLDS[0]], fit_params=params)
    assert one.error is None and not stacks


def test_a_loss_that_is_not_one_number_a_network_is_refused():
    class Wrong(BalancingMethod):
        batchable = True

        def loss(self, batch):
            return batch.joint_loss.sum()

    X, y = make_data()
    base = MultimodalClassifier(Wrong(), **SETTINGS)
    with pytest.raises(ValueError, match="declares itself batchable"):
        fit_all([base, clone(base)], X, y, [FOLDS[0]] * 2)
