"""read_arrays: arrays of either numpy under all protocols, and nothing that runs."""

import builtins
import collections
import copyreg
import io
import os
import pickle
import struct

import numpy as np
import pytest

from inforeg_sk.datasets._unpickler import read_arrays

PROTOCOLS = (0, 1, 2, 3, 4, 5)


def ragged():
    array = np.empty(2, dtype=object)
    array[:] = [np.ones((2, 3)), np.zeros((1, 3), dtype=np.float32)]
    return array


CONTENT = {
    "C": np.arange(6.0).reshape(2, 3),
    "F": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 2, 0),
    "strided": np.arange(10)[::2],
    "big endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3)),
    "no axis": np.array(1.5),
    "bool": np.array([True, False]),
    "str": np.array(["ab", "c"]),
    "bytes": np.array([b"ab", b""]),
    "object": np.array(["x", b"", b"\xff\x00", None, 3], dtype=object),
    "scalar": np.float32(2.5),
}


def numpy_1(pickled):
    """The pickle as numpy 1 would have written it, or as numpy 2 if it did."""
    for name in (b"multiarray", b"numeric"):
        old, new = b"numpy.core." + name, b"numpy._core." + name
        # Protocols 4 and 5 write the length in front, and frame the whole.
        pickled = pickled.replace(bytes([len(new)]) + new, bytes([len(old)]) + old)
        pickled = pickled.replace(new, old)
    return pickled


def unframed(content, protocol):
    """A pickle without frames, whose names can be exchanged for others of another length."""
    pickled = pickle.dumps(content, protocol)
    if protocol < 4:
        return pickled
    out, rest = pickled[:2], pickled[2:]
    file = io.BytesIO(rest)
    while file.tell() < len(rest):
        if file.read(1) == b"\x95":
            out += file.read(struct.unpack("<Q", file.read(8))[0])
        else:  # large objects stand outside frames, of which there are none here
            file.seek(-1, os.SEEK_CUR)
            out += file.read()
    return out


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("numpy_version", [1, 2])
def test_arrays_come_back(protocol, numpy_version):
    pickled = unframed(CONTENT, protocol)
    pickled = pickled.replace(b"\x15numpy.core.multiarray", b"\x16numpy._core.multiarray")
    pickled = pickled.replace(b"\x12numpy.core.numeric", b"\x13numpy._core.numeric")
    pickled = pickled.replace(b"numpy.core.", b"numpy._core.")
    if numpy_version == 1:
        pickled = numpy_1(pickled)
        assert b"_core" not in pickled and b"numpy.core" in pickled
    else:
        assert b"numpy.core" not in pickled and b"numpy._core" in pickled
    read = read_arrays(pickled)
    assert list(read) == list(CONTENT)
    for key, value in CONTENT.items():
        x = np.asarray(read[key])  # numpy makes the byte order native under some protocols
        assert x.dtype.newbyteorder("=") == value.dtype.newbyteorder("="), key
        assert np.array_equal(x, value), key


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_and_arrays_of_unequal_length(protocol):
    first = ragged()
    content = {"a": [1, 2.5, None, True, "x"], "t": (1, b"y"), "o": first, "same": first}
    content["ordered"] = collections.OrderedDict([("z", 1), ("y", 2)])
    read = read_arrays(pickle.dumps(content, protocol))
    assert read["a"] == content["a"] and read["t"] == content["t"]
    assert list(read["ordered"].items()) == [("z", 1), ("y", 2)]
    assert read["same"] is read["o"]
    for x, y in zip(read["o"], first, strict=True):
        assert x.dtype == y.dtype and np.array_equal(x, y)


def test_python_2_pickle_of_an_array_and_texts():
    # What Python 2 and numpy 1 write for {"id": "ab", "x": array([1., -2.], dtype="<f4")}.
    pickled = (
        b"\x80\x02}q\x01(U\x02idq\x02U\x02abq\x03U\x01xq\x04cnumpy.core.multiarray\n_reconstruct\n"
        b"q\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07U\x01bq\x08\x87q\tRq\n(K\x01K\x02\x85q\x0bcnumpy"
        b"\ndtype\nq\x0cU\x02f4q\rK\x00K\x01\x87q\x0eRq\x0f(K\x03U\x01<q\x10NNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK\x00tq\x11b\x89U\x08" + struct.pack("<2f", 1, -2) + b"q\x12tq\x13bu."
    )
    read = read_arrays(pickled)
    assert read["id"] == "ab"
    assert read["x"].tolist() == [1, -2]


# What is refused. Each would make the file `marker` in the folder.


class Reduces:
    def __init__(self, call, *args):
        self.reduced = (call, args)

    def __reduce__(self):
        return self.reduced


class Plain:
    pass


@pytest.fixture
def marker(tmp_path):
    path = tmp_path / "marker"
    yield path
    assert not path.exists()


def refuses(pickled, name):
    with pytest.raises(pickle.UnpicklingError, match=f"refused {name}"):
        read_arrays(pickled)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_calls_are_refused_by_name(protocol, marker):
    system = f"{os.system.__module__}.system"
    touch = f"open({str(marker)!r}, 'w')"
    for content, name in [
        (Reduces(os.system, f"echo > '{marker}'"), system),
        ({"x": [np.ones(2), Reduces(os.system, f"echo > '{marker}'")]}, system),
        (Reduces(eval, touch), r"(builtins|__builtin__)\.eval"),
        (Reduces(exec, touch), r"(builtins|__builtin__)\.exec"),
        (Reduces(getattr, {}, "clear"), r"(builtins|__builtin__)\.getattr"),
        (Reduces(open, str(marker), "w"), r"(io|_io)\.open"),
        (Reduces(np.load, "x.npy"), r"numpy\.load"),
        (Reduces(np.fromfile, "x.bin"), r"numpy(\.\w+)*\.fromfile"),
        (Plain(), rf"{Plain.__module__}\.Plain|copy_?reg\._reconstructor"),
        (np.ma.array([1]), r"numpy\.ma\.\w+\._mareconstruct"),
        (np.random.default_rng(0), r"numpy\.random\._pickle"),
        (collections.defaultdict(list), r"collections\.defaultdict"),
        (bytearray(b"x") if protocol < 5 else {1, 2}.__class__, r"\w+\.(bytearray|set)"),
    ]:
        refuses(pickle.dumps(content, protocol), name)


def stack_global(module, name):
    """Opcodes of protocol 4 that push the object of a dotted name."""
    text = b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name))
    return b"\x80\x04" + text + b"\x93"


@pytest.mark.parametrize(
    "module, name",
    [
        ("numpy.core.multiarray", "os.system"),
        ("numpy._core.multiarray", "_reconstruct.__globals__"),
        ("numpy", "ndarray.__class__.__base__.__subclasses__"),
        ("numpy", "dtype.__class__"),
        ("numpy", "core.multiarray._reconstruct"),
        ("numpy", "f2py.compile"),
        ("numpy.testing._private.utils", "runstring"),
        ("collections", "OrderedDict.fromkeys"),
        ("_codecs", "encode.__self__"),
        ("inforeg_sk.datasets._unpickler", "_ADMITTED"),
        ("pickle", "loads"),
        ("builtins", "bytes.fromhex"),
        ("", "numpy.ndarray"),
    ],
)
def test_dotted_names_lead_nowhere(module, name, marker):
    command = f"echo > '{marker}'".encode()
    call = b"\x8c" + bytes([len(command)]) + command + b"\x85R."
    with pytest.raises(pickle.UnpicklingError) as info:
        read_arrays(stack_global(module, name) + call)
    assert f"refused {module}.{name}:" in str(info.value)


@pytest.mark.parametrize("opcode", [b"c", b"(i"], ids=["GLOBAL", "INST"])
def test_names_of_old_protocols(opcode, marker):
    refuses(opcode + b"os\nsystem\n.", r"os\.system")
    refuses(b"\x80\x02" + opcode + b"numpy.core.multiarray\nos.system\n.", "numpy.core.multiarray")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_extension_codes_used_before_are_refused(protocol, marker):
    copyreg.add_extension(os.system.__module__, "system", 77)
    try:
        pickled = pickle.dumps(Reduces(os.system, f"echo > '{marker}'"), protocol)
        assert b"system" not in pickled
        pickle.loads(pickle.dumps(os.system, protocol))  # now it lies in the cache
        with pytest.raises(pickle.UnpicklingError, match="refused the copyreg extension code 77"):
            read_arrays(pickled)
    finally:
        copyreg.remove_extension(os.system.__module__, "system", 77)


def test_persistent_ids_are_refused():
    with pytest.raises(pickle.UnpicklingError, match="refused the persistent id"):
        read_arrays(b"Pos.system\n.")


# Misuse of what is admitted


def array_with(dtype=b"cnumpy\ndtype\n(Vf4\ntR", shape=b"(I2\nt", values=b"C\x08" + bytes(8)):
    return (
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n"
        + shape
        + dtype
        + b"I00\n"
        + values
        + b"tb."
    )


def test_states_that_numpy_would_trust():
    assert read_arrays(array_with()).tolist() == [0, 0]
    objects = b"cnumpy\ndtype\n(VO8\ntR"
    for pickled, message in [
        (array_with(shape=b"(I900\nt"), "does not hold what its shape says"),
        (array_with(shape=b"(I-2\nt"), "no valid shape"),
        (array_with(dtype=objects), "does not hold what its shape says"),
        (array_with(dtype=objects, values=b"(lp0\nNa"), "does not hold what its shape says"),
        (array_with(dtype=b"cnumpy\ndtype\n(Vf4,O\ntR"), "refused an array of type"),
        (array_with(dtype=b"cnumpy\ndtype\n(VV8\ntR"), "refused an array of type"),
        (array_with(dtype=b"cnumpy\ndtype\n((dtR"), "refused a numpy.dtype of dict"),
        (array_with(dtype=b"N"), "no numpy.dtype"),
        (array_with(dtype=b"cnumpy\ndtype\n(Vf4\ntR(I3\nV<\nN(d(dtb"), "structured"),
        (
            b"cnumpy\nndarray\n(I3\ntR.",
            "refused a call of numpy.ndarray",
        ),  # no array can be made apart from its state
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "refused the operation NEWOBJ"),
        (b"\x80\x02c_codecs\nencode\n(Vx\nVpunycode\ntR.", "refused _codecs.encode"),
        (b"\x80\x02cbuiltins\nbytes\n(I999999999\ntR.", "refused builtins.bytes with"),
    ]:
        with pytest.raises(pickle.UnpicklingError, match=message):
            read_arrays(pickled)


def test_admitted_names_cannot_be_altered():
    for name in (b"numpy\ndtype\n", b"numpy.core.multiarray\n_reconstruct\n"):
        for state in (b"(V_call\nNd", b"(N(V_call\nNdt"):
            with pytest.raises(pickle.UnpicklingError, match=r"refused to set|damaged"):
                read_arrays(b"\x80\x02c" + name + state + b"b.")
    assert read_arrays(pickle.dumps(np.ones(2))).tolist() == [1, 1]


@pytest.mark.parametrize("pickled", [b"", b"\x80\x05", b"hello", pickle.dumps(np.ones(9))[:-20]])
def test_damaged_pickles(pickled):
    with pytest.raises(pickle.UnpicklingError):
        read_arrays(pickled)


def test_nothing_is_imported(monkeypatch):
    pickled = {p: pickle.dumps({"x": np.ones(2), "o": ragged()}, p) for p in PROTOCOLS}

    def refuse(name, *args, **kwargs):
        raise AssertionError(f"imported {name}")

    monkeypatch.setattr(builtins, "__import__", refuse)
    read = {p: read_arrays(pickled[p]) for p in PROTOCOLS}
    monkeypatch.undo()
    assert all(np.array_equal(content["x"], [1, 1]) for content in read.values())
