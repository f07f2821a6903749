"""The machine that a pickle is a program for, without the operations that could do harm."""

import io
import pickle
import sys
from pickle import UnpicklingError
from struct import unpack

from ._pickle_names import ADMITTED
from ._pickle_operations import OPERATIONS, REFUSED, written

__all__ = ["Machine"]

# Memory that one operation may take, in bytes: an empty list, its place on the stack or in the
# memo, and in the table of those walked through (measured: 220). A file may have as many
# operations as bytes.
_OPERATION = 256
_SMALL = 256  # bytes; a longer text, or longer bytes, are checked against what is left of the file
_LINE = 256  # bytes of a line that holds a number or a name


class Machine:
    """Runs one pickle: a stack, a memo, and the operations that values, containers and arrays need.

    It is not derived from `pickle._Unpickler`, so that nothing runs but `OPERATIONS`, whatever the
    version of Python. Nothing is allocated for a size that the file claims but does not have.

    Parameters
    ----------
    file : buffered binary file
        It must be seekable; the pickle starts where it stands.
    max_bytes : int
        Memory in bytes that the objects may take that the program makes, thrown away or not.
    """

    def __init__(self, file, max_bytes):
        start = file.tell()
        self.end = file.seek(0, io.SEEK_END)
        self.size = self.end - start
        file.seek(start)
        self.file = file
        self.max_bytes = max_bytes
        self.room = max_bytes
        self.stack = []
        self.below = []  # the stacks below each mark
        self.memo = {}  # an index is only a key: a large one takes no more memory
        self.unbuilt = {}  # by id: arrays that have no state yet
        self.levels = {}  # by id: how deep object arrays are nested in one another, and the array

    def run(self):
        """Return the object that the program makes."""
        read = self.file.read
        while True:
            code = read(1)
            if code == pickle.STOP:
                break
            try:
                operation = OPERATIONS[code]
            except KeyError:
                raise UnpicklingError(_unknown(code)) from None
            self.room -= _OPERATION
            if self.room < 0:
                self.charge(0)
            operation(self)
        value = self.pop()
        if self.unbuilt:
            raise UnpicklingError("an array has no state")
        return value

    def charge(self, n_bytes):
        """Count memory that the program takes; raise if there is no room for it."""
        self.room -= n_bytes
        if self.room < 0:
            raise UnpicklingError(
                f"the pickle would take more memory than max_bytes={self.max_bytes}"
            )

    def take(self, n):
        """Return the next `n` bytes of the file."""
        if n > _SMALL:
            self.check_left(n)
            self.charge(n)
        data = self.file.read(n)
        if len(data) != n:
            raise UnpicklingError("the pickle is damaged: it ends early")
        return data

    def check_left(self, n):
        left = self.end - self.file.tell()
        if n > left:
            raise UnpicklingError(
                f"the pickle is damaged: it claims {n} more bytes, of which {left} are there"
            )

    def number(self, form, n):
        return unpack(form, self.take(n))[0]

    def short_line(self):
        """Return the next line, of a number or a name, without its end."""
        return self._checked(self.file.readline(_LINE))

    def line(self):
        """Return the next line, of any length, without its end."""
        line = self._checked(self.file.readline())
        self.charge(len(line))
        return line

    def _checked(self, line):
        if not line.endswith(b"\n"):
            raise UnpicklingError("the pickle is damaged: a line is too long or ends early")
        return line[:-1]

    def name(self):
        return self.short_line().decode("utf-8")

    def text(self, data, *decoding):
        text = data.decode(*decoding)
        if len(data) > _SMALL:  # one character beyond latin1 makes all of them wider
            self.charge(sys.getsizeof(text))
        return text

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        try:
            return self.stack.pop()
        except IndexError:
            raise UnpicklingError("the pickle is damaged: its stack is empty") from None

    def top(self):
        try:
            return self.stack[-1]
        except IndexError:
            raise UnpicklingError("the pickle is damaged: its stack is empty") from None

    def pop_mark(self):
        """Return what lies above the last mark."""
        items = self.stack
        try:
            self.stack = self.below.pop()
        except IndexError:
            raise UnpicklingError("the pickle is damaged: a mark is missing") from None
        return items

    def find(self, module, name):
        # The whole name is looked up, so dots in it lead nowhere; nothing is imported.
        admitted = ADMITTED.get((module, name))
        if admitted is None:
            raise UnpicklingError(
                f"refused {written(module)}.{written(name)}: the pickle may only name what "
                "arrays need"
            )
        return admitted

    def put(self, index):
        self.memo[index] = self.top()

    def get(self, index):
        try:
            self.push(self.memo[index])
        except KeyError:
            raise UnpicklingError(f"the pickle is damaged: its memo has no entry {index}") from None


def _unknown(code):
    if not code:
        return "the pickle is damaged: it ends early"
    if code in REFUSED:
        return f"refused the operation {REFUSED[code]}, which arrays do not need"
    return f"the pickle is damaged or not a pickle: {code!r} is not an operation"
