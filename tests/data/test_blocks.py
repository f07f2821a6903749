"""BlockLoader: the batches of a DataLoader, cut off blocks that are gathered at once."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.utils.data import DataLoader

from inforeg_sk import ModalityDict, MultimodalClassifier
from inforeg_sk.data import blocks
from inforeg_sk.data.batches import JoinedBatchSampler, ModalitySubset, collate_whole_batch
from inforeg_sk.data.blocks import BlockLoader, row_bytes

rng = np.random.default_rng(0)
N = 53
Y = rng.integers(3, size=N).astype(str)
HOLES = rng.normal(size=(N, 3))
HOLES[::3] = np.nan
KINDS = {
    "complete": {"a": rng.normal(size=(N, 4)), "b": rng.normal(size=(N, 2, 3))},
    "incomplete": {"a": rng.normal(size=(N, 4)), "b": HOLES},
    "sparse": {"a": sparse.random(N, 6, 0.4, format="csr", random_state=0), "b": HOLES[:, :1]},
    "several": {"a": {"i": rng.integers(9, size=(N, 2)), "m": rng.normal(size=(N, 2))}, "b": HOLES},
}


class Mean(torch.nn.Module):
    """Takes a dict of arrays."""

    def __init__(self, input_shape):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x["m"])


def dataset_of(kind, weighted=True):
    encoders = {"a": Mean} if kind == "several" else "auto"
    clf = MultimodalClassifier(encoders=encoders, missing="allow", max_epochs=1, random_state=0)
    clf.fit(KINDS[kind], Y)
    dataset = clf.get_dataset(KINDS[kind], Y)
    dataset.weight = np.linspace(0, 1, N).astype("f4") if weighted else None
    return dataset


def parts(value):
    return value.values() if isinstance(value, dict) else [value]


def assert_same(ours, theirs):
    (X, target), (X_, target_) = ours, theirs
    assert torch.equal(target, target_) and list(X) == list(X_)
    assert X.n_samples == X_.n_samples
    for name in X:
        for a, b in zip(parts(X[name]), parts(X_[name]), strict=True):
            assert a.dtype == b.dtype and torch.equal(a.nan_to_num(9), b.nan_to_num(9))
    assert set(X.presence.masks) == set(X_.presence.masks)
    for name, mask in X.presence.masks.items():
        assert torch.equal(mask, X_.presence.masks[name])
        assert torch.equal(X.presence.rows(name), X_.presence.rows(name))
    assert (X.weight is None) == (X_.weight is None)
    assert X.weight is None or torch.equal(X.weight, X_.weight)
    assert np.array_equal(X.y, X_.y)


@pytest.mark.parametrize("n_bytes", [1, 700, 2**26], ids=["batch", "some", "all"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_those_of_a_data_loader(kind, n_bytes, shuffle, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", n_bytes)
    for dataset in (dataset_of(kind), ModalitySubset(dataset_of(kind, False), np.arange(3, N, 2))):
        given = []
        for loader in (BlockLoader, DataLoader):
            generator = torch.Generator().manual_seed(0)
            sampler = JoinedBatchSampler(len(dataset), 8, generator if shuffle else None, join=True)
            made = loader(
                dataset,
                batch_sampler=sampler,
                collate_fn=collate_whole_batch,
                generator=generator,
            )
            given.append([list(made), list(made), generator.get_state()])  # two epochs
        for ours, theirs in zip(given[0][:2], given[1][:2], strict=True):
            assert len(ours) == len(theirs) > 2
            for a, b in zip(ours, theirs, strict=True):
                assert_same(a, b)
        assert torch.equal(given[0][2], given[1][2])


def test_no_more_than_a_block_is_gathered_at_a_time(monkeypatch):
    dataset = dataset_of("complete")
    assert row_bytes(dataset) == 4 * (4 + 6)  # float32
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 20 * row_bytes(dataset))
    gathered, gather = [], type(dataset).__getitems__

    def watched(self, indices):
        gathered.append(len(indices))
        return gather(self, indices)

    monkeypatch.setattr(type(dataset), "__getitems__", watched)
    loader = BlockLoader(
        dataset, batch_sampler=JoinedBatchSampler(N, 8), collate_fn=collate_whole_batch
    )
    assert [len(y) for _, y in loader] == [8] * 6 + [5]
    assert gathered == [16, 16, 16, 5]


def test_predictions_come_in_larger_batches_of_small_encoders_only():
    X = ModalityDict({"a": rng.normal(size=(300, 4)), "b": rng.normal(size=(300, 3, 8, 8))})
    y = rng.integers(2, size=300)
    for names, expected in ((["a"], [300]), (["a", "b"], [32] * 9 + [12])):
        data = {name: X[name] for name in names}
        clf = MultimodalClassifier(max_epochs=1, random_state=0).fit(data, y)
        assert [len(logits) for logits in clf.forward_iter(data)] == expected
        small = MultimodalClassifier(max_epochs=1, random_state=0, iterator_valid__batch_size=7)
        assert np.allclose(small.fit(data, y).predict_proba(data), clf.predict_proba(data))
        assert [len(logits) for logits in small.forward_iter(data)] == [7] * 42 + [6]
