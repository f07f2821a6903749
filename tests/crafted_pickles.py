"""Pickles put together by hand, operation by operation: those that no pickler writes."""

import struct

ADMITTED_CORES = ("numpy.core", "numpy._core")


def text(value):
    """BINUNICODE."""
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def data(value):
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value):
    """LONG1."""
    n = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([n]) + value.to_bytes(n, "little", signed=True)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def list_of(*items):
    return b"(" + b"".join(items) + b"l"


def name(module, qualified):
    """GLOBAL."""
    return f"c{module}\n{qualified}\n".encode()


def stack_name(module, qualified):
    """STACK_GLOBAL, with the names from the stack."""
    return text(module) + text(qualified) + b"\x93"


def call(function, *args):
    """REDUCE."""
    return function + tuple_of(*args) + b"R"


def program(*operations, protocol=4):
    return b"\x80" + bytes([protocol]) + b"".join(operations) + b"."


NDARRAY = name("numpy", "ndarray")
DTYPE = name("numpy", "dtype")
RECONSTRUCT = name("numpy.core.multiarray", "_reconstruct")
FROMBUFFER = name("numpy.core.numeric", "_frombuffer")
SCALAR = name("numpy.core.multiarray", "scalar")
ENCODE = name("_codecs", "encode")
BYTES = name("builtins", "bytes")
ORDERED = name("collections", "OrderedDict")
UNBUILT = call(RECONSTRUCT, NDARRAY, tuple_of(integer(0)), data(b"b"))


def dtype(spec="f4", order="<", rest=b"NNN"):
    made = call(DTYPE, text(spec))
    return made + tuple_of(integer(3), text(order), rest) + b"b"


def shape(*lengths):
    return tuple_of(*map(integer, lengths))


def state(lengths=(2,), kind=None, values=None, fortran=b"\x89", version=1):
    """The state of an array: by default two zeros of float32."""
    kind = dtype() if kind is None else kind
    values = data(bytes(8)) if values is None else values
    return tuple_of(integer(version), shape(*lengths), kind, fortran, values)


def array(*args, **kwargs):
    return UNBUILT + state(*args, **kwargs) + b"b"


def objects(*items, lengths=None):
    """An object array of items."""
    lengths = (len(items),) if lengths is None else lengths
    return array(lengths, dtype("O", "|"), list_of(*items))


def buffer(lengths=(2,), kind=None, values=None, order="C", *more):
    kind = dtype() if kind is None else kind
    values = data(bytes(8)) if values is None else values
    return call(FROMBUFFER, values, kind, shape(*lengths), text(order), *more)


def shared_tuples(n, item=b"N"):
    """A tuple of two references to a tuple of two references ..., `n` deep."""
    return item + b"\x94" + b"2\x86\x94" * n


def nested(opening, closing, n):
    return opening * n + b"N" + closing * n
