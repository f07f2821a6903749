"""read_arrays: nothing that a pickle claims takes memory, time or stack beyond its limits."""

import pickle
import struct
import subprocess
import sys

import crafted_pickles as make
import numpy as np
import pytest
from crafted_pickles import array, buffer, call, data, dtype, integer, program, shape, text

from inforeg_sk.datasets._unpickler import read_arrays

HUGE = struct.pack("<Q", 2**62)
# Each could kill the process, or never end, where the limit is missing.
KILLERS = {
    "tuples as a key": (b"})" + b"\x85" * 10**6 + b"Ns", "tuple as the key"),
    "tuples as a key of DICT": (b"()" + b"\x85" * 10**6 + b"Nd", "tuple as the key"),
    "shared tuples as a key": (b"}" + make.shared_tuples(60) + b"Ns", "tuple as the key"),
    "tuples": (make.nested(b"", b"\x85", 10**6), "nested more than 32 deep"),
    "lists": (make.nested(b"(", b"l", 10**5), "nested more than 32 deep"),
    "lists by APPEND": (b"]" * 4 * 10**5 + b"a" * (4 * 10**5 - 1), "nested more than 32 deep"),
    "dicts": (b"}" + b"N}" * 10**5 + b"s" * 10**5, "nested more than 32 deep"),
    "object arrays": (
        b"".join(
            make.UNBUILT + b"(K\x01" + shape(1) + dtype("O", "|") + b"\x89(" for _ in range(10**4)
        )
        + b"N"
        + b"ltb" * 10**4,
        "object arrays are nested more than 16 deep",
    ),
    "shared tuples": (make.shared_tuples(30), "take more memory than max_bytes"),
    "shared tuples, deeper": (make.shared_tuples(10**5), "nested more than 32 deep"),
    "shared lists of texts": (
        text("x" * 10**5)
        + b"\x94"
        + (b"(" + b"j\0\0\0\0" * 1000 + b"l\x94")
        + b"".join(b"(" + (b"j" + struct.pack("<I", n)) * 1000 + b"l\x94" for n in (1, 2)),
        "take more memory than max_bytes",
    ),
    "list that holds itself": (b"]\x94h\x00a", "a list holds itself"),
    "dict that holds itself": (b"}\x94Nh\x00s", "a dict holds itself"),
    "list in a tuple that holds it": (b"]\x94h\x00\x85\x94ah\x01", "holds itself"),
    "object array that holds itself": (
        make.UNBUILT + b"\x94" + make.state((1,), dtype("O", "|"), make.list_of(b"h\x00")) + b"b",
        "holds itself or an array that has no state",
    ),
    "object array that a list holds": (
        b"]\x94" + make.objects(b"h\x00") + b"\x94ah\x00",
        "holds itself",
    ),
    "bytes of 4 EiB": (b"\x8e" + HUGE + b"x", "claims 4611686018427387904 more bytes"),
    "text of 4 EiB": (b"\x8d" + HUGE + b"x", "claims 4611686018427387904 more bytes"),
    "bytearray of 4 EiB": (b"\x96" + HUGE + b"x", "claims 4611686018427387904 more bytes"),
    "frame of 4 EiB": (b"\x95" + HUGE + b"N", "claims 4611686018427387904 more bytes"),
    "bytes of 4 GiB": (b"B\xff\xff\xff\xff", "claims 4294967295 more bytes"),
    "text of 4 GiB": (b"X\xff\xff\xff\xff", "claims 4294967295 more bytes"),
    "text of 2 GiB": (b"T\xff\xff\xff\x7f", "claims 2147483647 more bytes"),
    "operations": (b"]" * 3 * 10**6, "more memory than max_bytes"),
    "marks": (b"(" * 3 * 10**6, "more memory than max_bytes"),
    "memo": (b"N" + b"\x94" * 3 * 10**6, "more memory than max_bytes"),
    "copies of a text": (
        text("x" * 10**6) + b"\x94" + (make.ENCODE + b"h\x00" + text("latin1") + b"\x86R0") * 1000,
        "more memory than max_bytes",
    ),
    "copies of a dict": (
        make.list_of(*[make.tuple_of(integer(n), b"N") for n in range(1000)])
        + b"\x94"
        + (make.ORDERED + b"h\x00\x85R") * 4000,
        "more memory than max_bytes",
    ),
    "copies of a bytearray": (
        b"\x96"
        + struct.pack("<Q", 10**6)
        + bytes(10**6)
        + b"\x94"
        + array((10**6,), dtype("S1", "|"), b"h\x00") * 400,
        "more memory than max_bytes",
    ),
    "views of the same bytes": (
        data(bytes(10**6)) + b"\x94(" + buffer((10**6,), dtype("b1", "|"), b"h\x00") * 400 + b"l",
        "take more memory than max_bytes",
    ),
    "values without bytes": (
        array((10**7,), dtype("S0", "|"), data(b"")),
        "more than the file has bytes",
    ),
    "10^12 values without bytes": (
        array((10**12,), dtype("U0"), data(b"")),
        "is the limit",
    ),
    "buffer of values without bytes": (
        buffer((10**12,), dtype("S0", "|"), data(b"")),
        "is the limit",
    ),
    "empty array with a huge axis": (array((0, 2**62, 2**62), None, data(b"")), "is the limit"),
    "empty buffer with a huge axis": (buffer((0, 2**62), None, data(b"")), "is the limit"),
    "empty object array with a huge axis": (
        array((0, 2**40), dtype("O", "|"), b"]"),
        "is the limit",
    ),
    "huge text in an array": (array((1,), dtype("U99999999"), data(b"")), "is the limit"),
    "shape that overflows": (array((2**32, 2**32)), "is the limit"),
    "many axes": (array((2,) * 32), "is the limit"),
    "zero-dimensional objects": (
        array((), dtype("O", "|"), make.list_of(b")" + b"\x85" * 99)),
        "nested more than 32 deep",
    ),
}
MAX_BYTES = 2**28
CHILD = """
import pathlib, resource, sys
from inforeg_sk.datasets._unpickler import read_arrays
import pickle
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(path.name, end=" ", flush=True)
    with open(path, "rb") as file:
        try:
            read_arrays(file, int(sys.argv[2]))
            print("read", flush=True)
        except pickle.UnpicklingError as error:
            print(error, flush=True)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What a child process said of each, up to the one that killed it."""
    pytest.importorskip("resource")
    folder = tmp_path_factory.mktemp("killers")
    for number, (operations, _) in enumerate(KILLERS.values()):
        (folder / f"{number:03d}").write_bytes(program(operations))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(MAX_BYTES)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = dict(line.partition(" ")[::2] for line in child.stdout.splitlines())
    return said, child.returncode, child.stderr


def test_no_pickle_ends_the_process(outcomes):
    said, code, stderr = outcomes
    assert code == 0, (code, stderr[-500:], len(said))


@pytest.mark.parametrize("number, name", list(enumerate(KILLERS)), ids=list(KILLERS))
def test_claims_are_refused_by_name(outcomes, number, name):
    assert KILLERS[name][1] in outcomes[0][f"{number:03d}"]


def test_what_is_shared_is_read_once_and_stays_shared():
    read = read_arrays(program(make.shared_tuples(12)))
    assert read[0] is read[1]


@pytest.mark.parametrize("depth, fits", [(32, True), (33, False)])
def test_containers_may_be_32_deep(depth, fits):
    value = 0
    for _ in range(depth):
        value = [value]
    pickled = pickle.dumps(value)
    if fits:
        assert read_arrays(pickled) == value
        return
    with pytest.raises(pickle.UnpicklingError, match="nested more than 32 deep"):
        read_arrays(pickled)


def test_depth_counts_along_shared_containers():
    inner = 0
    for _ in range(20):
        inner = [inner]
    outer = inner
    for _ in range(12):
        outer = [outer]
    assert read_arrays(pickle.dumps([inner, 0])) == [inner, 0]
    with pytest.raises(pickle.UnpicklingError, match="nested more than 32 deep"):
        read_arrays(pickle.dumps([inner, outer]))  # first short, then by the longer way


def test_max_bytes_is_exact_about_what_arrays_take():
    content = {"x": np.arange(10**5, dtype=np.float64)}
    for protocol in (2, 5):
        pickled = pickle.dumps(content, protocol)
        assert np.array_equal(read_arrays(pickled, 5 * 10**6)["x"], content["x"])
        with pytest.raises(pickle.UnpicklingError, match="more memory than max_bytes=700000"):
            read_arrays(pickled, 700_000)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_pickle_is_refused(protocol, kept):
    whole = pickle.dumps(
        {"x": np.arange(500.0), "t": ["a" * 300, b"b" * 300, 1.5, 2**40]}, protocol
    )
    with pytest.raises(pickle.UnpicklingError, match=r"damaged|does not hold|number"):
        read_arrays(whole[: int(len(whole) * kept)])


def test_any_flipped_byte_gives_an_unpickling_error_or_a_value():
    rng = np.random.default_rng(0)
    content = {"x": np.ones((3, 2)), "o": np.array(["a", None], dtype=object), "t": [1, 2.5, b"b"]}
    for protocol in range(6):
        whole = np.frombuffer(pickle.dumps(content, protocol), np.uint8)
        for _ in range(200):
            damaged = whole.copy()
            at = rng.integers(len(whole), size=rng.integers(1, 4))
            damaged[at] = rng.integers(256, size=len(at))
            try:
                read_arrays(damaged.tobytes(), 2**24)
            except pickle.UnpicklingError:
                pass


def test_a_scalar_of_no_bytes_is_read():
    assert read_arrays(pickle.dumps(np.str_(""))) == ""
    assert read_arrays(program(call(make.SCALAR, dtype("U0"), data(b"")))) == ""
