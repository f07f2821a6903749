"""Importing the parts that use the libraries of the extras does not import those libraries."""

import subprocess
import sys

import pytest

PARTS = [
    "inforeg_sk.features",
    "inforeg_sk.features.video",
    "inforeg_sk.inspection",
    "inforeg_sk.model_selection",
]


@pytest.fixture(scope="module")
def imported():
    """Names of all modules in a Python that has imported the parts and nothing else."""
    code = f"import sys, {', '.join(PARTS)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "library", ["librosa", "soundfile", "av", "PIL", "matplotlib", "dask", "distributed"]
)
def test_a_library_of_an_extra_is_not_imported(imported, library):
    assert set(PARTS) <= imported and library not in imported
