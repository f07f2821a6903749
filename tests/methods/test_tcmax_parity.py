"""TCMax against its slow statement, by brute force over all re-pairings."""

import pytest
from peer_fits import assert_same, fit_both
from peer_networks import THREE, TWO
from peers import tcmax

from inforeg_sk import TCMax


def both(names, size=6, **kwargs):
    return fit_both(TCMax(), tcmax, names, n=14, size=size, **kwargs)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("prior_offset", [False, True])
def test_equals_the_slow_statement(names, prior_offset):
    assert_same(*both(names, prior_offset=prior_offset))


@pytest.mark.parametrize("wrong", tcmax.WRONG)
def test_every_planted_wrong_rule_shows(wrong):
    with pytest.raises(AssertionError):
        assert_same(*both(THREE, wrong=wrong, size=4))
