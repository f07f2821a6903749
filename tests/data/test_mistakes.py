"""What X and y show together: the target inside X, the two swapped, a list of modalities."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from inforeg_sk import MultimodalClassifier, MultimodalRegressor, diagnose

N = 48
RNG = np.random.default_rng(0)
Y = np.arange(N) % 3
NUMBERS = RNG.normal(size=N)
X = {"a": RNG.normal(size=(N, 3)), "b": RNG.normal(size=(N, 2))}
NAMES = np.array(["no", "may be", "yes"])
# The same partition of the samples as Y, in other numbers.
RENAMED = np.array([2.5, -1.0, 7.0])[Y]
EQUALS = "'y' equals the target, which would give the answer away: take it out of X"


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch):
    """Ends a diagnosis behind its checks of the data."""

    def refused(*args, **kwargs):
        raise AssertionError("measured")

    monkeypatch.setattr("inforeg_sk.inspection._measure.Measuring.networks", refused)


def quick(kind=MultimodalClassifier, **params):
    return kind(max_epochs=1, encoders__hidden=4, **params)


FLAT = [Y, Y.tolist(), RENAMED, NAMES[Y], pd.Series(NAMES[Y]), NAMES[Y].astype(object)]


@pytest.mark.parametrize("values", FLAT)
def test_a_target_of_one_axis_in_x_is_refused_without_advice_to_reshape_it(values):
    for ask in (quick().fit, lambda *data: diagnose(quick(), *data)):
        with pytest.raises(ValueError, match=EQUALS) as error:
            ask({**X, "y": values}, Y)
        assert "reshape" not in str(error.value).lower()


@pytest.mark.parametrize("values", [Y, RENAMED, sparse.csr_matrix(RENAMED[:, None])])
def test_a_modality_of_one_column_that_equals_the_target_warns_in_fit(values):
    values = values if sparse.issparse(values) else values[:, None]
    with pytest.warns(UserWarning, match=EQUALS):
        quick().fit({**X, "y": values}, NAMES[Y])
    with pytest.raises(ValueError, match=EQUALS):
        diagnose(quick(), {**X, "y": values}, NAMES[Y])


COLUMNS = {
    "column": (np.column_stack([X["a"], RENAMED]), "at column 3,"),
    "named": (pd.DataFrame({"p": X["a"][:, 0], "label": NAMES[Y]}), "at the column 'label',"),
    "step": (np.stack([X["a"], np.c_[X["a"][:, :2], RENAMED]], axis=1), r"the index \(1, 2\)"),
    "sparse": (sparse.csr_matrix(np.column_stack([X["a"], Y])), "at column 3,"),
    "one-hot": (np.eye(3)[Y], "'y' equals the target"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_diagnose_refuses_a_column_that_equals_the_target(name):
    values, where = COLUMNS[name]
    with pytest.raises(ValueError, match=f"{where}.*take it out"):
        diagnose(quick(), {**X, "y": values}, Y)


def test_numbers_are_compared_by_value_in_the_type_of_the_modality():
    for values in (NUMBERS[:, None], NUMBERS[:, None].astype(np.float32)):
        with pytest.warns(UserWarning, match=EQUALS):
            quick(MultimodalRegressor).fit({**X, "y": values}, NUMBERS)
    two = np.column_stack([X["a"][:, 0], NUMBERS])
    with pytest.raises(ValueError, match="'c', at column 1, equals the target"):
        diagnose(
            quick(MultimodalRegressor), {**X, "c": two}, np.column_stack([NUMBERS**2, NUMBERS])
        )


def almost(values):
    changed = values.copy()
    changed[N // 2 + 1] = values[N // 2]
    return changed


@pytest.mark.parametrize(
    "values",
    [
        almost(RENAMED),  # one sample is of another class
        (Y > 0).astype(float),  # coarser than the classes
        np.arange(N),  # finer
        np.zeros(N),
    ],
)
def test_another_partition_of_the_samples_is_no_target(values, recwarn):
    quick().fit({**X, "y": values[:, None]}, Y)
    with pytest.raises(AssertionError, match="measured"):  # every check is passed
        diagnose(quick(), {**X, "y": np.column_stack([values, X["a"]])}, Y)
    assert not [w for w in recwarn if "equals the target" in str(w.message)]


def test_columns_that_the_estimator_leaves_out_of_a_table_may_hold_the_target():
    table = pd.DataFrame(np.c_[X["a"], Y], columns=["p", "q", "r", "y"])
    columns = {"a": ["p", "q"], "b": ["r"]}
    with pytest.raises(AssertionError, match="measured"):
        diagnose(quick(modalities=columns), table, Y)
    with pytest.raises(ValueError, match="'b', at the column 'y', equals the target"):
        diagnose(quick(modalities={**columns, "b": ["r", "y"]}), table, Y)


@pytest.mark.parametrize("ask", [quick().fit, lambda *data: diagnose(quick(), *data)])
def test_x_and_y_in_the_place_of_each_other_are_named(ask):
    with pytest.raises(TypeError, match=r"X and y look swapped.*y is a mapping"):
        ask(Y, X)
    for labels, table in ((Y, X["a"]), (Y.tolist(), X["a"]), (pd.Series(Y), pd.DataFrame(X["a"]))):
        with pytest.raises(TypeError, match=r"look swapped.*y is a table of shape \(48, 3\)"):
            ask(labels, table)


@pytest.mark.parametrize("ask", [quick().fit, lambda *data: diagnose(quick(), *data)])
def test_a_list_of_modalities_needs_names(ask):
    for given in ([X["a"], X["b"]], (X["a"], X["a"]), [X["a"].tolist(), X["b"].tolist()]):
        with pytest.raises(TypeError, match=r"of 2 arrays.*\{name: array\}.*'name_0': X\[0\]"):
            ask(given, Y)


@pytest.mark.parametrize(
    "name, values",
    [("speaker_id", np.arange(N) // 4), ("who", (np.arange(N) // 4).astype(str))],
)
def test_groups_in_x_are_not_to_be_reshaped(name, values):
    for ask in (quick().fit, lambda *data: diagnose(quick(), *data)):
        with pytest.raises(ValueError, match="pass it as groups=, or drop it") as error:
            ask({**X, name: values}, Y)
        assert "Reshape" not in str(error.value)
