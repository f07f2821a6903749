"""Folders of frames: regular files inside, of known formats and of bounded size."""

import os
import struct
import zlib

import numpy as np
import pytest

from inforeg_sk.features import VideoFrames

Image = pytest.importorskip("PIL.Image")


def read(folder, **params):
    params = {"n_frames": 1, "size": 4, "normalize": None, **params}
    return VideoFrames(**params).fit_transform([folder])


@pytest.fixture
def folder(tmp_path):
    """A folder of one white image."""
    (tmp_path / "clip").mkdir()
    Image.new("RGB", (8, 6), "white").save(tmp_path / "clip" / "0.png")
    return tmp_path / "clip"


def refused(folder, message, **params):
    with pytest.raises(
        ValueError, match=rf"sample 0, '.*{folder.name}': image '0\.\w+': {message}"
    ):
        read(folder, **params)


def replace(folder, content, name="0.png"):
    (folder / "0.png").unlink()
    (folder / name).write_bytes(content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_opened(folder):
    (folder / "0.png").unlink()
    os.mkfifo(folder / "0.png")
    refused(folder, "it is not a regular file")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a pointer of git"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "it is not an image of a known"),
        (b"GIF89a\x08\0\x08\0\0\0\0;", "it is not an image of a known format"),
        (b"no image", "it is not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), r"it is damaged or not an image \("),
    ],
)  # fmt: skip
def test_what_is_no_image_is_named(folder, content, message):
    replace(folder, content)
    refused(folder, message)


def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path):
    (folder / "0.png").rename(tmp_path / "outside.png")
    (folder / "0.png").symlink_to(tmp_path / "outside.png")
    refused(folder, ".*symbolic link to .*outside.png.*follow_links=True")
    assert read(folder, follow_links=True).min() == 1


def test_links_inside_and_of_the_user_are_followed(folder, tmp_path):
    (folder / "0.png").rename(folder / "white.data")
    (folder / "0.png").symlink_to("white.data")
    assert read(folder).min() == 1
    (tmp_path / "link").symlink_to(folder)
    assert read(tmp_path / "link").min() == 1


def test_a_link_to_nothing_is_named(folder):
    (folder / "0.png").unlink()
    (folder / "0.png").symlink_to("missing.png")
    refused(folder, ".*there is no such file")


def png(width, height):
    """A PNG that claims a size, of a few bytes."""

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bmp(width, height):
    head = struct.pack("<IIIIiiHHII", 99, 0, 54, 40, width, height, 1, 24, 0, 0)
    return b"BM" + head + bytes(40)


def webp(kind):
    """A WebP that claims 16,000 x 16,000 pixels, which Pillow would allocate at once."""
    side = 16_000 - 1
    body = {
        b"VP8X": bytes(4) + side.to_bytes(3, "little") * 2,
        b"VP8L": b"\x2f" + (side | side << 14).to_bytes(4, "little") + bytes(9),
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", side + 1, side + 1),
    }[kind]
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@pytest.mark.parametrize(
    "name, content",
    [
        ("0.png", png(50_000, 50_000)),
        ("0.bmp", bmp(50_000, 50_000)),
        ("0.ppm", b"P6 50000 50000 255\n" + bytes(40)),
        *[("0.webp", webp(kind)) for kind in (b"VP8X", b"VP8L", b"VP8 ")],
    ],
)  # fmt: skip
def test_the_size_that_an_image_claims_is_checked_first(folder, name, content):
    replace(folder, content, name)
    refused(folder, r"it has \d+ x \d+ pixels, .*max_bytes=1073741824 is the limit")


@pytest.mark.filterwarnings("error")
def test_the_limit_is_ours_and_not_that_of_pillow(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # of more than 20 it makes an error
    assert read(folder, max_bytes=16 * 8 * 6).min() == 1
    refused(folder, "it has 8 x 6 pixels", max_bytes=16 * 8 * 6 - 1)


@pytest.mark.parametrize("name", ["0.bmp", "0.jpg", "0.jpeg", "0.png", "0.ppm", "0.tif", "0.webp"])
@pytest.mark.parametrize("suffix", ["own", ".png"])
def test_all_formats_are_read_whatever_the_name_says(tmp_path, name, suffix):
    (tmp_path / "clip").mkdir()
    path = tmp_path / "clip" / name
    Image.new("RGB", (8, 6), "white").save(path)
    if suffix != "own":
        path.rename(path.with_suffix(suffix))
    np.testing.assert_array_equal(read(tmp_path / "clip"), 1)


def test_lack_of_memory_is_named(folder, monkeypatch):
    def exhausted(*args):
        raise MemoryError

    monkeypatch.setattr("inforeg_sk.features._frames_folder.resize", exhausted)
    refused(folder, "reading it needs more memory")


def test_a_worker_reads_the_same(folder, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "0.png").write_bytes(b"no image")
    reader = VideoFrames(1, size=4, normalize=None, isolate=True, n_jobs=2, on_error="zeros")
    with pytest.warns(UserWarning, match=r"(?s)1 of 2 samples.*sample 1.*image '0\.png'"):
        frames = reader.fit([folder]).transform([folder, bad])
    np.testing.assert_array_equal(frames[0], read(folder)[0])
    assert not frames[1].any()
