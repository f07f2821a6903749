"""Fixtures for all tests: small data, and the folder of the real data where there is one."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

# Failures of helpers say what was compared, as those of tests do.
pytest.register_assert_rewrite("bad_input", "entry_points", "recording_runs", "recordings")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def auto_is_the_cpu(request):
    """Where there is a GPU, only tests/test_gpu.py uses it: tests compare numbers of one device."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name != "test_gpu.py":  # a module's name depends on how pytest starts
            patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


def real_data(folder):
    """Path of a folder of the real data, or a skip that says where it was sought."""
    home = os.environ.get("INFOREG_SK_DATA")
    base = Path(home) if home else ROOT.parent / "shared" / "data"
    if not (base / folder).is_dir():
        pytest.skip(f"real data not found: no {folder} in $INFOREG_SK_DATA or ../shared/data")
    return base / folder


@pytest.fixture(scope="session")
def mosi_home():
    """The folder with the CMU-MOSI csv files."""
    return real_data("cmu_mosi")


@pytest.fixture(scope="session")
def fsdd_home():
    """The folder with the recordings of spoken digits."""
    return real_data("fsdd")


@pytest.fixture(scope="session")
def utd_mhad_home():
    """The folder with recordings of UTD-MHAD, prepared and as published."""
    return real_data("utd_mhad")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """One torch thread: faster at these sizes, and the same last bits everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def trimodal():
    """A dict of three modalities (one a sequence) and string labels of three classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    X = {
        "text": rng.normal(size=(90, 6)) + y[:, None],
        "audio": rng.normal(size=(90, 5, 4)) + 0.5 * y[:, None, None],
        "video": rng.normal(size=(90, 3)) - 0.3 * y[:, None],
    }
    return X, np.array(["anger", "joy", "fear"])[y]
