"""What the command reads of a file is what the file has; what it cannot use is named."""

import pickle

import numpy as np
import pytest

from inforeg_sk.inspection.command_data import CommandError, infer_task, read_data

TABLE = """id,pitch,energy,text_0,text_1,label,who
a,1,2,3,4,yes,ann
b,5,6,7,8,no,ann
c,9,10,NaN,na,yes,bob
"""


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return save


@pytest.fixture
def write(tmp_path):
    def write(text, name="data.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return write


# Arrays


def test_all_arrays_of_an_npz_file_are_modalities_but_target_and_groups(save):
    rng = np.random.default_rng(0)
    arrays = {"video": rng.random((4, 2, 3)), "audio": rng.random((4, 5))}
    y, who = np.array(["a", "b", "a", "b"]), np.arange(4)
    path = save(**arrays, label=y, who=who, folds=np.arange(2))
    data = read_data(path, "label", "who")
    assert list(data.X) == ["video", "audio"] and data.lacking == {}
    for name, values in arrays.items():
        assert np.array_equal(data.X[name], values)
    assert np.array_equal(data.y, y) and np.array_equal(data.groups, who)
    (note,) = data.notes
    assert "not have 4 rows" in note and "'folds' of shape (2,)" in note


def test_an_array_that_looks_like_a_modality_is_never_left_out_for_its_length(save):
    arrays = {"a": np.eye(3), "y": [0, 1, 0], "video": np.ones((2, 4, 5))}
    path = save(**arrays)
    with pytest.raises(CommandError, match=r"'video' has 2 rows, but the target has 3.*--modality"):
        read_data(path)
    assert list(read_data(path, modalities=["a"]).X) == ["a"]
    del arrays["video"]
    path = save(**arrays, scale=np.float64(2), names=np.array([["p", "q"]]), mean=np.ones(2))
    (note,) = read_data(path).notes
    assert all(name in note for name in ("'scale' of shape ()", "'names'", "'mean' of shape (2,)"))


def test_named_arrays_of_an_npz_file(save):
    path = save(a=np.eye(3), b=2 * np.eye(3), c=np.arange(3), y=np.arange(3.0)[:, None])
    data = read_data(path, modalities=["sound=b", "c"])
    assert list(data.X) == ["sound", "c"] and np.array_equal(data.X["sound"], 2 * np.eye(3))
    assert data.y.shape == (3,) and data.groups is None
    assert data.notes == ["arrays that are not used: 'a'"]


def test_columns_of_the_only_array_of_an_npz_file(save):
    table = np.arange(12.0).reshape(2, 6)
    data = read_data(save(X=table, y=[0, 1]), modalities=["left=0:2,5", "right=3"])
    assert data.X["left"].tolist() == [[0, 1, 5], [6, 7, 11]]
    assert data.X["right"].tolist() == [[3], [9]]


def test_modalities_that_samples_lack_are_counted(save):
    audio = np.arange(6.0).reshape(3, 2)
    audio[1] = np.nan
    data = read_data(save(audio=audio, text=np.ones((3, 2)), y=[0, 1, 0]))
    assert data.lacking == {"audio": 1}


@pytest.mark.parametrize(
    "arrays, settings, match",
    [
        ({}, {"target": "lable"}, r"no array 'lable' \(--target\).*did you mean 'label'"),
        ({}, {"groups": "who"}, r"no array 'who' \(--groups\)"),
        ({"who": np.arange(3)}, {}, "'who': one value per sample.*--modality a and so on"),
        ({"t": np.array([["x"]] * 3)}, {}, "'t': one value per sample, or texts"),
        ({}, {"modalities": ["b"]}, r"no array 'b' \(--modality\)"),
        ({"b": np.eye(2)}, {"modalities": ["b"]}, "'b' has 2 rows, but the target has 3"),
        ({}, {"modalities": ["a=label"]}, "is 'label', the target or the groups"),
        ({}, {"modalities": ["a", "a"]}, "'a' is given twice"),
        ({}, {"modalities": ["a="]}, "must be NAME=COLUMNS.*Got 'a='"),
        ({}, {"target": "a", "groups": "a"}, "'a' must have one value per sample"),
        ({"label": np.array([0, np.nan, 1])}, {}, r"target 'label' is unknown \(NaN\) in row 1"),
        ({}, {"modalities": ["x=0:9"]}, "columns 0:9 are not among the 3 columns"),
    ],
)
def test_bad_arrays(save, arrays, settings, match):
    path = save(**{"a": np.eye(3), "label": [0, 1, 0], **arrays})
    with pytest.raises(CommandError, match=match):
        read_data(path, **{"target": "label", **settings})


def test_pickles_are_never_loaded(save, tmp_path):
    class Opens:
        def __reduce__(self):
            return (tmp_path / "opened").touch, ()

    path = save(a=np.eye(2), y=np.array([Opens(), Opens()], dtype=object))
    with pytest.raises(CommandError, match=r"'y' cannot be read.*never loaded.*y\.astype\(str\)"):
        read_data(path)
    (tmp_path / "fake.npz").write_bytes(pickle.dumps(Opens()))
    with pytest.raises(CommandError, match="is not an npz file"):
        read_data(tmp_path / "fake.npz")
    assert not (tmp_path / "opened").exists()


def test_files_that_are_not_there_or_of_another_kind(save, write, tmp_path):
    path = save(a=np.eye(2), y=[0, 1])
    with pytest.raises(CommandError, match=r"no file .*; did you mean 'data\.npz'"):
        read_data(path.with_name("dat.npz"))
    for name in ("mosi.npz", "data2/data.npz", "notes.npz"):  # another name, also if it ends alike
        with pytest.raises(CommandError, match="no file") as error:
            read_data(tmp_path / name)
        assert "did you mean" not in str(error.value)
    write("", "note.txt")
    with pytest.raises(CommandError, match=r"did you mean 'data\.npz'"):
        read_data(path.with_name("data.npy"))
    with pytest.raises(CommandError, match="is a folder"):
        read_data(tmp_path)
    with pytest.raises(CommandError, match=r"must be a file \.npz"):
        read_data(write("", "data.xlsx"))


# Columns


def test_columns_by_name_pattern_and_position(write):
    settings = {"target": "label", "groups": "who"}
    specs = ["audio=pitch, energy", "text=text_*", "both=1:3,1"]
    data = read_data(write(TABLE), **settings, modalities=specs)
    audio = [[1, 2], [5, 6], [9, 10]]
    assert np.array_equal(data.X["audio"], audio)
    assert np.array_equal(data.X["text"], [[3, 4], [7, 8], [np.nan] * 2], equal_nan=True)
    assert np.array_equal(data.X["both"], audio)
    assert data.y.tolist() == ["yes", "no", "yes"] and data.groups.tolist() == ["ann", "ann", "bob"]
    assert data.lacking == {"text": 1}
    assert data.notes == ["columns that are not used: 'id'"]


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["1", "0", "2"], np.array([1, 0, 2])),
        (["1", "0.5", "2e3"], np.array([1, 0.5, 2000])),
        (["1", "a", "2"], np.array(["1", "a", "2"])),
    ],
)
def test_targets_are_whole_numbers_numbers_or_texts(write, cells, expected):
    path = write("x\ty\n" + "".join(f"1\t{cell}\n" for cell in cells), "data.tsv")
    y = read_data(path, modalities=["x"]).y
    assert y.dtype.kind == expected.dtype.kind and np.array_equal(y, expected)


def test_quotes_blank_lines_and_a_mark_at_the_beginning(write):
    text = '"a, b",y\r\n1,"yes, it is"\r\n\r\n2,no\r\n'
    data = read_data(write(text, encoding="utf-8-sig"), modalities=["m=a?*"])
    assert data.X["m"].tolist() == [[1], [2]] and data.y.tolist() == ["yes, it is", "no"]


@pytest.mark.parametrize(
    "specs, match",
    [
        ([], "Say which columns of a csv file"),
        (["audio=pitch,enrgy"], "there is no column 'enrgy'.*did you mean 'energy'"),
        (["text=txt_*"], r"no column is called like 'txt_\*'"),
        (["text=3:8"], "columns 3:8 are not among the 7 columns"),
        (["text=9"], "columns 9 are not among the 7"),
        (["text=3:3"], "columns 3:3 are not"),
        (["all=*"], "has the column 'label', which is the target or the groups"),
        (["who"], "has the column 'who', which is the target or the groups"),
        (
            ["both=1:5"],
            r"data\.csv', line 4, column 'text_0' of modality 'both': 'NaN'",
        ),
        (["id"], "column 'id' of modality 'id' must hold numbers. Got 'a' in line 2"),
    ],
)
def test_bad_columns(write, specs, match):
    with pytest.raises(CommandError, match=match):
        read_data(write(TABLE), "label", "who", specs)


def test_semicolons_separate_columns_where_commas_do_not(write):
    data = read_data(write(TABLE.replace(",", ";")), "label", "who", ["audio=pitch,energy"])
    assert data.X["audio"].tolist() == [[1, 2], [5, 6], [9, 10]]
    assert "the separator of columns is ';'" in data.notes
    quoted = read_data(write('"a;b",y\n1,0\n2,1\n'), modalities=["a;b"])
    assert quoted.X["a;b"].tolist() == [[1], [2]] and quoted.notes == []


@pytest.mark.parametrize(
    "text, match",
    [
        ("a;y\n1,5;0\n", r"line 2, column 'a': write numbers with a point\. Got '1,5'"),
        ("a;y\n1;0\n2;-0,25\n", "line 3, column 'y': write numbers with a point"),
        ("a,y\n1,0\ninf,1\n", "line 3, column 'a' of modality 'a': 'inf' is not a finite number"),
    ],
)
def test_numbers_that_cannot_be_read_are_named_by_line_and_column(write, text, match):
    with pytest.raises(CommandError, match=match):
        read_data(write(text), modalities=["a"])


@pytest.mark.parametrize(
    "text, match",
    [
        ("", "has no rows under"),
        ("a,y\n", "has no rows under"),
        ("1,2\n3,4\n", "first line of a csv file must have the names"),
        ("a,a,y\n1,2,3\n", "column 'a' is there twice"),
        ("a,y\n1,2\n1,2,3\n", "Line 3 has 3 cells, but there are 2 columns"),
        ("a,y\n1,2\n1,\n", "target 'y' is unknown in line 3: ''"),
        ("a,y\n1,'é'\n", "cannot be read as UTF-8"),
    ],
)
def test_bad_tables(write, text, match):
    with pytest.raises(CommandError, match=match):
        read_data(write(text, encoding="latin-1"), modalities=["a"])


# Target


@pytest.mark.parametrize(
    "y, task",
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([0, 1, 19], "classification"),
        ([0.0, 1.0], "classification"),
        ([0.5, 1.0], "regression"),
        (np.arange(30) / 2, "regression"),
        ([[1, 2], [3, 4]], "regression"),
    ],
)
def test_task_of_a_target(y, task):
    assert infer_task(np.asarray(y)) == task


def test_targets_of_which_the_task_is_not_clear():
    with pytest.raises(CommandError, match=r"21 different whole numbers.*--task regression"):
        infer_task(np.arange(21))
    with pytest.raises(CommandError, match="one-hot"):
        infer_task(np.eye(3))
