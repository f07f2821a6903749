"""Figures are drawn without windows and closed again, in tests and in examples of docstrings."""

import importlib.util
import os
import sys

import pytest

os.environ["MPLBACKEND"] = "Agg"
if importlib.util.find_spec("matplotlib") is None:  # the extra `plot`
    collect_ignore_glob = ["inforeg_sk/inspection/*", "tests/inspection/*"]


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
