"""Audio front ends: what librosa gives directly, lengths, bad recordings, and scikit-learn."""

import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.features import MFCC, LogMel, LogSTFT

librosa = pytest.importorskip("librosa")
soundfile = pytest.importorskip("soundfile")

RATE = 8000
FRONT_ENDS = [LogSTFT, LogMel, MFCC]
SMALL = {"sample_rate": RATE, "duration": 0.5, "n_fft": 256, "hop_length": 100}


def make(kind, **settings):
    """A front end of small settings, for half a second at 8 kHz."""
    bands = {} if kind is LogSTFT else {"n_mels": 20}
    cepstra = {"n_mfcc": 10} if kind is MFCC else {}
    return kind(**{**SMALL, **bands, **cepstra, **settings})


def noise(seconds, rate=RATE, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal(round(seconds * rate))).astype(np.float32)


def write(path, sound, rate=RATE):
    """Write floats without loss."""
    soundfile.write(path, sound, rate, subtype="FLOAT")
    return str(path)


@pytest.fixture
def paths(tmp_path):
    """Six recordings of half a second."""
    return np.array([write(tmp_path / f"{i}.wav", noise(0.5, seed=i)) for i in range(6)])


class Samples(LogSTFT):
    """Gives the samples themselves, so that what was done to them can be seen."""

    def _features(self, sound):
        return np.append(sound, np.nan)[None]  # one frame each, and the one after the end


def samples(X, **settings):
    """The samples that features would be computed from."""
    got = Samples(n_fft=1, hop_length=1, **settings).fit_transform(X)
    assert got.shape[2] == 1
    return got[:, :-1, 0]


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
    with pytest.raises(ValueError, match=r"Sample 0: it is too short, 0\.500 s of the 1\.000 s"):
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


# Bad recordings.


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
    "unreadable": (lambda d: put(d / "b.wav", b"nonsense" * 99), "broken or no sound file"),
    "0 bytes": (lambda d: put(d / "b.wav", b""), r"empty \(0 bytes\)"),
    "0 samples": (lambda d: write(d / "b.wav", np.zeros(0)), "holds no samples"),
    "cut wav": (lambda d: cut_file(write(d / "b.wav", noise(0.5)), 5000), "truncated: 5000 bytes"),
    "cut header": (lambda d: cut_file(write(d / "b.wav", noise(0.5)), 20), "truncated: 20 bytes"),
    "cut flac": (lambda d: cut_file(flac(d / "b.flac"), 3000), "broken or no sound file|truncated"),
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
    assert "accepted" in str(caught.value)
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
        ([[0.5], [0.5, 0.5]], "accepted is a 1-D array of floats"),
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
        (np.array([["a.wav"]]), r"shape \(1, 1\).*ravel"),
        (np.zeros(9), r"numbers of shape \(9,\).*reshape\(1, -1\)"),
        (np.zeros((2, 9), dtype=np.int16), "int16 of shape .*32768"),
        (np.zeros((2, 3, 4)), r"float64 of shape \(2, 3, 4\)"),
        (np.array([b"a.wav"]), "S5"),
    ],
)
def test_wrong_forms_of_X_are_errors_in_fit(X, message):
    with pytest.raises(TypeError, match=f"MFCC takes paths of sound files.*{message}"):
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
    with pytest.raises(ValueError, match=r"Sample 0 \('.*0\.wav'\): it is too short, 0\.500 s"):
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
        with pytest.raises(ValueError, match=f"{name}={value!r}"):
            method(paths)


def test_a_missing_package_is_named(paths, monkeypatch):
    monkeypatch.setattr("inforeg_sk.features._audio_base.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"LogMel needs librosa and soundfile.*\[audio\]"):
        make(LogMel).fit(paths)


# scikit-learn.


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_parameters_clone_and_repr(kind):
    front_end = make(kind, n_jobs=3, short="tile")
    again = clone(front_end)
    assert again is not front_end
    assert again.get_params() == front_end.get_params()
    assert again.set_params(duration=2.0).duration == 2.0
    assert "hop_length=100" in repr(front_end)
    assert kind().get_params()["sample_rate"] == 22050


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_fit_remembers_nothing(paths, kind):
    front_end = make(kind)
    before = dict(vars(front_end))
    assert front_end.fit(paths) is front_end
    assert vars(front_end) == before
    tags = get_tags(front_end)
    assert tags.input_tags.one_d_array and tags.input_tags.string and not tags.requires_fit
    np.testing.assert_array_equal(make(kind).transform(paths), front_end.fit_transform(paths))


@pytest.mark.parametrize(
    "kind, first, last", [(LogSTFT, "logstft0", "logstft128"), (LogMel, "logmel0", "logmel19"),
                          (MFCC, "mfcc0", "mfcc9_delta2")]
)  # fmt: skip
def test_names(paths, kind, first, last):
    front_end = make(kind)
    names = front_end.get_feature_names_out()
    assert (names[0], names[-1], len(set(names))) == (first, last, len(names))
    assert len(names) == front_end.fit_transform(paths[:1]).shape[-1]
    modalities = ModalityTransformer({"audio": front_end}).fit({"audio": paths})
    assert modalities.get_feature_names_out()[0] == f"audio__{first}"
    modalities.set_output(transform="pandas")
    assert modalities.transform({"audio": paths})["audio"].shape == (6, 41, len(names))


def test_two_jobs_are_one(tmp_path, paths):
    X = np.array([*paths, str(tmp_path / "none.wav")])
    results = []
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match="Sample 6"):
            results.append(make(MFCC, n_jobs=n_jobs, on_error="zeros").fit_transform(X))
        with pytest.raises(ValueError, match=r"Sample 6 .*none\.wav"):
            make(MFCC, n_jobs=n_jobs).fit_transform(X)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_joblib_is_told_the_jobs(paths, monkeypatch, n_jobs):
    told = []

    def parallel(n_jobs, **more):
        told.append(n_jobs)
        return joblib.Parallel(n_jobs=1, **more)

    monkeypatch.setattr("inforeg_sk.features._audio_base.Parallel", parallel)
    make(LogMel, n_jobs=n_jobs).fit_transform(paths)
    assert told == [n_jobs]


def test_progress_is_shown_on_long_work_only(paths, capsys, monkeypatch):
    make(LogMel, verbose=True).fit_transform(paths)
    assert capsys.readouterr().err == ""
    import tqdm

    plain = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda *args, **more: plain(*args, **{**more, "delay": 0}))
    make(LogMel, verbose=True).fit_transform(paths)
    assert "LogMel" in (shown := capsys.readouterr().err)
    assert "6/6" in shown


@pytest.fixture
def count(monkeypatch):
    """How many spectrograms were computed so far."""
    calls = []
    plain = librosa.feature.melspectrogram
    monkeypatch.setattr(
        librosa.feature, "melspectrogram", lambda **more: calls.append(1) or plain(**more)
    )
    return lambda: len(calls)


def flatten(X):
    return X.reshape(len(X), -1)


def test_memory_keeps_the_features(tmp_path, paths, count):
    y = [0, 1, 0, 1, 0, 1]
    steps = (make(LogMel), FunctionTransformer(flatten), LogisticRegression())
    pipe = make_pipeline(*steps, memory=str(tmp_path / "memory"))
    first = pipe.fit([Path(p) for p in paths], y).predict_proba(paths)
    assert count() == 12
    again = clone(pipe).fit([Path(p) for p in paths], y)  # other path objects, same paths
    assert count() == 12
    np.testing.assert_array_equal(again.predict_proba(paths), first)
    again.set_params(logmel__n_mels=10).fit([Path(p) for p in paths], y)
    assert count() == 18 + 6


def test_memory_keeps_modalities(tmp_path, paths, count):
    X = ModalityDict({"audio": paths, "image": np.eye(6)})
    pipe = make_pipeline(
        ModalityTransformer({"audio": make(LogMel)}),
        MultimodalInfoRegClassifier(max_epochs=1, random_state=0),
        memory=str(tmp_path / "memory"),
    )
    for alpha in (0, 1):
        pipe.set_params(multimodalinforegclassifier__alpha=alpha).fit(X, [0, 1] * 3)
        assert count() == 6
    # Within one modality's own pipeline, too.
    inner = make_pipeline(make(LogMel), FunctionTransformer(flatten), memory=pipe.memory)
    for _ in range(2):
        ModalityTransformer({"audio": inner}).fit_transform(X)
    assert count() == 12


def test_paths_are_hashed_as_strings(tmp_path):
    def fresh():
        return np.array([tmp_path / f"{i}.wav" for i in range(3)], dtype=object)

    used = fresh()
    assert [p.name for p in used if hash(p) and p.suffix] and not used[0].exists()
    assert joblib.hash(used) == joblib.hash(fresh())


@pytest.fixture(scope="module")
def sounds_and_images():
    """The 40 shipped recordings, each with its image."""
    digits = load_av_digits()
    rows = digits.sample_indices
    X = ModalityDict({"audio": digits.sample_paths, "image": digits.data["image"][rows]})
    assert len(X) == 40
    return X, digits.target[rows]


def digits_mel(**settings):
    return LogMel(16000, 0.775, n_fft=512, hop_length=400, n_mels=32, **settings)


def test_in_a_multimodal_pipeline(sounds_and_images):
    X, y = sounds_and_images
    pipe = make_pipeline(
        ModalityTransformer({"audio": make_pipeline(digits_mel(), FunctionTransformer(flatten))}),
        ModalityTransformer(StandardScaler()),
        MultimodalInfoRegClassifier(max_epochs=2, random_state=0),
    ).fit(X, y)
    assert pipe.predict(X).shape == (40,)
    assert set(pipe[-1].score_by_modality(pipe[:-1].transform(X), y)) == {"audio", "image"}
    sequences = make_pipeline(
        ModalityTransformer({"audio": make_pipeline(digits_mel())}),
        MultimodalInfoRegClassifier(encoders={"audio": "gru"}, max_epochs=2, random_state=0),
    ).fit(X, y)
    assert sequences.predict_proba(X).shape == (40, 10)


def test_an_error_names_the_modality(sounds_and_images):
    X, y = sounds_and_images
    swapped = ModalityDict({"audio": ["I am happy", "so sad"], "image": X["image"][:2]})
    with pytest.raises(ValueError, match=r"Modality 'audio', LogMel: Sample 0 \('I am happy'\)"):
        ModalityTransformer({"audio": digits_mel()}).fit_transform(swapped)


def test_grid_search_over_the_bands(sounds_and_images, tmp_path):
    X, y = sounds_and_images
    pipe = make_pipeline(
        ModalityTransformer({"audio": digits_mel()}),
        MultimodalInfoRegClassifier(max_epochs=2, random_state=0),
        memory=str(tmp_path),
    )
    grid = {"modalitytransformer__audio__n_mels": [8, 16]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    audio = search.best_estimator_[0].transform(X)["audio"]
    assert audio.shape == (40, 32, search.best_params_["modalitytransformer__audio__n_mels"])


def test_importing_does_not_import_librosa():
    code = "import sys, inforeg_sk.features; print({'librosa', 'soundfile'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_good_recordings_do_not_warn(paths):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in FRONT_ENDS:
            make(kind, on_error="zeros").fit_transform(paths)
