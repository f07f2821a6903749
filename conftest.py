"""Figures are drawn without windows and closed again, in tests and in examples of docstrings."""

import importlib.util
import os
import sys

import pytest

os.environ["MPLBACKEND"] = "Agg"
# Examples and tests of what the extras are needed for.
NEEDS = {
    "matplotlib": ["inforeg_sk/inspection/*", "tests/inspection/*"],
    "librosa": ["inforeg_sk/features/_*.py"],
    "soundfile": ["inforeg_sk/features/_*.py"],
    "PIL": ["inforeg_sk/features/video.py"],
}
collect_ignore_glob = [
    pattern
    for module, patterns in NEEDS.items()
    if importlib.util.find_spec(module) is None
    for pattern in patterns
]


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
