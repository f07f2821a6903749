"""ModalityDict.concat: samples of several containers, one after another."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from inforeg_sk import ModalityDict, MultimodalClassifier

A = np.arange(12.0).reshape(4, 3)
TABLE = pd.DataFrame(A, columns=["x", "y", "z"], index=["p", "q", "r", "s"])
RAGGED = [np.ones((1, 2)), np.ones((3, 2)), None, np.zeros((2, 2))]
WHOLE = {
    "array": A,
    "image": np.arange(4 * 8.0).reshape(4, 2, 2, 2),
    "texts": ["a", "b", "c", "d"],
    "ragged": RAGGED,
    "sparse": sparse.csr_matrix(A),
    "masked": np.ma.masked_equal(A, 5.0),
    "several": {"ids": A.astype(int), "mask": A > 3},
    "table": TABLE,
    "series": pd.Series([1, 2, 3, 4], index=TABLE.index),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("cut", [[2], [1, 3], []])
def test_parts_of_a_whole_give_the_whole(name, cut):
    whole = ModalityDict({name: WHOLE[name], "other": A[:, :1]})
    bounds = [0, *cut, 4]
    parts = [whole[a:b] for a, b in pairwise(bounds)]
    again = ModalityDict.concat(parts)
    assert again == whole and list(again) == list(whole)
    assert again.column_labels == whole.column_labels
    labels = [None if X.row_labels is None else list(X.row_labels[1]) for X in (again, whole)]
    assert labels[0] == labels[1]
    assert type(again[name]) is type(whole[name])


def test_the_result_is_a_copy():
    whole = ModalityDict({"a": A.copy()})
    again = ModalityDict.concat([whole])
    again["a"][0] = -1
    assert whole["a"][0, 0] == 0


def test_order_of_modalities_and_of_columns_does_not_matter():
    first = {"t": TABLE, "a": A}
    second = {"a": A + 1, "t": TABLE[["z", "x", "y"]]}
    both = ModalityDict.concat([first, second])
    assert list(both) == ["t", "a"]
    assert both["t"].columns.tolist() == ["x", "y", "z"]
    assert np.array_equal(both["t"].to_numpy(), np.vstack([A, A]))
    assert both.loc[["p"]].shape == (2,)


def test_rows_that_nobody_labelled_have_no_labels():
    table = TABLE.reset_index(drop=True)
    both = ModalityDict.concat([{"t": table}, {"t": table}])
    assert both.row_labels is None
    assert both["t"].index.tolist() == list(range(8))


def test_sequences_of_equal_and_of_unequal_length():
    equal, unequal = np.ones((2, 3, 2)), [np.ones((1, 2)), np.ones((4, 2))]
    both = ModalityDict.concat([{"s": equal}, {"s": unequal}])
    assert [x.shape for x in both["s"]] == [(3, 2), (3, 2), (1, 2), (4, 2)]


def test_polars_tables():
    pl = pytest.importorskip("polars")
    parts = [
        {"t": pl.DataFrame({"x": [1, 2], "y": [0.5, 1]})},
        {"t": pl.DataFrame({"y": [2], "x": [3]})},
    ]
    assert ModalityDict.concat(parts)["t"].rows() == [(1, 0.5), (2, 1.0), (3, 2.0)]


def test_training_and_validation_part_make_the_data_of_a_final_fit():
    y = np.array([0, 1, 0, 1])
    X = ModalityDict({"a": A, "b": A[:, :2]})
    both = ModalityDict.concat([X[:2], X[2:]])
    one, other = (
        MultimodalClassifier(max_epochs=2, random_state=0).fit(data, y).predict_proba(X)
        for data in (X, both)
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ([], ValueError, "no parts"),
        ({"a": A}, TypeError, "takes a list of parts"),
        ([{"a": A}, {"b": A}], ValueError, r"Part 1 has the modalities 'b', and part 0 'a'"),
        (
            [{"a": A}, {"a": A[:, :2]}],
            ValueError,
            r"'a' has samples of the shapes \(3,\) and \(2,\)",
        ),
        ([{"a": A}, {"a": TABLE}], TypeError, "'a' is an array and a table of pandas"),
        ([{"a": A}, {"a": sparse.csr_matrix(A)}], TypeError, "an array and a sparse matrix"),
        ([{"a": TABLE}, {"a": TABLE[["x"]]}], ValueError, "'a': the tables have other columns"),
        ([{"a": {"i": A}}, {"a": A}], TypeError, "several arrays in one part"),
        ([{"a": {"i": A}}, {"a": {"i": A[:, :1]}}], ValueError, "'a', made of several.*'i' has"),
        ([{"a": [TABLE] * 2}, {"a": [TABLE[["z", "y", "x"]]]}], ValueError, "'a'.*other columns"),
        ([A, A], TypeError, "takes a mapping"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(parts, error, message):
    with pytest.raises(error, match=message):
        ModalityDict.concat(parts)
