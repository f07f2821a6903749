"""What is taken as values of a modality, what is refused, and what counts as a number."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.testing import assert_array_equal
from scipy import sparse
from skorch.dataset import Dataset
from torch.utils.data import DataLoader, TensorDataset

from inforeg_sk import (
    ColumnsToModalities,
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
)

N = 16


@pytest.fixture
def values():
    # Multiples of 1/8 are exact in every floating type, bfloat16 included.
    return np.random.default_rng(0).integers(-8, 8, size=(N, 3)) / 8


@pytest.fixture
def y():
    return np.arange(N) % 2


def quick(**params):
    return MultimodalClassifier(max_epochs=1, random_state=0, **params)


NAMES = ["a", "b", "c"]
FORMS = {
    "list": lambda v: v.tolist(),
    "list of arrays": list,
    "list of tensors": lambda v: list(torch.tensor(v)),
    "list of tensors with gradient": lambda v: list(torch.tensor(v, requires_grad=True)),
    "tensor with gradient": lambda v: torch.tensor(v, requires_grad=True),
    "bfloat16": lambda v: torch.tensor(v, dtype=torch.bfloat16),
    "float16": lambda v: v.astype(np.float16),
    "pandas": lambda v: pd.DataFrame(v, columns=NAMES),
    "pandas nullable": lambda v: pd.DataFrame(v, columns=NAMES).astype("Float64"),
    "pandas of several types": lambda v: pd.DataFrame(v, columns=NAMES).astype({"a": "float32"}),
    "pandas of objects": lambda v: pd.DataFrame(v, columns=NAMES).astype(object),
    "polars": lambda v: pl.DataFrame(v, schema=NAMES),
    "pyarrow": lambda v: pa.table({n: v[:, i] for i, n in enumerate(NAMES)}),
    "sparse": sparse.csc_matrix,
    "objects": lambda v: v.astype(object),
    "fortran": np.asfortranarray,
    "big endian": lambda v: v.astype(">f8"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.filterwarnings("ignore:.*feature names")
def test_every_form_of_the_same_numbers_predicts_the_same(values, y, form):
    clf = quick(standardize=False).fit({"m": values}, y)  # sparse ones would not be centered
    assert_array_equal(clf.predict_proba({"m": form(values)}), clf.predict_proba({"m": values}))
    again = quick(standardize=False).fit({"m": form(values)}, y)
    assert_array_equal(again.predict_proba({"m": form(values)}), clf.predict_proba({"m": values}))


@pytest.mark.parametrize(
    "form", ["list", "tensor with gradient", "bfloat16", "pandas", "polars", "pyarrow"]
)
def test_every_form_of_a_2d_table_predicts_the_same(values, y, form):
    X = FORMS[form](values)
    cut = quick(modalities={"u": [0], "v": [1, 2]})
    expected = cut.fit(values, y).predict_proba(values)
    assert_array_equal(cut.fit(X, y).predict_proba(X), expected)


def test_a_bare_column_of_numbers_is_a_table_of_one_column(values, y):
    table = pd.DataFrame(values, columns=NAMES)
    bare = quick(modalities={"u": "a", "v": ["b", "c"]}).fit(table, y)
    listed = quick(modalities={"u": ["a"], "v": ["b", "c"]}).fit(table, y)
    assert_array_equal(bare.predict_proba(table), listed.predict_proba(table))
    by_position = quick(modalities={"u": 0, "v": [1, 2]}).fit(values, y)
    assert_array_equal(by_position.predict_proba(values), listed.predict_proba(table))


def test_columns_of_several_levels_are_cut_by_the_first_level(values):
    table = pd.concat({"u": pd.DataFrame(values), "v": pd.DataFrame(-values)}, axis=1)
    X = ColumnsToModalities({"first": "u", "one": [("v", 1)], "both": ["u", "v"]})
    X = X.fit_transform(table)
    assert_array_equal(X["first"], values)
    assert_array_equal(X["one"], -values[:, [1]])
    assert X["both"].shape == (N, 6)
    with pytest.raises(ValueError, match="'w' is not in the first level of the columns, 'u', 'v'"):
        ColumnsToModalities({"first": "w"}).fit(table)


def test_sparse_duplicates_count_as_their_sum_and_stay_with_the_caller(values, y):
    entries = sparse.csr_matrix(
        (np.ones(N + 1), np.r_[0, 0, np.arange(1, N) % 3], np.r_[0, np.arange(2, N + 2)]), (N, 3)
    )
    clf = quick().fit({"m": entries}, y)
    assert entries.nnz == N + 1
    summed = clf.predict_proba({"m": entries.toarray()})
    assert_array_equal(clf.predict_proba({"m": entries}), summed)
    bad = entries.copy()
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="'m' contains NaN in row 2"):
        clf.predict({"m": bad})


def test_nan_among_texts_stays_missing():
    rows = [[1.0, "good"], [2.0, float("nan")], [3.0, "bad"]]
    X = ColumnsToModalities({"number": [0], "text": 1}).fit_transform(rows)
    assert X["text"][0] == "good" and X["text"][1] != X["text"][1]
    assert_array_equal(X["number"].astype(float), [[1.0], [2.0], [3.0]])


REFUSED = {
    "torch dataset": lambda v: TensorDataset(torch.tensor(v)),
    "skorch dataset": Dataset,
    "loader": lambda v: DataLoader(TensorDataset(torch.tensor(v))),
}


@pytest.mark.parametrize("form", REFUSED.values(), ids=REFUSED)
def test_datasets_are_refused_at_once(values, y, form):
    for fit in (
        lambda: MultimodalInfoRegClassifier().fit(form(values), y),
        lambda: MultimodalInfoRegClassifier().fit({"m": form(values)}, y),
        lambda: ModalityDict({"m": form(values)}),
        lambda: ColumnsToModalities({"m": [0]}).fit(form(values)),
    ):
        with pytest.raises(TypeError, match=r"is a Dataset or DataLoader.*X = {'text': T"):
            fit()


def test_a_dataset_that_never_ends_is_refused_at_once(y):
    class Endless(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            return {"a": torch.zeros(3)}, i % 2

    with pytest.raises(TypeError, match="Endless"):
        MultimodalInfoRegClassifier().fit(Endless(), y)


@pytest.mark.parametrize(
    "value, words",
    [
        (pl.DataFrame({"a": [1.0]}).lazy(), "collect"),
        (torch.nn.utils.rnn.pack_sequence([torch.ones(4, 3), torch.ones(2, 3)]), "PadSequences"),
        (None, "leave a modality that is not given out"),
    ],
    ids=["lazy frame", "packed sequence", "None"],
)
def test_what_only_looks_like_values_is_refused(value, words):
    with pytest.raises((TypeError, ValueError), match=f"'m' .*{words}"):
        ModalityDict({"m": value})


def test_none_for_a_modality_is_missing_where_that_is_allowed(values, y):
    X = {"m": values, "other": values[:, :2]}
    clf = quick(missing="allow").fit(X, y)
    without = clf.predict_proba({"m": values})
    assert_array_equal(clf.predict_proba({"m": values, "other": None}), without)


# What is no number

WHEN = pd.date_range("2020", periods=N, freq="h")
DATES = {
    "datetime column": lambda: pd.DataFrame({"x": np.arange(N), "when": WHEN}),
    "time zone": lambda: pd.DataFrame({"when": WHEN.tz_localize("UTC")}),
    "time span": lambda: pd.DataFrame({"x": 1.0, "when": WHEN - WHEN[0]}),
    "period": lambda: pd.DataFrame({"when": WHEN.to_period("D")}),
    "date objects": lambda: pd.DataFrame({"when": [datetime.date(2020, 1, 1)] * N, "x": 1}),
    "polars dates": lambda: pl.DataFrame({"when": [datetime.date(2020, 1, 1)] * N}),
    "polars spans": lambda: pl.DataFrame({"when": [datetime.timedelta(1)] * N, "x": [1.0] * N}),
}


@pytest.mark.parametrize("missing", ["error", "allow"])
@pytest.mark.parametrize("make", DATES.values(), ids=DATES)
def test_dates_in_a_table_are_refused_by_column(y, values, make, missing):
    with pytest.raises(ValueError, match=r"'t' is not numeric.*'when'.*dates or time spans"):
        quick(missing=missing).fit({"t": make(), "m": values}, y)


@pytest.mark.parametrize(
    "column",
    [
        WHEN.to_numpy(),
        (WHEN - WHEN[0]).to_numpy(),
        np.array([datetime.datetime(2020, 1, 1)] * N),
        np.array([np.datetime64("2020")] * N, dtype=object),
        np.array([pd.Timedelta("1h")] * N, dtype=object),
    ],
    ids=["datetime64", "timedelta64", "datetime", "scalars", "Timedelta"],
)
def test_dates_in_an_array_are_refused(y, values, column):
    with pytest.raises(ValueError, match="'t' is not numeric"):
        quick().fit({"t": column.reshape(-1, 1), "m": values}, y)


def test_cells_that_hold_arrays_are_refused_by_column(y, values):
    table = pd.DataFrame({"x": values[:, 0], "embedding": list(values)})
    with pytest.raises(ValueError, match=r"cell of its column 'embedding'.*np.stack"):
        quick().fit({"t": table, "m": values}, y)


# What float32 merges

MERGED = {
    "unix times": 1.7e9 + np.arange(N),
    "unix times beside a zero": np.r_[0, 1.7e9 + np.arange(N - 1)],
    "large integers": 2**24 + np.arange(N),
    "int64 ids": 2**53 + np.arange(N, dtype=np.int64),
    "an offset": 1e6 + np.linspace(0, 1e-3, N),
}


@pytest.mark.parametrize("column", MERGED.values(), ids=MERGED)
def test_values_that_float32_merges_warn_at_fit(y, column):
    X = {"t": np.column_stack([np.arange(N), column])}
    with pytest.warns(
        UserWarning, match=r"'t': different values of column 1 become one in float32"
    ):
        clf = quick().fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*become one")
        clf.predict(X)
        quick(dtype="float64").fit(X, y)


def test_the_warning_names_the_column_of_a_table(y, values):
    table = pd.DataFrame({"x": values[:, 0], "when": MERGED["unix times"]})
    with pytest.warns(UserWarning, match=r"column 'when' become one in float32 \(16 values"):
        quick().fit({"t": table}, y)


@pytest.mark.parametrize(
    "column",
    [
        np.random.default_rng(0).normal(size=3000),
        np.random.default_rng(0).integers(0, 10**6, 3000),
        np.full(3000, 1.7e9),
        np.full(3000, np.pi),
        1e30 * np.random.default_rng(0).normal(size=3000),
        np.arange(3000, dtype=np.int8),
    ],
    ids=["normal", "integers", "constant", "pi", "large", "int8"],
)
def test_ordinary_numbers_do_not_warn(column):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*become one")
        quick(batch_size=-1).fit({"t": column.reshape(-1, 1)}, np.arange(3000) % 2)


def test_rows_that_are_missing_do_not_count_as_merged(y):
    column = 1.0 * np.arange(N)
    table = np.ma.masked_array(
        column.reshape(-1, 1).copy(), mask=(np.arange(N) % 4 == 3).reshape(-1, 1)
    )
    table.data[table.mask[:, 0]] = 1e300
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*become one")
        quick(missing="allow").fit({"t": table, "u": column.reshape(-1, 1)}, y)


# One sample


def test_one_sample_without_its_axis_is_told_how_to_reshape(values, y):
    clf = quick().fit({"a": values, "b": values[:, :2]}, y)
    with pytest.raises(ValueError, match=r"reshape\(1, -1\)"):
        clf.predict({"a": values[0], "b": values[0, :2]})
    same = quick().fit({"a": values, "b": values}, y)
    with pytest.raises(ValueError, match=r"reshape\(1, -1\)"):
        same.predict({"a": values[0], "b": values[0]})
    with pytest.raises(ValueError, match=r"reshape\(1, -1\)"):
        quick().fit(values, y).predict(values[0])


# One axis where two are needed

ONE_AXIS = {
    "pandas": (lambda v: pd.DataFrame(v, columns=NAMES)["a"], "df[['a']]", "df.iloc[[0]]"),
    "nullable": (lambda v: pd.Series(v[:, 0], dtype="Float64"), "df[['a']]", "df.iloc[[0]]"),
    "polars": (lambda v: pl.Series("a", v[:, 0]), "df[['a']]", "df[[0]]"),
    "array": (lambda v: v[:, 0], " array.reshape(-1, 1)", " array.reshape(1, -1)"),
    "tensor": (lambda v: torch.tensor(v[:, 0]), " array.reshape(-1, 1)", " array.reshape(1, -1)"),
    "list": (
        lambda v: v[:, 0].tolist(),
        "np.asarray(x).reshape(-1, 1)",
        "np.asarray(x).reshape(1, -1)",
    ),
}


@pytest.mark.parametrize("make, feature, sample", ONE_AXIS.values(), ids=ONE_AXIS)
def test_one_axis_is_told_what_the_value_can_do(values, y, make, feature, sample):
    column = make(values)
    X = ModalityDict({"m": column, "other": values})
    for use in (
        lambda: quick().fit({"m": column, "other": values}, y),
        lambda: quick(missing="allow").fit({"m": column, "other": values}, y),
        lambda: quick().fit(X[np.arange(N)], y),  # selected rows
        lambda: quick().fit(ModalityDict(X), y),
        lambda: quick().fit({"m": values[:, [0]], "other": values}, y).predict(X),
        lambda: quick().fit(column, y),
        lambda: quick().fit(values, y).predict(column),
    ):
        with pytest.raises(ValueError) as info:
            use()
        assert feature in str(info.value) and sample in str(info.value)
        assert ("array.reshape" in str(info.value)) == (feature == " array.reshape(-1, 1)")


def test_what_a_series_is_told_works(values, y):
    df = pd.DataFrame(values, columns=NAMES)
    clf = quick().fit({"m": df[["a"]], "other": values}, y)
    assert len(clf.predict({"m": df["a"].to_frame(), "other": values})) == N
    assert len(quick().fit(df, y).predict(df.iloc[[0]])) == 1
    frame = pl.DataFrame(values, schema=NAMES)
    assert len(quick().fit(frame, y).predict(frame[[0]])) == 1
    quick().fit({"m": frame[["a"]], "other": values}, y)


def test_one_row_of_each_table_is_told_to_stay_a_table(values, y):
    a, b = pd.DataFrame(values, columns=NAMES), pd.DataFrame(values[:, :2], columns=["u", "v"])
    clf = quick().fit({"a": a, "b": b}, y)
    for first in (a.iloc[0], a.iloc[0].to_numpy()):  # labels of columns, or other lengths
        with pytest.raises(ValueError, match=r"give a table, df.iloc\[\[0\]\] if it is a single"):
            clf.predict({"a": first, "b": b.iloc[0]})
    assert len(clf.predict({"a": a.iloc[[0]], "b": b.iloc[[0]]})) == 1


# Structured arrays

STRUCTURED = {
    "array": lambda s: s,
    "record array": lambda s: s.view(np.recarray),
    "masked": np.ma.array,
    "column": lambda s: s.reshape(-1, 1),
    "list of records": list,
    "samples": lambda s: [s] * (N - 1) + [s[:3]],
}


@pytest.mark.parametrize("form", STRUCTURED.values(), ids=STRUCTURED)
def test_structured_arrays_are_refused_with_the_way_to_a_table(values, y, form):
    given = form(structured_of(values))
    for use in (
        lambda: ModalityDict({"m": given}),
        lambda: quick().fit({"m": given, "other": values}, y),
        lambda: quick().fit({"m": {"part": given}}, y),
        lambda: quick().fit(given, y),
        lambda: quick().fit(values, y).predict(given),
        lambda: ColumnsToModalities({"m": ["a"]}).fit(given),
    ):
        with pytest.raises(TypeError, match=r"structured array with the fields 'a', 'b', 'c'") as e:
            use()
        assert "pd.DataFrame(" in str(e.value) and "structured_to_unstructured(" in str(e.value)


def test_what_a_structured_array_is_told_works(values, y):
    structured = structured_of(values)
    expected = quick().fit({"m": values}, y).predict_proba({"m": values})
    array = structured_to_unstructured(structured)
    for X in (pd.DataFrame(structured), array, pd.DataFrame(structured.reshape(-1, 1).ravel())):
        assert_array_equal(quick().fit({"m": X}, y).predict_proba({"m": X}), expected)
    assert_array_equal(structured_to_unstructured(np.asarray(list(structured))), values)


def structured_of(values):
    return np.array([tuple(row) for row in values], dtype=[(name, float) for name in NAMES])
