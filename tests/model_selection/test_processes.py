"""What is sent to other processes, looked at in this one."""

import pickle

import numpy as np
import pytest
from joblib import parallel_config

from inforeg_sk import ModalityDict, MultimodalInfoRegClassifier
from inforeg_sk.model_selection import BatchedGridSearchCV, parts, processes
from inforeg_sk.model_selection.processes import Call, Processes

RNG = np.random.default_rng(0)
N = 90
Y = RNG.integers(3, size=N)
X = ModalityDict({m: RNG.normal(size=(N, 60)) + Y[:, None] for m in ("audio", "text")})


def search(**settings):
    settings = {"encoders__hidden": 2, "max_epochs": 3, "device": "cpu", **settings}
    estimator = MultimodalInfoRegClassifier(random_state=0, **settings)
    grid = {"alpha": [0.0, 0.3, 1.0, 3.0]}
    found = BatchedGridSearchCV(estimator, grid, cv=3).fit(X, Y)
    return found.cv_results_["mean_test_score"], found.predict_proba(X)


@pytest.fixture
def calls(monkeypatch):
    """Calls that are to be made elsewhere; they are made here, of copies."""
    made = []

    def here(self, function, calls):
        made.extend(calls)
        return [pickle.loads(pickle.dumps(function(*copied(call)))) for call in calls]

    def copied(call):
        return (pickle.loads(pickle.dumps(call.own)), *call.shared)

    monkeypatch.setattr(Processes, "map", here)
    return made


@pytest.fixture
def offer(monkeypatch):
    """Says how many processes there are."""

    def offer(n):
        monkeypatch.setattr(processes, "effective_n_jobs", lambda n_jobs: n)

    return offer


@pytest.mark.parametrize(("n_processes", "n_stacks"), [(2, 3), (3, 3), (5, 6), (12, 12), (100, 12)])
def test_stacks_are_as_many_as_processes_if_there_are_as_many_fits(
    calls, offer, n_processes, n_stacks
):
    offer(n_processes)
    search()
    sizes = [len(call.own) for call in calls]
    assert len(sizes) == n_stacks and sum(sizes) == 12 and max(sizes) - min(sizes) == 0


def test_samples_of_a_fold_are_one_object_in_all_stacks_and_arrays_that_joblib_maps(calls, offer):
    offer(6)
    found = search()
    row = X["text"][45].astype(np.float32).tobytes()
    assert not any(row in pickle.dumps(call.own) for call in calls)
    folds = {id(shared): shared for call in calls for shared in call.shared}
    assert len(calls) == 6 and len(folds) == 3
    for fold in folds.values():
        assert all(isinstance(a, np.ndarray) for a in (*fold.inputs.values(), fold.target))
        assert sum(a.nbytes for a in fold.inputs.values()) == 60 * 120 * 4
    offer(1)
    for a, b in zip(found, search(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_single_fits_share_all_data_and_carry_none(calls, offer):
    offer(2)
    found = search(callbacks=[])
    assert len(calls) == 12
    assert all(call.shared[0] is X and call.shared[1] is Y for call in calls)
    for call in calls:
        assert len(pickle.dumps(call.own)) < 0.1 * len(pickle.dumps(call.shared))
    offer(1)
    for a, b in zip(found, search(callbacks=[]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_part_is_taken_apart_and_put_together():
    weight = RNG.uniform(size=N)
    rows = np.arange(0, N, 2)
    like = MultimodalInfoRegClassifier()
    part, data = parts.Part(X, Y, rows, {"sample_weight": weight}, like).without_data()
    assert len(pickle.dumps(part)) < 4000 and data[0] is X and data[1] is Y
    got_X, got_y, params = part.with_data(*data).cut()
    np.testing.assert_array_equal(got_X["text"], X["text"][::2])
    np.testing.assert_array_equal(got_y, Y[::2])
    np.testing.assert_array_equal(params["sample_weight"], weight[::2])


def joined(own, *shared):
    return own + "".join(shared)


def test_without_a_cluster_joblibs_backend_makes_the_calls_in_order():
    calls = [Call("a", ("b", "c")), Call("d", ()), Call("e", ("f",))]
    with parallel_config("threading"):
        two = Processes(2)
        assert (two.n, two.n_parts, two.on_cluster) == (2, 2, False)
        assert two.map(joined, calls) == ["abc", "d", "ef"]
    assert not two.are_used(1) and two.are_used(2)
    assert not Processes().are_used(2)
