"""The same fits on a GPU: same accuracy, same traces, one copy to the host an epoch."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils._python_dispatch import TorchDispatchMode

from inforeg_sk import (
    BalancingMethod,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
)
from inforeg_sk.datasets import load_av_digits

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


# What waits for the device although it returns no tensor of the host.
SYNCS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


class HostCopies(TorchDispatchMode):
    """Counts copies from the device to the host, and what else waits for the device."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        on_device = any(isinstance(a, torch.Tensor) and a.is_cuda for a in args)
        result = func(*args, **(kwargs or {}))
        on_host = isinstance(result, torch.Tensor) and result.device.type == "cpu"
        if on_device and (func in SYNCS or on_host):
            self.count[str(func)] += 1
        return result


def fit(
    device,
    encoders="auto",
    fusion="concat",
    max_epochs=8,
    estimator=MultimodalInfoRegClassifier,
    **settings,
):
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    X = digits.data
    if settings.get("missing"):
        X = {name: values.astype(np.float32) for name, values in X.items()}
        X["audio"][::3] = X["image"][1::4] = np.nan
        X["image"][::3] = digits.data["image"][::3]
        X = ModalityDict(X)
    if encoders == "images":  # one channel
        encoders = {"audio": "cnn", "image": "cnn"}
        X = ModalityDict({"audio": X["audio"], "image": X["image"].reshape(-1, 8, 8)})
    if fusion in ("gated", "film"):
        settings["fusion__conditioning"] = "audio"
    model = make_pipeline(
        ModalityTransformer(StandardScaler()),
        estimator(
            encoders=encoders,
            fusion=fusion,
            max_epochs=max_epochs,
            random_state=0,
            device=device,
            **settings,
        ),
    ).fit(X[train], digits.target[train])
    return model[-1], model.score(X[test], digits.target[test])


ENCODERS = ["mlp", {"audio": "gru"}, {"audio": "transformer"}, "images"]
FUSIONS = ["concat", "sum", "gated", "film", "attention"]


@pytest.mark.slow
@pytest.mark.parametrize("encoders", ENCODERS)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_same_fit_as_on_the_cpu(encoders, fusion):
    # Dropout draws other numbers on another device.
    settings = {"encoders": encoders, "fusion": fusion, "encoders__dropout": 0.0}
    (cpu, score), (gpu, gpu_score) = fit("cpu", **settings), fit("cuda", **settings)
    assert next(gpu.module_.parameters()).is_cuda
    for name, trace in cpu.curves_["fisher_trace"].items():
        # Rounding differs, and training magnifies it from epoch to epoch.
        np.testing.assert_allclose(gpu.curves_["fisher_trace"][name][0], trace[0], rtol=1e-3)
        np.testing.assert_allclose(gpu.curves_["fisher_trace"][name], trace, rtol=0.3)
    assert gpu_score == pytest.approx(score, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("encoders", ENCODERS)
def test_same_traces_of_single_samples(encoders):
    # After an epoch, when rounding has not grown yet.
    settings = {"encoders": encoders, "fisher": "sample", "max_epochs": 1}
    (cpu, _), (gpu, _) = fit("cpu", **settings), fit("cuda", **settings)
    for name, trace in cpu.curves_["fisher_trace"].items():
        np.testing.assert_allclose(gpu.curves_["fisher_trace"][name], trace, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["error", "allow"])
def test_traces_of_single_samples_reach_the_host_once_an_epoch(missing):
    counts = {}
    for epochs in (2, 6):
        with HostCopies() as copies:
            fit(
                "cuda",
                max_epochs=epochs,
                optimizer=torch.optim.SGD,
                fisher="sample",
                missing=missing,
            )
        counts[epochs] = copies.count.total()
    assert counts[6] - counts[2] == 8  # values of batches, and the traces


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"missing": "allow"}, {"estimator": MultimodalInfoRegRegressor, "unimodal_weight": 1.0}],
)
def test_same_missing_modalities_and_regression(settings):
    (cpu, score), (gpu, gpu_score) = fit("cpu", **settings), fit("cuda", **settings)
    for name, trace in cpu.curves_["fisher_trace"].items():
        np.testing.assert_allclose(gpu.curves_["fisher_trace"][name][0], trace[0], rtol=1e-3)
    assert gpu_score == pytest.approx(score, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"missing": "allow"}, {"missing": "allow", "modality_dropout": 0.3}]
)
def test_missing_modalities_do_not_wait_for_the_device(settings):
    counts = {}
    for epochs in (2, 6):
        with HostCopies() as copies:
            fit("cuda", max_epochs=epochs, optimizer=torch.optim.SGD, **settings)
        counts[epochs] = copies.count.total()
    assert counts[6] - counts[2] == 4


@pytest.mark.slow
@pytest.mark.parametrize("encoders", ENCODERS)
@pytest.mark.parametrize("fusion", ["concat", "attention"])
def test_values_reach_the_host_once_an_epoch(encoders, fusion):
    counts = {}
    for epochs in (2, 6):
        with HostCopies() as copies:
            fit("cuda", encoders, fusion, max_epochs=epochs, optimizer=torch.optim.SGD)
        counts[epochs] = copies.count.total()
    assert counts[6] - counts[2] == 4


class Keeping(BalancingMethod):
    """Keeps a tensor of the device from epoch to epoch, and draws on the device."""

    def on_train_start(self, training):
        if not hasattr(self, "mean_"):
            self.mean_ = torch.zeros(len(training.modalities), device=training.device)

    def on_gradients(self, batch):
        assert self.mean_.is_cuda and batch.generator.device.type == "cuda"
        noise = torch.rand(3, generator=batch.generator, device=batch.logits.device)
        self.mean_ = 0.9 * self.mean_ + 0.1 * (batch.performance_gap + 0 * noise)
        batch.record("gap", batch.performance_gap)


def test_state_of_a_method_is_saved_on_the_cpu_and_goes_on_on_the_device(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Keeping(), max_epochs=2, random_state=0, device="cuda").fit(X, y)
    assert clf.method_.state_dict()["mean_"].device.type == "cpu"
    twin = pickle.loads(pickle.dumps(clf.method_))
    assert twin.mean_.device.type == "cpu"
    kept = clf.method_.mean_.cpu()
    clf.partial_fit(X, y)
    assert not torch.equal(clf.method_.mean_.cpu(), kept)
