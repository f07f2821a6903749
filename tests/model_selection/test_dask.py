"""Searches over a cluster of dask with processes of its own: equal to local ones, also if some die.

Equal means to the last bit: the stacks of a cluster are smaller than local ones, and a member does
not depend on its stack at these sizes.
"""

import logging
import os
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch
from joblib import parallel_config

from inforeg_sk import ModalityDict, MultimodalInfoRegClassifier
from inforeg_sk.model_selection import BatchedGridSearchCV, cross_validate_batched
from inforeg_sk.model_selection.processes import Call, Processes

distributed = pytest.importorskip("distributed", reason="needs the extra dask")
cluster = pytest.importorskip("cluster")

pytestmark = pytest.mark.slow

ALPHAS = [0.0, 0.3, 1.0, 3.0]
RNG = np.random.default_rng(0)
Y = RNG.integers(3, size=120)
X = ModalityDict({m: RNG.normal(size=(120, 6)) + Y[:, None] for m in ("audio", "text")})
SETTINGS = {"max_epochs": 6, "batch_size": 16, "encoders__hidden": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def started():
    """A client of a cluster of two processes, which are told nothing about threads."""
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        with distributed.LocalCluster(processes=True, **settings) as processes:
            with distributed.Client(processes) as client:
                yield client


@pytest.fixture
def client(started):
    """The same, all of whose workers are alive."""
    started.wait_for_workers(2, timeout=120)
    with parallel_config("dask"):
        yield started


def make(**settings):
    return MultimodalInfoRegClassifier(random_state=0, **SETTINGS | settings)


def search(X=X, y=Y, **settings):
    return BatchedGridSearchCV(make(**settings), {"alpha": ALPHAS}, cv=3).fit(X, y)


def locally(function, *args, **kwargs):
    with parallel_config("sequential"):
        return function(*args, **kwargs)


def scores(fitted):
    results = fitted.cv_results_
    return np.array([results[f"split{k}_test_score"] for k in range(fitted.n_splits_)])


def assert_same(found, expected):
    np.testing.assert_array_equal(scores(found), scores(expected))
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def journal_of_stacks(client, folder, **killed):
    journal = cluster.Journal(folder, **killed)
    client.register_plugin(cluster.WriteDown(journal))
    return journal


def test_a_search_equals_the_local_one_and_is_trained_by_all_workers(client, tmp_path, caplog):
    journal = journal_of_stacks(client, tmp_path)
    with caplog.at_level(logging.INFO, "inforeg_sk.model_selection"):
        found = search()
    client.unregister_worker_plugin("journal")
    ours = [m for name, _, m in caplog.record_tuples if name == "inforeg_sk.model_selection"]
    assert ours == ["6 stacks of 12 fits, by 2 workers of a cluster"]
    assert len(journal.begun) == 6 and len(set(journal.begun)) == 2
    assert_same(found, locally(search))


def test_cross_validation_equals_the_local_one(client):
    found, expected = (
        cross_validate_batched(make(), X, Y),
        locally(cross_validate_batched, make(), X, Y),
    )
    np.testing.assert_array_equal(found["test_score"], expected["test_score"])


def test_weighted_fits_equal_local_ones(client):
    weight = RNG.uniform(size=len(Y))
    found, expected = (
        where(
            lambda: BatchedGridSearchCV(make(), {"alpha": ALPHAS}).fit(X, Y, sample_weight=weight)
        )
        for where in (lambda f: f(), locally)
    )
    assert_same(found, expected)


@pytest.fixture
def sent(monkeypatch):
    """Numbers of bytes that this process sends to others."""
    tcp = pytest.importorskip("distributed.comm.tcp")
    sizes, to_frames = [], tcp.to_frames

    async def counted(*args, **kwargs):
        frames = await to_frames(*args, **kwargs)
        sizes.append(sum(memoryview(frame).nbytes for frame in frames))
        return frames

    monkeypatch.setattr(tcp, "to_frames", counted)
    return sizes


@pytest.mark.parametrize("settings", [{}, {"callbacks": []}], ids=["stacks", "single_fits"])
def test_data_are_sent_once(client, sent, settings):
    wide = ModalityDict({m: RNG.normal(size=(600, 400)) for m in ("audio", "text")})
    search(wide, np.arange(600) % 3, **{"max_epochs": 1, **settings})
    # All data in double precision, or 3 folds of 2/3 of them in single precision: as many bytes.
    size = sum(np.asarray(wide[m]).nbytes for m in wide)
    # They go to the scheduler, which sends them to a worker, and is in this process, too; with each
    # of the 6 stacks it would be 4 times the size, with each of the 12 fits 24 times.
    assert 2 * size < sum(sent) < 3 * size


def test_each_worker_computes_in_one_thread(client):
    assert set(client.run(torch.get_num_threads).values()) == {1}


def test_an_error_on_a_worker_is_raised_here(client):
    with pytest.raises(ValueError, match="the first with 2 shared"):
        Processes().map(cluster.fail, [Call("the first", (X, Y)), Call("the first", (X, Y))])


THREE = [Call(i, (X, Y)) for i in range(3)]


def test_nothing_is_left_on_the_cluster_even_if_the_error_is_kept(client):
    def left():
        """How many tasks the scheduler has in the end; it takes its time to forget them."""
        for _ in range(1000):
            n = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            if n == 0:
                break
        return n

    assert [own for own, _ in Processes().map(cluster.process, THREE)] == [0, 1, 2]
    assert left() == 0
    with pytest.raises(ValueError, match="with 2 shared") as kept:
        Processes().map(cluster.fail, THREE)
    assert left() == 0
    cannot_be_sent = [*THREE, Call((i for i in ()), (X,))]
    with pytest.raises(TypeError, match="generator") as kept_too:
        Processes().map(cluster.process, cannot_be_sent)
    assert left() == 0
    assert kept.tb is not None and kept_too.tb is not None


def test_calls_that_others_cancel_are_an_error(client, monkeypatch):
    as_completed = distributed.as_completed

    def cancelled(futures, **settings):
        client.cancel(futures)
        return as_completed(futures, **settings)

    monkeypatch.setattr(distributed, "as_completed", cancelled)
    with pytest.raises(CancelledError):
        Processes().map(cluster.process, THREE)


def test_the_settings_of_joblibs_backend_hold(client):
    (first, pid), *_ = client.run(os.getpid).items()
    with parallel_config("dask", workers=first):
        assert {pid for _, pid in Processes().map(cluster.process, THREE)} == {pid}


def test_a_worker_may_have_others_make_calls_also_after_an_error(client):
    told, made = client.submit(cluster.goes_on_after_an_error).result(timeout=120)
    assert told in {f"{i} with 1 shared" for i in range(3)} and made == [0, 1, 2]


def test_a_killed_worker_costs_its_running_stack_and_changes_nothing(client, tmp_path):
    undisturbed = search()
    # The first worker that has trained for three epochs is killed: it has finished no stack yet.
    journal = journal_of_stacks(client, tmp_path, n_killed=1)
    found = search()
    client.unregister_worker_plugin("journal")
    assert len(journal.killed) == 1 and len(journal.begun) == 6 + 1
    assert_same(found, undisturbed)


def test_if_all_workers_are_killed_those_that_replace_them_go_on(client, tmp_path):
    """No process has the data any more but the scheduler."""
    undisturbed = search()
    workers = client.run(os.getpid).values()
    journal = journal_of_stacks(client, tmp_path, n_killed=1, with_it=workers)
    found = search()
    client.unregister_worker_plugin("journal")
    assert not set(workers) & set(client.run(os.getpid).values())
    # The other one may have begun a stack, too.
    assert len(journal.begun) in (6 + 1, 6 + 2)
    assert_same(found, undisturbed)


def test_a_killed_worker_costs_its_running_single_fit_and_changes_nothing(client, tmp_path):
    journal = cluster.Journal(tmp_path, n_killed=1)
    found = search(callbacks=[("journal", cluster.WriteDownFits(journal))])
    assert len(journal.killed) == 1
    # Besides, the best is fitted on all data in this process.
    elsewhere = [pid for pid in journal.begun if pid != journal.caller]
    assert len(elsewhere) == 12 + 1
    assert_same(found, locally(search, callbacks=[]))
