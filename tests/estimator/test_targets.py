"""Targets of every container: what is kept exactly, and what is refused with the row named."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils import compute_class_weight

from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalRegressor
from inforeg_sk.estimator.targets import ClassLabels, TargetScaler, check_sample_weight

N = 6
TEXTS, INTS, BOOLS, FLOATS = ["a", "b"] * 3, [1, 2] * 3, [True, False] * 3, [1.5, 2.0] * 3
# Neighbors that float64 does not tell apart.
IDS = [2**53, 2**53 + 1] * 3
DAYS = np.array(["2025-01-01", "2025-01-02"] * 3, dtype="datetime64[ns]")
X = {"a": np.arange(12.0).reshape(N, 2), "b": np.arange(6.0)[:, None] ** 2}


def make(cls=MultimodalClassifier, **params):
    return cls(**{"max_epochs": 1, "random_state": 0, **params})


def labels(y):
    return ClassLabels.check(y, N, MultimodalClassifier())


def numbers(y):
    return TargetScaler.check(y, N, MultimodalRegressor())


def with_gap(values, gap=None):
    return [*values[:3], gap, *values[4:]]


def arrow(values, dtype):
    return pd.Series(values, dtype=pd.ArrowDtype(dtype))


# What is kept


@pytest.mark.parametrize(
    "given, dtype",
    [
        (TEXTS, "<U1"),
        (np.array(TEXTS), "<U1"),
        (np.array(TEXTS, dtype=object), object),
        (np.array(TEXTS, dtype="<U9"), "<U9"),
        (INTS, np.int64),
        (tuple(INTS), np.int64),
        (np.array(INTS, dtype=np.int8), np.int8),
        (np.array(INTS, dtype=np.uint64), np.uint64),
        (BOOLS, bool),
        (np.array(BOOLS), bool),
        ([1.0, 2.0] * 3, np.float64),
        (np.array([1, 2] * 3, dtype=np.float32), np.float32),
        (pd.Series(TEXTS, dtype="string"), object),
        (pd.Series(TEXTS, dtype="category"), object),
        (pd.Series(INTS, dtype="category"), np.int64),
        (pd.Series(INTS), np.int64),
        (pd.Series(BOOLS), bool),
        (pl.Series(INTS), np.int64),
        (pa.array(BOOLS), bool),
        (torch.tensor(INTS), np.int64),
        ([torch.tensor(v) for v in INTS], np.int64),
        (np.ma.array(INTS), np.int64),  # nothing is masked
    ],
)
def test_ordinary_labels_keep_their_type(given, dtype):
    found = labels(given)
    assert found.dtype == dtype and type(found) is np.ndarray
    assert found.tolist() == np.asarray(given).tolist()


@pytest.mark.parametrize("dtype", ["Int64", "UInt64", "Int32", "int64[pyarrow]", "object"])
@pytest.mark.parametrize("box", [pd.Series, lambda v, dtype: pd.DataFrame({"y": v}, dtype=dtype).y])
def test_nullable_integers_stay_integers(dtype, box):
    values = INTS if dtype == "Int32" else IDS
    found = labels(box(values, dtype=dtype))
    assert found.dtype.kind in "iu" and found.tolist() == values


@pytest.mark.parametrize(
    "given",
    [
        pd.array(IDS, dtype="Int64"),
        np.array(IDS, dtype=object),
        pd.Series(IDS, dtype="Int64").astype("category"),
        pl.Series(IDS),
        pa.chunked_array([IDS[:2], IDS[2:]]),
    ],
)
def test_integers_are_exact_in_other_containers(given):
    assert labels(given).tolist() == IDS


def test_a_column_of_a_nullable_table_stays_integer():
    with pytest.warns(UserWarning, match="column-vector"):
        assert labels(pd.DataFrame({"y": pd.array(IDS, dtype="Int64")})).tolist() == IDS


def test_integers_of_64_bits_are_not_rounded():
    given = [2**64 - 1, 2**64 - 2, 1] * 2
    found = labels(given)
    assert found.dtype == np.uint64 and found.tolist() == given


@pytest.mark.parametrize(
    "given",
    [
        pd.Series(BOOLS, dtype="boolean"),
        pd.Series(BOOLS, dtype="bool[pyarrow]"),
        pd.Series(BOOLS, dtype="category"),
        pd.Series(BOOLS, dtype=object),
        pd.array(BOOLS, dtype="boolean"),
        pl.Series(BOOLS),
        pa.chunked_array([BOOLS]),
    ],
)
def test_booleans_stay_booleans(given):
    assert labels(given).dtype == bool and labels(given).tolist() == BOOLS


def test_predictions_of_booleans_select_samples():
    clf = make().fit(X, pd.Series(BOOLS, dtype="boolean"))
    predicted = clf.predict(X)
    assert clf.classes_.tolist() == [False, True] and predicted.dtype == bool
    assert len(ModalityDict(X)[predicted]) == predicted.sum()


def test_ids_of_a_nullable_column_are_classes_of_their_own():
    clf = make().fit(X, pd.Series(IDS, dtype="Int64"))
    assert clf.classes_.tolist() == IDS[:2]
    plain = make().fit(X, np.array(IDS))
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    "given",
    [
        FLOATS,
        np.array(FLOATS, dtype=np.float32),
        np.array(FLOATS, dtype=object),
        pd.Series(FLOATS, dtype="Float64"),
        pl.Series(FLOATS),
        pa.array(FLOATS),
        torch.tensor(FLOATS, requires_grad=True),
        [str(v) for v in FLOATS],
        np.ma.array(FLOATS),
    ],
)
def test_targets_of_numbers_become_float64(given):
    found = numbers(given)
    assert found.dtype == np.float64 and type(found) is np.ndarray and found.tolist() == FLOATS


def test_targets_of_several_outputs_keep_their_shape():
    frame = pd.DataFrame({"a": pd.array(INTS, dtype="Int64"), "b": FLOATS})
    for given in (frame, pl.DataFrame({"a": INTS, "b": FLOATS}), list(zip(INTS, FLOATS))):
        assert numbers(given).tolist() == [[a, b] for a, b in zip(INTS, FLOATS)]


# What is mixed


@pytest.mark.parametrize(
    "given, kinds",
    [
        (["a", 5] * 3, "int, str"),
        (("a", True) * 3, "bool, str"),
        (np.array(["a", 5.0] * 3, dtype=object), "float, str"),
        ([1, True] * 2 + ["a", "b"], "bool, int, str"),
        ([2**53 + 1, 0.5] * 3, "float, int"),  # the integer would be rounded
    ],
)
def test_labels_of_several_types_are_refused(given, kinds):
    with pytest.raises(TypeError, match=f"types {kinds}, .* one type"):
        labels(given)


@pytest.mark.parametrize(
    "given, kind",
    [
        ([b"a", b"b"] * 3, "bytes"),
        (pd.cut(pd.Series(FLOATS), 2), "Interval"),
        ([2**70, 1] * 3, "int"),  # more than 64 bits
    ],
)
def test_labels_of_other_types_are_refused(given, kind):
    with pytest.raises(TypeError, match=f"labels of {kind}; string or integer"):
        labels(given)


@pytest.mark.parametrize("check", [labels, numbers])
@pytest.mark.parametrize("cells", [[[1], [1, 2]] * 3, pd.Series([[1, 2]] * N)])
def test_lists_in_the_cells_are_refused(check, cells):
    with pytest.raises(ValueError, match=r"y holds a (list|ndarray) in row 0"):
        check(cells)


# What is missing


GAPS = {
    "text list, NaN": with_gap(TEXTS, float("nan")),
    "text list, None": with_gap(TEXTS),
    "text list, NA": with_gap(TEXTS, pd.NA),
    "text list, NaT": with_gap(TEXTS, pd.NaT),
    "tuple": tuple(with_gap(TEXTS, np.float32("nan"))),
    "int list, None": with_gap(INTS),
    "int list, NA": with_gap(INTS, pd.NA),
    "bool list": with_gap(BOOLS),
    "floats": np.array(with_gap(FLOATS, np.nan)),
    "objects, None": np.array(with_gap(TEXTS), dtype=object),
    "objects, NaN": np.array(with_gap(TEXTS, np.nan), dtype=object),
    "str": pd.Series(with_gap(TEXTS)),
    "string": pd.Series(with_gap(TEXTS, pd.NA), dtype="string"),
    "category": pd.Series(with_gap(TEXTS), dtype="category"),
    "object": pd.Series(with_gap(TEXTS), dtype=object),
    "Int64": pd.Series(with_gap(INTS), dtype="Int64"),
    "boolean": pd.Series(with_gap(BOOLS), dtype="boolean"),
    "Float64": pd.Series(with_gap(FLOATS), dtype="Float64"),
    "arrow text": arrow(with_gap(TEXTS), pa.string()),
    "arrow int": arrow(with_gap(INTS), pa.int64()),
    "frame": pd.DataFrame({"y": pd.array(with_gap(INTS), dtype="Int64")}),
    "polars text": pl.Series(with_gap(TEXTS)),
    "polars int": pl.Series(with_gap(INTS)),
    "polars bool": pl.Series(with_gap(BOOLS)),
    "polars NaN": pl.Series(with_gap(FLOATS, float("nan"))),
    "polars frame": pl.DataFrame({"y": with_gap(TEXTS)}),
    "pyarrow text": pa.array(with_gap(TEXTS)),
    "pyarrow int": pa.array(with_gap(INTS)),
    "pyarrow bool": pa.array(with_gap(BOOLS)),
    "pyarrow chunks": pa.chunked_array([INTS[:3], with_gap(INTS)[3:]]),
    "pyarrow dictionary": pa.array(with_gap(TEXTS)).dictionary_encode(),
    "tensor": torch.tensor(with_gap(FLOATS, float("nan"))),
}


@pytest.mark.parametrize("name", GAPS)
@pytest.mark.parametrize("check, noun", [(labels, "label"), (numbers, "value")])
def test_a_gap_is_named_by_its_row(name, check, noun):
    with pytest.raises(ValueError, match=f"y has a missing {noun} in row 3: drop such samples"):
        check(GAPS[name])


def test_texts_that_read_like_a_gap_are_labels():
    assert labels(["nan", "None", "NA"] * 2).tolist() == ["nan", "None", "NA"] * 2


@pytest.mark.parametrize("row", [0, 5])
def test_a_gap_in_one_of_several_outputs_is_named_by_its_row(row):
    y = np.ones((N, 3))
    y[row, 2] = np.nan
    with pytest.raises(ValueError, match=f"missing value in row {row}:"):
        numbers(y)


# What is masked

MASK = np.arange(N) == 3


@pytest.mark.parametrize(
    "y",
    [
        np.ma.array(INTS, mask=MASK),
        np.ma.array(FLOATS, mask=MASK),
        np.ma.array(BOOLS, mask=MASK),
        with_gap(INTS, np.ma.masked),
        [np.ma.array([v], mask=[m]) for v, m in zip(FLOATS, MASK)],
    ],
)
@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalRegressor])
def test_masked_targets_are_refused(y, cls):
    with pytest.raises(ValueError, match=r"y has a missing \w+ in row 3: .*masked"):
        make(cls).fit(X, y)


def test_masked_texts_are_refused():
    with pytest.raises(ValueError, match=r"row 3: .*masked"):
        labels(np.ma.array(TEXTS, mask=MASK))


def test_a_mask_of_one_output_is_refused():
    with pytest.raises(ValueError, match=r"row 4: .*masked"):
        numbers(np.ma.array(np.ones((N, 2)), mask=np.arange(12).reshape(N, 2) == 9))


@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalRegressor])
@pytest.mark.parametrize(
    "weight, words",
    [
        (np.ma.array(np.ones(N), mask=MASK), "missing weight in row 3: .*masked"),
        (pd.Series(with_gap([1.0] * N), dtype="Float64"), "missing weight in row 3"),
        (with_gap([1.0] * N, pd.NA), "missing weight in row 3"),
        (DAYS - DAYS[0], "dates or time spans"),
    ],
)
def test_sample_weights_that_are_no_numbers_are_refused(cls, weight, words):
    with pytest.raises(ValueError, match=f"sample_weight .*{words}"):
        make(cls).fit(X, INTS, sample_weight=weight)


@pytest.mark.parametrize(
    "weight",
    [INTS, np.ma.array(INTS), pd.Series(INTS, dtype="Int64"), pl.Series(INTS), np.array(INTS)],
)
def test_sample_weights_are_float64(weight):
    found = check_sample_weight(weight, N)
    assert found.dtype == np.float64 and found.tolist() == INTS
    assert check_sample_weight(2, N).tolist() == [2.0] * N


# Dates


DATES = {
    "datetime64": DAYS,
    "timedelta64": DAYS - DAYS[0],
    "Series": pd.Series(DAYS),
    "spans": pd.Series(DAYS) - pd.Timestamp("2024-01-01"),
    "time zone": pd.Series(DAYS).dt.tz_localize("Europe/Berlin"),
    "category": pd.Series(DAYS).astype("category"),
    "period": pd.Series(DAYS).dt.to_period("D"),
    "list of dates": [datetime.date(2025, 1, d) for d in (1, 2)] * 3,
    "list of spans": [datetime.timedelta(d) for d in (1, 2)] * 3,
    "list of times": [datetime.time(d) for d in (1, 2)] * 3,
    "list of Timestamps": list(pd.Series(DAYS)),
    "polars": pl.Series(DAYS),
    "pyarrow date": pa.array([datetime.date(2025, 1, d) for d in (1, 2)] * 3),
    "pyarrow span": pa.array([datetime.timedelta(d) for d in (1, 2)] * 3),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_are_refused(name):
    with pytest.raises(ValueError, match=r"dates or time spans.*total_seconds\(\)"):
        numbers(DATES[name])
    with pytest.raises(ValueError, match=r"dates or time spans.*astype\(str\)"):
        labels(DATES[name])


def test_a_date_in_one_of_several_outputs_is_refused():
    with pytest.raises(ValueError, match="dates or time spans"):
        numbers(pd.DataFrame({"a": FLOATS, "b": DAYS}))


def test_seconds_of_a_span_are_a_target():
    seconds = (pd.Series(DAYS) - pd.Timestamp("2025-01-01")).dt.total_seconds()
    assert numbers(seconds).tolist() == [0.0, 86400.0] * 3


# partial_fit


@pytest.mark.parametrize(
    "classes", [["a", "b", np.nan], ["a", "b", None], ["a", "b", 5], [pd.NA, "a"], list(DAYS[:2])]
)
def test_classes_of_partial_fit_get_the_same_care(classes):
    with pytest.raises(ValueError, match="'classes' parameter of MultimodalClassifier"):
        make().partial_fit(X, TEXTS, classes=classes)


def test_going_on_gets_the_same_care():
    clf = make().partial_fit(X, IDS, classes=pd.Series([*IDS[:2], 7], dtype="Int64"))
    assert clf.classes_.tolist() == [7, *IDS[:2]]
    clf.partial_fit(X, pd.Series(IDS, dtype="Int64"))
    with pytest.raises(ValueError, match="missing label in row 3"):
        clf.partial_fit(X, with_gap(IDS))


# class_weight


def weigh(y, class_weight, classes=None):
    y = labels(y)
    target = ClassLabels.fit(y, "owner", classes=classes)
    return target.weights(None, y, class_weight)


@pytest.mark.parametrize(
    "class_weight",
    [
        {"a": 1.0, "b": 2.0, "c": 5.0},  # this fold lacks c
        {"a": 1.0, "b": 2.0},
        {"b": 3.0},  # the others weigh 1
        {},
    ],
)
def test_class_weights_are_those_of_scikit_learn(class_weight):
    y = np.array(TEXTS)
    expected = compute_class_weight(class_weight, classes=np.unique(y), y=y)
    assert weigh(y, class_weight).tolist() == expected[np.arange(N) % 2].tolist()


@pytest.mark.parametrize("class_weight", [{"a": 1.0, "typo": 2.0}, {"typo": 2.0}])
def test_a_misspelt_class_is_refused_as_in_scikit_learn(class_weight):
    with pytest.raises(ValueError, match="not in class_weight"):
        LogisticRegression(class_weight=class_weight).fit(X["a"], TEXTS)
    with pytest.raises(ValueError, match=r"unknown class 'typo', and not '[ab]'; .*\['a', 'b'\]"):
        make(class_weight=class_weight).fit(X, TEXTS)


def test_a_misspelt_class_is_found_though_the_batch_lacks_the_right_one():
    with pytest.raises(ValueError, match="unknown class 'typo', and not 'c'"):
        weigh(TEXTS, {"a": 1.0, "b": 1.0, "typo": 2.0}, classes=["a", "b", "c"])


def test_digits_as_texts_have_class_weights():
    assert weigh(["0", "1"] * 3, {"0": 1.0, "1": 4.0}).tolist() == [1.0, 4.0] * 3


@pytest.mark.parametrize("box", ["Int64", "boolean"])
def test_class_weights_of_nullable_labels(box):
    values = INTS if box == "Int64" else BOOLS
    assert weigh(pd.Series(values, dtype=box), {values[0]: 3.0}).tolist() == [3.0, 1.0] * 3


@pytest.mark.parametrize("value", [None, "2", float("nan"), -1, pd.NA, [1.0, 2.0]])
@pytest.mark.parametrize("label", ["a", "c"])
def test_a_class_weight_that_is_no_number_is_refused(value, label):
    with pytest.raises(ValueError, match=rf"class_weight\['{label}'\] must be a finite number"):
        weigh(TEXTS, {"a": 1.0, "b": 1.0, label: value})
