"""load_cmu_mosi on small computational sequences (.csd) of the CMU Multimodal SDK's layout."""

import numpy as np
import pytest
from csd import (
    IDS,
    LABELS,
    NAMES,
    SEGMENTS,
    WIDTHS,
    A,
    B,
    T,
    V,
    content,
    steps,
    write_all,
    write_csd,
)

from inforeg_sk.data.container import ModalityDict
from inforeg_sk.datasets import load_cmu_mosi
from inforeg_sk.datasets._mosi_csd import _FOLDS

pytest.importorskip("h5py")


def same(X, expected):
    """Whether two arrays are equal; padding, NaN, is equal to padding."""
    return np.array_equal(X, expected, equal_nan=np.asarray(X).dtype.kind == "f")


@pytest.fixture
def folder(tmp_path):
    return write_all(tmp_path)


def load(folder, **arguments):
    return load_cmu_mosi(folder, features="sdk", **arguments)


def by_loop(entries, ids=IDS):
    """The steps of each utterance, by the rule that the docstring of the loader states."""
    found = []
    for name in ids:
        video, number = name[:-1].split("[")
        start, end = SEGMENTS[video][0][int(number)]
        times, features = entries[video]
        rows = []
        for (step_start, step_end), x in sorted(
            zip(times.tolist(), features.tolist(), strict=True), key=lambda pair: pair[0][0]
        ):
            if min(end, step_end) - max(start, step_start) > 1e-5:
                rows.append(x)
        found.append(rows)
    return found


def padded(found, n_steps, width):
    X = np.full((len(found), n_steps, width), np.nan)
    for i, rows in enumerate(found):
        X[i, 0] = 0  # unless there is a step
        for j, x in enumerate(rows[:n_steps]):
            X[i, j] = x
    return X


def test_small_files(folder):
    mosi = load(folder)
    assert isinstance(mosi.data, ModalityDict)
    assert list(mosi.data) == ["text", "audio", "video"]
    for name in WIDTHS:
        found = by_loop(content(name))
        lengths = [len(rows) for rows in found]
        assert mosi.data[name].dtype == np.float32
        assert mosi.data[name].shape == (6, max(lengths), WIDTHS[name])
        assert same(mosi.data[name], padded(found, max(lengths), WIDTHS[name]))
        assert mosi.lengths[name].tolist() == lengths
    # By hand: A[0] is 0 to 1 s, two words; B[0] is 0.25 to 1 s, of both words a part.
    assert mosi.lengths["text"].tolist() == [2, 3, 2, 4, 3, 2]
    assert mosi.lengths["audio"].tolist() == [8, 12, 6, 16, 12, 8]
    assert same(mosi.data["text"][0, :, 0], [2000, 2001, np.nan, np.nan])
    assert same(mosi.data["audio"][2, :7, 1], [4102.125 + i for i in range(6)] + [np.nan])
    assert mosi.utterance_ids.tolist() == IDS
    assert mosi.groups.tolist() == [A, A, B, V, T, T]
    assert mosi.sentiment.tolist() == LABELS
    assert mosi.target.tolist() == [0, 1, 0, 1, 1, 0] and mosi.target.dtype == np.int64
    assert mosi.train_indices.tolist() == [0, 1, 2]
    assert mosi.validation_indices.tolist() == [3]
    assert mosi.test_indices.tolist() == [4, 5]
    assert mosi.non_finite == {"text": 0, "audio": 0, "video": 0}
    assert {name: x.tolist() for name, x in mosi.empty.items()} == {key: [] for key in WIDTHS}
    assert mosi.files == {name: str(folder / file) for name, file in NAMES.items()}
    assert mosi.transcripts is None and mosi.annotations is None
    assert "3 train; 1 validation; 2 test" in mosi.DESCR
    assert "video CMU_MOSI_Visual_Facet_42.csd" in mosi.DESCR
    assert "without duration, left out: 1." in mosi.DESCR


# Which steps are in an utterance


def test_overlap_against_a_plain_loop(folder):
    rng = np.random.default_rng(0)
    entries = {}
    for video, (segments, _) in SEGMENTS.items():
        edges = np.unique(segments)
        # Steps of any length in any order, some of which end or start at an edge or close to it.
        start = np.concatenate([rng.uniform(0, 4, 60), rng.choice(edges, 40)])
        start[60:80] += rng.choice([-2e-5, -5e-6, 5e-6, 2e-5], 20)
        end = start + rng.choice([0, 5e-6, 0.1, 1.0], 100)
        end[:20] = rng.choice(edges, 20) + rng.choice([-2e-5, 0, 2e-5], 20)
        end = np.maximum(start, end)
        entries[video] = np.stack([start, end], axis=1), rng.normal(size=(100, 3))
    write_csd(folder / NAMES["text"], entries)
    found = by_loop(entries)
    mosi = load(folder)
    assert mosi.data["text"].dtype == np.float64
    assert mosi.lengths["text"].tolist() == [len(rows) for rows in found]
    assert len(set(mosi.lengths["text"])) > 1 and max(mosi.lengths["text"]) < 100
    assert same(mosi.data["text"], padded(found, max(map(len, found)), 3))


@pytest.mark.parametrize(
    "times, n_found",
    [
        ((1.0, 2.5), 0),  # touches both segments of A and lasts in neither
        ((0.999999, 1.5), 0),  # a rounding error is no overlap
        ((0.99, 1.5), 1),
        ((0.5, 0.5), 0),  # no duration
        ((0.0, 4.0), 2),  # a step of both segments
    ],
)
def test_overlap_by_hand(folder, times, n_found):
    far = np.array([[0.0, 4.0]]), np.ones((1, 3))
    entries = dict.fromkeys(SEGMENTS, far) | {A: (np.array([times]), np.full((1, 3), 7.0))}
    write_csd(folder / NAMES["text"], entries)
    mosi = load(folder)
    assert (mosi.data["text"][:2] == 7).all(axis=2).sum() == n_found
    assert mosi.lengths["text"].sum() == n_found + 4
    assert len(mosi.empty["text"]) == 2 - n_found


def test_files_aligned_to_the_labels_are_taken_as_they_are(folder):
    times = np.array([[90.0, 91.0], [80.0, 81.0]])  # in no segment, and not in order
    entries = {
        name: (times[: 1 + i % 2], np.full((1 + i % 2, 3), i + 1.0) * [[1], [10]][: 1 + i % 2])
        for i, name in enumerate(IDS[:-1])
    }
    write_csd(folder / NAMES["text"], entries)
    mosi = load(folder)
    nan = np.nan
    expected = [[1, nan], [2, 20], [3, nan], [4, 40], [5, nan], [0, nan]]
    assert same(mosi.data["text"][:, :, 0], expected)
    assert mosi.lengths["text"].tolist() == [1, 2, 1, 2, 1, 0]
    assert mosi.empty["text"].tolist() == IDS[-1:]


def test_labels_aligned_too(folder):
    """As the SDK saves them after `align`: a key a segment, those without duration gone."""
    reference = load(folder)
    times, ratings = {}, {}
    for video, (intervals, sentiment) in SEGMENTS.items():
        for k, (interval, rating) in enumerate(zip(intervals, sentiment, strict=True)):
            times[f"{video}[{k}]"], ratings[f"{video}[{k}]"] = interval, rating
    entries = {name: (np.array([times[name]]), np.array([[ratings[name]]])) for name in IDS}
    write_csd(folder / NAMES["labels"], entries)
    mosi = load(folder)
    assert mosi.data == reference.data
    assert mosi.utterance_ids.tolist() == IDS and mosi.sentiment.tolist() == LABELS


def test_segments_are_in_the_order_of_their_numbers(folder):
    n = 12  # as text, [10] comes before [2]
    entries = {f"{A}[{k}]": (np.array([[k, k + 1.0]]), np.array([[k / 6]])) for k in range(n)}
    write_csd(folder / NAMES["labels"], entries)
    for name in WIDTHS:
        entries = {A: (np.array([[0.0, 12.0]]), np.ones((1, 2)))}
        write_csd(folder / NAMES[name], entries)
    assert load(folder).utterance_ids.tolist() == [f"{A}[{k}]" for k in range(n)]


def test_files_aligned_to_the_words_go_by_their_times(folder):
    reference = load(folder)
    entries = {}
    for video in SEGMENTS:
        times, features = steps("text", video)
        for k in range(len(times)):
            entries[f"{video}[{k}]"] = times[k : k + 1], features[k : k + 1]
    write_csd(folder / NAMES["text"], entries)
    assert load(folder).data == reference.data


def test_an_utterance_without_steps_has_one_of_zeros_and_is_named(folder):
    entries = content("audio")
    del entries[V]
    times, features = entries[T]
    entries[T] = times[times[:, 0] >= 2], features[times[:, 0] >= 2]
    write_csd(folder / NAMES["audio"], entries)
    mosi = load(folder)
    assert mosi.empty["audio"].tolist() == [f"{V}[0]", f"{T}[0]"]
    assert mosi.empty["text"].tolist() == []
    audio = mosi.data["audio"]
    assert not audio[[3, 4], 0].any() and np.isnan(audio[[3, 4], 1:]).all() and audio[5, 0].any()
    assert mosi.lengths["audio"][[3, 4, 5]].tolist() == [0, 0, 8]
    assert "one of zeros: text 0, audio 2, video 0." in mosi.DESCR
    assert load(folder, split="test").empty["audio"].tolist() == [f"{T}[0]"]


# Numbers


def test_n_steps(folder):
    whole = load(folder)
    five = load(folder, n_steps=5)
    for name in WIDTHS:
        assert five.data[name].shape == (6, 5, WIDTHS[name])
    assert same(five.data["audio"], whole.data["audio"][:, :5])
    assert five.lengths["audio"].tolist() == [5] * 6
    assert same(five.data["text"][:, :4], whole.data["text"])
    assert np.isnan(five.data["text"][:, 4:]).all()
    assert five.lengths["text"].tolist() == whole.lengths["text"].tolist()
    assert "cut: text 0, audio 6, video 3." in five.DESCR
    some = load(folder, n_steps={"audio": 5, "video": None})
    assert {name: some.data[name].shape[1] for name in WIDTHS} == {
        "text": 4,
        "audio": 5,
        "video": 8,
    }


@pytest.mark.parametrize(
    "stored, loaded",
    [("<f4", "f4"), (">f4", "f4"), ("<f8", "f8"), (">f8", "f8"), ("<f2", "f4"), ("<i4", "f8")],
)
def test_types(folder, stored, loaded):
    entries = {
        video: (steps("text", video)[0].astype("f4"), np.full((8, 3), 7, dtype=stored))
        for video in SEGMENTS
    }
    write_csd(folder / NAMES["text"], entries)
    text = load(folder).data["text"]
    assert text.dtype == np.dtype(loaded) and text.dtype.isnative
    assert np.unique(text[~np.isnan(text)]).tolist() == [7]


def test_non_finite(folder):
    entries = content("audio")
    entries[A][1][0] = -np.inf, np.nan  # A[0]
    entries[A][1][12, 0] = np.nan  # 1.5 s: of no utterance
    entries[T][1][16, 1] = np.inf  # T[1]
    expected = load(folder).data["audio"].copy()
    expected[0, 0] = 0
    expected[5, 0, 1] = 0
    write_csd(folder / NAMES["audio"], entries)
    mosi = load(folder)
    assert same(mosi.data["audio"], expected)
    assert mosi.non_finite == {"text": 0, "audio": 3, "video": 0}
    assert mosi.lengths["audio"][0] == 8
    assert load(folder, split="test").non_finite["audio"] == 1


# Parts and targets


def test_parts(folder):
    mosi = load(folder)
    for part, n in {"train": 3, "validation": 1, "test": 2}.items():
        one = load(folder, split=part)
        rows = mosi[f"{part}_indices"]
        assert one.data == mosi.data[rows]  # as wide as among all
        assert one.utterance_ids.tolist() == mosi.utterance_ids[rows].tolist()
        assert one.lengths["video"].tolist() == mosi.lengths["video"][rows].tolist()
        assert one[f"{part}_indices"].tolist() == list(range(n))
    with pytest.raises(ValueError, match=r"'split' .* one of 'train', 'validation', 'test'"):
        load(folder, split="valid")


def test_a_part_without_utterances(folder):
    entries = content("labels")
    del entries[V]
    write_csd(folder / NAMES["labels"], entries)
    assert load(folder, split="validation").data.shape == (0,)


def test_standard_folds():
    sizes = {part: len(set(videos)) for part, videos in _FOLDS.items()}
    assert sizes == {"train": 52, "validation": 10, "test": 31}
    assert len(set().union(*_FOLDS.values())) == 93


def test_standard_folds_are_those_of_the_prepared_arrays(mosi_home):
    path = mosi_home / "mosi_features.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as arrays:
        videos, folds = (
            np.concatenate([arrays[f"{key}_{part}"] for part in ("train", "test")])
            for key in ("video_id", "sdk_fold")
        )
    for code, part in enumerate(("train", "validation", "test")):
        assert set(videos[folds == code]) == set(_FOLDS[part])


def test_videos_in_no_fold_are_left_out(folder):
    reference = load(folder)
    entries = content("labels") | {"another": (np.array([[0.0, 1.0]]), np.array([[9.0]]))}
    write_csd(folder / NAMES["labels"], entries)
    with pytest.warns(
        UserWarning, match=r"1 videos are not in the standard folds.*left out: another\."
    ) as record:
        mosi = load(folder)
    assert record[0].filename == __file__
    assert mosi.data == reference.data
    write_csd(folder / NAMES["labels"], {"another": entries["another"]})
    with (
        pytest.warns(UserWarning, match="another"),
        pytest.raises(ValueError, match="labels no segment of any video of the standard folds"),
    ):
        load(folder)


@pytest.mark.parametrize(
    "target, expected, names",
    [
        ("binary", [0, 1, 0, 1, 1, 0], ["negative", "non-negative"]),
        ("three", [0, 1, 0, 2, 2, 0], ["negative", "neutral", "positive"]),
        ("seven", [0, 3, 3, 4, 5, 1], ["-3", "-2", "-1", "0", "1", "2", "3"]),
        ("real", LABELS, None),
    ],
)
def test_targets(folder, target, expected, names):
    mosi = load(folder, target=target)
    assert mosi.target.tolist() == expected
    assert (mosi.target_names if names is None else mosi.target_names.tolist()) == names
    X, y = load(folder, target=target, return_X_y=True)
    assert X == mosi.data and y.tolist() == expected


def test_drop_zeros(folder):
    mosi = load(folder, drop_zeros=True)
    assert mosi.utterance_ids.tolist() == [name for name in IDS if name != f"{A}[2]"]
    assert mosi.target.tolist() == [0, 0, 1, 1, 0]
    assert mosi.target_names.tolist() == ["negative", "positive"]
    assert mosi.train_indices.tolist() == [0, 1] and mosi.test_indices.tolist() == [3, 4]


# Which files


def test_places_and_older_names(folder, tmp_path_factory, monkeypatch):
    reference = load(folder).data
    home = tmp_path_factory.mktemp("home")
    server = home / "CMU-MOSI"
    for sub, old, new in (
        ("language", NAMES["text"], "CMU_MOSI_TimestampedWordVectors_1.1.csd"),
        ("acoustic", NAMES["audio"], NAMES["audio"]),
        ("visual", NAMES["video"], "CMU_MOSI_Visual_Facet_41.csd"),
        ("labels", NAMES["labels"], NAMES["labels"]),
    ):
        (server / sub).mkdir(parents=True)
        (server / sub / new).write_bytes((folder / old).read_bytes())
    for place in (home, str(server)):
        mosi = load(place)
        assert mosi.data == reference
        assert "video CMU_MOSI_Visual_Facet_41.csd" in mosi.DESCR
    monkeypatch.setenv("INFOREG_SK_DATA", str(home))
    assert load(None).data == reference
    (server / "visual" / "CMU_MOSI_Visual_Facet_41.csd").unlink()
    with pytest.raises(FileNotFoundError, match=r"Facet_42\.csd or .*\(video\) is not in any of"):
        load(None)
    monkeypatch.delenv("INFOREG_SK_DATA")
    with pytest.raises(FileNotFoundError, match=r"WordVectors\.csd.*is not set.*MultimodalSDK"):
        load(None)


def test_files_of_ones_own(folder, tmp_path_factory):
    reference = load(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "smile.csd"
    (folder / NAMES["audio"]).rename(elsewhere)
    (folder / NAMES["labels"]).rename(folder / "ratings.csd")
    files = {"video": NAMES["video"], "smile": elsewhere, "labels": "ratings.csd"}
    mosi = load(folder, files=files, n_steps={"smile": 3})
    assert list(mosi.data) == ["video", "smile"]
    assert same(mosi.data["smile"], reference.data["audio"][:, :3])
    assert same(mosi.data["video"], reference.data["video"])
    assert mosi.files["smile"] == str(elsewhere)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {"files": ["a.csd"]},
            TypeError,
            "'files' .* must be None or a dict from modality to path",
        ),
        ({"files": {"text": 3}}, TypeError, r"files\['text'\]' .* must be a path. Got 3"),
        ({"files": {"labels": "a.csd"}}, ValueError, "at least one modality"),
        ({"files": {"text": "a.csd"}}, FileNotFoundError, r"a\.csd \(text\) is not in any of"),
        (
            {"n_steps": 0},
            ValueError,
            r"'n_steps' .* None or an int in \[1, inf\) or a dict .*Got 0",
        ),
        ({"n_steps": True}, ValueError, "'n_steps' .* must be None.*Got True"),
        ({"n_steps": 5.0}, ValueError, "'n_steps' .* must be None.*Got 5.0"),
        ({"n_steps": {"text": "5"}}, ValueError, r"n_steps\['text'\]' .* must be None.*Got '5'"),
        (
            {"n_steps": {"vision": 5}},
            ValueError,
            "'n_steps' .* must name modalities .*Got 'vision'",
        ),
        (
            {"drop_zeros": True, "target": "real"},
            ValueError,
            "'drop_zeros' .* must be False unless target='binary'",
        ),
    ],
)
def test_bad_arguments(folder, arguments, error, message):
    with pytest.raises(error, match=message):
        load(folder, **arguments)


@pytest.mark.parametrize("features", ["csv", "aligned_50"])
def test_arguments_of_the_sdk_alone(tmp_path, features):
    for arguments in ({"files": {"text": "a.csd"}}, {"n_steps": 50}):
        (name,) = arguments
        with pytest.raises(
            ValueError, match=f"'{name}' .* must be None unless features='sdk'. Got"
        ):
            load_cmu_mosi(tmp_path, features=features, **arguments)


# Malformed files


def refused(folder, message, name):
    with pytest.raises(ValueError, match=message) as info:
        load(folder)
    assert str(folder / NAMES[name]) in str(info.value)


@pytest.mark.parametrize(
    "entries, message",
    [
        ({A: ([[0, 1]], [[0.0, 1.0]])}, r"labels must belong to a video.*shape \(1, 2\)"),
        ({f"{A}[0]": ([[0, 1], [1, 2]], [[0.0], [1.0]])}, r"or to one segment.*shape \(2, 1\)"),
        ({f"{A}[x]": ([[0, 1]], [[0.0]])}, "labels must belong to a video"),
        ({f"{A}[0]": ([[0, 1]], [[0.0]]), A: ([[0, 1]], [[0.0]])}, r"labels the segment .* twice"),
        ({A: ([[0, 1], [1, 2]], [[0.0], [3.5]])}, rf"sentiment of sample {A}\[1\] is 3.5"),
        ({A: ([[0, 1]], [[np.nan]])}, rf"sentiment of sample {A}\[0\] is nan"),
    ],
)
def test_malformed_labels(folder, entries, message):
    write_csd(
        folder / NAMES["labels"],
        {key: (np.array(x, dtype=float), np.array(y)) for key, (x, y) in entries.items()},
    )
    refused(folder, message, "labels")


def test_no_step_of_any_utterance(folder):
    write_csd(folder / NAMES["text"], {"another": steps("text", A)})
    refused(folder, "no step in any labelled segment; it has keys such as 'another'", "text")
