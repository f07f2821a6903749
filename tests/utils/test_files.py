"""Checks of files of others, and errors that name them."""

import os
import socket
import struct

import pytest

from inforeg_sk.utils.files import (
    BadFile,
    UnreadableFileError,
    check_file,
    check_inside,
    check_size,
    is_pointer,
    is_regular,
    leads_out,
    named,
    shorten,
)

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.bin"


# check_file


@pytest.mark.parametrize("n", [1, 511, 512, 513, 100_000])
def test_the_size_of_a_file_is_returned(path, n):
    path.write_bytes(b"x" * n)
    assert check_file(path) == check_file(str(path)) == n


def test_an_absent_file_is_named(path):
    for absent in (path, path.parent / "no folder" / "x"):
        with pytest.raises(FileNotFoundError, match=f"{absent}: there is no such file"):
            check_file(absent)
    path.write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        check_file(path / "below a file")


def test_a_link_that_leads_nowhere_is_an_absent_file(path):
    path.symlink_to(path.parent / "gone")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        check_file(path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 10_000])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    with pytest.raises((BadFile, FileNotFoundError)):
        check_file(tmp_path / name)


def test_links_in_a_circle_are_refused(path):
    path.symlink_to(path)
    with pytest.raises(BadFile, match="it cannot be opened"):
        check_file(path)


def test_folders_and_empty_files_are_refused(path):
    with pytest.raises(BadFile, match="it is a folder, not a file"):
        check_file(path.parent)
    path.write_bytes(b"")
    with pytest.raises(BadFile, match=r"the file is empty \(0 bytes\)"):
        check_file(path)


@PIPES
def test_pipes_sockets_and_devices_are_not_opened(path, monkeypatch):
    os.mkfifo(path)
    with pytest.raises(BadFile, match="it is not a regular file, but a pipe, a socket or a device"):
        check_file(path)
    with pytest.raises(BadFile, match="it is not a regular file"):
        check_file("/dev/zero")
    monkeypatch.chdir(path.parent)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(BadFile, match="it is not a regular file"):
            check_file("socket")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_is_refused(path):
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(BadFile, match=r"it cannot be opened \(Permission denied\)"):
        check_file(path)


def test_a_pointer_of_git_lfs_is_recognized(path):
    path.write_bytes(POINTER)
    with pytest.raises(BadFile, match=r"it is a pointer of git-lfs, not the data: .*git lfs pull"):
        check_file(path)
    assert is_pointer(path)
    path.write_bytes(b"data" + POINTER)
    assert check_file(path) == len(POINTER) + 4
    assert not is_pointer(path)


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html>\n<html>",
        b"\r\n \t<HTML lang='en'>",
        b"\xef\xbb\xbf<html>",
        b"<head><title>",
        b'<?xml version="1.0"?><Error><Code>AccessDenied',
        b"<!-- saved -->",
    ],
)
def test_a_web_page_is_recognized(path, page):
    path.write_bytes(page)
    with pytest.raises(BadFile, match="it is a web page, not the data"):
        check_file(path)


@pytest.mark.parametrize("data", [b"<", b"0.5,<html>", struct.pack("<4d", 1, 2, 3, 4), b"\xff" * 9])
def test_data_are_no_web_page(path, data):
    path.write_bytes(data)
    assert check_file(path) == len(data)


def test_what_is_not_regular_is_no_pointer(path):
    assert not is_regular(path) and not is_pointer(path)
    assert not is_regular(path.parent) and not is_pointer(path.parent)
    assert not is_regular("a\0b")
    path.write_bytes(b"x")
    assert is_regular(path) and not is_pointer(path)


@PIPES
def test_a_pipe_is_no_pointer_and_not_opened(path):
    os.mkfifo(path)
    assert not is_regular(path) and not is_pointer(path)


# Links


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "given" / "sub").mkdir(parents=True)
    (tmp_path / "given" / "file").write_bytes(b"inside")
    (tmp_path / "given-too").mkdir()
    (tmp_path / "given-too" / "file").write_bytes(b"outside")
    return tmp_path / "given", tmp_path / "given-too"


def test_links_within_the_folder_lead_nowhere_else(folders):
    given, _ = folders
    (given / "sub" / "link").symlink_to("../file")
    (given / "again").symlink_to(given / "sub" / "link")
    (given / "broken").symlink_to(given / "gone")
    for name in ("file", "sub/link", "again", "broken", "sub", ".", "sub/../file"):
        assert not leads_out(given / name, given)
        check_inside(given / name, given, False)


def test_links_out_of_the_folder_are_refused_by_name(folders):
    given, other = folders
    (given / "link").symlink_to(other / "file")  # whose path begins with that of the folder
    (given / "folder").symlink_to(other)
    (given / "twice").symlink_to("link")
    (given / "broken").symlink_to(other / "gone")
    for name in ("link", "folder/file", "twice", "broken"):
        assert leads_out(given / name, given)
        with pytest.raises(
            UnreadableFileError, match=r"not followed without follow_links=True"
        ) as e:
            check_inside(given / name, given, False)
        assert str(e.value).startswith(f"{given / name} is a symbolic link to {other}/")
        check_inside(given / name, given, True)


def test_a_given_folder_may_be_a_link_itself(folders):
    given, other = folders
    link = given.parent / "link"
    link.symlink_to(other)
    assert not leads_out(link / "file", link)
    check_inside(link / "file", link, False)


def test_relative_paths_are_understood(folders, monkeypatch):
    given, other = folders
    (given / "link").symlink_to(other / "file")
    monkeypatch.chdir(given)
    assert not leads_out("file", ".") and leads_out("link", ".") and leads_out("../x", ".")


# named


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        OSError(5, "Input/output error"),
        RuntimeError("broken"),
        ValueError("broken"),
        RecursionError("too deep"),
        SystemError("odd"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        struct.error("unpack requires a buffer of 4 bytes"),
        EOFError(),
    ],
)
def test_errors_of_libraries_name_the_file(path, error):
    with pytest.raises(UnreadableFileError) as info, named(path, "a table"):
        raise error
    message = f"{path} is damaged or not a table ({type(error).__name__}: {error})."
    assert str(info.value) == message
    assert info.value.__cause__ is error


def test_bad_files_are_named(path):
    with pytest.raises(UnreadableFileError) as info, named(path, "a table"):
        raise BadFile("it is cut short.")
    assert str(info.value) == f"{path}: it is cut short."
    assert isinstance(info.value, ValueError)


def test_too_little_memory_is_said(path):
    with (
        pytest.raises(UnreadableFileError, match=r"data\.bin: reading it needs more memory than"),
        named(path, "a table"),
    ):
        raise MemoryError


@pytest.mark.parametrize(
    "error",
    [
        UnreadableFileError("x: damaged"),
        FileNotFoundError("x: there is no such file."),
        ImportError("needs h5py"),
        UserWarning("that a filter turns into an error"),
        KeyboardInterrupt(),
    ],
)
def test_errors_that_are_named_already_pass(path, error):
    with pytest.raises(type(error)) as info, named(path, "a table"), named(path, "a table"):
        raise error
    assert info.value is error


def test_long_messages_of_libraries_are_cut(path):
    with pytest.raises(UnreadableFileError) as info, named(path, "a table"):
        raise ValueError("x" * 100_000)
    assert len(str(info.value)) < len(str(path)) + 300


# check_size and shorten


def test_a_size_up_to_the_limit_is_allowed():
    check_size("variable x", 10, 10)
    check_size("variable x", 0, 10)
    with pytest.raises(BadFile) as info:
        check_size("variable x", 11, 10)
    message = "variable x would take 11 bytes of memory; max_bytes=10 is the limit."
    assert str(info.value) == message


def test_long_values_are_cut_in_the_middle():
    assert shorten("x" * 120) == "x" * 120
    assert shorten("a" * 100 + "b" * 100) == "a" * 60 + "..." + "b" * 40
    assert len(shorten("x" * 10**6, 30)) < 30
    assert shorten(12) == "12"
    assert shorten(ValueError("why")) == "why"
