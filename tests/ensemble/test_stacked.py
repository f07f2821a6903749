"""Stacks of one estimator a modality against scikit-learn's stacks, built by hand."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from inforeg_sk import (
    ModalityDict,
    MultimodalClassifier,
    StackedModalitiesClassifier,
    StackedModalitiesRegressor,
)
from inforeg_sk.ensemble.linear_experts import LinearPathClassifier


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    code = rng.permutation(np.repeat([0, 1, 2], [36, 30, 24]))
    X = {n: rng.normal(size=(90, 3)) + s * code[:, None] for n, s in [("b", 1.0), ("a", 0.5)]}
    return X, np.array(["low", "mid", "top"])[code]


def columns_of(place):
    return FunctionTransformer(lambda table: table[:, 3 * place : 3 * place + 3])


def by_hand(kind, expert, final, **settings):
    """scikit-learn's stack on the table of b and a."""
    experts = [(n, make_pipeline(columns_of(i), clone(expert))) for i, n in enumerate("ba")]
    return kind(experts, final, **settings)


# The stack


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_stack_of_scikit_learn(data, n_classes, weighted):
    X, y = data
    y = y if n_classes == 3 else np.where(y == "top", "mid", y)
    table = np.hstack([X["b"], X["a"]])
    params = {"sample_weight": np.random.default_rng(1).random(90)} if weighted else {}
    stacked = StackedModalitiesClassifier(GaussianNB(), LogisticRegression(C=0.3), cv=4)
    stacked.fit(X, y, **params)
    table_params = {}
    hand = by_hand(StackingClassifier, GaussianNB(), LogisticRegression(C=0.3), cv=4)
    if weighted:  # a Pipeline takes no bare sample_weight
        hand.estimators = [(n, NBOfColumns(i)) for i, n in enumerate("ba")]
        table_params = params
    hand.fit(table, y, **table_params)
    np.testing.assert_allclose(stacked.predict_proba(X), hand.predict_proba(table), rtol=1e-10)
    assert (stacked.predict(X) == hand.predict(table)).all()
    assert stacked.classes_.tolist() == hand.classes_.tolist()
    assert list(stacked.experts_) == ["b", "a"]


class NBOfColumns(GaussianNB):
    def __init__(self, place=0, priors=None, var_smoothing=1e-9):
        super().__init__(priors=priors, var_smoothing=var_smoothing)
        self.place = place

    def _cut(self, table):
        return table[:, 3 * self.place : 3 * self.place + 3]

    def fit(self, table, y, sample_weight=None):
        return super().fit(self._cut(table), y, sample_weight)

    def predict_proba(self, table):
        return super().predict_proba(self._cut(table))


def test_regression_is_the_stack_of_scikit_learn_for_each_output(data):
    X, _ = data
    table = np.hstack([X["b"], X["a"]])
    y = np.random.default_rng(1).normal(size=(90, 2)) + table[:, [0, 5]]
    stacked = StackedModalitiesRegressor(Ridge(), cv=3).fit(X, y)
    for k in range(2):
        hand = by_hand(StackingRegressor, Ridge(), RidgeCV(), cv=3).fit(table, y[:, k])
        np.testing.assert_allclose(stacked.predict(X)[:, k], hand.predict(table), rtol=1e-10)
    alone = StackedModalitiesRegressor(Ridge(), cv=3).fit(X, y[:, 0])
    np.testing.assert_array_equal(alone.predict(X), stacked.predict(X)[:, 0])
    assert len(stacked.experts_["a"]) == 2 and hasattr(alone.experts_["a"], "predict")
    with_weights = clone(alone).fit(X, y[:, 0], sample_weight=np.arange(90.0))
    assert not np.allclose(with_weights.predict(X), alone.predict(X))


def test_out_of_fold_is_out_of_fold(data):
    """An expert that knows its training samples by heart tells the model on top nothing."""
    X, _ = data
    y = np.random.default_rng(0).integers(0, 2, 90)  # nothing to learn
    memory = KNeighborsClassifier(1)
    stacked = StackedModalitiesClassifier(memory).fit(X, y)
    assert all(expert.score({n: X[n]}, y) == 1 for n, expert in stacked.experts_.items())
    assert np.abs(stacked.stackings_[0].final_estimator_.coef_).max() < 1


def test_groups_stay_in_one_fold(data):
    X, y = data
    groups = np.repeat(np.arange(30), 3)
    stacked = StackedModalitiesClassifier(GaussianNB(), cv=3).fit(X, y, groups=groups)
    cv = StratifiedGroupKFold(3)
    codes = np.unique(y, return_inverse=True)[1]
    folds = list(cv.split(np.zeros(90), codes, groups))
    hand = by_hand(StackingClassifier, GaussianNB(), LogisticRegression(), cv=folds)
    table = np.hstack([X["b"], X["a"]])
    expected = hand.fit(table, y).predict_proba(table)
    np.testing.assert_allclose(stacked.predict_proba(X), expected, rtol=1e-10)
    given = StackedModalitiesClassifier(GaussianNB(), cv=GroupKFold(3)).fit(X, y, groups=groups)
    folds = list(GroupKFold(3).split(np.zeros(90), codes, groups))
    hand = by_hand(StackingClassifier, GaussianNB(), LogisticRegression(), cv=folds)
    expected = hand.fit(table, y).predict_proba(table)
    np.testing.assert_allclose(given.predict_proba(X), expected, rtol=1e-10)


def test_the_inner_choice_keeps_groups_together(data):
    X, y = data
    seen = []

    class Watched(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(set(X[:, -1]))
            return super().fit(X, y, sample_weight)

    groups = np.repeat(np.arange(30), 3)
    marked = {"a": np.column_stack([X["a"], groups])}
    search = GridSearchCV(Watched(), {"C": [1.0]}, cv=2)
    StackedModalitiesClassifier(search, cv=2).fit(marked, y, groups=groups)
    # Of all samples, and of two folds: the refit, and two disjoint halves.
    sizes = [len(marks) for marks in seen]
    refits = [i for i, marks in enumerate(seen) if i % 3 == 2]
    for i in refits:
        assert not seen[i - 2] & seen[i - 1] and seen[i - 2] | seen[i - 1] == seen[i]
    assert sorted(sizes[i] for i in refits) == [15, 15, 30]


# Defaults


def test_the_defaults_use_both_modalities(data):
    X, y = data
    train, test = np.arange(60), np.arange(60, 90)
    X = ModalityDict(X)
    stacked = StackedModalitiesClassifier().fit(X[train], y[train])
    prior = DummyClassifier().fit(X["a"][train], y[train]).predict_proba(X["a"][test])
    assert log_loss(y[test], stacked.predict_proba(X[test])) < log_loss(y[test], prior) - 0.1
    search = stacked.experts_["a"][-1]
    assert search.param_grid == {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
    target = X["b"][:, 0] - X["a"][:, 1]
    reg = StackedModalitiesRegressor().fit(X[train], target[train])
    alone = [
        RidgeCV().fit(x[train], target[train]).score(x[test], target[test]) for x in X.values()
    ]
    assert reg.score(X[test], target[test]) > max(alone) + 0.1


def test_an_expert_that_takes_groups_makes_fewer_folds_of_fewer_groups(data):
    """Three folds leave two groups to each expert, whose choice wants five folds."""
    X, y = data
    groups = np.arange(90) % 3
    stacked = StackedModalitiesClassifier(LinearPathClassifier(cv=5), cv=3)
    stacked.fit(X, y, groups=groups)
    expert = stacked.experts_["a"][-1]
    codes = np.unique(y, return_inverse=True)[1]
    whole = list(StratifiedGroupKFold(3).split(np.zeros(90), codes, groups))
    alone = LinearPathClassifier(cv=whole).fit(X["a"], y)
    np.testing.assert_allclose(expert.predict_proba(X["a"]), alone.predict_proba(X["a"]))
    strict = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=5)  # takes none itself
    with pytest.raises(ValueError, match="number of groups"):
        StackedModalitiesClassifier(strict, cv=3).fit(X, y, groups=groups)


def test_defaults_take_sparse_matrices_images_weights_and_groups(data):
    X, y = data
    X["image"] = np.random.default_rng(0).normal(size=(90, 2, 2, 2))
    X["words"] = sparse.random(90, 30, 0.2, "csr", random_state=0)
    weight, groups = np.random.default_rng(0).random(90), np.repeat(np.arange(30), 3)
    settings = {"sample_weight": weight, "groups": groups}
    stacked = StackedModalitiesClassifier(cv=2).fit(X, y, **settings)
    assert stacked.predict_proba(X).shape == (90, 3)
    reg = StackedModalitiesRegressor(cv=2).fit(X, np.arange(90), **settings)
    assert np.isfinite(reg.predict(X)).all()


def test_a_class_of_two_members_and_a_class_missing_in_a_fold(data):
    X, y = data
    y = y.copy()
    y[y == "top"] = "mid"
    y[:2] = "rare"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of rare classes
        stacked = StackedModalitiesClassifier(cv=KFold(5)).fit(X, y)  # both in the first fold
    proba = stacked.predict_proba(X)
    assert proba.shape == (90, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_folds_that_cannot_be_are_refused_by_name(data):
    X, _ = data
    words = r"cannot be split by cv=5 of StackedModalitiesClassifier: n_splits=5 cannot be greater"
    with pytest.raises(ValueError, match=words):
        StackedModalitiesClassifier().fit(X, np.arange(90))


def test_networks_as_experts(data):
    X, y = data
    net = MultimodalClassifier(max_epochs=3, random_state=0, lr=0.01)
    stacked = StackedModalitiesClassifier({"a": net, "b": GaussianNB()}, cv=2).fit(X, y)
    alone = net.fit({"a": X["a"]}, y)
    network = stacked.experts_["a"]
    np.testing.assert_allclose(
        network.predict_proba({"a": X["a"]}), alone.predict_proba({"a": X["a"]}), rtol=1e-6
    )


# Missing modalities


def test_the_prior_stands_for_an_absent_modality(data):
    X, y = data
    stacked = StackedModalitiesClassifier(GaussianNB(), missing="allow").fit(X, y)
    strict = StackedModalitiesClassifier(GaussianNB()).fit(X, y)
    np.testing.assert_array_equal(stacked.predict_proba(X), strict.predict_proba(X))
    final = stacked.stackings_[0].final_estimator_
    prior = np.array([36.5, 30.5, 24.5]) / 91.5
    said = GaussianNB().fit(X["b"], y).predict_proba(X["b"])
    expected = final.predict_proba(np.hstack([said, np.tile(prior, (90, 1))]))
    np.testing.assert_allclose(stacked.predict_proba({"b": X["b"]}), expected, rtol=1e-12)
    holes = {"b": X["b"], "a": X["a"].copy()}
    holes["a"][::2] = np.nan
    got = stacked.predict_proba(holes)
    np.testing.assert_allclose(got[::2], expected[::2], rtol=1e-12)
    np.testing.assert_allclose(got[1::2], stacked.predict_proba(X)[1::2], rtol=1e-12)
    refit = clone(stacked).fit(holes, y)
    assert refit.experts_["a"][-1].class_count_.sum() == 45
    with pytest.raises(ValueError, match=r"'a' has no values in row 0"):
        strict.fit(holes, y)


def test_the_mean_stands_for_an_absent_modality_in_regression(data):
    X, _ = data
    y = X["b"][:, 0]
    stacked = StackedModalitiesRegressor(Ridge(), missing="allow").fit(X, y)
    final = stacked.stackings_[0].final_estimator_
    said = Ridge().fit(X["a"], y).predict(X["a"])
    expected = final.predict(np.column_stack([np.full(90, y.mean()), said]))
    np.testing.assert_allclose(stacked.predict({"a": X["a"]}), expected)


def test_a_class_that_an_expert_has_not_seen_has_its_prior(data):
    X, y = data
    X["a"][y == "top"] = np.nan
    stacked = StackedModalitiesClassifier(GaussianNB(), missing="allow").fit(X, y)
    proba = stacked.stackings_[0].estimators_[1].predict_proba({**X, "a": np.zeros((90, 3))})
    np.testing.assert_allclose(proba[:, 2], 24.5 / 91.5)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


# The tools of scikit-learn


def test_searches_clone_and_pickle(data):
    X, y = ModalityDict(data[0]), data[1]
    model = StackedModalitiesClassifier({"a": LogisticRegression(), "b": GaussianNB()}, cv=3)
    grid = {
        "estimator__a__C": [0.1, 1.0],
        "final_estimator": [LogisticRegression(C=0.1)],
        "cv": [2],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    groups = np.repeat(np.arange(30), 3)
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_score(
        StackedModalitiesClassifier(pipe, cv=2), X, y, cv=GroupKFold(3), groups=groups
    )
    assert scores.shape == (3,) and scores.mean() > 0.6


def test_tables_are_cut(data):
    X, y = data
    frame = pd.DataFrame(np.hstack([X["b"], X["a"]]), columns=list("uvwxyz"))
    modalities = {"b": ["u", "v", "w"], "a": slice("x", "z")}
    stacked = StackedModalitiesClassifier(GaussianNB(), modalities=modalities).fit(frame, y)
    expected = StackedModalitiesClassifier(GaussianNB()).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(stacked.predict_proba(frame), expected)
    assert stacked.n_features_in_ == 6


def test_weights_go_to_the_experts_with_metadata_routing_too(data):
    X, y = ModalityDict(data[0]), data[1]
    weight = np.random.default_rng(1).random(len(y))
    model = StackedModalitiesClassifier(make_pipeline(StandardScaler(), GaussianNB()))
    expected = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        found = cross_validate(
            model,
            X,
            y,
            params={"sample_weight": weight},
            return_estimator=True,
            cv=[(np.arange(len(y)),) * 2],
        )
    np.testing.assert_allclose(found["estimator"][0].predict_proba(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"cv": 1}, r"'cv' parameter of StackedModalitiesClassifier must be an int in \[2, inf\)"),
        ({"cv": "five"}, r"'cv' parameter .* a splitter, an iterable of splits\. Got 'five'"),
        ({"missing": "maybe"}, "'missing' parameter .* 'error', 'allow'"),
        ({"estimator": Ridge()}, "must be an estimator with fit and predict_proba .* Got Ridge"),
        ({"estimator": {"c": GaussianNB()}}, "names 'c', but the data's modalities are 'b', 'a'"),
        ({"final_estimator": Ridge()}, "'final_estimator' parameter .* predict_proba"),
    ],
)
def test_bad_parameters_are_named(data, settings, words):
    X, y = data
    with pytest.raises((TypeError, ValueError), match=words):
        StackedModalitiesClassifier(**settings).fit(X, y)


def test_not_fitted_and_wrong_data(data):
    X, y = data
    stacked = StackedModalitiesClassifier(GaussianNB())
    assert not hasattr(stacked, "classes_")
    with pytest.raises(ValueError, match="not fitted"):
        stacked.predict(X)
    stacked.fit(X, y)
    with pytest.raises(ValueError, match="X misses 'a'"):
        stacked.predict({"b": X["b"]})
    with pytest.raises(ValueError, match="y has 89 labels, but X has 90 samples"):
        stacked.fit(X, y[:-1])


# What each modality's own model says


def test_scores_by_modality_are_those_of_the_models_fitted_apart(data):
    X, y = data
    stack = StackedModalitiesClassifier(LogisticRegression(), cv=3).fit(X, y)
    said, scores = stack.predict_proba_by_modality(X), stack.score_by_modality(X, y)
    losses = stack.score_by_modality(X, y, scoring="neg_log_loss")
    for name, x in X.items():
        alone = LogisticRegression().fit(x, y)
        assert said[name] == pytest.approx(alone.predict_proba(x))
        assert scores[name] == pytest.approx(alone.score(x, y))
        assert losses[name] == pytest.approx(-log_loss(y, alone.predict_proba(x)))
    assert list(scores) == ["b", "a"]


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_scores_by_modality_of_regression_are_on_the_samples_that_have_it(data, n_outputs):
    X, _ = data
    y = np.column_stack([X["a"][:, 0] + X["b"][:, 1], X["a"][:, 2]])[:, :n_outputs]
    y = y[:, 0] if n_outputs == 1 else y
    X = {name: x.copy() for name, x in X.items()}
    X["a"][:10], X["b"][10:25] = np.nan, np.nan
    stack = StackedModalitiesRegressor(Ridge(), cv=3, missing="allow").fit(X, y)
    said = stack.predict_by_modality(X)
    each, common = (stack.score_by_modality(X, y, samples=s) for s in ("each", "common"))
    for name, lacking in [("a", slice(0, 10)), ("b", slice(10, 25))]:
        has = np.setdiff1d(np.arange(90), np.arange(90)[lacking])
        alone = Ridge().fit(X[name][has], y[has])
        assert np.isnan(said[name][lacking]).all() and said[name].shape == y.shape
        assert said[name][has] == pytest.approx(alone.predict(X[name][has]))
        assert each[name] == pytest.approx(alone.score(X[name][has], y[has]))
        assert common[name] == pytest.approx(alone.score(X[name][25:], y[25:]))
    with pytest.raises(ValueError, match="'samples' parameter of score_by_modality"):
        stack.score_by_modality(X, y, samples="all")
