"""ModalityTransformer compares the labels of columns and rows, whatever it does with the values."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityTransformer, MultimodalClassifier

N = 12
NAMES = ["age", "hb", "crp"]


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    lab = pd.DataFrame(rng.normal(size=(N, 3)), columns=NAMES)
    return {"lab": lab, "scan": rng.normal(size=(N, 2))}


@pytest.mark.parametrize("missing", ["pass", "allow"])
@pytest.mark.parametrize("step", [StandardScaler(), "passthrough"], ids=["scaler", "passthrough"])
def test_another_order_of_columns_is_refused(X, step, missing):
    made = ModalityTransformer({"lab": step}, missing=missing).fit(X)
    made.transform(X)
    with pytest.raises(ValueError, match=r"'lab': the feature names(.|\n)*the same order"):
        made.transform({**X, "lab": X["lab"][NAMES[::-1]]})


def test_a_pipeline_refuses_it_before_the_estimator(X):
    y = np.arange(N) % 2
    pipe = make_pipeline(
        ModalityTransformer(StandardScaler()), MultimodalClassifier(max_epochs=1, random_state=0)
    ).fit(X, y)
    with pytest.raises(ValueError, match="'lab': the feature names"):
        pipe.predict({**X, "lab": X["lab"][NAMES[::-1]]})


def test_an_array_after_a_table_warns(X):
    made = ModalityTransformer({"lab": "passthrough"}).fit(X)
    with pytest.warns(UserWarning, match="'lab': X does not have valid feature names"):
        made.transform({**X, "lab": X["lab"].to_numpy()})


def test_texts_as_a_list_after_a_table_do_not_warn():
    table = pd.DataFrame({"review": ["good day", "bad night"] * 3})
    made = ModalityTransformer({"text": CountVectorizer()}).fit({"text": table})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        listed = made.transform({"text": ["bad night"]})["text"]
    assert (listed != made.transform({"text": table.iloc[[1]]})["text"]).nnz == 0


def test_rows_of_y_are_compared(X):
    lab = X["lab"].set_index(pd.Index(range(100, 100 + N)))
    y = pd.Series(np.arange(N) % 2, index=lab.index[::-1])
    with pytest.raises(ValueError, match="'lab' and y have the same labels in another order"):
        ModalityTransformer(StandardScaler()).fit({"lab": lab}, y)
