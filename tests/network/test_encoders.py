"""Encoders are made from names, shapes, classes, callables and instances; dropout."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from ids import stable_id
from torch import nn

from inforeg_sk import MultimodalClassifier
from inforeg_sk.network import (
    ENCODERS,
    CNNEncoder,
    Dropout,
    GRUEncoder,
    MLPEncoder,
    ResNet18Encoder,
    TransformerEncoder,
)
from inforeg_sk.network.dropout import seed_dropout
from inforeg_sk.network.encoders import build_encoders, feature_width

SHAPES = {"audio": (5, 4), "text": (6,)}


def array(tensor):
    return tensor.detach().numpy()


# Dropout


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_dropout_keeps_the_mean(p):
    layer = Dropout(p)
    x = torch.full((400, 500), 3.0, dtype=torch.float64)
    out = layer(x)
    kept = out != 0
    np.testing.assert_allclose(array(out[kept]), 3 / (1 - p))  # scaled up
    error = np.sqrt(p * (1 - p) / x.numel())
    assert abs(kept.double().mean().item() - (1 - p)) < 5 * error
    assert abs(out.mean().item() - 3) < 5 * 3 * error / (1 - p)


def test_dropout_is_reproducible_and_leaves_the_global_generator():
    x = torch.ones(20, 30)
    before = torch.get_rng_state()
    a, b = Dropout(0.5), Dropout(0.5)
    first, second = a(x), a(x)
    assert torch.equal(b(x), first) and torch.equal(b(x), second)
    assert not torch.equal(first, second)
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(Dropout(0.5)(x), first)
    torch.set_rng_state(before)
    Dropout(0.5)(x)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_does_nothing_in_evaluation_or_at_zero():
    x = torch.randn(5, 6)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    layer = Dropout(0.5)
    layer.eval()(x)
    assert layer.generator is None  # and no random number was drawn


def test_dropout_passes_gradients_through_what_it_keeps():
    x = torch.ones(50, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan"), "0.5", None])
def test_dropout_out_of_range(p):
    words = f"The 'p' parameter of Dropout must be a float in [0, 1). Got {p!r}."
    with pytest.raises(ValueError, match=re.escape(words)):
        Dropout(p)


def test_each_dropout_gets_a_stream_of_its_own():
    x = torch.ones(100)
    model = nn.Sequential(Dropout(0.5), nn.ModuleDict({"a": Dropout(0.5)}))
    seed_dropout(model, 7)
    first, second = model[0](x), model[1]["a"](x)
    assert not torch.equal(first, second)
    seed_dropout(model, 7)
    assert torch.equal(model[0](x), first) and torch.equal(model[1]["a"](x), second)
    seed_dropout(model, 70)
    assert not torch.equal(model[0](x), first)


def test_dropout_goes_on_after_pickling():
    x = torch.ones(100)
    layer = Dropout(0.5)
    layer(x)
    for again in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        reference = copy.deepcopy(layer)
        assert torch.equal(again(x), reference(x))


# How they are made


@pytest.mark.parametrize(
    "spec, kinds",
    [
        ("auto", (MLPEncoder, MLPEncoder)),
        ("mlp", (MLPEncoder, MLPEncoder)),
        (MLPEncoder, (MLPEncoder, MLPEncoder)),
        ({}, (MLPEncoder, MLPEncoder)),
        ({"audio": "mlp"}, (MLPEncoder, MLPEncoder)),
        ({"audio": GRUEncoder, "text": "auto"}, (GRUEncoder, MLPEncoder)),
        (lambda input_shape: MLPEncoder(input_shape, 3), (MLPEncoder, MLPEncoder)),
        ({"text": lambda: nn.Linear(6, 2)}, (MLPEncoder, nn.Linear)),
    ],
    ids=stable_id,
)
def test_specifications(spec, kinds):
    made = build_encoders(spec, SHAPES, {})
    assert list(made) == ["audio", "text"]
    assert tuple(map(type, made.values())) == kinds
    for name, encoder in made.items():
        out = encoder(torch.zeros(3, *SHAPES[name]))
        assert out.shape[0] == 3


def test_a_callable_gets_the_shape_of_a_sample():
    seen = {}

    class Recorder(nn.Module):
        def __init__(self, input_shape, **kwargs):
            super().__init__()
            seen[input_shape] = kwargs

    build_encoders(Recorder, SHAPES, {"width": 3, "text__depth": 2})
    assert seen == {(5, 4): {"width": 3}, (6,): {"width": 3, "depth": 2}}


def test_in_features_protocol():
    made = build_encoders(nn.Linear, {"a": (6,), "b": (4,)}, {"out_features": 3, "b__bias": False})
    assert (made["a"].in_features, made["a"].out_features) == (6, 3)
    assert (made["b"].in_features, made["b"].bias) == (4, None)


def test_an_instance_is_copied():
    given = nn.Linear(6, 3)
    weight = given.weight.detach().clone()
    made = build_encoders({"text": given}, SHAPES, {})["text"]
    assert made is not given and torch.equal(made.weight, weight)
    with torch.no_grad():
        made.weight.zero_()
    assert torch.equal(given.weight, weight)


def test_one_instance_for_two_modalities_stays_shared():
    given = nn.Linear(4, 2)
    made = build_encoders(
        {"a": given, "b": given, "c": nn.Linear(4, 2)}, dict.fromkeys("abc", (4,)), {}
    )
    assert made["a"] is made["b"] is not given
    assert made["c"] is not made["a"]


def test_parts_that_two_instances_share_stay_shared():
    part = nn.Linear(4, 2)
    given = {"a": nn.Sequential(part, nn.ReLU()), "b": nn.Sequential(part, nn.Tanh())}
    made = build_encoders(given, dict.fromkeys("ab", (4,)), {})
    assert made["a"][0] is made["b"][0] is not part


def test_training_leaves_the_users_instances(trimodal):
    X, y = trimodal
    given = nn.Linear(6, 4)
    before = copy.deepcopy(given.state_dict())
    clf = MultimodalClassifier(encoders={"text": given}, max_epochs=2, lr=0.1, random_state=0).fit(
        X, y
    )
    after = clf.encoders_["text"]
    assert all(torch.equal(given.state_dict()[k], v) for k, v in before.items())
    assert given.weight.grad is None and given.training
    assert not torch.equal(after.weight, before["weight"])
    again = clf.fit(X, y).encoders_["text"]
    torch.testing.assert_close(again.weight, after.weight, rtol=0, atol=0)  # same start


def test_settings_reach_who_takes_them():
    spec = {"audio": "gru"}
    made = build_encoders(spec, SHAPES, {"hidden": 7, "n_layers": 2, "text__hidden": (9, 3)})
    assert [layer.hidden_size for layer in made["audio"].layers] == [7, 7]
    assert [m.out_features for m in made["text"] if isinstance(m, nn.Linear)] == [9, 3]


def test_the_longest_modality_name_owns_a_setting():
    shapes = {"a": (3,), "a__b": (3,)}
    made = build_encoders("mlp", shapes, {"a__hidden": 4, "a__b__hidden": 5})
    assert made["a"][0].out_features == 4 and made["a__b"][0].out_features == 5


@pytest.mark.parametrize(
    "spec, settings, error, words",
    [
        (
            "lstm",
            {},
            ValueError,
            ["encoders['audio']", "'gru', 'transformer', 'cnn'", "Got 'lstm'"],
        ),
        ("gro", {}, ValueError, ["did you mean 'gru'?"]),
        ("resnet", {}, ValueError, ["did you mean 'resnet18'?"]),
        ({"text": "cnn"}, {}, ValueError, ["'text'", "(channels, height, width) (image)", "(6,)"]),
        ({"text": "resnet18"}, {}, ValueError, ["'text'", "ResNet18Encoder takes images", "(6,)"]),
        ({"text": "transformer"}, {}, ValueError, ["'text'", "(n_steps, n_features)", "(6,)"]),
        (
            {"audio": "gru"},
            {"audio__padding_value": "0"},
            ValueError,
            ["'audio'", "'padding_value' parameter of GRUEncoder", "Got '0'."],
        ),
        ({"audio": "transformer"}, {"audio__n_heads": 5}, ValueError, ["'audio'", "n_heads=5"]),
        (3, {}, TypeError, ["encoders['audio']", "'auto', 'mlp', 'gru'", "callable", "Got 3."]),
        ({"text": None}, {}, TypeError, ["encoders['text']", "Got None."]),
        ({"txt": "mlp"}, {}, ValueError, ["'txt'", "'audio', 'text'", "did you mean 'text'?"]),
        (nn.Linear(4, 2), {}, TypeError, ["one module instance", "its class", "{'text': module}"]),
        ({"text": "gru"}, {}, ValueError, ["modality 'text' could not be made", "(6,)"]),
        (nn.Linear, {}, TypeError, ["modality 'audio' could not be made", "out_features"]),
        ({"text": lambda input_shape: 3}, {}, TypeError, ["encoders['text'] made int"]),
        ({"text": lambda input_shape: nn.ReLU}, {}, TypeError, ["encoders['text'] made type"]),
        ({"text": dict}, {}, TypeError, ["encoders['text'] made dict", "torch module"]),
        ({"text": lambda input_shape: {}["x"]}, {}, ValueError, ["'text' could not be made: 'x'"]),
        ("auto", {"hiden": 3}, ValueError, ["encoders__hiden", "did you mean 'hidden'?"]),
        ("auto", {"text__hiden": 3}, ValueError, ["encoders__text__hiden", "'text'", "'hidden'?"]),
        ("auto", {"text__n_layers": 2}, ValueError, ["'text' takes dropout, hidden"]),
        (
            "auto",
            {"txt__hidden": 2},
            ValueError,
            ["'txt' is not a modality", "did you mean 'text'?"],
        ),
        ({"text": nn.Linear(6, 2)}, {"text__bias": 2}, ValueError, ["'text' takes no settings"]),
        ("auto", {"hidden": 0}, ValueError, ["modality 'audio'", "'hidden' parameter", "Got 0."]),
        ("auto", {"dropout": 2}, ValueError, ["modality 'audio'", "'dropout' param", "Got 2."]),
    ],
)
def test_bad_specifications(spec, settings, error, words):
    with pytest.raises(error) as info:
        build_encoders(spec, SHAPES, settings)
    for word in words:
        assert word in str(info.value)


def test_auto_goes_by_the_number_of_axes():
    shapes = {"a": (4,), "b": (5, 4), "c": (3, 8, 8), "d": (3, 2, 8, 8), "e": (101, 100)}
    made = build_encoders("auto", shapes, {"hidden": 6})
    kinds = [MLPEncoder, MLPEncoder, CNNEncoder, CNNEncoder, GRUEncoder]
    assert [type(e) for e in made.values()] == kinds
    longest = build_encoders("auto", {"b": (100, 100)}, {})["b"]  # 10,000 values
    assert type(longest) is MLPEncoder
    for name, encoder in made.items():
        assert width(encoder, shapes[name]) == 6


def test_auto_knows_four_kinds_of_shapes():
    with pytest.raises(ValueError) as info:
        build_encoders("auto", {"scan": (2, 3, 4, 8, 8)}, {})
    for words in ("'scan'", "(2, 3, 4, 8, 8)", "(n_features,)", "(n_steps, n_features)"):
        assert words in str(info.value)
    assert "(channels, height, width)" in str(info.value)
    assert "(channels, frames, height, width)" in str(info.value)


# Every built-in encoder, and samples that it takes.
BUILT_IN = [
    pytest.param("mlp", MLPEncoder, (6,), id="mlp"),
    pytest.param("gru", GRUEncoder, (5, 4), id="gru"),
    pytest.param("transformer", TransformerEncoder, (5, 4), id="transformer"),
    pytest.param("cnn", CNNEncoder, (2, 8, 9), id="cnn"),
    pytest.param("resnet18", ResNet18Encoder, (3, 32, 32), id="resnet18", marks=pytest.mark.slow),
]


def test_all_built_in_encoders_are_tested():
    assert {p.values[0]: p.values[1] for p in BUILT_IN} == ENCODERS


@pytest.mark.parametrize("name, kind, shape", BUILT_IN)
def test_built_in_encoders_by_name(name, kind, shape):
    encoder = build_encoders({"m": name}, {"m": shape}, {})["m"]
    assert type(encoder) is kind
    assert width(encoder, shape) == (512 if name == "resnet18" else 64)


@pytest.mark.parametrize("method", ["joint", "inforeg"])
@pytest.mark.parametrize("name, kind, shape", BUILT_IN)
def test_built_in_encoders_train(name, kind, shape, method):
    n = 8 if name == "resnet18" else 40
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = {"m": rng.normal(size=(n, *shape)), "other": rng.normal(size=(n, 3)) + y[:, None]}
    X["m"] += y.reshape(-1, *[1] * len(shape))
    clf = MultimodalClassifier(
        method,
        encoders={"m": name},
        max_epochs=2 if name == "resnet18" else 4,
        batch_size=max(4, n // 4),
        lr=0.003,
        random_state=0,
    )
    before = torch.get_rng_state()
    proba = clf.fit(X, y).predict_proba(X)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(clf.encoders_["m"]) is kind
    losses = clf.history[:, "train_loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert (clf.curves_["fisher_trace"]["m"] > 0).all()
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), proba)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), proba)  # seeded


@pytest.mark.parametrize("name, kind, shape", BUILT_IN)
def test_built_in_encoders_leave_torchs_generator(name, kind, shape):
    settings = {} if name == "resnet18" else {"dropout": 0.5}
    encoder = kind(shape, **settings)
    x, before = torch.randn(4, *shape), torch.get_rng_state()
    encoder(x), encoder(x)
    assert torch.equal(torch.get_rng_state(), before)


# The width of what comes out


def width(encoder, shape=(6,)):
    return feature_width("text", encoder, shape, torch.float32)


def test_width_of_lazy_layers():
    encoder = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(3))
    assert width(encoder) == 3
    assert encoder[0].weight.shape == (5, 6) and encoder[2].weight.shape == (3, 5)


def test_width_draws_nothing_and_moves_nothing():
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), Dropout(0.5))
    before, rng = copy.deepcopy(encoder.state_dict()), torch.get_rng_state()
    assert width(encoder) == 4
    assert torch.equal(torch.get_rng_state(), rng) and encoder[3].generator is None
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    assert encoder.training and all(p.grad is None for p in encoder.parameters())
    assert width(encoder.eval()) == 4 and not encoder.training


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x: x[:, None], ["gave (2, 1, 6)", "(n_samples, n_features)"]),
        (lambda x: x[:, 0], ["gave (2,)"]),
        (lambda x: x[:1], ["gave (1, 6)", "for 2 samples"]),
        (lambda x: x[:, :0], ["gave (2, 0)"]),
        (lambda x: x.long(), ["gave torch.int64", "floats"]),
        (lambda x: (x, x), ["gave <class 'tuple'>"]),
        (lambda x: None, ["gave <class 'NoneType'>"]),
        (lambda x: x @ torch.ones(3, 2), ["failed on samples of shape (6,)", "RuntimeError: mat1"]),
        (lambda x: {}["lost"], ["failed on samples of shape (6,)", "KeyError: 'lost'"]),
        (lambda x: x.nothing, ["failed on", "AttributeError"]),
    ],
)
def test_not_one_vector_a_sample(function, words):
    encoder = Function(function)
    with pytest.raises(ValueError) as info:
        width(encoder)
    assert "encoder of modality 'text'" in str(info.value)
    for word in words:
        assert word in str(info.value)
    assert encoder.training  # put back


def test_lazy_encoders_train(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(
        "inforeg",
        encoders={"text": nn.Sequential(nn.LazyLinear(5), nn.ReLU()), "audio": "mlp"},
        max_epochs=2,
        random_state=0,
    ).fit(X, y)
    assert clf.encoders_["text"][0].weight.shape == (5, 6)
    assert clf.transform_by_modality(X)["text"].shape == (90, 5)
