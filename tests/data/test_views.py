"""Predictions of many samples: larger batches that share memory with the data."""

import numpy as np
import pytest
import torch
from block_kinds import KINDS, assert_same, dataset_of

from inforeg_sk import MultimodalClassifier
from inforeg_sk.data.batches import JoinedBatchSampler, ModalitySubset, collate_whole_batch
from inforeg_sk.data.blocks import BlockLoader

rng = np.random.default_rng(0)
X = {"a": rng.normal(size=(500, 4)).astype("f4"), "b": rng.normal(size=(500, 2, 3)).astype("f4")}
Y = np.arange(500) % 3


def loader_of(dataset):
    return BlockLoader(
        dataset,
        batch_sampler=JoinedBatchSampler(len(dataset), 7),
        collate_fn=collate_whole_batch,
        generator=torch.Generator(),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [True, False])
def test_views_are_the_batches_that_are_gathered(kind, weighted):
    for dataset in (dataset_of(kind, weighted), ModalitySubset(dataset_of(kind), np.arange(9))):
        loader = loader_of(dataset)
        views, gathered = (list(loader.in_batches_of(20, as_views=v)) for v in (True, False))
        assert len(views) == len(gathered)
        for ours, theirs in zip(views, gathered, strict=True):
            assert_same(ours, theirs)


def test_views_share_memory_where_they_can():
    dataset = dataset_of("complete")
    (inputs, _), *_ = loader_of(dataset).in_batches_of(100, as_views=True)
    assert dataset.has_views and inputs["a"].data_ptr() == dataset.arrays["a"].ctypes.data
    assert not dataset_of("incomplete").has_views and not dataset_of("sparse").has_views
    dataset.arrays["a"].flags.writeable = False
    assert not dataset.has_views


@pytest.mark.parametrize("case", ["plain", "read_only", "mapped", "one", "small", "own_size"])
def test_predictions_are_those_of_small_batches(case, tmp_path):
    settings = {"iterator_valid__batch_size": 50} if case == "own_size" else {}
    clf = MultimodalClassifier(max_epochs=2, random_state=0, **settings).fit(X, Y)
    given = {name: value.copy() for name, value in X.items()}
    if case == "read_only":
        for value in given.values():
            value.flags.writeable = False
    if case == "mapped":
        for name, value in given.items():
            np.save(tmp_path / f"{name}.npy", value)
            given[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    if case in ("one", "small"):
        given = {name: value[: 1 if case == "one" else 20] for name, value in given.items()}
    n_samples = len(given["a"])
    by_hand = np.concatenate(
        [clf.predict_proba({m: v[i : i + 1] for m, v in given.items()}) for i in range(n_samples)]
    )
    np.testing.assert_allclose(clf.predict_proba(given), by_hand, atol=1e-6)
    for name, value in given.items():  # nothing is written to
        np.testing.assert_array_equal(value, X[name][:n_samples])


class Doubles(torch.nn.Module):
    """An encoder of the user's that writes to what it gets."""

    def __init__(self, input_shape):
        super().__init__()
        self.layer = torch.nn.Linear(input_shape[0], 3)

    def forward(self, x):
        return self.layer(x.mul_(2))


def test_an_encoder_that_writes_to_its_inputs_does_not_write_to_the_users_data():
    given = {name: value.copy() for name, value in X.items()}
    clf = MultimodalClassifier(encoders={"a": Doubles}, max_epochs=1, random_state=0)
    clf.fit(given, Y).predict(given)
    for name, value in given.items():
        np.testing.assert_array_equal(value, X[name])


def test_a_part_that_is_left_in_training_mode_is_set_right_for_predictions():
    clf = MultimodalClassifier(
        encoders={"a": torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.9))},
        max_epochs=1,
        random_state=0,
    ).fit(X, Y)
    expected = clf.predict_proba(X)
    clf.module_.encoders["a"][1].train()
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    assert not any(module.training for module in clf.module_.modules())
