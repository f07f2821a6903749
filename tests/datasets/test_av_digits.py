"""load_av_digits: what is shipped, and that the generator makes it again."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import inforeg_sk.datasets
from inforeg_sk.data.container import ModalityDict
from inforeg_sk.datasets import load_av_digits

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(inforeg_sk.datasets.__file__).parent / "data"
PARTS = ("train", "validation", "test")
SIZES = {"train": (599, 20), "validation": (300, 10), "test": (898, 30)}
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def digits():
    return load_av_digits()


@pytest.fixture(scope="module")
def generator():
    """The generator script as a module."""
    pytest.importorskip("librosa")
    pytest.importorskip("soundfile")
    path = ROOT / "datasets" / "av_digits" / "generate.py"
    if not path.is_file():
        pytest.skip("the generator is not part of an installed package")
    spec = importlib.util.spec_from_file_location("av_digits_generate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def light(digits):
    """The light on each image, by the words of the docstring, pixel by pixel."""
    middle, right, bottom = digits.image_light.T
    return np.stack(
        [
            middle + right * (2 * column / 7 - 1) + bottom * (2 * row / 7 - 1)
            for row in range(8)
            for column in range(8)
        ],
        axis=1,
    )


def test_shapes_and_types(digits):
    assert isinstance(digits.data, ModalityDict)
    assert {name: (x.shape, x.dtype) for name, x in digits.data.items()} == {
        "audio": ((1797, 32, 32), np.float32),
        "image": ((1797, 64), np.float32),
    }
    assert (digits.target.shape, digits.target.dtype) == ((1797,), np.int64)
    assert digits.target_names[[0, 9]].tolist() == ["zero", "nine"]
    for name in ("rates", "pitches", "digits_index"):
        assert (digits[name].shape, digits[name].dtype) == ((1797,), np.int64)
    for name in ("starts", "snr_db", "image_sd"):
        assert (digits[name].shape, digits[name].dtype) == ((1797,), np.float64)
    assert digits.image_light.shape == (1797, 3)
    assert digits.groups.dtype.kind == "U"
    assert "independent" in digits.DESCR


def test_parts_cover_all_and_share_no_voice(digits):
    rows = [digits[f"{part}_indices"] for part in PARTS]
    assert np.concatenate(rows).tolist() == list(range(1797))
    voices = [set(digits.groups[r]) for r in rows]
    assert {p: (len(r), len(v)) for p, r, v in zip(PARTS, rows, voices, strict=True)} == SIZES
    assert len(set.union(*voices)) == 60
    # Nor do two voices share a variant, which makes more of a voice's sound than the accent.
    assert len({voice.partition("+")[2] for voice in set.union(*voices)}) == 60


@pytest.mark.parametrize("part", PARTS)
def test_classes_are_balanced_and_shuffled(digits, part):
    y = digits.target[digits[f"{part}_indices"]]
    share = np.bincount(y, minlength=10) / len(y)
    assert share.min() > 0.09 and share.max() < 0.11
    assert (np.diff(y) == 0).mean() < 0.2


def test_every_voice_says_every_digit(digits):
    for voice in set(digits.groups):
        assert np.bincount(digits.target[digits.groups == voice], minlength=10).min() >= 2


def test_images_are_the_digits_of_scikit_learn(digits):
    clean = load_digits()
    assert sorted(digits.digits_index) == list(range(1797))
    assert np.array_equal(digits.target, clean.target[digits.digits_index])
    noise = digits.data["image"] - clean.data[digits.digits_index] / 16 - light(digits)
    assert digits.image_sd.min() >= 0.15 and digits.image_sd.max() <= 0.3
    scaled = noise / digits.image_sd[:, None]
    assert abs(scaled.mean()) < 0.01
    assert scaled.std() == pytest.approx(1, abs=0.01)
    assert np.corrcoef(noise.std(axis=1), digits.image_sd)[0, 1] > 0.8
    assert np.abs(scaled).max() < 6  # no outlier, as a wrong digit or clipping would be


def test_audio_is_scaled(digits):
    audio = digits.data["audio"]
    assert audio.min() >= 0
    assert np.array_equal(audio.max(axis=(1, 2)), np.ones(1797, dtype=np.float32))
    assert len(np.unique(audio.reshape(1797, -1), axis=0)) == 1797


def test_loading_twice_gives_the_same(digits):
    again = load_av_digits()
    assert again.data == digits.data
    assert again.sample_paths == digits.sample_paths
    X, y = load_av_digits(return_X_y=True)
    assert X == digits.data and np.array_equal(y, digits.target)


@pytest.mark.parametrize("part", PARTS)
def test_one_part(digits, part):
    rows, one = digits[f"{part}_indices"], load_av_digits(split=part)
    assert one.data == digits.data[rows]
    for name in ("target", "groups", "rates", "snr_db", "image_light", "digits_index"):
        assert np.array_equal(one[name], digits[name][rows])
    for other in PARTS:
        expected = list(range(len(rows))) if other == part else []
        assert one[f"{other}_indices"].tolist() == expected
    for path, row in zip(one.sample_paths, one.sample_indices, strict=True):
        assert rows[row] == digits.sample_indices[digits.sample_paths.index(path)]
    X, y = load_av_digits(split=part, return_X_y=True)
    assert X == one.data and np.array_equal(y, one.target)


@pytest.mark.parametrize("split", ["valid", "", 1, ["train"], np.array(["train", "test"])])
def test_bad_split(split):
    accepted = (
        "The 'split' parameter of load_av_digits must be None or one of 'train', 'validation'"
    )
    with pytest.raises(ValueError, match=f"{accepted}, 'test'. Got "):
        load_av_digits(split=split)


def test_size_on_disk():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) <= 6e6


# Sound files


def test_sample_files_are_named_after_their_rows(digits):
    assert len(digits.sample_paths) == len(set(digits.sample_indices.tolist())) == 40
    assert np.bincount(digits.target[digits.sample_indices]).tolist() == [4] * 10
    for path, row in zip(digits.sample_paths, digits.sample_indices, strict=True):
        word = digits.target_names[digits.target[row]]
        assert path.name == f"row{row:04d}_{word}_{digits.groups[row]}.flac"
        assert path.is_file()
    assert len(list(digits.sample_paths[0].parent.iterdir())) == 40


def test_sample_files_can_be_read(digits):
    soundfile = pytest.importorskip("soundfile")
    for path in digits.sample_paths:
        sound, rate = soundfile.read(path)
        assert (sound.shape, rate) == ((12_400,), 16_000)
        assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-3)


def test_features_of_the_sample_files(digits):
    # librosa's calls are written out, so that the card's words are tested and not the script.
    librosa = pytest.importorskip("librosa")
    soundfile = pytest.importorskip("soundfile")
    for path, row in zip(digits.sample_paths, digits.sample_indices, strict=True):
        sound, rate = soundfile.read(path)
        mel = librosa.feature.melspectrogram(y=sound, sr=rate, n_fft=512, hop_length=400, n_mels=32)
        expected = np.clip(1 + librosa.power_to_db(mel, ref=np.max, top_db=None).T / 50, 0, 1)
        np.testing.assert_allclose(digits.data["audio"][row], expected, atol=TOLERANCE, rtol=0)


# Difficulty


def test_each_modality_is_good_and_both_are_better(digits):
    train, test = digits.train_indices, digits.test_indices
    features = {name: x.reshape(len(x), -1) for name, x in digits.data.items()}
    features["both"] = np.hstack(list(features.values()))
    score = {}
    for name, X in features.items():
        clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        clf.fit(X[train], digits.target[train])
        score[name] = clf.score(X[test], digits.target[test])
    assert 0.80 <= score["audio"] <= 0.90
    assert 0.80 <= score["image"] <= 0.90
    assert score["both"] > max(score["audio"], score["image"]) + 0.04


# The generator


def test_generator_decides_the_same(digits, generator):
    plan = generator.make_plan()
    shipped = {
        "voice": "groups",
        "target": "target",
        "digits_index": "digits_index",
        "rate": "rates",
        "pitch": "pitches",
    }
    for name, key in shipped.items():
        assert np.array_equal(plan[name], digits[key])
    drawn = {"start": "starts", "snr_db": "snr_db", "image_sd": "image_sd", "light": "image_light"}
    for name, key in drawn.items():
        np.testing.assert_allclose(plan[name], digits[key], rtol=1e-12)
    for part in PARTS:
        rows = np.flatnonzero(plan["split"] == part)
        assert np.array_equal(rows, digits[f"{part}_indices"])
    assert np.array_equal(generator.sample_rows(plan), digits.sample_indices)


@pytest.mark.slow
def test_generator_makes_the_same_rows(digits, generator):
    # All 1797 rows take half a minute; rows do not depend on one another, so these 180 will do.
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    version = generator.espeak_version()
    if version != digits.versions["espeak-ng"]:
        pytest.skip(f"espeak-ng is {version}; the data are of {digits.versions['espeak-ng']}")
    soundfile = pytest.importorskip("soundfile")
    rows = np.random.default_rng(0).choice(1797, size=140, replace=False)
    rows = np.concatenate([digits.sample_indices, np.setdiff1d(rows, digits.sample_indices)])
    made = generator.make_rows(generator.make_plan(), rows)
    for at, (row, (audio, image, waveform)) in enumerate(zip(rows, made, strict=True)):
        new = {
            "audio": audio / generator.AUDIO_STEPS + generator.AUDIO_BASE,
            "image": image / generator.IMAGE_STEPS + generator.IMAGE_BASE,
        }
        for name, values in new.items():
            np.testing.assert_allclose(digits.data[name][row], values, atol=TOLERANCE, rtol=0)
        if at < len(digits.sample_paths):
            shipped = soundfile.read(digits.sample_paths[at], dtype="int16")[0]
            # One step of the 16 bits, where another processor rounds otherwise.
            assert np.abs(shipped.astype(int) - waveform).max() <= 1
