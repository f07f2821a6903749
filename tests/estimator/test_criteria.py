"""A criterion that gives one number for a batch, whatever its reduction."""

import pickle

import numpy as np
import pytest
from bad_input import SETTINGS, Case, N, Snapshot, Y, make_data, refuse_first_fit, replaced
from torch import nn

from inforeg_sk import MultimodalInfoRegClassifier


class Focal(nn.CrossEntropyLoss):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, input, target):
        p = input.softmax(dim=1).gather(1, target[:, None])[:, 0]
        return (-((1 - p) ** self.gamma) * p.log()).mean()


@pytest.mark.parametrize("params", [{"criterion": Focal}, {"criterion": Focal(2.0)}])
@pytest.mark.parametrize("missing", ["error", "allow"])
def test_a_criterion_of_whole_batches_is_enough_for_whole_data(params, missing):
    X = make_data()
    clf = MultimodalInfoRegClassifier(
        lr=0.0, batch_size=-1, dtype="float64", missing=missing, **SETTINGS, **params
    ).fit(X, Y)
    losses = []
    for proba in (clf.predict_proba(X), *clf.predict_proba_by_modality(X).values()):
        p = proba[np.arange(N), Y]
        losses.append(np.mean(-((1 - p) ** 2) * np.log(p)))
    assert clf.history[0, "train_loss"] == pytest.approx(losses[0], rel=1e-10)
    assert clf.history[0, "train_objective"] == pytest.approx(sum(losses), rel=1e-10)
    steeper = clf.set_params(criterion=Focal, criterion__gamma=3.0).fit(X, Y)
    assert steeper.history[0, "train_loss"] < losses[0]


@pytest.mark.parametrize("how", ["first fit", "fit", "partial_fit"])
@pytest.mark.parametrize("given", [Focal, Focal()], ids=["class", "instance"])
@pytest.mark.parametrize(
    "params, X, fit",
    [
        ({}, {}, {"sample_weight": np.ones(N)}),
        ({"class_weight": {0: 2.0}}, {}, {}),
        (
            {"missing": "allow"},
            {"video": np.where(np.arange(N) == 3, np.nan, np.ones((3, N))).T},
            {},
        ),
        ({"modality_dropout": 0.5}, {}, {}),
        ({"modality_dropout": {"text": 0.1}}, {}, {}),
        ({"method__score": "negative_loss"}, {}, {}),
    ],
    ids=["sample_weight", "class_weight", "missing", "dropout", "dropout of one", "score"],
)
def test_a_criterion_of_whole_batches_cannot_tell_samples_apart(
    params, X, fit, given, how, fitted, no_training
):
    no_training()
    params = {"criterion": given, **params}
    if how == "first fit":
        case = Case("", TypeError, ("criterion=Focal", "reduction='none'"), params, fit=fit)
        return refuse_first_fit(case._replace(X=replaced(**X)))
    clf = pickle.loads(fitted[False])
    snapshot = Snapshot(clf, make_data())
    old = {name: clf.get_params(deep=False).get(name, "auto") for name in params}
    clf.set_params(**params)
    with pytest.raises(TypeError, match=r"criterion=Focal .*reduction='none'"):
        getattr(clf, how)({**make_data(), **X}, Y, **fit)
    clf.set_params(**old)
    snapshot.assert_unchanged(clf)
