"""DGL against its slow statement."""

import numpy as np
import pytest
from peer_fits import SGD, assert_same, fit, fit_both, in_order
from peer_networks import THREE, TWO, make_data
from peers import dgl

from inforeg_sk import DGL, MultimodalRegressor

# A norm that clips in some batches.
SETTINGS, SLOW = {"strength": 4.0, "max_norm": 1.5}, {"weight": 4.0, "max_norm": 1.5}


def both(names, fusion="concat", **kwargs):
    return fit_both(DGL(**SETTINGS), dgl, names, fusion=fusion, slow=SLOW, **kwargs)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("fusion", ["concat", "sum", "mlp"])
@pytest.mark.parametrize("prior_offset", [False, True])
def test_equals_the_slow_statement(names, fusion, prior_offset):
    fast, slow = both(names, fusion, prior_offset=prior_offset)
    norms = np.concatenate(slow.records["norm"])
    assert 0 < (norms > 1.5).sum() < norms.size  # else one of the two is not compared
    assert_same(fast, slow)


@pytest.mark.parametrize("wrong", dgl.WRONG)
def test_every_planted_wrong_rule_shows(wrong):
    with pytest.raises(AssertionError):
        assert_same(*both(THREE, wrong=wrong))


def test_equals_the_slow_statement_in_regression():
    X, y = make_data(TWO, n=28)
    y = np.random.default_rng(0).normal(size=28) + y
    fast, network = fit(DGL(**SETTINGS), X, y, cls=MultimodalRegressor)
    target = fast.target_
    encoded = (y - np.asarray(target.mean)) / np.asarray(target.scale)
    assert_same(fast, dgl.train(network, X, encoded, in_order(28), **SGD, **SLOW))
