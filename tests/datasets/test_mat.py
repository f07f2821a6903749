"""Reading of one array of numbers from .mat files: `scipy.io.loadmat` says what they hold."""

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from scipy import sparse
from scipy.io import loadmat, savemat

from inforeg_sk.datasets import load_utd_mhad
from inforeg_sk.datasets._mat import read_variable
from inforeg_sk.utils.files import BadFile

# Numbers of the format, as MathWorks' "MAT-File Format" lists them: class, and type as stored.
CLASSES = {
    **{"f8": 6, "f4": 7, "i1": 8, "u1": 9, "i2": 10, "u2": 11},
    **{"i4": 12, "u4": 13, "i8": 14, "u8": 15},
}
STORED = {
    **{"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6},
    **{"f4": 7, "f8": 9, "i8": 12, "u8": 13},
}
MATRIX, COMPRESSED = 14, 15
MANY = 2**30  # bytes


def read(path, name="x", max_bytes=MANY):
    return read_variable(path, name, max_bytes)


def same(got, expected):
    """Whether two arrays have the same shape, type, byte order and bits."""
    return (
        got.shape == expected.shape
        and got.dtype == expected.dtype
        and got.tobytes("F") == expected.tobytes("F")
    )


def numbers(kind, shape):
    rng = np.random.default_rng(len(shape))
    if kind[0] == "f":
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


# Files byte by byte.


def part(kind, content, order="<"):
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def header(order="<"):
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark


def matrix(values, order="<", name=b"x", kind=None, shape=None):
    """A variable with its tag; `kind` is the class and `shape` what is claimed."""
    code = values.dtype.str[1:]
    shape = values.shape if shape is None else shape
    flags = struct.pack(f"{order}II", CLASSES[code] if kind is None else kind, 0)
    content = part(6, flags, order)
    content += part(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    content += part(1, name, order)
    content += part(STORED[code], values.astype(order + code).tobytes("F"), order)
    return part(MATRIX, content, order)


def compressed(content, order="<"):
    packed = zlib.compress(content)
    return struct.pack(f"{order}II", COMPRESSED, len(packed)) + packed


@pytest.fixture
def write(tmp_path):
    def write(*parts, order="<"):
        path = tmp_path / "crafted.mat"
        path.write_bytes(header(order) + b"".join(parts))
        return path

    return write


# What is read


@pytest.mark.parametrize("do_compression", [False, True])
@pytest.mark.parametrize("kind", list(CLASSES))
def test_equals_loadmat_for_every_type_of_numbers(tmp_path, kind, do_compression):
    arrays = {
        "matrix": numbers(kind, (7, 6)),
        "video": numbers(kind, (5, 3, 11)),
        "frame": numbers(kind, (5, 3, 1)),  # MATLAB drops the last axis, scipy keeps it
        "one": numbers(kind, (1, 1)),
        "none": numbers(kind, (0, 6)),
        "row": numbers(kind, (9,)),
        "large": numbers(kind, (300, 200)),  # more than is inflated at once
    }
    path = tmp_path / "x.mat"
    savemat(path, arrays, do_compression=do_compression)
    expected = loadmat(path)
    for name in arrays:
        assert same(read(path, name), expected[name]), name


@pytest.mark.parametrize("pack", [bytes, compressed])
@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u2", "i8"])
def test_equals_loadmat_for_files_of_the_other_byte_order(write, kind, pack):
    X = numbers(kind, (4, 3, 5))
    content = matrix(X, ">")
    path = write(compressed(content, ">") if pack is compressed else content, order=">")
    assert same(read(path), loadmat(path)["x"])
    assert (read(path) == X).all()


def test_doubles_that_are_stored_as_bytes_are_read_as_loadmat_does(write):
    X = np.arange(12, dtype="u1").reshape(4, 3)
    path = write(matrix(X, kind=CLASSES["f8"]))
    assert same(read(path), loadmat(path)["x"])


def test_parts_of_at_most_four_bytes_are_read(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"x": np.array([[1, 2]], "i1")})  # scipy packs name and numbers into their tags
    assert read(path).tolist() == [[1, 2]]
    assert same(read(path), loadmat(path)["x"])


def test_logical_values_are_bytes_as_in_loadmat(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"x": np.array([[True, False, True]])})
    assert read(path).tolist() == [[1, 0, 1]]
    assert same(read(path), loadmat(path)["x"])


def test_other_variables_are_passed_over(tmp_path):
    path = tmp_path / "x.mat"
    others = {"a": "text", "b": {"c": 1}, "d": np.array([1, "e"], object), "x": np.eye(2)}
    for do_compression in (False, True):
        savemat(path, others, do_compression=do_compression)
        assert read(path).tolist() == [[1, 0], [0, 1]]


def test_the_first_of_two_variables_of_one_name_counts(write):
    assert read(write(matrix(np.eye(2)), matrix(np.zeros((3, 3))))).tolist() == [[1, 0], [0, 1]]


def test_a_variable_may_take_just_max_bytes(tmp_path):
    X = numbers("f8", (100, 6))
    for do_compression in (False, True):
        path = tmp_path / "x.mat"
        savemat(path, {"x": X}, do_compression=do_compression)
        n_bytes = X.nbytes + 16 + 16 + 8 + 8  # flags, dimensions, name, tag of the numbers
        assert same(read(path, max_bytes=n_bytes), X.reshape(X.shape))
        with pytest.raises(BadFile, match=f"x would take {n_bytes} .*max_bytes={n_bytes - 1} is"):
            read(path, max_bytes=n_bytes - 1)


# What is refused by name


@pytest.mark.parametrize(
    "value, held",
    [
        (np.array([1, "a"], object), "it is a cell array"),
        ({"field": 1}, "it is a struct"),
        ("characters", "it is text"),
        (sparse.eye(3).tocsc(), "it is a sparse matrix"),
        (np.array([[1 + 2j]]), "it holds complex ones"),
    ],
)
@pytest.mark.parametrize("do_compression", [False, True])
def test_what_is_no_array_of_real_numbers_is_named(tmp_path, value, held, do_compression):
    path = tmp_path / "x.mat"
    savemat(path, {"x": value}, do_compression=do_compression)
    with pytest.raises(BadFile, match=f"x must hold real numbers; {held}"):
        read(path)


@pytest.mark.parametrize("kind", [0, 3, 16, 18, 99])
def test_classes_that_no_writer_here_makes_are_refused(write, kind):
    with pytest.raises(BadFile, match="x must hold real numbers; it is"):
        read(write(matrix(np.eye(2), kind=kind)))


def test_version_7_3_is_named(tmp_path):
    path = tmp_path / "x.mat"
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(head.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(BadFile, match=r"version 7\.3 \(HDF5\), which is not read: save it with"):
        read(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    with pytest.raises(BadFile, match=r"version 7\.3"):
        read(path)


def test_version_4_is_named(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"x": np.eye(3)}, format="4")
    with pytest.raises(BadFile, match="one of version 4: save it with -v7"):
        read(path)


@pytest.mark.parametrize("do_compression", [False, True])
def test_an_absent_variable_is_named_with_those_in_the_file(tmp_path, do_compression):
    path = tmp_path / "x.mat"
    savemat(path, {"a": np.eye(2), "b" * 60: "text"}, do_compression=do_compression)
    with pytest.raises(BadFile, match=r"no variable x; it holds 'a', 'bbb.*\.\.\.b+'\.") as info:
        read(path)
    assert len(str(info.value)) < 200


def test_what_is_no_file_of_numbers_at_all(tmp_path):
    path = tmp_path / "x.mat"
    for content, message in (
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git-lfs"),
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"not a file of MATLAB", "no version from 5 to 7"),
        (b"MATLAB 5.0", "no version from 5 to 7"),
        (header(), "it has no variable x; it holds nothing"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadFile, match=message):
            read(path)
    with pytest.raises(FileNotFoundError, match=r"absent\.mat: there is no such file"):
        read(tmp_path / "absent.mat")
    with pytest.raises(BadFile, match="is a folder"):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_being_opened(tmp_path):
    os.mkfifo(tmp_path / "x.mat")
    with pytest.raises(BadFile, match="it is not a regular file, but a pipe"):
        read(tmp_path / "x.mat")


# Claims


def peak_of_refusal(path, message, max_bytes=MANY):
    """The most memory, in bytes, that was in use while a file was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(BadFile, match=message):
            read(path, max_bytes=max_bytes)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def claimed_size(content, n_bytes, order="<"):
    """The variable with another number of bytes in its tag."""
    return content[:4] + struct.pack(f"{order}I", n_bytes) + content[8:]


def test_a_claim_beyond_the_file_is_refused(write):
    content = matrix(np.eye(2))
    path = write(claimed_size(content, 2**31))
    message = f"a variable claims {2**31} bytes, and {len(content) - 8} are left"
    assert peak_of_refusal(path, message, 2**40) < 2**20


@pytest.mark.parametrize(
    "shape", [(2, 3), (2**31 - 1,) * 2, (2**31 - 1,) * 32, (2, -2), (0, 2), (4,), (), (1,) * 33]
)
@pytest.mark.parametrize("pack", [bytes, compressed])
def test_a_shape_that_does_not_fit_the_numbers_is_refused(write, shape, pack):
    path = write(pack(matrix(np.eye(2), shape=shape)))
    assert peak_of_refusal(path, "it is damaged: .*(claims|shape|no dimensions)", 2**40) < 2**20


def test_a_compressed_variable_may_not_claim_more_than_its_bytes_can_hold(write):
    path = write(compressed(claimed_size(matrix(np.eye(2)), 2**30)))
    assert peak_of_refusal(path, "more than .* compressed bytes can hold", 2**40) < 2**20


def test_an_inflation_bomb_is_refused_by_its_claim(write):
    path = write(compressed(matrix(np.zeros((2**20, 8)))))  # 64 MiB in 64 KiB
    assert path.stat().st_size < 2**17
    assert peak_of_refusal(path, "x would take .* max_bytes=1000000 is the limit", 10**6) < 2**20


def test_an_inflation_bomb_that_claims_little_is_not_inflated(write):
    whole = matrix(np.zeros((2**20, 8)))
    for claimed in (0, 100, 4096):
        path = write(compressed(claimed_size(whole, claimed)))
        assert peak_of_refusal(path, "it is damaged|holds more bytes than it claims", 10**6) < 2**20


def test_a_bomb_before_the_variable_is_passed_over(write):
    bomb = compressed(matrix(np.zeros((2**20, 8)), name=b"bomb"))
    path = write(bomb, matrix(np.eye(2)))
    tracemalloc.start()
    try:
        assert read(path, max_bytes=10**6).tolist() == [[1, 0], [0, 1]]
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_compressed_variable_that_claims_more_than_it_holds_is_refused(write):
    content = matrix(np.eye(2))
    with pytest.raises(BadFile, match=r"it is damaged: .* but claims"):
        read(write(compressed(claimed_size(content, len(content)))))


def test_bytes_after_a_compressed_variable_are_refused(write):
    packed = zlib.compress(matrix(np.eye(2))) + b"more"
    path = write(struct.pack("<II", COMPRESSED, len(packed)) + packed)
    with pytest.raises(BadFile, match="it is damaged"):
        read(path)


def test_variables_without_end_are_not_all_read(write):
    path = write(matrix(np.zeros((0, 0)), name=b"y") * 10_001)
    with pytest.raises(BadFile, match="more than 10000 variables before x"):
        read(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pack", [bytes, compressed])
def test_every_truncated_file_is_refused(write, pack, order):
    X = numbers("f8", (6, 7))
    content = matrix(X, order)
    path = write(compressed(content, order) if pack is compressed else content, order=order)
    whole = path.read_bytes()
    for n in range(0, len(whole), 8):
        path.write_bytes(whole[:n])
        with pytest.raises(BadFile):
            read(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pack", [bytes, compressed])
def test_a_changed_byte_gives_an_array_or_a_refusal(write, pack, order):
    content = matrix(numbers("i2", (6, 7)), order)
    path = write(compressed(content, order) if pack is compressed else content, order=order)
    whole = path.read_bytes()
    for at in range(124, len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                X = read(path)
            except BadFile:
                continue
            assert X.dtype.kind in "iuf" and X.nbytes <= len(content)


# The published files

VARIABLES = {"Skeleton": "d_skel", "Inertial": "d_iner", "Depth": "d_depth"}


@pytest.fixture
def published(utd_mhad_home):
    if not (utd_mhad_home / "mat").is_dir():
        pytest.skip(f"real data not found: no mat in {utd_mhad_home}")
    return utd_mhad_home / "mat"


def test_published_files_equal_loadmat(published):
    n_read = 0
    for folder, variable in VARIABLES.items():
        for path in sorted((published / folder).glob("*.mat")):
            assert same(read_variable(path, variable, MANY), loadmat(path)[variable]), path
            n_read += 1
    assert n_read == 12


def test_published_files_load_as_the_prepared_arrays(published, utd_mhad_home):
    path = utd_mhad_home / "utd_mhad.npz"
    if not path.is_file():
        pytest.skip(f"real data not found: {path}")
    actions = load_utd_mhad(published)
    names = np.stack([actions.target, actions.groups, actions.trials], axis=1)
    assert names.tolist() == [[0, 1, 1], [0, 2, 1], [1, 1, 1], [1, 2, 1]]
    with np.load(path) as arrays:
        prepared = np.stack([arrays["y"], arrays["subject"], arrays["trial"]], axis=1)
        rows = [int(np.flatnonzero((prepared == name).all(axis=1))[0]) for name in names]
        skeleton, inertial, depth = (
            arrays[key][rows].astype("f8") for key in ("skeleton", "inertial", "depth_motion")
        )
        lengths = {key: arrays[f"len_{key}"][rows] for key in ("skeleton", "inertial")}
    for key, n in lengths.items():
        assert actions.lengths[key].tolist() == n.tolist()
    # The prepared skeletons are not yet relative to the hip, and rounded to 16 bits: by 1 mm at
    # most between 2 and 4 m, where the people stand.
    joints = skeleton.reshape(4, 40, 20, 3)
    relative = (joints - joints[:, :1, 3:4]).reshape(4, 40, 60)
    assert np.abs(actions.data["skeleton"] - relative).max() < 2.1e-3
    assert actions.data["inertial"] == pytest.approx(inertial, rel=1e-5, abs=1e-4)
    # In the prepared maps, a difference counts as 200 mm at most.
    for row, name in enumerate(("a1_s1", "a1_s2", "a2_s1", "a2_s2")):
        video = read_variable(published / f"Depth/{name}_t1_depth.mat", "d_depth", MANY)
        motion = np.abs(np.diff(video.astype("f8"), axis=2)).clip(max=200).mean(axis=2)
        blocks = motion.reshape(24, 10, 32, 10).mean(axis=(1, 3))
        assert blocks == pytest.approx(depth[row], rel=1e-3, abs=1e-3)


def test_published_files_have_all_three_modalities(published):
    actions = load_utd_mhad(published, modalities=["skeleton", "inertial", "depth"])
    shapes = {name: X.shape for name, X in actions.data.items()}
    assert shapes == {"skeleton": (4, 40, 60), "inertial": (4, 60, 6), "depth": (4, 24, 32)}
    assert (len(actions.train_indices), len(actions.test_indices)) == (2, 2)
    for row, name in enumerate(("a1_s1", "a1_s2", "a2_s1", "a2_s2")):
        video = loadmat(published / "Depth" / f"{name}_t1_depth.mat")["d_depth"].astype("f8")
        assert actions.lengths["depth"][row] == video.shape[2]
        motion = np.abs(np.diff(video, axis=2)).mean(axis=2)
        expected = [[block.mean() for block in np.hsplit(x, 32)] for x in np.vsplit(motion, 24)]
        assert actions.data["depth"][row] == pytest.approx(np.array(expected), rel=1e-5)
