"""MMPareto: what encoders and heads get, by hand and against the baselines."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from inforeg_sk import Joint, MMPareto, MultimodalClassifier, MultimodalRegressor, presets
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


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in method_checks(MMPareto())])
def test_passes_check_method(check):
    check()


def weights(clf):
    return {n: p.detach().clone() for n, p in clf.module_.named_parameters()}


def assert_close_weights(first, second, rtol=1e-10):
    a, b = weights(first), weights(second)
    assert set(a) == set(b)
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=rtol, atol=1e-13)


class Summed(Joint):
    """Plain training on the sum of all losses, encoders by a larger step."""

    closed_form = batchable = False

    def __init__(self, gamma=1.0):
        self.gamma = gamma

    def prepare(self, network):
        network.add_unimodal_heads()
        return network

    def loss(self, batch):
        return batch.joint_loss + sum(batch.head_losses.values())

    def on_gradients(self, batch):
        for name, p in batch.network.named_parameters():
            if name.startswith("encoder_"):
                p.grad.mul_(self.gamma)


@pytest.mark.parametrize("gamma", [1.0, 1.5])
@pytest.mark.parametrize("rescale", ["tensor", "encoder"])
def test_without_pareto_it_is_the_uniform_baseline(trimodal, gamma, rescale):
    method = MMPareto(gamma=gamma, pareto=False, rescale=rescale)
    uniform = MultimodalClassifier(method, **SGD).fit(*trimodal)
    summed = MultimodalClassifier(Summed(gamma), **SGD).fit(*trimodal)
    assert_close_weights(uniform, summed)
    assert (uniform.curves_["joint_weight"]["text"] == 0.5).all()
    a, b = uniform.curves_["fisher_trace"], summed.curves_["fisher_trace"]
    for m in a:
        np.testing.assert_allclose(a[m], b[m], rtol=1e-10)


def test_a_regressor_has_the_same_baseline(trimodal):
    X, y = trimodal
    target = np.arange(90.0) / 90 + (y == "joy")
    fits = [MultimodalRegressor(m, **SGD).fit(X, target) for m in (MMPareto(1.0, False), Summed())]
    assert_close_weights(*fits)


class Watched(MMPareto):
    """Keeps both gradients of each encoder, and all gradients before and after."""

    seen = []

    def loss(self, batch):
        self._pairs = {}
        for m, own in batch.head_losses.items():
            used = batch.epoch.parameters[m].regulated
            self._pairs[m] = [
                torch.autograd.grad(loss, used, retain_graph=True)
                for loss in (batch.joint_loss, own)
            ]
        return super().loss(batch)

    def on_gradients(self, batch):
        def gradients():
            return {n: p.grad.clone() for n, p in batch.network.named_parameters()}

        before = gradients()
        super().on_gradients(batch)
        Watched.seen.append((before, gradients(), self._pairs))
        self._pairs = {}


def expected_gradients(a, u, gamma, rescale):
    """The rule with numpy, one flat vector an encoder."""
    flat = [np.concatenate([g.numpy().ravel() for g in gs]) for gs in (a, u)]
    aa, uu, au = flat[0] @ flat[0], flat[1] @ flat[1], flat[0] @ flat[1]
    w = 0.5 if au > 0 else (uu - au) / (aa + uu - 2 * au)
    h = [2 * w * x.numpy() + 2 * (1 - w) * y.numpy() for x, y in zip(a, u, strict=True)]
    s = [(x + y).numpy() for x, y in zip(a, u, strict=True)]
    grown = []
    for i in range(len(h)):
        over = [i] if rescale == "tensor" else range(len(h))
        norms = [np.sqrt(sum((v[j] ** 2).sum() for j in over)) for v in (s, h)]
        grown.append(gamma * max(norms[0] / norms[1], 1) * h[i])
    return grown, w


@pytest.mark.parametrize("rescale", ["tensor", "encoder"])
def test_encoders_get_the_combination_and_heads_the_plain_sum(trimodal, rescale):
    X, y = trimodal
    y = np.random.default_rng(3).permutation(y)  # nothing to learn: gradients conflict
    Watched.seen = []
    method = Watched(gamma=1.5, rescale=rescale)
    fit = MultimodalClassifier(method, **{**SGD, "max_epochs": 5}).fit(X, y)
    shares, conflicts = {m: [] for m in X}, 0
    for before, after, pairs in Watched.seen:
        for m, (a, u) in pairs.items():
            expected, w = expected_gradients(a, u, 1.5, rescale)
            shares[m].append(w)
            conflicts += w != 0.5
            names = [n for n in after if n.startswith(f"encoder_{m}.")]
            for name, g, x, z in zip(names, expected, a, u, strict=True):
                torch.testing.assert_close(before[name], x + z, rtol=1e-10, atol=1e-15)
                torch.testing.assert_close(after[name].numpy(), g, rtol=1e-9, atol=1e-14)
        for name in after:
            if not name.startswith("encoder_"):
                torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    assert 0 < conflicts < sum(map(len, shares.values()))
    for m, curve in fit.curves_["joint_weight"].items():
        np.testing.assert_allclose(curve, np.reshape(shares[m], (5, 3)).mean(axis=1), rtol=1e-9)
        assert (abs(fit.curves_["cosine"][m]) <= 1).all()


class Louder(Callback):
    """Makes a unimodal head's weights larger before training."""

    def on_train_begin(self, net, **kwargs):
        net.module_.unimodal_heads["audio"].weight.data.mul_(5)


def test_encoders_are_independent_of_the_heads_of_others(trimodal):
    one = {**SGD, "max_epochs": 1, "batch_size": -1}
    plain = weights(MultimodalClassifier(MMPareto(), **one).fit(*trimodal))
    louder = MultimodalClassifier(MMPareto(), **one, callbacks=[Louder()]).fit(*trimodal)
    for name, value in weights(louder).items():
        touched = name.startswith(("encoder_audio.", "unimodal_head_audio."))
        assert torch.equal(value, plain[name]) is not touched, name


def test_each_encoder_has_two_backward_passes_a_batch(trimodal):
    passes = {}

    class Count(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, key):
            ctx.key = key
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            passes[ctx.key] = passes.get(ctx.key, 0) + 1
            return grad, None

    class Counted(nn.Linear):
        def __init__(self, input_shape):
            super().__init__(input_shape[0], 4)

        def forward(self, x):
            return Count.apply(super().forward(x), id(self))

    X, y = trimodal
    X = {"text": X["text"], "video": X["video"]}
    MultimodalClassifier(MMPareto(), encoders=Counted, **SGD).fit(X, y)
    assert list(passes.values()) == [2 * 9] * 2  # of 9 batches


def test_a_modality_that_is_not_active_has_no_loss_of_its_own(trimodal, monkeypatch):
    from inforeg_sk.methods.context import EpochContext

    start = EpochContext.__init__

    def begin(self, *args, **kwargs):
        start(self, *args, **kwargs)
        self.active = {"audio": self.index == 1, "text": False, "video": False}

    monkeypatch.setattr(EpochContext, "__init__", begin)
    Watched.seen = []
    fit = MultimodalClassifier(MMPareto(), **SGD).fit(*trimodal)
    known = {m: np.isfinite(c).tolist() for m, c in fit.curves_["cosine"].items()}
    assert known == {"text": [False] * 3, "audio": [False, True, False], "video": [False] * 3}
    start_heads = MultimodalClassifier(MMPareto(), **{**SGD, "lr": 0.0}).fit(*trimodal)
    first, now = weights(start_heads), weights(fit)
    moved = {n.split(".")[0] for n in now if not torch.equal(first[n], now[n])}
    assert moved == {
        "encoder_audio", "encoder_text", "encoder_video", "head", "unimodal_head_audio",
    }  # fmt: skip


def test_parameters_that_modalities_share_get_the_plain_sum(trimodal):
    X, y = trimodal
    X = {"a": X["text"][:, :3], "b": X["video"]}
    shared = nn.Linear(3, 4)

    class Sharing(nn.Module):
        def __init__(self, input_shape):
            super().__init__()
            self.shared, self.own = shared, nn.Linear(4, 4)

        def forward(self, x):
            return self.own(torch.tanh(self.shared(x)))

    start = {n: v.clone() for n, v in shared.state_dict().items()}
    moved = []
    for method in (MMPareto(gamma=2.0), Summed()):
        shared.load_state_dict(start)
        shared.float()
        settings = {**SGD, "batch_size": -1, "max_epochs": 1, "encoders": Sharing}
        moved.append(weights(MultimodalClassifier(method, **settings).fit(X, y)))
    for name in ("encoder_a.shared.weight", "encoder_a.shared.bias"):
        torch.testing.assert_close(moved[0][name], moved[1][name], rtol=1e-10, atol=1e-13)
    assert not torch.allclose(moved[0]["encoder_a.own.weight"], moved[1]["encoder_a.own.weight"])


def test_one_modality_trains(trimodal):
    X, y = trimodal
    fit = MultimodalClassifier(MMPareto(), **SGD).fit({"text": X["text"]}, y)
    assert fit.score({"text": X["text"]}, y) > 0.5


def test_many_networks_at_once_are_a_loop():
    """With losses (K,) and parameters (K, ...), as in training many networks as one."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    names, K = ("a", "b"), 5
    start = {m: [draw(K, 4, 3), draw(K, 4), draw(K, 1, 1)] for m in names}
    heads = draw(K, 4)

    def run(values, head, n_leading):
        parameters = {m: [nn.Parameter(v.clone()) for v in vs] for m, vs in values.items()}
        head = nn.Parameter(head.clone())
        x = torch.linspace(-1, 1, 3, dtype=torch.float64)

        def feature(m):
            w, b, s = parameters[m]
            return torch.tanh(w @ x + b) * s[..., 0]

        joint = ((feature("a") - 2 * feature("b")) * head).sum(-1).square()
        own = {"a": (feature("a") - 1).square().sum(-1), "b": feature("b").sum(-1).cos()}
        recorded = {}
        batch = SimpleNamespace(
            modalities=names, n_leading=n_leading, gradient_scale=1.0,
            joint_loss=joint, head_losses=own, record=recorded.__setitem__,
            epoch=SimpleNamespace(
                active=dict.fromkeys(names, True),
                parameters={m: EncoderParameters(p, p) for m, p in parameters.items()},
            ),
            network=SimpleNamespace(
                parameters=lambda: [head, *(p for ps in parameters.values() for p in ps)]
            ),
            criterion=nn.CrossEntropyLoss(),
            gradients=lambda loss, ps: torch.autograd.grad(
                loss.sum(), ps, retain_graph=True, allow_unused=True
            ),
        )  # fmt: skip
        method = MMPareto(gamma=1.3)
        loss = method.loss(batch)
        torch.testing.assert_close(loss, joint + own["a"] + own["b"], rtol=1e-14, atol=0)
        loss.sum().backward()
        method.on_gradients(batch)
        return [p.grad for ps in (*parameters.values(), [head]) for p in ps], recorded

    together, curves = run(start, heads, 1)
    assert curves["joint_weight"].shape == (K, 2)
    assert 0 < (curves["joint_weight"] != 0.5).sum() < 2 * K
    for k in range(K):
        alone, curve = run({m: [v[k] for v in vs] for m, vs in start.items()}, heads[k], 0)
        for name in ("cosine", "joint_weight"):
            torch.testing.assert_close(curves[name][k], curve[name], rtol=1e-12, atol=1e-14)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[k], b, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 0}, "The 'gamma' parameter of MMPareto must be a float in"),
        ({"pareto": "yes"}, "The 'pareto' parameter of MMPareto must be a bool"),
        ({"rescale": "layer"}, "The 'rescale' parameter of MMPareto must be one of 'tensor'"),
    ],
)
def test_bad_settings_are_refused_by_name(trimodal, settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MultimodalClassifier(MMPareto(**settings), **SGD).fit(*trimodal)


def test_it_is_a_method_by_name_and_its_preset_sets_it(trimodal):
    clf = MultimodalClassifier("mmpareto", **presets.MMPARETO, **SGD).fit(*trimodal)
    assert (clf.method_.gamma, clf.method_.pareto, clf.method_.rescale) == (1.5, True, "tensor")
