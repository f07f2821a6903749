"""load_cmu_mosi on small pickles of the processed layouts."""

import os
import pickle
import re

import numpy as np
import pytest

from inforeg_sk.data.container import ModalityDict
from inforeg_sk.datasets import load_cmu_mosi

PARTS = {"train": "train", "validation": "valid", "test": "test"}
SENTIMENT = {"train": [-3.0, -0.4, 0.0, 2.5], "valid": [0.6], "test": [1.5, -1.8]}
IDS = {
    "train": ["aa_x_1", "aa_x_10", "_b-c_3", "_b-c_4"],
    "valid": ["dd_1"],
    "test": ["e_9", "e_1"],
}
LENGTHS = {"train": [3, 1, 4, 2], "valid": [4], "test": [2, 3]}
WIDTHS = {"text": 3, "audio": 2, "vision": 2}
ALL = [name for part in PARTS.values() for name in IDS[part]]
LABELS = np.array([x for part in PARTS.values() for x in SENTIMENT[part]])


def steps(key, part, row, dtype=np.float32):
    """The real steps of a sample: numbers that tell where they come from, none zero."""
    base = 1000 * (1 + list(SENTIMENT).index(part)) + 100 * row + 10 * list(WIDTHS).index(key)
    length, width = LENGTHS[part][row], WIDTHS[key]
    return (base + np.arange(length)[:, None] + np.arange(width) / 10 + 0.5).astype(dtype)


def same(X, expected):
    """Whether two arrays are equal; padding, NaN, is equal to padding."""
    return np.array_equal(X, expected, equal_nan=np.asarray(X).dtype.kind == "f")


def padded(key, part, front, n_steps=4):
    X = np.zeros((len(IDS[part]), n_steps, WIDTHS[key]), dtype=np.float32)
    for row, x in enumerate(X):
        real = steps(key, part, row)
        x[n_steps - len(real) :] = real if front else 0
        if not front:
            x[: len(real)] = real
    return X


def expected_array(key):
    """The real steps of all samples, with NaN behind them; no real step here is zero."""
    X = np.concatenate([padded(key, part, front=False) for part in SENTIMENT])
    X[X == 0] = np.nan
    return X


EXPECTED = {key: expected_array(key) for key in WIDTHS}


def content(front=False, labels="regression_labels", **changes):
    made = {}
    for part in SENTIMENT:
        made[part] = {key: padded(key, part, front) for key in WIDTHS}
        made[part][labels] = np.array(SENTIMENT[part])
        made[part]["id"] = list(IDS[part])
    for part, key in ((part, key) for part in made for key in changes):
        made[part][key] = changes[key](part)
    return made


def write(folder, features, made, protocol=4):
    path = folder / f"{features}.pkl"
    path.write_bytes(pickle.dumps(made, protocol))
    return path


def mmsa_ids(part):
    return [re.sub(r"_(\d+)$", r"$_$\1", x) for x in IDS[part]]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_aligned(tmp_path, protocol):
    made = content(
        id=mmsa_ids,
        raw_text=lambda part: np.array([f"WORDS {x}" for x in IDS[part]]),
        annotations=lambda part: np.array(["Negative" for _ in IDS[part]]),
        classification_labels=lambda part: np.zeros(len(IDS[part])),
        text_bert=lambda part: np.zeros((len(IDS[part]), 3, 4)),
    )
    write(tmp_path, "aligned_50", made, protocol)
    mosi = load_cmu_mosi(tmp_path, features="aligned_50")
    assert isinstance(mosi.data, ModalityDict)
    assert list(mosi.data) == ["text", "audio", "video"]
    for ours, theirs in {"text": "text", "audio": "audio", "video": "vision"}.items():
        assert type(mosi.data[ours]) is np.ndarray
        assert mosi.data[ours].dtype == np.float32
        assert same(mosi.data[ours], EXPECTED[theirs])
        assert mosi.lengths[ours].tolist() == [3, 1, 4, 2, 4, 2, 3]
    assert mosi.target.tolist() == [0, 0, 1, 1, 1, 1, 0]
    assert mosi.target.dtype == np.int64
    assert mosi.target_names.tolist() == ["negative", "non-negative"]
    assert mosi.sentiment.tolist() == LABELS.tolist()
    assert mosi.groups.tolist() == ["aa_x", "aa_x", "_b-c", "_b-c", "dd", "e", "e"]
    assert mosi.utterance_ids[0] == "aa_x$_$1"
    assert mosi.transcripts[4] == "WORDS dd_1"
    assert set(mosi.annotations) == {"Negative"}
    assert mosi.train_indices.tolist() == [0, 1, 2, 3]
    assert mosi.validation_indices.tolist() == [4]
    assert mosi.test_indices.tolist() == [5, 6]
    assert mosi.non_finite == {"text": 0, "audio": 0, "video": 0}
    assert "4 train; 1 validation; 2 test" in mosi.DESCR and "front: none" in mosi.DESCR


def test_mosi_data(tmp_path):
    def audio(part):
        X = padded("audio", part, front=True).astype(np.float64)
        X[0, -1, 0] = -np.inf
        return X

    made = content(
        front=True,
        labels="labels",
        audio=audio,
        id=lambda part: np.array(
            [[x.rpartition("_")[0].encode(), b"1.5", b"2"] for x in IDS[part]]
        ),
    )
    for part in made:
        made[part]["labels"] = np.reshape(SENTIMENT[part], (-1, 1, 1)).astype(np.float32)
    made["test"]["audio"][1, -1, 1] = np.nan
    write(tmp_path, "mosi_data", made)
    mosi = load_cmu_mosi(tmp_path, features="mosi_data")
    expected = EXPECTED["audio"].astype(float)
    for row, length in ((0, 3), (4, 4), (5, 2)):
        expected[row, length - 1, 0] = 0
    expected[6, 2, 1] = 0
    assert mosi.data["audio"].dtype == np.float64
    assert same(mosi.data["audio"], expected)
    assert mosi.non_finite == {"text": 0, "audio": 4, "video": 0}
    assert "audio 4" in mosi.DESCR and "front: text, audio, video" in mosi.DESCR
    assert same(mosi.data["text"], EXPECTED["text"])
    assert same(mosi.data["video"], EXPECTED["vision"])
    assert mosi.sentiment.tolist() == LABELS.astype(np.float32).tolist()
    assert mosi.groups.tolist() == ["aa_x", "aa_x", "_b-c", "_b-c", "dd", "e", "e"]
    assert mosi.utterance_ids[0] == "aa_x[1.5,2]"
    assert mosi.transcripts is None and mosi.annotations is None


@pytest.mark.parametrize("as_list", [False, True])
def test_unaligned_of_unequal_length(tmp_path, as_list):
    def ragged(key):
        def make(part):
            items = [steps(key, part, row) for row in range(len(IDS[part]))]
            array = np.empty(len(items), dtype=object)
            array[:] = items
            return items if as_list else array

        return make

    made = content(vision=ragged("vision"), audio=ragged("audio"))
    made["train"]["audio"][1][:] = 0  # silence is no padding where lengths are known
    write(tmp_path, "unaligned_50", made)
    mosi = load_cmu_mosi(tmp_path, features="unaligned_50")
    assert same(mosi.data["video"], EXPECTED["vision"])
    assert mosi.lengths["audio"].tolist() == [3, 1, 4, 2, 4, 2, 3]
    one = load_cmu_mosi(tmp_path, features="unaligned_50", split="test")
    assert one.data["video"].shape == (2, 4, 2)  # as wide as among all


def test_many_samples_of_unequal_length(tmp_path):
    n = 100  # more than numpy 1 takes arguments
    part = {key: [np.ones((1 + row % 3, 2)) for row in range(n)] for key in WIDTHS}
    part |= {"labels": np.zeros(n), "id": [f"a_{row}" for row in range(n)]}
    write(tmp_path, "unaligned_50", dict.fromkeys(PARTS.values(), part))
    mosi = load_cmu_mosi(tmp_path, features="unaligned_50")
    assert mosi.data["audio"].shape == (300, 3, 2)
    assert mosi.lengths["audio"][:4].tolist() == [1, 2, 3, 1]


def test_given_lengths(tmp_path):
    made = content(audio_lengths=lambda part: LENGTHS[part])
    made["test"]["audio"][0, 1] = 0
    made["test"]["vision"][0, 1] = 0
    write(tmp_path, "unaligned_50", made)
    mosi = load_cmu_mosi(tmp_path, features="unaligned_50")
    assert mosi.lengths["audio"].tolist() == [3, 1, 4, 2, 4, 2, 3]
    assert mosi.lengths["video"].tolist() == [3, 1, 4, 2, 4, 1, 3]
    made["test"]["audio_lengths"] = [5, 1]
    write(tmp_path, "unaligned_50", made)
    with pytest.raises(ValueError, match="audio_lengths must be from 0 to the number of steps"):
        load_cmu_mosi(tmp_path, features="unaligned_50")


# Padding


def test_a_step_without_a_face_is_no_padding(tmp_path):
    made = content()
    made["train"]["vision"][2, 0] = 0  # a full sample of a file that pads at the end
    write(tmp_path, "aligned_50", made)
    video = load_cmu_mosi(tmp_path, features="aligned_50").data["video"]
    assert (video[2] == made["train"]["vision"][2]).all()
    assert same(np.delete(video, 2, axis=0), np.delete(EXPECTED["vision"], 2, axis=0))


def test_aligned_modalities_turn_together(tmp_path):
    made = content(front=True)
    made["train"]["vision"][0, 1] = 0  # its first real step: no face
    made["train"]["text"][1] = 0  # and a sample without any text
    write(tmp_path, "aligned_50", made)
    mosi = load_cmu_mosi(tmp_path, features="aligned_50")
    assert not mosi.data["video"][0, 0].any()
    assert same(mosi.data["video"][0, 1:3], steps("vision", "train", 0)[1:])
    assert same(mosi.data["audio"], EXPECTED["audio"])
    assert not mosi.data["text"][1, 0].any() and np.isnan(mosi.data["text"][1, 1:]).all()
    assert mosi.lengths["text"][1] == 0 and mosi.lengths["audio"][1] == 1


def test_only_modalities_padded_in_front_turn(tmp_path):
    made = content(audio=lambda part: padded("audio", part, front=True, n_steps=6))
    write(tmp_path, "unaligned_50", made)
    mosi = load_cmu_mosi(tmp_path, features="unaligned_50")
    assert same(mosi.data["audio"][:, :4], EXPECTED["audio"])
    assert np.isnan(mosi.data["audio"][:, 4:]).all()
    assert same(mosi.data["text"], EXPECTED["text"])
    assert "front: audio." in mosi.DESCR
    for split, part in PARTS.items():  # by the whole file, whatever is loaded
        one = load_cmu_mosi(tmp_path, features="unaligned_50", split=split)
        assert one.data == mosi.data[mosi[f"{split}_indices"]]
        assert one[f"{split}_indices"].tolist() == list(range(len(IDS[part])))

    kept = load_cmu_mosi(tmp_path, features="unaligned_50", padding="keep")
    assert same(kept.data["audio"][:4], made["train"]["audio"])
    assert "where the file has them" in kept.DESCR


# Targets


@pytest.mark.parametrize(
    "target, expected, names",
    [
        ("binary", [0, 0, 1, 1, 1, 1, 0], ["negative", "non-negative"]),
        ("three", [0, 0, 1, 2, 2, 2, 0], ["negative", "neutral", "positive"]),
        ("seven", [0, 3, 3, 5, 4, 5, 1], ["-3", "-2", "-1", "0", "1", "2", "3"]),
        ("real", LABELS.tolist(), None),
    ],
)
def test_targets(tmp_path, target, expected, names):
    write(tmp_path, "aligned_50", content())
    mosi = load_cmu_mosi(tmp_path, features="aligned_50", target=target)
    assert mosi.target.tolist() == expected
    assert (mosi.target_names if names is None else mosi.target_names.tolist()) == names
    X, y = load_cmu_mosi(tmp_path, features="aligned_50", target=target, return_X_y=True)
    assert X == mosi.data and y.tolist() == expected


def test_drop_zeros(tmp_path):
    write(tmp_path, "aligned_50", content())
    mosi = load_cmu_mosi(tmp_path, features="aligned_50", drop_zeros=True)
    assert mosi.target.tolist() == [0, 0, 1, 1, 1, 0]
    assert mosi.target_names.tolist() == ["negative", "positive"]
    assert mosi.utterance_ids.tolist() == [x for x in ALL if x != "_b-c_3"]
    assert mosi.data.shape == (6,) and len(mosi.lengths["text"]) == 6
    assert mosi.train_indices.tolist() == [0, 1, 2]
    assert mosi.test_indices.tolist() == [4, 5]


def test_same_content_as_csv(tmp_path, mosi_home):
    csv = load_cmu_mosi(mosi_home)
    made = {"valid": {}}
    for part in ("train", "test"):
        rows = csv[f"{part}_indices"]
        made[part] = {
            "text": csv.data["text"][rows],
            "audio": csv.data["audio"][rows],
            "vision": csv.data["video"][rows],
            "labels": csv.target[rows] * 2.0 - 1,
            "id": csv.utterance_ids[rows],
            "raw_text": csv.transcripts[rows],
        }
    made["valid"] = {key: values[:0] for key, values in made["test"].items()}
    write(tmp_path, "aligned_50", made)
    mosi = load_cmu_mosi(tmp_path, features="aligned_50")
    assert mosi.data == csv.data
    for key in ("target", "groups", "utterance_ids", "transcripts", "train_indices"):
        assert same(mosi[key], csv[key]), key
    assert same(mosi.test_indices, csv.test_indices)
    assert mosi.lengths == {"text": None, "audio": None, "video": None}


# Where the file lies, and what is refused


def test_places(tmp_path, monkeypatch):
    folder = tmp_path / "MOSI" / "Processed"
    folder.mkdir(parents=True)
    path = write(folder, "aligned_50", content())
    reference = load_cmu_mosi(path, features="aligned_50").data
    for home in (folder, tmp_path / "MOSI", str(tmp_path)):
        assert load_cmu_mosi(home, features="aligned_50").data == reference
    monkeypatch.setenv("INFOREG_SK_DATA", str(tmp_path))
    assert load_cmu_mosi(features="aligned_50").data == reference
    with pytest.raises(FileNotFoundError, match=r"mosi_data\.pkl is not in any of.*MultiBench"):
        load_cmu_mosi(features="mosi_data")
    monkeypatch.delenv("INFOREG_SK_DATA")
    with pytest.raises(FileNotFoundError, match=r"unaligned_50\.pkl.*is not set.*MMSA"):
        load_cmu_mosi(features="unaligned_50")
    with pytest.raises(TypeError, match=r"'data_home' .* must be None or a path. Got 3"):
        load_cmu_mosi(3, features="aligned_50")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"features": "aligned"},
            "'features' .* must be one of 'csv', 'aligned_50'.*Got 'aligned'; .* 'aligned_50'",
        ),
        ({"features": None}, "'features' .* must be one of 'csv'"),
        ({"target": "five"}, "'target' .* one of 'binary', 'three', 'seven', 'real'. Got 'five'"),
        ({"padding": "front"}, "'padding' .* must be one of 'end', 'keep'. Got 'front'"),
        ({"target": "seven"}, "'target' .* must be 'binary' with features='csv'.*Got 'seven'"),
        ({"drop_zeros": True}, "'drop_zeros' .* must be False unless target='binary'"),
        (
            {"drop_zeros": True, "target": "seven", "features": "mosi_data"},
            "'drop_zeros' .* must be False unless target='binary' and features is a pickle",
        ),
        ({"split": "valid", "features": "mosi_data"}, "'split' .* one of 'train', 'validation'"),
        ({"split": "validation"}, "'split' .* None or one of 'train', 'test'. Got"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_cmu_mosi(tmp_path, **arguments)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda made: made.pop("valid"), "'valid' is missing"),
        (lambda made: made["test"].pop("vision"), "part 'test' has no vision"),
        (lambda made: made["test"].pop("id"), "part 'test' has no id"),
        (lambda made: made["test"].pop("regression_labels"), "has no regression_labels"),
        (
            lambda made: made["test"].update(audio=np.ones((3, 4, 2))),
            "numbers of samples: .*audio 3",
        ),
        (lambda made: made["test"].update(audio=np.ones((2, 4, 5))), "audio: each sample must"),
        (lambda made: made["test"].update(audio=["a", "b"]), "audio must hold arrays"),
        (lambda made: made["test"].update(audio=7), "part 'test' has no audio"),
        (lambda made: made["test"].update(regression_labels=[9.0, 0.0]), "sample 0 is 9"),
        (lambda made: made["test"].update(regression_labels=[0.0, np.nan]), "sample 1 is nan"),
        (
            lambda made: made["test"].update(regression_labels=np.ones((2, 7))),
            "one number per sample",
        ),
    ],
)
def test_malformed_content(tmp_path, change, message):
    made = content()
    change(made)
    path = write(tmp_path, "aligned_50", made)
    with pytest.raises(ValueError, match=message) as info:
        load_cmu_mosi(tmp_path, features="aligned_50")
    assert str(path) in str(info.value)


def test_pickle_that_runs_something(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"echo > '{tmp_path / 'marker'}'",)

    made = content()
    made["test"]["annotations"] = [Evil(), Evil()]
    path = write(tmp_path, "aligned_50", made)
    with pytest.raises(pickle.UnpicklingError, match=r"refused (posix|nt)\.system") as info:
        load_cmu_mosi(tmp_path, features="aligned_50")
    assert str(path) in str(info.value)
    assert not (tmp_path / "marker").exists()
