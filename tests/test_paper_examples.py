"""The scripts with the paper's setting run from clips to the table."""

import re
import subprocess
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


@pytest.mark.slow
def test_clips_that_are_not_there(tmp_path):
    pytest.importorskip("librosa")
    pytest.importorskip("av")
    root = make_crema_d(tmp_path / "clips")
    (root / "AudioWAV" / "1003_WSI_ANG_XX.wav").unlink()
    script = [sys.executable, ROOT / "examples" / "crema_d.py", root]
    done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "1003_WSI_ANG_XX" in done.stderr and "missing='allow'" in done.stderr
    options = ["--missing", "allow", "--method", "joint", "--seeds", "1"]
    assert "joint" in rows(run("crema_d.py", root, *options, *SMALL, folder=tmp_path))
