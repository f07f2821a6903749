"""Calls in other processes: what several of them use goes to each process once.

joblib makes the calls, by whatever backend is set. Its own processes get arrays as memory maps.

The workers of a cluster of dask (``joblib.parallel_config("dask")``) are given the calls as tasks
of dask. Everything that is shared is a task of its own, put on all workers before it is used. What
a lost worker was running, and what it had finished and not yet sent, is made again by others: the
scheduler has the bytes of all tasks.
"""

import pickle
import warnings
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

from .parts import log

__all__ = ["Call", "Processes", "training_only"]

# Calls a worker of a cluster gets on average: fewer lose more with a worker, and leave others idle
# at the end; more are smaller stacks. Of 40 fits, 2 stacks took 5.7 s, 6 took 7.4 s, 12 took 9.1 s.
_CALLS_PER_WORKER = 2

_cluster = ContextVar("cluster", default=None)


class Call(NamedTuple):
    """The arguments of one call.

    Parameters
    ----------
    own : object
        Sent with the call.
    shared : tuple
        Further arguments, which other calls may have, too: the same objects.
    """

    own: object
    shared: tuple


class Processes:
    """The processes that joblib's backend offers.

    Parameters
    ----------
    n_jobs : int, default=None
        As in joblib; a cluster uses all its workers, whatever the number.

    Attributes
    ----------
    n : int
        How many calls are made at a time.
    n_parts : int
        Into how many calls work should be divided.
    on_cluster : bool
        Whether they are workers of dask.
    """

    def __init__(self, n_jobs=None):
        self._n_jobs = n_jobs
        backend = _cluster.get() or _active_cluster()
        self.on_cluster = backend is not None
        self._backend = backend
        with parallel_config(backend) if self.on_cluster else nullcontext():
            self.n = effective_n_jobs(n_jobs)
        self.n_parts = self.n * (_CALLS_PER_WORKER if self.on_cluster else 1)

    def __str__(self):
        if self.on_cluster:
            return f"{self.n} workers of a cluster"
        return f"{self.n} processes"

    def are_used(self, n_calls):
        """Whether so many calls are made there, and not in this process."""
        # joblib makes all calls in this process if there is one process to make them.
        return self.n > 1 and n_calls > (0 if self.on_cluster else 1)

    def map(self, function, calls):
        """Make calls, and return their results.

        Parameters
        ----------
        function : callable
            Of a module, called with `Call.own` and what is shared. It may change what is its own:
            nothing of the caller's is changed, unless joblib's backend makes calls in this process.
        calls : list of Call

        Returns
        -------
        list
            In the order of `calls`.
        """
        if self.on_cluster:
            return _map_on_cluster(self._backend, function, calls)
        tasks = (delayed(function)(call.own, *call.shared) for call in calls)
        return Parallel(n_jobs=self._n_jobs)(tasks)


def _map_on_cluster(backend, function, calls):
    # If this process is a worker itself, others may use it while it waits. An error must not pass
    # through: joblib's context would not end.
    with backend.retrieval_context():
        try:
            return _submit_all(backend.client, backend.submit_kwargs, function, calls)
        except BaseException as caught:  # an interrupt, too
            error = caught
    try:
        raise error
    finally:
        del error  # which refers to this frame


def _submit_all(client, settings, function, calls):
    """Have calls made by a cluster; `settings` are those of ``client.submit`` that joblib gives."""
    import cloudpickle  # which dask needs, too
    from distributed import as_completed

    def submit(function, packed, *futures, **how):
        with warnings.catch_warnings():
            # Data within a task are meant: scattered ones are lost with the workers they are on.
            warnings.filterwarnings("ignore", "Sending large graph")
            return client.submit(function, packed, *futures, pure=False, **how)

    # All is packed before anything is sent: what cannot be is an error that leaves nothing behind.
    owns = [cloudpickle.dumps((function, call.own)) for call in calls]
    values = {id(value): value for call in calls for value in call.shared}
    packed = {key: cloudpickle.dumps(value) for key, value in values.items()}
    places = {k: v for k, v in settings.items() if k in ("workers", "allow_other_workers")}
    shared, waiting, results = {}, {}, [None] * len(calls)
    try:
        while packed:
            key, value = packed.popitem()
            shared[key] = submit(pickle.loads, value, **places)
        _copy_to_all(client, list(shared.values()), settings.get("workers"))
        for i, (own, call) in enumerate(zip(owns, calls, strict=True)):
            futures = [shared[id(value)] for value in call.shared]
            waiting[submit(_call, own, *futures, **settings)] = i
        # Each result is fetched at once: a worker that is lost later does not take it along.
        for future, result in as_completed(list(waiting), with_results=True):
            if future.cancelled():  # by others, as a restart of the cluster does
                raise result
            results[waiting.pop(future)] = result
    finally:
        # Also after an error or an interrupt, which may keep this frame alive.
        client.cancel([*waiting, *shared.values()])
    return results


def _copy_to_all(client, futures, workers=None):
    """Have all workers get what is shared, since dask gives tasks to workers that have their data.

    Without it results are the same: a task fetches what its worker lacks, and raises what is wrong
    with it.
    """
    if isinstance(workers, str):
        workers = [workers]
    try:
        client.replicate(futures, workers=workers)
    except ValueError as error:  # no worker is running at this moment
        log.info("shared data were not copied to all workers: %s", error)


def _call(packed, *shared):
    """Make a call, whose own arguments are bytes: what it changes of them is not sent again."""
    function, own = pickle.loads(packed)
    return function(own, *shared)


def _active_cluster():
    """The backend of joblib, if it is dask's."""
    backend, _ = get_active_backend()
    return backend if hasattr(backend, "client") else None


@contextmanager
def training_only():
    """While this lasts, a cluster is used by `Processes` alone, not by others who use joblib.

    scikit-learn's code that scores would send each fit and all data to the workers once more, in a
    way that does not survive the loss of one.
    """
    backend = _active_cluster()
    if backend is None:
        yield
        return
    token = _cluster.set(backend)
    try:
        with parallel_config("sequential"):
            yield
    finally:
        _cluster.reset(token)
