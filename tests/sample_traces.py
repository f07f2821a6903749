"""Fits that measure Fisher traces of single samples, and the same traces by hand."""

import numpy as np
import torch
from torch.nn import functional as F

from inforeg_sk import MultimodalClassifier

SETTINGS = {"max_epochs": 2, "random_state": 0, "dtype": "float64", "standardize": False}


def fit(X, y, method="joint", kind=MultimodalClassifier, **settings):
    settings = {"fisher": "sample", "fisher_samples": None, **SETTINGS, **settings}
    return kind(method, **settings).fit(X, y)


def traces_by_hand(clf, X, target, unimodal=0.0, joint=1.0, weight=None, loss=F.cross_entropy):
    """Mean over the samples that have a modality of the squared norm of each one's gradient.

    One forward and one backward pass a sample, with the weights that the fit ended with. `joint`
    and `unimodal` (a number, or a dict by modality) multiply the losses; `weight` is that of the
    samples in the mean.
    """
    network = clf.module_.eval()
    parameters = {
        m: [p for p in e.parameters() if p.requires_grad] for m, e in clf.encoders_.items()
    }
    unimodal = unimodal if isinstance(unimodal, dict) else dict.fromkeys(X, unimodal)
    target = torch.as_tensor(target)
    squares, weights = {m: [] for m in X}, {m: [] for m in X}
    for i in range(len(target)):
        has = [m for m in X if not np.isnan(X[m][i]).all()]
        features = {
            m: e(torch.from_numpy(np.array(X[m][i : i + 1])))
            if m in has
            else torch.zeros(1, network.widths[m], dtype=torch.float64)
            for m, e in network.encoders.items()
        }
        total = joint * loss(network.head(network.fusion(features)), target[i : i + 1])
        logits = network.unimodal_logits(features)
        for m in has:
            total = total + unimodal.get(m, 0) * loss(logits[m], target[i : i + 1])
        for m in has:
            if not parameters[m]:
                continue
            g = torch.autograd.grad(total, parameters[m], retain_graph=True, allow_unused=True)
            squares[m].append(sum(t.square().sum().item() for t in g if t is not None))
            weights[m].append(1.0 if weight is None else weight[i])
    return {m: np.average(s, weights=weights[m]) if s else 0.0 for m, s in squares.items()}


def assert_by_hand(clf, X, y, rtol=1e-10, **settings):
    target = np.unique(y, return_inverse=True)[1] if hasattr(clf, "classes_") else y
    expected = traces_by_hand(clf, X, target, **settings)
    for m in X:
        np.testing.assert_allclose(clf.curves_["fisher_trace"][m][-1], expected[m], rtol=rtol)


def images(n_samples=20):
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % 2
    X = {
        "a": rng.normal(size=(n_samples, 1, 12, 10)),
        "v": rng.normal(size=(n_samples, 2, 3, 8, 9)),
    }
    return {m: x + y.reshape(-1, *[1] * (x.ndim - 1)) for m, x in X.items()}, y
