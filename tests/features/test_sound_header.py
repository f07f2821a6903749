"""Headers of sound files: the chunk of samples must be whole, whatever the other sizes say."""

import struct

import pytest
from recordings import noise

from inforeg_sk.features import _sound_header
from inforeg_sk.features._sound_header import check_complete
from inforeg_sk.utils.files import BadFile

soundfile = pytest.importorskip("soundfile")

# Format and byte order of soundfile.
KINDS = {
    "RIFF": ("WAV", "LITTLE"),
    "RIFX": ("WAV", "BIG"),
    "RF64": ("RF64", "FILE"),
    "W64": ("W64", "FILE"),
    "AIFF": ("AIFF", "FILE"),
    "8SVX": ("SVX", "FILE"),
    "CAF": ("CAF", "FILE"),
    "AU": ("AU", "BIG"),
    "AU of little order": ("AU", "LITTLE"),
}
FMT = (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
SOUND = bytes(range(101))


def check(path, content):
    path.write_bytes(content)
    check_complete(path, len(content))


def riff(*chunks, size=None, magic=b"RIFF"):
    """A WAV file of chunks: id, content and, if it is not the true one, the size it claims."""
    body = b"WAVE"
    for name, content, *claim in chunks:
        body += name + struct.pack("<I", *(claim or [len(content)])) + content
    return magic + struct.pack("<I", len(body) if size is None else size) + body


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_passes_and_a_cut_one_does_not(tmp_path, kind):
    path, (format_, endian) = tmp_path / "a", KINDS[kind]
    soundfile.write(path, noise(0.1), 8000, "PCM_16", endian, format_)
    content = path.read_bytes()
    end = len(content)  # these end with the sound
    check(path, content)
    check(path, content + b"what follows the sound")
    for cut in (end - 2, end - 500):
        with pytest.raises(BadFile, match=rf"truncated: {cut} bytes, .* promises {end};"):
            check(path, content[:cut])


@pytest.mark.parametrize("off", [-9, -8, -4, 4, 8, 1000])
def test_a_wrong_size_of_the_whole_is_no_damage(tmp_path, off):
    size = len(riff(FMT, (b"data", SOUND))) - 8
    check(tmp_path / "a", riff(FMT, (b"data", SOUND), size=size + off))


def test_the_last_byte_of_padding_may_be_missing(tmp_path):
    assert len(SOUND) % 2
    check(tmp_path / "a", riff(FMT, (b"data", SOUND + b"\0", len(SOUND))))
    check(tmp_path / "a", riff(FMT, (b"data", SOUND)))
    with pytest.raises(BadFile, match="truncated"):
        check(tmp_path / "a", riff(FMT, (b"data", SOUND[:-1], len(SOUND))))


def test_odd_chunks_before_the_sound_may_be_padded_or_not(tmp_path):
    for pad in (b"", b"\0"):
        odd = (b"LIST", b"odd" + pad, 3)
        check(tmp_path / "a", riff(FMT, odd, (b"data", SOUND)))
        with pytest.raises(BadFile, match="truncated"):
            check(tmp_path / "a", riff(FMT, odd, (b"data", SOUND, 999)))


@pytest.mark.parametrize("unknown", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_an_unknown_size_is_no_promise(tmp_path, unknown):
    sound = (b"data", SOUND, unknown)
    check(tmp_path / "a", riff(FMT, sound))
    check(tmp_path / "a", riff(FMT, sound, size=unknown))
    check(tmp_path / "a", b".snd" + struct.pack(">IIIII", 24, unknown, 2, 8000, 1) + SOUND)
    if unknown in (0, 0x7FFFF000):  # the size of the whole is known, and too large
        with pytest.raises(BadFile, match="truncated"):
            check(tmp_path / "a", riff(FMT, sound, size=500))


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_the_size_of_a_large_file_stands_in_its_first_chunk(tmp_path, magic):
    def rf64(n):
        sizes = (b"ds64", struct.pack("<QQQI", 0, n, 0, 0))
        return riff(sizes, FMT, (b"data", SOUND, 0xFFFFFFFF), size=0xFFFFFFFF, magic=magic)

    for n in (len(SOUND), 5, 0, 2**64 - 1):
        check(tmp_path / "a", rf64(n))
    for n in (len(SOUND) + 1, 2**40):
        with pytest.raises(BadFile, match="truncated"):
            check(tmp_path / "a", rf64(n))


def test_a_header_that_is_cut_is_truncated(tmp_path):
    content = riff(FMT, (b"data", SOUND))
    for cut in (12, 20, 40):
        with pytest.raises(BadFile, match=f"truncated: {cut} bytes"):
            check(tmp_path / "a", content[:cut])


def test_noise_and_other_formats_pass(tmp_path):
    for content in (b"x", b"RIFF", b"RIFFxx", b"riff" + bytes(60), b"fLaC" + bytes(99), b".snd"):
        check(tmp_path / "a", content)


@pytest.mark.parametrize("magic", [b"RIFF", b"RF64", b"FORM", b"caff", _sound_header._W64_RIFF])
def test_the_walk_is_bounded(tmp_path, monkeypatch, magic):
    """Millions of empty chunks, or chunks that claim no progress."""
    sizes = []

    class Counted:
        def __init__(self, file):
            self.file = file

        def seek(self, at):
            return self.file.seek(at)

        def read(self, n):
            sizes.append(n)
            return self.file.read(n)

    path = tmp_path / "a"
    path.write_bytes(magic + bytes(400_000))
    with open(path, "rb") as file:
        assert _sound_header._promised(Counted(file), 400_000) is None
    assert len(sizes) <= _sound_header._MAX_CHUNKS + 2 and max(sizes) <= 24
