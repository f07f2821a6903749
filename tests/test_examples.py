"""The examples run as their readers run them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_quickstart(tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    command = [sys.executable, ROOT / "examples" / "plot_quickstart.py"]
    done = subprocess.run(
        [*command, "--seeds", "2", "--figure", figure], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    tables = done.stdout.split("Trained with ")[1:]
    assert len(tables) == 2
    for table, least in zip(tables, (15, 10), strict=True):
        rows = {line.split("  ")[0]: line for line in table.splitlines()}
        mean = {
            name: [float(cell.split()[-1]) for cell in rows[name].split("+-")[:-1]]
            for name in ("joint", "joint*", "InfoReg (paper)", "InfoReg", "InfoReg*")
        }
        # What the example is there to show: the image starves, and unimodal losses feed it.
        assert mean["joint"][2] < mean["joint*"][2] - least
        assert mean["joint"][0] < mean["joint*"][0]
        assert table.count(" the noise)") == 4
    assert figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 20_000
