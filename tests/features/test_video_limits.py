"""Video files that claim too much, lead elsewhere or are damaged."""

import math
import os
from fractions import Fraction

import numpy as np
import pytest

from inforeg_sk.features import VideoFrames, _video_reading
from inforeg_sk.features._clip import Limits

av = pytest.importorskip("av")
pytest.importorskip("PIL.Image")

SIZE = (32, 48)
LIMITS = Limits(2**20, 100, "error", False, 300)


def write(path, n=20, codec="mpeg4", pix_fmt="yuv420p"):
    """A video of grey frames, at 10 a second."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = pix_fmt
        for i in range(n):
            array = np.full((*SIZE, 3), 10 * i, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        film.mux(stream.encode())
    return path


def read(path, **params):
    return VideoFrames(**{"size": 4, "normalize": None, **params}).fit_transform([path])


def refused(path, message, **params):
    with pytest.raises(ValueError, match=rf"(?s)sample 0, '.*{path.name}': .*({message})"):
        read(path, **params)


def test_a_time_of_weeks_is_an_error(tmp_path):
    path = write(tmp_path / "a.flv", 4, "flv")
    data, at, last = bytearray(path.read_bytes()), 13, None
    while at + 11 <= len(data):
        last = at if data[at] == 9 else last
        at += 15 + int.from_bytes(data[at + 1 : at + 4], "big")
    data[last + 7] = 0x7F  # the highest byte of the time in milliseconds
    path.write_bytes(data)
    refused(path, r"frame \d+.* at 2\.13\d+e\+06 s.*max_duration=7200 is the limit")


def test_max_duration_is_a_parameter(tmp_path):
    path = write(tmp_path / "a.mp4")  # of 2 s
    assert read(path, max_duration=2).any()
    refused(path, r"frame 19, the last one, ends at 2 s.*max_duration=1\.95 ", max_duration=1.95)
    refused(path, r"frame 11 is at 1\.1 s.*max_duration=1 ", max_duration=1)
    refused(path, r"frame 11 is at 1\.1 s", max_duration=1, fps=None)


@pytest.mark.parametrize("fps", [None, 3, 0.3, 30, Fraction(10, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_frames_are_chosen_as_by_counting(monkeypatch, fps, seed):
    """Times go on, stand still or go back."""
    times = np.random.default_rng(seed).integers(-200, 900, 30).cumsum()
    monkeypatch.setattr(_video_reading._Chosen, "_convert", lambda self, frame: frame)
    chosen, expected = _video_reading._Chosen(fps, (1, 1), LIMITS), []
    for i, end in enumerate(Fraction(int(t), 1000) for t in times):
        chosen.add_until(end, i)
        if fps is None:
            expected.append(i)
        while fps and (not expected or len(expected) / Fraction(fps) + Fraction(1, 1000) < end):
            expected.append(i)
    assert chosen.frames == expected


def test_frames_to_choose_from_are_bounded(tmp_path):
    path = write(tmp_path / "a.mp4")
    one = 3 * 4 * 4 + 128
    assert read(path, fps=10, max_bytes=16 * math.prod(SIZE)).any()
    big = 16 * math.prod(SIZE)
    n = big // one + 1
    # A frame on screen for long counts each time, and nothing is counted one by one.
    refused(path, "frames of 4 x 4 pixels to choose from .*max_bytes", fps=5 * n, max_bytes=big)
    refused(path, "frames of 4 x 4 pixels to choose from .*max_bytes", fps=1e30)


def test_the_size_of_frames_is_bounded(tmp_path):
    path = write(tmp_path / "a.mp4")
    n = 16 * math.prod(SIZE)
    assert read(path, max_bytes=n).any()
    refused(path, "pixels", max_bytes=n - 1)


@pytest.mark.parametrize(
    "head",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 26\n",
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">{}</MPD>\n',
        ";FFMETADATA1\ntitle={}\n",
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "list.m3u8", "list.ffconcat", "a.sdp", "a.mpd"])
def test_a_list_of_other_files_is_not_followed(tmp_path, head, name):
    write(tmp_path / "other.mkv")
    path = tmp_path / name
    for other in ("other.mkv", tmp_path / "other.mkv"):
        path.write_text(head.format(other))
        refused(path, "not a video|holds no video")


def test_a_name_with_a_number_is_no_series_of_images(tmp_path):
    path = write(tmp_path / "clip%03d.mp4")
    assert read(path).any()
    assert read(write(tmp_path / "a:b,c|d.mp4")).any()


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj420p"),
        ("a.3gp", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.ts", "mpeg4", "yuv420p"),
        ("a.asf", "mpeg4", "yuv420p"),
        ("a.wmv", "wmv2", "yuv420p"),
        ("a.nut", "mpeg4", "yuv420p"),
        ("a.m4v", "mpeg4", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.apng", "apng", "rgb24"),
    ],
)
def test_formats_of_video_are_read(tmp_path, name, codec, pix_fmt):
    frames = read(write(tmp_path / name, codec=codec, pix_fmt=pix_fmt))
    assert 0.05 < frames[0, 0, 0].mean() < frames[0, 0, 1].mean() < frames[0, 0, 2].mean()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of git-lfs"),
    ],
)
def test_what_stands_in_place_of_a_video_is_named(tmp_path, content, message):
    (tmp_path / "a.mp4").write_bytes(content)
    refused(tmp_path / "a.mp4", message)


def test_pipes_and_texts_are_not_opened(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "a.mp4")
        refused(tmp_path / "a.mp4", "it is not a regular file")
    with pytest.raises(ValueError, match=r"sample 0.*cannot be opened") as caught:
        read("no path " * 999)
    assert len(str(caught.value)) < 1500


def breaks(monkeypatch, n, error):
    """Decoding fails after `n` frames."""
    plain = _video_reading._opened

    class Broken:
        def __init__(self, container):
            self.container, self.streams = container, container.streams

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.container.close()

        close = __exit__

        def decode(self, stream):
            for i, frame in enumerate(self.container.decode(stream)):
                if i == n:
                    raise error
                yield frame

    monkeypatch.setattr(_video_reading, "_opened", lambda *args: Broken(plain(*args)))


def test_a_video_that_breaks_is_an_error_or_kept(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4")
    breaks(monkeypatch, 10, OSError(5, "no more"))
    refused(
        path, r"frame 10 cannot be decoded \(OSError: no more\); damaged='keep' uses the frames"
    )
    assert read(path, n_frames=10, fps=10, short="error", damaged="keep").any()
    breaks(monkeypatch, 0, OSError(5, "no more"))
    refused(path, r"frame 0 cannot be decoded \(OSError: no more\)\.$", damaged="keep")


@pytest.mark.parametrize("damaged", ["error", "keep"])
def test_lack_of_memory_is_named_and_no_damage(tmp_path, monkeypatch, damaged):
    path = write(tmp_path / "a.mp4")
    breaks(monkeypatch, 3, MemoryError())
    refused(path, "reading it needs more memory than there is", damaged=damaged)


def test_the_time_limit_acts_between_frames(tmp_path):
    path = write(tmp_path / "a.mp4")
    refused(path, r"more than 1e-09 s \(time_limit\)", time_limit=1e-9)


def test_workers_read_the_same(tmp_path):
    path = write(tmp_path / "a.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"noise" * 99)
    reader = VideoFrames(size=4, isolate=True, n_jobs=2, on_error="missing").fit([path])
    with pytest.warns(UserWarning, match=r"(?s)1 of 3 samples.*sample 1, .*bad\.mp4"):
        frames = reader.transform([path, tmp_path / "bad.mp4", path])
    expected = VideoFrames(size=4).fit_transform([path])[0]
    np.testing.assert_array_equal(frames[[0, 2]], [expected, expected])
    assert np.isnan(frames[1]).all()
