"""Early stopping of fits that are made together."""

import numpy as np
import pytest
from closed_runs import assert_equal_fits
from sklearn.base import clone
from together_runs import FOLDS, OPEN, SETTINGS, N, check, make_data

from inforeg_sk import MultimodalInfoRegClassifier, MultimodalInfoRegRegressor
from inforeg_sk.model_selection.fits import fit_all
from inforeg_sk.training import stacked

STOPPING = {
    **SETTINGS,
    **OPEN,
    "early_stopping": True,
    "validation_fraction": 0.25,
    "n_iter_no_change": 2,
    "max_epochs": 25,
}
# So fast that some stop at once and some never.
RATES = [{"lr": lr} for lr in (0.003, 0.03, 0.2)]


def check_stopping(pairs):
    """What skorch's callbacks hold is as after single fits; returns the numbers of epochs."""
    lengths = []
    for estimator, alone, _ in pairs:
        assert estimator.best_epoch_ == alone.best_epoch_
        keys = [k for k in alone.history_[0] if k.startswith("valid_")]
        for key in keys:
            found, expected = estimator.history_[:, key], alone.history_[:, key]
            np.testing.assert_allclose(found, expected, rtol=1e-10, err_msg=key)
        found, expected = (e.history_[:, "batches", -1, "valid_loss"] for e in (estimator, alone))
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        found, expected = (dict(e.callbacks_) for e in (estimator, alone))
        stop, other = found["stop_early"], expected["stop_early"]
        assert stop.misses_ == other.misses_
        np.testing.assert_allclose(stop.dynamic_threshold_, other.dynamic_threshold_, rtol=1e-10)
        for name in keys:
            if name in found:
                best = found[name].best_score_, expected[name].best_score_
                np.testing.assert_allclose(*best, rtol=1e-10)
        lengths.append(len(estimator.history_))
    return lengths


@pytest.mark.parametrize("tol", [1e-4, 0.05])
def test_members_stop_where_single_fits_stop(tol, stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**STOPPING, tol=tol)
    lengths = check_stopping(check(base, RATES, X, y, [12], stacks))
    assert len(set(lengths)) > 2, lengths  # else the test shows little


def test_the_stack_shrinks_as_members_stop(stacks, monkeypatch):
    X, y = make_data()
    sizes, keep = [], stacked.StackedNetwork.keep

    def spy(net, members, per_stream):
        keep(net, members, per_stream)
        sizes.append((len(members), per_stream))

    monkeypatch.setattr(stacked.StackedNetwork, "keep", spy)
    base = MultimodalInfoRegClassifier(**STOPPING)
    jobs = [clone(base).set_params(**point) for _ in FOLDS for point in RATES]
    rows = [fold for fold in FOLDS for _ in RATES]
    found = fit_all(jobs, X, y, rows)
    assert stacks == [12] and not any(one.error for one in found)
    assert len(sizes) > 1 and sizes == sorted(sizes, reverse=True)
    assert sizes[-1][0] < 6 and all(n % a == 0 for n, a in sizes)


def test_with_dropout_sample_weights_and_missing_modalities(stacks):
    X, y = make_data()
    rng = np.random.default_rng(0)
    X["text"][rng.random(N) < 0.3] = np.nan
    weight = rng.integers(1, 4, N).astype(float)
    base = MultimodalInfoRegClassifier(
        **STOPPING, encoders__dropout=0.3, missing="allow", prior_offset=True
    )
    params = {"sample_weight": weight}
    lengths = check_stopping(check(base, RATES, X, y, [12], stacks, params))
    assert len(set(lengths)) > 1, lengths


def test_groups_stay_on_one_side(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**STOPPING)
    groups = np.arange(N) // 5
    lengths = check_stopping(check(base, RATES, X, y, [12], stacks, {"groups": groups}))
    assert len(set(lengths)) > 1, lengths


def test_regression_stops(stacks):
    X, y = make_data(task="regression")
    base = MultimodalInfoRegRegressor(**STOPPING)
    assert check_stopping(check(base, RATES, X, y, [12], stacks))


@pytest.mark.parametrize(
    ("grid", "sizes"),
    [
        ([{"n_iter_no_change": 1}, {"n_iter_no_change": 4}, {"tol": 0.1}], [12]),
        ([{"validation_fraction": 0.2}, {"validation_fraction": 0.4}], [8]),
        ([{"early_stopping": False, "max_epochs": 3}, {"max_epochs": 25}], [4, 4]),
        ([{"random_state": 0}, {"random_state": 1}], [8]),
        ([{"batch_size": 8}, {"batch_size": -1}], [8]),
    ],
    ids=["patience", "fraction", "some", "seeds", "batches"],
)
def test_members_keep_their_own_rules(grid, sizes, stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**STOPPING)
    for estimator, alone, _ in check(base, grid, X, y, sizes, stacks):
        if estimator.early_stopping:
            assert estimator.best_epoch_ == alone.best_epoch_


def test_processes_hand_the_best_weights_back():
    X, y = make_data()
    jobs = [clone(MultimodalInfoRegClassifier(**STOPPING)).set_params(**p) for p in RATES]
    fit_all(jobs, X, y, [FOLDS[0]] * 3, n_jobs=2)
    for estimator in jobs:
        alone = clone(estimator).fit(X[FOLDS[0]], y[FOLDS[0]])
        assert_equal_fits(estimator, alone)
        assert estimator.best_epoch_ == alone.best_epoch_


def test_a_fit_goes_on_after_it_stopped(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**STOPPING, "lr": 0.03})
    for estimator, alone, rows in check(base, [{}], X, y, [4], stacks):
        for model in (estimator, alone):
            model.set_params(warm_start=True, max_epochs=3).fit(X[rows], y[rows])
        assert_equal_fits(estimator, alone)


def test_a_share_that_is_too_small_is_the_error_of_its_fit(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**STOPPING)
    bad = clone(base).set_params(validation_fraction=0.001)
    good, failed = fit_all([clone(base), bad], X, y, [FOLDS[0]] * 2)
    assert good.error is None and stacks == [1]
    with pytest.raises(ValueError, match="validation_fraction") as alone:
        clone(bad).fit(X[FOLDS[0]], y[FOLDS[0]])
    assert str(failed.error) == str(alone.value)


def test_rows_of_batches_are_dropped_in_the_last_epoch_too(stacks):
    X, y = make_data()
    base = MultimodalInfoRegClassifier(**{**STOPPING, "lr": 0.2}, record_batches=False)
    (one,) = fit_all([clone(base)], X, y, [FOLDS[0]])
    alone = clone(base).fit(X[FOLDS[0]], y[FOLDS[0]])
    assert len(alone.history_) == len(one.estimator.history_) < 25
    for model in (one.estimator, alone):
        for epoch in model.history_:
            with pytest.raises(ValueError, match="record_batches"):
                len(epoch["batches"])
