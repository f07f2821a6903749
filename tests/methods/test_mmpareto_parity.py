"""MMPareto against its slow statement: weights and curves, and wrong rules that show."""

import numpy as np
import pytest
from peer_networks import THREE, TWO
from peer_parity import SGD, fit_fast
from peers import base, mmpareto

from inforeg_sk import MMPareto


@pytest.mark.parametrize("names", [TWO, THREE], ids=len)
@pytest.mark.parametrize(
    ("fusion", "settings"),
    [
        ("concat", {}),
        ("mlp", {}),
        ("sum", {"rescale": "encoder", "gamma": 0.8}),
        ("concat", {"pareto": False}),
    ],
)
def test_it_is_the_slow_statement(names, fusion, settings):
    fast, slow = fit_fast(MMPareto(**settings), names, fusion=fusion)
    expected = mmpareto.train(*slow, **SGD, **settings)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    for ours, theirs in (("cosine", "cosine"), ("joint_weight", "weight_joint")):
        curves = base.by_epoch(expected, theirs)
        for m in names:
            np.testing.assert_allclose(fast.curves_[ours][m], curves[m], rtol=1e-7, atol=1e-9)


def test_every_wrong_rule_shows():
    fast, slow = fit_fast(MMPareto(), THREE, epochs=4)
    parameters = dict(fast.module_.named_parameters())
    hidden = [
        w
        for w in mmpareto.WRONG
        if base.disagreement(parameters, mmpareto.train(*slow, **SGD, wrong=w)) < 1e-6
    ]
    assert not hidden
