"""Audio front ends: bad recordings, wrong forms of X and wrong settings are named."""

from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, make, noise, six_recordings, write

from inforeg_sk.features import MFCC, LogMel, LogSTFT

soundfile = pytest.importorskip("soundfile")


@pytest.fixture
def paths(tmp_path):
    return six_recordings(tmp_path)


def cut_file(path, n_bytes):
    content = Path(path).read_bytes()[:n_bytes]
    Path(path).write_bytes(content)
    return path


def put(path, content):
    path.write_bytes(content)
    return path


def flac(path):
    soundfile.write(path, noise(0.5), RATE)
    return str(path)


BAD = {
    "unreadable": (lambda d: put(d / "b.wav", b"nonsense" * 99), "broken or not an audio file"),
    "0 bytes": (lambda d: put(d / "b.wav", b""), r"empty \(0 bytes\)"),
    "0 samples": (lambda d: write(d / "b.wav", np.zeros(0)), "holds no samples"),
    "cut wav": (lambda d: cut_file(write(d / "b.wav", noise(0.5)), 5000), "truncated: 5000 bytes"),
    "cut header": (lambda d: cut_file(write(d / "b.wav", noise(0.5)), 20), "truncated: 20 bytes"),
    "cut flac": (lambda d: cut_file(flac(d / "b.flac"), 3000), "not an audio file|truncated"),
    "missing": (lambda d: d / "b.wav", "there is no such file"),
    "text": (lambda d: "I am angry!", "there is no such file.*not a text"),
    "long text": (lambda d: "I am angry! " * 999, "cannot be opened.*not a text"),
    "null": (lambda d: "I am\0angry", "cannot be opened.*null"),
    "folder": (lambda d: d, "it is a folder"),
    "None": (lambda d: None, r"it is missing \(None\)"),
    "nan": (lambda d: float("nan"), r"it is missing \(nan\)"),
    "silent": (lambda d: write(d / "b.wav", np.zeros(RATE)), "silent: all samples .* 0; .*'allow'"),
    "constant": (lambda d: write(d / "b.wav", np.full(RATE, 0.25)), "silent: .* are 0.25"),
    "NaN file": (lambda d: write(d / "b.wav", np.r_[noise(0.25), np.nan, 0]), r"NaN .*0\.250 s"),
    "NaN": (lambda d: np.r_[noise(0.5)[:80], np.inf], r"NaN or infinity \(first at 0\.010 s\)"),
    "no waveform": (lambda d: np.zeros(0), "holds no samples"),
    "silent waveform": (lambda d: np.zeros(RATE), "silent"),
}  # fmt: skip


def with_bad(paths, item):
    X = np.empty(3, dtype=object)
    X[:] = [paths[0], item, Path(paths[1])]
    return X


@pytest.mark.parametrize("case", BAD)
def test_a_bad_recording_is_named(tmp_path, paths, case):
    build, message = BAD[case]
    (tmp_path / "folder").mkdir()
    item = build(tmp_path / "folder")
    X = with_bad(paths, item)
    front_end = make(LogMel, waveform_rate=RATE).fit(X)
    where = r"^Sample 1"
    if isinstance(item, (str, Path)):
        where += r" \(.*\)"
    with pytest.raises(ValueError, match=f"(?s){where}: .*({message})") as caught:
        front_end.transform(X)
    assert "expected" in str(caught.value)
    assert len(str(caught.value)) < 1000
    if isinstance(item, Path):
        assert str(item) in str(caught.value)

    front_end.set_params(on_error="zeros")
    with pytest.warns(
        UserWarning, match=f"(?s)LogMel: 1 of 3 samples .*Sample 1.*({message})"
    ) as w:
        got = front_end.transform(X)
    assert len(w) == 1
    assert not got[1].any()
    np.testing.assert_array_equal(got[[0, 2]], make(LogMel).transform(paths[:2]))

    with pytest.warns(UserWarning, match="have NaN in all features"):
        missing = front_end.set_params(on_error="missing").transform(X)
    assert np.isnan(missing[1]).all()
    np.testing.assert_array_equal(missing[[0, 2]], got[[0, 2]])


@pytest.mark.parametrize(
    "item, message",
    [
        (b"a.wav", "of type bytes"),
        (3, "it is 3 of type int"),
        (np.arange(9), "int64 of shape .*int16 / 32768"),
        (np.ones((2, 9)), r"shape \(2, 9\).*x.mean"),
        (np.array(["a.wav"]), r"x\.ravel"),
        (["a.wav", 0.5], "a waveform is a 1-D array"),
        ([[0.5], [0.5, 0.5]], "expected a 1-D array of floats"),
        ({"a": 1}, "of type dict"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "zeros"])
def test_what_is_no_recording_is_a_type_error(paths, item, message, on_error):
    front_end = make(LogMel, waveform_rate=RATE, on_error=on_error)
    with pytest.raises(TypeError, match=f"Sample 1: .*{message}"):
        front_end.fit_transform(with_bad(paths, item))


@pytest.mark.parametrize(
    "X, message",
    [
        ("a.wav", r"single value 'a\.wav'"),
        (np.array([["a.wav", "b.wav"]]), r"shape \(1, 2\).*the one column"),
        (np.array([["a.wav", 3]], dtype=object), r"object of shape \(1, 2\).*the one column"),
        (np.zeros(9), r"numbers of shape \(9,\).*reshape\(1, -1\)"),
        (np.zeros((2, 9), dtype=np.int16), "int16 of shape .*32768"),
        (np.zeros((2, 3, 4)), r"float64 of shape \(2, 3, 4\)"),
        (np.array([b"a.wav"]), "S5"),
    ],
)
def test_wrong_forms_of_X_are_errors_in_fit(X, message):
    with pytest.raises(TypeError, match=f"MFCC takes paths of audio files.*{message}"):
        make(MFCC).fit(X)


def test_no_samples_and_sparse():
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        make(MFCC).fit([])
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="sparse"):
        make(MFCC).fit(sparse.eye(3).tocsr())


def test_waveforms_want_their_rate():
    with pytest.raises(TypeError, match=r"Sample 0: .*give waveform_rate"):
        make(LogMel).fit_transform(np.stack([noise(0.5)]))


def test_silence_may_be_allowed(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(RATE))
    got = make(LogSTFT, silence="allow").fit_transform([path])
    np.testing.assert_allclose(got, np.log(1e-7), rtol=1e-6)


def test_only_the_part_used_must_sound(tmp_path):
    path = write(tmp_path / "a.wav", np.r_[np.zeros(RATE), noise(1)])
    with pytest.raises(ValueError, match=r"silent: all samples of its 0\.5 s"):
        make(LogSTFT).fit_transform([path])
    assert make(LogSTFT, duration=1.5).fit_transform([path]).any()


def test_a_short_file_is_named(paths):
    with pytest.raises(ValueError, match=r"Sample 0 \('.*0\.wav'\): it is too short: 0\.500 s"):
        make(LogMel, duration=0.6, short="error").fit_transform(paths)


def test_nothing_usable_is_an_error_when_training(tmp_path):
    X = [str(tmp_path / f"{i}.wav") for i in range(30)]
    front_end = make(LogMel, on_error="zeros")
    with pytest.raises(ValueError, match=r"(?s)none of the 30 samples.*and samples 20, 21, "):
        front_end.fit_transform(X)
    with pytest.warns(UserWarning, match=r"30 of 30 samples"):
        assert not front_end.transform(X).any()


WRONG = [
    (LogSTFT, "sample_rate", 0),
    (LogSTFT, "sample_rate", 22050.5),
    (LogSTFT, "duration", -1),
    (LogSTFT, "duration", "3"),
    (LogSTFT, "duration", float("nan")),
    (LogSTFT, "duration", None),
    (LogSTFT, "short", "tiles"),
    (LogSTFT, "n_fft", 2.5),
    (LogSTFT, "n_fft", 5000),
    (LogSTFT, "hop_length", True),
    (LogSTFT, "floor", 0),
    (LogSTFT, "clip", "yes"),
    (LogSTFT, "waveform_rate", -1),
    (LogSTFT, "silence", None),
    (LogSTFT, "on_error", "skip"),
    (LogSTFT, "n_jobs", 0),
    (LogSTFT, "n_jobs", "2"),
    (LogSTFT, "verbose", "yes"),
    (LogMel, "n_mels", 0),
    (LogMel, "fmin", -1),
    (LogMel, "fmin", 4000),
    (LogMel, "fmax", 4001),
    (LogMel, "fmax", "high"),
    (LogMel, "ref", "min"),
    (LogMel, "ref", 0),
    (LogMel, "top_db", -1),
    (MFCC, "n_mfcc", 21),
    (MFCC, "n_mfcc", 0),
    (MFCC, "deltas", 3),
    (MFCC, "deltas", True),
    (MFCC, "delta_width", 4),
    (MFCC, "delta_width", 43),
    (MFCC, "n_mels", -1),
]


@pytest.mark.parametrize("kind, name, value", WRONG)
def test_wrong_parameters_are_named_in_fit(paths, kind, name, value):
    front_end = make(kind, **{name: value})
    for method in (front_end.fit, front_end.fit_transform, front_end.transform):
        expected = f"The '{name}' parameter of {kind.__name__} must be .* Got {value!r}"
        with pytest.raises(ValueError, match=expected):
            method(paths)


def test_a_missing_package_is_named(paths, monkeypatch):
    monkeypatch.setattr("inforeg_sk.features._audio_base.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"LogMel needs librosa and soundfile.*\[audio\]"):
        make(LogMel).fit(paths)
