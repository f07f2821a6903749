"""Late fusion against its formula, computed by hand, and in scikit-learn's tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from inforeg_sk import (
    LateFusionClassifier,
    LateFusionRegressor,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
)


class Says(ClassifierMixin, BaseEstimator):
    """Takes its column for the probability of the second of two classes."""

    def fit(self, X, y):
        self.classes_, self.n_seen_ = np.unique(y), len(y)
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    code = rng.permutation(np.repeat([0, 1, 2], [30, 20, 10]))
    X = {n: rng.normal(size=(60, 3)) + s * code[:, None] for n, s in [("b", 1.0), ("a", 0.5)]}
    return X, np.array(["low", "mid", "top"])[code]


def small(**settings):
    return MultimodalClassifier(max_epochs=5, random_state=0, dtype="float64", **settings)


# The formula


Y = ["no"] * 6 + ["yes"] * 2
LABELS = np.array(Y)


def said(*columns):
    return {f"m{i}": np.array(column, float)[:, None] for i, column in enumerate(columns)}


def test_the_prior_counts_once_by_hand():
    X = said([0.5] * 8, [0.25] * 8)
    clf = LateFusionClassifier(Says()).fit(X, LABELS)
    np.testing.assert_allclose(np.exp(clf.log_prior_), [6.5 / 9, 2.5 / 9])
    # p(no) = prior**-1 times the experts', up to one factor.
    no, yes = 0.5 * 0.75 / (6.5 / 9), 0.5 * 0.25 / (2.5 / 9)
    expected = np.array([no, yes]) / (no + yes)
    np.testing.assert_allclose(clf.predict_proba(X), np.tile(expected, (8, 1)), rtol=1e-12)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)))


def test_the_plain_product_counts_it_with_each_modality():
    X = said([0.5] * 8, [0.25] * 8, [0.6] * 8)
    clf = LateFusionClassifier(Says(), prior="each").fit(X, LABELS)
    no, yes = 0.5 * 0.75 * 0.4, 0.5 * 0.25 * 0.6
    np.testing.assert_allclose(clf.predict_proba(X)[0], np.array([no, yes]) / (no + yes))


def test_experts_that_only_know_the_prior_give_the_prior():
    X = said([2.5 / 9] * 8, [2.5 / 9] * 8, [2.5 / 9] * 8)
    once = LateFusionClassifier(Says()).fit(X, LABELS).predict_proba(X)
    np.testing.assert_allclose(once[0], [6.5 / 9, 2.5 / 9])
    each = LateFusionClassifier(Says(), prior="each").fit(X, LABELS).predict_proba(X)
    assert each[0, 1] == pytest.approx(2.5**3 / (2.5**3 + 6.5**3))


def test_one_modality_is_its_expert(data):
    X, y = data
    clf = LateFusionClassifier(LogisticRegression()).fit({"b": X["b"]}, y)
    expert = LogisticRegression().fit(X["b"], y)
    np.testing.assert_allclose(clf.predict_proba({"b": X["b"]}), expert.predict_proba(X["b"]))


def test_with_naive_bayes_it_is_naive_bayes_on_all_columns(data):
    """Independent given the class, with the same prior, the product is exact."""
    X, y = data
    prior = (np.array([30, 20, 10]) + 0.5) / 61.5
    clf = LateFusionClassifier(GaussianNB(priors=prior, var_smoothing=0)).fit(X, y)
    table = np.hstack(list(X.values()))
    exact = GaussianNB(priors=prior, var_smoothing=0).fit(table, y)
    np.testing.assert_allclose(clf.predict_proba(X), exact.predict_proba(table), atol=1e-4)
    assert (clf.predict(X) == exact.predict(table)).all()


def test_a_zero_of_a_tree_is_no_veto():
    X = said([0.0] * 8, [0.9999] * 8)
    proba = LateFusionClassifier(Says(), prior="each").fit(X, LABELS).predict_proba(X)[0]
    no, yes = 1.0 * 0.0001, np.exp(-12) * 0.9999
    np.testing.assert_allclose(proba, np.array([no, yes]) / (no + yes))
    both = LateFusionClassifier(Says()).fit(said([0.0] * 8, [1.0] * 8), LABELS)
    assert np.isfinite(both.predict_log_proba(said([0.0] * 8, [1.0] * 8))).all()


def test_sample_weights_weigh_experts_and_prior(data):
    X, y = data
    weight = np.random.default_rng(1).integers(0, 4, 60)
    weighted = LateFusionClassifier(LogisticRegression(tol=1e-10)).fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(60), weight)
    copies = LateFusionClassifier(LogisticRegression(tol=1e-10)).fit(ModalityDict(X)[rows], y[rows])
    np.testing.assert_allclose(weighted.log_prior_, copies.log_prior_)
    np.testing.assert_allclose(weighted.predict_proba(X), copies.predict_proba(X), atol=1e-6)
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    plain = LateFusionClassifier(pipe).fit(X, y)
    piped = LateFusionClassifier(pipe).fit(X, y, sample_weight=weight)
    assert not np.allclose(plain.predict_proba(X), piped.predict_proba(X))
    with pytest.raises(TypeError, match="KNeighborsClassifier takes no sample_weight"):
        LateFusionClassifier(KNeighborsClassifier()).fit(X, y, sample_weight=weight)


# Networks


def test_networks_are_those_trained_apart(data):
    X, y = data
    clf = LateFusionClassifier(small()).fit(X, y)
    total = clf.log_prior_.copy()
    for name in X:
        alone = small().fit({name: X[name]}, y)
        proba = alone.predict_proba({name: X[name]})
        np.testing.assert_allclose(clf.predict_proba_by_modality(X)[name], proba, rtol=1e-9)
        total = total + np.log(proba) - clf.log_prior_
    expected = np.exp(total) / np.exp(total).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-8)


def test_the_default_is_a_network_of_each_modality(data):
    X, y = data
    clf = LateFusionClassifier().fit(X, y)
    assert all(type(expert) is MultimodalClassifier for expert in clf.experts_.values())
    assert [expert.modalities_ for expert in clf.experts_.values()] == [("b",), ("a",)]
    y = np.arange(60.0)
    reg = LateFusionRegressor().fit(X, y)
    assert all(type(expert) is MultimodalRegressor for expert in reg.experts_.values())


def test_settings_by_modality_go_to_their_modality(data):
    X, y = data
    X["b"] = np.stack([X["b"]] * 4, axis=1)
    settings = {"encoders": {"b": "gru"}, "alpha": {"a": 0.5}, "max_epochs": 1}
    net = MultimodalInfoRegClassifier(random_state=0, **settings)
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), net)
    for estimator in (net, pipe):
        clf = LateFusionClassifier(estimator).fit(X, y)
        nets = {n: e[-1] if estimator is pipe else e for n, e in clf.experts_.items()}
        assert type(nets["b"].encoders_["b"]).__name__ == "GRUEncoder"
        assert nets["a"].encoders == "auto" and nets["a"].alpha == {"a": 0.5}


def test_estimators_by_modality(data):
    X, y = data
    clf = LateFusionClassifier({"a": DecisionTreeClassifier(max_depth=2), "b": small()}).fit(X, y)
    assert type(clf.experts_["b"]) is MultimodalClassifier
    assert type(clf.experts_["a"][-1]) is DecisionTreeClassifier
    assert clf.get_params()["estimator__a__max_depth"] == 2
    clf.set_params(estimator__a__max_depth=1, estimator__b=LogisticRegression())
    assert clf.estimator["a"].max_depth == 1
    assert type(clf.fit(X, y).experts_["b"][-1]) is LogisticRegression


# Missing modalities


def test_an_absent_modality_adds_no_evidence(data):
    X, y = data
    full = LateFusionClassifier(LogisticRegression(), missing="allow").fit(X, y)
    strict = LateFusionClassifier(LogisticRegression()).fit(X, y)
    np.testing.assert_array_equal(full.predict_proba(X), strict.predict_proba(X))
    holes = {"b": X["b"].copy(), "a": X["a"].copy()}
    holes["a"][::2] = np.nan
    got = full.predict_proba(holes)
    alone = full.predict_proba({"b": X["b"]})
    np.testing.assert_allclose(alone, full.predict_proba_by_modality(X)["b"], rtol=1e-10)
    np.testing.assert_allclose(got[::2], alone[::2], rtol=1e-12)
    np.testing.assert_allclose(got[1::2], full.predict_proba(X)[1::2], rtol=1e-12)
    assert np.isnan(full.predict_proba_by_modality(holes)["a"][::2]).all()


def test_experts_are_fitted_where_their_modality_is():
    X = said([0.5] * 8, [0.25] * 8)
    X["m1"][[0, 1, 7]] = np.nan
    clf = LateFusionClassifier(Says(), missing="allow").fit(X, LABELS)
    assert [expert[-1].n_seen_ for expert in clf.experts_.values()] == [8, 5]
    # Each modality's evidence is against the prior of its own samples: 4 and 1 for m1.
    no = 0.5 * 0.75 / (4.5 / 6)
    yes = 0.5 * 0.25 / (1.5 / 6)
    np.testing.assert_allclose(clf.predict_proba(X)[2], np.array([no, yes]) / (no + yes))


def test_a_class_that_an_expert_has_not_seen_gets_no_evidence_from_it(data):
    X, y = data
    X["a"][y == "top"] = np.nan
    clf = LateFusionClassifier(LogisticRegression(), missing="allow").fit(X, y)
    assert clf.experts_["a"].classes_.tolist() == ["low", "mid"]
    full = {"b": X["b"], "a": np.zeros((60, 3))}
    with_a, without = clf.predict_log_proba(full), clf.predict_log_proba({"b": X["b"]})
    # What a adds differs between low and mid only by what it says of them; nothing for top.
    added = with_a - without
    expert = clf.experts_["a"].predict_log_proba({"a": np.zeros((60, 3))})
    prior = np.log(np.array([30.5, 20.5]) / 51)
    np.testing.assert_allclose(added[:, :2] - added[:, 2:], expert - prior, atol=1e-10)


@pytest.mark.parametrize("estimator", [small(), LogisticRegression()])
def test_missing_samples_are_refused_unless_allowed(data, estimator):
    X, y = data
    X["a"][4] = np.nan
    with pytest.raises(ValueError, match=r"'a' has no values in row 4: .*missing='allow'"):
        LateFusionClassifier(estimator).fit(X, y)
    clf = LateFusionClassifier(estimator, missing="allow").fit(X, y)
    assert set(clf.score_by_modality(X, y)) == {"a", "b"}
    X["b"][4] = np.nan
    with pytest.raises(ValueError, match="1 of 60 samples have no modality at all"):
        clf.predict(X)
    X["a"][:], X["b"][4] = np.nan, 0
    with pytest.raises(ValueError, match="'a' is missing in every sample"):
        clone(clf).fit(X, y)


# Regression


@pytest.mark.parametrize("n_outputs", [None, 1, 2])
def test_regression_is_the_mean_of_what_is_there(data, n_outputs):
    X, _ = data
    shape = (60,) if n_outputs is None else (60, n_outputs)
    y = np.random.default_rng(1).normal(size=shape)
    reg = LateFusionRegressor(Ridge(), missing="allow").fit(X, y)
    a, b = (Ridge().fit(X[n], y).predict(X[n]).reshape(shape) for n in ("a", "b"))
    np.testing.assert_allclose(reg.predict(X), (a + b) / 2, rtol=1e-12)
    np.testing.assert_allclose(reg.predict({"a": X["a"]}), a, rtol=1e-12)
    holes = {"a": X["a"].copy(), "b": X["b"]}
    holes["a"][0] = np.nan
    np.testing.assert_allclose(reg.predict(holes)[0], b[0], rtol=1e-12)
    scores = reg.score_by_modality(X, y)
    assert scores["a"] == pytest.approx(Ridge().fit(X["a"], y).score(X["a"], y))
    nets = LateFusionRegressor(MultimodalRegressor(max_epochs=2, random_state=0)).fit(X, y)
    assert nets.predict(X).shape == shape


# The tools of scikit-learn


def test_scores_by_modality(data):
    X, y = data
    clf = LateFusionClassifier(LogisticRegression()).fit(X, y)
    weight = np.arange(60.0)
    got = clf.score_by_modality(X, y, weight)
    assert list(got) == ["b", "a"]
    for name, score in got.items():
        assert score == LogisticRegression().fit(X[name], y).score(X[name], y, weight)


def test_searches_clone_and_pickle(data):
    X, y = ModalityDict(data[0]), data[1]
    grid = {"prior": ["once", "each"], "estimator__C": [0.01, 1.0]}
    search = GridSearchCV(LateFusionClassifier(LogisticRegression()), grid, error_score="raise")
    search.fit(X, y)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    by_name = LateFusionClassifier({"a": LogisticRegression(), "b": small()})
    grid = {"estimator__a__C": [0.1, 1.0], "estimator__b__lr": [0.01]}
    search = GridSearchCV(by_name, grid, cv=2, error_score="raise").fit(X, y)
    assert by_name.estimator["b"].lr == 0.001 and search.best_estimator_.estimator["b"].lr == 0.01
    groups = np.arange(60) // 5
    scores = cross_val_score(
        LateFusionClassifier(GaussianNB()), X, y, cv=GroupKFold(3), groups=groups
    )
    assert scores.shape == (3,) and np.isfinite(scores).all()


def test_order_of_modalities_changes_nothing(data):
    X, y = data
    backwards = dict(reversed(X.items()))
    first = LateFusionClassifier(small()).fit(X, y)
    second = LateFusionClassifier(small()).fit(backwards, y)
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X), rtol=1e-12)
    assert second.modalities_ == ("a", "b")


def test_tables_are_cut(data):
    X, y = data
    frame = pd.DataFrame(np.hstack([X["a"], X["b"]]), columns=list("uvwxyz"))
    clf = LateFusionClassifier(LogisticRegression(), modalities={"a": ["u", "v", "w"], "b": "z"})
    clf.fit(frame, y)
    assert clf.modalities_ == ("a", "b") and list(clf.feature_names_in_) == list("uvwxyz")
    by_hand = LateFusionClassifier(LogisticRegression()).fit({"a": X["a"], "b": X["b"][:, 2:]}, y)
    expected = by_hand.predict_proba({"a": X["a"], "b": X["b"][:, 2:]})
    np.testing.assert_allclose(clf.predict_proba(frame), expected)
    with pytest.raises(ValueError, match="modalities= cuts a 2-D array"):
        clf.fit(X, y)
    with pytest.raises(ValueError, match="fitted with a mapping of the modalities 'a', 'b'"):
        by_hand.predict(frame)


def test_images_and_sparse_matrices(data):
    X, y = data
    X["image"] = np.random.default_rng(0).normal(size=(60, 2, 2, 2))
    X["words"] = sparse.random(60, 30, 0.2, "csr", random_state=0)
    clf = LateFusionClassifier(LogisticRegression()).fit(X, y)
    assert clf.experts_["image"][-1].n_features_in_ == 8
    assert clf.predict(X).shape == (60,)


def test_inner_folds_keep_groups_together(data):
    X, y = data
    seen = []

    class Watched(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(set(X[:, -1]))
            return super().fit(X, y, sample_weight)

    groups = np.arange(60) // 3
    marked = {name: np.column_stack([values, groups]) for name, values in X.items()}
    search = GridSearchCV(Watched(), {"C": [1.0, 2.0]}, cv=3)
    LateFusionClassifier(search).fit(marked, y, groups=groups)
    assert sorted(map(len, seen))[-2:] == [20, 20]  # the refits
    folds = [marks for marks in seen if len(marks) < 20]
    assert len(folds) == 12
    # Each group stands in two of the three training parts, of each modality and candidate.
    assert all(sum(g in marks for marks in folds) == 8 for g in range(20))


def test_weights_go_to_the_experts_with_metadata_routing_too(data):
    X, y = ModalityDict(data[0]), data[1]
    weight = np.random.default_rng(1).random(len(y))
    model = LateFusionClassifier(make_pipeline(StandardScaler(), GaussianNB()))
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
        ({"prior": "twice"}, "'prior' parameter of LateFusionClassifier .* 'once', 'each'"),
        ({"missing": "maybe"}, "'missing' parameter .* 'error', 'allow'"),
        ({"n_jobs": 1.5}, "'n_jobs' parameter"),
        ({"estimator": Ridge()}, "must be an estimator with fit and predict_proba .* Got Ridge"),
        ({"estimator": LogisticRegression}, "must be an estimator with fit and predict_proba"),
        ({"estimator": {"c": GaussianNB()}}, "names 'c', but the data's modalities are 'b', 'a'"),
        ({"estimator": {"a": Ridge()}}, r"estimator\['a'\]' .* predict_proba"),
    ],
)
def test_bad_parameters_are_named(data, settings, words):
    X, y = data
    with pytest.raises((TypeError, ValueError), match=words):
        LateFusionClassifier(**settings).fit(X, y)


def test_errors_name_the_modality_and_leave_the_model(data):
    X, y = data
    clf = LateFusionClassifier(LogisticRegression()).fit(X, y)
    before = clf.predict_proba(X)
    X["a"][3, 1] = np.inf
    with pytest.raises(ValueError, match=r"expert of modality 'a' could not be fitted: .*row 3"):
        clf.fit(X, y)
    X["a"][3, 1] = 0
    assert clf.predict_proba(X).shape == before.shape
    with pytest.raises(ValueError, match="X misses 'a'"):
        clf.predict({"b": X["b"]})
    with pytest.raises(NotFittedError):
        clone(clf).predict(X)
    with pytest.raises(ValueError, match="y has one class"):
        clf.fit(X, ["low"] * 60)


# Experts that are fitted already


@pytest.mark.parametrize("prior", ["once", "each"])
def test_fitted_experts_are_combined_as_those_of_fit(prior):
    rng = np.random.default_rng(0)
    X = {"text": rng.random((60, 3)), "audio": rng.random((60, 2))}
    X["audio"][:7] = np.nan
    y = np.arange(60) % 3
    settings = {"missing": "allow", "prior": prior}
    fitted = LateFusionClassifier(LogisticRegression(), **settings).fit(X, y)
    made = LateFusionClassifier(**settings).fit_from_experts(fitted.experts_, X, y)
    assert np.array_equal(made.predict_proba(X), fitted.predict_proba(X))
    assert made.experts_["text"] is fitted.experts_["text"]


def test_fitted_regressors_are_combined_as_those_of_fit():
    rng = np.random.default_rng(0)
    X = {"text": rng.random((30, 3)), "audio": rng.random((30, 2))}
    y = rng.random((30, 2))
    fitted = LateFusionRegressor(Ridge()).fit(X, y)
    made = LateFusionRegressor().fit_from_experts(fitted.experts_, X, y)
    assert np.array_equal(made.predict(X), fitted.predict(X))


def test_fitted_experts_must_be_those_of_the_modalities():
    X, y = {"text": np.ones((6, 2)), "audio": np.ones((6, 2))}, np.arange(6) % 2
    experts = LateFusionClassifier(LogisticRegression()).fit(X, y).experts_
    with pytest.raises(ValueError, match=r"each of 'text', 'audio'\. Got 'text'"):
        LateFusionClassifier().fit_from_experts({"text": experts["text"]}, X, y)
    raw = {**experts, "text": LogisticRegression()}
    with pytest.raises(NotFittedError):
        LateFusionClassifier().fit_from_experts(raw, X, y)
