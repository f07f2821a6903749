"""Held-out data from elsewhere: skorch's predefined_split, in all forms."""

import numpy as np
import pandas as pd
import pytest
import regression
import torch
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import ConcatDataset, Subset, TensorDataset, random_split
from training_runs import equal, make, weights

from inforeg_sk import ModalityDict


@pytest.fixture
def parts(trimodal):
    X, y = trimodal
    X = ModalityDict(X)
    return X[:60], y[:60], X[60:], y[60:]


def of_another_estimator(X, y):
    """A dataset of an estimator with other classes, whose encoded labels differ."""
    other = make(max_epochs=1).fit(ModalityDict(X), np.where(y == "joy", "joy", "zzz"))
    other.target_ = type(other.target_)(np.unique([*y, "aaa"]))
    return other.get_dataset(X, y)


FORMS = {
    "tuple": lambda X, y: (X, y),
    "tuple of a dict": lambda X, y: (dict(X.items()), y.tolist()),
    "skorch dataset of a dict": lambda X, y: Dataset(dict(X.items()), y),
    "skorch dataset of a ModalityDict": lambda X, y: Dataset(X, y),
    "part of a skorch dataset": lambda X, y: Subset(
        Dataset(dict(X[[*range(30), 0, 1]].items()), np.r_[y, y[:2]]), range(30)
    ),
    "dataset of another estimator": of_another_estimator,
    "frames": lambda X, y: Dataset(
        ModalityDict({**X, "text": pd.DataFrame(X["text"])}), pd.Series(y)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_held_out_data_in_all_forms(parts, form):
    X, y, X_valid, y_valid = parts
    if form == "frames":
        X = ModalityDict({**X, "text": pd.DataFrame(X["text"])})
        X_valid = ModalityDict({**X_valid, "text": pd.DataFrame(X_valid["text"])})
    clf = make(train_split=predefined_split(FORMS[form](X_valid, y_valid))).fit(X, y)
    assert clf.history[-1, "valid_acc"] == pytest.approx(clf.score(X_valid, y_valid))
    proba = clf.predict_proba(X_valid)
    loss = -np.log(proba[np.arange(30), np.searchsorted(clf.classes_, y_valid)]).mean()
    assert clf.history[-1, "valid_loss"] == pytest.approx(loss, rel=1e-5)
    # All of X trains.
    assert equal(weights(clf), weights(make().fit(X, y)))


def test_held_out_rows_of_a_table(parts):
    X, y, X_valid, y_valid = parts
    table, held_out = X["text"], X_valid["text"]
    for valid in (
        Dataset(held_out, y_valid),
        TensorDataset(torch.tensor(held_out), torch.tensor(np.searchsorted(np.unique(y), y_valid))),
    ):
        labels = y if isinstance(valid, Dataset) else np.searchsorted(np.unique(y), y)
        clf = make(train_split=predefined_split(valid)).fit(table, labels)
        truth = y_valid if isinstance(valid, Dataset) else valid.tensors[1].numpy()
        assert clf.history[-1, "valid_acc"] == pytest.approx(clf.score(held_out, truth))


def test_a_regressors_held_out_target_is_in_its_units():
    X, y = regression.make_data()
    X = ModalityDict(X)
    reg = regression.make(train_split=predefined_split((X[60:], y[60:]))).fit(X[:60], y[:60])
    error = (reg.predict(X[60:]) - y[60:]) / reg.target_scale_
    assert reg.history[-1, "valid_loss"] == pytest.approx((error**2).mean(), rel=1e-4)


def test_class_weights_of_the_fit_count_in_held_out_data(parts):
    X, y, X_valid, y_valid = parts
    X, y = X[np.r_[0:60, 0:9]], y[np.r_[0:60, 0:9]]
    labels, counts = np.unique(y, return_counts=True)
    by_class = dict(zip(labels.tolist(), len(y) / (3 * counts), strict=True))
    first, second = (
        make(train_split=predefined_split((X_valid, y_valid)), class_weight=w).fit(X, y)
        for w in ("balanced", by_class)
    )
    assert first.history[:, "valid_loss"] == second.history[:, "valid_loss"]


def test_parts_of_the_data_by_any_split(trimodal):
    X, y = trimodal
    order = np.random.default_rng(0).permutation(90)

    def drawn(dataset, y=None, **kwargs):
        return random_split(dataset, [60, 30], torch.Generator().manual_seed(0))

    def nested(dataset, y=None, **kwargs):
        half = Subset(dataset, order[:60])
        return Subset(half, range(10, 60)), Subset(half, range(10))

    for split in (drawn, nested, ValidSplit(3)):
        clf = make(train_split=split, max_epochs=1).fit(X, y)
        assert np.isfinite(clf.history[-1, "valid_loss"])
    clf = make(train_split=nested).fit(X, y)
    rows = order[:10]
    assert clf.history[-1, "valid_acc"] == clf.score(ModalityDict(X)[rows], y[rows])


@pytest.mark.parametrize(
    "valid, words",
    [
        (lambda X, y: dict(X.items()), "they have no y"),
        (lambda X, y: Dataset(dict(X.items())), "they have no y"),
        (lambda X, y: X["text"], "Got ndarray"),
        (lambda X, y: ConcatDataset([Dataset(X, y)] * 2), "Got ConcatDataset"),
        (lambda X, y: ({"text": X["text"]}, y), "misses 'audio', 'video'"),
        (lambda X, y: (X, y[:5]), "5 labels"),
        (lambda X, y: (X, np.full(30, "rage")), "'rage', which is not among the classes"),
        (lambda X, y: ({**X, "text": X["text"][:, :3]}, y), "samples of shape"),
    ],
)
def test_held_out_data_that_do_not_fit_are_refused_by_name(parts, valid, words):
    X, y, X_valid, y_valid = parts
    with pytest.raises((TypeError, ValueError), match=rf"train_split gives .*{words}"):
        make(train_split=predefined_split(valid(X_valid, y_valid))).fit(X, y)


def test_a_dataset_keeps_what_it_was_made_of(trimodal):
    X, y = trimodal
    clf = make().fit(X, y)
    dataset = clf.get_dataset(X, y)
    assert dataset.X == ModalityDict(X) and np.array_equal(dataset.y, y)
    assert np.array_equal(clf.predict(dataset), clf.predict(X))
    assert np.array_equal(clf.predict_proba(Dataset(X, y)), clf.predict_proba(X))
    assert clf.score(dataset, dataset.y) == clf.score(X, y)
    assert clf.score_by_modality(dataset, None) == clf.score_by_modality(X, y)
    reg = regression.make(max_epochs=1).fit(*regression.make_data())
    X, y = regression.make_data()
    assert np.array_equal(reg.predict(reg.get_dataset(X)), reg.predict(X))
    by_modality = reg.predict_by_modality(reg.get_dataset(X, y))
    assert all(np.array_equal(v, reg.predict_by_modality(X)[m]) for m, v in by_modality.items())
    with pytest.raises(TypeError, match="Got ConcatDataset"):
        reg.predict(ConcatDataset([Dataset(X, y)]))
