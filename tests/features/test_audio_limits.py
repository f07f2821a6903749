"""Audio front ends on files that claim too much or are not sound, and in worker processes."""

import os
import struct

import numpy as np
import pytest
from recordings import FRONT_ENDS, make, noise, write

from inforeg_sk.features import LogMel, LogSTFT, _sound

soundfile = pytest.importorskip("soundfile")


def refused(path, message, **settings):
    with pytest.raises(ValueError, match=rf"(?s)Sample 0 \('.*{path.name}'\): .*{message}"):
        make(LogMel, **settings).fit_transform([path])


def test_a_size_that_counts_its_own_bytes_is_no_damage(tmp_path):
    path = tmp_path / "a.wav"
    write(path, noise(0.5))
    expected = make(LogMel).fit_transform([path])
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", len(data))
    path.write_bytes(data)
    np.testing.assert_array_equal(make(LogMel).fit_transform([path]), expected)


def test_the_claims_of_a_header_are_checked_first(tmp_path):
    path = tmp_path / "a.wav"
    write(path, noise(0.5))
    n = 12 * len(noise(0.5))
    assert make(LogMel, max_bytes=n).fit_transform([path]).any()
    refused(path, "4000 samples at 8000 Hz.*max_bytes=47999 is the limit", max_bytes=n - 1)
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", 2**31 - 1)  # the sampling rate
    path.write_bytes(data)
    refused(path, "it is too short: 0.000 s", short="error")


def test_many_channels_are_read_in_blocks(tmp_path, monkeypatch):
    sound = np.stack([noise(0.5, seed=i) for i in range(7)], axis=1)
    path = tmp_path / "a.wav"
    write(path, sound)
    expected = make(LogSTFT).fit_transform([path])
    for block in (1, 7, 100, 7 * 4000 - 1):
        monkeypatch.setattr(_sound, "_BLOCK", block)
        np.testing.assert_array_equal(make(LogSTFT).fit_transform([path]), expected)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of git-lfs"),
    ],
)
def test_what_stands_in_place_of_sound_is_named(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    refused(tmp_path / "a.wav", f"{message}.*expected a path to an audio file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    refused(tmp_path / "a.wav", "it is not a regular file")


@pytest.mark.parametrize("error", [MemoryError(), SystemError("odd"), KeyError("k")])
@pytest.mark.parametrize("step", ["read", "resample"])
def test_errors_of_libraries_name_the_sample(tmp_path, monkeypatch, error, step):
    librosa = pytest.importorskip("librosa")

    def fail(*args, **more):
        raise error

    path = tmp_path / "a.wav"
    write(path, noise(1), 16000)
    owner = soundfile.SoundFile if step == "read" else librosa
    monkeypatch.setattr(owner, step, fail)
    refused(path, "expected")


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_workers_compute_the_same(tmp_path, kind):
    paths = [write(tmp_path / f"{i}.wav", noise(0.5, seed=i)) for i in range(3)]
    paths.insert(1, str(tmp_path / "none.wav"))
    expected = make(kind).fit_transform([paths[0], *paths[2:]])
    front_end = make(kind, isolate=True, n_jobs=2, on_error="missing")
    with pytest.warns(UserWarning, match=r"(?s)1 of 4 samples.*Sample 1 .*there is no such file"):
        got = front_end.fit_transform(paths)
    np.testing.assert_array_equal(got[[0, 2, 3]], expected)
    assert np.isnan(got[1]).all()


class Crashing(LogMel):
    """Ends its process."""

    def _features(self, sound):
        os._exit(3)


def test_a_crash_or_a_hang_names_the_sample(tmp_path):
    path = write(tmp_path / "a.wav", noise(0.5))
    settings = {**make(LogMel).get_params(), "isolate": True}
    with pytest.raises(ValueError, match=r"Sample 0 \('.*a\.wav'\): .*crashed"):
        Crashing(**settings).fit_transform([path])
    with pytest.raises(ValueError, match=r"Sample 0 \('.*a\.wav'\): .*\(time_limit\)"):
        LogMel(**{**settings, "time_limit": 1e-6}).fit_transform([path])
