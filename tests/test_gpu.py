"""The same fits on a GPU: same accuracy, same traces, one copy to the host an epoch."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils._python_dispatch import TorchDispatchMode

from inforeg_sk import ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


class HostCopies(TorchDispatchMode):
    """Counts copies from the device to the host, scalars read by ``.item()`` included."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        source = next((a for a in args if isinstance(a, torch.Tensor)), None)
        if source is not None and source.is_cuda:
            scalar = func is torch.ops.aten._local_scalar_dense.default
            if scalar or (isinstance(result, torch.Tensor) and result.device.type == "cpu"):
                self.count[str(func)] += 1
        return result


def fit(device, encoders="auto", fusion="concat", max_epochs=8, **settings):
    digits = load_av_digits()
    train, test = digits.train_indices, digits.test_indices
    if fusion in ("gated", "film"):
        settings["fusion__conditioning"] = "audio"
    model = make_pipeline(
        ModalityTransformer(StandardScaler()),
        MultimodalInfoRegClassifier(
            encoders=encoders,
            fusion=fusion,
            max_epochs=max_epochs,
            random_state=0,
            device=device,
            **settings,
        ),
    ).fit(digits.data[train], digits.target[train])
    return model[-1], model.score(digits.data[test], digits.target[test])


@pytest.mark.slow
@pytest.mark.parametrize("encoders", ["mlp", {"audio": "gru"}, {"audio": "transformer"}])
@pytest.mark.parametrize("fusion", ["concat", "sum", "gated", "film", "attention"])
def test_same_fit_as_on_the_cpu(encoders, fusion):
    # Dropout draws other numbers on another device.
    settings = {"encoders": encoders, "fusion": fusion, "encoders__dropout": 0.0}
    (cpu, score), (gpu, gpu_score) = fit("cpu", **settings), fit("cuda", **settings)
    assert next(gpu.module_.parameters()).is_cuda
    for name, trace in cpu.fisher_trace_.items():
        # Rounding differs, and training magnifies it from epoch to epoch.
        np.testing.assert_allclose(gpu.fisher_trace_[name][0], trace[0], rtol=1e-3)
        np.testing.assert_allclose(gpu.fisher_trace_[name], trace, rtol=0.3)
    assert gpu_score == pytest.approx(score, abs=0.03)


@pytest.mark.slow
def test_values_reach_the_host_once_an_epoch():
    counts = {}
    for epochs in (2, 6):
        with HostCopies() as copies:
            fit("cuda", max_epochs=epochs, optimizer=torch.optim.SGD)
        counts[epochs] = copies.count.total()
    assert counts[6] - counts[2] == 4
