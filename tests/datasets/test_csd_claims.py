"""Computational sequences (.csd) that claim too much, and what is read of intact ones."""

import os
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from csd import NAMES, A, B, content, write_all, write_csd

from inforeg_sk.datasets import load_cmu_mosi
from inforeg_sk.datasets._csd import open_sequence
from inforeg_sk.utils.files import UnreadableFileError

h5py = pytest.importorskip("h5py")
AT = f"sequence/data/{A}"
MANY = 2**30  # bytes


@pytest.fixture
def folder(tmp_path):
    return write_all(tmp_path)


def load(folder, **arguments):
    return load_cmu_mosi(folder, features="sdk", **arguments)


def refused(folder, message, name="text", **arguments):
    with pytest.raises(UnreadableFileError, match=message) as info:
        load(folder, **arguments)
    assert str(info.value).count(str(folder / NAMES[name])) == 1
    assert len(str(info.value)) < 1000


def replace(folder, n_steps, n_features=3, **options):
    """Replace the data sets of one video of the text by others without values."""
    with h5py.File(folder / NAMES["text"], "r+") as file:
        for name, width in (("features", n_features), ("intervals", 2)):
            del file[f"{AT}/{name}"]
            file.create_dataset(f"{AT}/{name}", (n_steps, width), "f4", **options)


# Claims


@pytest.mark.parametrize("shape", [(8, 3), (10**6, 3), (10**9, 10**6)])
def test_values_that_are_not_stored_are_refused(folder, shape):
    """HDF5 makes them up, from what the file names as the value to fill with."""
    replace(folder, *shape, fillvalue=1.5)
    n = 4 * shape[0] * shape[1]
    refused(folder, f"{AT}/features claims {n} bytes.*the file stores 0 bytes", max_bytes=2**60)


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
@pytest.mark.parametrize("n_steps", [8, 8000, 10**11])
def test_chunks_that_are_not_stored_are_refused(folder, n_steps, compression):
    replace(folder, n_steps, chunks=(4, 2), compression=compression)
    with h5py.File(folder / NAMES["text"], "r+") as file:
        file[f"{AT}/features"][:4] = 1
    refused(folder, f"{AT}/features claims {n_steps // 2} chunks of values", max_bytes=2**60)


def test_a_claim_beyond_max_bytes_is_refused_before_the_chunks_are_counted(folder):
    replace(folder, 10**12, chunks=(1, 2))
    refused(folder, f"{AT}/features would take {12 * 10**12} bytes of memory; max_bytes=")


def test_a_chunk_larger_than_allowed_is_refused(folder):
    with h5py.File(folder / NAMES["text"], "r+") as file:
        del file[f"{AT}/features"]
        array = file.create_dataset(
            f"{AT}/features", (8, 3), "f4", chunks=(10**6, 3), maxshape=(None, 3), compression=9
        )
        array[...] = 1
    assert (folder / NAMES["text"]).stat().st_size < 10**5
    refused(folder, f"a chunk of {AT}/features would take 12000000 bytes", max_bytes=10**6)
    assert load(folder).data["text"][0, 0].tolist() == [1, 1, 1]  # within the default


def test_a_chunk_that_inflates_beyond_its_shape_is_refused(folder):
    array = np.ones((8, 3), "f4")
    for data in (bytes(10**7), bytes(95), bytes(97), array.tobytes()[:-1]):
        with h5py.File(folder / NAMES["text"], "r+") as file:
            del file[f"{AT}/features"]
            made = file.create_dataset(f"{AT}/features", (8, 3), "f4", chunks=(8, 3), compression=9)
            made.id.write_direct_chunk((0, 0), zlib.compress(data))
        tracemalloc.start()
        try:
            refused(folder, "chunk .*(larger than its shape says|has not 96 bytes)")
            assert tracemalloc.get_traced_memory()[1] < 2 * 10**6
        finally:
            tracemalloc.stop()


def test_data_that_many_links_lead_to_are_counted_for_each(folder):
    rng = np.random.default_rng(0)
    entries = {A: (rng.random((3000, 2)), rng.random((3000, 3)))}
    with h5py.File(write_csd(folder / NAMES["text"], entries), "r+") as file:
        group = file["sequence/data"]
        for i in range(100):
            group[f"{i}"] = group[A]
    refused(folder, r"the data up to sequence/data/\S+ claim \d+ bytes of the file, which has")


def test_the_intervals_of_all_entries_are_limited(folder):
    entries = {
        video: (np.zeros((1000, 2), "i1"), np.zeros((1000, 1), "i1")) for video in (A, B, "x", "y")
    }
    write_csd(folder / NAMES["text"], entries)
    refused(folder, rf"the intervals up to {AT[:13]}\S+ would take 64000 bytes", max_bytes=63_999)


def test_the_padded_result_is_limited_and_the_remedy_named(folder):
    # One step is in every segment, many are in one: padded, all have many.
    entries = content("text")
    times = np.full((4000, 2), [0.1, 0.9])
    entries[A] = times, np.ones((4000, 3), "f4")
    write_csd(folder / NAMES["text"], entries)
    limit = 6 * 4000 * 3 * 4 - 1
    message = r"padded to the shape \(6, 4000, 3\), would take 288000 bytes.*with n_steps"
    refused(folder, message, max_bytes=limit)
    assert load(folder, max_bytes=limit + 1).data["text"].shape == (6, 4000, 3)
    assert load(folder, max_bytes=limit, n_steps=10).data["text"].shape == (6, 10, 3)


def test_steps_that_are_in_many_segments_are_limited(folder):
    n = 300
    labels = {A: (np.full((n, 2), [0.0, 4.0]), np.ones((n, 1)))}
    write_csd(folder / NAMES["labels"], labels)
    for name in ("text", "audio", "video"):
        entries = {A: (np.full((n, 2), [0.0, 4.0]), np.ones((n, 1)))}
        write_csd(folder / NAMES[name], entries)
    refused(folder, "its steps in the labelled segments.*with n_steps", max_bytes=8 * n * n - 1)
    assert load(folder, max_bytes=8 * n * n).data["text"].shape == (n, n, 1)


def test_the_labels_are_limited(folder):
    refused(folder, "the 7 labels would take", "labels", max_bytes=1000)


def test_long_keys_are_refused_and_cut_in_the_message(folder):
    with h5py.File(folder / NAMES["text"], "r+") as file:
        file["sequence/data"].move(A, "k" * 60_000)
    refused(folder, r"a key of 60000 characters, 'kkk.*\.\.\.k+'; at most 255 are expected")


@pytest.mark.parametrize("at", [b"sequence/data/\xff\xfe", b"\xff\xfe"])
def test_names_that_are_not_utf8_are_refused(folder, at):
    with h5py.File(folder / NAMES["text"], "r+") as file:
        file.id.links.create_hard(at, file.id, f"/{AT}".encode())
        if b"/" not in at:
            del file["sequence"]
    refused(folder, r"damaged: (sequence/data|the file) has the key b'\\xff\\xfe', not UTF-8")


# What is read


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i2", ">i4", "u1", "bool"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (3, 2)},  # none of the edges fits
        {"chunks": (3, 2), "compression": "gzip"},
        {"chunks": (3, 2), "compression": 9, "shuffle": True},
        {"chunks": (3, 2), "compression": 1, "shuffle": True, "fletcher32": True},
        {"chunks": (3, 2), "compression": "lzf", "shuffle": True},
        {"chunks": (3, 2), "fletcher32": True},
        {"chunks": (30, 20), "compression": 4, "maxshape": (None, None)},
    ],
)
def test_arrays_equal_those_of_h5py(tmp_path, options, dtype, libver):
    rng = np.random.default_rng(0)
    X = (100 * rng.random((20, 7))).astype(dtype)
    times = np.sort(rng.random((20, 2)), axis=1).astype("f4")
    path = tmp_path / "x.csd"
    with h5py.File(path, "w", libver=libver) as file:
        for key in ("v1", "v2"):
            group = file.create_group(f"root/data/{key}")
            group.create_dataset("features", data=X, **options)
            group.create_dataset("intervals", data=times, compression="gzip")
    with h5py.File(path) as file:
        expected = file["root/data/v1/features"][()]
    with open_sequence(path, MANY) as entries:
        assert list(entries) == ["v1", "v2"]
        for entry in entries.values():
            got = entry.read()
            assert got.dtype == expected.dtype and got.tobytes() == expected.tobytes()
            assert np.array_equal(got, X)
            assert entry.intervals.dtype == np.float64
            assert np.array_equal(entry.intervals, times.astype("f8"))


def test_a_chunk_stored_without_its_optional_filter_is_read(tmp_path):
    """HDF5 leaves a filter out for a chunk that it does not make smaller, and marks the chunk."""
    X = np.random.default_rng(0).integers(0, 255, (8, 3), "u1")
    path = tmp_path / "x.csd"
    with h5py.File(path, "w") as file:
        group = file.create_group("root/data/v")
        array = group.create_dataset("features", (8, 3), "u1", chunks=(8, 3), compression="gzip")
        array.id.write_direct_chunk((0, 0), X.tobytes(), filter_mask=1)
        group.create_dataset("intervals", data=np.ones((8, 2)))
    with h5py.File(path) as file:
        assert np.array_equal(file["root/data/v/features"], X)
    with open_sequence(path, MANY) as entries:
        assert np.array_equal(entries["v"].read(), X)


def test_entries_without_steps_are_read(folder):
    entries = content("text")
    entries[A] = np.zeros((0, 2)), np.zeros((0, 3), "f4")
    with h5py.File(folder / NAMES["text"], "w") as file:
        for key, (intervals, features) in entries.items():
            file[f"s/data/{key}/intervals"], file[f"s/data/{key}/features"] = intervals, features
    assert load(folder).lengths["text"].tolist() == [0, 0, 2, 4, 3, 2]


# Links and pipes


def test_links_out_of_data_home_need_follow_links(folder, tmp_path_factory):
    reference = load(folder)
    other = tmp_path_factory.mktemp("other")
    path = folder / NAMES["audio"]
    path.rename(other / "audio.csd")
    path.symlink_to(other / "audio.csd")
    refused(folder, f"symbolic link to {other}/audio.csd, outside of .*follow_links=True", "audio")
    assert load(folder, follow_links=True).data == reference.data
    # A file that the user names, or a folder that is a link, is what he means.
    files = {name: other / "audio.csd" if name == "audio" else NAMES[name] for name in NAMES}
    assert load(folder, files=files).data == reference.data
    path.unlink()
    (other / "audio.csd").rename(path)
    (other / "home").symlink_to(folder)
    assert load(other / "home").data == reference.data


def test_links_within_data_home_are_followed(folder):
    reference = load(folder)
    (folder / NAMES["audio"]).rename(folder / "other name.csd")
    (folder / NAMES["audio"]).symlink_to("other name.csd")
    assert load(folder).data == reference.data


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", list(NAMES))
def test_a_pipe_is_refused_without_being_opened(folder, name):
    (folder / NAMES[name]).unlink()
    os.mkfifo(folder / NAMES[name])
    refused(folder, "it is not a regular file, but a pipe", name)


# Damage


def test_a_warning_that_is_an_error_for_the_user_is_no_damage(folder):
    entries = content("labels") | {"another": (np.array([[0.0, 1.0]]), np.array([[1.0]]))}
    write_csd(folder / NAMES["labels"], entries)
    with warnings.catch_warnings(), pytest.raises(UserWarning, match="not in the standard folds"):
        warnings.simplefilter("error")
        load(folder)


def test_damaged_tables_of_hdf5_are_refused_by_name(folder):
    path = folder / NAMES["audio"]
    with h5py.File(path, "w") as file:
        for video, (times, features) in content("audio").items():
            file[f"s/data/{video}/features"], file[f"s/data/{video}/intervals"] = features, times
    good, reference = path.read_bytes(), load(folder).data
    marks = (b"TREE", b"SNOD", b"HEAP")
    places = [i for i in range(len(good)) if good[i : i + 4] in marks]
    assert len(places) > 10
    n_refused = 0
    for at in places:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            assert load(folder).data == reference
        except UnreadableFileError as error:
            assert str(path) in str(error)
            n_refused += 1
    assert n_refused > 5


@pytest.mark.parametrize("name", ["audio", "labels"])
def test_truncated_files_are_refused_by_name(folder, name):
    path = folder / NAMES[name]
    whole = path.read_bytes()
    for n in np.linspace(0, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:n])
        refused(folder, "damaged|empty|cut short", name)
