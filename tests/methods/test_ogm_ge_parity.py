"""OGM-GE against its slow statement: weights and curves, and wrong rules that show."""

import numpy as np
import pytest
import torch
from peer_networks import THREE, TWO
from peer_parity import EPOCHS, SGD, fit_fast
from peers import base, ogm_ge

from inforeg_sk import OGMGE
from inforeg_sk.training.random import draw_seeds


def normal():
    generator = torch.Generator().manual_seed(draw_seeds(0).method)
    return lambda g: torch.empty_like(g).normal_(generator=generator)


def compare(names, fusion, noise, epochs=EPOCHS):
    method = OGMGE(alpha=0.5, noise=noise)
    fast, slow = fit_fast(method, names, epochs, fusion=fusion)

    def state(wrong):
        draw = normal() if noise else None
        return ogm_ge.train(*slow, **SGD, alpha=0.5, draw=draw, wrong=wrong)

    return fast, state


@pytest.mark.parametrize("names", [TWO, THREE], ids=len)
@pytest.mark.parametrize("fusion", ["concat", "mlp"])
@pytest.mark.parametrize("noise", [False, True])
def test_it_is_the_slow_statement(names, fusion, noise):
    fast, state = compare(names, fusion, noise)
    expected = state(None)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    factors = base.by_epoch(expected, "factor")
    for m in names:
        np.testing.assert_allclose(fast.curves_["modulation"][m], factors[m], rtol=1e-8)
    assert min(map(min, factors.values())) < 1


def test_every_wrong_rule_shows():
    fast, state = compare(THREE, "concat", True, epochs=3)
    parameters = dict(fast.module_.named_parameters())
    hidden = [w for w in ogm_ge.WRONG if base.disagreement(parameters, state(w)) < 1e-6]
    assert not hidden
