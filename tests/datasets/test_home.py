"""Where loaders look for files: what cannot be a path is named."""

import pytest

from inforeg_sk.datasets import load_cmu_mosi
from inforeg_sk.datasets._home import find_home, first_present
from inforeg_sk.utils.files import UnreadableFileError


def find(value):
    return find_home("data_home", value, "the files", "Get them.")


def test_a_user_without_a_home_is_named(monkeypatch):
    with pytest.raises(FileNotFoundError, match="data_home is '~no-such-user/x': there is no such"):
        find("~no-such-user/x")
    monkeypatch.setenv("INFOREG_SK_DATA", "~no-such-user")
    with pytest.raises(FileNotFoundError, match="environment variable INFOREG_SK_DATA is '~no-su"):
        find(None)


def test_a_null_character_is_named():
    with pytest.raises(ValueError, match=r"data_home is 'a\\x00b'; no path has a null character"):
        find("a\0b")


@pytest.mark.parametrize("features", ["csv", "aligned_50"])
def test_a_path_that_is_too_long_is_not_found(tmp_path, features):
    with pytest.raises(FileNotFoundError, match="is not in any of"):
        load_cmu_mosi(tmp_path / ("x" * 5000), features=features)


def test_the_first_file_comes_before_other_things_of_its_name(tmp_path):
    folder, file = tmp_path / "a" / "x", tmp_path / "b" / "x"
    folder.mkdir(parents=True)
    file.parent.mkdir()
    assert first_present([folder, file], tmp_path, False) == folder
    file.write_bytes(b"x")
    assert first_present([folder, file], tmp_path, False) == file
    assert first_present([tmp_path / "none"], tmp_path, False) is None


def test_a_link_out_is_refused(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "x").symlink_to(tmp_path / "y")
    (tmp_path / "y").write_bytes(b"y")
    with pytest.raises(UnreadableFileError, match="follow_links"):
        first_present([inside / "x"], inside, False)
    assert first_present([inside / "x"], inside, True) == inside / "x"
