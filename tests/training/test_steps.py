"""Steps that the user writes: gradient accumulation, Accelerate, autocast."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import EpochScoring
from skorch.utils import noop
from training_runs import ACTIVE, equal, make, weights

from inforeg_sk import InfoReg, MultimodalClassifier, MultimodalInfoRegClassifier


class Accumulates(MultimodalClassifier):
    """skorch's recipe: a step every other batch, of the mean of both losses."""

    def get_loss(self, *args, training=False, **kwargs):
        loss = super().get_loss(*args, training=training, **kwargs)
        return loss / 2 if training else loss

    def train_step(self, batch, **fit_params):
        step = self.train_step_single(batch, **fit_params)
        if len(self.history[-1, "batches"]) % 2 == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


SETTINGS = dict(
    optimizer=torch.optim.SGD,
    lr=0.05,
    dtype="float64",
    max_epochs=4,
    random_state=0,
    device="cpu",
    iterator_train__shuffle=False,
)


def test_two_batches_of_15_are_one_of_30(trimodal):
    X, y = trimodal
    small = Accumulates(batch_size=15, **SETTINGS).fit(X, y)
    large = MultimodalClassifier(batch_size=30, **SETTINGS).fit(X, y)
    for name, value in weights(large).items():
        np.testing.assert_allclose(weights(small)[name], value, rtol=1e-9, atol=1e-12)
    for name in X:  # the trace is that of the gradient that the step takes
        np.testing.assert_allclose(
            small.curves_["fisher_trace"][name], large.curves_["fisher_trace"][name], rtol=1e-9
        )


@pytest.mark.parametrize("pull", ["gradient", "decoupled"])
def test_the_pull_acts_at_the_steps_of_accumulated_gradients(trimodal, pull):
    X, y = trimodal
    scores = [EpochScoring("accuracy", on_train=True, name="s", lower_is_better=False)]
    runs = {}
    for alpha in (0.0, 2.0):
        method = InfoReg(**{**ACTIVE, "alpha": alpha, "pull": pull})
        runs[alpha] = Accumulates(method, batch_size=15, callbacks=scores, **SETTINGS).fit(X, y)
    assert any((c > 0).any() for c in runs[2.0].curves_["coefficient"].values())
    assert not equal(weights(runs[0.0]), weights(runs[2.0]))
    assert 0 < runs[2.0].history[-1, "s"] <= 1


def test_modality_dropout_reaches_a_step_of_the_users(trimodal):
    X, y = trimodal
    dropped = Accumulates(batch_size=15, modality_dropout=0.5, **SETTINGS).fit(X, y)
    assert not equal(weights(dropped), weights(Accumulates(batch_size=15, **SETTINGS).fit(X, y)))


def test_autocast_around_fit_trains_as_autocast_in_infer(trimodal):
    """torch keeps its casts of weights until the outermost autocast ends."""
    X, y = trimodal

    class Inside(MultimodalInfoRegClassifier):
        def infer(self, x, **fit_params):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().infer(x, **fit_params)

    kwargs = {**ACTIVE, "max_epochs": 15, "random_state": 0, "device": "cpu", "lr": 0.01}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        around = make(**kwargs).fit(X, y)
        within = around.score(X, y)
    inside, plain = Inside(**kwargs).fit(X, y), make(**kwargs).fit(X, y)
    losses = [clf.history[-1, "train_loss"] for clf in (around, inside, plain)]
    assert losses == pytest.approx([losses[2]] * 3, abs=0.05)
    assert within == pytest.approx(plain.score(X, y), abs=0.05)


# Accelerate keeps one state for a process, so that each precision needs one of its own.
ACCELERATED = """
import numpy as np, sys
from accelerate import Accelerator
from skorch.hf import AccelerateMixin
from inforeg_sk import MultimodalInfoRegClassifier
from inforeg_sk.datasets import make_multimodal_classification

class Net(AccelerateMixin, MultimodalInfoRegClassifier):
    pass

X, y = make_multimodal_classification(120, random_state=0)
X["weak"][::5] = np.nan
settings = dict(max_epochs=4, lr=0.01, random_state=0, missing="allow")
net = Net(accelerator=Accelerator(cpu=True, mixed_precision="bf16"), **settings)
net.fit(X, y, sample_weight=np.arange(120.0)).partial_fit(X, y)
plain = MultimodalInfoRegClassifier(device="cpu", **settings)
plain.fit(X, y, sample_weight=np.arange(120.0)).partial_fit(X, y)
np.testing.assert_allclose(net.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=0.02)
"""


def test_accelerate_in_mixed_precision():
    pytest.importorskip("accelerate")
    done = subprocess.run([sys.executable, "-c", ACCELERATED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def accelerated():
    pytest.importorskip("accelerate")
    from accelerate import Accelerator
    from skorch.hf import AccelerateMixin

    class Net(AccelerateMixin, MultimodalInfoRegClassifier):
        pass

    def make(**kwargs):
        accelerator = Accelerator(cpu=True, **kwargs)
        settings = {**ACTIVE, "max_epochs": 4, "random_state": 0}
        return Net(accelerator=accelerator, callbacks__print_log__sink=noop, **settings)

    return make


def near(found, expected):
    """Equal but for rounding: Accelerate's step differentiates, ours is written out."""
    return all(np.allclose(found[name], expected[name], rtol=1e-10, atol=1e-12) for name in found)


def test_accelerate_changes_nothing_on_one_device(trimodal, accelerated):
    X, y = trimodal
    net = accelerated().set_params(dtype="float64").fit(X, y)
    plain = make(dtype="float64").fit(X, y)
    assert near(weights(net), weights(plain))
    assert net.device is None and clone(net).get_params()["device"] is None
    # The class is local, and so is not for pickle; its state is.
    assert pickle.dumps(net.__getstate__()["_run"])
    assert near(weights(net.partial_fit(X, y)), weights(plain.partial_fit(X, y)))


def test_accelerate_accumulates_gradients(trimodal, accelerated):
    X, y = trimodal
    net = accelerated(gradient_accumulation_steps=2).set_params(
        **{**SETTINGS, "device": None}, batch_size=15, alpha=0.0
    )
    net.fit(X, y)
    large = make(**SETTINGS, batch_size=30, alpha=0.0).fit(X, y)
    for name, value in weights(large).items():
        np.testing.assert_allclose(weights(net)[name], value, rtol=1e-9, atol=1e-12)
