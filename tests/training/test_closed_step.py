"""Steps in closed form: equal to those that differentiate, and taken only where they may be."""

import contextlib
import math

import numpy as np
import pytest
import torch
from closed_runs import SETTINGS, assert_equal_fits, count_closed_steps, fit_both
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler, ProgressBar
from torch import nn

from inforeg_sk import (
    BalancingMethod,
    InfoReg,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
)
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.functional import numbers
from inforeg_sk.methods.monitors import Monitor
from inforeg_sk.training import DecayAdamW

ACTIVE = {"window_threshold": -1e9, "alpha": 2.0}


class Weighted(BalancingMethod):
    """Loss weights of the user's; it declares that it needs no graph."""

    closed_form = True

    def __init__(self, joint=1.0, text=0.0, audio=0.0, video=0.0):
        self.joint, self.text, self.audio, self.video = joint, text, audio, video

    def loss_weights(self, batch):
        return {k: getattr(self, k) for k in ("joint", "text", "audio", "video")}


METHODS = {
    "joint": "joint",
    "inforeg": InfoReg(unimodal_weight=1.0, **ACTIVE),
    "inforeg_joint_loss": InfoReg(unimodal_weight=0.0, **ACTIVE),
    "other_weight": InfoReg(unimodal_weight=0.7, **ACTIVE),
    "gradient_pull": InfoReg(pull="gradient", **ACTIVE),
    "layers": InfoReg(trace="layers", **ACTIVE),
    "probability": InfoReg(score="probability_sum", **ACTIVE),
    "negative_loss": InfoReg(score="negative_loss", **ACTIVE),
    "some": Weighted(joint=0.5, text=2.0),
    "no_joint": Weighted(joint=0.0, text=1.0, video=0.3),
    "scaled_joint": Weighted(joint=0.3),
    "all_alike": Weighted(0.5, 0.5, 0.5, 0.5),
    "ogm-ge": "ogm-ge",
}


@pytest.fixture
def data(trimodal):
    return trimodal


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("fisher", ["batch", None])
def test_every_method_equals_the_usual_step(data, monkeypatch, name, fisher):
    if fisher is None and "inforeg" in name + str(METHODS[name]).lower():
        pytest.skip("InfoReg needs the traces")
    assert_equal_fits(*fit_both(monkeypatch, METHODS[name], *data, fisher=fisher))


@pytest.mark.parametrize("name", ["inforeg", "inforeg_joint_loss", "some", "joint", "ogm-ge"])
@pytest.mark.parametrize("given", ["missing", "weights", "missing_and_weights", "zero_weights"])
def test_missing_modalities_and_weights_equal_the_usual_step(data, monkeypatch, name, given):
    X, y = data
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    X = {m: values.copy() for m, values in X.items()}
    if "missing" in given:
        X["text"][::3] = X["audio"][1::3] = np.nan
        X["video"][:48] = np.nan  # none in three batches
    if given == "zero_weights":
        weight[:16] = 0
    assert_equal_fits(
        *fit_both(
            monkeypatch,
            METHODS[name],
            X,
            y,
            sample_weight=None if given == "missing" else weight,
            missing="allow",
            iterator_train__shuffle=False,
            standardize=False,
        )
    )


class Own(nn.Module):
    """An encoder of the user's, with all that a chain of layers cannot be."""

    def __init__(self, input_shape, width=5):
        super().__init__()
        # Without a bias: batch normalization takes it away, and its gradient is rounding alone.
        self.inside = nn.Linear(math.prod(input_shape), width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        x = x.flatten(1)
        return torch.tanh(self.norm(self.inside(x))) + x.mean(dim=1, keepdim=True)


ENCODERS = {
    "two_layers": {"encoders__hidden": (8, 6)},
    "other_widths": {"encoders__text__hidden": 5, "encoders__audio__hidden": (9, 3)},
    "no_layer": {"encoders__hidden": ()},
    "one_has_none": {"encoders__video__hidden": ()},
    "dropout": {"encoders__dropout": 0.4},
    "dropout_in_some": {"encoders__text__dropout": 0.4, "encoders__hidden": (7, 6)},
    "own": {"encoders": {"text": Own}},
    "all_own": {"encoders": Own},
    "sequential": {"encoders": {"text": nn.Sequential(nn.ReLU(), nn.Linear(7, 4, bias=False))}},
    "linear": {"encoders": {"text": nn.Sequential(nn.Linear(7, 4))}},
    "torchs_dropout": {
        "encoders": {"text": nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Dropout(0.3))}
    },
    "prior": {"prior_offset": True},
    "not_standardized": {"standardize": False},
    "smoothing": {"criterion__label_smoothing": 0.2},
    "class_weight": {"class_weight": "balanced"},
    "modality_dropout": {"modality_dropout": 0.4},
    "one_sample_batches": {"batch_size": 1, "max_epochs": 2},
    "whole_batches": {"batch_size": -1},
    "early_stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "exact_traces": {"fisher": "sample"},
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("method", ["inforeg", "joint"])
def test_every_network_equals_the_usual_step(data, monkeypatch, name, method):
    X, y = data
    width = {m: values.shape[1] for m, values in X.items()}
    settings = ENCODERS[name]
    if "encoders" in settings and isinstance(settings["encoders"], dict):
        made = settings["encoders"]["text"]
        if isinstance(made, nn.Sequential):
            torch.manual_seed(0)
            first = next(i for i, layer in enumerate(made) if isinstance(layer, nn.Linear))
            made = nn.Sequential(*made)
            made[first] = nn.Linear(width["text"], 4, bias=made[first].bias is not None)
            settings = {"encoders": {"text": made}}
    assert_equal_fits(*fit_both(monkeypatch, METHODS[method], X, y, **settings))


@pytest.mark.parametrize("encoders", ["gru", "cnn", "transformer", "mlp"])
def test_encoders_of_sequences_equal_the_usual_step(monkeypatch, encoders):
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(40, 6, 3)), "b": rng.normal(size=(40, 4, 5))}
    y = np.arange(40) % 3
    X["a"][::4, 3:] = np.nan  # padding
    # Some biases of a transformer have no gradient but rounding, which Adam would blow up.
    sgd = {"optimizer": torch.optim.SGD, "max_epochs": 2}
    fits = fit_both(monkeypatch, METHODS["inforeg"], X, y, encoders=encoders, **sgd)
    assert_equal_fits(*fits)


def test_an_encoder_that_two_modalities_share_equals_the_usual_step(monkeypatch):
    rng = np.random.default_rng(0)
    X = {name: rng.normal(size=(40, 5)) for name in ("a", "b", "c")}
    for shared in (nn.Sequential(nn.Linear(5, 4), nn.ReLU()), Own((5,))):
        fits = fit_both(
            monkeypatch,
            METHODS["inforeg"],
            X,
            np.arange(40) % 2,
            encoders={"a": shared, "b": shared},
            encoders__hidden=4,
        )
        assert_equal_fits(*fits)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_equals_the_usual_step(data, monkeypatch, n_outputs, weighted):
    X, _ = data
    rng = np.random.default_rng(0)
    n_samples = len(next(iter(X.values())))
    y = rng.normal(size=(n_samples, n_outputs)) if n_outputs > 1 else rng.normal(size=n_samples)
    weight = rng.uniform(size=n_samples) if weighted else None
    fits = fit_both(
        monkeypatch, METHODS["inforeg"], X, y, MultimodalRegressor, sample_weight=weight
    )
    assert_equal_fits(*fits)


@pytest.mark.parametrize("part", ["head", "encoder_text", "head.bias", "encoder_text.0.weight"])
def test_frozen_parameters_stay_and_the_rest_equals_the_usual_step(data, monkeypatch, part):
    class Freezes(Callback):
        def on_train_begin(self, net, **kwargs):
            for name, p in net.module_.named_parameters():
                p.requires_grad_(not name.startswith(part))

    settings = {"callbacks": [("freezes", Freezes())]}
    closed, usual = fit_both(monkeypatch, METHODS["inforeg"], *data, **settings)
    assert_equal_fits(closed, usual)
    frozen = [p for n, p in closed.module_.named_parameters() if n.startswith(part)]
    assert frozen and all(p.grad is None for p in frozen)


def test_as_on_a_gpu_equals_python_numbers(data, monkeypatch):
    X, y = data
    X = {name: values.copy() for name, values in X.items()}
    X["text"][::3] = np.nan
    settings = {**SETTINGS, "missing": "allow"}
    for method in (METHODS["inforeg"], METHODS["gradient_pull"], METHODS["layers"]):
        numbers_ = MultimodalClassifier(method, **settings).fit(X, y)
        with monkeypatch.context() as patch:
            patch.setattr(numbers, "on_host", lambda device: False)
            tensors = MultimodalClassifier(method, **settings).fit(X, y)
        assert_equal_fits(tensors, numbers_)


OPTIMIZERS = {
    "default": {},
    "adamw": {"optimizer": torch.optim.AdamW},
    "adam": {"optimizer": torch.optim.Adam, "optimizer__weight_decay": 0.1},
    "sgd": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
    "amsgrad": {"optimizer__amsgrad": True},
    "groups": {"optimizer__param_groups": [("encoder_text.*", {"lr": 0.1, "weight_decay": 0.0})]},
    "schedule": {"callbacks": [("s", LRScheduler("StepLR", step_size=1, gamma=0.5))]},
    "clipping": {"callbacks": [("c", GradientNormClipping(0.01))]},
    "bar": {"callbacks": [("p", ProgressBar(detect_notebook=False))]},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_equals_the_usual_step(data, monkeypatch, name):
    fits = fit_both(monkeypatch, METHODS["inforeg"], *data, **OPTIMIZERS[name])
    assert_equal_fits(*fits)
    plain = MultimodalClassifier(METHODS["inforeg"], **SETTINGS).fit(*data)
    changed = any(
        not torch.equal(a, b)
        for a, b in zip(fits[0].module_.parameters(), plain.module_.parameters(), strict=True)
    )
    assert changed is (name not in ("default", "bar", "adamw")) or name == "adamw"


def test_the_optimizers_state_is_torchs(data, monkeypatch):
    closed, usual = fit_both(monkeypatch, METHODS["inforeg"], *data)
    states = [clf.optimizer_.state_dict()["state"] for clf in (closed, usual)]
    assert states[0].keys() == states[1].keys()
    for i, state in states[0].items():
        for name, value in state.items():
            torch.testing.assert_close(value, states[1][i][name], rtol=1e-10, atol=1e-14)


def test_a_hook_of_the_optimizers_sees_every_step(data):
    class Counts(Callback):
        def on_train_begin(self, net, **kwargs):
            self.seen = []
            net.optimizer_.register_step_post_hook(lambda *args: self.seen.append(1))

    counts = Counts()
    clf = MultimodalClassifier(callbacks=[("counts", counts)], **SETTINGS).fit(*data)
    n_steps = sum(clf.history[:, "train_batch_count"])
    assert len(dict(clf.callbacks_)["counts"].seen) == n_steps


# Where the usual step has to be taken


class OwnLoss(InfoReg):
    def loss(self, batch):
        return super().loss(batch) * 1.0


class NeedsGraph(InfoReg):
    closed_form = False


class Sharp(nn.CrossEntropyLoss):
    pass


class Watching(Monitor):
    curves = {}


class Watched(InfoReg):
    def monitors(self):
        return [*super().monitors(), Watching()]


class OwnAdamW(torch.optim.AdamW):
    pass


@pytest.mark.parametrize(
    "settings",
    [
        {"fusion": "sum"},
        {"fusion": "mlp"},
        {"fusion": "gated", "fusion__conditioning": "text"},
        {"method": OwnLoss(**ACTIVE)},
        {"method": NeedsGraph(**ACTIVE)},
        {"method": Watched(**ACTIVE)},
        {"criterion": Sharp},
        {"optimizer": OwnAdamW},
        {"optimizer": torch.optim.RMSprop},
        {"optimizer__fused": False},
        {"optimizer__foreach": True},
    ],
    ids=lambda s: "-".join(f"{k}" for k in s),
)
def test_other_settings_take_the_usual_step(data, monkeypatch, settings):
    steps = count_closed_steps(monkeypatch)
    MultimodalClassifier(**{"method": METHODS["inforeg"], **SETTINGS, **settings}).fit(*data)
    assert not steps


@pytest.mark.parametrize(
    "around",
    [
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    ],
    ids=["autocast", "anomaly"],
)
def test_autocast_and_the_search_for_anomalies_take_the_usual_step(data, monkeypatch, around):
    steps = count_closed_steps(monkeypatch)
    with around():
        MultimodalClassifier(METHODS["inforeg"], **{**SETTINGS, "dtype": "float32"}).fit(*data)
    assert not steps


@pytest.mark.parametrize("step", ["train_step", "train_step_single", "infer", "get_loss"])
def test_a_step_of_the_users_is_taken(data, monkeypatch, step):
    steps, calls = count_closed_steps(monkeypatch), []

    def own(self, *args, **kwargs):
        calls.append(1)
        return getattr(super(Mine, self), step)(*args, **kwargs)

    Mine = type("Mine", (MultimodalClassifier,), {step: own})
    clf = Mine(METHODS["inforeg"], **SETTINGS).fit(*data)
    assert not steps and len(calls) >= sum(clf.history[:, "train_batch_count"])


def in_training(seen):
    def hook(module, *args):
        if module.training:
            seen.append(1)

    return hook


def forward_hook(net, seen):
    net.module_.encoders["text"].register_forward_hook(in_training(seen))


def layer_hook(net, seen):
    net.module_.encoders["text"][0].register_forward_pre_hook(in_training(seen))


def backward_hook(net, seen):
    net.module_.head.register_full_backward_hook(lambda *args: seen.append(1))


def network_hook(net, seen):
    net.module_.register_forward_hook(in_training(seen))


def parameter_hook(net, seen):
    next(net.module_.head.parameters()).register_hook(lambda gradient: seen.append(1))


def accumulation_hook(net, seen):
    weight = next(net.module_.encoders["text"].parameters())
    weight.register_post_accumulate_grad_hook(lambda p: seen.append(1))


def own_forward(net, seen):
    encoder = net.module_.encoders["text"]
    forward = encoder.forward
    encoder.forward = lambda x: in_training(seen)(encoder) or forward(x)


HOOKS = [
    forward_hook,
    layer_hook,
    backward_hook,
    network_hook,
    parameter_hook,
    accumulation_hook,
    own_forward,
]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
@pytest.mark.parametrize("event", ["on_epoch_begin", "on_batch_begin"])
def test_hooks_see_every_batch_from_when_they_were_registered(data, hook, event):
    seen = []

    def register(self, net, training=True, **kwargs):
        in_third = len(net.history) == 3 and (event == "on_epoch_begin" or training)
        if in_third and not self.done:
            hook(net, seen)
            self.done = True

    Registers = type("Registers", (Callback,), {event: register, "done": False})
    clf = MultimodalClassifier(
        METHODS["inforeg"],
        callbacks=[("registers", Registers())],
        **{**SETTINGS, "max_epochs": 3, "encoders__hidden": (4, 3)},
    ).fit(*data)
    assert len(seen) == clf.history[-1, "train_batch_count"]


def test_a_hook_for_all_modules_sees_every_batch(data):
    seen = []
    handle = nn.modules.module.register_module_forward_hook(in_training(seen))
    with contextlib.ExitStack() as stack:
        stack.callback(handle.remove)
        clf = MultimodalClassifier(METHODS["inforeg"], **SETTINGS).fit(*data)
    assert len(seen) >= sum(clf.history[:, "train_batch_count"])


def test_a_method_that_asks_for_a_graph_hears_what_to_declare(data):
    class Asks(InfoReg):
        def on_gradients(self, batch):
            batch.gradients(batch.joint_loss, [batch.network.head.bias])

    with pytest.raises(RuntimeError, match="set closed_form = False"):
        MultimodalClassifier(Asks(**ACTIVE), **SETTINGS).fit(*data)


@pytest.mark.parametrize("name", ["inforeg", "joint"])
def test_hooks_of_a_method_see_the_same_batch(data, monkeypatch, name):
    seen = []

    class Sees(type(METHODS["inforeg"]) if name == "inforeg" else BalancingMethod):
        closed_form = True

        def loss_weights(self, batch):
            before = batch.logits.clone(), batch.joint_loss.clone()
            weights = super().loss_weights(batch)
            self.before = before
            return weights

        def on_gradients(self, batch):
            super().on_gradients(batch)
            seen.append(
                {
                    "logits": batch.logits,
                    "loss": batch.joint_loss,
                    "scores": batch.scores,
                    "gap": batch.performance_gap,
                    **{f"u_{m}": u for m, u in batch.unimodal_logits.items()},
                    **{f"l_{m}": u for m, u in batch.unimodal_losses.items()},
                    **{f"z_{m}": z for m, z in batch.features.items()},
                    "coalition": batch.coalition_logits(["text"]),
                    "early_logits": self.before[0],
                    "early_loss": self.before[1],
                }
            )

    fit_both(monkeypatch, Sees(), *data, max_epochs=2)
    half = len(seen) // 2
    assert half > 4
    for found, expected in zip(seen[:half], seen[half:], strict=True):
        assert found.keys() == expected.keys()
        for key, value in found.items():
            torch.testing.assert_close(
                value.detach(), expected[key].detach(), rtol=1e-10, atol=1e-12, msg=key
            )


def test_loss_weights_are_checked_as_in_the_usual_step(data):
    class Wrong(Weighted):
        def loss_weights(self, batch):
            return {"joint": 1.0, "vidio": 1.0}

    class Nothing(Weighted):
        def loss_weights(self, batch):
            return {"joint": 0.0}

    class Unsaid(Weighted):
        def loss_weights(self, batch):
            return None

    with pytest.raises(ValueError, match="'vidio' must be 'joint' or one of the modalities"):
        MultimodalClassifier(Wrong(), **SETTINGS).fit(*data)
    with pytest.raises(ValueError, match="at least one weight must not be 0"):
        MultimodalClassifier(Nothing(), **SETTINGS).fit(*data)
    with pytest.raises(TypeError, match="override loss"):
        MultimodalClassifier(Unsaid(), **SETTINGS).fit(*data)


def test_a_loss_that_does_not_count_may_be_infinite(monkeypatch):
    X, y = make_multimodal_classification(40, random_state=0)
    X = {"text": X["strong"], "audio": X["weak"], "video": X["weak"] * 1e300}
    closed, usual = fit_both(
        monkeypatch, Weighted(joint=0.0, text=1.0), X, y, standardize=False, fisher=None
    )
    assert np.isfinite(closed.history[:, "train_objective"]).all()
    np.testing.assert_allclose(
        closed.history[:, "train_objective"], usual.history[:, "train_objective"]
    )


def test_default_estimators_take_closed_steps(data, monkeypatch):
    steps = count_closed_steps(monkeypatch)
    clf = MultimodalInfoRegClassifier(max_epochs=2, random_state=0).fit(*data)
    assert len(steps) == sum(clf.history[:, "train_batch_count"])
    assert type(clf.optimizer_) is DecayAdamW
