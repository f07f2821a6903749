"""Small networks, data and batches that the statements of the peer methods are tried on."""

import numpy as np
import torch
from torch import nn

from inforeg_sk.network import Concat
from inforeg_sk.network.network import MultimodalNetwork

WIDTHS = {"audio": 4, "text": 3, "video": 5}
STRENGTH = {"audio": 2.0, "text": 0.5, "video": 1.0}
FEATURES = {"audio": 4, "text": 3, "video": 2}
TWO, THREE = ("audio", "text"), ("audio", "text", "video")


class WithHeads(MultimodalNetwork):
    """With an extra head for each modality."""

    @property
    def unimodal_heads(self):
        return {m: getattr(self, f"unimodal_head_{m}") for m in self.modalities}


def make_network(
    names=TWO, fusion=Concat, seed=0, prior=False, gates=False, norm=False, width=None
):
    """Random, in float64; encoders of two layers, with batch normalization where `norm`.

    All features are of one width where it is given.
    """
    torch.manual_seed(seed)
    widths = {m: width or FEATURES[m] for m in names}
    encoders = {}
    for m in names:
        layers = [nn.Linear(WIDTHS[m], 4), nn.Tanh(), nn.Linear(4, widths[m])]
        if norm:
            layers.insert(1, nn.BatchNorm1d(4))
        encoders[m] = nn.Sequential(*layers)
    fuse = fusion(widths)
    fused = fuse({m: torch.zeros(1, widths[m]) for m in names}).shape[1]
    network = WithHeads(encoders, fuse, nn.Linear(fused, 3), widths, 3 if prior else 0)
    for m in names:
        network.add_module(f"unimodal_head_{m}", nn.Linear(widths[m], 3))
    if gates:
        total = sum(widths.values())
        fuse.squeeze = nn.Linear(total, total // 2)
        fuse.gates = nn.ModuleList(nn.Linear(total // 2, widths[m]) for m in names)
    network = network.double()
    if prior:
        network.set_log_prior(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log())
    return network


def make_data(names=TWO, n=24, seed=0):
    """Three classes, told best by the audio and worst by the text."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = {m: rng.normal(size=(n, WIDTHS[m])) + STRENGTH[m] * (y[:, None] - 1) for m in names}
    return X, y


def make_batches(rows=24, size=8, epochs=3, seed=1):
    """Batches of every epoch, shuffled; the last of an epoch may be smaller."""
    rng = np.random.default_rng(seed)
    rows = np.arange(rows) if isinstance(rows, int) else np.asarray(rows)
    out = []
    for _ in range(epochs):
        order = rng.permutation(rows)
        out.append([order[i : i + size] for i in range(0, len(order), size)])
    return out


def distance(first, second, but=()):
    """Largest difference of two results' weights, those whose names begin with `but` aside."""
    keys = [k for k in first.weights if not k.startswith(tuple(but))]
    return max(float((first.weights[k] - second.weights[k]).abs().max()) for k in keys)


def changes(network, result):
    """What training has added to each parameter."""
    return {k: result.weights[k] - p.detach() for k, p in network.named_parameters()}
