"""The table of scikit-learn's entry points, as the marks of the files beside this one give it."""

import importlib.util
import inspect
from pathlib import Path

import pytest
import sklearn

HERE = Path(__file__).resolve()


def resolve(name):
    """The object of scikit-learn with this dotted name, such as ``Pipeline.set_output``."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["sklearn", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    return getattr(sklearn, name)


@pytest.fixture(scope="module")
def entries():
    """Marks of all tests of entry points."""
    found = []
    for path in sorted(set(HERE.parent.glob("test_sklearn_*.py")) - {HERE}):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for _, function in inspect.getmembers(module, inspect.isfunction):
            found += getattr(function, "entry_points", [])
    return found


@pytest.fixture(scope="module")
def working(entries):
    return {entry.key: entry for entry in entries if not entry.reason}


@pytest.fixture(scope="module")
def refused(entries):
    return {entry.key: entry for entry in entries if entry.reason}


def test_names_are_those_of_scikit_learn(entries, working, refused):
    assert len(entries) == len(working) + len(refused)  # none is there twice
    for entry in entries:
        assert callable(resolve(entry.name)), entry.name


def test_enough_entry_points(working, refused):
    # Variants of one entry point count once; those that get a table or no data do not count.
    names = {entry.name for entry in working.values() if entry.takes == "modalities"}
    assert len(names) >= 55
    # Nothing is on both lists, but for what one of its options or the other input makes of it.
    clash = {key for key in refused if key in working and working[key].takes != "table"}
    assert clash == set()
