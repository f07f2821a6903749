"""The same utterances of CMU-MOSI as csv files, as pickles and as HDF5 give equal arrays."""

import csv
import pickle
import re

import numpy as np
import pytest
from csd import NAMES, write_csd

from inforeg_sk.datasets import load_cmu_mosi

pytest.importorskip("h5py")

PICKLES = ("aligned_50", "unaligned_50", "mosi_data")
WIDTHS = {"text": 5, "audio": 3, "video": 4}
# Video and number of the utterance from 0, in the order of the parts, with the part and sentiment.
UTTERANCES = [
    ("2iD-tVS8NPw", 0, "train", -0.2),
    ("2iD-tVS8NPw", 1, "train", 2.4),
    ("8d-gEyoeBzc", 0, "train", 0.8),
    ("_dI--eQ6qVU", 0, "valid", 1.0),
    ("_dI--eQ6qVU", 1, "valid", -3.0),
    ("tStelxIAHjw", 0, "test", -1.6),
    ("tStelxIAHjw", 1, "test", 0.0),
    ("tStelxIAHjw", 2, "test", -2.8),
    ("zhpQhgha_KU", 0, "test", 3.0),
]
PARTS = {"train": "train", "validation": "valid", "test": "test"}
SENTIMENT = np.array([rating for *_, rating in UTTERANCES])
VIDEOS = [video for video, *_ in UTTERANCES]
N = len(UTTERANCES)


def part_rows(part):
    return [i for i, utterance in enumerate(UTTERANCES) if utterance[2] == part]


def made_up(n_steps, dtype=np.float64, seed=0):
    """Steps of each utterance by modality; `n_steps` gives how many, by modality and utterance."""
    rng = np.random.default_rng(seed)
    return {
        name: [rng.normal(size=(n, width)).astype(dtype) for n in n_steps(name)]
        for name, width in WIDTHS.items()
    }


def write_csv_layout(folder, data):
    """bc-LSTM's: train is train and validation, positive utterances first, and numbers from 1."""
    folder.mkdir()
    videos = list(dict.fromkeys(VIDEOS))
    is_test = {video: part == "test" for video, _, part, _ in UTTERANCES}
    transcripts = []
    for video, number, _, rating in UTTERANCES:
        at = videos.index(video) + (63 if is_test[video] else 1)
        transcripts.append((f"{video}_{number + 1}", "WORDS", at, int(rating >= 0)))
    with open(folder / "transcripts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(transcripts)
    for part in ("train", "test"):
        rows = [i for i in range(N) if is_test[VIDEOS[i]] == (part == "test")]
        rows = [i for i in rows if SENTIMENT[i] >= 0] + [i for i in rows if SENTIMENT[i] < 0]
        for name in WIDTHS:
            with open(folder / f"{name}_{part}0.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
                    [*data[name][i][0].tolist(), int(SENTIMENT[i] >= 0)] for i in rows
                )
    return folder


def write_pickle_layout(folder, features, data, n_steps):
    """MMSA's, padded at the end, or MultiBench's (mosi_data), padded in front."""
    front = features == "mosi_data"
    made = {}
    for part in PARTS.values():
        rows = part_rows(part)
        arrays = {}
        for name, width in WIDTHS.items():
            X = np.zeros((len(rows), n_steps[name], width), dtype=data[name][0].dtype)
            for x, i in zip(X, rows, strict=True):
                steps = data[name][i]
                x[n_steps[name] - len(steps) if front else 0 :][: len(steps)] = steps
            arrays["vision" if name == "video" else name] = X
        ids = [f"{v}[{k}]" if front else f"{v}$_${k + 1}" for v, k, *_ in UTTERANCES]
        made[part] = {
            **arrays,
            "id": [ids[i] for i in rows],
            "labels" if front else "regression_labels": SENTIMENT[rows].reshape(
                (-1, 1, 1) if front else -1
            ),
        }
    folder.mkdir()
    (folder / f"{features}.pkl").write_bytes(pickle.dumps(made))
    return folder


def write_csd_layout(folder, data, aligned):
    """The SDK's: whole videos with pauses between the utterances, or aligned to the labels."""
    folder.mkdir()
    labels = {}
    whole = {name: {} for name in WIDTHS}
    cut = {name: {} for name in WIDTHS}
    for i, (video, k, _, rating) in enumerate(UTTERANCES):
        start, end = 10.0 * k + 1, 10.0 * k + 8  # seconds
        times, ratings = labels.setdefault(video, ([], []))
        times.append((start, end))
        ratings.append([rating])
        for name in WIDTHS:
            steps = data[name][i]
            edges = np.linspace(start, end, len(steps) + 1)
            edges = np.stack([edges[:-1], edges[1:]], axis=1)
            cut[name][f"{video}[{k}]"] = edges, steps
            pause = np.array([[end, end + 3]]), np.full((1, WIDTHS[name]), 99, steps.dtype)
            whole[name].setdefault(video, []).extend([(edges, steps), pause])
    write_csd(
        folder / NAMES["labels"],
        {video: (np.array(times), np.array(ratings)) for video, (times, ratings) in labels.items()},
    )
    for name in WIDTHS:
        joined = {
            video: tuple(map(np.concatenate, zip(*pieces, strict=True)))
            for video, pieces in whole[name].items()
        }
        write_csd(folder / NAMES[name], cut[name] if aligned else joined)
    return folder


def same(X, expected):
    """Whether two arrays are equal; padding, NaN, is equal to padding."""
    return np.array_equal(X, expected, equal_nan=np.asarray(X).dtype.kind == "f")


def number(utterance):
    """The video and the number from 0, of the four ways to write them."""
    video, sign, digits = re.fullmatch(r"(.+?)(_|\$_\$|\[)(\d+)\]?", utterance).groups()
    return video, int(digits) - (sign != "[")


def rows_of(mosi):
    """Where each utterance is: the csv files have another order."""
    places = {number(utterance): i for i, utterance in enumerate(mosi.utterance_ids.tolist())}
    assert len(places) == N == len(mosi.target)
    return [places[video, k] for video, k, *_ in UTTERANCES]


@pytest.mark.parametrize("other", [*PICKLES, "sdk", "sdk aligned"])
def test_utterance_vectors_of_csv(tmp_path, other):
    data = made_up(lambda name: [1] * N)
    of_csv = load_cmu_mosi(write_csv_layout(tmp_path / "csv", data))
    if other in PICKLES:
        folder = write_pickle_layout(tmp_path / "other", other, data, dict.fromkeys(WIDTHS, 1))
        mosi = load_cmu_mosi(folder, features=other)
    else:
        folder = write_csd_layout(tmp_path / "other", data, aligned=other == "sdk aligned")
        mosi = load_cmu_mosi(folder, features="sdk")

    rows = rows_of(of_csv)
    assert rows_of(mosi) == list(range(N)) != rows
    assert list(mosi.data) == list(of_csv.data) == list(WIDTHS)
    for name in WIDTHS:
        assert mosi.data[name].shape == (N, 1, WIDTHS[name])
        assert mosi.data[name].dtype == of_csv.data[name].dtype == np.float64
        assert same(mosi.data[name][:, 0], of_csv.data[name][rows])
        assert same(mosi.data[name][:, 0], np.concatenate(data[name]))
    assert same(mosi.target, of_csv.target[rows])
    assert same(mosi.sentiment, SENTIMENT)
    assert same(mosi.groups, of_csv.groups[rows])
    assert mosi.groups.tolist() == VIDEOS
    # The csv files have no validation part.
    learnt = np.concatenate([mosi.train_indices, mosi.validation_indices])
    assert sorted(np.array(rows)[learnt]) == of_csv.train_indices.tolist()
    assert sorted(np.array(rows)[mosi.test_indices]) == of_csv.test_indices.tolist()


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("features", PICKLES)
def test_sequences_of_a_pickle(tmp_path, features, aligned):
    one_length = [3, 1, 4, 2, 5, 3, 2, 4, 1]
    factor = {"text": 1, "audio": 2, "video": 3} if features == "unaligned_50" else {}
    data = made_up(lambda name: [n * factor.get(name, 1) for n in one_length], np.float32, 1)
    data["audio"][4][2, 1] = -np.inf
    data["video"][0][0] = np.nan
    n_steps = {name: 7 * factor.get(name, 1) for name in WIDTHS}

    of_pickle = load_cmu_mosi(
        write_pickle_layout(tmp_path / "pickle", features, data, n_steps), features=features
    )
    folder = write_csd_layout(tmp_path / "csd", data, aligned)
    of_csd = load_cmu_mosi(folder, features="sdk", n_steps=n_steps)
    for name in WIDTHS:
        assert of_csd.data[name].shape == (N, n_steps[name], WIDTHS[name])
        assert of_csd.data[name].dtype == of_pickle.data[name].dtype == np.float32
        assert same(of_csd.data[name], of_pickle.data[name])
        assert of_csd.lengths[name].tolist() == [len(x) for x in data[name]]
        assert same(of_csd.lengths[name], of_pickle.lengths[name])
        for X, steps in zip(of_csd.data[name], data[name], strict=True):
            expected = np.where(np.isfinite(steps), steps, 0)
            assert same(X[: len(steps)], expected) and np.isnan(X[len(steps) :]).all()
    assert of_csd.non_finite == of_pickle.non_finite == {"text": 0, "audio": 1, "video": 4}
    for key in ("target", "target_names", "sentiment", "groups"):
        assert same(of_csd[key], of_pickle[key]), key
    for part in PARTS:
        assert same(of_csd[f"{part}_indices"], of_pickle[f"{part}_indices"])
    ids = [[number(name) for name in mosi.utterance_ids.tolist()] for mosi in (of_csd, of_pickle)]
    assert ids[0] == ids[1] == [(video, k) for video, k, *_ in UTTERANCES]

    # What the pickle pads beyond its longest utterance is no part of the content.
    whole = load_cmu_mosi(folder, features="sdk")
    for name, X in whole.data.items():
        longest = max(map(len, data[name]))
        assert X.shape[1] == longest
        assert same(X, of_pickle.data[name][:, :longest])

    for target in ("binary", "three", "seven", "real"):
        for split in (None, *PARTS):
            chosen = {"target": target, "split": split, "drop_zeros": target == "binary"}
            one = load_cmu_mosi(folder, features="sdk", n_steps=n_steps, **chosen)
            other = load_cmu_mosi(tmp_path / "pickle", features=features, **chosen)
            assert one.data == other.data
            assert same(one.target, other.target)


def test_published_csv_files_as_sequences(tmp_path, mosi_home):
    of_csv = load_cmu_mosi(mosi_home)
    places = {number(utterance): i for i, utterance in enumerate(of_csv.utterance_ids.tolist())}
    videos = {}
    for video, k in sorted(places):
        videos.setdefault(video, []).append(k)
    assert all(numbers == list(range(len(numbers))) for numbers in videos.values())
    times = {v: np.array([(10.0 * k + 1, 10.0 * k + 8) for k in ks]) for v, ks in videos.items()}
    rows = {video: [places[video, k] for k in numbers] for video, numbers in videos.items()}
    for name, X in {**of_csv.data, "labels": of_csv.target[:, None] * 2.0 - 1}.items():
        write_csd(tmp_path / NAMES[name], {v: (times[v], X[rows[v]]) for v in videos})
    mosi = load_cmu_mosi(tmp_path, features="sdk")
    order = [places[number(name)] for name in mosi.utterance_ids.tolist()]
    assert sorted(order) == list(range(2199))
    for name in WIDTHS:
        assert same(mosi.data[name][:, 0], of_csv.data[name][order])
    assert same(mosi.target, of_csv.target[order])
    assert same(mosi.groups, of_csv.groups[order])
    sizes = [len(set(mosi.groups[mosi[f"{part}_indices"]])) for part in PARTS]
    assert sizes == [52, 10, 31]
