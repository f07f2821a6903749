"""scikit-learn's own tests of its searches, with ours in their place.

Its estimators are not of this library, so that our searches have scikit-learn's code train them.
Each test is therefore run a second time, told that they are: then they are trained beforehand, too.
None is left out. (Those of successive halving, of grids and of samplers test scikit-learn's own.)
"""

import pytest
from sklearns_own import load

from inforeg_sk.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    pairs,
    search,
)

OURS = {"GridSearchCV": BatchedGridSearchCV, "RandomizedSearchCV": BatchedRandomizedSearchCV}
globals().update(load("test_search", OURS))


@pytest.fixture(autouse=True, params=["by scikit-learn", "beforehand"])
def trained(request, monkeypatch):
    if request.param == "beforehand":
        monkeypatch.setattr(search, "why_not_ours", lambda estimator: None)
        monkeypatch.setattr(pairs, "why_not_ours", lambda estimator: None)
