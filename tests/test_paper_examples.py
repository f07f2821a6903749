"""The scripts with the paper's setting run from clips to the table."""

import re
import runpy
import sys

import pytest
from clips import make_crema_d, make_kinetics_sounds
from test_examples import ROOT, run

SMALL = ["--epochs", "1", "--size", "32", "--batch-size", "9", "--device", "cpu"]


def cells(line):
    """The numbers of a line of the table, without its label."""
    return [float(x) for x in re.findall(r"-?\d+\.\d+", line[10:])]


def rows(printed):
    """Lines of the table by method."""
    body = printed.split("published: all, audio, video\n")[1].split("Always answering")[0]
    return {line.split()[0]: line for line in body.splitlines()}


@pytest.mark.slow
def test_crema_d(tmp_path):
    pytest.importorskip("librosa")
    pytest.importorskip("av")
    root = make_crema_d(tmp_path / "clips")
    methods = ["--method", "joint", "authors", "--seeds", "1"]
    printed = run(
        "crema_d.py", root, *methods, *SMALL, "--memory", tmp_path / "memory", folder=tmp_path
    )
    assert "CREMA-D, split by lists: 18 clips to train on, 6 to test on" in printed
    assert "audio (188, 257), video (3, 3, 32, 32)" in printed
    table = rows(printed)
    assert set(table) == {"joint", "authors"}
    joint = cells(table["joint"])
    assert all(0 <= x <= 100 and round(6 * x / 100, 1) % 1 == 0 for x in joint[:3])
    assert joint[3:] == [66.61, 58.99, 35.14]
    assert len(cells(table["authors"])) == 3 and table["authors"].endswith("-")
    assert "most frequent class gives 16.7" in printed  # one of six
    assert any((tmp_path / "memory").rglob("*.pkl"))


@pytest.mark.slow
def test_kinetics_sounds(tmp_path):
    pytest.importorskip("librosa")
    pytest.importorskip("PIL")
    root = make_kinetics_sounds(tmp_path / "clips")
    printed = run(
        "kinetics_sounds.py", root, "--method", "inforeg*", "--seeds", "2", *SMALL, folder=tmp_path
    )
    assert "Kinetics-Sounds: 8 clips to train on, 4 to test on" in printed
    assert "audio (626, 129), video (3, 3, 32, 32)" in printed
    (line,) = rows(printed).values()
    numbers = cells(line)  # three means with their deviations, three published figures
    assert line.startswith("inforeg*") and line.count("+-") == 3
    assert all(0 <= x <= 100 for x in numbers[:6]) and numbers[6:] == [72.03, 57.21, 53.57]
    assert "most frequent class gives 50.0" in printed
    assert [x.name for x in tmp_path.iterdir()] == ["clips"]


@pytest.fixture
def run_here(tmp_path, monkeypatch, capsys):
    """As `run`, in this process, which has imported torch: for a script that `run` runs, too."""
    folder = ROOT / "examples"

    def run_here(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(folder / name), run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(folder)
    yield run_here
    sys.modules.pop("_paper_setting", None)


@pytest.mark.slow
def test_clips_that_are_not_there(tmp_path, run_here):
    pytest.importorskip("librosa")
    pytest.importorskip("av")
    root = make_crema_d(tmp_path / "clips")
    (root / "AudioWAV" / "1003_WSI_ANG_XX.wav").unlink()
    with pytest.raises(SystemExit) as stop:
        run_here("crema_d.py", root)
    # Python prints a code that is a string, without a traceback, and its exit status is 1.
    message = stop.value.code
    assert isinstance(message, str)
    assert "1003_WSI_ANG_XX" in message and "missing='allow'" in message
    options = ["--missing", "allow", "--method", "joint", "--seeds", "1"]
    assert "joint" in rows(run_here("crema_d.py", root, *options, *SMALL))
