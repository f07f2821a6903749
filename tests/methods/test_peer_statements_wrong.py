"""Every planted wrong rule of the peer methods' statements changes what is trained."""

import numpy as np
import pytest
import torch
from peer_networks import THREE, TWO, distance, make_batches, make_data, make_network
from peers import agm, dgl, dr, g_blending, greedy, mmpareto, ogm_ge, opm, pmr, tcmax

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
N, FIT, HELD_OUT = 18, np.arange(12), np.arange(12, 18)


def normal():
    generator = torch.Generator().manual_seed(0)
    return lambda g: torch.empty_like(g).normal_(generator=generator)


def uniform():
    generator = torch.Generator().manual_seed(0)
    return lambda n, m: torch.rand((n, m), generator=generator, dtype=torch.float64)


def thirds(values, n_clusters, modality, part):
    """Clusters by where the first column is in its range."""
    return np.floor(np.asarray(values)[:, 0] * n_clusters)


def trials(names):
    heads = [*names, "joint"]
    return {t: {h: make_batches(FIT, 6, 1, t + i) for i, h in enumerate(heads)} for t in (0, 2)}


SETTINGS = {
    ogm_ge: lambda: {"alpha": 0.5, "draw": normal()},
    mmpareto: lambda: {},
    dgl: lambda: {"max_norm": 0.3},
    tcmax: lambda: {},
    pmr: lambda: {
        "prototype_rows": [np.arange(9), np.arange(18), np.arange(12), np.arange(18)],
        "alpha": 2.0,
        "mu": 0.5,
        "entropy_epochs": 2,
    },
    g_blending: lambda: {"trials": trials(THREE), "fit_rows": FIT, "held_out": HELD_OUT},
    agm: lambda: {"alpha": 1.5, "cap": 0.05, "clip": 0.2},
    dr: lambda: {"cluster": thirds, "fit_rows": FIT, "held_out": HELD_OUT, "every": 1},
    opm: lambda: {"draw": uniform(), "q": 0.8, "alpha": 3.0},
    greedy: lambda: {"alpha": 0.05, "Q": 2},
}
CASES = [(module, wrong) for module in SETTINGS for wrong in module.WRONG]
# Rules that change nothing but what is recorded, or that need losses no training has.
APART = {"constant missing", "constant for two modalities", "floor missing"}


def train(module, wrong=None, **kwargs):
    names = TWO if module is greedy else THREE
    network = {
        greedy: {"gates": True, "width": 3, "seed": 1},
        g_blending: {"norm": True},
    }.get(module, {})
    network = make_network(names, **network)
    X, y = make_data(names, n=N)
    if module in (pmr, opm):  # ratios far from 1
        X["audio"], X["text"] = 3 * X["audio"], 0.1 * X["text"]
        with torch.no_grad():
            network.encoders["audio"][-1].weight.mul_(4)
    if module is g_blending:  # one gets worse on what is held out
        X["video"][HELD_OUT] *= -1
    batches = make_batches(FIT if module in (g_blending, dr) else N, 6, epochs=3)
    return module.train(network, X, y, batches, wrong=wrong, **SETTINGS[module](), **SGD)


@pytest.fixture(scope="module")
def right():
    return {module: train(module) for module in SETTINGS}


@pytest.mark.parametrize(
    "module, wrong",
    [pytest.param(*case, id=f"{case[0].__name__}-{case[1]}") for case in CASES],
)
def test_a_wrong_rule_shows(module, wrong, right):
    if wrong in APART:
        shows = floor_shows if wrong == "floor missing" else constant_shows
        assert shows(module, wrong, right)
        return
    assert distance(train(module, wrong), right[module]) > 1e-6


def constant_shows(module, wrong, right):
    first, second = (r.records["loss"][0][0] for r in (train(module, wrong), right[module]))
    return abs(first - second) > 1e-3


def floor_shows(module, wrong, right):
    G, gap = {"a": 1.0, "joint": 1.0}, {"a": 1e-6, "joint": 1e-4}
    return g_blending.weights_from(G, gap) != g_blending.weights_from(G, gap, wrong)


@pytest.mark.parametrize("module", SETTINGS)
def test_two_trainings_are_the_same(module, right):
    assert distance(train(module), right[module]) == 0.0
