"""scikit-learn's own tests, loaded with names of ours in place of its own."""

import importlib.util
import inspect
import sys

import pytest
from sklearn import model_selection


def load(name, replaced, about=""):
    """Tests of ``sklearn.model_selection.tests.<name>``, by name.

    Parameters
    ----------
    name : str
        The module of tests.
    replaced : dict of str to object
        What it is to import by these names of ``sklearn.model_selection``.
    about : str
        Text that the source of a test must have.
    """
    try:
        spec = importlib.util.find_spec(f"sklearn.model_selection.tests.{name}")
    except ImportError:
        spec = None
    if spec is None:
        pytest.skip("scikit-learn is installed without its tests", allow_module_level=True)
    # A name of its own, under which its classes can be pickled.
    spec = importlib.util.spec_from_file_location(f"sklearns_{name}", spec.origin)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    theirs = {key: getattr(model_selection, key) for key in replaced}
    try:
        for key, value in replaced.items():
            setattr(model_selection, key, value)
        spec.loader.exec_module(module)
    finally:
        for key, value in theirs.items():
            setattr(model_selection, key, value)
    tests = {key: value for key, value in vars(module).items() if key.startswith("test_")}
    return {key: test for key, test in tests.items() if about in inspect.getsource(test)}
