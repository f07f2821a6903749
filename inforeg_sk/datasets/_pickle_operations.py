"""The operations of pickles that arrays and plain containers need, for the machine to run."""

import codecs
import pickle
import re
from pickle import UnpicklingError

import numpy as np

from ..utils.files import shorten
from ._pickle_names import Admitted, DType, build_array, is_key

__all__ = ["OPERATIONS", "REFUSED", "written"]

_LONG = 9  # bytes of an integer of 64 bits and its sign
# What Python 2 never writes: it would make codecs warn.
_BAD_ESCAPE = re.compile(rb"\\(?!x[0-9A-Fa-f]{2}|[4-7](?![0-7]{2})|[0-3]|['\"abfnrtv])")


def written(name):
    """Return a name of the file for a message."""
    return shorten(name if name.isprintable() else repr(name))


def _what(value):
    """Return what a value is, for a message."""
    if type(value) in (Admitted, DType):
        return str(value)
    return f"a value of type {type(value).__name__}"


# Operations. Each takes the machine.


def _protocol(machine):
    protocol = machine.take(1)[0]
    if protocol > 5:
        raise UnpicklingError(f"the pickle has the protocol {protocol}, which does not exist")


def _frame(machine):
    machine.check_left(machine.number("<Q", 8))  # what follows is read as it comes


def _int(machine):
    """Push an integer, or a truth value of protocols 0 and 1: the lines 00 and 01."""
    line = machine.short_line()
    machine.push(line == b"01" if line in (b"00", b"01") else _decimal(line))


def _decimal(line):
    if len(line) > 24:
        raise UnpicklingError("refused an integer of more than 64 bits")
    return _integer(int(line, 0))


def _long(machine, n):
    if not 0 <= n <= _LONG:
        raise UnpicklingError("refused an integer of more than 64 bits")
    machine.push(_integer(int.from_bytes(machine.take(n), "little", signed=True)))


def _integer(value):
    if not -(2**63) <= value < 2**64:
        raise UnpicklingError("refused an integer of more than 64 bits")
    return value


def _index(machine):
    line = machine.short_line()
    if not line.isdigit() or len(line) > 20:
        raise UnpicklingError("the pickle is damaged: an entry of its memo has no number")
    return int(line)


def _float(machine):
    machine.push(float(machine.short_line()))


def _old_string(machine):
    line = machine.line()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
        raise UnpicklingError("the pickle is damaged: a text has no quotes")
    if _BAD_ESCAPE.search(line[1:-1].replace(rb"\\", b"..")):
        raise UnpicklingError("the pickle is damaged: a text holds an unknown escape")
    # numpy expects the bytes of Python 2 to be decoded as latin1.
    machine.push(machine.text(codecs.escape_decode(line[1:-1])[0], "latin1"))


def _unicode(machine):
    machine.push(machine.text(machine.line(), "raw-unicode-escape"))


def _text(form, n, *decoding):
    return lambda machine: machine.push(
        machine.text(machine.take(machine.number(form, n)), *decoding)
    )


def _bytes(form, n):
    return lambda machine: machine.push(machine.take(machine.number(form, n)))


def _binary_string(machine):
    n = machine.number("<i", 4)
    if n < 0:
        raise UnpicklingError("the pickle is damaged: a text has a negative length")
    machine.push(machine.text(machine.take(n), "latin1"))


def _bytearray(machine):
    n = machine.number("<Q", 8)
    machine.check_left(n)
    machine.charge(n)
    data = bytearray(n)
    if machine.file.readinto(data) != n:
        raise UnpicklingError("the pickle is damaged: it ends early")
    machine.push(data)


def _mark(machine):
    machine.below.append(machine.stack)
    machine.stack = []


def _tuple(n):
    def make(machine):
        stack = machine.stack
        if len(stack) < n:
            raise UnpicklingError("the pickle is damaged: its stack is empty")
        stack[-n:] = [tuple(stack[-n:])]

    return make


def _marked(kind):
    def make(machine):
        items = machine.pop_mark()
        machine.push(kind(items))

    return make


def _dict(machine):
    items = machine.pop_mark()
    machine.push({})
    _set_items(machine, items)


def _append(machine):
    value = machine.pop()
    _list(machine).append(value)


def _appends(machine):
    items = machine.pop_mark()
    _list(machine).extend(items)


def _list(machine):
    value = machine.top()
    if type(value) is not list:
        raise UnpicklingError(f"refused to append to {_what(value)}")
    return value


def _set_item(machine):
    value = machine.pop()
    key = machine.pop()
    _set_items(machine, [key, value])


def _set_items(machine, items):
    target = machine.top()
    if type(target) is not dict:
        raise UnpicklingError(f"refused to set an item of {_what(target)}")
    if len(items) % 2:
        raise UnpicklingError("the pickle is damaged: a key has no value")
    keys = items[::2]
    for key in keys:
        if not is_key(key):
            raise UnpicklingError(f"refused {_what(key)} as the key of a dict")
    target.update(zip(keys, items[1::2], strict=True))


def _pop(machine):
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _global(machine):
    machine.push(machine.find(machine.name(), machine.name()))


def _stack_global(machine):
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        raise UnpicklingError("the pickle is damaged: a name is not a text")
    machine.push(machine.find(module, name))


def _reduce(machine):
    args, admitted = machine.pop(), machine.pop()
    if type(admitted) is not Admitted:
        raise UnpicklingError(f"refused to call {_what(admitted)}")
    if type(args) is not tuple:
        raise UnpicklingError(f"refused {admitted} with {_what(args)} as arguments")
    machine.push(admitted.call(machine, *args))


def _build(machine):
    state, target = machine.pop(), machine.top()
    if type(target) is DType:
        target.set_state(state)
    elif type(target) is np.ndarray and id(target) in machine.unbuilt:
        build_array(machine, target, state)
    else:
        raise UnpicklingError(f"refused to set the state of {_what(target)}")


# Operations that are refused in words of their own.


def _refuse_name(machine):
    module, name = machine.name(), machine.name()
    raise UnpicklingError(
        f"refused {written(module)}.{written(name)}, and the operation INST to call it"
    )


def _refuse_extension(form, n):
    def refuse(machine):
        raise UnpicklingError(f"refused the copyreg extension code {machine.number(form, n)}")

    return refuse


def _refuse_persistent(machine):
    raise UnpicklingError(f"refused the persistent id {written(machine.name())}")


def _refuse_persistent_value(machine):
    raise UnpicklingError(f"refused the persistent id of {_what(machine.pop())}")


_UTF8 = ("utf-8", "surrogatepass")
OPERATIONS = {
    pickle.PROTO: _protocol,
    pickle.FRAME: _frame,
    pickle.NONE: lambda machine: machine.push(None),
    pickle.NEWTRUE: lambda machine: machine.push(True),
    pickle.NEWFALSE: lambda machine: machine.push(False),
    pickle.INT: _int,
    pickle.BININT: lambda machine: machine.push(machine.number("<i", 4)),
    pickle.BININT1: lambda machine: machine.push(machine.take(1)[0]),
    pickle.BININT2: lambda machine: machine.push(machine.number("<H", 2)),
    pickle.LONG: lambda machine: machine.push(_decimal(machine.short_line().removesuffix(b"L"))),
    pickle.LONG1: lambda machine: _long(machine, machine.take(1)[0]),
    pickle.LONG4: lambda machine: _long(machine, machine.number("<i", 4)),
    pickle.FLOAT: _float,
    pickle.BINFLOAT: lambda machine: machine.push(machine.number(">d", 8)),
    pickle.STRING: _old_string,
    pickle.BINSTRING: _binary_string,
    pickle.SHORT_BINSTRING: _text("<B", 1, "latin1"),
    pickle.UNICODE: _unicode,
    pickle.BINUNICODE: _text("<I", 4, *_UTF8),
    pickle.BINUNICODE8: _text("<Q", 8, *_UTF8),
    pickle.SHORT_BINUNICODE: _text("<B", 1, *_UTF8),
    pickle.BINBYTES: _bytes("<I", 4),
    pickle.BINBYTES8: _bytes("<Q", 8),
    pickle.SHORT_BINBYTES: _bytes("<B", 1),
    pickle.BYTEARRAY8: _bytearray,
    pickle.EMPTY_TUPLE: lambda machine: machine.push(()),
    pickle.TUPLE1: _tuple(1),
    pickle.TUPLE2: _tuple(2),
    pickle.TUPLE3: _tuple(3),
    pickle.TUPLE: _marked(tuple),
    pickle.EMPTY_LIST: lambda machine: machine.push([]),
    pickle.LIST: _marked(list),
    pickle.APPEND: _append,
    pickle.APPENDS: _appends,
    pickle.EMPTY_DICT: lambda machine: machine.push({}),
    pickle.DICT: _dict,
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: lambda machine: _set_items(machine, machine.pop_mark()),
    pickle.MARK: _mark,
    pickle.POP: _pop,
    pickle.POP_MARK: lambda machine: machine.pop_mark(),
    pickle.DUP: lambda machine: machine.push(machine.top()),
    pickle.PUT: lambda machine: machine.put(_index(machine)),
    pickle.BINPUT: lambda machine: machine.put(machine.take(1)[0]),
    pickle.LONG_BINPUT: lambda machine: machine.put(machine.number("<I", 4)),
    pickle.MEMOIZE: lambda machine: machine.put(len(machine.memo)),
    pickle.GET: lambda machine: machine.get(_index(machine)),
    pickle.BINGET: lambda machine: machine.get(machine.take(1)[0]),
    pickle.LONG_BINGET: lambda machine: machine.get(machine.number("<I", 4)),
    pickle.GLOBAL: _global,
    pickle.STACK_GLOBAL: _stack_global,
    pickle.REDUCE: _reduce,
    pickle.BUILD: _build,
    pickle.INST: _refuse_name,
    pickle.EXT1: _refuse_extension("<B", 1),
    pickle.EXT2: _refuse_extension("<H", 2),
    pickle.EXT4: _refuse_extension("<i", 4),
    pickle.PERSID: _refuse_persistent,
    pickle.BINPERSID: _refuse_persistent_value,
}
REFUSED = {
    getattr(pickle, name): name
    for name in (
        "OBJ",
        "NEWOBJ",
        "NEWOBJ_EX",
        "NEXT_BUFFER",
        "READONLY_BUFFER",
        "EMPTY_SET",
        "ADDITEMS",
        "FROZENSET",
    )
}
