"""Fits by the closed step and by the usual one."""

import numpy as np
import torch

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.training.closed_step import ClosedStep


class UsualClassifier(MultimodalClassifier):
    """A step of the user's own, which does what the usual one does."""

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs)


class UsualRegressor(MultimodalRegressor):
    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs)


USUAL = {MultimodalClassifier: UsualClassifier, MultimodalRegressor: UsualRegressor}
SETTINGS = {
    "max_epochs": 4,
    "batch_size": 16,
    "dtype": "float64",
    "lr": 0.01,
    "device": "cpu",
    "random_state": 0,
}


def count_closed_steps(monkeypatch):
    """A list that grows by one with each closed step."""
    steps, call = [], ClosedStep.__call__

    def counted(self, batch):
        steps.append(1)
        return call(self, batch)

    monkeypatch.setattr(ClosedStep, "__call__", counted)
    return steps


def fit_both(monkeypatch, method, X, y, kind=MultimodalClassifier, sample_weight=None, **settings):
    """The estimator fitted by closed steps, and by usual ones."""
    steps = count_closed_steps(monkeypatch)
    settings = {**SETTINGS, **settings}
    closed = kind(method, **settings).fit(X, y, sample_weight=sample_weight)
    taken = len(steps)
    usual = USUAL[kind](method, **settings).fit(X, y, sample_weight=sample_weight)
    assert taken == sum(closed.history[:, "train_batch_count"])
    assert len(steps) == taken
    return closed, usual


def assert_equal_fits(found, expected, rtol=1e-10, atol=1e-12):
    """Weights, buffers and all that was recorded are equal but for rounding."""
    theirs = expected.module_.state_dict()
    assert found.module_.state_dict().keys() == theirs.keys()
    for name, value in found.module_.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=rtol, atol=atol, msg=name)
    curves = expected.curves_
    assert found.curves_.keys() == curves.keys()
    for quantity, curve in found.curves_.items():
        pairs = curve.items() if isinstance(curve, dict) else [(None, curve)]
        for label, values in pairs:
            of = curves[quantity] if label is None else curves[quantity][label]
            np.testing.assert_allclose(values, of, rtol=rtol, atol=atol, err_msg=quantity)
    for key in ("train_loss", "train_objective"):
        np.testing.assert_allclose(
            found.history[:, key], expected.history[:, key], rtol=rtol, atol=atol, err_msg=key
        )
