"""What comparisons with the slow statements of the peer methods share."""

import copy

import numpy as np
import torch
from peer_networks import make_data
from skorch.callbacks import Callback
from torch import nn

from inforeg_sk import MultimodalClassifier

EPOCHS, BATCH = 10, 8
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


class Normed(nn.Sequential):
    """An encoder with batch normalization."""

    def __init__(self, input_shape):
        layers = [nn.Linear(input_shape[0], 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 4)]
        super().__init__(*layers)


class KeepStart(Callback):
    """Keeps the network before training."""

    def on_train_begin(self, net, **kwargs):
        self.network = copy.deepcopy(net.module_)


def fit_fast(method, names, epochs=EPOCHS, *, cls=MultimodalClassifier, n=24, y=None, **settings):
    """Fit in the order given; to another target where there is a `y`.

    Returns
    -------
    estimator : MultimodalClassifier, or `cls`
    slow : tuple
        Network before training, data and batches, as the slow statements take them.
    """
    X, labels = make_data(names, n=n)
    y = labels if y is None else y
    keep = KeepStart()
    estimator = cls(
        method,
        **{
            **({} if "encoders" in settings else {"encoders__hidden": (6, 4)}),
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": SGD["momentum"],
            "optimizer__weight_decay": SGD["weight_decay"],
            "lr": SGD["lr"],
            "max_epochs": epochs,
            "batch_size": BATCH,
            "dtype": "float64",
            "device": "cpu",
            "random_state": 0,
            "iterator_train__shuffle": False,
            "standardize": False,
            "callbacks": [keep],
            **settings,
        },
    ).fit(X, y)
    if keep.network.log_prior is not None:  # fixed after that
        keep.network.set_log_prior(estimator.module_.log_prior)
    size = estimator.batch_size
    order = [np.arange(i, min(i + size, len(y))) for i in range(0, len(y), size)]
    return estimator, (keep.network, X, y, [order] * epochs)


def assert_same_training(fast, slow, rtol=1e-8):
    """All weights, and the loss of every epoch."""
    parameters = dict(fast.module_.named_parameters())
    assert set(parameters) == set(slow.weights)
    for name, expected in slow.weights.items():
        got = parameters[name].detach()
        torch.testing.assert_close(got, expected, rtol=rtol, atol=rtol * 1e-2, msg=name)
    for epoch, losses in enumerate(slow.records["loss"]):
        sizes = [row["train_batch_size"] for row in fast.history[epoch]["batches"]]
        expected = np.average(losses, weights=sizes)
        np.testing.assert_allclose(fast.history[epoch, "train_objective"], expected, rtol=rtol)
