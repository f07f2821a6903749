"""Encoders and methods whose Fisher traces of single samples take another way, or none."""

import numpy as np
import pytest
import torch
from sample_traces import SETTINGS, assert_by_hand, fit, images
from torch import nn
from torch.nn import functional as F

from inforeg_sk import (
    BalancingMethod,
    InfoReg,
    MultimodalClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)
from inforeg_sk.methods.monitors import FisherTrace, Monitor, PerformanceScore
from inforeg_sk.methods.sample_trace import SampleFisherTrace
from inforeg_sk.network import CNNEncoder

pytestmark = pytest.mark.filterwarnings("ignore:.*no better than guessing")


# Encoders that need another way


class TimeMajor(nn.Module):
    """Runs its layer on steps by samples: with as many steps as samples no shape tells."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x):
        return torch.tanh(self.linear(x.transpose(0, 1))).sum(dim=0)


class Mixing(nn.Module):
    """Lets samples influence one another."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x):
        z = self.linear(x)
        return torch.tanh(z) + z.mean(dim=0)


class Functional(nn.Module):
    """Uses the weight of a layer without running it, besides running it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return torch.tanh(self.linear(x)) + x @ self.linear.weight


class Values(nn.Module):
    """Asks for values, which torch.func cannot give."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        assert not x.isnan().any().item()
        return torch.tanh(x * self.scale)


@pytest.fixture
def ways(monkeypatch):
    """The ways that were taken: a dict by modality for each epoch."""
    taken = []
    measure = SampleFisherTrace.on_epoch_end

    def on_epoch_end(self, epoch):
        measure(self, epoch)
        taken.append(dict(self._ways))

    monkeypatch.setattr(SampleFisherTrace, "on_epoch_end", on_epoch_end)
    return taken


@pytest.mark.parametrize(
    "encoder, n_samples, way",
    [
        (TimeMajor, 30, "network"),
        (TimeMajor, 31, "torch.func"),
        (Mixing, 30, "network"),
        (Functional, 30, "network"),
        (Values, 30, "loop"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.PReLU()), 30, "torch.func"),
    ],
)
@pytest.mark.parametrize("incomplete", [False, True])
def test_encoders_that_do_other_things_are_measured_in_another_way(
    encoder, n_samples, way, incomplete, ways
):
    rng = np.random.default_rng(0)
    n_present, size = n_samples, n_samples + 7 * incomplete
    X = {"x": rng.normal(size=(size, 30, 2) if encoder is TimeMajor else (size, 3))}
    X["z"] = rng.normal(size=(size, 2))
    X["x"][n_present:] = np.nan
    y = np.arange(size) % 2
    clf = fit(X, y, InfoReg(alpha=0), encoders={"x": encoder}, batch_size=-1, missing="allow")
    assert_by_hand(clf, X, y, unimodal=1.0)
    # Samples that influence one another change the losses by which the others are measured, too.
    other = "network" if encoder is Mixing else "layers"
    assert ways == [{"x": way, "z": other}] * 2


@pytest.mark.parametrize("encoder", ["mlp", "gru", "transformer"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_encoders_of_this_library_take_the_fast_way(trimodal, encoder, dtype, weighted, ways):
    X, y = trimodal
    X["audio"][::3] = X["text"][1::3] = np.nan
    clf = MultimodalClassifier(
        InfoReg(alpha=0),
        encoders={"audio": encoder},
        fisher="sample",
        missing="allow",
        batch_size=7,
        **{**SETTINGS, "dtype": dtype},
    )
    clf.fit(X, y, sample_weight=np.arange(90.0) if weighted else None)
    assert ways == [dict.fromkeys(X, "layers")] * 2


def test_images_take_the_fast_way(ways):
    X, y = images()
    fit(X, y, encoders={"a": "resnet18", "v": "cnn"}, dtype="float32", batch_size=7)
    assert ways == [dict.fromkeys(X, "layers")] * 2


def test_a_modality_that_the_first_samples_lack_is_checked_when_it_comes(ways):
    rng = np.random.default_rng(0)
    X = {"x": rng.normal(size=(60, 3)), "z": rng.normal(size=(60, 2, 8, 8))}
    X["x"][:30] = np.nan
    y = np.arange(60) % 2
    encoders = {"x": Functional, "z": CNNEncoder}
    clf = fit(X, y, InfoReg(alpha=0), encoders=encoders, missing="allow", batch_size=15)
    assert_by_hand(clf, X, y, unimodal=1.0)
    assert ways == [{"x": "network", "z": "layers"}] * 2


def test_small_batches_are_measured_as_they_are_trained(monkeypatch):
    X, y = images(13)
    settings = {"encoders": {"a": "cnn", "v": CNNEncoder}, "optimizer": torch.optim.SGD, "lr": 0.0}
    whole = fit(X, y, batch_size=-1, **settings).curves_["fisher_trace"]
    parts = fit(X, y, batch_size=4, **settings).curves_["fisher_trace"]
    for m in X:
        np.testing.assert_allclose(parts[m], whole[m], rtol=1e-10)


@pytest.mark.parametrize("kind", [MultimodalClassifier, MultimodalRegressor])
def test_a_compiled_network_is_measured_as_it_is(trimodal, kind):
    X, _ = trimodal
    y = np.arange(90) % 3
    settings = {"kind": kind, "optimizer": torch.optim.SGD, "lr": 0.0, "fisher_samples": 20}
    plain = fit(X, y, **settings).curves_["fisher_trace"]
    compiled = fit(X, y, compile=True, compile__backend="eager", **settings)
    for m in X:
        np.testing.assert_allclose(compiled.curves_["fisher_trace"][m], plain[m], rtol=1e-10)


def test_autocast_around_fit_does_not_round_the_trace(trimodal):
    X, y = trimodal
    settings = {"optimizer": torch.optim.SGD, "lr": 0.0, "dtype": "float32"}
    plain = fit(X, y, **settings).curves_["fisher_trace"]
    with torch.autocast("cpu", torch.bfloat16):
        cast = fit(X, y, **settings).curves_["fisher_trace"]
    for m in X:
        np.testing.assert_allclose(cast[m], plain[m], rtol=1e-5)


# Methods


class Annealed(BalancingMethod):
    def loss_weights(self, batch):
        return {"joint": 0.5, "text": 2.0 * batch.epoch.index}


def test_weights_of_losses_may_depend_on_the_epoch(trimodal):
    X, y = trimodal
    clf = fit(X, y, Annealed())
    assert_by_hand(clf, X, y, joint=0.5, unimodal={"text": 2.0})


class Further(Monitor):
    curves = {}

    def on_epoch_start(self, epoch):
        self.epochs = [*getattr(self, "epochs", []), epoch.index]


def test_monitors_of_a_method_stay(trimodal):
    X, y = trimodal
    further = Further()

    class Watched(InfoReg):
        def monitors(self):
            return [*super().monitors(), further]

    clf = fit(X, y, Watched(alpha=0))
    assert further.epochs == [0, 1] and "performance_score" in clf.curves_
    assert_by_hand(clf, X, y, unimodal=1.0)


def test_a_method_without_traces_stays_without(trimodal):
    X, y = trimodal

    class Scores(BalancingMethod):
        def monitors(self):
            return [PerformanceScore()]

    assert set(fit(X, y, Scores()).curves_) == {"performance_score"}


# What is refused


class Own(BalancingMethod):
    def loss(self, batch):
        return batch.joint_loss


class OwnTrace(FisherTrace):
    pass


class OwnMonitor(BalancingMethod):
    def monitors(self):
        return [OwnTrace()]


def statistics_of_batches():
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False))


@pytest.mark.parametrize(
    "method, settings, match",
    [
        (InfoReg(trace="layers"), {}, "with trace='layers' of the method InfoReg"),
        (Own(), {}, "with the method Own, whose loss is not a sum"),
        (OwnMonitor(), {}, "with the method OwnMonitor: the monitor OwnTrace measures the Fisher"),
        ("joint", {"encoders": {"text": statistics_of_batches}}, "no running statistics .*text.1"),
    ],
)
def test_what_has_no_loss_or_gradient_of_a_sample_is_refused(trimodal, method, settings, match):
    X, y = trimodal
    whole = "The 'fisher' parameter of MultimodalClassifier must be 'batch' or None with"
    with pytest.raises(ValueError, match=f"{whole}.*") as error:
        fit(X, y, method, **settings)
    error.match(match)
    error.match("Got 'sample'")
    fit(X, y, method, **settings, fisher="batch")


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "all"])
def test_the_number_of_samples_is_checked(trimodal, n_samples):
    X, y = trimodal
    match = "The 'fisher_samples' parameter of MultimodalInfoRegRegressor must be"
    with pytest.raises((TypeError, ValueError), match=match):
        MultimodalInfoRegRegressor(fisher_samples=n_samples).fit(X, np.arange(90.0))


def test_a_criterion_that_cannot_tell_samples_apart_is_refused(trimodal):
    class Whole(nn.CrossEntropyLoss):
        def forward(self, logits, target):
            return F.cross_entropy(logits, target)

    X, y = trimodal
    fit(X, y, fisher="batch", criterion=Whole)
    with pytest.raises(TypeError, match="one value a sample is needed"):
        fit(X, y, criterion=Whole)


def test_a_change_of_the_measure_warns(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier("joint", **SETTINGS).partial_fit(X, y)
    with pytest.warns(UserWarning, match="fisher changed from 'batch' to 'sample'.*another scale"):
        clf.set_params(fisher="sample").partial_fit(X, y)
