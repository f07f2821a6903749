"""OGM-GE: what it does to gradients, and what it leaves alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import OGMGE, MultimodalClassifier, MultimodalRegressor, presets
from inforeg_sk.network.parameters import EncoderParameters
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 3,
    "random_state": 0,
    "dtype": "float64",
}


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in method_checks(OGMGE())])
def test_passes_check_method(check):
    check()


def weights(clf):
    return {n: p.detach().clone() for n, p in clf.module_.named_parameters()}


def assert_equal_weights(first, second):
    a, b = weights(first), weights(second)
    assert a and all(torch.equal(value, b[name]) for name, value in a.items())


class Watched(OGMGE):
    """Keeps the gradients of each batch before and after, and the factors."""

    seen = []

    def on_gradients(self, batch):
        def gradients():
            named = batch.network.named_parameters()
            return {n: p.grad.clone() for n, p in named if p.grad is not None}

        before = gradients()
        super().on_gradients(batch)
        factors = batch.recorded["modulation", batch.modalities]
        factors = dict(zip(batch.modalities, factors.tolist(), strict=True))
        scores = dict(zip(batch.modalities, batch.scores.tolist(), strict=True))
        self.seen.append((before, gradients(), factors, scores))


def watch(X, y, *, settings=None, **options):
    Watched.seen = []
    MultimodalClassifier(Watched(**options), **{**SGD, **(settings or {})}).fit(X, y)
    return Watched.seen


def test_without_strength_and_noise_it_is_joint_training(trimodal):
    X, y = trimodal
    off = MultimodalClassifier(OGMGE(alpha=0.0, noise=False), **SGD).fit(X, y)
    assert_equal_weights(off, MultimodalClassifier("joint", **SGD).fit(X, y))
    assert all((k == 1).all() for k in off.curves_["modulation"].values())


def test_one_modality_is_trained_as_usual(trimodal):
    X, y = trimodal
    X = {"text": X["text"]}
    one = MultimodalClassifier(OGMGE(noise=False), **SGD).fit(X, y)
    assert_equal_weights(one, MultimodalClassifier("joint", **SGD).fit(X, y))


def test_matrices_of_encoders_are_scaled_and_nothing_else(trimodal):
    seen = watch(*trimodal, alpha=0.6, noise=False)
    slowed = set()
    for before, after, factors, scores in seen:
        for m, k in factors.items():
            others = np.mean([s for n, s in scores.items() if n != m])
            expected = 1 - np.tanh(0.6 * scores[m] / others) if scores[m] > others else 1
            assert k == pytest.approx(expected, rel=1e-10)
            if k < 1:
                slowed.add(m)
        for name, g in after.items():
            modality = name.split(".")[0].removeprefix("encoder_")
            k = factors[modality] if name.startswith("encoder_") and g.ndim > 1 else 1
            torch.testing.assert_close(g, before[name] * k, rtol=1e-14, atol=0)
    assert slowed


def test_noise_has_mean_0_and_is_as_large_as_the_gradient_was_before_scaling(trimodal):
    """Also of encoders that are not slowed, and of matrices only."""
    draws, leads = [], set()
    for before, after, factors, _ in watch(*trimodal, alpha=0.8):
        for name, g in before.items():
            noise = after[name] - g
            if not name.startswith("encoder_") or g.ndim < 2:
                assert not noise.any()
                continue
            k = factors[name.split(".")[0].removeprefix("encoder_")]
            leads.add(k < 1)
            noise = after[name] - k * g
            draws.append((noise / g.std()).flatten())
    draws = torch.cat(draws)
    assert leads == {True, False}
    assert len(draws) > 10_000
    assert draws.mean().item() == pytest.approx(0, abs=0.04)
    assert draws.std().item() == pytest.approx(1, abs=0.03)


def test_noise_does_not_change_the_order_of_the_data(trimodal, monkeypatch):
    from inforeg_sk.data.batches import ModalityDataset

    X, y = trimodal
    orders = []
    cut = ModalityDataset.__getitems__

    def spy(self, indices):
        orders[-1].append(tuple(indices))
        return cut(self, indices)

    monkeypatch.setattr(ModalityDataset, "__getitems__", spy)
    for noise in (False, True):
        orders.append([])
        MultimodalClassifier(OGMGE(noise=noise), **SGD).fit(X, y)
    assert orders[0] and orders[0] == orders[1]


def test_modalities_that_are_not_active_are_left_alone(trimodal, monkeypatch):
    from inforeg_sk.methods.context import EpochContext

    start = EpochContext.__init__

    def begin(self, *args, **kwargs):
        start(self, *args, **kwargs)
        self.active = {"audio": True, "text": False, "video": self.index == 0}
        if self.index == 2:
            self.active = dict.fromkeys(self.active, False)

    monkeypatch.setattr(EpochContext, "__init__", begin)
    seen = watch(*trimodal)
    assert len(seen) == 9
    for i, (before, after, factors, _) in enumerate(seen):
        acting = [{"audio", "video"}, {"audio"}, set()][i // 3]
        assert all(k == 1 for m, k in factors.items() if m not in acting)
        changed = {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}
        assert changed == {f"encoder_{m}" for m in acting}


def test_scores_of_missing_modalities_are_means_over_those_that_have_them(trimodal):
    X, y = trimodal
    X = {m: x.copy() for m, x in X.items()}
    X["text"][:50] = np.nan
    fixed = {"missing": "allow", "iterator_train__shuffle": False}
    seen = watch(X, y, settings=fixed, noise=False, alpha=0.5)
    counts = [{"text": n, "audio": 30, "video": 30} for n in (0, 10, 30)] * 3
    for (_, _, factors, scores), count in zip(seen, counts, strict=True):
        means = {m: s / count[m] for m, s in scores.items() if count[m]}
        for m in factors:
            if m not in means:
                assert factors[m] == 1
                continue
            ratio = means[m] / np.mean([s for n, s in means.items() if n != m])
            expected = 1 - np.tanh(0.5 * ratio) if ratio > 1 else 1
            assert factors[m] == pytest.approx(expected, rel=1e-10)


class Convolution(nn.Module):
    def __init__(self, input_shape):
        super().__init__()
        self.first = nn.Conv2d(1, 2, 2)
        self.last = nn.Linear(24, 4)

    def forward(self, x):
        return self.last(self.first(x[:, None]).flatten(1))


def test_convolutions_only_leaves_other_layers_alone(trimodal):
    X, y = trimodal
    X = {"a": X["audio"], "b": X["audio"][:, :, ::-1].copy() + X["text"][:, :1, None]}
    settings = {"encoders": Convolution}
    for before, after, _, _ in watch(X, y, settings=settings, layers="convolutions"):
        changed = {n for n in before if not torch.equal(before[n], after[n])}
        assert changed == {"encoder_a.first.weight", "encoder_b.first.weight"}


def test_convolutions_only_refuses_a_network_without_any_and_warns_of_an_encoder(trimodal):
    X, y = trimodal
    method = OGMGE(layers="convolutions")
    with pytest.raises(ValueError, match=r"OGMGE: .*'audio', 'text', 'video': it would do nothing"):
        MultimodalClassifier(method, **SGD).fit(X, y)
    encoders = {"audio": Convolution, "text": "auto", "video": "auto"}
    with pytest.warns(UserWarning, match="the encoders of 'text', 'video', which stay"):
        MultimodalClassifier(method, encoders=encoders, **SGD).fit(X, y)


def test_many_networks_at_once_are_a_loop():
    """Parameters (K, ...) and scores (K, M) give what each network gives by itself."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    names, K = ("a", "b", "c"), 4
    gradients = {m: [draw(K, 5, 3), draw(K, 5), draw(K, 1, 1)] for m in names}
    scores = draw(K, 3).square() + 0.1
    noise = [draw(K, 5, 3) for _ in names]

    def run(scores, gradients, noise, n_leading):
        parameters = {}
        for m, gs in gradients.items():
            ps = [nn.Parameter(torch.zeros_like(g)) for g in gs]
            for p, g in zip(ps, gs, strict=True):
                p.grad = g.clone()
            parameters[m] = EncoderParameters(ps, ps)
        epoch = SimpleNamespace(active=dict.fromkeys(names, True), parameters=parameters)
        draws, recorded = iter(noise), {}
        batch = SimpleNamespace(
            scores=scores, present=None, epoch=epoch, modalities=names, n_leading=n_leading,
            gradient_scale=1.0, record=recorded.__setitem__,
            draw_normal=lambda like: next(draws).clone(),
        )  # fmt: skip
        OGMGE(alpha=0.4).on_gradients(batch)
        return [p.grad for m in names for p in parameters[m].regulated], recorded["modulation"]

    together, factors = run(scores, gradients, noise, 1)
    assert factors.shape == (K, 3) and (factors < 1).any()
    for k in range(K):
        own = {m: [g[k] for g in gs] for m, gs in gradients.items()}
        alone, factor = run(scores[k], own, [n[k] for n in noise], 0)
        torch.testing.assert_close(factors[k], factor, rtol=0, atol=0)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[k], b, rtol=1e-13, atol=0)


def test_it_refuses_a_regressor(trimodal):
    with pytest.raises(ValueError, match=r"OGMGE .*is defined for classification only"):
        MultimodalRegressor(OGMGE(), **SGD).fit(trimodal[0], np.arange(90.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1.0}, "The 'alpha' parameter of OGMGE must be a float in"),
        ({"noise": 1}, "The 'noise' parameter of OGMGE must be a bool. Got 1"),
        ({"layers": "all"}, "The 'layers' parameter of OGMGE must be one of 'matrices'"),
    ],
)
def test_bad_settings_are_refused_by_name(trimodal, settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MultimodalClassifier(OGMGE(**settings), **SGD).fit(*trimodal)


def test_it_is_a_method_by_name_and_its_preset_sets_it():
    clf = MultimodalClassifier("ogm-ge", method__alpha=0.1)
    assert clf.get_params()["method__alpha"] == 0.1
    published = OGMGE(**presets.method_settings(presets.OGM_GE))
    assert (published.alpha, published.noise, published.layers) == (0.8, True, "convolutions")
    assert presets.OGM_GE["active"] == range(51)


def test_its_preset_fits_and_epochs_outside_are_joint_training(trimodal):
    X, y = trimodal
    X = {"a": X["audio"], "b": X["audio"][:, :, ::-1].copy() + X["text"][:, :1, None]}
    settings = {**SGD, "encoders": Convolution, "fisher": None}
    fit = MultimodalClassifier("ogm-ge", **{**presets.OGM_GE, "active": range(1)}, **settings)
    curves = fit.fit(X, y).curves_["modulation"]
    assert all((k[1:] == 1).all() for k in curves.values())
    assert any(k[0] < 1 for k in curves.values())
