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


def fit_fast(method, names, epochs=EPOCHS, **settings):
    """Fit in the order given.

    Returns
    -------
    estimator : MultimodalClassifier
    slow : tuple
        Network before training, data and batches, as the slow statements take them.
    """
    X, y = make_data(names)
    keep = KeepStart()
    estimator = MultimodalClassifier(
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
    order = [np.arange(i, min(i + BATCH, len(y))) for i in range(0, len(y), BATCH)]
    return estimator, (keep.network, X, y, [order] * epochs)
