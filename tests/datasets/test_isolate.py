"""Loaders with isolate=True: what a worker reads is what is read without one."""

import csv
import pickle

import numpy as np
import pytest
from csd import write_all
from scipy.io import savemat

from inforeg_sk.datasets import load_cmu_mosi, load_utd_mhad
from inforeg_sk.utils.files import UnreadableFileError

WIDTHS = {"text": 3, "audio": 2, "video": 4}


def same_bunches(got, expected):
    assert set(got) == set(expected)
    assert list(got.data) == list(expected.data)
    for name, X in expected.data.items():
        assert got.data[name].dtype == X.dtype
        assert np.array_equal(got.data[name], X, equal_nan=True)
    for key in ("target", "groups", "train_indices", "test_indices"):
        assert np.array_equal(got[key], expected[key])
    assert got.DESCR == expected.DESCR


def write_csv(folder):
    rng = np.random.default_rng(0)
    for part, labels in {"train": [1, 0, 0], "test": [1, 0]}.items():
        for name, width in WIDTHS.items():
            with open(folder / f"{name}_{part}0.csv", "w", newline="", encoding="utf-8") as file:
                rows = [[*rng.normal(size=width).tolist(), label] for label in labels]
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def write_pickle(folder):
    rng = np.random.default_rng(1)
    made = {
        part: {
            **{key: rng.normal(size=(2, 4, 3)) for key in ("text", "audio", "vision")},
            "regression_labels": np.array([-1.0, 2.0]),
            "id": [f"{part}_1", f"{part}_2"],
        }
        for part in ("train", "valid", "test")
    }
    (folder / "aligned_50.pkl").write_bytes(pickle.dumps(made))


@pytest.mark.slow
@pytest.mark.parametrize(
    "features, write", [("csv", write_csv), ("aligned_50", write_pickle), ("sdk", write_all)]
)
def test_cmu_mosi_is_the_same(tmp_path, features, write):
    if features == "sdk":
        pytest.importorskip("h5py")
    write(tmp_path)
    expected = load_cmu_mosi(tmp_path, features=features)
    same_bunches(load_cmu_mosi(tmp_path, features=features, isolate=True), expected)


@pytest.mark.slow
def test_utd_mhad_is_the_same_and_its_errors_name_the_file(tmp_path):
    rng = np.random.default_rng(2)
    for i in (1, 2):
        for do_compression in (False, True):
            name = f"a{i}_s{1 + do_compression}_t1"
            skeleton, inertial = rng.normal(size=(20, 3, 50)), rng.normal(size=(70, 6))
            options = {"do_compression": do_compression}
            savemat(tmp_path / f"{name}_skeleton.mat", {"d_skel": skeleton}, **options)
            savemat(tmp_path / f"{name}_inertial.mat", {"d_iner": inertial}, **options)
    same_bunches(load_utd_mhad(tmp_path, isolate=True), load_utd_mhad(tmp_path))
    path = tmp_path / "a2_s1_t1_inertial.mat"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UnreadableFileError, match=r"inertial\.mat: it is cut short") as info:
        load_utd_mhad(tmp_path, isolate=True)
    assert str(info.value).count(str(path)) == 1
