"""Estimators that choose alpha and unimodal_weight by cross-validation."""

import pickle

import numpy as np
import pytest
import regression
import sklearn
from entry_points import GROUPS, PLAIN, TABLE, WEIGHT, X, Y, make, make_2d, rows
from searches import count_fits
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from inforeg_sk import (
    ModalityDict,
    ModalityTransformer,
    MultimodalInfoRegClassifierCV,
    MultimodalInfoRegRegressorCV,
)

GRID = {"alphas": [0.0, 5.0, 1.0], "unimodal_weights": [1.0, 0.0]}
PULLED = {"window_threshold": -np.inf, "max_epochs": 3}


def chooser(cls=MultimodalInfoRegClassifierCV, **kwargs):
    return cls(**{"estimator": make(**PULLED), **GRID, "cv": 3, **kwargs})


def test_scores_are_those_of_each_fold_by_hand(monkeypatch):
    calls = count_fits(monkeypatch)
    chosen = chooser().fit(X, Y)
    assert calls == [18] and chosen.scores_.shape == (3, 2, 3)
    splits = list(StratifiedKFold(3).split(TABLE, Y))
    for i, alpha in enumerate(GRID["alphas"]):
        for j, weight in enumerate(GRID["unimodal_weights"]):
            for k, (train, test) in enumerate(splits):
                clf = make(alpha=alpha, unimodal_weight=weight, **PULLED)
                clf.fit(rows(train), Y[train])
                assert chosen.scores_[i, j, k] == clf.score(rows(test), Y[test])


def test_the_best_is_taken_and_trained_on_all_data():
    chosen = chooser(scoring="neg_log_loss").fit(PLAIN, Y)
    means = chosen.scores_.mean(axis=2)
    i, j = np.unravel_index(means.argmax(), means.shape)
    assert chosen.alpha_ == GRID["alphas"][i]
    assert chosen.unimodal_weight_ == GRID["unimodal_weights"][j]
    best = make(alpha=chosen.alpha_, unimodal_weight=chosen.unimodal_weight_, **PULLED)
    best.fit(PLAIN, Y)
    for method in ("predict", "predict_proba"):
        np.testing.assert_array_equal(getattr(chosen, method)(X), getattr(best, method)(X))
    np.testing.assert_array_equal(chosen.classes_, best.classes_)
    assert chosen.modalities_ == best.modalities_
    assert chosen.score_by_modality(X, Y) == best.score_by_modality(X, Y)
    alone = chosen.predict_proba_by_modality(X)["weak"]
    np.testing.assert_array_equal(alone, best.predict_proba_by_modality(X)["weak"])
    trace = chosen.curves_["fisher_trace"]["weak"]
    np.testing.assert_array_equal(trace, best.curves_["fisher_trace"]["weak"])
    # As of LogisticRegressionCV, the score is the one that it chose by.
    assert np.isclose(chosen.score(X, Y), -log_loss(Y, best.predict_proba(X)), rtol=1e-6)


def test_a_regressor():
    data, y = regression.make_data(60)
    reg = regression.make(max_epochs=2)
    chosen = MultimodalInfoRegRegressorCV(reg, alphas=[0.0, 5.0], cv=3).fit(data, y)
    assert is_regressor(chosen) and chosen.scores_.shape == (2, 1, 3)
    best = regression.make(max_epochs=2, alpha=chosen.alpha_).fit(data, y)
    np.testing.assert_array_equal(chosen.predict(data), best.predict(data))
    assert chosen.score(ModalityDict(data), y) == best.score(data, y)
    assert set(chosen.predict_by_modality(data)) == {"audio", "text", "video"}
    assert not hasattr(chosen, "predict_proba") and not hasattr(chosen, "classes_")


def test_defaults():
    classifier, regressor = MultimodalInfoRegClassifierCV(), MultimodalInfoRegRegressorCV()
    assert is_classifier(classifier) and is_regressor(regressor)
    for chosen in (classifier, regressor):
        assert chosen.alphas == (0.3, 1.0, 3.0, 10.0) and chosen.unimodal_weights is None
    assert sklearn.utils.get_tags(classifier).input_tags.dict


def test_without_unimodal_weights_the_estimators_own_counts():
    for estimator, expected in [
        (make(unimodal_weight=0.5), 0.5),
        (make(method__unimodal_weight=0.25), 0.25),
        (make(), 1.0),
    ]:
        chosen = chooser(estimator=estimator, alphas=[0.0], unimodal_weights=None).fit(X, Y)
        assert chosen.unimodal_weight_ == expected and chosen.scores_.shape == (1, 1, 3)
        assert chosen.best_estimator_.method_.unimodal_weight == expected


def test_a_setting_that_would_replace_candidates_is_refused():
    for name in ("method__alpha", "method__unimodal_weight"):
        with pytest.raises(ValueError, match=f"'estimator' parameter .* must not have {name}"):
            chooser(estimator=make(**{name: 0.5})).fit(X, Y)


def test_a_table():
    chosen = chooser(estimator=make_2d()).fit(TABLE, Y)
    assert chosen.n_features_in_ == TABLE.shape[1] and not hasattr(chooser(), "n_features_in_")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE).add_prefix("x")
    names = {"a": list(frame.columns[:6]), "b": list(frame.columns[6:])}
    chosen = chooser(estimator=make(modalities=names)).fit(frame, Y)
    assert list(chosen.feature_names_in_) == list(frame.columns)
    assert not hasattr(chosen.set_params(estimator=make()).fit(X, Y), "feature_names_in_")


def test_groups_and_weights():
    chosen = chooser(cv=GroupKFold(3)).fit(X, Y, groups=GROUPS, sample_weight=WEIGHT)
    train, test = next(GroupKFold(3).split(TABLE, Y, GROUPS))
    clf = make(alpha=0.0, unimodal_weight=1.0, **PULLED)
    clf.fit(rows(train), Y[train], sample_weight=WEIGHT[train])
    passed = chosen.search_.scorer_(clf, X[test], Y[test])
    assert np.isclose(chosen.scores_[0, 0, 0], passed, atol=0.1)  # weighted by 1.8 and later
    unweighted = chooser(cv=GroupKFold(3)).fit(X, Y, groups=GROUPS)
    assert (unweighted.predict_proba(X) != chosen.predict_proba(X)).any()


def test_groups_and_weights_by_routing_from_outside():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(**PULLED).set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=False)
        chosen = chooser(estimator=clf, cv=GroupKFold(2))
        params = {"sample_weight": WEIGHT, "groups": GROUPS}
        result = cross_validate(
            chosen, X, Y, cv=GroupKFold(2), params=params, return_estimator=True,
            error_score="raise", return_indices=True,
        )  # fmt: skip
    one, train = result["estimator"][0], result["indices"]["train"][0]
    best = clone(clf).set_params(alpha=one.alpha_, unimodal_weight=one.unimodal_weight_)
    best.fit(rows(train), Y[train], sample_weight=WEIGHT[train])
    np.testing.assert_array_equal(one.predict_proba(X), best.predict_proba(X))


def test_without_refit_there_is_a_choice_and_no_model():
    chosen = chooser().fit(X, Y).set_params(refit=False).fit(X, Y)
    assert chosen.alpha_ in GRID["alphas"] and chosen.scores_.shape == (3, 2, 3)
    assert not hasattr(chosen, "best_estimator_") and not hasattr(chosen, "classes_")
    for call in (chosen.predict, chosen.predict_proba, lambda X: chosen.score(X, Y)):
        with pytest.raises(AttributeError, match="no model: it was fitted with refit=False"):
            call(X)


@pytest.mark.slow
@pytest.mark.parametrize(
    "cls, estimator",
    [(MultimodalInfoRegClassifierCV, make), (MultimodalInfoRegRegressorCV, regression.make)],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_of_estimators_pass(cls, estimator):
    # Small data, not scaled: a fifth of the epochs at a higher rate, as for the estimators alone.
    settings = {"lr": 0.01, "max_epochs": 15, "encoders__hidden": 8, "batch_size": 32}
    chosen = cls(estimator(**settings), alphas=[1.0, 3.0], cv=2)
    records = check_estimator(chosen, on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in records if r["status"] == "failed"}
    assert failed == {} and len(records) > 50


def test_nothing_works_before_fit():
    for call in (chooser().predict, lambda X: chooser().score(X, Y)):
        with pytest.raises(NotFittedError):
            call(X)


def test_clones_pickles_and_nested_parameters():
    chosen = chooser().set_params(estimator__lr=0.5, alphas=[1.0])
    assert chosen.estimator.lr == 0.5 and clone(chosen).get_params()["estimator__lr"] == 0.5
    before = chosen.estimator
    chosen.fit(X, Y)
    assert chosen.estimator is before and not before.initialized_
    again = pickle.loads(pickle.dumps(chosen))
    np.testing.assert_array_equal(again.predict_proba(X), chosen.predict_proba(X))


def test_at_the_end_of_a_pipeline_and_in_a_cross_validation():
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), chooser(alphas=[1.0]))
    assert len(cross_val_score(pipe, X, Y, cv=2, error_score="raise")) == 2


def test_inspection_looks_at_the_chosen_model():
    pytest.importorskip("matplotlib")
    from inforeg_sk.inspection import FisherTraceDisplay

    chosen = chooser(alphas=[1.0]).fit(X, Y)
    shown = FisherTraceDisplay.from_estimator(chosen)
    trace = chosen.best_estimator_.fisher_trace_["weak"]
    assert any(np.array_equal(line.get_ydata(), trace) for line in shown.ax_.get_lines())
    with pytest.raises(ValueError, match="refit=True"):
        FisherTraceDisplay.from_estimator(chosen.set_params(refit=False).fit(X, Y))


@pytest.mark.parametrize(
    "name, value",
    [
        ("alphas", []),
        ("alphas", 3.0),
        ("alphas", [-1.0]),
        ("alphas", "3"),
        ("unimodal_weights", [None]),
        ("refit", "accuracy"),
        ("estimator", regression.make()),
        ("estimator", make_pipeline(make())),
    ],
)
def test_wrong_parameters_are_refused_by_fit(name, value):
    wrong = chooser(**{name: value})
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of .*CV must be .* Got"):
        wrong.fit(X, Y)


def test_a_candidate_that_fails_is_an_error():
    with pytest.raises(ValueError, match="'lr' parameter"):
        chooser(estimator=make(lr=-1)).fit(X, Y)


def test_a_single_strength_is_refused_in_whole_words():
    match = "'alphas' .* must be a non-empty sequence of values, each a float in "
    with pytest.raises(ValueError, match=match):
        MultimodalInfoRegClassifierCV(alphas=1.0).fit(X, Y)
