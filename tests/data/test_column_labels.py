"""A modality that is a table has named columns: in fit, and the same ones ever after."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_score

from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegRegressor
from inforeg_sk.data.tables import column_labels

N = 24
NAMES = list("abcd")


def frame(values, names=NAMES):
    return pd.DataFrame(values, columns=names)


def pandas_frame(values, names):
    return pd.DataFrame(values, columns=names)


def polars_frame(values, names):
    return pl.DataFrame(values, schema=names)


def quick(**params):
    return MultimodalClassifier(max_epochs=1, random_state=0, **params)


USES = {
    "predict": lambda clf, X, y: clf.predict(X),
    "predict_proba": lambda clf, X, y: clf.predict_proba(X),
    "score": lambda clf, X, y: clf.score(X, y),
    "score_by_modality": lambda clf, X, y: clf.score_by_modality(X, y),
    "transform_by_modality": lambda clf, X, y: clf.transform_by_modality(X),
    "partial_fit": lambda clf, X, y: clf.partial_fit(X, y),
    "warm start": lambda clf, X, y: clf.set_params(warm_start=True).fit(X, y),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("make", [pandas_frame, polars_frame])
def test_another_order_of_columns_is_refused_by_every_use(arrays, y, make, use):
    clf = quick().fit({**arrays, "lab": make(arrays["lab"], NAMES)}, y)
    other = {**arrays, "lab": make(arrays["lab"][:, ::-1], NAMES[::-1])}
    with pytest.raises(ValueError, match=r"'lab'(.|\n)*feature names(.|\n)*in the same order"):
        use(clf, other, y)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_the_same_columns_pass_without_a_warning(arrays, y, use):
    X = {**arrays, "lab": frame(arrays["lab"])}
    clf = quick().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use(clf, X, y)


def test_the_message_names_new_and_missing_columns(arrays, y):
    clf = quick().fit({**arrays, "lab": frame(arrays["lab"])}, y)
    with pytest.raises(ValueError) as info:
        clf.predict({**arrays, "lab": frame(arrays["lab"], ["price", "b", "c", "d"])})
    assert "unseen at fit time:\n- price" in str(info.value)
    assert "now missing:\n- a" in str(info.value)


def test_a_regressor_compares_columns_too(arrays):
    reg = MultimodalInfoRegRegressor(max_epochs=1).fit(
        {**arrays, "lab": frame(arrays["lab"])}, arrays["lab"][:, 0]
    )
    with pytest.raises(ValueError, match="feature names"):
        reg.predict({**arrays, "lab": frame(arrays["lab"], NAMES[::-1])})


@pytest.mark.parametrize(
    "fitted, given, words",
    [
        (frame, np.asarray, "X does not have valid feature names"),
        (np.asarray, frame, "X has feature names"),
        (frame, pd.DataFrame, "X does not have valid feature names"),
    ],
    ids=["array after table", "table after array", "table without names"],
)
def test_names_on_one_side_only_warn(arrays, y, fitted, given, words):
    clf = quick().fit({**arrays, "lab": fitted(arrays["lab"])}, y)
    with pytest.warns(UserWarning, match=f"'lab': {words}"):
        clf.predict({**arrays, "lab": given(arrays["lab"])})


def test_numbered_columns_in_another_order_are_refused(arrays, y):
    table = pd.DataFrame(arrays["lab"])
    clf = quick().fit({**arrays, "lab": table}, y)
    with pytest.raises(ValueError, match="in the same order"):
        clf.predict({**arrays, "lab": table[[1, 0, 2, 3]]})


def test_columns_of_several_levels_are_compared(arrays, y):
    names = pd.MultiIndex.from_product([["left", "right"], ["x", "y"]])
    table = pd.DataFrame(arrays["lab"], columns=names)
    clf = quick().fit({**arrays, "lab": table}, y)
    clf.predict({**arrays, "lab": table})
    with pytest.raises(ValueError, match="in the same order"):
        clf.predict({**arrays, "lab": table[["right", "left"]]})


def test_columns_of_a_part_of_a_modality_are_compared(y):
    ids = pd.DataFrame(np.arange(N * 2).reshape(N, 2) % 5, columns=["first", "second"])
    given = ModalityDict({"text": {"ids": ids}, "scan": np.ones((N, 2))})
    assert given.column_labels == {"text[ids]": ("first", "second"), "scan": None}


def test_lists_of_tables_have_names(arrays, y):
    steps = [frame(row.reshape(1, 4)) for row in arrays["lab"]]
    clf = quick().fit({"lab": steps, "scan": arrays["scan"]}, y)
    turned = [table[NAMES[::-1]] for table in steps]
    with pytest.raises(ValueError, match="in the same order"):
        clf.predict({"lab": turned, "scan": arrays["scan"]})


def test_tables_of_one_list_need_the_same_columns(arrays, y):
    steps = [frame(row.reshape(1, 4)) for row in arrays["lab"]]
    steps[5] = steps[5][NAMES[::-1]]
    with pytest.raises(ValueError, match=r"'lab'.*sample 5.*'d', 'c'.*sample 0.*'a', 'b'"):
        ModalityDict({"lab": steps})


@pytest.mark.parametrize("values", ["table", "list of tables"])
def test_the_container_keeps_names_when_it_is_cut_copied_or_pickled(arrays, values):
    given = frame(arrays["lab"])
    if values == "list of tables":
        given = [given.iloc[[i]] for i in range(N)]
    X = ModalityDict({"lab": given, "scan": arrays["scan"]})
    for other in (X[:5], X[[3, 1]], X[np.arange(N) > 3], ModalityDict(X)):
        assert other.column_labels == {"lab": tuple(NAMES), "scan": None}
    assert pickle.loads(pickle.dumps(X[:5])).column_labels["lab"] == tuple(NAMES)


def test_cross_validation_of_tables_raises_no_warning(arrays, y):
    X = ModalityDict({**arrays, "lab": frame(arrays["lab"])})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_val_score(quick(), X, y, cv=2, error_score="raise")


def test_names_survive_pickle_of_the_estimator(arrays, y):
    clf = quick().fit({**arrays, "lab": frame(arrays["lab"])}, y)
    clf = pickle.loads(pickle.dumps(clf))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict({**arrays, "lab": frame(arrays["lab"], NAMES[::-1])})


def test_a_new_fit_forgets_the_old_names(arrays, y):
    clf = quick().fit({**arrays, "lab": frame(arrays["lab"])}, y)
    clf.fit({**arrays, "lab": frame(arrays["lab"], NAMES[::-1])}, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.predict({**arrays, "lab": frame(arrays["lab"], NAMES[::-1])})


def test_labels_nobody_gave_are_none():
    assert column_labels(pd.DataFrame(np.ones((2, 3)))) is None
    assert column_labels(pd.DataFrame(np.ones((2, 2)), columns=[1, 0])) == (1, 0)
