"""load_cmu_mosi on pickles that are damaged, claim too much, or hold something else."""

import os
import pickle

import crafted_pickles as make
import numpy as np
import pytest

from inforeg_sk.datasets import load_cmu_mosi
from inforeg_sk.utils.files import UnreadableFileError

N = {"train": 3, "valid": 1, "test": 2}


def content():
    rng = np.random.default_rng(0)
    return {
        part: {
            "text": rng.normal(size=(n, 4, 3)).astype(np.float32),
            "audio": rng.normal(size=(n, 4, 2)),
            "vision": [rng.normal(size=(k + 1, 2)) for k in range(n)],
            "regression_labels": np.linspace(-1, 1, n),
            "id": [f"v{part}_{k}" for k in range(n)],
            "raw_text": np.array([f"word {k}" for k in range(n)], dtype=object),
            "audio_lengths": [4] * n,
        }
        for part, n in N.items()
    }


def load(folder, made=None, **arguments):
    if made is not None:
        (folder / "aligned_50.pkl").write_bytes(made if isinstance(made, bytes) else dump(made))
    return load_cmu_mosi(folder, features="aligned_50", **arguments)


def dump(made):
    return pickle.dumps(made)


def refused(folder, made, **arguments):
    with pytest.raises(UnreadableFileError) as info:
        load(folder, made, **arguments)
    message = str(info.value)
    assert message.startswith(str(folder / "aligned_50.pkl"))
    assert len(message) < 600
    return message


def test_the_intact_file_is_read(tmp_path):
    mosi = load(tmp_path, content())
    assert mosi.data["video"].shape == (6, 3, 2)
    assert mosi.utterance_ids.tolist()[:2] == ["vtrain_0", "vtrain_1"]
    assert mosi.transcripts.tolist()[0] == "word 0"


@pytest.mark.parametrize(
    "made, message",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-lfs"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "web page"),
        (b"", "empty"),
        (b"\x80", "ends early"),
        (b"hello", "not an operation|memo has no entry"),
        (make.program(b"})" + b"\x85" * 10**6 + b"Ns"), "tuple as the key of a dict"),
        (make.program(make.name("os", "system")), r"refused os\.system"),
        (make.program(b"N"), "expected a dict of the parts"),
    ],
)
def test_what_is_no_such_pickle_is_refused_by_name(tmp_path, made, message):
    with pytest.raises(UnreadableFileError, match=message):
        load(tmp_path, made)
    refused(tmp_path, made)


def test_the_error_of_a_pickle_is_also_one_of_unpickling(tmp_path):
    with pytest.raises(pickle.UnpicklingError, match=r"aligned_50\.pkl"):
        load(tmp_path, b"\x80\x04\x8e" + b"\xff" * 8)
    with pytest.raises(pickle.UnpicklingError, match=r"aligned_50\.pkl.*max_bytes=1000"):
        load(tmp_path, content(), max_bytes=1000)


VALUES = {
    "nothing": None,
    "number": 3,
    "text": "abcdef",
    "bytes": b"abcdef",
    "dict": {k: k for k in range(3)},
    "empty": [],
    "array without axes": np.array(1.0),
    "array of None": np.array([None] * 3, dtype=object),
    "list of dicts": [{}, {}, {}],
    "list of None": [None] * 3,
    "texts": ["a", "b", "c"],
    "array of texts": np.array(["a", "b", "c"]),
    "nested": [[[1, 2], [3]], [[]], [[[[1]]]]],
    "mixed": [np.ones((2, 2)), "a", None],
    "infinite": [float("inf"), float("nan"), 1e308],
    "huge integers": [2**63, -(2**63), 2**64 - 1],
    "bool": [True, False, True],
    "many axes": np.ones((3,) + (1,) * 20),
    "no steps": np.ones((3, 0, 2)),
    "no features": np.ones((3, 4, 0)),
    "huge empty axis": np.ones((3, 0, 10**8)),
    "objects in objects": np.array([np.array([None, 1]), {}, 3], dtype=object),
    "long texts": ["x" * 10**5] * 3,
    "bytearrays": [bytearray(b"abc")] * 3,
    "signaling": np.full((3, 1, 1), np.frombuffer(b"\x01\x00\xa0\x7f", "<f4")[0]),
}
KEYS = ("text", "vision", "regression_labels", "id", "raw_text", "annotations", "audio_lengths")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", list(VALUES))
def test_any_value_in_any_place_is_read_or_refused_by_name(tmp_path, key, name):
    made = content()
    made["train"][key] = VALUES[name]
    (tmp_path / "aligned_50.pkl").write_bytes(pickle.dumps(made))
    try:
        mosi = load(tmp_path)
    except UnreadableFileError as error:
        text = str(error)
        assert "aligned_50.pkl" in text and len(text) < 700
        assert "is damaged" not in text  # of another library: it should have words of its own
    else:
        assert mosi.data.shape == (6,)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("id", ["x" * 257, "b", "c"], "id 0 has more than 256 characters"),
        ("id", ["a", "b\0", "c"], "id 1 holds a null character"),
        ("id", ["a", list(range(99)), "c"], "id 1 must be a text, or a row of 1 to 16 values"),
        ("id", ["a", "b", {}], "id 2 must be a text; it is of type dict"),
        ("raw_text", "abc", "raw_text must be a list or an array"),
        ("raw_text", [["a"], "b", "c"], "raw_text 0 must be a text"),
        ("audio_lengths", [1.5, 1, 1], "audio_lengths must hold one whole number"),
        ("audio_lengths", [-1, 1, 1], "audio_lengths must hold one whole number"),
        ("audio_lengths", [float("nan"), 1, 1], "audio_lengths must hold one whole number"),
        ("audio_lengths", [5, 1, 1], "audio_lengths must be from 0 to the number of steps"),
        ("regression_labels", {1: 2}, "regression_labels must be a list or an array"),
    ],
)
def test_what_a_place_cannot_hold_is_named(tmp_path, key, value, message):
    made = content()
    made["train"][key] = value
    with pytest.raises(UnreadableFileError, match=message):
        load(tmp_path, made)


def test_no_sample_is_an_error(tmp_path):
    made = content()
    empty = {key: values[:0] for key, values in made["train"].items()}
    message = refused(tmp_path, {part: empty for part in N})
    assert "must hold arrays of numbers" in message or "must have a sample" in message


def test_padding_to_one_long_sample_is_checked_before_it_is_made(tmp_path):
    made = content()
    made["train"]["vision"] = [np.ones((1, 2)), np.ones((10**5, 2)), np.ones((1, 2))]
    assert load(tmp_path, made).data["video"].shape == (6, 10**5, 2)
    message = refused(tmp_path, made, max_bytes=4 * 10**6)
    assert "vision, of the shape (6, 100000, 2), would take 9600000 bytes" in message


def test_limits_and_errors_are_the_same_in_a_worker(tmp_path):
    mosi = load(tmp_path, content())
    isolated = load(tmp_path, isolate=True)
    assert isolated.data == mosi.data
    assert isolated.utterance_ids.tolist() == mosi.utterance_ids.tolist()
    with pytest.raises(pickle.UnpicklingError, match=r"aligned_50\.pkl.*refused os\.system"):
        load(tmp_path, make.program(make.name("os", "system")), isolate=True)


# Links and what is not a file


def test_a_link_out_of_the_folder_is_followed_on_demand_only(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    mosi = load(outside, content())
    (inside / "aligned_50.pkl").symlink_to(outside / "aligned_50.pkl")
    with pytest.raises(UnreadableFileError, match="follow_links"):
        load(inside)
    assert load(inside, follow_links=True).data == mosi.data
    # A link that is passed is followed, to a file or to a folder.
    assert load_cmu_mosi(inside / "aligned_50.pkl", features="aligned_50").data == mosi.data
    (tmp_path / "link").symlink_to(outside)
    assert load(tmp_path / "link").data == mosi.data


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "aligned_50.pkl").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"aligned_50\.pkl: there is no such file"):
        load(tmp_path)


def test_a_pipe_or_a_folder_in_its_place_is_named(tmp_path):
    path = tmp_path / "aligned_50.pkl"
    path.mkdir()
    with pytest.raises(UnreadableFileError, match="it is a folder"):
        load(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    for home in (tmp_path, path):
        with pytest.raises(UnreadableFileError, match="not a regular file"):
            load_cmu_mosi(home, features="aligned_50")
