"""Fits that are made together on samples that lack modalities."""

import numpy as np
import pytest
from closed_runs import assert_equal_fits
from sklearn.base import clone
from together_runs import ALPHAS, FOLDS, OPEN, SETTINGS, N, check, make_data

from inforeg_sk import (
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
)
from inforeg_sk.model_selection.fits import fit_all

SETTINGS = {**SETTINGS, "missing": "allow"}


def make_missing(names=("text", "audio", "video"), task="classification", share=0.3):
    X, y = make_data(names, task)
    rng = np.random.default_rng(1)
    gone = rng.random((N, len(names))) < share
    gone[gone.all(axis=1), 0] = False
    for i, name in enumerate(names):
        X[name][gone[:, i]] = np.nan
    return X, y


@pytest.mark.parametrize("names", [("text", "audio"), ("text", "audio", "video")])
def test_a_grid_over_folds_equals_single_fits_and_goes_on_as_they_do(names, stacks):
    X, y = make_missing(names)
    base = MultimodalInfoRegClassifier(**OPEN, **SETTINGS)
    for estimator, alone, rows in check(base, ALPHAS, X, y, [12], stacks):
        estimator.partial_fit(X[rows], y[rows])
        assert_equal_fits(estimator, alone.partial_fit(X[rows], y[rows]))


KINDS = {
    "windows": {"window_threshold": 0.04, "window_smoothing": 2},
    "joint_loss": {**OPEN, "unimodal_weight": 0.0},
    "gradient_pull": {**OPEN, "pull": "gradient"},
    "smoothing": {**OPEN, "criterion__label_smoothing": 0.2},
    "prior": {**OPEN, "prior_offset": True},
    "class_weight": {**OPEN, "class_weight": {"a": 1.0, "b": 2.0, "c": 0.5}},
    "not_standardized": {**OPEN, "standardize": False},
    "dropout_in_two_layers": {**OPEN, "encoders__dropout": 0.3, "encoders__hidden": (8, 6)},
    "no_layer": {**OPEN, "encoders__video__hidden": ()},
    "whole_batches": {**OPEN, "batch_size": -1},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_equals_single_fits(kind, stacks):
    X, y = make_missing()
    base = MultimodalInfoRegClassifier(**{**SETTINGS, **KINDS[kind]})
    assert list(check(base, ALPHAS[1:], X, y, [8], stacks))


@pytest.mark.parametrize(
    "settings",
    [{"trace": "layers", "pull": "gradient"}, {"score": "probability_sum"}],
    ids=["layers", "sums"],
)
def test_as_the_authors_measure(settings, stacks):
    X, y = make_missing()
    settings = {f"method__{name}": value for name, value in {**OPEN, **settings}.items()}
    base = MultimodalClassifier("inforeg", **SETTINGS, **settings)
    grid = [{"method__alpha": a} for a in (1, 2)]
    assert list(check(base, grid, X, y, [8], stacks))


@pytest.mark.parametrize("size", [3, 5])
def test_an_encoder_rests_where_a_batch_lacks_its_modality(size, stacks):
    X, y = make_missing(share=0.1)
    X["audio"][np.arange(N) % 10 != 0] = np.nan  # in few batches
    base = MultimodalInfoRegClassifier(**{**SETTINGS, "batch_size": size}, **OPEN)
    grid = [{"alpha": 2.0}, {"lr": 0.003}]
    for estimator, alone, rows in check(base, grid, X, y, [8], stacks):
        found, expected = (
            [int(e.optimizer_.state[p]["step"]) for p in e.module_.parameters()]
            for e in (estimator, alone)
        )
        assert found == expected and len(set(found)) > 1
        estimator.partial_fit(X[rows], y[rows])
        assert_equal_fits(estimator, alone.partial_fit(X[rows], y[rows]))


def test_a_modality_that_no_sample_of_a_fold_has(stacks):
    X, y = make_data()
    fold = FOLDS[0]
    X["video"][fold] = np.nan
    base = MultimodalInfoRegClassifier(**SETTINGS, **OPEN)
    with pytest.raises(ValueError, match="'video' is missing in every sample") as alone:
        clone(base).fit(X[fold], y[fold])
    first, second = fit_all([clone(base), clone(base)], X, y, [fold, np.arange(N)])
    assert str(first.error) == str(alone.value)
    assert second.error is None and stacks == [1]


@pytest.mark.parametrize("zeros", [False, True])
def test_sample_weights(zeros, stacks):
    X, y = make_missing()
    weight = np.random.default_rng(1).integers(0 if zeros else 1, 4, N).astype(float)
    if zeros:
        weight[20:60] = 0
    base = MultimodalInfoRegClassifier(**SETTINGS, **OPEN)
    assert list(check(base, ALPHAS, X, y, [12], stacks, {"sample_weight": weight}))


def test_regression(stacks):
    X, y = make_missing(task="regression")
    base = MultimodalInfoRegRegressor(**SETTINGS, **OPEN)
    assert list(check(base, ALPHAS[:2], X, np.stack([y, -y], axis=1), [8], stacks))


def test_joint_training(stacks):
    X, y = make_missing()
    base = MultimodalClassifier("joint", **SETTINGS)
    assert list(check(base, [{}, {"lr": 0.02}], X, y, [8], stacks))


def test_folds_with_and_without_gaps(stacks):
    X, y = make_missing(share=0.3)
    whole, _ = make_data()
    for name in X:
        X[name][:60] = whole[name][:60]
    folds = [np.arange(55), np.arange(10, 150)]
    base = MultimodalInfoRegClassifier(**SETTINGS, **OPEN)
    assert list(check(base, ALPHAS[:2], X, y, [2, 2], stacks, folds=folds))


def test_what_the_user_had_keeps_its_gaps(stacks):
    X, y = make_missing()
    before = {m: v.copy() for m, v in X.items()}
    base = MultimodalInfoRegClassifier(**SETTINGS, standardize=False)
    fit_all([clone(base) for _ in FOLDS], X, y, FOLDS)
    for name, value in X.items():
        np.testing.assert_array_equal(value, before[name])
