"""The same fits on a GPU: same accuracy, same traces, one copy to the host an epoch."""

import pickle

import numpy as np
import pytest
import torch
from closed_runs import assert_equal_fits
from host_copies import DeviceCopies, HostCopies
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit

from inforeg_sk import (
    BalancingMethod,
    DeepEnsembleClassifier,
    EvidencePool,
    LateFusionClassifier,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    diagnose,
)
from inforeg_sk.data import resident
from inforeg_sk.data.blocks import BlockLoader
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.estimator import outcome
from inforeg_sk.model_selection.fits import fit_all

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch):
    """By torch's default convolutions on a GPU round their inputs to TF32, to three digits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def count_host_copies(monkeypatch, *lengths, **settings):
    """Copies to the host of fits of some numbers of epochs (list of Counter).

    What a fit asks once at its end, whether the model has learned, is not counted.
    """
    monkeypatch.setattr(outcome, "_check_learned", lambda *given: None)
    counts = []
    for max_epochs in lengths:
        with HostCopies() as copies:
            fit("cuda", max_epochs=max_epochs, optimizer=torch.optim.SGD, **settings)
        counts.append(copies.count)
    return counts


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
    if settings.get("missing") == "allow":
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
FUSIONS = ["concat", "mlp", "sum", "gated", "film", "attention"]


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
        np.testing.assert_allclose(gpu.curves_["fisher_trace"][name][0], trace[0], rtol=5e-3)
        np.testing.assert_allclose(gpu.curves_["fisher_trace"][name], trace, rtol=0.3)
    assert gpu_score == pytest.approx(score, abs=0.03)


HELD_OUT = {"train_split": ValidSplit(10)}
# OPM draws other masks on the device than on the CPU. G-Blending estimates its weights, and
# divides by differences near 0: rounding changes them by a factor.
DIFFERENT = ("opm", "g-blending")
PEERS = {
    "joint": {},
    "ogm-ge": {"method__noise": False},
    "agm": {},
    "agm, features": {"method__zero": "features"},
    "pmr": {},
    "g-blending": {"method__super_epoch": 4, **HELD_OUT},
    "mmpareto": {},
    "greedy": {},
    "dgl": {},
    "tcmax": {},
    "opm": {},
    "dr": {"method__every": 3, **HELD_OUT},
}


@pytest.mark.parametrize("name", PEERS)
def test_same_fit_as_on_the_cpu_by_peer_methods(name):
    settings = {"method": name.partition(",")[0], "estimator": MultimodalClassifier}
    settings.update(PEERS[name], encoders__dropout=0.0)
    (cpu, score), (gpu, gpu_score) = fit("cpu", **settings), fit("cuda", **settings)
    assert next(gpu.module_.parameters()).is_cuda
    if name not in DIFFERENT:
        for modality, trace in cpu.curves_["fisher_trace"].items():
            found = gpu.curves_["fisher_trace"][modality][0]
            np.testing.assert_allclose(found, trace[0], rtol=1e-3)
    assert gpu_score == pytest.approx(score, abs=0.03)


@pytest.mark.parametrize("active", ["window", "outside", range(2, 4)])
def test_same_fit_as_on_the_cpu_in_some_epochs_only(active):
    settings = {"method": "ogm-ge", "method__noise": False, "estimator": MultimodalClassifier}
    settings.update(active=active, encoders__dropout=0.0)
    (_, score), (gpu, gpu_score) = fit("cpu", **settings), fit("cuda", **settings)
    assert next(gpu.module_.parameters()).is_cuda
    assert gpu_score == pytest.approx(score, abs=0.03)


# Methods that may be made together on a GPU, too.
TOGETHER = ["ogm-ge", "mmpareto", "dgl", "tcmax"]


@pytest.mark.parametrize("method", TOGETHER)
def test_hooks_called_once_for_many_networks_equal_single_fits(method):
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    X, y = ModalityDict({m: v.astype(np.float64) for m, v in digits.data.items()}), digits.target
    base = MultimodalClassifier(
        method, max_epochs=4, dtype="float64", device="cuda", random_state=0
    )
    estimators = [clone(base).set_params(random_state=seed) for seed in range(3)]
    for one in fit_all(estimators, X, y, [train] * 3):
        assert one.error is None and next(one.estimator.module_.parameters()).is_cuda
        alone = clone(one.estimator).fit(X[train], y[train])
        assert_equal_fits(one.estimator, alone, rtol=1e-7, atol=1e-9)
        assert (one.estimator.predict(X[test]) == alone.predict(X[test])).all()


ENSEMBLES = {
    "late fusion": LateFusionClassifier,
    "deep ensemble": lambda base: DeepEnsembleClassifier(base, n_members=3, random_state=0),
    "pool": lambda base: EvidencePool(base, random_state=0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_train_on_the_device(name):
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    base = MultimodalClassifier(max_epochs=20, device="cuda", random_state=0)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model = ENSEMBLES[name](base).fit(digits.data[train], digits.target[train])
    assert torch.cuda.max_memory_allocated() > before
    assert model.score(digits.data[test], digits.target[test]) > 0.93


@pytest.mark.slow
def test_a_diagnosis_runs_on_the_device_and_says_what_it_says_on_the_cpu():
    digits = load_av_digits()
    rows = np.arange(0, len(digits.target), 3)
    reports = {}
    for device in ("cpu", "cuda"):
        reports[device] = diagnose(
            MultimodalClassifier(
                max_epochs=15, device=device, random_state=0, encoders__dropout=0.0
            ),
            digits.data[rows],
            digits.target[rows],
            cv=3,
            seeds=1,
            methods=("dgl",),
            rivals=("majority", "late fusion"),
            verbose=0,
        )
    cpu, gpu = (reports[device].to_frame()["score"] for device in ("cpu", "cuda"))
    assert list(cpu.index) == list(gpu.index)
    np.testing.assert_allclose(gpu, cpu, atol=0.05)


def test_autocast_trains_in_bfloat16():
    with torch.autocast("cuda", dtype=torch.bfloat16):
        _, score = fit("cuda", max_epochs=15)
    assert score > 0.85


def test_what_was_fitted_on_the_device_is_loaded_on_the_cpu(tmp_path):
    digits = load_av_digits()
    X, y = digits.data, digits.target
    clf = MultimodalInfoRegClassifier(max_epochs=3, random_state=0, device="cuda").fit(X, y)
    weights = {"f_params": tmp_path / "weights.safetensors", "use_safetensors": True}
    clf.save_params(**weights)
    fresh = clone(clf).set_params(device="cpu").initialize()
    fresh.load_params(**weights)
    assert not next(fresh.module_.parameters()).is_cuda
    np.testing.assert_allclose(fresh.predict_proba(X), clf.predict_proba(X), atol=1e-4)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(twin.predict_proba(X), clf.predict_proba(X), atol=1e-6)


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
def test_traces_of_single_samples_reach_the_host_once_an_epoch(missing, monkeypatch):
    few, many = count_host_copies(monkeypatch, 2, 6, fisher="sample", missing=missing)
    assert (many - few).total() == 8  # values of batches, and the traces


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
def test_missing_modalities_do_not_wait_for_the_device(settings, monkeypatch):
    few, many = count_host_copies(monkeypatch, 2, 6, **settings)
    assert (many - few).total() == 4


@pytest.mark.slow
@pytest.mark.parametrize("encoders", ENCODERS)
@pytest.mark.parametrize("fusion", ["concat", "attention"])
def test_values_reach_the_host_once_an_epoch(encoders, fusion, monkeypatch):
    few, many = count_host_copies(monkeypatch, 2, 6, encoders=encoders, fusion=fusion)
    assert (many - few).total() == 4


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"missing": "allow"}, {"class_weight": "balanced"}])
def test_samples_that_do_not_fit_move_in_blocks_and_give_the_same_fit(settings, monkeypatch):
    used = []
    made = resident.ResidentSamples.__init__
    monkeypatch.setattr(
        resident.ResidentSamples,
        "__init__",
        lambda self, *given: used.append(given[1].type) or made(self, *given),
    )
    stays, _ = fit("cuda", max_epochs=3, **settings)
    assert used == ["cuda"]
    monkeypatch.setattr(resident, "free_bytes", lambda device: 0)
    moves, _ = fit("cuda", max_epochs=3, **settings)
    assert used == ["cuda"]
    for a, b in zip(stays.module_.parameters(), moves.module_.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stays", [True, False])
def test_batches_are_there_already_and_wait_for_nothing(trimodal, stays, monkeypatch):
    X, y = trimodal
    X = {name: values.astype("f4") for name, values in X.items()}
    X["text"][::3] = X["video"][1::4] = np.nan
    clf = MultimodalClassifier(
        missing="allow", class_weight="balanced", max_epochs=1, random_state=0, device="cuda"
    ).fit(X, y)
    monkeypatch.setitem(BlockLoader.__init__.__kwdefaults__, "resident", stays)
    dataset, counts = clf.get_dataset(X, y), []
    for batch_size in (10, 30):
        clf.set_params(batch_size=batch_size)
        loader = clf._make_iterator(dataset, True, torch.Generator())
        list(loader)  # what stays is copied in the first pass
        torch.cuda.set_sync_debug_mode("error")
        try:
            with DeviceCopies() as copies:
                for batch, target in loader:
                    assert batch.to(torch.device("cuda")) is batch.moved and target.is_cuda
        finally:
            torch.cuda.set_sync_debug_mode("default")
        counts.append(copies.count.total())
    assert counts[0] == counts[1]
    assert counts[0] == 1 or not stays


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


@pytest.mark.parametrize("settings", [{}, {"missing": "allow"}, {"early_stopping": True}])
def test_fits_that_are_made_together_equal_single_ones(settings):
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    X, y = ModalityDict({m: v.astype(np.float64) for m, v in digits.data.items()}), digits.target
    if settings.get("missing"):
        X["audio"][::3] = np.nan
    base = MultimodalInfoRegClassifier(
        max_epochs=8, dtype="float64", device="cuda", random_state=0, **settings
    )
    estimators = [clone(base).set_params(alpha=a, random_state=s) for a in (1, 3) for s in (0, 1)]
    found = fit_all(estimators, X, y, [train] * 4)
    for one in found:
        assert one.error is None and next(one.estimator.module_.parameters()).is_cuda
        alone = clone(one.estimator).fit(X[train], y[train])
        assert_equal_fits(one.estimator, alone, rtol=1e-7, atol=1e-9)
        assert (one.estimator.predict(X[test]) == alone.predict(X[test])).all()
        if not settings.get("early_stopping"):  # which looks at values of held-out samples
            one.estimator.partial_fit(X[train], y[train])
