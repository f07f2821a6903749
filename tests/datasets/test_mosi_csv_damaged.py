"""load_cmu_mosi on csv files that are damaged or claim too much."""

import os

import numpy as np
import pytest

from inforeg_sk.datasets import _mosi_csv, load_cmu_mosi
from inforeg_sk.utils.files import UnreadableFileError

ROWS = b"0.5,1\n0.25,0\n"


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "csv"
    home.mkdir()
    for part in ("train", "test"):
        for modality in ("text", "audio", "video"):
            (home / f"{modality}_{part}0.csv").write_bytes(ROWS)
    rows = [b"a_1,x,1,1", b"a_2,x,1,0", b"b_1,x,63,1", b"b_2,x,63,0"]
    (home / "transcripts.csv").write_bytes(b"\n".join(rows))
    return home


BAD = {
    "huge cell": (b"0.5,1\n" + b"1" * 200_000 + b",0\n", "after row 1: field larger than"),
    "quote that stays open": (b'0.5,1\n"0.25,0\n' + b"1,1\n" * 10**5, "after row 1: field larger"),
    "huge line": (b"0.5,1\n" + b"1," * 10**6, "after row 1: a row is longer than 1048576"),
    "huge row of short lines": (b"0.5,1\n" + b'"1\n",' * 10**6, "a row is longer than 1048576"),
    "line without end": (b" " * 2 * 10**6, "after row 0: .*(longer than|field larger)"),
    "null": (b"0.5,1\n0.\x0025,0\n", "NUL|expected a number"),
    "not UTF-8": (b"0.5,1\n\xff,0\n", r"not UTF-8 \(byte 0xff\)"),
    "binary": (bytes(range(256)), "audio_train0"),
    "UTF-16": ("0.5,1\n".encode("utf-16"), "not UTF-8"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
    "page": (b"<html>no</html>", "web page"),
    "empty": (b"", "the file is empty"),
    "blank": (b"\n" * 1000, "holds no rows"),
    "long text": (b"0.5,1\n" + b"x" * 10**5 + b",0\n", "row 2, column 1: expected a number"),
    "infinite": (b"0.5,1\n1e999,0\n", "row 2, column 1: expected a finite number, got inf"),
    "long label": (b"0.5,1\n0.5," + b"9" * 300 + b"\n", "row 2: the last column is the label"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_damaged_file_is_named_with_what_is_wrong(folder, name):
    damaged, message = BAD[name]
    (folder / "audio_train0.csv").write_bytes(damaged)
    with pytest.raises(UnreadableFileError, match=message) as info:
        load_cmu_mosi(folder)
    assert str(folder / "audio_train0.csv") in str(info.value)
    assert len(str(info.value)) < 500 + len(str(folder))


@pytest.mark.parametrize(
    "damaged, message",
    [
        (b"x" * 200_000, "field larger"),
        (b"a_1,x,1,1\n\xff\n", "not UTF-8"),
        (b"a_" + b"x" * 300 + b",x,1,1\n", "row 1: expected an utterance id .*at most 256"),
        (b"a_1,x,1," + b"1" * 5000, "row 1: expected an utterance id"),
        (b"a," * 5000, "row 1: expected an utterance id"),
        (b"<html>no</html>", "web page"),
    ],
)
def test_damaged_transcripts_are_named(folder, damaged, message):
    (folder / "transcripts.csv").write_bytes(damaged)
    with pytest.raises(UnreadableFileError, match=message) as info:
        load_cmu_mosi(folder)
    assert str(folder / "transcripts.csv") in str(info.value) and len(str(info.value)) < 800


def test_the_content_is_bounded_by_max_bytes(folder):
    assert load_cmu_mosi(folder, max_bytes=3000).data.shape == (4,)
    (folder / "audio_train0.csv").write_bytes(ROWS * 100)
    with pytest.raises(UnreadableFileError, match=r"audio_train0\.csv: its content, up to row"):
        load_cmu_mosi(folder, max_bytes=3000)
    with pytest.raises(UnreadableFileError, match=r"transcripts\.csv: its content, up to row 1,"):
        load_cmu_mosi(folder, split="test", max_bytes=100)


def test_a_row_may_be_long_and_a_cell_may_hold_line_ends(folder, monkeypatch):
    monkeypatch.setattr(_mosi_csv, "_LONGEST_ROW", 40)
    (folder / "transcripts.csv").write_bytes(
        b'a_1,"two\nlines",1,1\n' * 1 + b"a_2,x,1,0\nb_1,x,63,1\nb_2,x,63,0\n"
    )
    assert load_cmu_mosi(folder).transcripts[0] == "two\nlines"
    (folder / "transcripts.csv").write_bytes(b'a_1,"' + b"1\n" * 20 + b'",1,1\n')
    with pytest.raises(UnreadableFileError, match="after row 0: a row is longer than 40"):
        load_cmu_mosi(folder)


def test_files_that_disagree_are_named_with_their_folder(folder):
    (folder / "audio_train0.csv").write_bytes(b"0.5,1\n0.25,1\n")
    with pytest.raises(UnreadableFileError, match="Labels disagree") as info:
        load_cmu_mosi(folder)
    assert str(folder) in str(info.value)


def test_links_out_of_the_folder_are_followed_on_demand_only(folder, tmp_path):
    whole = load_cmu_mosi(folder)
    for name in ("video_test0.csv", "transcripts.csv"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        with pytest.raises(UnreadableFileError, match=f"{name} is a symbolic link .*follow_links"):
            load_cmu_mosi(folder)
        linked = load_cmu_mosi(folder, follow_links=True)
        assert linked.data == whole.data and np.array_equal(linked.groups, whole.groups)
        (folder / name).unlink()
        (tmp_path / name).rename(folder / name)


@pytest.mark.parametrize("name", ["text_train0.csv", "transcripts.csv"])
def test_pipes_are_not_opened(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(UnreadableFileError, match=f"{name}: it is not a regular file"):
        load_cmu_mosi(folder)


def test_a_worker_reads_the_same_and_raises_the_same(folder):
    assert load_cmu_mosi(folder, isolate=True).data == load_cmu_mosi(folder).data
    (folder / "audio_train0.csv").write_bytes(b"x,1\n")
    with pytest.raises(UnreadableFileError, match=r"audio_train0\.csv, row 1, column 1"):
        load_cmu_mosi(folder, isolate=True)
