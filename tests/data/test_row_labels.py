"""Rows belong together by position; labels that say otherwise are an error."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, permutation_test_score, train_test_split
from sklearn.utils import _safe_indexing

from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegRegressor
from inforeg_sk.data.checks import check_rows_beside

N = 24
IDS = [f"id{i}" for i in range(N)]


def labelled(values, index=None):
    return pd.DataFrame(values, index=IDS if index is None else index)


def quick(**params):
    return MultimodalClassifier(max_epochs=1, random_state=0, **params)


def test_the_same_labels_in_another_order_are_an_error(arrays):
    a, b = labelled(arrays["lab"]), labelled(arrays["scan"]).iloc[::-1]
    with pytest.raises(ValueError) as info:
        ModalityDict({"lab": a, "scan": b})
    assert "modality 'lab' and modality 'scan'" in str(info.value)
    assert "row 0: 'id0' and 'id23'" in str(info.value)
    assert "X['scan'].reindex(X['lab'].index)" in str(info.value)
    ModalityDict({"lab": a, "scan": b.reindex(a.index)})  # what the message says


def test_texts_in_a_series_are_compared_too(arrays):
    texts = pd.Series(["one"] * N, index=IDS[::-1])
    with pytest.raises(ValueError, match="another order"):
        ModalityDict({"lab": labelled(arrays["lab"]), "text": texts})


def test_other_labels_point_to_missing_modalities(arrays, y):
    a, b = labelled(arrays["lab"]), labelled(arrays["scan"], ["new", *IDS[1:]])
    with pytest.raises(ValueError) as info:
        ModalityDict({"lab": a, "scan": b})
    assert "'id0'" in str(info.value) and "'new'" in str(info.value)
    assert "missing='allow'" in str(info.value)
    index = a.index.union(b.index)  # what the message says
    X = ModalityDict({"lab": a.reindex(index), "scan": b.reindex(index)})
    quick(missing="allow").fit(X, np.arange(N + 1) % 2)


def test_other_numbers_of_labelled_rows_are_told_by_their_labels(arrays):
    a, b = labelled(arrays["lab"]), labelled(arrays["scan"]).iloc[:-1]
    with pytest.raises(ValueError, match="1 only in modality 'lab', such as 'id23'"):
        ModalityDict({"lab": a, "scan": b})


USES = {
    "fit": lambda clf, X, y: clf.fit(X, y),
    "partial_fit": lambda clf, X, y: clf.partial_fit(X, y),
    "score": lambda clf, X, y: clf.score(X, y),
    "score_by_modality": lambda clf, X, y: clf.score_by_modality(X, y),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("table", [False, True], ids=["mapping", "2-D table"])
def test_y_is_compared_with_x(arrays, y, use, table):
    X = labelled(arrays["lab"]) if table else {"lab": labelled(arrays["lab"])}
    target = pd.Series(y, index=IDS)
    clf = quick().fit(X, target)
    use(clf, X, target)
    with pytest.raises(ValueError, match=r"y have the same labels in another order"):
        use(clf, X, target.iloc[::-1])


def test_sample_weight_is_compared_with_x(arrays, y):
    weight = pd.Series(np.arange(1.0, N + 1), index=IDS[::-1])
    with pytest.raises(ValueError, match="'lab' and sample_weight"):
        quick().fit({"lab": labelled(arrays["lab"])}, y, sample_weight=weight)


def test_a_regressor_compares_y_too(arrays):
    X = {"lab": labelled(arrays["lab"])}
    target = pd.Series(arrays["lab"][:, 0], index=IDS)
    reg = MultimodalInfoRegRegressor(max_epochs=1).fit(X, target)
    with pytest.raises(ValueError, match="another order"):
        reg.score(X, target.iloc[::-1])


def test_numbers_from_0_that_nobody_gave_never_count(arrays, y):
    X = ModalityDict({"lab": labelled(arrays["lab"]), "scan": pd.DataFrame(arrays["scan"])})
    quick().fit(X, pd.Series(y))


def test_another_range_counts(arrays):
    a = pd.DataFrame(arrays["lab"], index=range(10, 10 + N))
    b = pd.DataFrame(arrays["scan"], index=range(9 + N, 9, -1))
    with pytest.raises(ValueError, match="another order"):
        ModalityDict({"lab": a, "scan": b})


def test_labels_that_occur_twice_are_compared_by_position(arrays):
    twice = ["a", "a", *IDS[2:]]
    a, b = labelled(arrays["lab"], twice), labelled(arrays["scan"], twice)
    ModalityDict({"lab": a, "scan": b})
    with pytest.raises(ValueError, match=r"more than once.*by position"):
        ModalityDict({"lab": a, "scan": b.iloc[[2, 1, 0, *range(3, N)]]})


def test_rows_of_a_split_keep_their_labels(arrays, y):
    X = ModalityDict({"lab": labelled(arrays["lab"]), "scan": arrays["scan"]})
    target = pd.Series(y, index=IDS)
    train, test, y_train, y_test = train_test_split(X, target, random_state=0)
    clf = quick().fit(train, y_train)
    clf.score(test, y_test)
    with pytest.raises(ValueError, match=r"other labels|different labels|another order"):
        clf.score(test, y_train.iloc[: len(test)])
    with pytest.raises(ValueError, match="another order"):
        pickle.loads(pickle.dumps(clf)).score(test, y_test.iloc[::-1])


def test_tables_that_were_split_by_themselves_are_compared(arrays, y):
    a, _ = train_test_split(pd.DataFrame(arrays["lab"]), random_state=0)
    b, _ = train_test_split(pd.DataFrame(arrays["scan"]), random_state=1)
    with pytest.raises(ValueError, match="different labels"):
        ModalityDict({"lab": a, "scan": b})


def test_a_search_over_labelled_tables_works(arrays, y):
    X = ModalityDict({"lab": labelled(arrays["lab"]), "scan": labelled(arrays["scan"])})
    search = GridSearchCV(quick(), {"lr": [0.01]}, cv=2, error_score="raise")
    search.fit(X, pd.Series(y, index=IDS))


# A y that was shuffled on purpose


def test_y_shuffled_on_purpose_is_told_to_drop_its_labels(arrays, y):
    X = ModalityDict({"lab": labelled(arrays["lab"])})
    target = pd.Series(y, index=IDS)
    settings = {"cv": 2, "n_permutations": 2, "random_state": 0}
    with pytest.raises(ValueError, match=r"permutation_test_score does, give y\.to_numpy\(\)"):
        permutation_test_score(quick(), X, target, **settings)
    permutation_test_score(quick(), X, target.to_numpy(), **settings)  # what the message says


@pytest.mark.parametrize("other", [IDS[::-1], ["new", *IDS[1:]], ["a", "a", *IDS[2:]]])
def test_only_errors_about_y_name_a_shuffled_y(arrays, y, other):
    X = {"lab": labelled(arrays["lab"])}
    with pytest.raises(ValueError, match="shuffled on purpose"):
        quick().fit(X, pd.Series(y, index=other))
    with pytest.raises(ValueError) as info:
        ModalityDict({**X, "scan": labelled(arrays["scan"], other)})
    assert "on purpose" not in str(info.value)


# An X that was shuffled without its y

ORDER = np.random.default_rng(1).permutation(N)
WARNED = r"labels 0 to 23 in another order.*y has them in order.*reindex\(X.*y\.to_numpy\(\)"


def shuffled(arrays):
    tables = {name: pd.DataFrame(values).iloc[ORDER] for name, values in arrays.items()}
    whole = ModalityDict({name: pd.DataFrame(values) for name, values in arrays.items()})
    return {
        "mapping": tables,
        "one of two": {"a": arrays["lab"], **tables},
        "ModalityDict": ModalityDict(tables),
        "ModalityDict that was shuffled itself": whole[ORDER],
        "table": tables["lab"],
        "reversed": pd.DataFrame(arrays["lab"]).iloc[::-1],
    }


def told(use):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use()
    return [str(w.message) for w in caught if "in another order" in str(w.message)]


@pytest.mark.parametrize("kind", shuffled({"lab": np.ones((N, 1))}))
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_rows_shuffled_in_x_only_warn(arrays, y, kind, use):
    X = shuffled(arrays)[kind]
    clf = quick().fit(X, y)
    for target in (pd.Series(y), pd.DataFrame({"y": y})["y"]):
        with pytest.warns(UserWarning, match=WARNED):
            use(clf, X, target)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_rows_shuffled_in_y_only_warn(arrays, y, use):
    target = pd.Series(y).iloc[ORDER]
    tables = {name: pd.DataFrame(values) for name, values in arrays.items()}
    clf = quick().fit(arrays, y)
    for X in (tables, {**arrays, "lab": tables["lab"]}, ModalityDict(tables)):
        with pytest.warns(UserWarning, match="rows of y have the labels 0 to 23 in another order"):
            use(clf, X, target)
        # What it says is silent.
        first = X["lab"] if hasattr(X["lab"], "index") else tables["lab"]
        for given in (target.reindex(first.index), target.to_numpy()):
            assert not told(lambda X=X, given=given: use(clf, X, given))
    whole = quick().fit(arrays["lab"], y)
    with pytest.warns(UserWarning, match=r"rows of y have.*y\.reindex\(X\.index\)"):
        use(whole, tables["lab"], target)


def test_rows_shuffled_in_parts_of_a_modality_warn(arrays, y):
    whole = {name: pd.DataFrame(values) for name, values in arrays.items()}
    shuffled_first = {"m": {name: table.iloc[ORDER] for name, table in whole.items()}}
    names = r"X\['m'\]\['lab'\]\.index"
    for X in (shuffled_first, ModalityDict({"m": whole})[ORDER]):
        with pytest.warns(UserWarning, match=f"modality 'm', array 'lab' were shuffled.*{names}"):
            check_rows_beside(X, {"y": pd.Series(y)})
    with pytest.warns(UserWarning, match=f"rows of y have the labels.*{names}"):
        check_rows_beside({"m": whole}, {"y": pd.Series(y).iloc[ORDER]})


def test_what_the_warning_says_is_silent_and_right(arrays, y):
    table, target = pd.DataFrame(arrays["lab"]).iloc[ORDER], pd.Series(y)
    reindexed = target.reindex(table.index)
    assert reindexed.tolist() == y[ORDER].tolist()
    for given in (reindexed, target.to_numpy()):
        assert not told(lambda given=given: quick().fit({"lab": table}, given))


def test_no_other_labels_warn(arrays, y):
    table, target = pd.DataFrame(arrays["lab"]), pd.Series(y)
    given = {
        "in order": (table, target),
        "other numbers": (table.set_axis(ORDER + 1), target),
        "texts": (table.set_axis([str(i) for i in ORDER]), target),
        "one twice": (table.set_axis([*ORDER[:-1], ORDER[0]]), target),
        "a part of more": (table.iloc[ORDER][:20], target.iloc[:20]),
        "an array": (table.iloc[ORDER], y),
        "a list": (table.iloc[ORDER], y.tolist()),
        "both": (table.iloc[ORDER], target.iloc[ORDER]),
        "an array as X": (arrays["lab"][ORDER], target),
        "an array as X, y shuffled": (arrays["lab"], target.iloc[ORDER]),
        "a table made of an array, a part of y": (table[:20], target.iloc[ORDER][:20]),
    }
    for X, y_ in given.values():
        assert not told(lambda X=X, y_=y_: quick().fit({"lab": X}, y_))
        assert not told(lambda X=X, y_=y_: quick().fit(X, y_))


def test_folds_of_a_search_do_not_warn(arrays, y):
    X = ModalityDict({name: pd.DataFrame(values) for name, values in arrays.items()})
    search = GridSearchCV(quick(), {"lr": [0.01]}, cv=2)
    assert not told(lambda: search.fit(X, pd.Series(y)))


# X.loc


NUMBERS = [7, 3, 9, 0, 5, 1]


def by_label(index, **others):
    values = np.arange(12.0).reshape(6, 2)
    return ModalityDict({"array": values, "table": pd.DataFrame(values, index=index), **others})


@pytest.mark.parametrize(
    "index, key",
    [
        (NUMBERS, [3, 0]),
        (NUMBERS, np.array([3, 0])),
        (NUMBERS, pd.Index([3, 0])),
        (NUMBERS, 9),
        (NUMBERS, slice(3, 5)),
        (NUMBERS, slice(None, 9)),
        (NUMBERS, slice(None)),
        (NUMBERS, []),
        (NUMBERS, np.array(NUMBERS) > 4),
        (NUMBERS, [True, False] * 3),
        (NUMBERS, pd.Series([True, False] * 3, index=NUMBERS[::-1])),  # its labels count
        (list("fedcba"), ["a", "e"]),
        (list("fedcba"), "c"),
        (list("fedcba"), slice("e", "b")),
        (list("aabbcc"), "b"),
        (list("aabbcc"), ["c", "a"]),
        (pd.MultiIndex.from_product([["u", "v"], [1, 2, 3]]), ("v", 2)),
        (pd.MultiIndex.from_product([["u", "v"], [1, 2, 3]]), "v"),
        (range(6, 0, -1), [6, 1]),
    ],
)
def test_loc_takes_the_rows_that_pandas_takes(index, key):
    X = by_label(index)
    expected = X["table"].loc[key]
    if isinstance(expected, pd.Series):  # of one row
        expected = expected.to_frame().T
    got = X.loc[key]
    assert_array_equal(got["array"], expected.to_numpy())
    assert_array_equal(got["table"], expected)
    assert X.loc[(key, ...)] == got
    assert got.row_labels[1].equals(got["table"].index)


@pytest.mark.parametrize("key", [2, [3, 2], "array", ["x"], slice("a", "b"), None])
def test_loc_of_an_absent_label_is_a_key_error(key):
    with pytest.raises(KeyError, match=r"labels of modality 'table', such as 7, 3, 9.*X\.iloc"):
        by_label(NUMBERS).loc[key]


def test_loc_has_one_axis_and_masks_one_length():
    with pytest.raises(IndexError, match="one axis, the samples"):
        by_label(NUMBERS).loc[[3], ["a"]]
    with pytest.raises(IndexError):
        by_label(NUMBERS).loc[[True, False]]


def test_loc_of_rows_selected_from_tables_in_order_takes_their_labels():
    X = by_label(None)
    assert X.loc[[4, 1]] == X[[4, 1]]
    for part in (X[[4, 1, 3]], ModalityDict({"parts": X})[[4, 1, 3]]["parts"], X[1:]):
        assert_array_equal(part.loc[[1, 3]]["array"], X[[1, 3]]["array"])
        with pytest.raises(KeyError):
            part.loc[0]


def test_iloc_and_what_scikit_learn_selects_stay_positions():
    X = by_label(NUMBERS)
    for rows in ([3, 0], np.array([5, 1]), slice(1, 4), 2, np.arange(6) > 3, [True, False] * 3, []):
        assert X.iloc[rows] == X[rows] == _safe_indexing(X, rows)
    train, test, first, second = train_test_split(X, np.arange(6), random_state=0)
    assert train == X[first] and test == X[second]


def test_loc_by_the_labels_of_a_series():
    X = ModalityDict({"text": pd.Series(list("uvw"), index=["a", "b", "c"]), "n": np.ones((3, 1))})
    assert X.loc[["c", "a"]]["text"].tolist() == ["w", "u"]
