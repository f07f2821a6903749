"""Tables cut into modalities by their columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
from ids import stable_id
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    ColumnsToModalities,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
)

TEXTS = np.array(["red apple", "green apple", "red car", "blue car", "green tea", "blue sky"] * 4)


@pytest.fixture
def y():
    return np.arange(24) % 3


def quick(**params):
    return MultimodalClassifier(max_epochs=2, random_state=0, **params)


@pytest.fixture
def table():
    return np.random.default_rng(1).normal(size=(24, 6))


@pytest.fixture
def frame(table):
    return pd.DataFrame(table, columns=list("abcdef"), index=range(50, 74))


@pytest.mark.parametrize(
    "key, columns",
    [
        (slice(1, 3), [1, 2]),
        (slice(None), range(6)),
        (slice(None, None, 2), [0, 2, 4]),
        (slice(4, 99), [4, 5]),
        ([5, 0], [5, 0]),
        ((5, 0), [5, 0]),
        ([-1], [5]),
        (np.array([2, 2]), [2, 2]),
        ([True, False, False, True, False, False], [0, 3]),
        (np.arange(6) > 3, [4, 5]),
        (lambda X: slice(0, X.shape[1] // 2), [0, 1, 2]),
        (lambda X: [3], [3]),
    ],
    ids=stable_id,
)
def test_columns_by_position(table, frame, key, columns):
    columns = list(columns)
    cutter = ColumnsToModalities({"m": key, "rest": slice(None)})
    out = cutter.fit_transform(table)
    assert isinstance(out, ModalityDict) and cutter.modalities_ == ("m", "rest")
    np.testing.assert_array_equal(out["m"], table[:, columns])
    np.testing.assert_array_equal(out["rest"], table)
    names = cutter.get_feature_names_out()
    assert names.tolist() == [f"m__x{i}" for i in columns] + [f"rest__x{i}" for i in range(6)]
    given = cutter.get_feature_names_out(list("uvwxyz"))[: len(columns)]
    assert given.tolist() == [f"m__{'uvwxyz'[i]}" for i in columns]
    assert cutter.n_features_in_ == 6 and not hasattr(cutter, "feature_names_in_")
    if len(set(columns)) < len(columns):
        return  # pandas allows that, but names must be unique
    out = cutter.fit(frame).transform(frame[:5])["m"]
    pd.testing.assert_frame_equal(out, frame.iloc[:5, columns])
    names = cutter.get_feature_names_out()[: len(columns)]
    assert names.tolist() == [f"m__{'abcdef'[i]}" for i in columns]


@pytest.mark.parametrize(
    "key, columns",
    [
        (["a", "c"], "ac"),
        (("e", "b"), "eb"),
        (slice("b", "d"), "bcd"),
        (slice(None, "b"), "ab"),
        (slice("e", None), "ef"),
        (np.array(["f"]), "f"),
        (pd.Index(["f", "a"]), "fa"),
        (lambda X: [c for c in X.columns if c > "d"], "ef"),
        (make_column_selector(pattern="[ace]"), "ace"),
        (make_column_selector(dtype_include=float), "abcdef"),
    ],
    ids=stable_id,
)
def test_columns_by_name(frame, key, columns):
    cutter = ColumnsToModalities({"m": key}).fit(frame)
    pd.testing.assert_frame_equal(cutter.transform(frame)["m"], frame[list(columns)])
    assert cutter.get_feature_names_out().tolist() == [f"m__{c}" for c in columns]
    assert cutter.feature_names_in_.tolist() == list("abcdef")


@pytest.mark.parametrize("key", ["words", 2, -1])
def test_a_bare_column_is_one_axis(key):
    table = pd.DataFrame({"p": np.arange(24.0), "q": 1.0, "words": TEXTS})
    cutter = ColumnsToModalities({"text": key, "rest": ["p", "q"]}).fit(table)
    out = cutter.transform(table)
    assert out["text"].shape == (24,) and list(out["text"]) == list(TEXTS)
    assert cutter.get_feature_names_out().tolist() == ["text__words", "rest__p", "rest__q"]
    assert ColumnsToModalities({"text": ["words"]}).fit_transform(table)["text"].shape == (24, 1)


def test_texts_and_numbers_from_one_frame(y):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"words": TEXTS, "p": rng.normal(size=24), "q": rng.normal(size=24)})
    table.loc[3, "p"] = np.nan
    model = Pipeline(
        [
            ("cut", ColumnsToModalities({"text": "words", "sound": slice("p", "q")})),
            (
                "prepare",
                ModalityTransformer(
                    {
                        "text": make_pipeline(CountVectorizer(), TruncatedSVD(2, random_state=0)),
                        "sound": make_pipeline(SimpleImputer(), StandardScaler()),
                    }
                ),
            ),
            ("classify", quick()),
        ]
    )
    assert model.fit(table, y).predict(table).shape == (24,)
    assert model[-1].modalities_ == ("text", "sound")
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict_proba(table), model.predict_proba(table)
    )
    copy = clone(model).set_params(prepare__sound__standardscaler__with_mean=False)
    assert copy.fit(table, y)["prepare"].transformers_["sound"][-1].with_mean is False
    pandas = clone(model[:2]).set_params(prepare__text="drop").set_output(transform="pandas")
    assert list(pandas.fit_transform(table)["sound"].columns) == ["p", "q"]


@pytest.mark.parametrize("make", ["array", "frame"])
def test_agrees_with_the_classifiers_own_parameter(table, frame, y, make):
    data = table if make == "array" else frame
    columns = {"u": slice(0, 3), "v": [5, 3, 0], "w": lambda X: [4]}
    if make == "frame":
        columns = {"u": slice("a", "c"), "v": ["f", "d", "a"], "w": make_column_selector("e")}
    piped = make_pipeline(ColumnsToModalities(columns), quick()).fit(data, y)
    own = quick(modalities=columns).fit(data, y)
    by_hand = {"u": table[:, :3], "v": table[:, [5, 3, 0]], "w": table[:, [4]]}
    direct = quick().fit(by_hand, y)
    np.testing.assert_array_equal(piped.predict_proba(data), direct.predict_proba(by_hand))
    np.testing.assert_array_equal(own.predict_proba(data), direct.predict_proba(by_hand))
    assert own.n_features_in_ == 6 and own.modalities_ == ("u", "v", "w")


def test_new_data_of_the_same_columns_only(table, frame):
    cutter = ColumnsToModalities({"m": slice(0, 2)}).fit(table)
    with pytest.raises(
        ValueError, match="X has 4 features, but ColumnsToModalities is expecting 6"
    ):
        cutter.transform(table[:, :4])
    cutter = ColumnsToModalities({"m": slice(0, 2)}).fit(frame)
    for other in (frame[list("fedcba")], frame.rename(columns={"a": "z"})):
        with pytest.raises(ValueError, match="feature names should match"):
            cutter.transform(other)


def test_a_callable_is_asked_once(frame):
    cutter = ColumnsToModalities({"m": make_column_selector(dtype_include=float)}).fit(frame)
    changed = frame.astype({"a": int})
    assert list(cutter.transform(changed)["m"].columns) == list("abcdef")


@pytest.mark.parametrize("data", ["array", "frame"])
@pytest.mark.parametrize(
    "columns, error, words",
    [
        ({}, ValueError, ["modalities must be a dict", "Got {}"]),
        (3, ValueError, ["modalities must be a dict", "Got 3"]),
        ([("m", [0])], ValueError, ["modalities must be a dict"]),
        ({1: [0]}, TypeError, ["names must be strings", "1"]),
        ({"": [0]}, ValueError, ["name is empty"]),
        ({"good": [0], "m": [6]}, ValueError, ["'m'", "[6]", "6 columns"]),
        ({"good": [0], "m": 6}, ValueError, ["'m'", "6 columns"]),
        ({"good": [0], "m": [-7]}, ValueError, ["'m'", "[-7]"]),
        ({"m": []}, ValueError, ["'m' has no columns"]),
        ({"m": slice(6, 9)}, ValueError, ["'m' has no columns", "slice(6, 9"]),
        ({"m": [False] * 6}, ValueError, ["'m' has no columns"]),
        ({"m": [True] * 5}, ValueError, ["'m'", "True"]),
        ({"m": None}, ValueError, ["'m'", "None"]),
        ({"m": 1.5}, ValueError, ["'m'", "1.5"]),
        ({"m": "zz"}, ValueError, ["'m'", "'zz'"]),
        ({"m": ["a", "zz"]}, ValueError, ["'m'", "'zz'"]),
        ({"m": slice("a", "zz")}, ValueError, ["'m'", "'zz'"]),
        ({"m": slice("zz", None)}, ValueError, ["'m'", "'zz'"]),
        ({"m": ["a", 1]}, ValueError, ["'m'", "['a', 1]"]),
    ],
    ids=stable_id,
)
def test_bad_columns(table, frame, y, columns, error, words, data):
    data = table if data == "array" else frame
    cutter = ColumnsToModalities(columns)
    for refuse in (lambda: cutter.fit(data), lambda: quick(modalities=columns).fit(data, y)):
        with pytest.raises(error) as info:
            refuse()
        for word in words:
            assert word in str(info.value)
    assert set(vars(cutter)) == {"modalities"}


def test_bad_tables(table):
    cutter = ColumnsToModalities({"m": [0]})
    with pytest.raises(TypeError, match=r"dense table; got a sparse one \(X.toarray\(\)\)"):
        cutter.fit(sparse.csr_array(table))
    with pytest.raises(ValueError, match=r"2-D array or a DataFrame; got shape \(6,\)"):
        cutter.fit(table[0])
    with pytest.raises(NotFittedError):
        cutter.transform(table)
    with pytest.raises(NotFittedError):
        cutter.get_feature_names_out()
    with pytest.raises(ValueError, match="input_features"):
        cutter.fit(table).get_feature_names_out(["a"])


def test_columns_parameters(table):
    cutter = ColumnsToModalities({"m": [0]})
    assert clone(cutter.fit(table)).modalities == {"m": [0]}
    assert cutter.set_params(modalities={"n": [1]}).fit_transform(table).modalities == ("n",)
    assert "ColumnsToModalities" in cutter._repr_html_()
    again = pickle.loads(pickle.dumps(cutter))
    assert again.transform(table) == cutter.transform(table)
