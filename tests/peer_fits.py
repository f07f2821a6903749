"""Fits by the package's own peer methods beside their slow statements, and how they compare."""

from copy import deepcopy

import numpy as np
import torch
from peer_networks import make_data

from inforeg_sk import MultimodalClassifier

EPOCHS, SIZE = 10, 8
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-2}


def fit(method, X, y, *, cls=MultimodalClassifier, size=SIZE, **settings):
    """A fit in the order given, and the network before it."""
    start = []

    class Spy(type(method)):
        def on_train_start(self, training):
            start.append(deepcopy(training.network))
            super().on_train_start(training)

    defaults = {
        "encoders__hidden": 4,
        "optimizer": torch.optim.SGD,
        "lr": SGD["lr"],
        "optimizer__momentum": SGD["momentum"],
        "optimizer__weight_decay": SGD["weight_decay"],
        "max_epochs": EPOCHS,
        "batch_size": size,
        "dtype": "float64",
        "device": "cpu",
        "random_state": 0,
        "iterator_train__shuffle": False,
        "standardize": False,
    }
    spy = Spy(**method.get_params(deep=False))
    return cls(spy, **{**defaults, **settings}).fit(X, y), start[0]


def in_order(n, size=SIZE, epochs=EPOCHS):
    """The batches of every epoch of such a fit."""
    return [[np.arange(i, min(i + size, n)) for i in range(0, n, size)]] * epochs


def fit_both(method, statement, names, *, n=28, size=SIZE, wrong=None, slow=None, **settings):
    """The same training by the package and by a slow statement, `slow` its settings."""
    X, y = make_data(names, n=n)
    fast, network = fit(method, X, y, size=size, **settings)
    batches = in_order(n, size)
    result = statement.train(network, X, y, batches, wrong=wrong, **SGD, **(slow or {}))
    return fast, result


def assert_same(fast, slow, rtol=1e-8):
    """All weights and buffers, and the loss of every epoch."""
    got = dict(fast.module_.named_parameters())
    assert set(got) == set(slow.weights)
    for name, expected in slow.weights.items():
        value = got[name].detach()
        torch.testing.assert_close(value, expected, rtol=rtol, atol=rtol * 1e-2, msg=name)
    for epoch, losses in enumerate(slow.records["loss"]):
        sizes = [row["train_batch_size"] for row in fast.history[epoch]["batches"]]
        expected = np.average(losses, weights=sizes)
        np.testing.assert_allclose(fast.history[epoch, "train_objective"], expected, rtol=rtol)
