"""score_by_modality with any scorer: as scikit-learn scores what each modality says."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    fbeta_score,
    log_loss,
    make_scorer,
    mean_absolute_error,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    EvidencePool,
    LateFusionClassifier,
    LateFusionRegressor,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegClassifierCV,
    MultimodalRegressor,
)
from inforeg_sk.inspection import score_by_modality


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.random(80) < 0.4
    X = {n: rng.normal(size=(80, 3)) + s * y[:, None] for n, s in [("b", 0.9), ("a", 0.4)]}
    return ModalityDict(X), np.where(y, "ill", "healthy"), rng.uniform(0.1, 3, 80)


def small(cls=MultimodalClassifier, **settings):
    return cls(**{"max_epochs": 5, "random_state": 0, "lr": 0.01, **settings})


CLASSIFIERS = {
    "network": small(),
    "ensemble": DeepEnsembleClassifier(small(), n_members=2, random_state=0),
    "late fusion": LateFusionClassifier(LogisticRegression()),
    "chooser": MultimodalInfoRegClassifierCV(
        small(MultimodalInfoRegClassifier), alphas=[1.0], unimodal_weights=[1.0], cv=2
    ),
}
BRIER = make_scorer(
    brier_score_loss, greater_is_better=False, response_method="predict_proba", pos_label="ill"
)
BETA = make_scorer(fbeta_score, beta=2, pos_label="healthy")


@pytest.fixture(scope="module", params=CLASSIFIERS)
def classifier(request, data):
    return CLASSIFIERS[request.param].fit(*data[:2])


# How each score is computed from labels and the probability of the second class.
SCORES = {
    "balanced_accuracy": lambda y, p, w: np.mean(
        [np.average((p > 0.5)[y == c] == (c == "ill"), weights=w[y == c]) for c in np.unique(y)]
    ),
    "neg_log_loss": lambda y, p, w: -log_loss(y, np.c_[1 - p, p], sample_weight=w),
    "roc_auc": lambda y, p, w: roc_auc_score(y == "ill", p, sample_weight=w),
    BRIER: lambda y, p, w: -brier_score_loss(y == "ill", p, sample_weight=w),
    BETA: lambda y, p, w: fbeta_score(y == "healthy", p <= 0.5, beta=2, sample_weight=w),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scoring", SCORES, ids=str)
def test_scores_of_classifiers_are_scikit_learns(classifier, data, scoring, weighted):
    X, y, weight = data
    weight = weight if weighted else None
    found = classifier.score_by_modality(X, y, weight, scoring=scoring)
    assert list(found) == ["b", "a"]
    for name, proba in classifier.predict_proba_by_modality(X).items():
        expected = SCORES[scoring](y, proba[:, 1], np.ones(80) if weight is None else weight)
        assert found[name] == pytest.approx(expected)


def test_a_scorer_of_decision_values_gets_log_odds(data):
    X, y, _ = data
    clf = small().fit(X, y)
    seen = {}

    def scorer(estimator, rows, truth):
        assert list(estimator.classes_) == ["healthy", "ill"]
        seen["odds"], seen["half"] = estimator.decision_function(rows), rows[::2]
        assert np.array_equal(estimator.predict(rows[::2]), estimator.predict(rows)[::2])
        return average_precision_score(truth == "ill", seen["odds"])

    found = clf.score_by_modality({"a": X["a"], "b": X["b"]}, y, scoring=scorer)
    p = clf.predict_proba_by_modality(X)["b"][:, 1]
    assert found["b"] == pytest.approx(average_precision_score(y == "ill", p))
    p = clf.predict_proba_by_modality(X)["a"][:, 1]
    assert seen["odds"] == pytest.approx(np.log(p / (1 - p)))


def test_of_three_classes(trimodal):
    X, y = trimodal
    clf = small().fit(X, y)
    found = clf.score_by_modality(X, y, scoring="roc_auc_ovo")
    for name, proba in clf.predict_proba_by_modality(X).items():
        assert found[name] == pytest.approx(roc_auc_score(y, proba, multi_class="ovo"))


def test_without_scoring_it_is_accuracy_as_before(classifier, data):
    X, y, weight = data
    plain = classifier.score_by_modality(X, y, weight)
    assert plain == classifier.score_by_modality(X, y, weight, scoring="accuracy")


def test_probabilities_of_zero_and_one_have_finite_log_odds():
    y = np.array([0, 1] * 10)
    X = ModalityDict({"a": y[:, None] * 2000.0, "b": np.ones((20, 1))})
    clf = LateFusionClassifier(LogisticRegression(C=1e6)).fit(X, y)
    assert clf.predict_proba_by_modality(X)["a"].max() == 1
    found = clf.score_by_modality(X, y, scoring="roc_auc")
    assert found == {"a": 1.0, "b": 0.5}


@pytest.mark.parametrize(
    "model",
    [
        small(MultimodalRegressor),
        DeepEnsembleRegressor(small(MultimodalRegressor), n_members=2, random_state=0),
        LateFusionRegressor(Ridge()),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_scores_of_regressors_are_scikit_learns_in_the_users_units(data, model, outputs):
    X, _, weight = data
    y = np.column_stack([X["b"].sum(axis=1), X["a"][:, 0]])[:, :outputs].squeeze() * 100 + 5
    model.fit(X, y)
    found = model.score_by_modality(X, y, weight, scoring="neg_mean_absolute_error")
    for name, predicted in model.predict_by_modality(X).items():
        expected = -mean_absolute_error(y, predicted, sample_weight=weight)
        assert found[name] == pytest.approx(expected)


@pytest.mark.parametrize("samples", ["common", "each"])
def test_samples_that_lack_modalities_are_left_out_of_any_score(data, samples):
    X, y, _ = data
    X = {n: v.copy() for n, v in X.items()}
    X["a"][:20], X["b"][60:] = np.nan, np.nan
    clf = small(missing="allow").fit(X, y)
    found = clf.score_by_modality(X, y, samples=samples, scoring="roc_auc")
    rows = {"a": slice(20, 80), "b": slice(0, 60)}
    for name, proba in clf.predict_proba_by_modality(X).items():
        used = slice(20, 60) if samples == "common" else rows[name]
        assert found[name] == pytest.approx(roc_auc_score(y[used] == "ill", proba[used, 1]))


def test_pools_are_scored_by_any_scorer(data):
    X, y, _ = data
    pool = EvidencePool(small(max_epochs=2), cv=2).fit(X, y)
    found = pool.score_by_modality(X, y, scoring="neg_log_loss")
    accuracy = pool.score_by_modality(X, y, scoring="accuracy")
    assert accuracy == pool.score_by_modality(X, y)
    assert all(-np.log(2) * 3 < loss < 0 for loss in found.values())
    target = X["b"][:, 0]
    reg = EvidencePool(small(MultimodalRegressor, max_epochs=2), cv=2).fit(X, target)
    errors = reg.score_by_modality(X, target, scoring="neg_mean_squared_error")
    r2 = reg.score_by_modality(X, target)
    for name in errors:
        assert r2[name] == pytest.approx(1 + errors[name] / target.var())


def test_pipelines_and_searches_are_scored_by_the_function(data):
    X, y, weight = data
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), small()).fit(X, y)
    settings = {"scoring": "roc_auc", "sample_weight": weight}
    expected = pipe[-1].score_by_modality(pipe[0].transform(X), y, weight, scoring="roc_auc")
    assert score_by_modality(pipe, X, y, **settings) == expected
    search = GridSearchCV(pipe, {"multimodalclassifier__lr": [0.01]}, cv=2).fit(X, y)
    assert score_by_modality(search, X, y, **settings) == pytest.approx(expected)
    late = LateFusionClassifier(LogisticRegression()).fit(X, y)
    assert score_by_modality(make_pipeline("passthrough", late), X, y) == late.score_by_modality(
        X, y
    )
    with pytest.raises(TypeError, match="that has score_by_modality is expected"):
        score_by_modality(LogisticRegression().fit(X["a"], y), X, y)


@pytest.mark.parametrize(
    "scoring, error, message",
    [
        (["accuracy"], TypeError, "'scoring' parameter of score_by_modality must be"),
        ("acuracy", ValueError, "acuracy"),
        (lambda estimator, X, y: [1.0, 2.0], TypeError, "must return one number"),
    ],
)
def test_what_is_no_score_is_refused(data, scoring, error, message):
    X, y, _ = data
    with pytest.raises(error, match=message):
        small(max_epochs=1).fit(X, y).score_by_modality(X, y, scoring=scoring)
