"""Worker processes with limits. Workers call functions of libraries, which they can import."""

import ctypes
import json
import operator
import os
import pathlib
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inforeg_sk.utils.files import (
    BadFile,
    UnreadableFileError,
    check_file,
    check_inside,
    check_size,
)
from inforeg_sk.utils.isolation import IsolatedReaders, direct, readers

MAX_BYTES = 2**26
RESERVE = 2**28  # of the docstring
PREFIX = "the library that reads it crashed"


@pytest.fixture(scope="module")
def pool():
    with IsolatedReaders(time_limit=60, max_bytes=MAX_BYTES) as pool:
        yield pool


def test_a_call_returns_what_the_function_returns_in_another_process(pool):
    assert pool(operator.add, 2, 3) == 5
    assert pool(dict, [("a", 1)]) == {"a": 1}
    assert pool(os.getpid) != os.getpid()
    X = np.arange(12, dtype=">f4").reshape(3, 4)
    got = pool(np.transpose, X)
    assert got.dtype == X.dtype and np.array_equal(got, X.T)


def test_calls_are_made_by_the_same_worker(pool):
    assert pool(os.getpid) == pool(os.getpid)


# Errors


def test_exceptions_of_python_and_of_this_package_arrive(pool, tmp_path):
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        pool(operator.truediv, 1, 0)
    with pytest.raises(KeyError, match="absent"):
        pool(operator.getitem, {}, "absent")
    with pytest.raises(FileNotFoundError, match=r"absent\.wav: there is no such file"):
        pool(check_file, tmp_path / "absent.wav")
    with pytest.raises(BadFile, match="it is a folder, not a file"):
        pool(check_file, tmp_path)
    with pytest.raises(BadFile, match="max_bytes=5 is the limit"):
        pool(check_size, "it", 6, 5)
    (tmp_path / "inside").mkdir()
    (tmp_path / "file").write_text("outside")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "file")
    with pytest.raises(UnreadableFileError, match=r"link is a symbolic link to .*file"):
        pool(check_inside, tmp_path / "inside" / "link", tmp_path / "inside", False)


def test_exceptions_of_libraries_become_ours(pool):
    with pytest.raises(BadFile, match=r"^JSONDecodeError: Expecting property name"):
        pool(json.loads, "{")
    with pytest.raises(BadFile, match=r"^LinAlgError: Singular matrix"):
        pool(np.linalg.inv, np.zeros((2, 2)))


def test_long_messages_of_libraries_are_cut(pool):
    with pytest.raises(BadFile, match=r"^JSONDecodeError: xxx") as info:
        pool(exec, "import json; raise json.JSONDecodeError('x' * 10_000, '', 0)")
    assert len(str(info.value)) < 300


def test_a_library_that_exits_does_not_end_the_program(pool):
    with pytest.raises(BadFile, match="SystemExit: 3"):
        pool(sys.exit, 3)
    with pytest.raises(BadFile, match="KeyboardInterrupt"):
        pool(exec, "raise KeyboardInterrupt")


def test_an_error_stops_no_worker(pool):
    before = pool(os.getpid)
    with pytest.raises(BadFile):
        pool(json.loads, "{")
    assert pool(os.getpid) == before


# Warnings


def test_warnings_point_at_the_line_of_the_caller(pool):
    with pytest.warns(RuntimeWarning, match="^said there$") as record:
        assert pool(warnings.warn, "said there", RuntimeWarning) is None
    assert [w.filename for w in record] == [__file__]


def test_warnings_of_libraries_are_user_warnings(pool):
    with pytest.warns(UserWarning, match="poorly conditioned") as record:
        pool(np.polyfit, [1.0, 1.0], [1.0, 1.0], 3)
    assert [w.category for w in record] == [UserWarning]


def test_warnings_arrive_with_an_error(pool):
    code = "import warnings; warnings.warn('before', FutureWarning); 1 / 0"
    with (
        pytest.warns(FutureWarning, match="before"),
        pytest.raises(ZeroDivisionError),
    ):
        pool(exec, code)


# Memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
def test_memory_is_limited(pool):
    before = pool(os.getpid)
    with pytest.raises(BadFile, match="needs more memory than max_bytes allows"):
        pool(bytes, 2 * (MAX_BYTES + RESERVE))
    with pytest.raises(BadFile, match="needs more memory than max_bytes allows"):
        pool(np.zeros, MAX_BYTES + RESERVE)  # of 8 bytes
    assert pool(os.getpid) == before
    assert len(pool(bytes, MAX_BYTES)) == MAX_BYTES


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
def test_a_result_too_large_to_return_is_an_error_of_ours(pool):
    message = f"returning what it holds needs more memory than max_bytes={MAX_BYTES} allows"
    with pytest.raises(BadFile, match=message):
        pool(bytes, RESERVE)
    assert pool(abs, -1) == 1


# Crashes and endless loops


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="crashes have no signals there")
def test_a_crash_is_an_error_that_names_the_signal(pool, capfd):
    with pytest.raises(BadFile, match=rf"{PREFIX} \(SIGSEGV\); .*max_bytes={MAX_BYTES}"):
        pool(ctypes.string_at, 0)
    assert pool(operator.add, 2, 3) == 5
    assert "Segmentation" not in capfd.readouterr().err  # no stack is printed


@pytest.mark.slow
def test_a_worker_that_ends_is_replaced(pool):
    with pytest.raises(BadFile, match=PREFIX):
        pool(os._exit, 3)
    assert pool(operator.add, 2, 3) == 5


@pytest.mark.slow
def test_an_endless_loop_is_stopped():
    with IsolatedReaders(time_limit=0.5, max_bytes=MAX_BYTES) as pool:
        with pytest.raises(BadFile, match=r"it took more than 0\.5 s \(time_limit\) and was"):
            pool(sum, range(10**15))
        assert pool(operator.add, 2, 3) == 5


# Threads


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_several_threads_have_a_worker_each(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        IsolatedReaders(2, time_limit=60, max_bytes=MAX_BYTES) as pool,
        ThreadPoolExecutor(4) as threads,
    ):
        # Each end of a pipe waits for the other, so these two must run at the same time.
        received = threads.submit(pool, pathlib.Path.read_bytes, pipe)
        sent = threads.submit(pool, pathlib.Path.write_bytes, pipe, b"words")
        assert received.result() == b"words" and sent.result() == 5
        # More threads than workers: each gets its own result.
        assert list(threads.map(lambda i: pool(operator.neg, i), range(40))) == [
            -i for i in range(40)
        ]


# Use


def test_closed_workers_raise():
    pool = IsolatedReaders(2, time_limit=60, max_bytes=MAX_BYTES)
    pool.close()
    for _ in range(3):  # not a wait for a worker that never comes
        with pytest.raises(RuntimeError, match="These workers are stopped"):
            pool(abs, -1)
    pool.close()


@pytest.mark.slow
def test_closing_ends_the_processes():
    with IsolatedReaders(time_limit=60, max_bytes=MAX_BYTES) as pool:
        process = pool(os.getpid)
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_without_isolation_functions_are_called_here():
    assert direct(os.getpid) == os.getpid()
    with readers(False, time_limit=60, max_bytes=MAX_BYTES) as call:
        assert call(os.getpid) == os.getpid()


@pytest.mark.slow
def test_modules_are_imported_before_the_limit():
    with readers(True, time_limit=60, max_bytes=MAX_BYTES, modules=("colorsys",)) as call:
        assert call(eval, "'colorsys' in __import__('sys').modules")
