"""Reading in worker processes with limits: a crash of a native library there is an error here."""

import faulthandler
import importlib
import queue
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

from .callers import warn_caller
from .files import BadFile, shorten

__all__ = ["IsolatedReaders", "direct", "readers"]

# Memory that a worker may take beyond `max_bytes`: stacks of threads, tables of libraries, copies.
_RESERVE = 2**28
_PACKAGE = __name__.partition(".")[0]
_START = 300  # seconds that a worker may take to import the package


class IsolatedReaders:
    """Worker processes that read files, one at a time each, within limits of time and memory.

    A worker that crashes or exceeds a limit is replaced; the call that it worked on raises. Calls
    from several threads run at once, as many as there are workers.

    This guards the caller against crashes, hangs and memory. It is not a sandbox: a worker has the
    rights of its user.

    Parameters
    ----------
    n_workers : int, default=1
    time_limit : float
        Seconds for one call.
    max_bytes : int
        Memory in bytes that one call may take, apart from a reserve of 256 MiB. Enforced on Linux.
    modules : tuple of str, default=()
        What a worker imports before its memory is limited.
    """

    def __init__(
        self,
        n_workers: int = 1,
        *,
        time_limit: float,
        max_bytes: int,
        modules: tuple[str, ...] = (),
    ) -> None:
        self._time_limit = time_limit
        self._max_bytes = max_bytes
        self._modules = modules
        # None is a worker that has not started yet.
        self._idle: queue.SimpleQueue[ProcessPoolExecutor | None] = queue.SimpleQueue()
        self._n_workers = n_workers
        self._closed = False
        for _ in range(n_workers):
            self._idle.put(None)

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return ``function(*args)``, which a worker computes.

        Raises
        ------
        BadFile
            If the worker crashes or exceeds a limit.
        Exception
            What the function raises. An exception that does not come from Python or from this
            package becomes a `BadFile`, since it may not survive the way between processes; so
            does one that would end the program, such as SystemExit.
        """
        worker = self._idle.get()
        try:
            if self._closed:  # by the time that a thread gets here, its results may not be wanted
                raise RuntimeError("These workers are stopped.")
            if worker is None:
                worker = self._start()
            said, value, error = worker.submit(_run, function, args).result(self._time_limit)
        except FutureTimeoutError:
            worker = _stop(worker)
            raise BadFile(
                f"reading it took more than {self._time_limit:g} s (time_limit) and was stopped."
            ) from None
        except BrokenProcessPool as broken:
            worker = _stop(worker)
            raise BadFile(
                f"the library that reads it crashed{_signal(broken)}; the file is damaged, or "
                f"needs more memory than max_bytes={self._max_bytes}."
            ) from broken
        except MemoryError as error:  # a result is copied on its way
            worker = _stop(worker)
            raise BadFile(
                f"returning what it holds needs more memory than max_bytes={self._max_bytes} "
                "allows."
            ) from error
        except BaseException:
            worker = _stop(worker)
            raise
        finally:
            self._idle.put(worker)
        for category, text in said:
            warn_caller(text, category)
        if error is not None:
            raise error
        return value

    def _start(self) -> ProcessPoolExecutor:
        worker = ProcessPoolExecutor(max_workers=1)
        try:
            worker.submit(_limit, self._max_bytes + _RESERVE, self._modules).result(_START)
        except BaseException:
            _stop(worker)
            raise
        return worker

    def close(self) -> None:
        """Stop the workers, after the calls that they are busy with; later calls raise."""
        self._closed = True
        for _ in range(self._n_workers):
            _stop(self._idle.get())
            self._idle.put(None)

    def __enter__(self) -> "IsolatedReaders":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def direct(function: Callable[..., Any], *args: Any) -> Any:
    """Return ``function(*args)``: what an `IsolatedReaders` does, in this process."""
    return function(*args)


@contextmanager
def readers(
    isolate: bool, *, n_workers: int = 1, time_limit: float, max_bytes: int, **more: Any
) -> Iterator[Callable[..., Any]]:
    """Yield an `IsolatedReaders` if `isolate`, else `direct`."""
    if not isolate:
        yield direct
        return
    with IsolatedReaders(n_workers, time_limit=time_limit, max_bytes=max_bytes, **more) as call:
        yield call


def _stop(worker: ProcessPoolExecutor | None) -> None:
    if worker is not None:
        worker.shutdown(wait=True, kill_workers=True)


def _signal(broken: BaseException) -> str:
    """Return the signals that loky names in its message, such as `` (SIGSEGV)``."""
    found = [s.name for s in signal.Signals if f"{s.name}(" in str(broken)]
    return f" ({', '.join(found)})" if found else ""


# In the worker.


def _limit(n_bytes: int, modules: tuple[str, ...]) -> None:
    """Import what readers need; then limit the memory that this process may take in addition."""
    faulthandler.disable()  # a crash is reported by an exception; this would print the stack, too
    for module in modules:
        importlib.import_module(module)
    if not sys.platform.startswith("linux"):
        return  # other systems do not enforce this limit, or have none
    import resource

    with open("/proc/self/status") as file:
        used = next(int(line.split()[1]) for line in file if line.startswith("VmData"))
    # Private memory, not addresses: libraries reserve many more of those than they use.
    limit = used * 1024 + n_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    # A crash is expected here; an image of the memory on disk is not.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _run(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """Return the warnings, the value and the exception of a call."""
    value = error = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            value = function(*args)
        except MemoryError:
            error = BadFile("reading it needs more memory than max_bytes allows.")
        except BaseException as raised:  # a library that exits must not end the caller
            error = raised
            if not isinstance(raised, Exception) or not _is_known(type(raised)):
                error = BadFile(f"{type(raised).__name__}: {shorten(raised)}")
            error.__traceback__ = error.__cause__ = error.__context__ = None
    # Categories of other libraries may not be there to import in the process of the caller.
    return (
        [(w.category if _is_known(w.category) else UserWarning, str(w.message)) for w in said],
        value,
        error,
    )


def _is_known(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("builtins", "pickle", "_pickle", _PACKAGE)
