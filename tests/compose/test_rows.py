"""Rows out are rows in, texts come as one axis, and the steps of a sample stay in one fold."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder

from inforeg_sk import ColumnsToModalities, ModalityTransformer
from inforeg_sk.features import Tokens
from inforeg_sk.features.video import VideoFrames

N = 12
TEXTS = np.array(["good day", "bad night", "good night"] * 4)


def table(seed=0, **kwargs):
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(N, 3)), **kwargs)


def some_missing(value):
    value = np.array(value, dtype=float)
    value[[2, 5]] = np.nan
    return value


def letters(texts, max_length, **kwargs):
    ids = np.array([[ord(c) for c in text[:max_length].ljust(max_length)] for text in texts])
    return {"input_ids": ids}


# Rows out are rows in


@pytest.mark.parametrize(
    "value, change, n_in, n_out",
    [
        (table(), lambda d: d.dropna().iloc[:-1], "12 samples", 11),
        (table(), lambda d: d.groupby(np.zeros(N)).mean(), "12 samples", 1),
        (table(), lambda d: d.to_numpy().tolist()[1:], "12 samples", 11),
        (table(), lambda d: sparse.csr_array(d.to_numpy()[:4]), "12 samples", 4),
        (table(), lambda d: {"a": d.to_numpy(), "b": d.to_numpy()[:7]}, "12 samples", 7),
        (table(), lambda d: pd.concat([d, d]), "12 samples", 24),
        (sparse.csr_array(np.eye(N)), lambda v: v[:5], "12 samples", 5),
        (TEXTS, lambda v: v[v != "bad night"], "12 samples", 8),
        (np.ones((N, 4, 2)), lambda v: v[::4], "48 steps", 12),
        (some_missing(np.ones((N, 2))), lambda v: v[1:], "10 samples", 9),
    ],
    ids="dropna groups list sparse mapping twice sparse-in texts steps missing".split(),
)
@pytest.mark.parametrize("missing", ["pass", "allow"])
def test_another_number_of_rows_is_an_error(value, change, n_in, n_out, missing):
    if missing == "pass" and n_in.startswith("10"):
        value, n_in, n_out = np.ones((N, 2)), "12 samples", 11
    both = ModalityTransformer({"m": FunctionTransformer(change)}, missing=missing)
    X = {"m": value, "other": np.ones((N, 1))}
    for call in (both.fit_transform, both.fit(X).transform):
        with pytest.raises(
            ValueError, match=rf"'m', FunctionTransformer: .*{n_out} rows for {n_in}"
        ):
            call(X)


def test_both_modalities_that_lose_other_rows_do_not_pass_as_one():
    a, b = table(), table(1)
    a.iloc[3, 0] = b.iloc[9, 0] = np.nan
    drop = FunctionTransformer(lambda d: d.dropna())
    with pytest.raises(ValueError, match="'a', FunctionTransformer: it returned 11 rows for 12"):
        ModalityTransformer(drop).fit_transform({"a": a, "b": b})


@pytest.mark.parametrize("output", [None, 3.5, "text"])
def test_no_rows_at_all_are_an_error(output):
    both = ModalityTransformer({"m": FunctionTransformer(lambda v: output)})
    kind = type(output).__name__
    with pytest.raises(ValueError, match=f"'m'.*returned {kind}, not one row for each of the 12"):
        both.fit_transform({"m": np.ones((N, 2))})


SHUFFLED = np.random.default_rng(0).permutation(N)


@pytest.mark.parametrize("index", [None, SHUFFLED, list("abcdefghijkl"), [0, 1, 2, 3] * 3], ids=str)
@pytest.mark.parametrize("change", [lambda d: d.sort_values(0), lambda d: d.iloc[::-1]])
@pytest.mark.parametrize("missing", ["pass", "allow"])
def test_rows_in_another_order_are_an_error(index, change, missing):
    data = table(index=index)
    if missing == "allow":
        data.iloc[4] = np.nan
    both = ModalityTransformer({"m": FunctionTransformer(change)}, missing=missing)
    with pytest.raises(ValueError, match=r"'m', FunctionTransformer: .*in another order"):
        both.fit_transform({"m": data})


def test_arrays_that_come_back_as_sorted_frames_are_an_error():
    change = FunctionTransformer(lambda v: pd.DataFrame(v).sort_values(0))
    numbers = np.random.default_rng(0).normal(size=(N, 2))
    for value in (numbers, np.arange(24.0)[::-1].reshape(N, 2)):
        with pytest.raises(ValueError, match="in another order"):
            ModalityTransformer(change).fit_transform({"m": value})


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d * 2,
        lambda d: pd.DataFrame(2 * d.to_numpy()),
        lambda d: (2 * d).set_axis([f"row {i}" for i in range(N)]),
        lambda d: (2 * d).to_numpy(),
    ],
    ids=["kept", "new default", "new names", "array"],
)
def test_an_index_that_is_kept_or_new_is_none(change):
    data = table(index=SHUFFLED)
    out = ModalityTransformer(FunctionTransformer(change)).fit_transform({"m": data})
    np.testing.assert_array_equal(out["m"], 2 * data.to_numpy())


# A table of one column goes to vectorizers as the texts it holds


def make_tables():
    frame = pd.DataFrame({"txt": TEXTS})
    yield pytest.param(frame, id="frame")
    yield pytest.param(frame.astype("category"), id="category")
    yield pytest.param(frame.set_index(np.arange(N)[::-1]), id="index")
    yield pytest.param(TEXTS[:, None], id="strings")
    yield pytest.param(TEXTS[:, None].astype(object), id="objects")
    yield pytest.param([[text] for text in TEXTS], id="lists")


TABLES = list(make_tables())


@pytest.mark.parametrize("value", TABLES)
@pytest.mark.parametrize(
    "transformer",
    [
        CountVectorizer(),
        TfidfVectorizer(),
        HashingVectorizer(n_features=16),
        make_pipeline(CountVectorizer(), StandardScaler(with_mean=False)),
        make_pipeline("passthrough", CountVectorizer()),
        FeatureUnion([("a", CountVectorizer()), ("b", TfidfVectorizer())]),
    ],
    ids="count tfidf hashing pipeline passthrough union".split(),
)
def test_a_column_of_texts_is_its_texts(value, transformer):
    out = ModalityTransformer({"text": transformer}).fit_transform({"text": value})["text"]
    np.testing.assert_array_equal(out.toarray(), transformer.fit_transform(TEXTS).toarray())
    fitted = ModalityTransformer({"text": transformer}).fit({"text": TEXTS})
    one = pd.DataFrame({"good": ["bad night"]})
    want = fitted.transform({"text": ["bad night"]})["text"]
    assert want.nnz >= 2
    np.testing.assert_array_equal(fitted.transform({"text": one})["text"].toarray(), want.toarray())


@pytest.mark.parametrize("value", TABLES)
def test_a_column_of_texts_is_tokenized(value):
    tokens = Tokens(letters, max_length=3)
    out = ModalityTransformer({"text": tokens}).fit_transform({"text": value})["text"]
    np.testing.assert_array_equal(out["input_ids"], letters(TEXTS, 3)["input_ids"])


def test_a_polars_column_of_texts():
    pl = pytest.importorskip("polars")
    X = {"text": pl.DataFrame({"txt": list(TEXTS)})}
    out = ModalityTransformer({"text": CountVectorizer()}).fit_transform(X)["text"]
    np.testing.assert_array_equal(out.toarray(), CountVectorizer().fit_transform(TEXTS).toarray())


def test_a_search_over_a_vectorizer_gets_texts():
    class Kept(CountVectorizer):
        def score(self, X, y=None):
            return len(self.vocabulary_)

    search = GridSearchCV(Kept(), {"lowercase": [True]}, cv=2)
    out = ModalityTransformer({"text": search}).fit({"text": pd.DataFrame({"good": TEXTS})})
    assert set(out.transformers_["text"].best_estimator_.vocabulary_) == {
        *("good", "bad", "day", "night")
    }


def test_a_column_cut_from_a_table():
    frame = pd.DataFrame({"txt": TEXTS, "a": np.arange(N)})
    cut = ColumnsToModalities({"text": ["txt"], "u": ["a"]})
    out = make_pipeline(cut, ModalityTransformer({"text": CountVectorizer()})).fit_transform(frame)
    assert out["text"].shape == (N, 4) and out["u"].shape == (N, 1)


def test_missing_texts_of_a_column_stay_missing():
    texts = TEXTS.astype(object)
    texts[3] = None
    both = ModalityTransformer({"text": CountVectorizer()}, missing="allow")
    out = both.fit_transform({"text": pd.DataFrame({"txt": texts})})["text"].toarray()
    rows = np.arange(N) != 3
    np.testing.assert_array_equal(out[rows], CountVectorizer().fit_transform(TEXTS[rows]).toarray())
    assert np.isnan(out[3, 0])
    with pytest.raises(ValueError, match=r"'text', CountVectorizer: .*missing='allow'"):
        ModalityTransformer({"text": CountVectorizer()}).fit({"text": pd.DataFrame({"t": texts})})


def test_texts_of_steps():
    texts = TEXTS.reshape(4, 3, 1)
    out = ModalityTransformer({"text": CountVectorizer()}).fit_transform({"text": texts})["text"]
    expected = CountVectorizer().fit_transform(TEXTS).toarray().reshape(4, 3, -1)
    np.testing.assert_array_equal(out, expected)


def test_dicts_in_a_column():
    dicts = [{"a": i, "b": 1} for i in range(N)]
    column = np.array(dicts, dtype=object)[:, None]
    out = ModalityTransformer({"m": DictVectorizer()}).fit_transform({"m": column})["m"]
    np.testing.assert_array_equal(out.toarray(), DictVectorizer().fit_transform(dicts).toarray())


@pytest.mark.parametrize("transformer", [CountVectorizer(), Tokens(letters), VideoFrames()])
@pytest.mark.parametrize(
    "value, shape",
    [
        (pd.DataFrame({"title": TEXTS, "body": TEXTS}), r"\(12, 2\) \(title, body\)"),
        (np.c_[TEXTS, TEXTS, TEXTS], r"\(12, 3\)"),
        (pd.DataFrame(index=range(N)), r"\(12, 0\)"),
    ],
)
def test_several_columns_of_texts_are_refused_with_what_to_do(transformer, value, shape):
    with pytest.raises(ValueError, match=rf"'text', .*{shape}.*Join .*ColumnTransformer"):
        ModalityTransformer({"text": transformer}).fit({"text": value})


def test_the_advice_for_several_columns_works():
    frame = pd.DataFrame({"title": TEXTS, "body": TEXTS[::-1]})
    columns = ColumnTransformer([(c, CountVectorizer(), c) for c in frame])
    out = ModalityTransformer({"text": columns}).fit_transform({"text": frame})["text"]
    parts = [CountVectorizer().fit_transform(frame[c]).toarray() for c in frame]
    np.testing.assert_array_equal(np.asarray(sparse.csr_array(out).todense()), np.hstack(parts))


def test_several_arrays_are_not_texts():
    """Iterated, they give the names of the arrays: two documents for two samples."""
    with pytest.raises(ValueError, match=r"'m', CountVectorizer: .*'good', 'day'"):
        ModalityTransformer(CountVectorizer()).fit_transform(
            {"m": {"good": ["a", "b"], "day": ["c", "d"]}}
        )


def test_transformers_of_tables_still_get_tables():
    frame = pd.DataFrame({"txt": TEXTS})
    out = ModalityTransformer(OneHotEncoder(sparse_output=False)).fit_transform({"m": frame})["m"]
    np.testing.assert_array_equal(out, OneHotEncoder().fit_transform(frame).toarray())


def test_what_was_fitted_with_one_axis_gets_one_axis():
    """A vectorizer without tags, which would read the name of the column."""

    class Lengths(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return np.array([[len(text)] for text in X])

    fitted = ModalityTransformer(Lengths()).fit({"m": TEXTS})
    for value in (pd.DataFrame({"a long name": ["bad night"]}), np.array([["bad night"]])):
        np.testing.assert_array_equal(fitted.transform({"m": value})["m"], [[9]])


# The steps of a sample stay in one fold

STEPS = np.random.default_rng(0).integers(0, 3, size=(N, 4, 1)).astype(float)
Y = np.arange(N) % 2


@pytest.mark.parametrize(
    "transformer, name",
    [
        (TargetEncoder(), r"cv=5"),
        (make_pipeline(StandardScaler(), TargetEncoder(cv=3)), "targetencoder__cv=3"),
        (SelectFromModel(LassoCV(cv=2)), "estimator__cv=2"),
        (GridSearchCV(SelectKBest(k=1), {"k": [1]}, scoring=lambda *_: 0.0), "cv=None"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_folds_over_steps_are_refused(transformer, name, method):
    both = ModalityTransformer({"m": transformer}, padding_value=None)
    message = rf"Modality 'm', \w+: .*folds.*{name}.*12 samples have 48 rows.*GroupKFold"
    with pytest.raises(ValueError, match=message):
        getattr(both, method)({"m": STEPS}, Y)


def test_folds_over_samples_are_accepted():
    X = {"m": STEPS[:, 0], "one step": STEPS[:, :1]}
    encoder = TargetEncoder(cv=3, random_state=0)
    out = ModalityTransformer(encoder, padding_value=None).fit_transform(X, Y)
    expected = clone(encoder).fit_transform(STEPS[:, 0], Y)
    np.testing.assert_array_equal(out["m"], expected)
    np.testing.assert_array_equal(out["one step"][:, 0], expected)


def test_what_uses_the_target_without_folds_takes_steps():
    x = np.random.default_rng(0).normal(size=(N, 4, 3))
    select = SelectFromModel(LogisticRegression())
    out = ModalityTransformer({"m": select}).fit_transform({"m": x}, Y)["m"]
    expected = select.fit_transform(x.reshape(-1, 3), np.repeat(Y, 4))
    np.testing.assert_array_equal(out, expected.reshape(N, 4, -1))


def test_folds_by_group_are_accepted():
    """By a search, whose folds are seen from what its estimator is fitted with."""
    seen = []

    class Recorder(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            seen.append(set(X[:, 0]))
            return self

        def transform(self, X):
            return X

        def score(self, X, y=None):
            seen.append(set(X[:, 0]))
            return 0.0

    numbers = np.repeat(np.arange(1.0, N + 1)[:, None, None], 4, axis=1)
    search = GridSearchCV(Recorder(), {}, cv=GroupKFold(3))
    with sklearn.config_context(enable_metadata_routing=True):
        ModalityTransformer(search).fit({"m": numbers}, Y, groups=np.arange(N))
    for train, test in zip(seen[:6:2], seen[1:6:2]):
        assert not train & test and len(train | test) == N
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        ModalityTransformer(search).fit({"m": numbers}, Y)
