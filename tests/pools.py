"""Small data and settings for the tests of pools."""

import numpy as np

from inforeg_sk import EvidencePool, MultimodalInfoRegClassifier, MultimodalInfoRegRegressor


def small(**settings):
    """A network that is trained in no time."""
    return MultimodalInfoRegClassifier(**{"max_epochs": 2, "random_state": 0} | settings)


def small_regressor(**settings):
    return MultimodalInfoRegRegressor(**{"max_epochs": 2, "random_state": 0} | settings)


def pool(network=None, experts="light", **settings):
    network = small() if network is None else network
    return EvidencePool(network, experts, **{"cv": 3, "random_state": 0} | settings)


def two_modalities(n=90, n_classes=3, seed=0):
    """A dict of two modalities that both know of the class, and string labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = {
        "text": rng.normal(size=(n, 5)) + 1.2 * np.eye(n_classes, 5)[y],
        "audio": rng.normal(size=(n, 4)) + 0.8 * np.eye(n_classes, 4)[y],
    }
    return X, np.array(["anger", "joy", "fear", "calm"])[y]


def two_numbers(n=80, n_outputs=1, seed=0):
    """The same, with numbers to predict, which add up over the modalities."""
    rng = np.random.default_rng(seed)
    X = {"text": rng.normal(size=(n, 5)), "audio": rng.normal(size=(n, 4))}
    y = np.stack(
        [X["text"][:, k] + X["audio"][:, k] + 0.3 * rng.normal(size=n) for k in range(n_outputs)],
        axis=1,
    )
    return X, 10 + 5 * (y[:, 0] if n_outputs == 1 else y)
