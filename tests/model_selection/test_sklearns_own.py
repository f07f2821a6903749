"""scikit-learn's own tests of its searches, with ours in their place.

Its estimators are not of this library, so that our searches have scikit-learn's code train them.
Each test is therefore run a second time, told that they are: then they are trained beforehand, too.
"""

import importlib.util
import sys

import pytest
from sklearn import model_selection

from inforeg_sk.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    pairs,
    search,
)

NAME = "sklearns_tests_of_searches"  # one of its own, so that its classes can be pickled


def load():
    """scikit-learn's module of tests, which imports our searches by the names of its own."""
    try:
        spec = importlib.util.find_spec("sklearn.model_selection.tests.test_search")
    except ImportError:
        spec = None
    if spec is None:
        return None
    theirs = model_selection.GridSearchCV, model_selection.RandomizedSearchCV
    spec = importlib.util.spec_from_file_location(NAME, spec.origin)
    module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    model_selection.GridSearchCV = BatchedGridSearchCV
    model_selection.RandomizedSearchCV = BatchedRandomizedSearchCV
    try:
        spec.loader.exec_module(module)
    finally:
        model_selection.GridSearchCV, model_selection.RandomizedSearchCV = theirs
    return module


MODULE = load()
if MODULE is None:
    pytest.skip("scikit-learn is installed without its tests", allow_module_level=True)
# None is left out. (Those of successive halving, and of grids and samplers, stay scikit-learn's.)
globals().update((name, test) for name, test in vars(MODULE).items() if name.startswith("test_"))


@pytest.fixture(autouse=True, params=["by scikit-learn", "beforehand"])
def trained(request, monkeypatch):
    if request.param == "beforehand":
        monkeypatch.setattr(search, "why_not_ours", lambda estimator: None)
        monkeypatch.setattr(pairs, "why_not_ours", lambda estimator: None)
