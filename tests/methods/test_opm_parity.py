"""OPM against the rules of its slow statement, and wrong ones that show.

The statement takes the ratio of the very batch, before anything is dropped from it; the method that
of the batch before, over samples that still have both modalities. So the loop here is its own, with
the statement's rules of the rate and of what is kept. And where all samples of a batch lose a
modality, its encoder rests, with no gradient instead of one of 0, as everywhere in the package.
"""

import math

import numpy as np
import pytest
import torch
from peer_networks import THREE, TWO
from peer_parity import EPOCHS, SGD, fit_fast
from peers import base, opm

from inforeg_sk import OPM
from inforeg_sk.training.random import draw_seeds

Q, ALPHA = 0.8, 3.0
# For pairs of modalities the smallest of the others is their mean.
APART = {"smallest of the others"}


def ratios(score, kept, wrong):
    """rho_m: one over the mean of s_j / s_m, each over the samples that keep both."""
    out = {}
    for m in score:
        shares = []
        for j in score:
            both = [i for i in range(len(kept[m])) if kept[m][i] and kept[j][i]]
            if j != m and both:
                pair = {k: math.fsum(score[k][i] for i in both) for k in (m, j)}
                shares.append(1.0 / opm.ratios(pair, wrong)[m])
        out[m] = len(shares) / math.fsum(shares) if shares else 1.0
    return out


def train(network, X, y, batches, wrong=None):
    generator = torch.Generator().manual_seed(draw_seeds(0).method)
    state = {"ratio": dict.fromkeys(base.modalities(network), 1.0)}

    def step(network, x, target, record):
        names, n = base.modalities(network), len(target)
        rates = {m: opm.rate(state["ratio"][m], Q, ALPHA, wrong) for m in names}
        kept = {m: [True] * n for m in names}
        if any(rates.values()):
            shape = (n, len(names))
            draws = torch.rand(shape, generator=generator, dtype=torch.float64)
            kept = opm.kept_of(rates, draws.tolist(), wrong)
        z = base.features(network, x)
        masked = {}
        for m in names:
            mask = torch.tensor(kept[m], dtype=torch.float64)[:, None]
            masked[m] = z[m] * mask
            if wrong == "features scaled up":
                masked[m] = masked[m] / (1.0 - rates[m])
            if wrong == "gradient dropped only":
                masked[m] = masked[m] + (1.0 - mask) * z[m].detach()
        losses = base.sample_losses(base.joint_logits(network, masked), target)
        rows = range(n)
        if wrong == "dropped samples leave the loss":
            rows = [i for i in rows if all(kept[m][i] for m in names)] or rows
        loss = sum(losses[i] for i in rows) / len(rows)
        logits = base.unimodal_logits(network, masked)
        score = {m: base.true_class_probabilities(logits[m], target) for m in names}
        state["ratio"] = ratios(score, kept, wrong)
        record("rate", rates)
        grads = base.gradients(loss, base.trained(network))
        for m in names:
            if not any(kept[m]):
                grads.update(dict.fromkeys(base.names_of(network, network.encoders[m])))
        return loss.item(), grads

    return base.run(network, X, y, batches, **SGD, active_epochs=None, step=step)


@pytest.mark.parametrize("names", [TWO, THREE], ids=len)
@pytest.mark.parametrize("fusion", ["concat", "mlp"])
def test_it_is_the_slow_loop(names, fusion):
    fast, slow = fit_fast(OPM(Q, ALPHA), names, fusion=fusion)
    expected = train(*slow)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    rates = base.by_epoch(expected, "rate")
    for m in names:
        np.testing.assert_allclose(fast.curves_["drop_rate"][m], rates[m], rtol=1e-8, atol=1e-12)
    assert max(map(max, rates.values())) > 0.3
    assert len(fast.history) == EPOCHS


def test_every_wrong_rule_shows():
    fast, slow = fit_fast(OPM(Q, ALPHA), THREE)
    parameters = dict(fast.module_.named_parameters())
    hidden = {w for w in opm.WRONG if base.disagreement(parameters, train(*slow, w)) < 1e-6}
    assert hidden == APART
