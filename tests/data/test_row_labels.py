"""Rows belong together by position; labels that say otherwise are an error."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, train_test_split

from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegRegressor

N = 24
IDS = [f"id{i}" for i in range(N)]


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"lab": rng.normal(size=(N, 4)), "scan": rng.normal(size=(N, 3))}


@pytest.fixture
def y():
    return np.arange(N) % 2


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
