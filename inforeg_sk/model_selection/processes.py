"""Calls in other processes: what several of them use goes to each process once.

joblib makes the calls, by whatever backend is set. Its own processes get arrays as memory maps. For
the workers of a cluster of dask (``joblib.parallel_config("dask")``) everything that is shared is
put on all workers first. A worker that is lost then costs what it was running: dask makes that call
again on another one, from the same bytes.
"""

import pickle
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

__all__ = ["Call", "Processes", "training_only"]

# Calls a worker of a cluster gets on average: fewer lose more with a worker, and leave others idle
# at the end; more are smaller stacks. Of 40 fits, 2 stacks took 5.7 s, 6 took 7.4 s, 12 took 9.1 s.
_CALLS_PER_WORKER = 2
# How often the shared objects are put on the workers, if all that have them are lost.
_ATTEMPTS = 3

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
        self._client = backend.client if self.on_cluster else None
        self._place = lambda: parallel_config(backend) if self.on_cluster else nullcontext()
        with self._place():
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
        if not self.on_cluster:
            tasks = (delayed(function)(call.own, *call.shared) for call in calls)
            return Parallel(n_jobs=self._n_jobs)(tasks)
        import cloudpickle  # which dask needs, too

        packed = [cloudpickle.dumps((function, call.own)) for call in calls]
        for attempt in range(_ATTEMPTS):
            futures = self._scatter(calls)
            tasks = (
                delayed(_call)(own, *(futures[id(value)] for value in call.shared))
                for own, call in zip(packed, calls, strict=True)
            )
            try:
                with self._place():
                    # One call at a time: joblib would join short ones, to be lost together.
                    return Parallel(n_jobs=self._n_jobs, batch_size=1, pre_dispatch="all")(tasks)
            except Exception:  # which one depends on the version of joblib
                lost = any(future.cancelled() for future in futures.values())
                if not lost or attempt == _ATTEMPTS - 1:
                    raise

    def _scatter(self, calls):
        """Put all that is shared on all workers; futures of dask by id."""
        distinct = {id(value): value for call in calls for value in call.shared}
        # Without the hash each search has futures of its own, which no other can release.
        futures = self._client.scatter(list(distinct.values()), broadcast=True, hash=False)
        return dict(zip(distinct, futures, strict=True))


def _call(packed, *shared):
    """Make a call on a worker, from bytes, so that it can be made again."""
    from distributed import Future

    function, own = pickle.loads(packed)
    # With a single worker left, joblib makes the calls in the caller's process.
    shared = [value.result() if isinstance(value, Future) else value for value in shared]
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
