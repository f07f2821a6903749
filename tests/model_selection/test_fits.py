"""`fit_all`: what comes of each of many fits."""

import logging

import numpy as np
import pytest
from entry_points import PLAIN, WEIGHT, X, Y, make, rows
from searches import near

from inforeg_sk.model_selection.fits import fit_all, why_not_batched

PARTS = [np.arange(60), np.arange(20, 90)]


def test_each_estimator_is_fitted_on_its_rows():
    fitted = fit_all([make(), make(alpha=0.0)], X, Y, PARTS)
    for one, alpha, part in zip(fitted, (3.0, 0.0), PARTS):
        alone = make(alpha=alpha).fit(rows(part), Y[part])
        assert one.error is None and one.fit_time > 0
        near(one.estimator.predict_proba(X), alone.predict_proba(X))


def test_further_arguments_are_cut_if_they_have_a_value_a_sample():
    held_out = (rows(np.arange(5)), Y[:5])
    params = {"sample_weight": list(WEIGHT), "validation_data": held_out, "groups": None}
    (one,) = fit_all([make()], X, Y, PARTS[:1], fit_params=params)
    part = PARTS[0]
    alone = make().fit(rows(part), Y[part], sample_weight=WEIGHT[part], validation_data=held_out)
    near(one.estimator.predict_proba(X), alone.predict_proba(X))
    assert one.estimator.history[:, "valid_loss"] == alone.history[:, "valid_loss"]


@pytest.mark.parametrize("all_rows", [np.arange(90), None])
def test_all_rows_take_data_in_any_form(all_rows):
    (one,) = fit_all([make()], PLAIN, list(Y), [all_rows], fit_params={"sample_weight": WEIGHT})
    alone = make().fit(PLAIN, Y, sample_weight=WEIGHT)
    near(one.estimator.predict_proba(X), alone.predict_proba(X))


def test_rows_in_another_order_are_kept_in_it():
    back = np.arange(90)[::-1]
    (one,) = fit_all([make()], X, Y, [back])
    alone = make().fit(rows(back), Y[back])
    near(one.estimator.predict_proba(X), alone.predict_proba(X))


def test_a_fit_that_fails_does_not_stop_the_others():
    bad, good = fit_all([make(alpha=-1.0), make()], X, Y, PARTS)
    assert bad.estimator is None and "Got -1.0" in str(bad.error) and bad.fit_time >= 0
    assert good.error is None and good.estimator.initialized_


def test_an_interrupt_stops_all():
    class Stopped(type(make())):
        def fit(self, X, y):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_all([Stopped()], X, Y, PARTS[:1])


def test_a_fit_that_was_interrupted_and_keeps_what_it_has_stops_all():
    class Interrupted(type(make())):
        fits = 0

        def fit_loop(self, *args, **kwargs):
            Interrupted.fits += 1
            raise KeyboardInterrupt

    estimators = [Interrupted(random_state=0), Interrupted(random_state=0)]
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="was interrupted"):
        fit_all(estimators, X, Y, PARTS)
    assert Interrupted.fits == 1


def test_no_fits_are_no_results():
    assert fit_all([], X, Y, []) == []


def test_the_log_says_why_fits_are_made_one_after_another(caplog):
    alone = make(verbose=1)
    with caplog.at_level(logging.INFO, "inforeg_sk.model_selection"):
        fit_all([make(), alone], X, Y, PARTS)
    assert caplog.messages == [f"1 fits, one after another: {why_not_batched(alone)}"]
    assert "verbose=1" in caplog.messages[0]
