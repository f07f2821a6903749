"""What the defaults promise, on data that everybody has: no worse than logistic regression."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    InfoReg,
    ModalityDict,
    ModalityTransformer,
    MultimodalInfoRegClassifier,
    presets,
)
from inforeg_sk.datasets import load_av_digits


def untuned():
    return make_pipeline(
        ModalityTransformer(StandardScaler()), MultimodalInfoRegClassifier(random_state=0)
    )


def beside():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def concatenated(X):
    return np.hstack([value.reshape(len(value), -1) for value in X.values()])


def test_method_and_estimator_have_the_same_defaults():
    method = InfoReg().get_params()
    flat = MultimodalInfoRegClassifier().get_params()
    names = presets.method_settings(presets.PAPER)
    assert {name: flat[name] for name in names} == {name: method[name] for name in names}


@pytest.mark.slow
def test_av_digits():
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    X, y = digits.data, digits.target
    Z = concatenated(X)
    score = untuned().fit(X[train], y[train]).score(X[test], y[test])
    assert score >= beside().fit(Z[train], y[train]).score(Z[test], y[test]) - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("load, at", [(load_breast_cancer, 10), (load_wine, 6)])
def test_tables(load, at):
    Z, y = load(return_X_y=True)
    X = ModalityDict({"first": Z[:, :at], "second": Z[:, at:]})
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    ours = cross_val_score(untuned(), X, y, cv=folds).mean()
    # A fold more or less of a few samples is no difference; tables this small are noisy.
    assert ours >= cross_val_score(beside(), Z, y, cv=folds).mean() - 0.015
