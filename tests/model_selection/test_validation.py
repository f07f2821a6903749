"""`cross_validate_batched` equals scikit-learn's `cross_validate`, bit for bit."""

import logging

import missing
import numpy as np
import pytest
import regression
import sklearn
from entry_points import GROUPS, TABLE, WEIGHT, X, Y, make, make_2d
from searches import count_fits, near, same_results
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, cross_validate

from inforeg_sk import ModalityDict
from inforeg_sk.model_selection import cross_validate_batched


def both(estimator, X, y, **kwargs):
    """Results of ours and of scikit-learn's, which must be equal."""
    ours, theirs = (f(estimator, X, y, **kwargs) for f in (cross_validate_batched, cross_validate))
    same_results(ours, theirs)
    return ours, theirs


def test_all_that_can_be_asked_for(monkeypatch):
    calls = count_fits(monkeypatch)
    ours, theirs = both(
        make(),
        X,
        Y,
        cv=4,
        scoring=["accuracy", "neg_log_loss"],
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    assert calls == [4] and (ours["fit_time"] > 1e-3).all()
    for part in ("train", "test"):
        assert type(ours["indices"][part]) is type(theirs["indices"][part])
        for a, b in zip(ours["indices"][part], theirs["indices"][part], strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(ours["estimator"], theirs["estimator"], strict=True):
        assert type(a) is type(b)
        near(a.predict_proba(X), b.predict_proba(X))


@pytest.mark.parametrize("cv", [None, 3, KFold(3, shuffle=True, random_state=0), "list"])
def test_splits(cv):
    both(make(), X, Y, cv=list(KFold(3).split(TABLE)) if cv == "list" else cv)


def test_splits_given_once():
    ours, theirs = (
        f(make(), X, Y, cv=KFold(3).split(TABLE), return_indices=True)
        for f in (cross_validate_batched, cross_validate)
    )
    same_results(ours, theirs)


def test_kinds_of_data():
    both(make_2d(), TABLE, Y, cv=3)
    data, y = regression.make_data(60)
    both(regression.make(max_epochs=2), ModalityDict(data), y, cv=3, scoring=["r2"])
    complete, y = missing.make_complete()
    data = ModalityDict(missing.blank(complete, missing.draw_present()))
    both(missing.make(missing="allow", max_epochs=2), data, y, cv=3)


def test_groups_and_weights():
    both(make(), X, Y, groups=GROUPS, cv=LeaveOneGroupOut())
    weighted, _ = both(make(), X, Y, cv=3, params={"sample_weight": WEIGHT}, return_estimator=True)
    plain, _ = both(make(), X, Y, cv=3, return_estimator=True)
    one, other = (r["estimator"][0].predict_proba(X) for r in (weighted, plain))
    assert (one != other).any()


def test_groups_and_weights_by_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        params = {"sample_weight": WEIGHT, "groups": GROUPS}
        both(clf, X, Y, cv=GroupKFold(3), params=params)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="cross_validate"):
            cross_validate_batched(make(), X, Y, params={"sample_weight": WEIGHT})


class FailsOften(type(make())):
    """Fails where the first label of the training part is not "anger"."""

    def fit(self, X, y, **kwargs):
        if y[0] != "anger":
            raise ArithmeticError("told to fail")
        return super().fit(X, y, **kwargs)


def test_a_fold_that_fails():
    order = np.argsort(Y, kind="stable")
    data, y = X[order], Y[order]
    clf = FailsOften(max_epochs=2, random_state=0)
    splits = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))]
    with pytest.warns(FitFailedWarning, match="1 fits failed out of a total of 2"):
        ours, _ = both(clf, data, y, cv=splits, scoring=["accuracy"], return_train_score=True)
    assert np.isnan(ours["test_accuracy"]).tolist() == [False, True]
    with pytest.raises(ArithmeticError, match="told to fail"):
        cross_validate_batched(clf, data, y, cv=splits, error_score="raise")


def test_the_estimator_is_left_as_it_was():
    clf = make()
    before = dict(vars(clf))
    cross_validate_batched(clf, X, Y, cv=3)
    assert vars(clf) == before


def test_warnings_of_fits_are_shown_once(recwarn):
    hopeless = np.random.default_rng(0).permutation(Y)
    kwargs = {"lr": 1e-9, "max_epochs": 60, "batch_size": 16}
    for run in (cross_validate_batched, cross_validate):
        recwarn.clear()
        run(make(**kwargs), X, hopeless, cv=3)
        shown = [str(w.message) for w in recwarn if "guessing" in str(w.message)]
        assert shown and len(shown) == len(set(shown))


def test_other_estimators_are_left_to_scikit_learn_and_the_log_says_so(caplog):
    with caplog.at_level(logging.INFO, "inforeg_sk.model_selection"):
        both(LogisticRegression(), TABLE, Y, return_indices=True, cv=3)
    assert "LogisticRegression is not an estimator of this library" in caplog.text
