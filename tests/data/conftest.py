"""Fixtures of data: whole, partial (and a classifier of it), and arrays to make tables of."""

import numpy as np
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


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"lab": rng.normal(size=(24, 4)), "scan": rng.normal(size=(24, 3))}


@pytest.fixture
def y():
    return np.arange(24) % 2
