"""read_arrays: what no pickle of arrays needs is refused in words that say what it is."""

import pickle

import crafted_pickles as make
import pytest
from crafted_pickles import array, buffer, call, data, dtype, integer, name, program, text

from inforeg_sk.datasets._pickle_names import ADMITTED
from inforeg_sk.datasets._unpickler import read_arrays

# Names that lead to code, by each way to name something.
NAMES = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "setattr"),
    ("builtins", "__import__"),
    ("builtins", "type"),
    ("builtins", "object"),
    ("builtins", "bytearray"),
    ("builtins", "complex"),
    ("builtins", "print"),
    ("__builtin__", "apply"),
    ("__builtin__", "file"),
    ("__builtin__", "reduce"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("copyreg", "_reconstructor"),
    ("copyreg", "add_extension"),
    ("copy_reg", "_reconstructor"),
    ("codecs", "encode"),
    ("codecs", "open"),
    ("_codecs", "lookup"),
    ("_codecs", "register"),
    ("_codecs", "decode"),
    ("collections", "defaultdict"),
    ("collections", "namedtuple"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("io", "open"),
    ("mmap", "mmap"),
    ("ctypes", "CDLL"),
    ("importlib", "import_module"),
    ("runpy", "run_path"),
    ("pydoc", "pipepager"),
    ("timeit", "timeit"),
    ("webbrowser", "open"),
    ("numpy", "load"),
    ("numpy", "fromfile"),
    ("numpy", "memmap"),
    ("numpy", "array"),
    ("numpy", "zeros"),
    ("numpy", "matrix"),
    ("numpy", "void"),
    ("numpy", "recarray"),
    ("numpy", "save"),
    ("numpy.core.multiarray", "zeros"),
    ("numpy.core.multiarray", "fromfile"),
    ("numpy.core.multiarray", "frombuffer"),
    ("numpy.core.multiarray", "set_string_function"),
    ("numpy.core.multiarray", "_vec_string"),
    ("numpy.core._internal", "_convert_to_stringdtype_kwargs"),
    ("numpy.core._internal", "_newnames"),
    ("numpy._core._internal", "_ctypes"),
    ("numpy.core.numeric", "fromfunction"),
    ("numpy._core.numeric", "load"),
    ("numpy.core.records", "fromfile"),
    ("numpy.lib", "npyio"),
    ("numpy.lib.npyio", "load"),
    ("numpy.lib.format", "open_memmap"),
    ("numpy.f2py", "compile"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.distutils.exec_command", "exec_command"),
    ("numpy.ma.core", "_mareconstruct"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("torch", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("pandas", "read_pickle"),
    ("inforeg_sk.datasets._pickle_names", "ADMITTED"),
    ("inforeg_sk.datasets._unpickler", "read_arrays"),
    ("__main__", "anything"),
    ("", ""),
    ("numpy", ""),
    ("numpy", "ndarray.__class__"),
    ("numpy", "dtype.__class__.__base__"),
    ("numpy.core.multiarray", "_reconstruct.__globals__"),
    ("numpy.core.multiarray", "scalar.__self__"),
    ("numpy.core.multiarray", "os.system"),
    ("numpy.core", "multiarray._reconstruct"),
    ("numpy.core.multiarray\\n", "_reconstruct"),
    ("numpy.core.multiarray ", "_reconstruct"),
    ("Numpy", "ndarray"),
    ("numpy", "ndarray\0"),
    ("\uff4eumpy", "ndarray"),
    ("builtins", "bytes.fromhex"),
    ("_codecs", "encode.__self__"),
]


def refused(pickled):
    """The message of the refusal."""
    before = dict(ADMITTED)
    with pytest.raises(pickle.UnpicklingError) as info:
        read_arrays(pickled)
    assert before == ADMITTED
    return str(info.value)


@pytest.mark.parametrize("module, qualified", NAMES)
def test_names_beyond_the_list_are_refused_however_they_are_written(module, qualified):
    shown = f"{module}.{qualified}" if "\0" not in qualified else r"numpy.'ndarray\x00'"
    for found in (name(module, qualified), make.stack_name(module, qualified)):
        for pickled in (
            program(found),
            program(call(found, text("echo"))),
            program(found, b")\x81"),  # NEWOBJ
            program(b"}", text("x"), found, b"s"),
        ):
            assert f"refused {shown}:" in refused(pickled)
    instance = f"(i{module}\n{qualified}\n".encode()
    assert f"refused {shown}, and the operation INST" in refused(program(instance))


@pytest.mark.parametrize(
    "operations, message",
    {
        "EXT1": (b"\x82\x07", "refused the copyreg extension code 7"),
        "EXT2": (b"\x83\x07\x01", "refused the copyreg extension code 263"),
        "EXT4": (b"\x84\xff\xff\xff\xff", "refused the copyreg extension code -1"),
        "PERSID": (b"Pan id\n", "refused the persistent id an id"),
        "BINPERSID": (b"NQ", "refused the persistent id of a value of type NoneType"),
        "OBJ": (b"(" + make.ORDERED + b"o", "refused the operation OBJ"),
        "INST": (b"(icollections\nOrderedDict\n", "operation INST"),
        "NEWOBJ": (make.ORDERED + b")\x81", "refused the operation NEWOBJ,"),
        "NEWOBJ of an array": (make.NDARRAY + b")\x81", "refused the operation NEWOBJ,"),
        "NEWOBJ_EX": (make.ORDERED + b")}\x92", "refused the operation NEWOBJ_EX"),
        "NEXT_BUFFER": (b"\x97", "refused the operation NEXT_BUFFER"),
        "READONLY_BUFFER": (b"C\x01x\x98", "refused the operation READONLY_BUFFER"),
        "EMPTY_SET": (b"\x8f", "refused the operation EMPTY_SET"),
        "ADDITEMS": (b"](N\x90", "refused the operation ADDITEMS"),
        "FROZENSET": (b"(N\x91", "refused the operation FROZENSET"),
        "unknown": (b"\xff", r"b'\xff' is not an operation"),
        "protocol 6": (b"\x80\x06N", "protocol 6, which does not exist"),
    }.values(),
)
def test_operations_beyond_the_list_are_refused_by_name(operations, message):
    assert message in refused(program(operations))


@pytest.mark.parametrize(
    "target",
    [
        make.ORDERED,
        make.NDARRAY,
        make.DTYPE,
        make.RECONSTRUCT,
        make.ENCODE,
        b"N",
        b"]",
        b"}",
        b")",
        text("x"),
        data(b"x"),
        b"\x96" + bytes(8),
        call(make.ORDERED),
        array(),
        buffer(),
        call(make.SCALAR, dtype(), data(bytes(4))),
        make.objects(b"N"),
    ],
)
@pytest.mark.parametrize("state", [b"}" + text("call") + b"Ns", make.tuple_of(b"N", b"}"), b"N"])
def test_nothing_but_a_new_array_and_its_type_takes_a_state(target, state):
    assert "refused to set the state of" in refused(program(target, state, b"b"))


@pytest.mark.parametrize(
    "target",
    [b"N", b"]", b"}", text("os.system"), array(), dtype(), make.tuple_of(make.ORDERED), b"K\x01"],
)
def test_only_an_admitted_name_is_called(target):
    assert "refused to call" in refused(program(target, b")R"))


MISUSES = {
    "call of ndarray": (call(make.NDARRAY, make.shape(2)), "refused a call of numpy.ndarray"),
    "subclass": (call(make.RECONSTRUCT, make.DTYPE, b")", b"N"), "not a numpy.ndarray"),
    "subclass by text": (
        call(make.RECONSTRUCT, text("numpy.ndarray"), b")", b"N"),
        "not a numpy.ndarray",
    ),
    "arguments that are a list": (make.ORDERED + b"]R", "with a value of type list as arguments"),
    "no arguments": (make.RECONSTRUCT + b")R", "damaged or not one of arrays: TypeError"),
    "encode to punycode": (call(make.ENCODE, text("x"), text("punycode")), "_codecs.encode"),
    "encode to zlib": (call(make.ENCODE, data(b"x"), text("zlib")), "_codecs.encode"),
    "encode by an array": (call(make.ENCODE, text("x"), array()), "_codecs.encode"),
    "encode beyond latin1": (call(make.ENCODE, text("é€"), text("latin1")), "beyond latin1"),
    "bytes of a size": (call(make.BYTES, integer(10**12)), "builtins.bytes with arguments"),
    "OrderedDict of a number": (call(make.ORDERED, integer(3)), "pairs of key and value"),
    "OrderedDict of triples": (
        call(make.ORDERED, make.list_of(make.tuple_of(b"N", b"N", b"N"))),
        "pairs of key and value",
    ),
    "OrderedDict with a tuple as key": (
        call(make.ORDERED, make.list_of(make.tuple_of(b")", b"N"))),
        "pairs of key and value",
    ),
    "dtype of a dict": (call(make.DTYPE, b"}"), "refused a numpy.dtype of dict"),
    "dtype of a list": (call(make.DTYPE, b"]"), "refused a numpy.dtype of list"),
    "dtype of a dtype": (call(make.DTYPE, dtype()), "refused a numpy.dtype of DType"),
    "dtype state of a dict": (call(make.DTYPE, text("f4")) + b"}b", "dtype has no valid state"),
    "dtype with an odd order": (dtype("f4", "x"), "unknown byte order"),
    "dtype with a subarray": (dtype(rest=b"}NN"), "refused a structured array"),
    "dtype with names": (dtype(rest=b"N)N"), "refused a structured array"),
    "dtype with fields": (dtype(rest=b"NN}"), "refused a structured array"),
    **{
        f"dtype {spec}": (call(make.DTYPE, text(spec)), "refused a")
        for spec in (
            "f4,f4",
            "V8",
            "M8[s]",
            "m8",
            "c16",
            "(2,3)f4",
            "f3",
            "f99",
            "i16",
            "S9999999999",
            "float64",
            "object",
            "O,O",
            "{'names': []}",
            "T",
            "f4\0",
            "",
            "U-1",
            "\uff464",
            "|V0",
            "g",
        )
    },
    "state of a list": (make.UNBUILT + b"]b", "an array has no valid state"),
    "state of six": (
        make.UNBUILT + make.tuple_of(*[b"N"] * 6) + b"b",
        "an array has no valid state",
    ),
    "array without state": (make.UNBUILT, "an array has no state"),
    "array thrown away without state": (make.UNBUILT + b"0N", "an array has no state"),
    "second state": (array() + make.state() + b"b", "refused to set the state"),
    "no dtype": (array(kind=b"N"), "no numpy.dtype"),
    "text as dtype": (array(kind=text("f4")), "no numpy.dtype"),
    "shape of a list": (
        make.UNBUILT + make.tuple_of(b"K\x01", b"]", dtype(), b"\x89", data(b"")) + b"b",
        "no valid shape",
    ),
    "negative shape": (array((-2,)), "no valid shape"),
    "two negative lengths": (array((-1, -2)), "no valid shape"),
    "33 axes": (array((1,) * 33, values=data(bytes(4))), "no valid shape"),
    "shape of bools": (
        make.UNBUILT
        + make.tuple_of(b"K\x01", b"\x88\x85", dtype(), b"\x89", data(bytes(4)))
        + b"b",
        "no valid shape",
    ),
    "too few bytes": (array(values=data(bytes(7))), "does not hold what its shape says"),
    "too many bytes": (array(values=data(bytes(9))), "does not hold what its shape says"),
    "numbers as values": (array(values=make.list_of(b"N", b"N")), "an array has no bytes"),
    "bytes as objects": (array(kind=dtype("O", "|")), "does not hold what its shape says"),
    "too few objects": (make.objects(b"N", lengths=(2,)), "does not hold what its shape says"),
    "tuple of objects": (
        array((1,), dtype("O", "|"), make.tuple_of(b"N")),
        "does not hold what its shape says",
    ),
    "characters beyond Unicode": (
        array((2,), dtype("U1"), data(b"\xff" * 8)),
        "not characters",
    ),
    "characters of another byte order": (
        array((1,), dtype("U1", ">"), data(b"a\0\0\0")),
        "not characters",
    ),
    "scalar beyond Unicode": (call(make.SCALAR, dtype("U1"), data(b"\xff" * 4)), "not characters"),
    "bool of 2": (array((2,), dtype("b1", "|"), data(b"\1\2")), "other bytes than 0 and 1"),
    "scalar bool of 2": (call(make.SCALAR, dtype("b1", "|"), data(b"\2")), "than 0 and 1"),
    "scalar of objects": (call(make.SCALAR, dtype("O", "|"), b"N"), "Python objects in a buffer"),
    "scalar of too few bytes": (call(make.SCALAR, dtype(), data(b"x")), "does not hold what"),
    "buffer of objects": (buffer((1,), dtype("O", "|")), "Python objects in a buffer"),
    "buffer of too few bytes": (buffer((3,)), "does not hold what its shape says"),
    "buffer of a text beyond latin1": (buffer(values=text("€€€€€€€€")), "beyond latin1"),
    "buffer in no order": (buffer((2,), None, None, "K"), "no valid order of axes"),
    "buffer in order A": (buffer((2,), None, None, "A"), "no valid order of axes"),
    "axes that repeat": (
        buffer((1, 2), None, None, "K", make.shape(0, 0)),
        "no valid order of axes",
    ),
    "axes beyond": (buffer((1, 2), None, None, "K", make.shape(0, 7)), "no valid order of axes"),
    "negative axes": (buffer((1, 2), None, None, "K", make.shape(-1, 0)), "no valid order"),
    "dtype as a value": (dtype(), "refused a numpy.dtype as a value"),
    "dtype in a list": (make.list_of(dtype()), "refused a numpy.dtype as a value"),
    "dtype in an object array": (make.objects(dtype()), "refused a numpy.dtype as a value"),
    "ndarray as a value": (make.NDARRAY, "refused numpy.ndarray as a value"),
    "admitted name as a value": (
        b"}K\x01" + make.ENCODE + b"s",
        "refused _codecs.encode as a value",
    ),
    "admitted name as a key": (b"}" + make.ENCODE + b"Ns", "refused _codecs.encode as the key"),
    "tuple as a key": (b"})Ns", "refused a value of type tuple as the key"),
    "list as a key": (b"(]Nd", "refused a value of type list as the key"),
    "array as a key": (b"}(" + array() + b"Nu", "refused a value of type ndarray as the key"),
    "key without a value": (b"}(Nu", "a key has no value"),
    "append to a dict": (b"}Na", "refused to append to a value of type dict"),
    "append to an array": (make.UNBUILT + b"Na", "refused to append"),
    "appends to a tuple": (b")(Ne", "refused to append"),
    "item of a list": (b"]K\x00Ns", "refused to set an item of a value of type list"),
    "item of an array": (array() + b"K\x00Ns", "refused to set an item"),
    "item of a name": (make.ORDERED + text("x") + b"Ns", "refused to set an item of collections"),
    "STACK_GLOBAL of bytes": (data(b"os") + data(b"system") + b"\x93", "a name is not a text"),
    "STACK_GLOBAL of a list": (b"]" + text("system") + b"\x93", "a name is not a text"),
    "STACK_GLOBAL of str_": (
        call(make.SCALAR, dtype("U5"), data("numpy".encode("utf-32-le")))
        + text("ndarray")
        + b"\x93",
        "a name is not a text",
    ),
    "STACK_GLOBAL of nothing": (b"\x93", "its stack is empty"),
    "GLOBAL in no UTF-8": (b"c\xff\nx\n", "UnicodeDecodeError"),
    "GLOBAL without end": (b"c" + b"x" * 999, "a line is too long"),
    "memo that is empty": (b"h\x07", "its memo has no entry 7"),
    "memo without a number": (b"Nq\x00gx\n", "an entry of its memo has no number"),
    "negative memo": (b"Np-1\n", "an entry of its memo has no number"),
    "memo of nothing": (b"q\x00", "its stack is empty"),
    "MEMOIZE of nothing": (b"\x94", "its stack is empty"),
    "mark that is missing": (b"t", "a mark is missing"),
    "tuple below a mark": (b"N(\x85", "its stack is empty"),
    "empty stack": (b"", "its stack is empty"),
    "POP of nothing": (b"0", "a mark is missing"),
    "text without quotes": (b"Sx\n", "has no quotes"),
    "text with one quote": (b"S'\n", "has no quotes"),
    "text with an unknown escape": (b"S'\\q'\n", "an unknown escape"),
    "text with a large octal": (b"S'\\777'\n", "an unknown escape"),
    "text in no UTF-8": (b"X\x01\0\0\0\xff", "UnicodeDecodeError"),
    "text of negative length": (b"T\xff\xff\xff\xff", "negative length"),
    "float of letters": (b"Fx\n", "ValueError"),
    "integer of letters": (b"Ix\n", "ValueError"),
    "integer of 65 bits": (integer(2**64), "more than 64 bits"),
    "integer below 64 bits": (integer(-(2**63) - 1), "more than 64 bits"),
    "integer of a long line": (b"I" + b"9" * 200 + b"\n", "more than 64 bits"),
    "integer of a longer line": (b"L" + b"9" * 9999 + b"L\n", "a line is too long"),
    "integer of 2 GiB": (b"\x8b\xff\xff\xff\x7f", "more than 64 bits"),
    "integer of negative length": (b"\x8b\xff\xff\xff\xff", "more than 64 bits"),
}


@pytest.mark.parametrize("operations, message", MISUSES.values(), ids=MISUSES)
def test_misuse_of_what_is_admitted_is_refused_in_words(operations, message):
    assert message in refused(program(operations))


def test_names_stay_what_they_are_whatever_lies_in_the_memo():
    # The entries of the memo that hold names are overwritten by others.
    over = make.ENCODE + b"q\x000" + make.ORDERED + b"q\x000h\x00)R"
    assert read_arrays(program(over)) == {}
    over = make.ORDERED + b"q\x000]q\x000h\x00)R"
    assert "refused to call a value of type list" in refused(program(over))


def test_what_is_admitted_is_read_under_any_way_to_write_it():
    assert read_arrays(program(array())).tolist() == [0, 0]
    assert read_arrays(program(buffer())).tolist() == [0, 0]
    for spec, order, values in (("U2", "<", "ab"), ("U2", ">", "ab")):
        coded = values.encode("utf-32-le" if order == "<" else "utf-32-be")
        read = read_arrays(program(array((1,), dtype(spec, order), data(coded))))
        assert read.tolist() == ["ab"]
    assert read_arrays(program(array((3,), dtype("S0", "|"), data(b"")))).tolist() == [b""] * 3
    assert read_arrays(program(make.objects(array(), b"N"))).tolist()[1] is None
    assert read_arrays(program(integer(2**64 - 1))) == 2**64 - 1
    assert read_arrays(program(b"I01\n")) is True
    assert read_arrays(program(b"S'a\\x62\\143\\n\\\\q'\n")) == "abc\n\\q"
    assert read_arrays(program(b"N(K\x01K\x021")) is None  # POP_MARK
    assert read_arrays(program(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff")) is None
