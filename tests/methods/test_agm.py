"""AGM: responses, factors, running means and clipping."""

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import AGM, Joint, MultimodalClassifier, MultimodalRegressor, presets
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 3,
    "random_state": 0,
    "dtype": "float64",
}


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in method_checks(AGM())])
def test_passes_check_method(check):
    check()


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(c, id=n)
        for n, c in method_checks(AGM(zero="inputs"))
        if n in ("check_fusions", "check_missing_modalities", "check_random_state", "check_pickle")
    ],
)
def test_with_inputs_of_zeros_it_passes_those_that_depend_on_it(check):
    check()


def weights(clf):
    return {n: p.detach().clone() for n, p in clf.module_.named_parameters()}


class Watched(AGM):
    """Keeps of each batch what a look at it gives, before and after the step's gradients."""

    seen = []

    def loss(self, batch):
        loss = super().loss(batch)
        self._joint = torch.autograd.grad(
            batch.joint_loss,
            list(batch.network.parameters()),
            retain_graph=True,
            allow_unused=True,
        )
        self._responses_now = self._responses(batch).detach()
        return loss

    def on_gradients(self, batch):
        def gradients():
            named = batch.network.named_parameters()
            return {n: p.grad.clone() for n, p in named if p.grad is not None}

        names = [n for n, _ in batch.network.named_parameters()]
        before = gradients()
        super().on_gradients(batch)
        Watched.seen.append(
            {
                "joint": dict(zip(names, self._joint, strict=True)),
                "before": before,
                "after": gradients(),
                "factors": batch.recorded["modulation", batch.modalities],
                "responses": self._responses_now,
                "logits": batch.logits.detach(),
                "target": batch.target,
                "network": batch.network,
            }
        )
        self._joint = self._responses_now = None


def watch(X, y, settings=None, **options):
    Watched.seen = []
    MultimodalClassifier(Watched(**options), **{**SGD, **(settings or {})}).fit(X, y)
    return Watched.seen


@pytest.mark.parametrize("zero", ["features", "inputs"])
@pytest.mark.parametrize("fusion", ["concat", "sum", "mlp"])
@pytest.mark.parametrize("prior", [False, True])
def test_responses_add_up_to_the_joint_logits(trimodal, zero, fusion, prior):
    settings = {"fusion": fusion, "max_epochs": 1, "prior_offset": prior}
    for found in watch(*trimodal, settings=settings, zero=zero):
        expected = found["logits"]
        if prior:
            expected = expected - found["network"].log_prior
        torch.testing.assert_close(found["responses"].sum(0), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("zero", ["features", "inputs"])
def test_without_strength_it_is_joint_training(trimodal, zero):
    X, y = trimodal
    off = MultimodalClassifier(AGM(alpha=0.0, clip=None, zero=zero), **SGD).fit(X, y)
    joint = weights(MultimodalClassifier("joint", **SGD).fit(X, y))
    for name, value in weights(off).items():
        torch.testing.assert_close(value, joint[name], rtol=1e-12, atol=1e-14)
    assert all((c == 1).all() for c in off.curves_["modulation"].values())


def test_one_modality_is_trained_as_usual(trimodal):
    X, y = trimodal
    X = {"text": X["text"]}
    joint = weights(MultimodalClassifier("joint", **SGD).fit(X, y))
    for zero in ("features", "inputs"):
        one = MultimodalClassifier(AGM(zero=zero, clip=None), **SGD).fit(X, y)
        for name, value in weights(one).items():
            torch.testing.assert_close(value, joint[name], rtol=1e-12, atol=1e-14)


def test_with_an_additive_fusion_encoders_and_head_blocks_are_scaled(trimodal):
    """The closed form: block W_m and encoder m by c_m, the bias by the mean of c."""
    for found in watch(*trimodal, alpha=2.0, clip=None):
        c = dict(zip(("audio", "text", "video"), found["factors"], strict=True))
        assert len({round(v.item(), 6) for v in c.values()}) > 1
        for name, g in found["after"].items():
            plain = found["joint"][name]
            if name == "head.bias":
                expected = plain * found["factors"].mean()
            elif name == "head.weight":
                blocks = plain.split(list(found["network"].widths.values()), dim=1)
                expected = torch.cat(
                    [k * b for k, b in zip(c.values(), blocks, strict=True)], dim=1
                )
            else:
                expected = c[name.split(".")[0].removeprefix("encoder_")] * plain
            torch.testing.assert_close(g, expected, rtol=1e-9, atol=1e-14)


def test_all_coalitions_of_features_give_what_the_closed_form_gives(trimodal, monkeypatch):
    from inforeg_sk.network.builtin_fusions import Concat

    closed = MultimodalClassifier(AGM(alpha=2.0), **SGD).fit(*trimodal)
    monkeypatch.setattr(Concat, "additive", False)
    general = MultimodalClassifier(AGM(alpha=2.0), **SGD).fit(*trimodal)
    for name, value in weights(general).items():
        torch.testing.assert_close(value, weights(closed)[name], rtol=1e-9, atol=1e-12)


def test_running_means_and_factors_follow_the_rule(trimodal):
    """Sequentially, with numpy, from the responses of the batches of all epochs."""
    fit = MultimodalClassifier(AGM(alpha=1.5, cap=0.01), **SGD)
    seen = watch(*trimodal, alpha=1.5, cap=0.01)
    fit.fit(*trimodal)
    S, rows = np.zeros(3), []
    for n, found in enumerate(seen, start=1):
        p = found["responses"].softmax(dim=2).numpy()[:, range(30), found["target"].numpy()]
        s = -np.log(np.maximum(p, 1e-8)).mean(axis=1)
        r, tau = (np.exp((v.sum() - v) / 2 - v) for v in (s, S))
        c = np.exp(1.5 * np.minimum(tau - r, 0.01))
        np.testing.assert_allclose(found["factors"].numpy(), c, rtol=1e-9)
        rows.append(c)
        S = S * (n - 1) / n + s / n
    assert (np.max(rows) - 1) < 0.016 and np.min(rows) < 1
    np.testing.assert_allclose(fit.method_.running_losses_.numpy(), S, rtol=1e-9)
    assert fit.method_.n_scored_.tolist() == [9.0] * 3
    curve = np.array([fit.curves_["modulation"][m] for m in ("audio", "text", "video")])
    np.testing.assert_allclose(curve, np.reshape(rows, (3, 3, 3)).mean(axis=1).T, rtol=1e-9)


def test_zeroed_inputs_give_the_shapley_values_of_three_runs_by_hand(trimodal):
    X, y = trimodal
    X = {"text": X["text"], "video": X["video"]}

    class ByHand(AGM):
        found = []

        def loss(self, batch):
            loss = super().loss(batch)
            both = batch.logits
            one, two = (batch.coalition_logits([m], zero="inputs") for m in batch.modalities)
            expected = torch.stack([(both - two + one) / 2, (both - one + two) / 2])
            self.found.append((self._responses(batch).detach(), expected.detach()))
            return loss

    for fusion in ("concat", "mlp"):
        MultimodalClassifier(ByHand(zero="inputs"), fusion=fusion, **SGD).fit(X, y)
    assert len(ByHand.found) == 18
    for got, expected in ByHand.found:
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-13)


def test_gradients_are_those_of_the_weighted_responses(trimodal):
    """Of sum_m c_m <g, phi_m>, with g and c held, also where encoders of zeros are not zero."""

    class Checked(AGM):
        checked = 0

        def loss(self, batch):
            loss = super().loss(batch)
            c = batch.recorded["modulation", batch.modalities]
            (g,) = torch.autograd.grad(batch.joint_loss, batch.logits, retain_graph=True)
            used = list(batch.network.parameters())
            phi = self._responses(batch)
            value = sum(c[m] * (g * phi[m]).sum() for m in range(3))
            expected = torch.autograd.grad(value, used, retain_graph=True)
            got = torch.autograd.grad(loss, used, retain_graph=True)
            for a, b in zip(got, expected, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-13)
            torch.testing.assert_close(loss, batch.joint_loss, rtol=0, atol=0)
            Checked.checked += 1
            return loss

    for fusion in ("concat", "mlp"):
        MultimodalClassifier(Checked(zero="inputs"), fusion=fusion, **SGD).fit(*trimodal)
    assert Checked.checked == 18


@pytest.mark.parametrize("clip", [None, 1e-3, 1e3])
def test_the_norm_of_all_gradients_is_clipped_where_the_head_has_a_large_one(trimodal, clip):
    for found in watch(*trimodal, clip=clip):
        before, after = found["before"], found["after"]
        norm = torch.cat([g.flatten() for g in before.values()]).norm()
        share = 1.0 if clip != 1e-3 else clip / (norm + 1e-6)
        assert share < 1 or clip != 1e-3
        for name, g in after.items():
            torch.testing.assert_close(g, share * before[name], rtol=1e-12, atol=0)


def test_a_large_norm_without_a_large_element_of_the_head_is_not_clipped(trimodal):
    X, y = trimodal
    for found in watch(X, y):
        clip = found["before"]["head.weight"].abs().max().item() * 1.01
        break
    first = watch(X, y, clip=clip)[0]
    norm = torch.cat([g.flatten() for g in first["before"].values()]).norm()
    assert norm > clip
    assert all(torch.equal(g, first["before"][n]) for n, g in first["after"].items())


class Normed(nn.Sequential):
    def __init__(self, input_shape):
        d = int(np.prod(input_shape))
        super().__init__(nn.Flatten(), nn.Linear(d, 4), nn.BatchNorm1d(4), nn.ReLU())


def test_zeroed_passes_leave_running_statistics_and_the_mode_alone(trimodal):
    """With alpha 0 a network with batch norm is that of joint training, buffers included."""
    X, y = trimodal
    method = AGM(alpha=0.0, zero="inputs", clip=None)
    off = MultimodalClassifier(method, encoders=Normed, **SGD).fit(X, y).module_.state_dict()
    joint = MultimodalClassifier("joint", encoders=Normed, **SGD).fit(X, y).module_.state_dict()
    assert any("running_mean" in name for name in off)
    for name, value in off.items():
        torch.testing.assert_close(value, joint[name], rtol=1e-12, atol=1e-14)


def test_encoders_run_three_times_a_batch_however_many_coalitions(trimodal):
    calls = []

    class Counted(nn.Sequential):
        def __init__(self, input_shape):
            super().__init__(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), 4))

        def forward(self, x):
            calls.append(self.training)
            return super().forward(x)

    settings = {**SGD, "max_epochs": 1, "fisher": None, "encoders": Counted}
    X, y = trimodal
    MultimodalClassifier(Joint(), **settings).fit(X, y)
    before = len(calls)
    MultimodalClassifier(AGM(zero="inputs"), **settings).fit(X, y)
    # Of three encoders in three batches.
    assert len(calls) - 2 * before == 2 * 3 * 3
    assert calls[before:].count(True) == calls[:before].count(True)


def test_missing_modalities_have_the_factor_1_and_keep_their_running_mean(trimodal):
    X, y = trimodal
    X = {m: x.copy() for m, x in X.items()}
    X["text"][:60] = np.nan
    fixed = {"missing": "allow", "iterator_train__shuffle": False}
    for zero in ("features", "inputs"):
        fit = MultimodalClassifier(AGM(zero=zero), **SGD, **fixed).fit(X, y)
        assert fit.method_.n_scored_.tolist() == [9.0, 3.0, 9.0]
        Watched.seen = []
        MultimodalClassifier(Watched(zero=zero), **SGD, **fixed).fit(X, y)
        text = [found["factors"][1].item() for found in Watched.seen]
        assert text[:2] == [1.0, 1.0] and text[2] != 1.0


def test_modalities_that_are_not_active_have_the_factor_1(trimodal, monkeypatch):
    from inforeg_sk.methods.context import EpochContext

    start = EpochContext.__init__

    def begin(self, *args, **kwargs):
        start(self, *args, **kwargs)
        self.active = {"audio": self.index == 0, "text": False, "video": False}

    monkeypatch.setattr(EpochContext, "__init__", begin)
    fit = MultimodalClassifier(AGM(), **SGD).fit(*trimodal)
    curves = fit.curves_["modulation"]
    assert (curves["text"] == 1).all() and (curves["video"] == 1).all()
    assert (curves["audio"] == 1).tolist() == [False, True, True]
    assert fit.method_.n_scored_.tolist() == [3.0] * 3  # responses are not computed outside


def test_too_many_modalities_are_refused_unless_no_coalition_is_needed():
    rng = np.random.default_rng(0)
    X = {f"m{i}": rng.normal(size=(40, 2)) for i in range(9)}
    y = rng.integers(0, 2, 40)
    message = "AGM evaluates all coalitions of modalities, and 9 modalities have 511: at most 8"
    for method, fusion in ((AGM(zero="inputs"), "concat"), (AGM(), "mlp")):
        with pytest.raises(ValueError, match=message):
            MultimodalClassifier(method, fusion=fusion, **SGD).fit(X, y)
    MultimodalClassifier(AGM(), **SGD).fit(X, y)


def test_it_refuses_a_regressor(trimodal):
    with pytest.raises(ValueError, match=r"AGM .*is defined for classification only"):
        MultimodalRegressor(AGM(), **SGD).fit(trimodal[0], np.arange(90.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -0.5}, "The 'alpha' parameter of AGM must be a float in"),
        ({"cap": -1}, "The 'cap' parameter of AGM must be a float in"),
        ({"clip": 0.0}, "The 'clip' parameter of AGM must be a float in"),
        ({"zero": "weights"}, "The 'zero' parameter of AGM must be one of 'features'"),
    ],
)
def test_bad_settings_are_refused_by_name(trimodal, settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MultimodalClassifier(AGM(**settings), **SGD).fit(*trimodal)


def test_its_preset_sets_it():
    published = AGM(**presets.method_settings(presets.AGM))
    assert (published.alpha, published.cap, published.zero) == (1.0, 10.0, "inputs")
    assert presets.AGM["active"] == range(20)
