"""Fits that are made together: equal to single ones, and made together only where they may be."""

import warnings

import numpy as np
import pytest
import torch
from closed_runs import assert_equal_fits
from sklearn.base import clone
from together_runs import ALPHAS, FOLDS, OPEN, SETTINGS, N, check, make_data
from torch import nn

from inforeg_sk import (
    BalancingMethod,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)
from inforeg_sk.model_selection import together
from inforeg_sk.model_selection.fits import fit_all
from inforeg_sk.model_selection.stackable import why_not_together


@pytest.mark.parametrize("names", [("text",), ("text", "audio"), ("text", "audio", "video")])
def test_a_grid_over_folds_equals_single_fits_and_goes_on_as_they_do(names, stacks):
    X, y = make_data(names)
    base = MultimodalInfoRegClassifier(**OPEN, **SETTINGS)
    for estimator, alone, rows in check(base, ALPHAS, X, y, [12], stacks):
        estimator.partial_fit(X[rows], y[rows])
        assert_equal_fits(estimator, alone.partial_fit(X[rows], y[rows]))
        assert estimator.history_[:, "train_loss_best"] == alone.history_[:, "train_loss_best"]


KINDS = {
    "windows": {"window_threshold": 0.04, "window_smoothing": 2},
    "windows_of_the_code": {"window_threshold": 0.05, "padding": "zeros", "first_epoch": "open"},
    "closed_first": {"first_epoch": "closed", "window_threshold": 0.0, "padding": "none"},
    "joint_loss": {**OPEN, "unimodal_weight": 0.0},
    "other_weight": {**OPEN, "unimodal_weight": 0.4},
    "gradient_pull": {**OPEN, "pull": "gradient"},
    "smoothing": {**OPEN, "criterion__label_smoothing": 0.2},
    "prior": {**OPEN, "prior_offset": True},
    "class_weight": {**OPEN, "class_weight": {"a": 1.0, "b": 2.0, "c": 0.5}},
    "not_standardized": {**OPEN, "standardize": False},
    "two_layers": {**OPEN, "encoders__hidden": (6, 4)},
    "other_widths": {**OPEN, "encoders__text__hidden": (5, 3)},
    "no_layer": {**OPEN, "encoders__video__hidden": ()},
    "dropout": {**OPEN, "encoders__dropout": 0.3},
    "dropout_in_two_layers": {**OPEN, "encoders__dropout": 0.3, "encoders__hidden": (8, 6)},
    "dropout_in_one": {**OPEN, "encoders__text__dropout": 0.3},
    "small_batches": {**OPEN, "batch_size": 7},
    "whole_batches": {**OPEN, "batch_size": -1},
    "adamw": {**OPEN, "optimizer": torch.optim.AdamW, "optimizer__betas": (0.8, 0.9)},
    "no_rows": {**OPEN, "record_batches": False},
}


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "no_rows"])
def test_every_setting_equals_single_fits(kind, stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**SETTINGS, **KINDS[kind]})
    assert list(check(base, ALPHAS[1:], X, y, [8], stacks))


@pytest.mark.parametrize(
    ("grid", "sizes"),
    [
        ([{"lr": 0.01}, {"lr": 0.03}, {"optimizer__weight_decay": 0.1}], [12]),
        ([{"random_state": 0}, {"random_state": 1}, {"random_state": 2}], [12]),
        ([{"random_state": 0}, {"random_state": 1}, {"alpha": 1.0}], [4, 8]),
        ([{"beta": 0.1}, {"window_threshold": 0.2}, {"window_smoothing": 3}], [12]),
        ([{"unimodal_weight": 0.0}, {"unimodal_weight": 0.5}], [8]),
        ([{"batch_size": 8}, {"batch_size": 32}], [8]),
        ([{"encoders__hidden": 4}, {"encoders__hidden": 8}], [4, 4]),
        ([{"max_epochs": 3}, {"max_epochs": 5}], [4, 4]),
        ([{"encoders__dropout": 0.2}, {"encoders__dropout": 0.5}], [8]),
        ([{"pull": "gradient"}, {"pull": "decoupled"}], [4, 4]),
    ],
    ids=lambda value: (
        "-".join(dict.fromkeys(k for p in value for k in p)) if isinstance(value[0], dict) else ""
    ),
)
def test_members_keep_their_own_settings(grid, sizes, stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**SETTINGS, window_threshold=0.0)
    assert list(check(base, grid, X, y, sizes, stacks))


@pytest.mark.parametrize("method", ["joint", "inforeg"])
@pytest.mark.parametrize("settings", [{}, {"method__trace": "layers"}, {"fisher": None}])
def test_methods_of_the_general_classifier(method, settings, stacks):
    X, y = make_data()
    if method == "inforeg" and settings.get("fisher", 1) is None:
        settings = {"method__alpha": 0.0, **settings}
    if method == "joint" and "method__trace" in settings:
        settings = {}
    base = MultimodalClassifier(method, **SETTINGS, **settings)
    assert list(check(base, [{}, {"lr": 0.02}], X, y, [8], stacks))


@pytest.mark.parametrize("score", ["probability_sum", "negative_loss"])
def test_scores(score, stacks):
    X, y = make_data()
    base = MultimodalClassifier("inforeg", method__score=score, **SETTINGS)
    assert list(check(base, [{"method__alpha": a} for a in (1, 2)], X, y, [8], stacks))


@pytest.mark.parametrize("kind", [MultimodalInfoRegRegressor, MultimodalRegressor])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regression(kind, n_outputs, stacks):
    X, y = make_data(task="regression")
    y = y if n_outputs == 1 else np.stack([y, -2 * y], axis=1)
    grid = [{"lr": 0.01}, {"lr": 0.02}]
    settings = {**SETTINGS, **(OPEN if kind is MultimodalInfoRegRegressor else {})}
    assert list(check(kind(**settings), grid, X, y, [8], stacks))


@pytest.mark.parametrize("zeros", [False, True])
def test_sample_weights(zeros, stacks):
    X, y = make_data()
    weight = np.random.default_rng(1).integers(0 if zeros else 1, 4, N).astype(float)
    if zeros:
        weight[20:60] = 0
    base = MultimodalInfoRegClassifier(**SETTINGS, **OPEN)
    assert list(check(base, ALPHAS, X, y, [12], stacks, {"sample_weight": weight}))


def test_a_small_memory_makes_small_stacks(stacks, monkeypatch):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**OPEN, **SETTINGS)
    one = clone(base).set_params(max_epochs=1).fit(X, y)
    n_parameters = sum(p.numel() for p in one.module_.parameters())
    monkeypatch.setattr(together, "_STACK_BYTES", 6 * 8 * n_parameters * 7)  # of seven
    assert list(check(base, ALPHAS, X, y, [6, 6], stacks))


def test_processes_share_the_stacks():
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**OPEN, **SETTINGS)
    jobs = [(clone(base).set_params(**p), rows) for rows in FOLDS[:2] for p in ALPHAS]
    estimators, rows = [e for e, _ in jobs], [r for _, r in jobs]
    fit_all(estimators, X, y, rows, n_jobs=2)
    for estimator, part in jobs:
        alone = clone(estimator).fit(X[part], y[part])
        assert_equal_fits(estimator, alone)
        estimator.partial_fit(X[part], y[part])
        assert_equal_fits(estimator, alone.partial_fit(X[part], y[part]))


def test_rows_of_batches_are_dropped_where_they_are_not_wanted(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**SETTINGS, **KINDS["no_rows"]})
    (one,) = fit_all([base], X, y, [FOLDS[0]])
    assert stacks == [1]
    with pytest.raises(ValueError, match="record_batches"):
        one.estimator.history_[:, "batches", :, "train_loss"]


def test_single_precision_predicts_as_single_fits_do(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**SETTINGS, **OPEN, "dtype": "float32"})
    jobs = [(clone(base).set_params(**p), rows) for rows in FOLDS for p in ALPHAS]
    found = fit_all([e for e, _ in jobs], X, y, [r for _, r in jobs])
    for one, (estimator, rows) in zip(found, jobs, strict=True):
        alone = clone(estimator).fit(X[rows], y[rows])
        assert (one.estimator.predict(X) != alone.predict(X)).sum() <= 1


def test_what_the_user_had_does_not_change(stacks):
    X, y = make_data()
    before = {m: v.copy() for m, v in X.items()}, y.copy(), torch.get_rng_state()
    base = MultimodalInfoRegClassifier(**OPEN, **SETTINGS)
    fit_all([clone(base) for _ in FOLDS], X, y, FOLDS)
    for name, value in X.items():
        np.testing.assert_array_equal(value, before[0][name])
    np.testing.assert_array_equal(y, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


# What is fitted alone


class Own(MultimodalInfoRegClassifier):
    pass


class OwnMethod(BalancingMethod):
    closed_form = True


ALONE = {
    "subclass": Own(**SETTINGS),
    "callbacks": MultimodalInfoRegClassifier(callbacks=[], **SETTINGS),
    "exact_traces": MultimodalInfoRegClassifier(fisher="sample", **SETTINGS),
    "modality_dropout": MultimodalInfoRegClassifier(modality_dropout=0.2, **SETTINGS),
    "fusion": MultimodalInfoRegClassifier(fusion="sum", **SETTINGS),
    "sgd": MultimodalInfoRegClassifier(optimizer=torch.optim.SGD, **SETTINGS),
    "amsgrad": MultimodalInfoRegClassifier(optimizer__amsgrad=True, **SETTINGS),
    "method": MultimodalClassifier(OwnMethod(), **SETTINGS),
    "own_encoder": MultimodalInfoRegClassifier(
        encoders={"text": nn.Sequential(nn.Linear(7, 3), nn.Tanh())}, **SETTINGS
    ),
    "gru": MultimodalInfoRegClassifier(
        **{**SETTINGS, "encoders": {"audio": "gru"}, "max_epochs": 2}
    ),
    "batches_in_order": MultimodalInfoRegClassifier(iterator_train__shuffle=False, **SETTINGS),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_cannot_be_stacked_is_fitted_alone(name, stacks):
    X, y = make_data()
    base = clone(ALONE[name])
    (one,) = fit_all([base], X, y, [FOLDS[0]])
    assert stacks == [] and one.error is None
    alone = clone(base).fit(X[FOLDS[0]], y[FOLDS[0]])
    assert_equal_fits(one.estimator, alone)


def test_the_log_says_why_fits_are_made_alone(stacks, caplog):
    caplog.set_level("INFO", "inforeg_sk.model_selection")
    X, y = make_data()
    base = MultimodalInfoRegClassifier(fusion="sum", **SETTINGS)
    (one,) = fit_all([base], X, y, [FOLDS[0]])
    assert stacks == [] and one.error is None
    reason = "only multilayer perceptrons with a concatenation are stacked"
    assert caplog.messages == [f"1 fits, one after another: {reason}"]


def test_reasons_name_the_parameter():
    assert why_not_together(MultimodalInfoRegClassifier()) is None
    reasons = {
        "fisher='sample'": MultimodalInfoRegClassifier(fisher="sample"),
        "optimizer=SGD": MultimodalInfoRegClassifier(optimizer=torch.optim.SGD),
        "optimizer__amsgrad": MultimodalInfoRegClassifier(optimizer__amsgrad=True),
        "iterator_train__shuffle": MultimodalInfoRegClassifier(iterator_train__shuffle=False),
        "verbose=1": MultimodalInfoRegClassifier(verbose=1),
        "Own is none of the estimators": Own(),
    }
    for text, estimator in reasons.items():
        assert text in why_not_together(estimator)


def test_one_that_fails_does_not_harm_the_others(stacks):
    X, y = make_data()
    good = MultimodalInfoRegClassifier(**OPEN, **SETTINGS)
    wrong = clone(good).set_params(alpha=-1.0)
    found = fit_all([clone(good), wrong, clone(good)], X, y, [FOLDS[0]] * 3)
    assert stacks == [2]
    assert [one.error is None for one in found] == [True, False, True]
    assert found[1].estimator is None and "'alpha' parameter" in str(found[1].error)
    assert_equal_fits(found[2].estimator, clone(good).fit(X[FOLDS[0]], y[FOLDS[0]]))


def test_a_member_that_diverges_does_not_harm_the_others(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**SETTINGS, **OPEN, "dtype": "float32"})
    wild = clone(base).set_params(lr=1e30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tame, _ = fit_all([clone(base), wild], X, y, [FOLDS[0]] * 2)
        alone = clone(base).fit(X[FOLDS[0]], y[FOLDS[0]])
    assert stacks == [2]
    assert_equal_fits(tame.estimator, alone, rtol=1e-3, atol=1e-4)


def test_warnings_of_a_fit_are_given(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**SETTINGS, "lr": 1e200, **OPEN})
    with pytest.warns(Warning) as alone:
        clone(base).fit(X[FOLDS[0]], y[FOLDS[0]])
    with pytest.warns(Warning) as together_:
        fit_all([base], X, y, [FOLDS[0]])
    assert stacks == [1]
    assert {type(w.message) for w in together_} == {type(w.message) for w in alone}
