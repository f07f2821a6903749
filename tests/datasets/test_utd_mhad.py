"""load_utd_mhad on small files of the published layout."""

import os

import numpy as np
import pytest
from scipy.io import savemat

from inforeg_sk.data.container import ModalityDict
from inforeg_sk.datasets import load_utd_mhad
from inforeg_sk.utils.files import UnreadableFileError

# By number, not by text: action 2 comes before action 10.
NAMES = [(1, 1, 1), (1, 2, 1), (2, 3, 4), (10, 1, 1), (27, 8, 2)]
FRAMES = {"skeleton": [40, 79, 3, 1, 5], "inertial": [60, 119, 2, 1, 7], "depth": [2, 3, 2, 1, 2]}
VARIABLES = {"skeleton": "d_skel", "inertial": "d_iner", "depth": "d_depth"}
SHAPES = {
    "skeleton": lambda n: (20, 3, n),
    "inertial": lambda n: (n, 6),
    "depth": lambda n: (240, 320, n),
}


def array(modality, row):
    rng = np.random.default_rng([row, list(FRAMES).index(modality)])
    X = rng.normal(size=SHAPES[modality](FRAMES[modality][row]))
    return (100 * np.abs(X)).astype(np.uint16) if modality == "depth" else X


def path_of(folder, modality, name):
    action, subject, trial = name
    return folder / modality.title() / f"a{action}_s{subject}_t{trial}_{modality}.mat"


@pytest.fixture
def folder(tmp_path):
    for modality, variable in VARIABLES.items():
        (tmp_path / modality.title()).mkdir()
        for row, name in enumerate(NAMES):
            savemat(path_of(tmp_path, modality, name), {variable: array(modality, row)})
    (tmp_path / "Skeleton" / "readme.txt").write_text("not a recording")
    return tmp_path


def test_layout(folder):
    actions = load_utd_mhad(folder)
    assert isinstance(actions.data, ModalityDict)
    assert {k: v.shape for k, v in actions.data.items()} == {
        "skeleton": (5, 40, 60),
        "inertial": (5, 60, 6),
    }
    assert all(X.dtype == np.float32 for X in actions.data.values())
    assert actions.target.tolist() == [0, 0, 1, 9, 26]
    assert actions.target.dtype == np.int64
    assert len(actions.target_names) == 27
    assert actions.target_names[[0, 26]].tolist() == ["swipe left", "squat"]
    assert actions.groups.tolist() == [1, 2, 3, 1, 8]
    assert actions.trials.tolist() == [1, 1, 4, 1, 2]
    assert actions.lengths["skeleton"].tolist() == FRAMES["skeleton"]
    assert actions.lengths["inertial"].tolist() == FRAMES["inertial"]
    assert actions.train_indices.tolist() == [0, 2, 3]
    assert actions.test_indices.tolist() == [1, 4]
    assert "5; 3 train" in actions.DESCR and "skeleton (40, 60)" in actions.DESCR


def test_skeleton_by_hand(folder):
    skeleton = load_utd_mhad(folder, modalities=["skeleton"]).data["skeleton"]
    for row in (0, 1):  # as many frames as steps; and a step at every second frame
        raw = array("skeleton", row)[:, :, :: row + 1]
        for step, joint in ((0, 0), (0, 3), (7, 19), (39, 5)):
            expected = raw[joint, :, step] - raw[3, :, 0]
            got = skeleton[row, step, 3 * joint : 3 * joint + 3]
            assert got == pytest.approx(expected, abs=1e-5)
    assert not skeleton[:, 0, 9:12].any()  # the hip centre at first
    raw = array("skeleton", 2)
    between = (raw[1, 2, 1] + (raw[1, 2, 2] - raw[1, 2, 1]) * (30 * 2 / 39 - 1)) - raw[3, 2, 0]
    assert skeleton[2, 30, 5] == pytest.approx(between, abs=1e-5)
    assert (skeleton[3] == skeleton[3, 0]).all()  # one frame


def test_inertial_by_hand(folder):
    inertial = load_utd_mhad(folder, modalities=["inertial"]).data["inertial"]
    assert inertial[0] == pytest.approx(array("inertial", 0), abs=1e-5)
    assert inertial[1] == pytest.approx(array("inertial", 1)[::2], abs=1e-5)
    first, last = array("inertial", 2)
    for step in (0, 20, 59):
        expected = first + (last - first) * step / 59
        assert inertial[2, step] == pytest.approx(expected, abs=1e-5)
    assert (inertial[3] == inertial[3, 0]).all()


def test_depth_by_hand(folder):
    actions = load_utd_mhad(folder, modalities=["depth"])
    depth = actions.data["depth"]
    assert depth.shape == (5, 24, 32) and depth.dtype == np.float32
    assert actions.lengths["depth"].tolist() == FRAMES["depth"]
    video = array("depth", 1).astype(float)  # unsigned numbers must not wrap around
    motion = (np.abs(video[:, :, 1] - video[:, :, 0]) + np.abs(video[:, :, 2] - video[:, :, 1])) / 2
    assert depth[1, 0, 0] == pytest.approx(motion[:10, :10].mean(), rel=1e-6)
    assert depth[1, 23, 4] == pytest.approx(motion[230:, 40:50].mean(), rel=1e-6)
    assert not depth[3].any()  # one frame, no motion


def test_only_what_is_asked_for_is_read(folder):
    for name in NAMES:
        path_of(folder, "depth", name).write_bytes(b"not read")
    X, y = load_utd_mhad(folder, modalities=("inertial", "skeleton"), return_X_y=True)
    assert list(X) == ["inertial", "skeleton"]
    assert y.tolist() == [0, 0, 1, 9, 26]
    with pytest.raises(ValueError, match=r"a1_s1_t1_depth\.mat: it is not a readable \.mat"):
        load_utd_mhad(folder, modalities=["depth"])


@pytest.mark.parametrize("split, rows", [("train", [0, 2, 3]), ("test", [1, 4])])
def test_one_split(folder, split, rows):
    whole, part = load_utd_mhad(folder), load_utd_mhad(folder, split=split)
    assert part.data == whole.data[rows]
    assert part.groups.tolist() == whole.groups[rows].tolist()
    positions = {"train": [], "test": [], split: list(range(len(rows)))}
    assert part.train_indices.tolist() == positions["train"]
    assert part.test_indices.tolist() == positions["test"]


# Where the files lie


def test_places(folder, tmp_path_factory, monkeypatch):
    reference = load_utd_mhad(folder).data
    flat = tmp_path_factory.mktemp("flat")
    home = tmp_path_factory.mktemp("home")
    for modality in ("skeleton", "inertial"):
        (home / "utd_mhad" / modality).mkdir(parents=True)
        for name in NAMES:
            path = path_of(folder, modality, name)
            for place in (flat, home / "utd_mhad" / modality):
                (place / path.name).write_bytes(path.read_bytes())
    for root in (str(folder), flat, home, home / "utd_mhad"):
        assert load_utd_mhad(root).data == reference
    monkeypatch.setenv("INFOREG_SK_DATA", str(home))
    assert load_utd_mhad().data == reference
    monkeypatch.delenv("INFOREG_SK_DATA")
    with pytest.raises(FileNotFoundError, match="INFOREG_SK_DATA is not set"):
        load_utd_mhad()
    with pytest.raises(TypeError, match=r"'root' .* must be None or a path. Got 3"):
        load_utd_mhad(3)


def test_no_files(tmp_path):
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError) as info:
            load_utd_mhad(root)
        message = str(info.value)
        assert "a1_s1_t1_skeleton.mat" in message and "UTD-MHAD.html" in message
        assert str(root / "Skeleton") in message and str(root / "utd_mhad" / "Inertial") in message


@pytest.mark.parametrize("modality, other", [("inertial", "skeleton"), ("skeleton", "inertial")])
def test_one_missing_file_is_named(folder, modality, other):
    path = path_of(folder, modality, (2, 3, 4))
    path.unlink()
    message = rf"a2_s3_t4_{modality}\.mat is not in .*a2_s3_t4_{other}\.mat of the same recording"
    with pytest.raises(FileNotFoundError, match=message) as info:
        load_utd_mhad(folder)
    assert str(path.parent) in str(info.value) and "UTD-MHAD.html" in str(info.value)
    assert load_utd_mhad(folder, split="test").data.shape == (2,)
    assert load_utd_mhad(folder, modalities=[other]).data.shape == (5,)
    assert load_utd_mhad(folder, modalities=[modality]).data.shape == (4,)


def test_no_files_of_a_part(folder):
    for name in NAMES:
        if name[1] % 2 == 0:
            for modality in VARIABLES:
                path_of(folder, modality, name).unlink()
    assert load_utd_mhad(folder).test_indices.tolist() == []
    with pytest.raises(
        FileNotFoundError, match=r"a1_s1_t1_skeleton\.mat of test are not in any of"
    ):
        load_utd_mhad(folder, split="test")


# Bad arguments and files


@pytest.mark.parametrize("modalities", ["skeleton", [], ["rgb"], ["depth", "depth"]])
def test_bad_modalities(folder, modalities):
    with pytest.raises(ValueError, match=r"'modalities' .* of 'skeleton', 'inertial', 'depth'"):
        load_utd_mhad(folder, modalities=modalities)


@pytest.mark.parametrize("split", ["validation", 0, ["train"]])
def test_unknown_split(folder, split):
    with pytest.raises(ValueError, match=r"'split' .* must be None or one of 'train', 'test'. Got"):
        load_utd_mhad(folder, split=split)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"d_skel": np.ones((20, 3, 4))}, "has no variable d_iner"),
        ({"d_iner": np.ones((6, 9))}, r"d_iner must hold frames x 6 numbers; got \(6, 9\)"),
        ({"d_iner": np.ones((0, 6))}, r"d_iner must hold frames x 6 numbers; got \(0, 6\)"),
        ({"d_iner": np.array([["abcdef"]])}, "d_iner must hold real numbers; it is text"),
        ({"d_iner": np.full((4, 6), np.nan)}, "d_iner holds values that are not finite"),
    ],
)
def test_malformed_file(folder, content, message):
    path = path_of(folder, "inertial", (10, 1, 1))
    savemat(path, content)
    with pytest.raises(ValueError, match=message) as info:
        load_utd_mhad(folder)
    assert str(path) in str(info.value)


def test_action_out_of_range(folder):
    savemat(path_of(folder, "inertial", (28, 1, 1)), {"d_iner": np.ones((4, 6))})
    with pytest.raises(ValueError, match=r"a28_s1_t1.*expected an action of 1 to 27; got 28"):
        load_utd_mhad(folder)


@pytest.mark.parametrize("name", [f"a1_s{10**20}_t1", f"a1_s1_t{2**63}"])
def test_numbers_too_large_for_a_recording_are_refused(folder, name):
    path = folder / "Skeleton" / f"{name}_skeleton.mat"
    path.write_bytes(b"not read")
    with pytest.raises(UnreadableFileError, match="too large") as info:
        load_utd_mhad(folder)
    assert str(path) in str(info.value)


def test_two_files_of_one_recording_in_a_folder_are_refused(folder):
    path = folder / "Skeleton" / "a01_s1_t1_skeleton.mat"
    path.write_bytes(path_of(folder, "skeleton", (1, 1, 1)).read_bytes())
    with pytest.raises(UnreadableFileError, match=r"a0?1_s1_t1_\S+ is of the same recording as"):
        load_utd_mhad(folder)


@pytest.mark.parametrize("modality", ["skeleton", "depth"])
def test_max_bytes_of_one_file(folder, modality):
    load_utd_mhad(folder, modalities=[modality], max_bytes=2**20)
    path = path_of(folder, modality, (1, 2, 1))  # the one with most frames
    with pytest.raises(UnreadableFileError, match=r"would take .* max_bytes=\d+ is the") as info:
        n = array(modality, 1).nbytes
        load_utd_mhad(folder, modalities=[modality], max_bytes=n - 1)
    assert str(path) in str(info.value)


# Links and pipes


def move(path, folder):
    """Move a file or folder to another folder and leave a link."""
    path.rename(folder / path.name)
    path.symlink_to(folder / path.name)


@pytest.mark.parametrize("place", ["file", "folder"])
def test_links_out_of_root_need_follow_links(folder, tmp_path_factory, place):
    reference = load_utd_mhad(folder).data
    other = tmp_path_factory.mktemp("other")
    path = path_of(folder, "inertial", (2, 3, 4))
    path = path if place == "file" else path.parent
    move(path, other)
    message = f"{path} is a symbolic link to {other / path.name}, outside of {folder}; .*=True"
    with pytest.raises(UnreadableFileError, match=message):
        load_utd_mhad(folder)
    assert load_utd_mhad(folder, follow_links=True).data == reference
    assert load_utd_mhad(folder, modalities=["skeleton"]).data["skeleton"].shape == (5, 40, 60)


def test_a_link_to_the_whole_set_needs_follow_links(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "utd_mhad").symlink_to(folder)
    with pytest.raises(UnreadableFileError, match=f"{home / 'utd_mhad'} is a symbolic link"):
        load_utd_mhad(home)
    reference = load_utd_mhad(folder).data
    assert load_utd_mhad(home, follow_links=True).data == reference
    assert load_utd_mhad(home / "utd_mhad").data == reference  # the link itself is given


def test_links_within_root_are_followed(folder):
    reference = load_utd_mhad(folder).data
    (folder / "stored").mkdir()
    move(path_of(folder, "skeleton", (1, 1, 1)), folder / "stored")
    move(folder / "Inertial", folder / "stored")
    assert load_utd_mhad(folder).data == reference


def test_a_link_that_leads_nowhere_is_a_missing_file(folder):
    path = path_of(folder, "skeleton", (1, 1, 1))
    path.unlink()
    path.symlink_to(folder / "gone")
    with pytest.raises(FileNotFoundError, match=f"{path}: there is no such file"):
        load_utd_mhad(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_being_opened(folder):
    path = path_of(folder, "skeleton", (27, 8, 2))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableFileError, match=f"{path}: it is not a regular file, but a pipe"):
        load_utd_mhad(folder)


def test_a_folder_in_place_of_a_file_is_refused(folder):
    path = path_of(folder, "skeleton", (27, 8, 2))
    path.unlink()
    path.mkdir()
    with pytest.raises(UnreadableFileError, match=f"{path}: it is a folder, not a file"):
        load_utd_mhad(folder)


def test_a_file_in_place_of_a_folder_is_none(folder):
    for path in (folder / "Inertial").iterdir():
        path.rename(folder / path.name)
    (folder / "Inertial").rmdir()
    (folder / "Inertial").write_text("not a folder")
    assert load_utd_mhad(folder).data.shape == (5,)
