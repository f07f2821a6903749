"""Headers of sound files: whether a file holds all of the sound that its header promises."""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ..utils.files import BadFile

__all__ = ["check_complete"]

# Many more chunks than files have; a header of noise could claim millions of empty ones.
_MAX_CHUNKS = 10_000
# A file that is written to a pipe has such a size in its header, since its length is not yet known:
# 0, or nearly as large as can be.
_UNKNOWN_32 = 0x7FFFF000
_UNKNOWN_64 = 2**62
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


class _Form(NamedTuple):
    """How a family of formats writes its chunks."""

    first: int  # where the first chunk begins
    id_bytes: int
    size_bytes: int
    order: str
    inclusive: bool  # whether the size of a chunk counts its own id and size
    align: int
    sound: tuple[bytes, ...]  # ids of the chunk that holds the samples


_RIFF = _Form(12, 4, 4, "little", False, 2, (b"data",))
_AIFF = _Form(12, 4, 4, "big", False, 2, (b"SSND", b"BODY"))
_FORMS = {
    b"RIFF": _RIFF,
    b"RIFX": _RIFF._replace(order="big"),
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"FORM": _AIFF,
    b"riff": _Form(40, 16, 8, "little", True, 8, (_W64_DATA,)),
    b"caff": _Form(8, 4, 8, "big", False, 1, (b"data",)),
}


def check_complete(path: str | os.PathLike[str], n_bytes: int) -> None:
    """Raise if a sound file ends before its sound does, as its header has it.

    The chunk of samples decides, not the size of the whole, which some recorders get wrong by a few
    bytes. Formats whose decoders notice the end themselves (FLAC, OGG, MP3) are not looked at.

    Parameters
    ----------
    path : str or path-like
        WAV (RIFF, RIFX, RF64, BW64), W64, AIFF, AIFC, 8SVX, CAF or AU; others pass.
    n_bytes : int
        Size of the file.

    Raises
    ------
    BadFile
        A size that is unknown, as in a file written to a pipe, is no promise.
    """
    with open(path, "rb") as file:
        promised = _promised(file, n_bytes)
    # The byte that pads a chunk of odd size is often left out at the end of a file; it is not
    # counted here, but the size of the whole counts it.
    if promised is not None and promised > n_bytes:
        raise BadFile(
            f"it is truncated: {n_bytes} bytes, but its header promises {promised}; expected a "
            "complete file"
        )


def _promised(file: BinaryIO, n_bytes: int) -> int | None:
    """Return the size that the header promises; None if it says nothing."""
    head = file.read(16)
    magic = head[:4]
    if magic in (b".snd", b"dns."):
        return _au(head, "big" if magic == b".snd" else "little")
    form = _FORMS.get(magic)
    if form is None or (magic == b"riff" and head != _W64_RIFF):
        return None
    of_ds64 = None
    for name, start, size in _chunks(file, form, n_bytes):
        if name == b"ds64":
            file.seek(start + 8)
            of_ds64 = int.from_bytes(file.read(8), "little")
        elif name in form.sound:
            if magic in (b"RF64", b"BW64") and size == 0xFFFFFFFF and of_ds64 is not None:
                size = of_ds64 if of_ds64 < _UNKNOWN_64 else 0
            elif _is_unknown(size, form):
                size = 0
            if size:
                return start + size
            break
    if magic in (b"RIFF", b"RIFX", b"FORM") and len(head) >= 8:
        size = int.from_bytes(head[4:8], form.order)
        return None if _is_unknown(size, form) else size + 7  # without a last byte of padding
    return None


def _is_unknown(size: int, form: _Form) -> bool:
    return size == 0 or size >= (_UNKNOWN_32 if form.size_bytes == 4 else _UNKNOWN_64)


def _chunks(file: BinaryIO, form: _Form, n_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the id of each chunk, where its content starts, and the size that it claims."""
    at, length = form.first, form.id_bytes + form.size_bytes
    for _ in range(_MAX_CHUNKS):
        if at + length > n_bytes:
            return
        file.seek(at)
        head = file.read(length)
        name, start = head[: form.id_bytes], at + length
        size = int.from_bytes(head[form.id_bytes :], form.order)
        if form.inclusive:
            size = max(0, size - length)
        yield name, start, size
        end = start + size
        at = end + -end % form.align
        if at != end and end + length <= n_bytes:  # some writers leave the padding out
            file.seek(end)
            at = end if file.read(form.id_bytes) in form.sound else at


def _au(head: bytes, order: str) -> int | None:
    start, size = int.from_bytes(head[4:8], order), int.from_bytes(head[8:12], order)
    return None if len(head) < 12 or size == 0 or size >= _UNKNOWN_32 else start + size
