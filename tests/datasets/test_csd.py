"""Malformed and hostile computational sequences (.csd)."""

import sys

import numpy as np
import pytest
from csd import NAMES, A, content, write_all, write_csd

from inforeg_sk.datasets import load_cmu_mosi

h5py = pytest.importorskip("h5py")
AT = f"sequence/data/{A}"


@pytest.fixture
def folder(tmp_path):
    return write_all(tmp_path)


def load(folder, **arguments):
    return load_cmu_mosi(folder, features="sdk", **arguments)


def refused(folder, message, name="text"):
    with pytest.raises(ValueError, match=message) as info:
        load(folder)
    assert str(folder / NAMES[name]) in str(info.value)


def test_no_hdf5(folder):
    (folder / NAMES["text"]).write_text("<html>Forbidden</html>")
    refused(folder, "it is a web page, not the data")
    (folder / NAMES["text"]).write_text("Forbidden")
    refused(folder, "is not an HDF5 file")


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_part_of_a_file(folder, kept):
    path = folder / NAMES["audio"]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    refused(folder, "damaged or not an HDF5 file.*truncated", "audio")


def test_damaged_values(folder):
    path = write_csd(folder / NAMES["text"], content("text"))
    with h5py.File(path) as file:
        chunk = file[f"sequence/data/{A}/features"].id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    whole[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(whole)
    refused(folder, f"sequence/data/{A}/features cannot be read")


def change(at, make):
    """A change of the file with the words: one thing replaced, or taken away."""

    def apply(file):
        del file[at]
        if make is not None:
            make(file, at)

    return apply


@pytest.mark.parametrize(
    "alter, message",
    [
        (lambda file: file.create_group("more"), "must hold one group.*'more', 'sequence'"),
        (change("sequence", None), "must hold one group.*it holds nothing"),
        (change("sequence", lambda f, at: f.create_dataset(at, data=1)), "must be an HDF5 Group"),
        (change("sequence/data", None), "sequence/data is missing; the group holds 'metadata'"),
        (change("sequence/data", lambda f, at: f.create_group(at)), "sequence/data is empty"),
        (change(AT, lambda f, at: f.create_dataset(at, data=1)), f"{AT} must be an HDF5 Group"),
        (change(f"{AT}/features", None), f"{AT}/features is missing; the group holds 'intervals'"),
        (change(f"{AT}/intervals", None), f"{AT}/intervals is missing; the group holds 'features'"),
        (
            change(f"{AT}/features", lambda f, at: f.create_group(at)),
            f"{AT}/features must be an HDF5 Dataset; it is a Group",
        ),
        (
            change(f"{AT}/features", lambda f, at: f.__setitem__(at, np.dtype("f4"))),
            f"{AT}/features must be an HDF5 Dataset; it is a Datatype",
        ),
        (
            change(f"{AT}/intervals", lambda f, at: f.create_dataset(at, data=np.ones((7, 2)))),
            f"{AT} has 8 steps in features but 7 in intervals",
        ),
        (
            change(f"{AT}/intervals", lambda f, at: f.create_dataset(at, data=np.ones((8, 3)))),
            r"got \(8, 3\) and \(8, 3\)",
        ),
        (
            change(f"{AT}/features", lambda f, at: f.create_dataset(at, data=np.ones(8))),
            r"features must have the shape \(steps, features\).*got \(8,\) and \(8, 2\)",
        ),
        (
            change(f"{AT}/features", lambda f, at: f.create_dataset(at, data=np.ones((8, 5)))),
            f"has 3 features, but .*{AT} has 5",
        ),
        (
            change(f"{AT}/intervals", lambda f, at: f.create_dataset(at, data=[[0, np.nan]] * 8)),
            r"intervals: step 0 has the times \[0.0, nan\]",
        ),
        (
            change(f"{AT}/features", lambda f, at: f.create_dataset(at, data=[[b"sp"]] * 8)),
            f"{AT}/features must hold numbers; it holds values of type",
        ),
        (
            change(f"{AT}/features", lambda f, at: f.create_dataset(at, data=h5py.Empty("f4"))),
            f"{AT}/features must hold numbers; it holds nothing",
        ),
        (
            change(
                f"{AT}/features",
                lambda f, at: f.create_dataset(at, data=[[f.ref]] * 8, dtype=h5py.ref_dtype),
            ),
            f"{AT}/features must hold numbers; it holds values of type object",
        ),
    ],
)
def test_malformed_layout(folder, alter, message):
    with h5py.File(folder / NAMES["text"], "r+") as file:
        alter(file)
    refused(folder, message)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("at", ["sequence", "sequence/data", AT, f"{AT}/features"])
def test_links_are_refused(folder, at, there):
    path = folder / NAMES["text"]
    target = folder / "other.csd"
    if there:
        target.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[at]
        file[at] = h5py.ExternalLink(str(target), f"/{at}")
    refused(folder, rf"{at} is an external link to .*other\.csd.* not followed")
    with h5py.File(path, "r+") as file:
        del file[at]
        file[at] = h5py.SoftLink("/sequence/metadata")
    refused(folder, f"{at} is a soft link to .* not followed")


def test_values_in_other_files_are_refused(folder):
    secret = folder / "secret.bin"
    secret.write_bytes(bytes(8 * 3 * 4))
    with h5py.File(folder / NAMES["text"], "r+") as file:
        del file[f"{AT}/features"]
        file.create_dataset(f"{AT}/features", (8, 3), "f4", external=[(str(secret), 0, 96)])
    refused(folder, f"{AT}/features is kept in other files")
    layout = h5py.VirtualLayout((8, 3), "f4")
    layout[:] = h5py.VirtualSource(str(folder / NAMES["audio"]), "x", (8, 3))
    with h5py.File(folder / NAMES["text"], "r+") as file:
        del file[f"{AT}/features"]
        file.create_virtual_dataset(f"{AT}/features", layout)
    refused(folder, f"{AT}/features is kept in other files")


def test_without_h5py(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs h5py.*pip install 'inforeg-sk\[hdf5\]'"):
        load(folder)
