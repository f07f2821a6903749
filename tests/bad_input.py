"""What tests of bad input share: good data, one bad input of a fit, what must not change."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.utils import to_numpy
from torch import nn

from inforeg_sk import MultimodalInfoRegClassifier

N = 24
Y = np.arange(N) % 3
SETTINGS = {"max_epochs": 2, "random_state": 0}


def make_data():
    rng = np.random.default_rng(0)
    return {
        "text": rng.normal(size=(N, 6)),
        "audio": rng.normal(size=(N, 5, 4)),
        "video": rng.normal(size=(N, 3)),
    }


def make_table():
    return np.random.default_rng(1).normal(size=(N, 6))


def replaced(**values):
    """A change of the data: other values for some modalities."""
    return lambda X: {**X, **values}


def with_value(value, row, dtype=np.float64):
    array = np.ones((N, 2), dtype=dtype)
    array[row, 1] = value
    return replaced(video=array)


class Case(NamedTuple):
    """One bad input of ``fit``."""

    name: str
    error: type
    words: tuple
    params: dict = {}
    X: Any = None  # a function of the good data
    y: Any = "good"
    fit: dict = {}
    table: bool = False  # the good data are a 2-D array


class Broken(nn.Module):
    """An encoder that fails, or gives what is no feature vector."""

    def __init__(self, input_shape, function=None):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.function(x)


def inputs(case):
    good = make_table() if case.table else make_data()
    X = good if case.X is None else case.X(good)
    return X, Y if isinstance(case.y, str) else case.y


def check_message(case, info):
    for word in case.words:
        assert word in str(info.value), str(info.value)


def refuse_first_fit(case):
    clf = MultimodalInfoRegClassifier(**{**SETTINGS, **case.params})
    before = dict(vars(clf))
    X, y = inputs(case)
    with pytest.raises(case.error) as info:
        clf.fit(X, y, **case.fit)
    check_message(case, info)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())
    with pytest.raises(NotFittedError):
        clf.predict(make_data())


class Snapshot:
    """What must not change when a fit is refused."""

    def __init__(self, clf, X):
        self.X = X
        self.state = self.look(clf)
        self.objects = {
            name: getattr(clf, name) for name in ("module_", "optimizer_", "method_", "history_")
        }

    def look(self, clf):
        return {
            "proba": clf.predict_proba(self.X).tolist(),
            "weights": [to_numpy(v).tolist() for v in clf.module_.state_dict().values()],
            "optimizer": [
                {name: to_numpy(value).tolist() for name, value in state.items()}
                for state in clf.optimizer_.state.values()
            ],
            "groups": [
                {**group, "params": list(map(id, group["params"]))}
                for group in clf.optimizer_.param_groups
            ],
            "history": clf.history.to_list(),
            "attributes": {name for name in vars(clf) if "__" not in name},
            "n_features_in_": getattr(clf, "n_features_in_", None),
            "classes": clf.classes_.tolist(),
            "modalities": clf.modalities_,
            "shuffling": clf._run.generators.shuffling.get_state().tolist(),
        }

    def assert_unchanged(self, clf):
        for name, value in self.look(clf).items():
            assert value == self.state[name], f"{name} has changed"
        for name, value in self.objects.items():
            assert getattr(clf, name) is value, f"{name} was replaced"
