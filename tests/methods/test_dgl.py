"""DGL: what reaches encoders and head, by hand."""

import copy

import numpy as np
import pytest
import torch
from stacked_batches import assert_a_stack_is_a_loop
from torch.nn import functional as F

from inforeg_sk import DGL, MultimodalClassifier, MultimodalRegressor
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 2,
    "random_state": 0,
    "dtype": "float64",
    "encoders__hidden": 8,
    "standardize": False,
}
FUSIONS = {
    "concat": {},
    "sum": {},
    "mlp": {"fusion__hidden": 5},
    "film": {"fusion__conditioning": "text"},
}


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in method_checks(DGL())])
def test_passes_check_method(check):
    check()


class Watched(DGL):
    """Keeps network, inputs, target and gradients of the last batch."""

    seen = None

    def on_gradients(self, batch):
        super().on_gradients(batch)
        network = copy.deepcopy(batch.network)
        gradients = {n: p.grad.clone() for n, p in batch.network.named_parameters()}
        type(self).seen = network, batch.inputs, batch.target, gradients


def last_step(X, y, cls=MultimodalClassifier, **settings):
    method = {k: settings.pop(k) for k in ("strength", "max_norm") if k in settings}
    cls(Watched(**method), **{**SGD, **settings}).fit(X, y)
    return Watched.seen


def gradients_of(loss, network):
    network.zero_grad()
    loss.backward()
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_each_encoder_learns_as_a_network_of_its_own(trimodal, fusion):
    """Its gradient is that of strength times the loss of its own logits, others at zero."""
    settings = {"strength": 2.5, "max_norm": None, "fusion": fusion, **FUSIONS[fusion]}
    network, inputs, target, got = last_step(*trimodal, **settings)
    for m, encoder in network.encoders.items():
        z = encoder(inputs[m])
        zeros = {k: z.new_zeros(len(z), d) for k, d in network.widths.items()}
        logits = network.head(network.fusion({**zeros, m: z}))
        expected = gradients_of(2.5 * F.cross_entropy(logits, target), network)
        own = [name for name in got if name.startswith(f"encoder_{m}.")]
        assert own and all(name in expected for name in own)
        for name in own:
            torch.testing.assert_close(got[name], expected[name], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion_and_head_learn_as_on_frozen_features(trimodal, fusion):
    settings = {"max_norm": None, "fusion": fusion, **FUSIONS[fusion]}
    network, inputs, target, got = last_step(*trimodal, **settings)
    with torch.no_grad():
        features = {m: encoder(inputs[m]) for m, encoder in network.encoders.items()}
    loss = F.cross_entropy(network.head(network.fusion(features)), target)
    expected = gradients_of(loss, network)
    assert set(expected) == {name for name in got if not name.startswith("encoder_")}
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-10, atol=1e-14)


def test_the_norm_of_all_gradients_is_clipped(trimodal):
    _, _, _, free = last_step(*trimodal, max_norm=None, max_epochs=1, batch_size=90)
    _, _, _, clipped = last_step(*trimodal, max_norm=0.25, max_epochs=1, batch_size=90)
    _, _, _, wide = last_step(*trimodal, max_norm=1e6, max_epochs=1, batch_size=90)
    norm = torch.cat([g.flatten() for g in free.values()]).norm()
    assert norm > 0.25
    for name, gradient in free.items():
        torch.testing.assert_close(clipped[name], gradient * 0.25 / norm, rtol=1e-5, atol=1e-12)
        assert torch.equal(wide[name], gradient)


def test_without_strength_only_fusion_and_head_move(trimodal):
    X, y = trimodal
    names = {}
    for n_epochs in (1, 3):
        clf = MultimodalClassifier(
            DGL(strength=0.0), **{**SGD, "max_epochs": n_epochs, "fisher": None}
        ).fit(X, y)
        names[n_epochs] = {n: p.detach().clone() for n, p in clf.module_.named_parameters()}
    for name, value in names[1].items():
        assert torch.equal(value, names[3][name]) == name.startswith("encoder_"), name


def test_the_loss_in_the_history_is_the_sum_of_both(trimodal):
    X, y = trimodal
    one = {**SGD, "batch_size": 90, "max_epochs": 1, "lr": 0.0}
    clf = MultimodalClassifier(DGL(strength=3.0), **one).fit(X, y)
    target = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    with torch.no_grad():
        output = clf.module_({m: torch.from_numpy(x) for m, x in X.items()})
        alone = [clf.module_.coalition_logits(output.features, {m}) for m in X]
        joint = F.cross_entropy(output.logits, target)
        expected = joint + 3 * sum(F.cross_entropy(u, target) for u in alone)
    assert clf.history[0, "train_objective"] == pytest.approx(expected.item(), rel=1e-12)
    assert clf.history[0, "train_loss"] == pytest.approx(joint.item(), rel=1e-12)


def test_regression_has_the_same_split(trimodal):
    X, _ = trimodal
    y = np.random.default_rng(0).normal(size=90)
    network, inputs, target, got = last_step(
        X, y, MultimodalRegressor, fusion="sum", max_norm=None, strength=1.5
    )
    z = network.encoders["video"](inputs["video"])
    zeros = {k: z.new_zeros(len(z), d) for k, d in network.widths.items()}
    output = network.head(network.fusion({**zeros, "video": z}))
    expected = gradients_of(1.5 * F.mse_loss(output, target), network)
    for name in got:
        if name.startswith("encoder_video."):
            torch.testing.assert_close(got[name], expected[name], rtol=1e-10, atol=1e-14)


def test_one_modality_is_trained_without_harm(trimodal):
    X, y = trimodal
    text = {"text": X["text"]}
    one = MultimodalClassifier(DGL(strength=1.0, max_norm=None), **SGD).fit(text, y)
    joint = MultimodalClassifier("joint", **SGD).fit(text, y)
    for name, value in one.module_.state_dict().items():
        torch.testing.assert_close(value, joint.module_.state_dict()[name], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_networks_trained_as_one_learn_as_each_by_itself(max_norm):
    assert_a_stack_is_a_loop(DGL(strength=2.0, max_norm=max_norm))


@pytest.mark.parametrize("settings", [{"strength": -1.0}, {"max_norm": 0.0}, {"max_norm": "40"}])
def test_bad_settings_are_refused_by_name(trimodal, settings):
    name = next(iter(settings))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of DGL must be"):
        MultimodalClassifier(DGL(**settings), **SGD).fit(*trimodal)
