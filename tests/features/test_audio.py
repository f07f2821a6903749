"""Audio front ends: what librosa gives directly, lengths, channels, rates, forms of X."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from recordings import FRONT_ENDS, RATE, make, noise, samples, six_recordings, write

from inforeg_sk import ModalityDict
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.features import MFCC, LogMel, LogSTFT

librosa = pytest.importorskip("librosa")
soundfile = pytest.importorskip("soundfile")


@pytest.fixture
def paths(tmp_path):
    return six_recordings(tmp_path)


# Against librosa.


def test_log_stft_is_librosas(paths):
    got = make(LogSTFT).fit_transform(paths)
    assert got.shape == (6, 41, 129)
    assert got.dtype == np.float32
    for path, spectrum in zip(paths, got, strict=True):
        sound, _ = librosa.load(path, sr=None)
        expected = np.log(np.abs(librosa.stft(sound, n_fft=256, hop_length=100)) + 1e-7)
        np.testing.assert_allclose(spectrum, expected.T, atol=1e-5)


@pytest.mark.parametrize("ref, top_db", [(1.0, 80.0), ("max", None), (0.5, 30)])
def test_log_mel_is_librosas(paths, ref, top_db):
    got = make(LogMel, fmin=50.0, fmax=3500, ref=ref, top_db=top_db).fit_transform(paths)
    assert got.shape == (6, 41, 20)
    for path, spectrum in zip(paths, got, strict=True):
        sound, _ = librosa.load(path, sr=None)
        power = librosa.feature.melspectrogram(
            y=sound, sr=RATE, n_fft=256, hop_length=100, n_mels=20, fmin=50, fmax=3500
        )
        expected = librosa.power_to_db(power, ref=np.max if ref == "max" else ref, top_db=top_db)
        np.testing.assert_allclose(spectrum, expected.T, atol=1e-5)


@pytest.mark.parametrize("deltas", [0, 1, 2])
def test_mfcc_is_librosas(paths, deltas):
    got = make(MFCC, deltas=deltas, delta_width=5).fit_transform(paths)
    assert got.shape == (6, 41, 10 * (1 + deltas))
    for path, cepstra in zip(paths, got, strict=True):
        sound, _ = librosa.load(path, sr=None)
        mfcc = librosa.feature.mfcc(
            y=sound, sr=RATE, n_mfcc=10, n_fft=256, hop_length=100, n_mels=20
        )
        orders = [librosa.feature.delta(mfcc, width=5, order=k) for k in range(1, deltas + 1)]
        np.testing.assert_allclose(cepstra, np.concatenate([mfcc, *orders]).T, atol=1e-5)


@pytest.mark.parametrize("seconds", [1.3, 2.9, 4.2])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_crema_d_is_the_papers_recipe(tmp_path, seconds, rate):
    """Word by word what the authors' code does; at 1.3 times full scale, so that it clips."""
    loud = noise(seconds, rate) * 1.3 / 0.9
    path = write(tmp_path / "a.wav", loud, rate)
    assert np.abs(loud).max() > 1
    sound, _ = librosa.load(path, sr=22050)
    sound = np.tile(sound, 3)[: 22050 * 3]
    sound[sound > 1.0] = 1.0
    sound[sound < -1.0] = -1.0
    expected = np.log(np.abs(librosa.stft(sound, n_fft=512, hop_length=353)) + 1e-7)
    got = LogSTFT.crema_d().fit_transform([path])
    assert got.shape == (1, 188, 257)
    np.testing.assert_allclose(got[0], expected.T, atol=1e-5)


def test_crema_d_takes_other_settings():
    front_end = LogSTFT.crema_d(duration=2, n_jobs=2)
    assert (front_end.duration, front_end.n_jobs, front_end.short) == (2, 2, "tile")
    with pytest.raises(TypeError, match="nonsense"):
        LogSTFT.crema_d(nonsense=1)


def test_log_mel_gives_the_features_of_av_digits():
    """The shipped features were computed from the shipped sounds, by another programme."""
    digits = load_av_digits()
    front_end = LogMel(
        16000, 0.775, "error", n_fft=512, hop_length=400, n_mels=32, ref="max", top_db=50
    )
    got = 1 + front_end.fit_transform(digits.sample_paths) / 50
    shipped = digits.data["audio"][digits.sample_indices]
    np.testing.assert_allclose(got, shipped, atol=1e-3)


# Length, channels, rate.


def test_lengths_by_hand():
    X = [np.array([0.1, 0.2]), np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0.4, 0.3, 0.2, 0.1])]
    settings = {"sample_rate": 4, "duration": 1, "waveform_rate": 4}
    cut, whole = [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]
    for short, first in {"pad": [0.1, 0.2, 0, 0], "tile": [0.1, 0.2, 0.1, 0.2]}.items():
        np.testing.assert_allclose(
            samples(X, short=short, **settings), [first, cut, whole], rtol=1e-6
        )
    np.testing.assert_allclose(samples(X[1:], short="error", **settings), [cut, whole], rtol=1e-6)
    with pytest.raises(
        ValueError, match=r"Sample 0: it is too short: 0\.500 s, but duration is 1\.000 s"
    ):
        samples(X, short="error", **settings)


def test_tiling_ends_within_a_repetition():
    got = samples([np.array([1, 2, 3.0])], sample_rate=8, duration=1, short="tile", waveform_rate=8)
    np.testing.assert_array_equal(got, [[1, 2, 3, 1, 2, 3, 1, 2]])


def test_channels_are_averaged(tmp_path):
    left, right = noise(0.5, seed=1), noise(0.5, seed=2)
    stereo = write(tmp_path / "stereo.wav", np.stack([left, right], axis=1))
    mono = write(tmp_path / "mono.wav", (left + right) / 2)
    got = make(LogMel).fit_transform([stereo, mono])
    np.testing.assert_allclose(got[0], got[1], atol=1e-4)


@pytest.mark.parametrize("rate", [4000, 16000, 44100])
def test_resampling_is_that_of_the_whole_recording(tmp_path, rate):
    """Only the start of a file is read, which must not be heard at the cut."""
    sound = noise(3, rate)
    path = write(tmp_path / "a.wav", sound, rate)
    expected = librosa.resample(sound, orig_sr=rate, target_sr=RATE)[: RATE // 2]
    got = samples([path], sample_rate=RATE, duration=0.5)
    np.testing.assert_allclose(got[0], expected, atol=1e-6)


def test_a_tone_keeps_its_frequency(tmp_path):
    tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    front_end = make(LogSTFT)
    spectrum = front_end.fit_transform([write(tmp_path / "a.wav", tone, 44100)])[0]
    assert (spectrum[5:-5].argmax(axis=1) == 1000 * 256 // RATE).all()


@pytest.mark.parametrize("rate", [RATE, 16000])
@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_paths_and_waveforms_are_equal(tmp_path, kind, rate):
    lengths = [0.3, 0.5, 1.2]
    sounds = [noise(s, rate, seed=i) for i, s in enumerate(lengths)]
    files = [write(tmp_path / f"{i}.wav", sound, rate) for i, sound in enumerate(sounds)]
    of_paths = make(kind).fit_transform(files)
    ragged = np.empty(3, dtype=object)
    ragged[:] = sounds
    front_end = make(kind, waveform_rate=rate)
    for X in (
        sounds,
        ragged,
        [s.astype(np.float64) for s in sounds],
        ModalityDict({"a": sounds})["a"],
    ):
        np.testing.assert_array_equal(front_end.fit_transform(X), of_paths)
    table = np.stack([s[: len(sounds[0])] for s in sounds])
    of_rows = front_end.fit_transform(table)
    np.testing.assert_array_equal(of_rows[0], of_paths[0])
    np.testing.assert_array_equal(front_end.fit_transform(table.astype(object)), of_rows)


def test_forms_of_paths_are_equal(paths):
    pd = pytest.importorskip("pandas")
    front_end = make(LogMel)
    expected = front_end.fit_transform(paths)
    objects = np.array([Path(p) for p in paths], dtype=object)
    for X in (paths.tolist(), objects, list(objects), paths.astype(object), pd.Series(paths)):
        np.testing.assert_array_equal(front_end.fit_transform(X), expected)


@pytest.mark.parametrize("suffix, tolerance", [("flac", 1), ("ogg", 20), ("mp3", 20)])
def test_other_formats(tmp_path, suffix, tolerance):
    sound = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE) / 2
    soundfile.write(tmp_path / f"a.{suffix}", sound, RATE)
    files = [tmp_path / f"a.{suffix}", write(tmp_path / "a.wav", sound)]
    got = make(LogMel, top_db=40).fit_transform(files)
    np.testing.assert_allclose(got[0][5:-5], got[1][5:-5], atol=tolerance)


def test_good_recordings_do_not_warn(paths):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in FRONT_ENDS:
            make(kind, on_error="zeros").fit_transform(paths)
