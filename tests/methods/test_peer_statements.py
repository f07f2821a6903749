"""The slow statements of the peer methods against numbers by hand, and their planted wrong rules."""

from functools import cache
from math import exp, log, log10, sqrt, tanh

import numpy as np
import pytest
import torch
from peers import base, dgl, mmpareto, ogm_ge, tcmax
from torch import nn

from inforeg_sk.network.network import build_network

WIDTHS = {"audio": 4, "text": 3, "video": 5}
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}


class Heads(dict):
    """Extra heads by modality, whose parameters the network names."""


def make_network(names=("audio", "text"), fusion="concat", heads=True, seed=0, prior=False):
    torch.manual_seed(seed)
    network = build_network(
        {m: (WIDTHS[m],) for m in names},
        3,
        encoders={m: encoder for m in names},
        fusion=fusion,
        dtype=torch.float64,
        prior_offset=prior,
    )
    if prior:
        network.set_log_prior(torch.tensor([0.5, 0.3, 0.2]).double().log())
    if heads:
        add_heads(network)
    return network


def encoder(input_shape):
    return nn.Sequential(nn.Linear(input_shape[0], 4), nn.Tanh(), nn.Linear(4, 3))


def add_heads(network):
    for m in network.encoders:
        network.add_module(f"unimodal_head_{m}", nn.Linear(3, 3).double())
    kind = type(network)
    if not hasattr(kind, "unimodal_heads"):
        network.__class__ = with_heads(kind)


@cache
def with_heads(kind):
    def unimodal_heads(self):
        return {m: getattr(self, f"unimodal_head_{m}") for m in self.encoders}

    return type(kind.__name__, (kind,), {"unimodal_heads": property(unimodal_heads)})


def make_data(names=("audio", "text"), n=24, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    strength = {"audio": 2.0, "text": 0.5, "video": 1.0}
    X = {m: rng.normal(size=(n, WIDTHS[m])) + strength[m] * (y[:, None] - 1) for m in names}
    return X, y


def make_batches(n=24, size=8, epochs=3):
    rng = np.random.default_rng(1)
    return [list(rng.permutation(n).reshape(-1, size)) for _ in range(epochs)]


def distance(first, second):
    return max(float((first.weights[k] - second.weights[k]).abs().max()) for k in first.weights)
