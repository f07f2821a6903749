"""Fixtures for missing modalities: whole and partial data, and a classifier of the latter."""

import pytest
from missing import blank, draw_present, make, make_complete


@pytest.fixture
def complete():
    return make_complete()


@pytest.fixture
def partial():
    X, y = make_complete()
    return blank(X, draw_present()), y


@pytest.fixture(scope="module")
def fitted():
    X, y = make_complete()
    X = blank(X, draw_present())
    return make().fit(X, y), X, y
