"""DGL against its slow statement."""

import numpy as np
import pytest
from peer_networks import THREE, TWO
from peer_parity import SGD, assert_same_training, fit_fast
from peers import dgl

from inforeg_sk import DGL, MultimodalRegressor

# A norm that clips in some batches.
METHOD, SLOW = DGL(strength=4.0, max_norm=1.5), {**SGD, "weight": 4.0, "max_norm": 1.5}


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("fusion", ["concat", "sum", "mlp"])
@pytest.mark.parametrize("prior_offset", [False, True])
def test_it_is_the_slow_statement(names, fusion, prior_offset):
    fast, slow = fit_fast(METHOD, names, fusion=fusion, prior_offset=prior_offset, n=28)
    expected = dgl.train(*slow, **SLOW)
    norms = np.concatenate(expected.records["norm"])
    assert 0 < (norms > 1.5).sum() < norms.size  # else one of the two is not compared
    assert_same_training(fast, expected)


@pytest.fixture(scope="module")
def fitted():
    return fit_fast(METHOD, THREE)


@pytest.mark.parametrize("wrong", dgl.WRONG)
def test_every_wrong_rule_shows(wrong, fitted):
    fast, slow = fitted
    with pytest.raises(AssertionError):
        assert_same_training(fast, dgl.train(*slow, **SLOW, wrong=wrong))


def test_it_is_the_slow_statement_in_regression():
    y = np.random.default_rng(0).normal(size=24) + np.arange(24) % 3
    fast, (network, X, _, batches) = fit_fast(METHOD, TWO, cls=MultimodalRegressor, y=y)
    encoded = (y - np.asarray(fast.target_.mean)) / np.asarray(fast.target_.scale)
    assert_same_training(fast, dgl.train(network, X, encoded, batches, **SLOW))
