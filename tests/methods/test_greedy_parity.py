"""Greedy, feature-level adaptation, against its slow statement."""

import numpy as np
import pytest
import torch
from peer_networks import THREE, TWO
from peer_parity import SGD, assert_same_training, fit_fast
from peers import greedy

from inforeg_sk import Greedy

METHOD, SLOW = Greedy(threshold=0.05, n_rebalancing=3), {"alpha": 0.05, "Q": 3, "start": 1}
# One width for all features: a wrong rule needs it to run.
WIDTH = {"encoders__hidden": 4}


def parts(network):
    names = sorted(network.encoders)
    gates = dict(zip(names, network.fusion.gates, strict=True))
    heads = dict(zip(names, network.head.branches, strict=True))
    return greedy.Parts(network.fusion.squeeze, gates, heads)


def train(slow, wrong=None, **settings):
    return greedy.train(*slow, **SGD, parts=parts, wrong=wrong, **{**SLOW, **settings})


def assert_equal(fast, slow):
    assert_same_training(fast, slow)
    for m, mean in fast.module_.fusion.gate_means.items():
        expected = slow.records["gate_mean"][-1][-1][m]
        torch.testing.assert_close(mean, expected, rtol=1e-8, atol=1e-10)
    for epoch, modes in enumerate(slow.records["mode"]):
        for m, share in fast.curves_["rebalanced"].items():
            assert share[epoch] == pytest.approx(np.mean([mode == m for mode in modes]))
        usual = [v for v, mode in zip(slow.records["speed"][epoch], modes, strict=True) if not mode]
        for m, speed in fast.curves_["conditional_speed"].items():
            expected = np.mean([v[m] for v in usual]) if usual else np.nan
            np.testing.assert_allclose(speed[epoch], expected, rtol=1e-8)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("prior_offset", [False, True])
def test_it_is_the_slow_statement(names, prior_offset):
    fast, slow = fit_fast(METHOD, names, n=28, prior_offset=prior_offset, **WIDTH)
    expected = train(slow)
    modes = [mode for epoch in expected.records["mode"] for mode in epoch]
    assert 0 < sum(mode is not None for mode in modes) < len(modes)
    assert_equal(fast, expected)


def test_it_is_the_slow_statement_with_other_settings():
    method = Greedy(threshold=0.2, n_rebalancing=7, start_epoch=1)
    fast, slow = fit_fast(method, THREE, n=28, **WIDTH)
    assert_equal(fast, train(slow, alpha=0.2, Q=7, start=0))


@pytest.fixture(scope="module")
def fitted():
    return fit_fast(METHOD, THREE, n=28, **WIDTH)


@pytest.mark.parametrize("wrong", greedy.WRONG)
def test_every_wrong_rule_shows(wrong, fitted):
    fast, slow = fitted
    with pytest.raises(AssertionError):
        assert_equal(fast, train(slow, wrong))
