"""Modalities side by side as columns, for estimators that want a 2-D array."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from inforeg_sk import (
    ColumnsToModalities,
    ModalitiesToColumns,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return {
        "text": rng.normal(size=(12, 3)),
        "image": rng.normal(size=(12, 2, 2, 2)),
        "audio": rng.normal(size=(12, 4, 2)),
    }


y = np.array(["no", "yes"] * 6)


def test_columns_stand_side_by_side_in_the_order_of_fit(X):
    to_columns = ModalitiesToColumns()
    expected = np.hstack([X["text"], X["image"].reshape(12, 8), X["audio"].reshape(12, 8)])
    np.testing.assert_array_equal(to_columns.fit_transform(X, y), expected)
    assert to_columns.modalities_ == ("text", "image", "audio")
    other_order = dict(reversed(X.items()))
    np.testing.assert_array_equal(to_columns.transform(ModalityDict(other_order)), expected)
    assert to_columns.columns_ == {
        "text": slice(0, 3),
        "image": slice(3, 11),
        "audio": slice(11, 19),
    }


def test_some_modalities_may_be_chosen(X):
    to_columns = ModalitiesToColumns(["image", "text"]).fit(X)
    expected = np.hstack([X["image"].reshape(12, 8), X["text"]])
    np.testing.assert_array_equal(to_columns.transform(X), expected)
    chosen = {name: X[name] for name in ("text", "image")}
    np.testing.assert_array_equal(to_columns.transform(chosen), expected)


def test_it_is_undone(X):
    to_columns = ModalitiesToColumns().fit(X)
    back = to_columns.inverse_transform(to_columns.transform(X))
    assert list(back) == list(X)
    for name in X:
        np.testing.assert_array_equal(back[name], X[name])
    tables = {name: X[name].reshape(12, -1) for name in X}
    table = ModalitiesToColumns().fit(tables).transform(tables)
    again = ColumnsToModalities(ModalitiesToColumns().fit(tables).columns_).fit_transform(table)
    assert all(np.array_equal(again[name], tables[name]) for name in X)
    with pytest.raises(ValueError, match="X has 4 columns, but ModalitiesToColumns made 19"):
        to_columns.inverse_transform(np.zeros((2, 4)))


def test_the_columns_of_modalities_fit_our_estimators(X):
    to_columns = ModalitiesToColumns(["text", "image"]).fit(X)
    clf = MultimodalClassifier(modalities=to_columns.columns_, max_epochs=1, random_state=0)
    assert clf.fit(to_columns.transform(X), y).modalities_ == ("text", "image")


def test_sparse_stays_sparse(X):
    words = sparse.random(12, 50, 0.1, "csr", random_state=0)
    to_columns = ModalitiesToColumns()
    got = to_columns.fit_transform({"words": words, "text": X["text"]})
    assert sparse.issparse(got) and got.format == "csr" and got.shape == (12, 53)
    np.testing.assert_array_equal(got.toarray(), np.hstack([words.toarray(), X["text"]]))
    back = to_columns.inverse_transform(got)
    assert (back["words"] != words).nnz == 0


def test_types_are_kept_where_float32_holds_them(X):
    small = {name: values.astype(np.float32) for name, values in X.items()}
    assert ModalitiesToColumns().fit_transform(small).dtype == np.float32
    mixed = {**small, "text": X["text"]}
    assert ModalitiesToColumns().fit_transform(mixed).dtype == np.float64
    big = {"ids": np.array([[2**30 + 1]] * 2)}
    assert ModalitiesToColumns().fit_transform(big)[0, 0] == 2**30 + 1


def test_names_of_columns(X):
    frame = pd.DataFrame(X["text"], columns=["pitch", "energy", "pause"])
    to_columns = ModalitiesToColumns().fit({"voice": frame, "audio": X["audio"][:, :1]})
    names = ["voice__pitch", "voice__energy", "voice__pause", "audio__x0", "audio__x1"]
    assert to_columns.get_feature_names_out().tolist() == names
    framed = to_columns.set_output(transform="pandas").transform(
        {"voice": frame, "audio": X["audio"][:, :1]}
    )
    assert list(framed.columns) == names
    with pytest.raises(ValueError, match=r"(?s)'voice'.*same order as they were in fit"):
        to_columns.transform({"voice": frame[frame.columns[::-1]], "audio": X["audio"][:, :1]})


def test_a_baseline_in_one_line():
    rng = np.random.default_rng(0)
    code = np.arange(60) % 3
    X = ModalityDict(
        {n: rng.normal(size=(60, 4)) + s * code[:, None] for n, s in [("a", 1), ("b", 2)]}
    )
    model = make_pipeline(ModalitiesToColumns(), LogisticRegression())
    labels = np.array(["x", "y", "z"])[code]
    groups = np.arange(60) // 3
    got = cross_val_score(model, X, labels, cv=GroupKFold(3), groups=groups)
    table = np.hstack([X["a"], X["b"]])
    by_hand = cross_val_score(LogisticRegression(), table, labels, cv=GroupKFold(3), groups=groups)
    np.testing.assert_array_equal(got, by_hand)
    grid = {
        "modalitiestocolumns__modalities": [None, ["a"], ["b"]],
        "logisticregression__C": [0.1, 1.0],
    }
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, labels)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert clone(model).get_params()["modalitiestocolumns__modalities"] is None


def test_behind_a_vectorizer():
    X = {"text": ["red apple", "green car", "red car", "green apple"], "audio": np.eye(4)[:, :2]}
    model = make_pipeline(
        ModalityTransformer({"text": CountVectorizer()}),
        ModalitiesToColumns(),
        LogisticRegression(),
    )
    assert model.fit(X, [0, 1, 0, 1]).score(X, [0, 1, 0, 1]) == 1
    assert model[:-1].get_feature_names_out().shape == (6,)


# Missing modalities


def test_missing_samples_and_modalities_are_rows_of_nan(X):
    X["image"][3] = np.nan
    to_columns = ModalitiesToColumns(missing="allow").fit(X)
    got = to_columns.transform(X)
    expected = np.hstack([X[name].reshape(12, -1) for name in X])
    np.testing.assert_array_equal(got, expected)
    assert np.isnan(got[3, 3:11]).all() and np.isfinite(np.delete(got, 3, axis=0)).all()
    rest = {"audio": X["audio"], "text": X["text"]}
    expected[:, 3:11] = np.nan
    np.testing.assert_array_equal(to_columns.transform(rest), expected)
    trees = HistGradientBoostingClassifier(min_samples_leaf=2, max_iter=5)
    model = make_pipeline(ModalitiesToColumns(missing="allow"), trees)
    assert model.fit(X, y).predict(rest).shape == (12,)


def test_masked_samples_of_integers_are_missing():
    counts = np.ma.masked_array(np.arange(6).reshape(3, 2), mask=[[0, 0], [1, 1], [0, 0]])
    X = {"counts": counts, "b": np.ones((3, 1))}
    got = ModalitiesToColumns(missing="allow").fit_transform(X)
    np.testing.assert_array_equal(got, [[0, 1, 1], [np.nan, np.nan, 1], [4, 5, 1]])


# What is refused


def with_nan(value, where):
    value = value.copy()
    value[where] = np.nan
    return value


PADDED = with_nan(np.ones((5, 3, 2)), (2, 2))
MISSING = with_nan(np.ones((5, 2)), 2)
HALF = with_nan(np.ones((5, 2)), (2, 0))
THIN = sparse.csr_matrix(np.where(np.arange(5)[:, None] == 2, [np.nan, 0], 1.0))


@pytest.mark.parametrize(
    "settings, X, words",
    [
        ({}, np.ones((4, 2)), "takes a mapping .* Got ndarray; a table has its columns already"),
        ({}, {"a": PADDED}, r"'a' has sequences of unequal lengths \(row 2 is padded"),
        ({}, {"a": [np.ones((2, 3)), np.ones((4, 3))]}, "'a' .* of unequal lengths"),
        ({}, {"a": ["red", "blue"]}, "'a' has shape .* if it is text"),
        ({}, {"a": {"ids": np.ones((3, 2), int)}}, "'a' is made of the arrays 'ids'.*encode it"),
        ({}, {"a": MISSING}, "'a' contains NaN in row 2"),
        ({"missing": "allow"}, {"a": HALF, "b": np.ones((5, 1))}, "'a' contains NaN in row 2"),
        ({"missing": "allow"}, {"a": MISSING}, "1 of 5 samples have no modality at all"),
        ({"missing": "allow"}, {"a": THIN, "b": np.ones((5, 1))}, "'a' is sparse, .* row 2"),
        (
            {"missing": "allow"},
            {"a": np.full((5, 2), np.nan), "b": np.ones((5, 1))},
            "'a' is missing in every sample",
        ),
        ({"modalities": ["text", "adio"]}, {"text": HALF, "audio": HALF}, "did you mean 'audio'"),
        ({"modalities": ["b", "b"]}, {"b": np.ones((5, 1))}, "must name each modality once"),
        ({"modalities": "b"}, {"b": np.ones((5, 1))}, "'modalities' parameter .* Got 'b'"),
        ({"modalities": []}, {"b": np.ones((5, 1))}, r"'modalities' parameter .* Got \[\]"),
        ({"missing": "pass"}, {"b": np.ones((5, 1))}, "'missing' parameter .* 'error', 'allow'"),
    ],
)
def test_refused_in_clear_words(settings, X, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ModalitiesToColumns(**settings).fit(X)


def test_other_data_than_in_fit_are_refused(X):
    to_columns = ModalitiesToColumns().fit(X)
    with pytest.raises(ValueError, match="X misses 'audio'"):
        to_columns.transform({name: X[name] for name in ("text", "image")})
    with pytest.raises(ValueError, match="X has unknown 'more'"):
        to_columns.transform({**X, "more": X["text"]})
    with pytest.raises(ValueError, match=r"'text' has samples of shape \(2,\), .* with \(3,\)"):
        to_columns.transform({**X, "text": X["text"][:, :2]})
    partial = ModalitiesToColumns(["text"], missing="allow").fit(X)
    with pytest.raises(ValueError, match=r"none of the modalities .*'text'"):
        partial.transform({"audio": X["audio"]})
    words = sparse.random(12, 5, 0.5, "csr", random_state=0)
    thin = ModalitiesToColumns(missing="allow").fit({"words": words, "text": X["text"]})
    with pytest.raises(ValueError, match="'words' was sparse in fit and is missing"):
        thin.transform({"text": X["text"]})


def test_rows_of_tables_in_another_order_are_refused(X):
    frame = pd.DataFrame(X["text"], index=range(20, 32))
    target = pd.Series(y, index=range(31, 19, -1))
    with pytest.raises(ValueError, match="same labels in another order"):
        ModalitiesToColumns().fit({"text": frame}, target)
