"""What lists and folders of recordings may name: regular files inside the given folder."""

import os
import warnings

import pytest
from clips import make_crema_d, make_kinetics_sounds, touch

from inforeg_sk.datasets import load_crema_d, load_kinetics_sounds
from inforeg_sk.utils.files import UnreadableFileError

LOADERS = {
    "crema_d": (load_crema_d, "train.csv", "VideoFlash"),
    "kinetics_sounds": (load_kinetics_sounds, "my_train.txt", "test"),
}


@pytest.fixture(params=LOADERS)
def case(request, tmp_path):
    """A loader and its folder, with the path of a list, of a sound and of a folder in it."""
    loader, listed, videos = LOADERS[request.param]
    home = tmp_path / "home"
    if request.param == "crema_d":
        make_crema_d(home, video=lambda path, label: touch(path))
    else:
        make_kinetics_sounds(home)
    sound = sorted(home.rglob("*.wav"))[0]
    return loader, home, home / listed, sound, home / videos


def move_out(path, tmp_path):
    """Move a file or folder out of the home, and leave a link to it."""
    outside = tmp_path / "outside"
    outside.mkdir(exist_ok=True)
    path.rename(outside / path.name)
    path.symlink_to(outside / path.name)
    return outside / path.name


@pytest.mark.parametrize("which", [2, 3], ids=["list", "sound"])
def test_a_file_that_is_a_link_out_of_the_folder_is_refused(case, which, tmp_path):
    loader, home, *places = case
    reference = loader(home).data
    path = places[which - 2]
    to = move_out(path, tmp_path)
    with pytest.raises(UnreadableFileError, match="follow_links=True") as caught:
        loader(home)
    assert str(path) in str(caught.value) and str(to) in str(caught.value)
    assert loader(home, follow_links=True).data == reference


def test_a_folder_that_is_a_link_out_is_left_out_with_a_warning(case, tmp_path):
    loader, home, _, _, videos = case
    reference = loader(home).data
    move_out(videos, tmp_path)
    with pytest.warns(UserWarning, match=f"Folders that are.*\\(1\\): .*{videos.name}") as said:
        with pytest.raises(FileNotFoundError, match="have no"):
            loader(home)
    assert said[0].filename == __file__
    assert loader(home, follow_links=True).data == reference
    with pytest.raises(UnreadableFileError, match="symbolic link"):
        loader(home, audio=videos.name, video=videos.name)


def test_a_link_to_the_root_of_the_disk_is_not_walked(case, monkeypatch):
    loader, home, *_ = case
    (home / "disk").symlink_to("/")
    visited, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (visited.append(str(path)), scandir(path))[1])
    with pytest.warns(UserWarning, match="left out"):
        loader(home)
    assert visited and all(path.startswith(str(home)) for path in visited)
    assert not any("disk" in path for path in visited)


def test_links_inside_the_folder_and_the_folder_itself_are_followed(case, tmp_path):
    loader, home, listed, sound, _ = case
    reference = loader(home).data
    for path in (listed, sound):
        inside = home / "inside"
        inside.mkdir(exist_ok=True)
        kept = inside / f"{path.name}.original"
        path.rename(kept)
        path.symlink_to(kept)
    (tmp_path / "link").symlink_to(home)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loader(home).data == reference
        assert len(loader(tmp_path / "link").data) == len(reference)


def test_a_folder_found_by_its_name_may_not_lead_out(case, tmp_path, request):
    loader, home, *_ = case
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / request.node.callspec.params["case"]).symlink_to(home)
    with pytest.raises(UnreadableFileError, match="symbolic link"):
        loader(tmp_path / "data")


def test_pipes_are_not_opened(case):
    loader, home, listed, sound, _ = case
    sound.unlink()
    os.mkfifo(sound)
    with pytest.raises(UnreadableFileError, match=f"{sound.name} is not a regular file"):
        loader(home)
    sound.unlink()
    touch(sound)
    listed.unlink()
    os.mkfifo(listed)
    with pytest.raises(FileNotFoundError, match=listed.name):  # what is not a file is not a list
        loader(home)


def test_a_list_names_nothing_outside_the_folder(tmp_path):
    home = make_kinetics_sounds(tmp_path / "home")
    touch(tmp_path / "secret" / "aaaaaaaaaaa_1.wav", tmp_path / "secret" / "aaaaaaaaaaa_1.mp4")
    for name in ("../secret/aaaaaaaaaaa_1", f"{tmp_path}/secret/aaaaaaaaaaa_1", "aaaaaaaaaaa_1"):
        (home / "my_train.txt").write_text(f"{name},10,16\n")
        with pytest.raises(FileNotFoundError, match="aaaaaaaaaaa_1"):
            load_kinetics_sounds(home)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "web page"),
        (b"\0" * 10**7, "line 1 has more than 4096 characters"),
        (b"a" * 10**7, "line 1 has more than 4096 characters"),
        (b"\xff\xfe\0", "not text in UTF-8"),
        (b"1" * 4000, r"line 1 \('1+\.\.\.1+'\)"),
        (b"", "empty"),
    ],
    ids=["pointer", "page", "zeros", "long", "binary", "long name", "empty"],
)
def test_what_is_not_a_list_is_named(case, content, message):
    loader, home, listed, *_ = case
    listed.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=message) as caught:
        loader(home)
    assert str(listed) in str(caught.value) and len(str(caught.value)) < 600
