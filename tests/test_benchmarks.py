"""The benchmarks: what they do where there is no GPU, and the pages that they write."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from docutils.core import publish_doctree

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"


def run(name, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *arguments],
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu_its_benchmark_says_so_in_one_line_and_writes_nothing(tmp_path):
    page = tmp_path / "GPU.rst"
    done = run("gpu", "--output", str(page))
    assert done.returncode != 0 and not page.exists() and done.stdout == ""
    assert done.stderr.strip().count("\n") == 0 and "no CUDA device" in done.stderr


@pytest.mark.slow
def test_the_gpu_page_of_a_rehearsal_is_a_page(tmp_path):
    page = tmp_path / "page.rst"
    given = ["--device", "cpu", "--output", str(page), "--no-tests"]
    done = run("gpu", *given, "--pairs", "1", "--epochs", "1", "--only", "by hand, small")
    assert done.returncode == 0, done.stderr
    tree = publish_doctree(page.read_text(), settings_overrides={"halt_level": 2})
    assert "a rehearsal on the CPU" in tree.astext() and "joint / by hand, small" in tree.astext()


@pytest.mark.slow
def test_the_rehearsal_says_where_it_writes():
    done = run("gpu", "--device", "cpu")
    assert done.returncode != 0 and "--output" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this is not Linux")
def test_memory_is_measured_in_a_process_of_its_own():
    done = run("memory", "--scale", "0.02", "--only", "joint, float32 X")
    assert done.returncode == 0, done.stderr
    assert "X    20  copy     0" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this is not Linux")
def test_the_page_of_members_is_a_page(tmp_path):
    done = run("members", "--quick", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "MEMBERS.rst").read_text()
    text = publish_doctree(page, settings_overrides={"halt_level": 2}).astext()
    assert "A pass of 4 networks, 2 epochs" in text and "logistic regressions, stacked" in text
    assert (tmp_path / "results" / "members.png").stat().st_size > 0


def test_the_figure_of_scaling_shows_every_number_of_its_table():
    with (BENCHMARKS / "results" / "scaling.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for varied in ("samples", "modalities", "parameters", "epochs"):
        values = {row["value"] for row in rows if row["varied"] == varied}
        for program in ("InfoReg", "joint", "by hand"):
            found = [r for r in rows if r["varied"] == varied and r["program"] == program]
            assert {r["value"] for r in found} == values and len(values) >= 6
            for r in found:
                assert 0 < float(r["fastest"]) <= float(r["seconds"]) <= float(r["slowest"])


@pytest.mark.slow
def test_the_diagnosis_of_real_sets_is_shown_from_its_numbers_and_stands_on_the_page():
    done = run("diagnosis_real", "--show", "ROSMAP")
    assert done.returncode == 0, done.stderr
    assert "##### ROSMAP, training part" in done.stdout and "245 samples, 2 classes" in done.stdout
    text = (BENCHMARKS / "DIAGNOSIS.rst").read_text()
    page = publish_doctree(text, settings_overrides={"halt_level": 2}).astext()
    assert "Is the advice good?" in page and "MUStARD" in page


@pytest.mark.slow
def test_the_standard_error_on_test_counts_groups_as_one(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from diagnosis_real import standard_error, within

    hits = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    assert standard_error(np.array(hits)) == pytest.approx(np.std(hits, ddof=1) / np.sqrt(6))
    # Three groups of two equal samples each: as three samples.
    three = np.std([1.0, 0.0, 1.0], ddof=1) / np.sqrt(3)
    assert standard_error(np.array(hits), [0, 0, 1, 1, 2, 2]) == pytest.approx(three)
    assert within(0.02, 0.019) and not within(0.02, 0.021) and within(float("nan"), 0.0)
