"""The margins and calibration of the page beside the rivals, against hand computations."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from docutils.core import publish_doctree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import rivals  # noqa: E402


def right(bits):
    value = {"right": bits, "accuracy": 100 * bits.count("1") / len(bits)}
    return {**value, "log_loss": 0.5, "calibration": 0.1, "seconds": 1.0}


@pytest.fixture
def made(monkeypatch):
    """Results of one set: of ten test samples the pool has nine right, the best rival eight."""
    monkeypatch.setattr(rivals, "N_SPLITS", 2)
    monkeypatch.setattr(rivals, "SETS", {"wine": None, "XOR": None})
    done = {}
    for name in rivals.SETS:
        for k in range(2):
            for row in rivals.ROWS:
                done[name, k, row] = right("1" * 5 + "0" * 5)
            done[name, k, "joint"] = right("1" * 8 + "0" * 2)
            done[name, k, "pool"] = right("1" * 9 + "0")
    monkeypatch.setattr(rivals, "results", lambda: done)
    return done


def test_the_margin_in_hindsight_is_that_over_the_best_rival(made):
    hindsight, _, errors = rivals.margins(made, "wine", "pool", range(2))
    assert hindsight == pytest.approx([10, 10])
    # One of ten samples differs: standard deviation of (1, 0, ..., 0) over the root of 10.
    assert errors == pytest.approx([10.0, 10.0])
    mean, low, high = rivals.interval("wine", "pool", made, range(2))
    assert (mean, low, high) == pytest.approx((10, 10 - 19.6, 10 + 19.6))


def test_the_honest_margin_chooses_the_rival_on_other_samples(made):
    # Two rivals that share the samples: each is best on the half where the other fails.
    halves = [np.random.default_rng(k).permutation(10) % 2 == 0 for k in range(2)]
    for k, half in enumerate(halves):
        made["wine", k, "joint"] = right("".join("1" if h else "0" for h in half))
        made["wine", k, "joint*"] = right("".join("0" if h else "1" for h in half))
        made["wine", k, "pool"] = right("1" * 10)
        for row in rivals.OLD:
            if not row.startswith("joint"):
                made["wine", k, row] = right("0" * 10)
    hindsight, honest, _ = rivals.margins(made, "wine", "pool", range(2))
    assert hindsight == pytest.approx([50, 50])
    assert honest == pytest.approx([100, 100])


def test_calibration_error_of_bins():
    # Two bins: .6 said and half right; .9 said and all right.
    confidence, right = np.repeat([0.6, 0.9], 10), np.r_[np.tile([1, 0], 5), np.ones(10)]
    assert rivals.calibration_error(confidence, right, n_bins=2) == pytest.approx(0.1)


def test_the_page_is_a_page(made):
    text = rivals.page()
    tree = publish_doctree(text, settings_overrides={"halt_level": 2}).astext()
    assert "Margins over the old rivals" in tree and "pool, thorough" in tree
    # Of the one real set: its accuracy, and the margin worked out above.
    assert re.search(r"^pool +90\.0 +\+10\.0 ", text, re.MULTILINE)
    assert re.search(r"^joint +80\.0 +\+30\.0 ", text, re.MULTILINE)


def test_the_guide_has_the_numbers_of_the_page():
    page = (ROOT / "benchmarks" / "RIVALS.rst").read_text()
    table = page.partition("Means over the 12 real sets")[2]
    guide = (ROOT / "docs" / "guide" / "network_or_pool.rst").read_text()
    for name, row in {"the pool": "pool", "``InfoReg*``, untuned": "InfoReg*"}.items():
        said = re.search(rf"^{re.escape(name)} +([+-].*)$", guide, re.MULTILINE)[1].split()
        _, *measured = re.search(rf"^{re.escape(row)} +(\d.*)$", table, re.MULTILINE)[1].split()
        assert said == measured
    of_the_pool = page.partition("**pool**")[2]
    for name in ("prokaryotic", "UTD-MHAD"):
        gain = re.search(rf"^{name} +(\S+) ", of_the_pool, re.MULTILINE)[1]
        assert f"{name} ({gain})" in guide
