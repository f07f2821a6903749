"""load_cmu_mosi on small files of the published layout, and on the real ones where they are."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from inforeg_sk.data.container import ModalityDict
from inforeg_sk.datasets import load_cmu_mosi

ROOT = Path(__file__).resolve().parents[2]

WIDTHS = {"text": 3, "audio": 2, "video": 4}
# In the published files the positive utterances come first; videos up to 62 are train.
LABELS = {"train": [1, 1, 0], "test": [1, 0]}
TRANSCRIPTS = [
    ("aa_x_1", "WELL, IT IS BAD", 62, 0),
    ("aa_x_10", 'A "GOOD" ONE', 62, 1),
    ("bb_2", "NO", 63, 0),
    ("bb_3", "YES", 63, 1),
    ("cc_1", "FINE", 1, 1),
]


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def features(modality, part):
    """Numbers that tell the file, the row and the column."""
    base = 100 * list(WIDTHS).index(modality) + (0 if part == "train" else 1000)
    return [
        [base + 10 * row + column + 0.5 for column in range(WIDTHS[modality])]
        for row in range(len(LABELS[part]))
    ]


def table(modality, part):
    return [[*x, label] for x, label in zip(features(modality, part), LABELS[part], strict=True)]


@pytest.fixture
def folder(tmp_path):
    for modality in WIDTHS:
        for part in LABELS:
            write(tmp_path / f"{modality}_{part}0.csv", table(modality, part))
    write(tmp_path / "transcripts.csv", TRANSCRIPTS)
    return tmp_path


def test_small_files_by_hand(folder):
    mosi = load_cmu_mosi(folder)
    assert isinstance(mosi.data, ModalityDict)
    assert list(mosi.data) == ["text", "audio", "video"]
    for name in WIDTHS:
        assert mosi.data[name].dtype == np.float64
        assert mosi.data[name].tolist() == features(name, "train") + features(name, "test")
    assert mosi.data["audio"][4].tolist() == [1110.5, 1111.5]
    assert mosi.target.tolist() == [1, 1, 0, 1, 0]
    assert mosi.target.dtype == np.int64
    assert mosi.target_names.tolist() == ["negative", "positive"]
    assert mosi.utterance_ids.tolist() == ["aa_x_10", "cc_1", "aa_x_1", "bb_3", "bb_2"]
    assert mosi.groups.tolist() == ["aa_x", "cc", "aa_x", "bb", "bb"]
    assert mosi.transcripts.tolist() == ['A "GOOD" ONE', "FINE", "WELL, IT IS BAD", "YES", "NO"]
    assert mosi.train_indices.tolist() == [0, 1, 2]
    assert mosi.test_indices.tolist() == [3, 4]
    assert "None" not in mosi.DESCR


@pytest.mark.parametrize(
    "split, train, test, groups",
    [("train", [0, 1, 2], [], ["aa_x", "cc", "aa_x"]), ("test", [], [0, 1], ["bb", "bb"])],
)
def test_one_split(folder, split, train, test, groups):
    mosi = load_cmu_mosi(folder, split=split)
    assert mosi.target.tolist() == LABELS[split]
    assert mosi.data["text"].tolist() == features("text", split)
    assert mosi.train_indices.tolist() == train
    assert mosi.test_indices.tolist() == test
    assert mosi.groups.tolist() == groups


def test_one_split_reads_only_its_files(folder):
    for name in WIDTHS:
        (folder / f"{name}_test0.csv").unlink()
    assert load_cmu_mosi(folder, split="train").data.shape == (3,)
    with pytest.raises(FileNotFoundError, match=r"text_test0\.csv"):
        load_cmu_mosi(folder)


def test_return_X_y(folder):
    X, y = load_cmu_mosi(folder, split="test", return_X_y=True)
    assert X == load_cmu_mosi(folder, split="test").data
    assert y.tolist() == [1, 0]


@pytest.mark.parametrize("split", ["valid", "Train", 0, ["train"], True])
def test_unknown_split(folder, split):
    with pytest.raises(ValueError, match=r"'split' .* must be None or one of 'train', 'test'. Got"):
        load_cmu_mosi(folder, split=split)


# Where the files lie


def test_places(folder, tmp_path_factory, monkeypatch):
    reference = load_cmu_mosi(folder).data

    home = tmp_path_factory.mktemp("home")
    nested = home / "cmu_mosi"  # as cloned: each modality in a folder, transcripts beside
    for modality in WIDTHS:
        (nested / modality).mkdir(parents=True)
        for part in LABELS:
            name = f"{modality}_{part}0.csv"
            (nested / modality / name).write_bytes((folder / name).read_bytes())
    (nested / "transcripts.csv").write_bytes((folder / "transcripts.csv").read_bytes())

    for data_home in (str(folder), nested, home):
        assert load_cmu_mosi(data_home).data == reference
        assert load_cmu_mosi(data_home).groups is not None
    monkeypatch.setenv("INFOREG_SK_DATA", str(home))
    assert load_cmu_mosi().data == reference


def test_data_home_comes_before_the_environment(folder, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("INFOREG_SK_DATA", str(folder))
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(FileNotFoundError) as info:
        load_cmu_mosi(empty)
    message = str(info.value)
    assert "text_train0.csv" in message
    assert str(empty) in message and str(empty / "cmu_mosi") in message
    assert str(folder) not in message
    assert "declare-lab/multimodal-deep-learning" in message and "bc-LSTM/data" in message
    assert "INFOREG_SK_DATA" in message


@pytest.mark.parametrize("value", [None, ""])
def test_no_place_given(monkeypatch, value):
    monkeypatch.delenv("INFOREG_SK_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("INFOREG_SK_DATA", value)
    with pytest.raises(FileNotFoundError, match=r"text_train0\.csv.*INFOREG_SK_DATA is not set"):
        load_cmu_mosi()


def test_data_home_of_another_type():
    with pytest.raises(TypeError, match=r"'data_home' .* must be None or a path. Got 3"):
        load_cmu_mosi(3)


def test_one_missing_file_is_named_with_its_folder(folder):
    (folder / "video_test0.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"video_test0\.csv is not in any of") as info:
        load_cmu_mosi(folder)
    assert str(folder) in str(info.value)


def test_without_transcripts_there_are_no_groups(folder):
    (folder / "transcripts.csv").unlink()
    mosi = load_cmu_mosi(folder)
    assert mosi.groups is None and mosi.utterance_ids is None and mosi.transcripts is None
    assert "There is no transcripts.csv" in mosi.DESCR and "groups" in mosi.DESCR
    assert mosi.target.tolist() == [1, 1, 0, 1, 0]


# Malformed files


def test_label_disagreement_between_modalities(folder):
    rows = table("video", "train")
    rows[1][-1] = 0
    write(folder / "video_train0.csv", rows)
    message = r"Labels disagree: row 2 is 1 in text_train0\.csv and 0 in video_train0\.csv"
    with pytest.raises(ValueError, match=message):
        load_cmu_mosi(folder)


def test_different_row_counts(folder):
    write(folder / "audio_test0.csv", table("audio", "test")[:1])
    with pytest.raises(ValueError, match=r"text_test0\.csv has 2, audio_test0\.csv has 1, video"):
        load_cmu_mosi(folder)


@pytest.mark.parametrize(
    "column, cell, message",
    [
        (1, "n/a", r"audio_train0\.csv, row 3, column 2: expected a number, got 'n/a'"),
        (0, "", r"audio_train0\.csv, row 3, column 1: expected a number, got ''"),
        (1, "nan", r"audio_train0\.csv, row 3, column 2: expected a finite number, got nan"),
        (2, "2", r"audio_train0\.csv, row 3: the last column is the label, 0 or 1; got 2"),
        (2, "0.5", r"audio_train0\.csv, row 3: the last column is the label, 0 or 1; got 0\.5"),
    ],
)
def test_bad_cell(folder, column, cell, message):
    rows = table("audio", "train")
    rows[2][column] = cell
    write(folder / "audio_train0.csv", rows)
    with pytest.raises(ValueError, match=message):
        load_cmu_mosi(folder)


def test_ragged_rows(folder):
    rows = table("text", "train")
    del rows[1][0]
    write(folder / "text_train0.csv", rows)
    with pytest.raises(ValueError, match=r"text_train0\.csv, row 2: expected 4 columns.*got 3"):
        load_cmu_mosi(folder)


def test_empty_file_and_label_alone(folder):
    write(folder / "text_train0.csv", [])
    with pytest.raises(ValueError, match=r"text_train0\.csv: the file is empty"):
        load_cmu_mosi(folder)
    write(folder / "text_train0.csv", [[1], [1], [0]])
    with pytest.raises(ValueError, match=r"row 1: expected at least 2 columns.*got 1"):
        load_cmu_mosi(folder)


def test_trailing_blank_line_is_no_row(folder):
    with open(folder / "text_train0.csv", "a") as file:
        file.write("\n")
    assert load_cmu_mosi(folder).data.shape == (5,)


def test_train_and_test_of_different_width(folder):
    write(folder / "text_test0.csv", [[0.0, *row] for row in table("text", "test")])
    with pytest.raises(ValueError, match="'text' has 3 features in train and 4 in test"):
        load_cmu_mosi(folder)


def test_transcripts_with_another_number_of_utterances(folder):
    write(folder / "transcripts.csv", TRANSCRIPTS[:-1])
    message = r"has 2 utterances of the train videos \(numbered 1 to 62\).*train files have 3 rows"
    with pytest.raises(ValueError, match=message):
        load_cmu_mosi(folder)
    # The part that fits, and the arrays alone, still load.
    assert load_cmu_mosi(folder, split="test").groups.tolist() == ["bb", "bb"]
    assert load_cmu_mosi(folder, return_X_y=True)[1].tolist() == [1, 1, 0, 1, 0]


def test_transcripts_with_other_labels(folder):
    rows = [*TRANSCRIPTS[:-1], ("cc_1", "FINE", 1, 0)]
    write(folder / "transcripts.csv", rows)
    message = "row 2 of the train files is 1, but by .*transcripts.csv it is utterance aa_x_1"
    with pytest.raises(ValueError, match=message):
        load_cmu_mosi(folder)


@pytest.mark.parametrize(
    "bad", [("bb_3", "YES", 63), ("bb3", "YES", 63, 1), ("bb_3", "YES", "x", 1), ("b_3", "", 63, 5)]
)
def test_malformed_transcripts(folder, bad):
    write(folder / "transcripts.csv", [*TRANSCRIPTS[:3], bad, TRANSCRIPTS[4]])
    with pytest.raises(ValueError, match=r"transcripts\.csv, row 4: expected an utterance id"):
        load_cmu_mosi(folder)


# The published files


@pytest.fixture(scope="module")
def published(mosi_home):
    return load_cmu_mosi(mosi_home)


def test_published_sizes(published):
    assert published.data.shape == (2199,)
    shapes = {name: published.data[name].shape[1] for name in published.data}
    assert shapes == {"text": 100, "audio": 73, "video": 100}
    assert np.bincount(published.target[published.train_indices]).tolist() == [738, 709]
    assert np.bincount(published.target[published.test_indices]).tolist() == [285, 467]
    assert published.target[published.test_indices].mean() == pytest.approx(0.621, abs=5e-4)
    video = published.data["video"]
    assert (np.ptp(video, axis=0) == 0).sum() == 32
    assert (video == 0).mean() == pytest.approx(0.79, abs=5e-3)


def test_published_files_agree_with_the_prepared_arrays(published, mosi_home):
    # The npz file was prepared apart from this loader, with ids by the source's own index files.
    path = mosi_home / "mosi_features.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as arrays:
        for part in ("train", "test"):
            rows = published[f"{part}_indices"]
            assert np.array_equal(published.target[rows], arrays[f"y_{part}"])
            assert np.array_equal(published.groups[rows], arrays[f"video_id_{part}"])
            assert np.array_equal(published.utterance_ids[rows], arrays[f"utt_{part}"])
            assert np.array_equal(published.transcripts[rows], arrays[f"transcript_{part}"])
            for name in published.data:
                values = published.data[name][rows].astype(np.float32)
                assert np.array_equal(values, arrays[f"{name}_{part}"])


def test_no_published_video_is_in_both_parts(published):
    train, test = (set(published.groups[published[f"{p}_indices"]]) for p in ("train", "test"))
    assert (len(train), len(test), len(train & test)) == (62, 31, 0)


def test_published_parts_and_parent_folder(published, mosi_home):
    train = load_cmu_mosi(mosi_home.parent, split="train")
    assert train.data == published.data[published.train_indices]
    test = load_cmu_mosi(mosi_home, split="test")
    assert test.data == published.data[published.test_indices]
    assert np.array_equal(test.groups, published.groups[published.test_indices])


def test_checksums(published, folder, tmp_path, mosi_home):
    assert published.altered == [] and "ones, by their SHA-256: none." in published.DESCR
    made = load_cmu_mosi(folder, split="test")
    names = ["text_test0.csv", "audio_test0.csv", "video_test0.csv", "transcripts.csv"]
    assert made.altered == names and ", ".join(names) in made.DESCR
    # The card has the same ones.
    card = (ROOT / "datasets" / "cmu_mosi" / "README.rst").read_text(encoding="utf-8")
    for path in mosi_home.glob("*.csv"):
        assert f"    {hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" in card
