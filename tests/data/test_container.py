"""What ModalityDict promises: rows, names, values of any kind, and errors that say what to do."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from ids import stable_id
from scipy import sparse
from sklearn.model_selection import KFold, LeaveOneOut, cross_val_score, train_test_split
from sklearn.utils import _safe_indexing, indexable, resample
from sklearn.utils.validation import _num_samples

from inforeg_sk import ModalityDict, MultimodalClassifier


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"text": rng.normal(size=(7, 3)), "audio": rng.normal(size=(7, 2, 4))}


# Rows


@pytest.mark.parametrize(
    "key, rows",
    [
        ([0, 2, 2], [0, 2, 2]),
        ((5, 1), None),  # a tuple is not a list of rows
        (np.array([6, 0]), [6, 0]),
        (np.array([6, 0], dtype=np.uint8), [6, 0]),
        (np.array([-1, 0]), [6, 0]),
        (range(2, 4), [2, 3]),
        (pd.Series([4, 1], index=[9, 8]), [4, 1]),
        (torch.tensor([4, 1]), [4, 1]),
        ([True, False, False, True, False, False, False], [0, 3]),
        (np.arange(7) > 4, [5, 6]),
        (pd.Series(np.arange(7) > 4, index=range(7, 14)), [5, 6]),
        (np.zeros(7, dtype=bool), []),
        ([], []),
        (np.array([]), []),
        (slice(2, 5), [2, 3, 4]),
        (slice(None, None, -2), [6, 4, 2, 0]),
        (slice(5, 99), [5, 6]),
        (3, [3]),
        (np.int64(3), [3]),
        (-1, [6]),
        (([1, 0], Ellipsis), [1, 0]),
        ((np.array([1, 0]), ...), [1, 0]),
        ((slice(1, 3), ...), [1, 2]),
        ((4, ...), [4]),
    ],
    ids=stable_id,
)
def test_rows(arrays, key, rows):
    X = ModalityDict(arrays)
    if rows is None:
        with pytest.raises(IndexError, match=r"one axis, the samples: .* got X\[5, 1\]"):
            X[key]
        return
    part = X[key]
    assert isinstance(part, ModalityDict)
    assert part.modalities == ("text", "audio") and part.shape == (len(rows),)
    for name, array in arrays.items():
        expected = np.stack([array[i] for i in rows]) if rows else array[:0]
        np.testing.assert_array_equal(part[name], expected, strict=True)
    if not isinstance(key, tuple):
        assert X.iloc[key] == X.loc[key] == X.take(key) == part


@pytest.mark.parametrize(
    "key, words",
    [
        ([0.5], "integers, a slice or a boolean mask; got float64 of shape (1,)"),
        ([[0, 1]], "got int64 of shape (1, 2)"),
        (None, "integers, a slice or a boolean mask"),
        (..., "integers, a slice or a boolean mask"),
        (["text"], "integers, a slice or a boolean mask"),
        ([True, False], "The mask has 2 entries for 7 samples"),
        (np.ones(8, dtype=bool), "The mask has 8 entries for 7 samples"),
        (7, "7"),
        ([0, -8], "-8"),
        (([0], 1), "one axis, the samples"),
        (([0], ..., 0), "one axis, the samples"),
        (([0], slice(None)), "one axis, the samples"),
    ],
    ids=stable_id,
)
def test_bad_rows(arrays, key, words):
    with pytest.raises(IndexError) as info:
        ModalityDict(arrays)[key]
    assert words in str(info.value)


def test_take_along_another_axis(arrays):
    X = ModalityDict(arrays)
    assert X.take([1], axis=0) == X[1]
    with pytest.raises(IndexError, match=r"one axis, the samples; got axis=1"):
        X.take([1], axis=1)


def test_slices_are_views_and_nothing_is_copied(arrays):
    X = ModalityDict(arrays)
    assert all(X[name] is arrays[name] for name in arrays)
    assert ModalityDict(X)["text"] is arrays["text"]
    assert np.shares_memory(X[1:3]["text"], arrays["text"])
    X[2:]["text"][0, 0] = 99
    assert arrays["text"][2, 0] == 99
    assert not np.shares_memory(X[[1, 2]]["text"], arrays["text"])


def test_the_given_mapping_may_change_later(arrays):
    X = ModalityDict(arrays)
    del arrays["text"]
    assert X.modalities == ("text", "audio")


# Mapping


def test_shape_and_length_count_samples(arrays):
    X = ModalityDict(arrays)
    assert X.shape == (7,) and len(X) == 7 and _num_samples(X) == 7
    assert type(X.shape[0]) is int
    assert not hasattr(X, "fit")


def test_mapping(arrays):
    X = ModalityDict(arrays)
    assert list(X) == ["text", "audio"] == list(X.modalities)
    assert len(X.keys()) == len(X.values()) == len(X.items()) == 2
    assert dict(X) == dict(X.items()) == {**X}
    assert "text" in X and "video" not in X and 0 not in X
    assert X.get("text") is arrays["text"] and X.get("video") is None
    assert X[np.str_("text")] is arrays["text"]


def test_unknown_name(arrays):
    with pytest.raises(KeyError, match=r"no modality 'txt'; there are 'text', 'audio'"):
        ModalityDict(arrays)["txt"]


@pytest.mark.parametrize("make", [np.asarray, np.array, lambda X: np.asarray(X, dtype=float)])
def test_no_array_of_names(arrays, make):
    with pytest.raises(TypeError) as info:
        make(ModalityDict(arrays))
    for word in ("not one array", "modalities={'name': columns, ...}", "X['name']"):
        assert word in str(info.value)


def test_repr(arrays):
    X = ModalityDict({**arrays, "words": ["a", "bc"] + ["d"] * 5})
    assert repr(X) == "ModalityDict(7 samples: text (3,), audio (2, 4), words (<U2))"
    assert repr(X[0]).startswith("ModalityDict(1 sample: ")


@pytest.mark.parametrize(
    "a, b, same",
    [
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0, 3.0], False),
        ([1.0, np.nan], [1.0, np.nan], True),
        ([1.0, np.nan], [1.0, 2.0], False),
        ([1, 2], [[1], [2]], False),
        (["x", "y"], ["x", "y"], True),
        (["x", "y"], ["x", "z"], False),
        ([[1, 2], [3]], [[1, 2], [3]], True),
        ([[1, 2], [3]], [[1, 2], [4]], False),
        ([[1, 2], [3]], [[1], [3]], False),
        (sparse.coo_array(np.eye(2)), sparse.csr_array(np.eye(2)), True),
        (sparse.csr_array(np.eye(2)), sparse.csr_array(2 * np.eye(2)), False),
        (sparse.csr_array(np.eye(2)), np.eye(2), False),
        (pd.DataFrame({"u": [1, 2]}), pd.DataFrame({"u": [1, 2]}), True),
        (pd.DataFrame({"u": [1, 2]}), pd.DataFrame({"v": [1, 2]}), False),
    ],
)
def test_equality(a, b, same):
    X, Y = ModalityDict({"m": a}), ModalityDict({"m": b})
    assert (X == Y) is same and (X != Y) is not same


def test_equality_with_others(arrays, tmp_path):
    X = ModalityDict(arrays)
    assert X == arrays  # any mapping of the same arrays
    assert X == ModalityDict(dict(reversed(arrays.items())))  # in any order
    assert X != ModalityDict({"text": arrays["text"]})
    assert X != [1] and X is not None and X != 3
    np.save(tmp_path / "text.npy", arrays["text"])
    mapped = np.load(tmp_path / "text.npy", mmap_mode="r")
    assert X == {**arrays, "text": mapped}  # where the values lie makes no difference
    with pytest.raises(TypeError, match="unhashable"):
        hash(X)


# Names


@pytest.mark.parametrize(
    "name",
    ["keys", "items", "values", "type", "training", "a.b", "input_ids", "shape", "%", " ", "été"],
)
def test_any_name(name):
    X = ModalityDict({name: np.arange(6.0).reshape(3, 2), "other": np.ones((3, 1))})
    assert X.modalities == (name, "other") and X[name][2, 1] == 5
    assert X[[2, 0]][name].tolist() == [[4, 5], [0, 1]]
    assert pickle.loads(pickle.dumps(X)) == X
    assert [len(test) for _, test in KFold(3).split(X)] == [1, 1, 1]


@pytest.mark.parametrize("name", [1, None, ("a",), 1.5, b"text"])
def test_names_are_strings(name):
    with pytest.raises(TypeError) as info:
        ModalityDict({"good": np.ones(3), name: np.ones(3)})
    assert "names must be strings" in str(info.value) and repr(name) in str(info.value)
    assert type(name).__name__ in str(info.value)


def test_empty_name():
    with pytest.raises(ValueError, match="name is empty"):
        ModalityDict({"": np.ones(3)})


# Values


def values(tmp_path):
    mapped = np.lib.format.open_memmap(
        tmp_path / "mapped.npy", mode="w+", dtype=np.float32, shape=(4, 2)
    )
    mapped[:] = np.arange(8).reshape(4, 2)
    paths = np.empty(4, dtype=object)
    paths[:] = [tmp_path / f"{i}.wav" for i in range(4)]
    return {
        "array": np.arange(8.0).reshape(4, 2),
        "half": np.arange(8, dtype=np.float16).reshape(4, 2),
        "4-D": np.arange(48.0).reshape(4, 2, 3, 2),
        "memmap": mapped,
        "paths": paths,
        "DataFrame": pd.DataFrame({"u": [1, 2, 3, 4], "v": list("abcd")}, index=list("wxyz")),
        "Series": pd.Series(list("abcd"), index=list("wxyz")),
        "list of texts": ["one", "two", "three", "four"],
        "nested list": [[1, 2], [3, 4], [5, 6], [7, 8]],
        "range": range(4),
        "csr": sparse.csr_matrix(np.eye(4)),
        "coo": sparse.coo_array(np.eye(4)),
        "dok": sparse.dok_array(np.eye(4)),
        "ragged": [[1], [2, 3], [], [4, 5, 6]],
        "ragged sequences": [np.full((i + 1, 2), i) for i in range(4)],
        "ragged in the last axis": [np.full((2, i + 1), i) for i in range(4)],
        "tensor": torch.arange(8.0).reshape(4, 2),
        "tensor with gradient": torch.ones(4, 2, requires_grad=True),
        "tensors of unequal length": [torch.ones(i + 1) for i in range(4)],
    }


def row(value, i):
    """Row `i` of a value, found without the container."""
    if sparse.issparse(value):
        return np.asarray(value.tocsr()[[i]].todense()).ravel()
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return np.asarray(value.iloc[i])
    return np.asarray(torch.as_tensor(value[i]).detach() if torch.is_tensor(value[i]) else value[i])


KINDS = [
    *("array", "half", "4-D", "memmap", "paths", "DataFrame", "Series", "list of texts"),
    *("nested list", "range", "csr", "coo", "dok", "ragged", "ragged sequences"),
    *("ragged in the last axis", "tensor", "tensor with gradient", "tensors of unequal length"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind, tmp_path):
    value = values(tmp_path)[kind]
    X = ModalityDict({"m": value})
    assert X.shape == (4,)
    for rows in ([2, 0], slice(1, 3), np.array([False, True, True, False]), 3):
        part = X[rows]
        expected = np.atleast_1d(np.arange(4)[rows])
        assert len(part) == len(expected)
        for position, i in enumerate(expected):
            np.testing.assert_array_equal(row(part["m"], position), row(value, i))
    for again in (pickle.loads(pickle.dumps(X)), copy.deepcopy(X), copy.copy(X)):
        assert again == X and again.modalities == ("m",) and again.shape == (4,)


def test_all_kinds_are_listed(tmp_path):
    assert sorted(values(tmp_path)) == sorted(KINDS)


@pytest.mark.parametrize("form", [list, tuple, lambda v: np.array(v, dtype=object), pd.Series])
def test_what_stands_among_texts_becomes_no_text(form):
    values = ["red", float("nan"), None, 3, b"blue", "", 2.5, True]
    if form is pd.Series:
        values = pd.Series(values, dtype=object)
        words = ModalityDict({"text": values.to_frame()})["text"].iloc[:, 0].tolist()
    else:
        words = ModalityDict({"text": form(values)})["text"]
        assert words.dtype == object and words.shape == (8,)
        words = words.tolist()
    assert all(a is b or a != a != b for a, b in zip(words, values, strict=True))
    # Without None numpy would make one type of them.
    for mixed in (["red", float("nan")], ["red", np.float32("nan")], ["red", 3], [b"red", 3]):
        words = ModalityDict({"text": mixed})["text"]
        assert words.dtype == object
        assert [type(word) for word in words] == [type(word) for word in mixed]
    assert ModalityDict({"text": ["red", "blue"]})["text"].dtype.kind == "U"
    chosen = ModalityDict({"text": ["red", float("nan"), "blue"]})[[1, 2]]["text"]
    assert chosen[0] != chosen[0] and chosen[1] == "blue"


def test_types_that_are_kept(tmp_path):
    X = ModalityDict(values(tmp_path))
    assert X["half"].dtype == np.float16
    assert isinstance(X["memmap"], np.memmap)
    assert X["paths"].dtype == object and X["paths"][0].name == "0.wav"
    assert list(X["DataFrame"].columns) == ["u", "v"]
    assert list(X[[2, 0]]["DataFrame"].index) == ["y", "w"]
    assert all(X[kind].format == "csr" for kind in ("csr", "coo", "dok"))
    assert X["list of texts"].dtype.kind == "U"
    assert X["tensor"].dtype == np.float32
    assert X["ragged"].dtype == object and X["ragged"].shape == (4,)
    assert X["ragged sequences"][3].shape == (4, 2)
    assert X["ragged in the last axis"][3].shape == (2, 4)


def test_tensors_share_memory():
    tensor = torch.zeros(3, 2)
    assert np.shares_memory(ModalityDict({"m": tensor})["m"], tensor.numpy())


def test_bfloat16_becomes_float32():
    tensor = torch.tensor([[1.5, -2.0], [3.25, 0.0]], dtype=torch.bfloat16)
    array = ModalityDict({"m": tensor})["m"]
    assert array.dtype == np.float32 and array.tolist() == [[1.5, -2.0], [3.25, 0.0]]


def test_sparse_tensor_names_the_way_out():
    with pytest.raises(TypeError, match=r"'m' is a sparse tensor.*to_dense"):
        ModalityDict({"m": torch.eye(3).to_sparse()})


def test_no_samples(arrays):
    X = ModalityDict({name: array[:0] for name, array in arrays.items()})
    assert len(X) == 0 and X.shape == (0,) and X["audio"].shape == (0, 2, 4)


# Errors


@pytest.mark.parametrize(
    "data", [None, np.ones((3, 2)), [("text", 1)], "text", sparse.dok_array((3, 2)), 3, {"text"}]
)
def test_not_a_mapping(data):
    with pytest.raises(TypeError) as info:
        ModalityDict(data)
    assert "mapping from modality names to arrays" in str(info.value)
    assert f"got {type(data).__name__}" in str(info.value)


def test_empty():
    with pytest.raises(ValueError, match="empty mapping: at least one modality"):
        ModalityDict({})


@pytest.mark.parametrize("value", [3.0, "abc", np.float64(2), torch.tensor(1.0), {1, 2}])
def test_a_single_value(value):
    with pytest.raises(ValueError, match=r"'audio' is a single value, .*one sample a row"):
        ModalityDict({"text": np.ones(3), "audio": value})


@pytest.mark.parametrize(
    "other", [np.ones((4, 2)), ["a"] * 4, sparse.eye_array(4), pd.DataFrame({"u": range(4)})]
)
def test_unequal_lengths(other):
    with pytest.raises(ValueError, match=r"'text' has 3, 'audio' has 4"):
        ModalityDict({"text": np.ones((3, 2)), "fine": np.ones(3), "audio": other})


# With scikit-learn and joblib


def test_scikit_learn_selects_rows(arrays):
    X = ModalityDict(arrays)
    assert indexable(X, np.ones(7))[0] is X
    assert _safe_indexing(X, np.array([4, 1])) == X[[4, 1]]
    assert _safe_indexing(X, np.arange(7) > 4) == X[5:]
    assert resample(X, replace=False, n_samples=7, random_state=0).shape == (7,)
    assert sum(1 for _ in LeaveOneOut().split(X)) == 7
    train, test, y_train, y_test = train_test_split(X, np.arange(7), random_state=1)
    assert train == X[y_train] and test == X[y_test]


def describe(X, rows):
    """Runs in a worker: what arrived there."""
    part = X[rows]
    return {
        "sum": float(part["big"].sum()),
        "mapped": isinstance(X["big"], np.memmap),
        "read-only": not X["big"].flags.writeable,
        "names": X.modalities,
        "n": len(part),
    }


def test_workers_get_a_memory_map():
    big = np.arange(400_000, dtype=np.float32).reshape(1000, 400)  # 1.6 MB, over joblib's 1 MB
    X = ModalityDict({"big": big, "texts": [str(i) for i in range(1000)]})
    halves = [np.arange(500), np.arange(500, 1000)]
    results = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(describe)(X, rows) for rows in halves
    )
    for rows, result in zip(halves, results, strict=True):
        assert result["sum"] == pytest.approx(float(big[rows].sum()))
        assert result["mapped"] and result["read-only"]
        assert result["names"] == ("big", "texts") and result["n"] == 500


def test_read_only_memory_map_trains_the_same(trimodal, tmp_path):
    X, y = trimodal
    joblib.dump(ModalityDict(X), tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert isinstance(mapped["text"], np.memmap)
    clf = MultimodalClassifier(max_epochs=2, random_state=0)
    expected = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(mapped, y).predict_proba(mapped), expected)
    scores = cross_val_score(clf, mapped, y, cv=KFold(2), error_score="raise")
    np.testing.assert_array_equal(
        scores, cross_val_score(clf, ModalityDict(X), y, cv=KFold(2), error_score="raise")
    )


def test_the_shape_is_a_tuple_whose_missing_axis_says_what_has_columns():
    X = ModalityDict({"a": np.ones((3, 2))})
    for container in (X, X[[0, 1, 2]], pickle.loads(pickle.dumps(X)), copy.deepcopy(X)):
        assert container.shape == (3,) and container.shape[0] == 3 and len(container.shape) == 1
        assert container.shape[-1] == 3 and container.shape[1:] == ()
        with pytest.raises(IndexError, match=r"permutation_importance.*modalities=.*score_by_mod"):
            container.shape[1]


def test_missing_values_are_equal_in_sparse_matrices_too():
    value = sparse.csr_array(np.array([[np.nan, 0.0], [0.0, 2.0]]))
    X = ModalityDict({"a": value})
    assert X == copy.deepcopy(X)
    for other in ([[np.nan, 0.0], [0.0, 3.0]], [[0.0, np.nan], [0.0, 2.0]], [[1.0, 0], [0, 2.0]]):
        assert X != ModalityDict({"a": sparse.csr_array(np.array(other))})
