"""TCMax against its slow statement, by brute force over all re-pairings."""

import pytest
from peer_networks import THREE, TWO
from peer_parity import SGD, assert_same_training, fit_fast
from peers import tcmax

from inforeg_sk import TCMax


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("prior_offset", [False, True])
def test_it_is_the_slow_statement(names, prior_offset):
    fast, slow = fit_fast(TCMax(), names, n=14, batch_size=6, prior_offset=prior_offset)
    assert_same_training(fast, tcmax.train(*slow, **SGD))


@pytest.fixture(scope="module")
def fitted():
    return fit_fast(TCMax(), THREE, n=14, batch_size=4)


@pytest.mark.parametrize("wrong", tcmax.WRONG)
def test_every_wrong_rule_shows(wrong, fitted):
    fast, slow = fitted
    with pytest.raises(AssertionError):
        assert_same_training(fast, tcmax.train(*slow, **SGD, wrong=wrong))
