"""Small data and regressors."""

import numpy as np
from torch import nn

from inforeg_sk import MultimodalInfoRegRegressor, MultimodalRegressor

BOTH = [MultimodalRegressor, MultimodalInfoRegRegressor]
CRITERIA = [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss]


def make_data(n=90, seed=0):
    """Three modalities that tell parts of a target, in units of its own."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n, 3))
    X = {}
    for i, (name, noise) in enumerate({"audio": 0.3, "text": 0.6, "video": 1.0}.items()):
        X[name] = parts[:, [i]] + noise * rng.normal(size=(n, 4 + i))
    y = 70 + 12 * (parts.sum(axis=1) + 0.2 * rng.normal(size=n))
    return X, y


def make(cls=MultimodalInfoRegRegressor, **kwargs):
    return cls(**{"max_epochs": 4, "random_state": 0, "lr": 0.01} | kwargs)


def bits(estimator):
    return [p.detach().numpy().tobytes() for p in estimator.module_.parameters()]
