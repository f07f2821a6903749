"""The benchmarks: what they do where there is no GPU, and the pages that they write."""

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from docutils import nodes
from docutils.core import publish_doctree
from scipy import stats

from inforeg_sk import ModalityDict, MultimodalClassifier

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


# Tables


def test_every_table_of_a_page_has_a_head_and_no_dash_becomes_a_list():
    pages = [ROOT / "README.rst", *BENCHMARKS.glob("*.rst")]
    pages += [p for p in (ROOT / "docs").rglob("*.rst") if "generated" not in p.parts]
    n_tables = 0
    for page in pages:
        # Sphinx's own roles and directives are unknown here, which says nothing of tables.
        tree = publish_doctree(page.read_text(), settings_overrides={"report_level": 5})
        for table in tree.findall(nodes.table):
            n_tables += 1
            heads = [row for head in table.findall(nodes.thead) for row in head.findall(nodes.row)]
            assert all(row.astext().strip() for row in heads), page
            assert heads or page.parent != BENCHMARKS, page
            assert page.parent != BENCHMARKS or not list(table.findall(nodes.bullet_list)), page
    assert n_tables > 50


def test_a_table_without_a_head_or_a_first_cell_is_refused(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from rst_table import rst_table

    with pytest.raises(ValueError, match="empty cell"):
        rst_table(["", "score"], [["a", "1"]])
    with pytest.raises(ValueError, match="empty cell"):
        rst_table(["row", "score"], [["", "1"]])
    with pytest.raises(ValueError, match="line break"):
        rst_table(["row", "score"], [["a", "1\n2"]])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        rst_table(["row", "score"], [["a", "1", "2"]])
    text = "\n".join(rst_table(["row", "score", "limit"], [["a", "-", ""], ["b", 1.5, 2]]))
    (table,) = publish_doctree(text).findall(nodes.table)
    cells = [entry.astext() for entry in table.findall(nodes.entry)]
    assert cells == ["row", "score", "limit", "a", "\N{EN DASH}", "", "b", "1.5", "2"]


# The page of reproduce.py, from made results

N_TEST = 200


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("reproduce_page")


def result(*wrong):
    """A row whose seeds are wrong on the first so many test samples."""
    seeds = []
    for n in wrong:
        right = np.arange(N_TEST) >= n
        accuracy = 100 * right.mean()
        seeds.append(
            {
                "accuracy": accuracy,
                "macro_f1": accuracy,
                "alone": {"a": 70.0, "b": 60.0},
                "probe": {"a": 72.0, "b": 61.0},
                "last_fit": 0.5,
                "right": np.packbits(right).tobytes().hex(),
            }
        )
    return {"seeds": seeds, "seconds": 3.0}


@pytest.fixture
def made():
    """joint* and late fusion miss 40 of 200; joint 80; the pool 20; OGM-GE 41."""
    wrong = {"joint*": 40, "late fusion": 40, "joint": 80, "pool": 20, "OGM-GE": 41,
             "InfoReg*": 40, "stacked linear": 60}  # fmt: skip
    found = {("ROSMAP", row): result(n, n) for row, n in wrong.items()}
    found["ROSMAP", "about"] = {
        "n_train": 100, "n_test": N_TEST, "n_classes": 2, "modalities": ["a", "b"], "groups": None,
    }  # fmt: skip
    return found


def test_a_difference_and_its_interval_are_those_of_the_paired_samples(pages, made):
    found = pages.gap(made, "ROSMAP", "pool", "joint*")
    each = np.r_[np.zeros(20), 100 * np.ones(20), np.zeros(160)]
    expected = stats.ttest_1samp(each, 0.0)
    interval = expected.confidence_interval(0.95)
    assert found.mean == pytest.approx(10.0)
    assert found.half == pytest.approx((interval.high - interval.low) / 2)
    assert found.p == pytest.approx(expected.pvalue) and found.word == "better"
    assert pages.gap(made, "ROSMAP", "joint", "joint*").word == "worse"
    assert pages.gap(made, "ROSMAP", "OGM-GE", "joint*").word == "no difference"


def test_a_difference_that_comes_from_one_of_three_groups_is_not_told(pages, made):
    groups = np.r_[np.zeros(60), np.ones(70), 2 * np.ones(70)].astype(int).tolist()
    made["ROSMAP", "about"]["groups"] = groups
    # The sums of the deviations within the groups: of 2000 points in all, 600 are of the first.
    expected = np.sqrt(3 / 2 * (1400.0**2 + 700.0**2 + 700.0**2)) / N_TEST
    found = pages.gap(made, "ROSMAP", "pool", "joint*")
    assert found.half == pytest.approx(stats.t.ppf(0.975, 2) * expected)
    assert found.word == "no difference"
    made["ROSMAP", "pool"] = result(0, 40)  # seeds add to the variance, not to the groups
    errors = np.hypot(expected, np.sqrt(200 / 2)), stats.t.ppf(0.975, 2)
    assert pages.gap(made, "ROSMAP", "pool", "joint*").half >= np.prod(errors) - 1e-9


def test_seeds_that_differ_widen_the_interval(pages, made):
    apart = {**made, ("ROSMAP", "pool"): result(0, 40)}
    assert apart["ROSMAP", "pool"]["seeds"][0]["accuracy"] == 100
    found, steady = (pages.gap(d, "ROSMAP", "pool", "joint*") for d in (apart, made))
    assert found.mean == pytest.approx(steady.mean) and found.half > steady.half
    assert found.word == "no difference"


def test_the_statement_of_a_set_says_better_worse_and_no_difference(pages, made):
    told = pages.statement(made, "ROSMAP")
    assert "The pool is better than joint* (+10.0 ± 4.2), late fusion (+10.0 ± 4.2) and" in told
    assert "InfoReg* is better than stacked linear" in told
    assert "and not clearly different from joint* (+0.0 ± 0.0) and late fusion" in told
    assert "none is better than both joint* and late fusion; joint is worse than one of" in told
    assert "OGM-GE is not clearly different from the better of the two." in told
    assert "joint* is not clearly different from late fusion (+0.0 ± 0.0)." in told
    # 5 of 200 by itself, p = 0.025, but not among nine comparisons.
    made["ROSMAP", "InfoReg"] = result(45, 45)
    told = pages.statement(made, "ROSMAP")
    assert "and by a single comparison worse than joint* (-2.5 ± 2.2) and late fusion" in told


def test_the_page_of_results_is_a_page_with_dashes_where_nothing_was_run(pages, made):
    text = pages.page(made)
    tree = publish_doctree(text, settings_overrides={"halt_level": 2}).astext()
    assert "Unimodal losses: +20.0 points on average over 1 set, " in tree
    assert "a gain on ROSMAP" in tree and "Not run yet." in tree
    section = pages.section(made, ["OGM-GE"])
    publish_doctree(section, settings_overrides={"halt_level": 2})
    assert "ROSMAP    79.5      +19.5 ± 5.5  -0.5 ± 1.0   -0.5 ± 1.0" in section
    assert "better than joint on ROSMAP" in " ".join(section.split())
    assert pages.section(made, ["AGM"]) == "It has not been measured by this protocol yet."


def test_what_is_said_of_the_methods_of_others_names_sets_and_half_a_gain(pages, made):
    def told():
        return pages.others_sentence(made, ["ROSMAP", "leaves"])

    assert "(OGM-GE on ROSMAP). Better than both: none. Worse than one of the two: none" in told()
    made.update({("leaves", row): value for (_, row), value in list(made.items())})
    made["leaves", "MMPareto"] = result(90, 90)
    said = told()
    assert "(OGM-GE on all 2 sets. MMPareto on leaves). Better" in said
    assert (
        "Worse than one of the two: MMPareto on leaves. Better than one of the two only: no" in said
    )
    made["ROSMAP", "OGM-GE"] = result(10, 10)
    assert "Better than both: OGM-GE on ROSMAP. Worse" in told()
    made["ROSMAP", "late fusion"] = result(90, 90)
    made["ROSMAP", "OGM-GE"] = result(41, 41)
    assert "two only: OGM-GE than late fusion on ROSMAP. No other" in told()


def test_windows_and_fusions_name_what_is_clear_among_all_of_their_differences(pages, made):
    made["ROSMAP", "OGM-GE, window"] = result(5, 5)
    made["ROSMAP", "OGM-GE, outside"] = result(37, 38)
    told = pages.and_clear_ones(*pages.windows(made))[-2]
    assert told.startswith("Clear of these 2 differences together (Holm, 5 %): OGM-GE on ROSMAP, ")
    assert "window less whole (+18.0 ± 5.4); OGM-GE on ROSMAP, window less outside (+16.2 ±" in told
    made.update({("ROSMAP", "joint, sum"): result(60), ("ROSMAP", "InfoReg, sum"): result(58)})
    # Two of 200 are no clear difference; InfoReg* and joint* of the fixture are equal.
    assert (
        pages.and_clear_ones(*pages.fusions(made))[-2]
        == "Clear of these 2 differences together (Holm, 5 %): none."
    )
    assert pages.and_clear_ones(*pages.fusions({})) == ["Not run yet.", ""]


def test_what_regulation_brings_to_other_encoders_is_told_by_set(pages, made):
    assert pages.encoders_sentence(made) == (
        "Encoders of sequences and images have not been measured yet."
    )
    made["av digits, cnn", "about"] = made["ROSMAP", "about"]
    for row in ("joint", "joint*"):
        made["av digits, cnn", row] = made["ROSMAP", row]
    told = pages.encoders_sentence(made)
    assert told.endswith("comparison. Unimodal losses: +20.0 ± 5.6 on av digits, cnn.")


def test_a_block_is_put_between_its_lines_and_nowhere_else(pages):
    text = f"before\n\n{pages.BEGIN}\n\nold\n\n{pages.END}\n\nafter\n"
    assert pages.with_block(text, "new\n") == text.replace("old", "new")
    with pytest.raises(ValueError, match="lacks the lines"):
        pages.with_block("no such lines", "new")


@pytest.mark.slow
def test_no_cell_of_the_committed_pages_is_written_by_hand(pages):
    reproduce = importlib.import_module("reproduce")
    done = reproduce.results()

    def cells(text):  # without date and versions
        return [line for line in text.splitlines() if not line.startswith("Made by ")]

    assert cells((BENCHMARKS / "RESULTS.rst").read_text()) == cells(pages.page(done))
    expect = pages.EXPECT.read_text()
    assert pages.with_block(expect, pages.expected(done)) == expect
    for name, rows in pages.PAGES.items():
        text = (pages.DOCS / "methods" / f"{name}.rst").read_text()
        assert pages.with_section(text, pages.section(done, rows)) == text


def test_a_setting_is_chosen_by_the_mean_of_neighboring_epochs(pages):
    reproduce = importlib.import_module("reproduce")
    peak = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.6, 0.6, 0.6, 0.6, 0.6]
    assert reproduce.smoothed(peak)[3] == pytest.approx(0.2)
    assert reproduce.smoothed(peak)[-1] == pytest.approx(0.6)
    assert reproduce.smoothed(peak).argmax() == 8


def test_a_run_goes_on_where_it_stopped_and_past_what_fails(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    reproduce = importlib.import_module("reproduce")
    path, asked = tmp_path / "results.jsonl", []
    rows, broken = ["majority", "joint", "InfoReg"], {"joint"}

    def measure(name, row):
        asked.append(row)
        if row in broken:
            raise FloatingPointError(row)
        return result(10)

    monkeypatch.setattr(reproduce, "measure", measure)
    monkeypatch.setattr(reproduce, "about", lambda name: {"n_test": N_TEST})
    with pytest.raises(SystemExit, match="1 of 3 failed"):
        reproduce.run(path, ["ROSMAP"], rows, 1)
    assert asked == rows and ("ROSMAP", "joint") not in reproduce.results(path)
    broken.clear()
    reproduce.run(path, ["ROSMAP"], rows, 1)
    assert asked == [*rows, "joint"]
    found = reproduce.results(path)
    assert found["ROSMAP", "about"] == {"n_test": N_TEST}
    assert {row for _, row in found} == {*rows, "about"} and len(path.read_text().split("\n")) == 5


def test_what_is_chosen_on_one_half_of_a_leaky_set_is_scored_on_the_other(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    reproduce = importlib.import_module("reproduce")
    y, test = np.tile([0, 1], 60), np.arange(40, 120)
    monkeypatch.setattr(reproduce, "load", lambda n: ({}, y, None, np.arange(40), test))
    monkeypatch.setattr(reproduce, "recordings", lambda n: np.arange(120) // 10)
    rng = np.random.default_rng(0)
    X = ModalityDict({"a": y[:, None] + rng.normal(size=(120, 3)), "b": rng.normal(size=(120, 2))})
    monkeypatch.setattr(reproduce, "EPOCH_GRID", (1, 4))
    grid = reproduce.GRIDS["joint"]
    (pieces,), (told,), _ = reproduce.pieces_of("CMU-MOSI", "joint", grid, X, [0])
    halves = [set(rows) for _, rows in pieces]
    assert halves[0] | halves[1] == set(test) and not halves[0] & halves[1]
    assert not {i // 10 for i in halves[0]} & {i // 10 for i in halves[1]}
    for (model, scored), choice in zip(pieces, told, strict=True):
        seen = np.setdiff1d(test, scored)  # the half by which it was chosen
        tried = [
            MultimodalClassifier(lr=g["lr"], max_epochs=e, random_state=0).fit(X[:40], y[:40])
            for g in grid
            for e in (1, 4)
        ]
        best = max(one.score(X[seen], y[seen]) for one in tried)
        assert model.score(X[seen], y[seen]) == pytest.approx(best)
        assert (choice["lr"], choice["epochs"]) == (model.lr, model.max_epochs)


def test_whole_groups_are_held_out_others_for_other_seeds(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    reproduce = importlib.import_module("reproduce")
    groups, y = np.repeat(np.arange(5), 8), np.tile([0, 1], 20)
    found = set()
    for seed in range(4):
        split = reproduce.held_out(seed, y, groups)["train_split"]
        fit, choose = split(np.arange(40))
        apart = set(groups[choose.indices])
        assert len(apart) == 1 and not apart & set(groups[fit.indices])
        assert len(fit) + len(choose) == 40
        found |= apart
    assert len(found) > 1
