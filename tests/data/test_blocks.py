"""BlockLoader: the batches of a DataLoader, cut off blocks that are gathered at once."""

import tracemalloc
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from block_kinds import KINDS, N, assert_same, dataset_of, rng
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from inforeg_sk import ModalityDict, MultimodalClassifier
from inforeg_sk.data import blocks, resident
from inforeg_sk.data.batches import JoinedBatchSampler, ModalitySubset, collate_whole_batch
from inforeg_sk.data.blocks import BlockLoader, row_bytes


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


def loader_of(dataset, shuffle=True, batch_size=8, **settings):
    generator = torch.Generator().manual_seed(0)
    return BlockLoader(
        dataset,
        batch_sampler=JoinedBatchSampler(
            len(dataset), batch_size, generator if shuffle else None, join=True
        ),
        collate_fn=collate_whole_batch,
        generator=generator,
        **settings,
    )


@pytest.mark.parametrize("n_bytes", [1, 700, 2**26], ids=["batch", "some", "all"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stays", [True, False])
def test_on_a_device_batches_are_the_same(kind, n_bytes, stays, monkeypatch):
    if kind == "sparse" and stays:
        pytest.skip("sparse arrays do not stay on a device")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", n_bytes)
    for dataset in (dataset_of(kind), ModalitySubset(dataset_of(kind, False), np.arange(3, N, 2))):
        for shuffle in (True, False):
            plain = loader_of(dataset, shuffle)
            moved = loader_of(dataset, shuffle, device=torch.device("cpu"), resident=stays)
            for _ in range(2):  # epochs
                for ours, theirs in zip(moved, plain, strict=True):
                    assert_same(ours, theirs)
                    # There, too, with the rows of each batch found beforehand.
                    there = ours[0].moved
                    assert set(there.presence.found_rows) == set(there.presence.masks)
                    there.y = ours[0].y
                    assert_same((there, ours[1]), theirs)
            assert torch.equal(moved.generator.get_state(), plain.generator.get_state())


class Copies(TorchDispatchMode):
    """Counts copies from the CPU to the meta device."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and result.is_meta and not args[0].is_meta:
            self.sizes.append(result.numel())
        if func is torch.ops.aten.copy_.default and args[0].is_meta and not args[1].is_meta:
            self.sizes.append(args[1].numel())
        return result


def test_resident_samples_are_copied_once_and_then_one_order_an_epoch():
    dataset = dataset_of("incomplete")
    n_present = int(dataset.presence.masks["b"].sum())
    loader = loader_of(dataset, device=torch.device("meta"), resident=True)
    for epoch in range(3):
        with Copies() as copies:
            for batch, target in loader:
                moved = batch.to(torch.device("meta"))
                assert moved is batch.moved and moved["a"].is_meta and target.is_meta
                assert moved.presence.mask("b").is_meta and moved.presence.rows("b").is_meta
                assert batch.weight_on(torch.device("meta")).is_meta
        samples = [N * 4, N * 3, N, N, N]  # two modalities, target, weights, one mask
        assert copies.sizes == (samples if epoch == 0 else []) + [N + 2 * n_present]


def test_other_samples_move_a_block_at_a_time(monkeypatch):
    dataset = dataset_of("incomplete")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 20 * row_bytes(dataset))
    loader = loader_of(dataset, shuffle=False, device=torch.device("meta"))
    with Copies() as copies:
        batches = list(loader)
    assert len(batches) == 7
    # Two modalities, a mask and its places, weights and target, of four blocks.
    assert len(copies.sizes) == 4 * 6
    assert sum(copies.sizes[::6]) == N * 4


def test_samples_stay_on_a_device_where_they_fit(monkeypatch):
    device = torch.device("meta")
    for kind, share, stays in (
        ("complete", 0.99, True),
        ("complete", 1.01, False),
        ("sparse", 0, False),
    ):
        dataset = dataset_of(kind)
        n_bytes = N * row_bytes(dataset)
        free = 4 * n_bytes / share if share else 2**40
        monkeypatch.setattr(resident, "free_bytes", lambda _, free=free: free)
        for shuffle in (True, False):
            loader = loader_of(dataset, shuffle, device=device)
            for is_second in (False, True):
                assert len(list(loader)) == 7
                # A pass in order may be the only one.
                expected = stays and (shuffle or is_second)
                assert (loader._resident is not None) == expected


def test_nothing_stays_where_free_memory_is_unknown():
    assert resident.free_bytes(torch.device("meta")) == 0


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


@contextmanager
def numpy_peak():
    """Bytes that Python and numpy allocate at most; blocks are numpy's before they are torch's."""
    found = SimpleNamespace()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield found
        found.bytes = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_no_block_stays_in_memory_while_the_next_is_gathered(monkeypatch):
    X = {name: rng.normal(size=(4000, 64)).astype("f4") for name in "ab"}
    clf = MultimodalClassifier(max_epochs=1, random_state=0, device="cpu").fit(X, X["a"][:, 0] > 0)
    dataset = clf.get_dataset(X)
    block = 500 * row_bytes(dataset)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    loader = loader_of(dataset, batch_size=50)
    list(loader)
    with numpy_peak() as peak:
        for _batch, _ in loader:  # a loop holds its last batch when it asks for the next
            pass
    assert block < peak.bytes < 1.8 * block  # with the order of the samples


def test_a_fit_makes_no_copy_of_its_data(tmp_path):
    X = {name: rng.normal(size=(30_000, 64)).astype("f4") for name in "ab"}
    np.save(tmp_path / "b.npy", X["b"])
    X["b"] = np.load(tmp_path / "b.npy", mmap_mode="r")
    y = X["a"][:, 0] > 0
    settings = {"max_epochs": 1, "random_state": 0, "device": "cpu", "batch_size": 1000}
    MultimodalClassifier(**settings).fit(X, y)
    with pytest.MonkeyPatch.context() as patch, numpy_peak() as peak:
        patch.setattr(blocks, "BLOCK_BYTES", 2**20)
        MultimodalClassifier(**settings).fit(X, y)
    assert peak.bytes < sum(x.nbytes for x in X.values()) / 2


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
