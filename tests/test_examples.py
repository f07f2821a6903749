"""The examples run as their readers run them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(name, *arguments, folder):
    """What an example prints, run in `folder`."""
    command = [sys.executable, ROOT / "examples" / name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_quickstart(tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    printed = run("plot_quickstart.py", "--seeds", "2", "--figure", figure, folder=tmp_path)
    tables = printed.split("Trained with ")[1:]
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


@pytest.mark.slow
def test_spoken_digits(tmp_path, fsdd_home):
    pytest.importorskip("librosa")
    printed = run("spoken_digits.py", fsdd_home, "--max-epochs", "5", folder=tmp_path)
    rows = {line.split("  ")[0]: line for line in printed.splitlines() if "+-" in line}
    assert {"audio alone", "image alone", "joint", "joint*", "InfoReg", "InfoReg*"} == set(rows)
    assert float(rows["image alone"].split("+-")[0].split()[-1]) > 60
    assert list(tmp_path.iterdir()) == []  # the cache is gone


@pytest.mark.slow
def test_language_model(tmp_path, mosi_home):
    pytest.importorskip("transformers")
    printed = run("language_model.py", mosi_home, "--seeds", "1", "--epochs", "4", folder=tmp_path)
    rows = {line[:32].strip(): line[32:].split() for line in printed.splitlines()[2:-1]}
    assert set(rows) == {
        f"{way}, {what}"
        for way in ("vectorizer", "language model")
        for what in ("text alone", "joint", "InfoReg*")
    }
    assert all(len(cells) == (2 if "alone" in name else 3) for name, cells in rows.items())
    # A model of random weights has learnt words: the most frequent class would give 62.1.
    assert float(rows["language model, text alone"][0]) > 64


@pytest.mark.slow
def test_sentiment_regression(tmp_path):
    printed = run("sentiment_regression.py", "--seeds", "1", "--epochs", "6", folder=tmp_path)
    assert "audio (50, 5)" in printed and "1284 to train on, 686 to test on" in printed
    rows = {line[:20].strip(): line[20:].split() for line in printed.splitlines()[5:]}
    mae = {name: float(cells[0]) for name, cells in rows.items()}
    for method in ("joint", "joint*", "InfoReg", "InfoReg*"):
        assert mae[method] < mae["mean of train"] - 0.2
        assert 0.55 < float(rows[method][1]) < 0.9
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_search_on_a_cluster(tmp_path):
    pytest.importorskip("distributed", reason="needs the extra dask")
    printed = run("search_on_a_cluster.py", "--max-epochs", "2", folder=tmp_path).splitlines()
    assert [printed[i] for i in (0, 2, 4)] == [
        "in this process",
        "by 2 workers",
        "scores are equal",
    ]
    # What was best, and its score: the same, but for the time.
    assert printed[1].partition(" s, ")[2] == printed[3].partition(" s, ")[2] != ""


@pytest.mark.slow
def test_tables(tmp_path):
    printed = run("tables.py", "--folds", "2", "--epochs", "10", folder=tmp_path)
    rows = {line[:25].strip(): line[25:].split() for line in printed.splitlines()[1:6]}
    assert list(rows) == [
        "linear on all",
        "stacked linear",
        "late fusion of networks",
        "one network",
        "pool",
    ]
    assert all(float(accuracy) > 0.9 for accuracy, _ in rows.values())
    assert [line.split()[0] for line in printed.splitlines()[-4:]] == [
        "mean",
        "error",
        "largest",
        "joint",
    ]


@pytest.mark.slow
def test_diagnosis(tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    few = ("--seeds", "1", "--n-jobs", "1")
    printed = run("plot_diagnosis.py", *few, "--figure", figure, folder=tmp_path)
    told = printed.partition("Compared")[0]
    # What the demo is there to show: joint training loses the image, and what fixes it.
    assert "- image: " in told and "Recommended: " in told
    rows = {line[:16].strip(): line[16:].split() for line in printed.splitlines()}
    assert float(rows["late fusion"][0]) > float(rows["joint"][0]) + 2
    assert figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 20_000
