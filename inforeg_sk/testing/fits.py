"""Small data and fits for checks, and how two fits are compared."""

import numpy as np
import torch
from skorch.dataset import ValidSplit

from ..classifier import MultimodalClassifier
from ..regressor import MultimodalRegressor

ESTIMATORS = {"classification": MultimodalClassifier, "regression": MultimodalRegressor}
N_SAMPLES, BATCH = 48, 12


def make_data(task, n_modalities=3, seed=0):
    """A dict of modalities, not in sorted order, that tell the target with noise."""
    rng = np.random.default_rng(seed)
    value = rng.integers(0, 3, N_SAMPLES)
    shapes = {"b": (4,), "a": (5,), "c": (3, 2)}
    X = {
        name: rng.normal(size=(N_SAMPLES, *shape)) + value.reshape(-1, *[1] * len(shape)) / (i + 1)
        for i, (name, shape) in enumerate(list(shapes.items())[:n_modalities])
    }
    y = (
        np.array(["x", "y", "z"])[value]
        if task == "classification"
        else value + rng.normal(size=N_SAMPLES)
    )
    return X, y


def make_estimator(method, task, cls=None, **settings):
    """A small estimator of a task with a method, in float64 and by plain SGD."""
    defaults = {
        "max_epochs": 3,
        "batch_size": BATCH,
        "optimizer": torch.optim.SGD,
        "lr": 0.05,
        "encoders__hidden": 8,
        "dtype": "float64",
        "device": "cpu",
        "random_state": 0,
        "train_split": ValidSplit(4) if "held_out" in method.requires else None,
    }
    return (cls or ESTIMATORS[task])(method, **{**defaults, **settings})


def weights_of(estimator):
    """All parameters of the network as arrays, by name."""
    return {n: p.detach().numpy() for n, p in estimator.module_.named_parameters()}


def assert_same_fit(first, second, what, exact=True, rtol=1e-6):
    """Compare parameters and curves of two fits."""
    a, b = weights_of(first), weights_of(second)
    for name, value in a.items():
        same = np.array_equal(value, b[name]) if exact else np.allclose(value, b[name], rtol, 1e-9)
        assert same, f"{what}: the parameter {name!r} differs."
    for quantity, curve in first.curves_.items():
        other = second.curves_[quantity]
        labels = curve if isinstance(curve, dict) else {None: curve}
        for label, values in labels.items():
            got = other[label] if label is not None else other
            if exact:
                same = np.array_equal(values, got, equal_nan=True)
            else:
                same = np.allclose(values, got, rtol, 1e-9, equal_nan=True)
            assert same, f"{what}: the curve {quantity!r} of {label!r} differs."


def assert_finite(estimator, X, y):
    """Parameters, losses and score are finite."""
    for name, value in weights_of(estimator).items():
        assert np.isfinite(value).all(), f"the parameter {name!r} is not finite after training."
    assert np.isfinite(estimator.history[:, "train_objective"]).all(), "the loss is not finite."
    assert np.isfinite(estimator.score(X, y)), "the score is not finite."
