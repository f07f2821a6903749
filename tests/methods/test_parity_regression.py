"""Regressors: the fast path against the slow statement, in float64, to 1e-10."""

import numpy as np
import pytest
import torch
from parity import (
    EPOCHS,
    OPTIMIZER,
    compare,
    fit_fast,
    inputs_that_tell,
    slow_arguments,
    slow_inforeg,
)
from torch import nn

from inforeg_sk import InfoReg, MultimodalInfoRegRegressor, MultimodalRegressor, presets

TWO, THREE = ("audio", "text"), ("audio", "text", "video")
N = 74
# InfoReg's defaults, as the method has them.
DEFAULTS = {
    "alpha": 3.0,
    "beta": 0.9,
    "window_threshold": 0.04,
    "window_smoothing": 10,
    "unimodal_weight": 1.0,
    "pull": "decoupled",
    "padding": "zeros",
    "first_epoch": "open",
}
LR = 0.02  # squared errors would diverge at the classifiers' rate
SETTINGS = {
    "paper": {**presets.method_settings(presets.PAPER), "window_threshold": -0.5},
    "paper_star": presets.method_settings(presets.PAPER_STAR),
    "defaults": DEFAULTS,
    "drift": {
        **presets.method_settings(presets.PAPER),
        "pull": "decoupled",
        "alpha": {"audio": 5.0, "video": 1.0},
    },
    "always": {
        **presets.method_settings(presets.PAPER_STAR),
        "window_threshold": -1e9,
        "alpha": 2.0,
    },
    "layers": {**DEFAULTS, "pull": "gradient", "trace": "layers", "leader": "text"},
}
CRITERIA = {
    "mse": nn.MSELoss,
    "l1": nn.L1Loss,
    "smooth_l1": nn.SmoothL1Loss,
    "huber": nn.HuberLoss,
}


def make_data(names, outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=N)
    X = inputs_that_tell(names, values, seed + 1)
    y = 250 + 40 * (values + 0.2 * rng.normal(size=N))
    if outputs:
        y = np.stack([y / 10**k - rng.normal(size=N) for k in range(outputs)], axis=1)
    return X, y


def draw_present(names, share=0.35):
    """Masks that lack `share` of the values, and leave every sample at least one."""
    rng = np.random.default_rng(3)
    present = {name: rng.random(N) >= share for name in names}
    present["audio"] |= ~np.logical_or.reduce(list(present.values()))
    return present


def check(
    setting,
    names,
    fusion="concat",
    conditioning=None,
    *,
    criterion="mse",
    outputs=None,
    weighted=False,
    missing=False,
    estimator=None,
):
    settings = dict(SETTINGS[setting])
    if isinstance(settings["alpha"], dict):
        settings["alpha"] = {k: v for k, v in settings["alpha"].items() if k in names}
    X, y = make_data(names, outputs)
    weight = np.random.default_rng(2).uniform(0.2, 3, N) if weighted else None
    present, kwargs = None, {}
    if missing:
        kwargs["missing"] = "allow"
        present = draw_present(names)
        for name, mask in present.items():
            X[name][~mask] = np.nan
    if conditioning:
        kwargs["fusion__conditioning"] = conditioning
    reg, start = fit_fast(
        MultimodalRegressor if estimator is None else estimator,
        InfoReg(**settings) if estimator is None else None,
        X,
        y,
        sample_weight=weight,
        fusion=fusion,
        criterion=CRITERIA[criterion],
        lr=LR,
        **kwargs,
    )
    slow = slow_inforeg(
        X=X,
        y=y,
        task="regression",
        criterion=criterion,
        present=present,
        sample_weight=weight,
        **{**slow_arguments(start, fusion, conditioning, N), "lr": LR},
        **settings,
    )
    assert np.isfinite(reg.history[:, "train_objective"]).all()
    assert any((c > 0).any() for c in reg.curves_["coefficient"].values())
    compare(reg, slow)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_slow_statement(setting, names):
    check(setting, names)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("fusion, conditioning", [("mlp", None), ("sum", None), ("film", "audio")])
@pytest.mark.parametrize("setting", ["paper_star", "drift"])
def test_equals_the_slow_statement_with_other_fusions(setting, fusion, conditioning, names):
    check(setting, names, fusion, conditioning)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_slow_statement_with_every_criterion(criterion, weighted):
    check("always", THREE, criterion=criterion, weighted=weighted)


@pytest.mark.parametrize("criterion, weighted", [("mse", False), ("mse", True), ("l1", True)])
def test_equals_the_slow_statement_with_several_outputs(criterion, weighted):
    check("defaults", TWO, criterion=criterion, outputs=3, weighted=weighted)


@pytest.mark.parametrize("setting", ["paper", "paper_star", "defaults"])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_slow_statement_with_missing_modalities(setting, weighted):
    check(setting, THREE, missing=True, weighted=weighted, outputs=2 if weighted else None)


@pytest.mark.parametrize("names", [TWO, THREE])
def test_the_estimator_with_flat_parameters(names, monkeypatch):
    # Whatever its defaults are: they are what it trains with.
    flat = MultimodalInfoRegRegressor().get_params(deep=False)
    monkeypatch.setitem(SETTINGS, "flat", {key: flat[key] for key in DEFAULTS})
    check("flat", names, estimator=MultimodalInfoRegRegressor)


def test_joint_training_equals_plain_torch():
    X, y = make_data(TWO)
    reg, start = fit_fast(MultimodalRegressor, "joint", X, y)
    encoders, head = start["encoders"], start["head"]
    parameters = [p for n in sorted(encoders) for p in encoders[n].parameters()]
    parameters += list(head.parameters())
    optimizer = torch.optim.SGD(parameters, **OPTIMIZER)
    target = torch.as_tensor((y - y.mean()) / y.std())[:, None]
    tensors = {n: torch.as_tensor(X[n]) for n in X}
    for _ in range(EPOCHS):
        for i in range(0, N, 16):
            z = [encoders[n](tensors[n][i : i + 16]) for n in sorted(encoders)]
            loss = nn.functional.mse_loss(head(torch.cat(z, dim=1)), target[i : i + 16])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    # The standardised target may differ in the last bit, by the order of its sums.
    for ours, theirs in zip(reg.module_.parameters(), parameters, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10)
