"""What the comparisons with the slow statement share: how the fast path is driven and compared."""

from copy import deepcopy

import numpy as np
import oracle
import torch
from torch import nn

from inforeg_sk import presets

EPOCHS, BATCH = 8, 16
OPTIMIZER = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
SHAPES = {"audio": (6, 4), "text": (7,), "video": (5,)}
STRENGTHS = {"audio": 1.0, "text": 0.6, "video": 0.3}


SETTINGS = {
    "paper": presets.method_settings(presets.PAPER),
    "paper_star": presets.method_settings(presets.PAPER_STAR),
    "authors_code": presets.method_settings(
        presets.authors_code("audio", {"audio": 0.95, "text": 0.1})
    ),
    # Ours, and corners of the published ones.
    "drift": {
        **presets.method_settings(presets.PAPER),
        "pull": "decoupled",
        "alpha": 5.0,
        "window_smoothing": 3,
    },
    "drift_star": {
        **presets.method_settings(presets.PAPER_STAR),
        "pull": "decoupled",
        "alpha": {"audio": 5.0, "video": 2.0},
        "window_smoothing": 10,
        "padding": "zeros",
        "first_epoch": "open",
    },
    "always": {**presets.method_settings(presets.PAPER), "window_threshold": -1e9, "alpha": 3.0},
}


# The slow statement's words for the two pulls.
_STRENGTH = {"gradient": "coefficient", "decoupled": "drift"}


def slow_inforeg(*args, pull="gradient", **kwargs):
    """The slow statement, in today's names of the settings."""
    return oracle.slow_inforeg(*args, strength=_STRENGTH[pull], **kwargs)


class ConvEncoder(nn.Module):
    """Convolution, batch normalisation and a linear layer: every kind of weight."""

    def __init__(self, input_shape, features=5):
        super().__init__()
        self.conv = nn.Conv1d(input_shape[1], 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.out = nn.Linear(4, features)

    def forward(self, x):
        z = torch.relu(self.norm(self.conv(x.transpose(1, 2))))
        return torch.tanh(self.out(z.mean(dim=2)))


def inputs_that_tell(names, values, seed=0):
    """Modalities that tell the values with noise, each by its strength."""
    rng = np.random.default_rng(seed)
    X = {}
    for name in names:
        shape = SHAPES[name]
        signal = STRENGTHS[name] * values.reshape(-1, *[1] * len(shape))
        X[name] = rng.normal(size=(len(values), *shape)) + signal
    return X


def fit_fast(cls, method, X, y, *, sample_weight=None, **kwargs):
    """Fit in the order given, and return the estimator and its network before training."""
    start = {}

    class Spy(cls):
        def initialize_module(self):
            super().initialize_module()
            start.update(
                encoders={n: deepcopy(e) for n, e in self.module_.encoders.items()},
                fusion=deepcopy(self.module_.fusion),
                head=deepcopy(self.module_.head),
            )
            return self

    settings = {
        "encoders": {"audio": ConvEncoder},
        "encoders__hidden": (8, 6),
        "optimizer": torch.optim.SGD,
        "lr": OPTIMIZER["lr"],
        "optimizer__momentum": OPTIMIZER["momentum"],
        "optimizer__weight_decay": OPTIMIZER["weight_decay"],
        "max_epochs": EPOCHS,
        "batch_size": BATCH,
        "dtype": "float64",
        "device": "cpu",
        "random_state": 0,
        "iterator_train__shuffle": False,
        "standardize": False,
        **kwargs,
    }
    estimator = Spy(**settings) if method is None else Spy(method, **settings)
    return estimator.fit(X, y, sample_weight=sample_weight), start


def slow_arguments(start, fusion, conditioning, n):
    """What the slow statement takes besides data and settings."""
    order = [np.arange(i, min(i + BATCH, n)) for i in range(0, n, BATCH)]
    return {
        "encoders": start["encoders"],
        "head": start["head"],
        "epochs": [order] * EPOCHS,
        "fusion": fusion,
        "fusion_weights": dict(start["fusion"].named_parameters()),
        "conditioning": conditioning,
        **OPTIMIZER,
    }


def assert_close(fast, slow, what, tolerance=1e-10):
    fast, slow = np.asarray(fast, float), np.asarray(slow, float)
    assert fast.shape == slow.shape, what
    scale = max(1e-300, np.abs(slow[np.isfinite(slow)]).max(initial=0.0))
    np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def compare(estimator, slow):
    """Every parameter, and every curve of every modality."""
    for name, parameter in estimator.module_.named_parameters():
        assert_close(parameter.detach().numpy(), slow.parameters[name], name)
    curves = estimator.curves_
    for name in estimator.modalities_:
        assert_close(curves["fisher_trace"][name], slow.trace[name], f"trace {name}")
        assert_close(curves["window_ratio"][name], slow.window_ratio[name], f"ratio {name}")
        assert_close(curves["coefficient"][name], slow.coefficient[name], f"coefficient {name}")
        assert_close(curves["performance_score"][name], slow.score[name], f"score {name}")
        assert curves["window"][name].tolist() == [bool(w) for w in slow.window[name]], name
