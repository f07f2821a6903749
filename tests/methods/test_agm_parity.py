"""AGM against its slow statement: weights and curves of ten epochs, and wrong rules that show."""

import numpy as np
import pytest
from peer_networks import THREE, TWO
from peer_parity import SGD, Normed, fit_fast
from peers import agm, base

from inforeg_sk import AGM

SETTINGS = {"alpha": 1.5, "cap": 0.01, "clip": 0.1}


@pytest.mark.parametrize("names", [TWO, THREE], ids=len)
@pytest.mark.parametrize("fusion", ["concat", "mlp"])
@pytest.mark.parametrize("zero", ["features", "inputs"])
@pytest.mark.parametrize("prior", [False, True])
def test_it_is_the_slow_statement(names, fusion, zero, prior):
    method = AGM(**SETTINGS, zero=zero)
    fast, slow = fit_fast(method, names, fusion=fusion, prior_offset=prior)
    if prior:  # set when training begins
        slow[0].set_log_prior(fast.module_.log_prior)
    expected = agm.train(*slow, **SGD, **SETTINGS, zeroed=zero)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    for ours, theirs in (("modulation", "coefficient"), ("response_loss", "score")):
        curves = base.by_epoch(expected, theirs)
        for m in names:
            np.testing.assert_allclose(fast.curves_[ours][m], curves[m], rtol=1e-8)
    last = expected.records["running"][-1][-1]
    got = dict(zip(names, fast.method_.running_losses_.tolist(), strict=True))
    assert got == pytest.approx(last, rel=1e-8)


def test_with_batch_norm_it_is_the_slow_statement_buffers_included():
    fast, slow = fit_fast(AGM(**SETTINGS, zero="inputs"), THREE, encoders=Normed)
    expected = agm.train(*slow, **SGD, **SETTINGS, zeroed="inputs")
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    for name, value in expected.network.named_buffers():
        got = dict(fast.module_.named_buffers())[name]
        np.testing.assert_allclose(got.numpy(), value.numpy(), rtol=1e-8, atol=1e-12)


def test_every_wrong_rule_shows():
    fast, slow = fit_fast(AGM(**SETTINGS, zero="inputs"), THREE, epochs=5)
    parameters = dict(fast.module_.named_parameters())
    hidden = [
        w
        for w in agm.WRONG
        if base.disagreement(parameters, agm.train(*slow, **SGD, **SETTINGS, wrong=w)) < 1e-6
    ]
    assert not hidden
