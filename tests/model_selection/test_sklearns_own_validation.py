"""scikit-learn's own tests of `cross_validate`, with `cross_validate_batched` in its place.

Twice, as in ``test_sklearns_own.py``.
"""

import pytest
from sklearns_own import load

from inforeg_sk.model_selection import cross_validate_batched, pairs, validation

EXCLUDED = {
    "test_cross_validate_many_jobs": "ours has no n_jobs: the fits are made at once",
    "test_cross_validate_return_indices": "it gives n_jobs; test_validation.py tests the indices",
    "test_validation_functions_routing": "it looks for the name of the function that scores, which "
    "is scikit-learn's; test_validation.py tests routing",
}
TESTS = load("test_validation", {"cross_validate": cross_validate_batched}, "cross_validate(")
globals().update((name, test) for name, test in TESTS.items() if name not in EXCLUDED)


@pytest.fixture(autouse=True, params=["by scikit-learn", "beforehand"])
def trained(request, monkeypatch):
    if request.param == "beforehand":
        monkeypatch.setattr(validation, "why_not_ours", lambda estimator: None)
        monkeypatch.setattr(pairs, "why_not_ours", lambda estimator: None)
