"""Importance of whole modalities: scikit-learn's on columns, brute force over sets by hand."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    ColumnsToModalities,
    DeepEnsembleClassifier,
    EvidencePool,
    LateFusionClassifier,
    ModalitiesToColumns,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalRegressor,
    StackedModalitiesClassifier,
)
from inforeg_sk.inspection import modality_permutation_importance, modality_shapley

COLUMNS = ["c", "a", "b"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 3))
    return table, (table @ [1.0, 0.4, 0.0] + 0.3 * rng.normal(size=60) > 0).astype(int)


def as_dict(table):
    return {name: table[:, [i]] for i, name in enumerate(COLUMNS)}


class Sees(ClassifierMixin, BaseEstimator):
    """Remembers what it is asked, and predicts by the signs of a product."""

    def fit(self, X, y=None):
        self.classes_, self.asked = np.array([0, 1]), []
        return self

    def predict(self, X):
        self.asked.append(X)
        return (np.prod([np.nan_to_num(v[:, 0], nan=1.0) for v in X.values()], axis=0) > 0) * 1


# Permutation importance


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", make_scorer(roc_auc_score)])
@pytest.mark.parametrize("weighted", [False, True])
def test_on_modalities_of_one_column_it_is_scikit_learns(table, scoring, weighted):
    X, y = table
    weight = np.random.default_rng(1).uniform(0.1, 2, len(y)) if weighted else None
    plain = LogisticRegression().fit(X, y)
    ours = make_pipeline(ModalitiesToColumns(), LogisticRegression()).fit(as_dict(X), y)
    settings = {"n_repeats": 7, "random_state": 3, "scoring": scoring, "sample_weight": weight}
    expected = permutation_importance(plain, X, y, **settings)
    found = modality_permutation_importance(ours, as_dict(X), y, **settings)
    assert found.modalities == tuple(COLUMNS)
    for key in ("importances", "importances_mean", "importances_std"):
        assert found[key] == pytest.approx(expected[key], abs=1e-12)


@pytest.mark.parametrize("frame", [False, True])
def test_of_a_table_the_estimator_says_which_columns_are_which_modality(table, frame):
    X, y = table
    X = pd.DataFrame(X, columns=COLUMNS, index=range(100, 160)) if frame else X
    columns = {n: [n] for n in COLUMNS} if frame else {n: [i] for i, n in enumerate(COLUMNS)}
    clf = MultimodalClassifier(modalities=columns, max_epochs=3, random_state=0).fit(X, y)
    expected = permutation_importance(clf, X, y, random_state=0)
    for model in (clf, make_pipeline(clf), GridSearchCV(clf, {"lr": [1e-3]}, cv=2).fit(X, y)):
        found = modality_permutation_importance(model, X, y, random_state=0)
        assert found.modalities == tuple(COLUMNS)
        assert found.importances == pytest.approx(expected.importances, abs=1e-12)


def test_all_columns_of_a_modality_move_together_and_only_where_it_is_present():
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(12, 2)), "b": rng.normal(size=(12, 1))}
    X["a"][[2, 5]] = np.nan
    clf = Sees().fit(X)
    modality_permutation_importance(clf, X, np.zeros(12, int), n_repeats=3, random_state=0)
    first, *asked = clf.asked
    assert np.array_equal(first["a"], X["a"], equal_nan=True)
    rows = {tuple(row) for row in X["a"][~np.isnan(X["a"][:, 0])]}
    for k, seen in enumerate(asked):
        changed, kept = ("a", "b") if k < 3 else ("b", "a")
        assert np.array_equal(seen[kept], X[kept], equal_nan=True)
        assert not np.array_equal(seen[changed], X[changed], equal_nan=True)
        if changed == "a":
            assert np.isnan(seen["a"][[2, 5]]).all()
            assert {tuple(row) for row in seen["a"] if not np.isnan(row[0])} == rows
    assert len(asked) == 6


FORMS = {
    "frames": lambda v: pd.DataFrame(v, index=np.arange(len(v)) * 3),
    "sparse": sparse.csr_array,
    "parts": lambda v: {"one": v, "two": v > 0},
    "images": lambda v: v[:, :, None, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_values_is_permuted(table, form):
    values, _ = table

    class Reads(Sees):
        def predict(self, X):
            self.asked.append(X)
            return np.zeros(len(X), int)

    X = {"a": FORMS[form](values), "b": FORMS[form](values[:, :2])}
    clf = Reads().fit(X)
    modality_permutation_importance(clf, X, np.zeros(60, int), n_repeats=1, random_state=0)
    _, one, _ = clf.asked
    order = np.random.RandomState(np.random.RandomState(0).randint(2**31)).permutation(60)
    expected = ModalityDict({"a": FORMS[form](values[order]), "b": X["b"]})
    assert one == expected


@pytest.mark.parametrize(
    "model",
    [
        MultimodalClassifier(max_epochs=2, random_state=0),
        make_pipeline(ModalityTransformer(StandardScaler()), MultimodalClassifier(max_epochs=2)),
        LateFusionClassifier(LogisticRegression()),
        StackedModalitiesClassifier(cv=2),
        DeepEnsembleClassifier(MultimodalClassifier(max_epochs=2), n_members=2, random_state=0),
        EvidencePool(MultimodalClassifier(max_epochs=1), {"weak": ["ridge"]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_estimator_that_takes_modalities_is_measured(data, model):
    X, y = data
    model.fit(X, y)
    dropped = modality_permutation_importance(model, X, y, n_repeats=2, random_state=0)
    shared = modality_shapley(model, X, y, n_repeats=2, random_state=0, scoring="neg_log_loss")
    assert dropped.modalities == shared.modalities == ("strong", "weak")
    gain = shared.score_all - shared.score_none
    assert shared.importances_mean.sum() == pytest.approx(gain)


# Shapley values


def by_hand(model, X, y, donors, inside):
    """V(S) where each sample gets what is outside of S from its donor."""
    mixed = {n: v if n in inside else v[donors] for n, v in X.items()}
    return accuracy_score(y, model.predict(mixed))


def test_shapley_values_are_brute_force_over_orders(table):
    """One sample that all others get their values from: V(S) is known without any draw."""
    X, y = as_dict(table[0]), table[1]
    model = make_pipeline(ModalitiesToColumns(), LogisticRegression()).fit(X, y)
    background = {name: v[[7]] for name, v in X.items()}
    found = modality_shapley(model, X, y, background=background, random_state=0)
    value = {
        s: by_hand(model, X, y, np.full(60, 7), s)
        for k in range(4)
        for s in combinations(COLUMNS, k)
    }
    assert found.coalition_scores == pytest.approx(value)
    expected = dict.fromkeys(COLUMNS, 0.0)
    for order in permutations(COLUMNS):
        for k, name in enumerate(order):
            after, before = (tuple(sorted(order[:j], key=COLUMNS.index)) for j in (k + 1, k))
            expected[name] += (value[after] - value[before]) / 6
    assert found.importances_mean == pytest.approx([expected[n] for n in COLUMNS])
    assert found.importances_std == pytest.approx(np.zeros(3))
    alone = [value[(n,)] - value[()] for n in COLUMNS]
    assert found.single_gains == pytest.approx(alone)
    whole = value[tuple(COLUMNS)] - value[()]
    assert found.cooperation == pytest.approx(whole - sum(alone))
    assert (found.score_all, found.score_none) == (value[tuple(COLUMNS)], value[()])
    assert found.interactions.shape == (3, 3)


def test_an_additive_regressor_shares_its_gain_by_the_variances_of_its_terms():
    """With -MSE, V(S) loses twice the variance of each term outside of S."""
    rng = np.random.default_rng(0)
    X = {name: rng.normal(size=(4000, 1)) for name in "abc"}
    y = 2 * X["a"][:, 0] + X["b"][:, 0]
    model = make_pipeline(ModalitiesToColumns(), LinearRegression()).fit(X, y)
    found = modality_shapley(model, X, y, scoring="neg_mean_squared_error", random_state=0)
    assert found.importances_mean == pytest.approx([8.0, 2.0, 0.0], abs=0.25)
    assert found.cooperation == pytest.approx(0.0, abs=0.3)


def test_what_only_makes_sense_together_cooperates():
    rng = np.random.default_rng(0)
    X = {"a": rng.choice([-1.0, 1.0], (2000, 1)), "b": rng.choice([-1.0, 1.0], (2000, 1))}
    y = (X["a"] * X["b"] > 0)[:, 0].astype(int)
    found = modality_shapley(Sees().fit(X), X, y, random_state=0)
    assert (found.score_all, found.score_none) == (1.0, pytest.approx(0.5, abs=0.02))
    assert found.single_gains == pytest.approx([0.0, 0.0], abs=0.03)
    assert found.cooperation == pytest.approx(0.5, abs=0.04)
    assert found.importances_mean == pytest.approx([0.25, 0.25], abs=0.02)
    assert found.interactions[0, 1] == pytest.approx(0.5, abs=0.04)


class Sum(RegressorMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_calls_ = 0
        return self

    def predict(self, X):
        self.n_calls_ += 1
        return sum(v[:, 0] for v in X.values())


def test_more_than_five_modalities_are_sampled_and_still_add_up():
    rng = np.random.default_rng(0)
    X = {f"m{i}": rng.normal(size=(300, 1)) * i for i in range(6)}
    y = sum(v[:, 0] for v in X.values())
    model = Sum().fit(X)
    found = modality_shapley(
        model, X, y, scoring="neg_mean_squared_error", n_repeats=2, n_permutations=4, random_state=0
    )
    gain = found.score_all - found.score_none
    assert found.importances_mean.sum() == pytest.approx(gain)
    assert found.importances.shape == (6, 2) and found.interactions is None
    assert (found.standard_error >= 0).all() and found.standard_error.max() > 0
    expected = 2.0 * np.arange(6) ** 2
    assert found.importances_mean == pytest.approx(expected, rel=0.4, abs=2)
    assert model.n_calls_ == 1 + 2 * (len(found.coalition_scores) - 1)


def test_values_from_outside_come_from_one_row_and_each_row_serves_equally_often():
    rng = np.random.default_rng(0)
    X = {n: np.arange(20.0)[:, None] + shift for n, shift in [("a", 0), ("b", 100), ("c", 200)]}
    clf = Sees().fit(X)
    modality_shapley(clf, X, rng.integers(0, 2, 20), n_repeats=1, random_state=0)
    for seen in clf.asked:
        moved = [n for n in X if not np.array_equal(seen[n], X[n])]
        origins = [seen[n][:, 0] - X[n][0, 0] for n in moved]
        assert all(np.array_equal(o, origins[0]) for o in origins)
        assert all(sorted(o) == list(range(20)) for o in origins)


def test_samples_keep_lacking_what_they_lack_and_donors_have_what_is_needed():
    rng = np.random.default_rng(0)
    X = {n: rng.normal(size=(40, 2)) for n in "ab"}
    X["a"][:10], X["b"][30:] = np.nan, np.nan
    clf = MultimodalClassifier(missing="allow", max_epochs=2, random_state=0)
    y = rng.integers(0, 2, 40)
    found = modality_shapley(clf.fit(X, y), X, y, n_repeats=2, random_state=0)
    assert found.importances_mean.sum() == pytest.approx(found.score_all - found.score_none)
    seer = Sees().fit(X)
    modality_shapley(seer, X, y, n_repeats=2, random_state=0)
    for seen in seer.asked:
        for name in "ab":
            assert np.array_equal(np.isnan(seen[name]), np.isnan(X[name]))
    only_a = ModalityDict(X)[30:]
    with pytest.raises(ValueError, match="no row with 'b' together, which sample 0 has"):
        modality_shapley(clf, ModalityDict(X)[:30], y[:30], background=only_a)


def test_a_background_serves_in_the_form_of_the_data(table):
    X, y = table
    frame = pd.DataFrame(X, columns=COLUMNS)
    clf = LogisticRegression().fit(frame, y)
    cut = make_pipeline(
        ColumnsToModalities({n: [n] for n in COLUMNS}), ModalitiesToColumns(), clf
    ).fit(frame, y)
    settings = {"n_repeats": 3, "random_state": 0}
    one = modality_shapley(cut, frame, y, background=frame[20:], **settings)
    dicts = make_pipeline(ModalitiesToColumns(), clf).fit(as_dict(X), y)
    two = modality_shapley(dicts, as_dict(X), y, background=as_dict(X[20:]), **settings)
    assert one.coalition_scores == pytest.approx(two.coalition_scores)


# What is refused


@pytest.mark.parametrize("function", [modality_permutation_importance, modality_shapley])
@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"n_repeats": 0}, ValueError, "'n_repeats' parameter of modality_"),
        ({"scoring": ["accuracy", "r2"]}, TypeError, "'scoring' parameter of modality_"),
        ({"scoring": lambda e, X, y: {"a": 1.0}}, TypeError, "must return one number"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight has 1 rows, but X has 60"),
        ({"X": np.ones((60, 3))}, TypeError, "begin the Pipeline with ColumnsToModalities"),
        ({"estimator": LogisticRegression()}, NotFittedError, "not fitted"),
    ],
)
def test_what_cannot_be_measured_is_refused(table, function, change, error, message):
    X, y = as_dict(table[0]), table[1]
    model = make_pipeline(ModalitiesToColumns(), LogisticRegression()).fit(X, y)
    if "estimator" in change:
        change = {"estimator": make_pipeline(ModalitiesToColumns(), LogisticRegression())}
    arguments = {"estimator": model, "X": X, "y": y, **change}
    with pytest.raises(error, match=message):
        function(arguments.pop("estimator"), arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    "background, error, message",
    [
        (np.ones((4, 3)), TypeError, "must be a mapping, as X is"),
        ({"a": np.ones((4, 1))}, ValueError, "lacks the modality 'c'"),
    ],
)
def test_a_background_of_another_form_is_refused(table, background, error, message):
    X, y = as_dict(table[0]), table[1]
    with pytest.raises(error, match=f"'background' parameter of modality_shapley.*{message}"):
        modality_shapley(Sees().fit(X), X, y, background=background)


def test_a_regressor_of_several_outputs_is_scored_by_its_own_score(data):
    X, _ = data
    y = np.column_stack([X["strong"][:, 0], X["weak"][:, 0]])
    reg = MultimodalRegressor(max_epochs=2, random_state=0).fit(X, y)
    found = modality_permutation_importance(reg, X, y, n_repeats=2, random_state=0)
    assert found.importances.shape == (2, 2) and (found.importances_mean > 0).all()
