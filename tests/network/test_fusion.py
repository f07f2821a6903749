"""Fusions and unimodal logits: the sum that they are, the passes that they replace."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import InfoReg, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.network import Concat, Dropout, zeroed_unimodal_logits
from inforeg_sk.network.fusion import build_fusion

WIDTHS = {"a": 3, "b": 5, "c": 2}


@pytest.fixture
def features():
    torch.manual_seed(0)
    return {name: torch.randn(7, width, dtype=torch.float64) for name, width in WIDTHS.items()}


class Gate(nn.Module):
    """A user's fusion: a gated sum of projections, not additive in the modalities."""

    def __init__(self, widths, units=6):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, 2 * units) for width in widths.values())

    def forward(self, features):
        value, gate = sum(m(z) for m, z in zip(self.maps, features.values())).chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class Noisy(Gate):
    """The same with everything that has a state: batch normalisation and both dropouts."""

    def __init__(self, widths, units=6):
        super().__init__(widths, units)
        self.norm = nn.BatchNorm1d(units)
        self.drop = nn.Sequential(nn.Dropout(0.5), Dropout(0.5))

    def forward(self, features):
        return self.drop(self.norm(super().forward(features)))


# Concat


def test_concat_joins_in_its_own_order(features):
    shuffled = dict(reversed(features.items()))
    joined = Concat(WIDTHS)(shuffled)
    expected = np.concatenate([features[name].numpy() for name in "abc"], axis=1)
    np.testing.assert_array_equal(joined, expected)


def test_unimodal_logits_add_up(features):
    head = nn.Linear(10, 4, dtype=torch.float64)
    fusion = Concat(WIDTHS)
    logits = fusion.unimodal_logits(features, head)
    assert list(logits) == ["a", "b", "c"]
    joint = head(fusion(features))
    torch.testing.assert_close(sum(logits.values()), joint, rtol=0, atol=1e-12)
    W, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    for name, columns in {"a": slice(0, 3), "b": slice(3, 8), "c": slice(8, 10)}.items():
        expected = features[name].numpy() @ W[:, columns].T + bias / 3
        np.testing.assert_allclose(logits[name].detach(), expected, rtol=0, atol=1e-12)


def test_unimodal_logits_carry_gradients(features):
    head = nn.Linear(10, 4, dtype=torch.float64)
    z = {name: value.clone().requires_grad_() for name, value in features.items()}
    Concat(WIDTHS).unimodal_logits(z, head)["b"].sum().backward()
    np.testing.assert_allclose(z["b"].grad[0], head.weight[:, 3:8].detach().sum(0))
    assert z["a"].grad is None
    assert head.weight.grad[:, :3].abs().sum() == 0 < head.weight.grad[:, 3:8].abs().sum()


def test_unimodal_logits_of_a_trained_model_add_up(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(max_epochs=2, dtype="float64", random_state=0).fit(X, y)
    module = clf.module_.eval()
    batch = {name: torch.tensor(X[name]) for name in X}
    output = module(batch)
    parts = module.unimodal_logits(output.features)
    torch.testing.assert_close(sum(parts.values()), output.logits, rtol=0, atol=1e-12)
    proba = output.logits.softmax(1).detach().numpy()
    np.testing.assert_allclose(clf.predict_proba(X), proba, atol=1e-12)
    for name, p in clf.predict_proba_by_modality(X).items():
        np.testing.assert_allclose(p, parts[name].softmax(1).detach(), atol=1e-12)


# The other modalities set to zero


def brute_force(fusion, head, features):
    """One pass a modality, spelt out, with copies that are in evaluation mode."""
    fusion, head = copy.deepcopy(fusion).eval(), copy.deepcopy(head).eval()
    return {
        name: head(
            fusion({n: z if n == name else torch.zeros_like(z) for n, z in features.items()})
        )
        for name in features
    }


@pytest.mark.parametrize("kind", [Gate, Noisy])
@pytest.mark.parametrize("training", [True, False])
def test_zeroed_logits_by_brute_force(features, kind, training):
    fusion = kind(WIDTHS).double().train(training)
    head = nn.Linear(6, 4, dtype=torch.float64)
    got = zeroed_unimodal_logits(fusion, head, features)
    expected = brute_force(fusion, head, features)
    assert list(got) == ["a", "b", "c"]
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], rtol=0, atol=1e-12)
    joint = head(fusion.eval()(features))
    assert not torch.allclose(sum(got.values()), joint)  # this fusion is no sum


def test_zeroed_logits_leave_no_trace(features):
    fusion = Noisy(WIDTHS).double()
    head = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 4)).double()
    fusion.maps[1].eval()  # modes differ from part to part, and stay so
    modes = [m.training for part in (fusion, head) for m in part.modules()]
    state = copy.deepcopy([fusion.state_dict(), head.state_dict()])
    rng = torch.get_rng_state()
    zeroed_unimodal_logits(fusion, head, features)
    assert torch.equal(torch.get_rng_state(), rng) and fusion.drop[1].generator is None
    for part, before in zip((fusion, head), state, strict=True):
        assert all(torch.equal(v, before[k]) for k, v in part.state_dict().items())
    assert modes == [m.training for part in (fusion, head) for m in part.modules()]
    assert True in modes and False in modes


def test_zeroed_logits_restore_modes_after_an_error(features):
    fusion, head = Noisy(WIDTHS).double(), nn.Linear(99, 4)
    with pytest.raises(RuntimeError):
        zeroed_unimodal_logits(fusion, head, features)
    assert all(m.training for part in (fusion, head) for m in part.modules())


def test_zeroed_logits_carry_gradients(features):
    fusion, head = Gate(WIDTHS).double(), nn.Linear(6, 4, dtype=torch.float64)
    z = {name: value.clone().requires_grad_() for name, value in features.items()}
    zeroed_unimodal_logits(fusion, head, z)["b"].sum().backward()
    assert z["b"].grad.abs().sum() > 0 and z["a"].grad is None
    assert head.weight.grad is not None


def test_zeroed_logits_by_central_differences(features):
    """The gradient of the unimodal loss term, without autograd."""
    fusion, head = Noisy(WIDTHS).double(), nn.Linear(6, 4, dtype=torch.float64)
    z = {name: value.clone().requires_grad_() for name, value in features.items()}

    def loss():
        return sum(u.logsumexp(1).sum() for u in zeroed_unimodal_logits(fusion, head, z).values())

    loss().backward()
    with torch.no_grad():
        value, h = z["c"], 1e-6
        value[2, 1] += h
        up = loss()
        value[2, 1] -= 2 * h
        down = loss()
    assert (up - down).item() / (2 * h) == pytest.approx(z["c"].grad[2, 1].item(), rel=1e-6)


# How fusions are made


def test_specifications():
    assert isinstance(build_fusion("concat", WIDTHS, {}), Concat)
    assert isinstance(build_fusion(Concat, WIDTHS, {}), Concat)
    made = build_fusion(Gate, WIDTHS, {"units": 9})
    assert made.maps[0].out_features == 18
    assert isinstance(build_fusion(lambda widths: Gate(widths, 2), WIDTHS, {}), Gate)
    given = Gate(WIDTHS)
    copied = build_fusion(given, WIDTHS, {})
    assert copied is not given
    assert torch.equal(copied.maps[0].weight, given.maps[0].weight)
    assert copied.maps[0].weight is not given.maps[0].weight


class NoArguments(nn.Module):
    def __init__(self):
        super().__init__()


@pytest.mark.parametrize(
    "fusion, settings, error, words",
    [
        (
            "sums",
            {},
            ValueError,
            ["'fusion' parameter", "'concat', 'mlp', 'sum', 'gated', 'film'", "Got 'sums'"],
        ),
        ("concatt", {}, ValueError, ["Got 'concatt'; did you mean 'concat'?"]),
        (3, {}, TypeError, ["'fusion' parameter", "'concat'", "callable", "Got 3."]),
        (None, {}, TypeError, ["'fusion' parameter", "Got None."]),
        ("concat", {"units": 3}, ValueError, ["fusion__units", "no settings"]),
        (
            "sum",
            {"widht": 3},
            ValueError,
            ["fusion__widht", "takes width", "did you mean 'width'?"],
        ),
        ("sum", {"widths": {}}, ValueError, ["fusion__widths", "takes width"]),
        (Gate, {"unit": 3}, ValueError, ["fusion__unit", "takes units", "did you mean 'units'?"]),
        (Gate(WIDTHS), {"units": 3}, ValueError, ["instance", "fusion__units"]),
        (lambda widths: 3, {}, TypeError, ["fusion made int", "torch module"]),
        (NoArguments, {}, TypeError, ["could not be made", "positional"]),
        (lambda widths: widths["lost"], {}, ValueError, ["could not be made: 'lost'"]),
    ],
)
def test_bad_specifications(fusion, settings, error, words):
    with pytest.raises(error) as info:
        build_fusion(fusion, WIDTHS, settings)
    for word in words:
        assert word in str(info.value)


# From end to end


@pytest.mark.parametrize("kind", [Gate, Noisy])
@pytest.mark.parametrize("unimodal_weight", [0.0, 1.0])
def test_a_users_fusion_trains(trimodal, kind, unimodal_weight):
    X, y = trimodal
    clf = MultimodalClassifier(
        InfoReg(alpha=1.0, unimodal_weight=unimodal_weight, window_threshold=-np.inf),
        fusion=kind,
        fusion__units=5,
        max_epochs=5,
        lr=0.01,
        random_state=0,
    ).fit(X, y)
    fusion = clf.module_.fusion
    assert type(fusion) is kind and fusion.maps[0].out_features == 10
    assert clf.head_.in_features == 5
    losses = clf.history[:, "train_objective"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert any(clf.curves_["coefficient"][name].any() for name in X)  # it was regulated
    # By modality: what the network says with the other features set to zero.
    module = clf.module_.eval()
    features = module.encode({name: torch.tensor(X[name], dtype=torch.float32) for name in X})
    for name, logits in brute_force(module.fusion, module.head, features).items():
        np.testing.assert_allclose(
            clf.predict_proba_by_modality(X)[name], logits.double().softmax(1).detach(), atol=1e-6
        )


def test_the_objective_has_the_unimodal_losses(trimodal):
    """With a learning rate of zero the objective can be said from the untrained network."""
    X, y = trimodal
    settings = {"fusion": Gate, "lr": 0.0, "max_epochs": 1, "random_state": 0, "dtype": "float64"}
    clf = MultimodalInfoRegClassifier(unimodal_weight=0.7, batch_size=-1, **settings).fit(X, y)
    index = np.searchsorted(clf.classes_, y)
    rows = np.arange(len(y))

    def cross_entropy(proba):
        return -np.log(proba[rows, index]).mean()

    joint = cross_entropy(clf.predict_proba(X))
    unimodal = sum(cross_entropy(p) for p in clf.predict_proba_by_modality(X).values())
    assert clf.history[0, "train_loss"] == pytest.approx(joint, rel=1e-10)
    assert clf.history[0, "train_objective"] == pytest.approx(joint + 0.7 * unimodal, rel=1e-10)


def test_a_users_fusion_without_randomness_leaves_running_statistics_to_the_joint_pass(trimodal):
    """The passes for unimodal logits add no updates: one a training batch, as without them."""
    X, y = trimodal
    counts = []
    for unimodal_weight in (0.0, 1.0):
        clf = MultimodalInfoRegClassifier(
            unimodal_weight=unimodal_weight, fusion=Noisy, max_epochs=2, batch_size=30
        ).fit(X, y)
        clf.predict(X), clf.score_by_modality(X, y)
        counts.append(clf.module_.fusion.norm.num_batches_tracked.item())
    assert counts == [6, 6]


@pytest.mark.parametrize("method", ["joint", "inforeg"])
def test_an_instance_is_copied_for_each_fit(trimodal, method):
    X, y = trimodal
    given = Gate({"audio": 64, "text": 64, "video": 64})
    before = copy.deepcopy(given.state_dict())
    clf = MultimodalClassifier(method, fusion=given, max_epochs=2, lr=0.1, random_state=0)
    proba = clf.fit(X, y).predict_proba(X)
    assert all(torch.equal(v, before[k]) for k, v in given.state_dict().items())
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), proba)


class Votes(nn.Module):
    """A sum of projections that gives the unimodal logits itself, in any order."""

    def __init__(self, widths, backwards=False):
        super().__init__()
        self.maps = nn.ModuleDict({name: nn.Linear(width, 6) for name, width in widths.items()})
        self.backwards = backwards

    def forward(self, features):
        return sum(self.maps[name](z) for name, z in features.items())

    def unimodal_logits(self, features, head):
        names = sorted(features, reverse=self.backwards)
        return {name: head(self.maps[name](features[name])) for name in names}


@pytest.mark.parametrize("missing", [False, True])
def test_the_order_of_a_fusions_unimodal_logits_does_not_matter(trimodal, missing):
    X, y = trimodal
    there = {name: np.ones(len(y), bool) for name in X}
    if missing:
        there["audio"][::3] = there["video"][1::4] = False
        for name, mask in there.items():
            X[name][~mask] = np.nan
    settings = {"missing": "allow", "max_epochs": 4, "random_state": 0, "window_threshold": -1e9}
    settings["dtype"] = "float64"
    forwards, backwards = (
        MultimodalInfoRegClassifier(fusion=Votes, fusion__backwards=flag, **settings).fit(X, y)
        for flag in (False, True)
    )
    for curve in ("performance_score", "coefficient", "fisher_trace"):
        for name in X:
            expected = forwards.curves_[curve][name]
            # The order of the sums of a gradient may differ, and nothing else.
            np.testing.assert_allclose(backwards.curves_[curve][name], expected, rtol=1e-12)
    assert any(c.any() for c in forwards.curves_["coefficient"].values())
    expected, got = (clf.predict_proba_by_modality(X) for clf in (forwards, backwards))
    for name, mask in there.items():
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12)
        np.testing.assert_array_equal(np.isnan(got[name]).all(axis=1), ~mask)
    for samples in ("common", "each"):
        assert backwards.score_by_modality(X, y, samples=samples) == (
            forwards.score_by_modality(X, y, samples=samples)
        )
