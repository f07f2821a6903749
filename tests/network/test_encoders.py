"""Encoders compute what they say, and are made from names, classes, callables and instances."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import MultimodalClassifier
from inforeg_sk.network import Dropout, GRUEncoder, MLPEncoder
from inforeg_sk.network.dropout import seed_dropout
from inforeg_sk.network.encoders import build_encoders, feature_width

SHAPES = {"audio": (5, 4), "text": (6,)}


def array(tensor):
    return tensor.detach().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# What they compute


@pytest.mark.parametrize(
    "shape, hidden", [((6,), 4), ((6,), (8, 5)), ((3, 4), [7]), ((2, 3, 4), 5)]
)
def test_mlp_by_hand(shape, hidden):
    torch.manual_seed(0)
    encoder = MLPEncoder(shape, hidden).double()
    x = torch.randn(9, *shape, dtype=torch.float64)
    weights = [array(p) for p in encoder.parameters()]
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    assert [w.shape for w in weights[::2]] == [
        (out, fan) for out, fan in zip(widths, [int(np.prod(shape)), *widths], strict=False)
    ]
    z = array(x).reshape(9, -1)
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        z = np.maximum(z @ W.T + b, 0)
    np.testing.assert_allclose(array(encoder(x)), z, atol=1e-12)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_gru_by_hand(n_layers):
    torch.manual_seed(1)
    encoder = GRUEncoder((7, 3), hidden=4, n_layers=n_layers).double()
    x = torch.randn(5, 7, 3, dtype=torch.float64)
    parameters = [array(p) for p in encoder.parameters()]
    assert len(parameters) == 4 * n_layers
    sequence = array(x)
    for layer in range(n_layers):
        W, U, b, c = parameters[4 * layer : 4 * layer + 4]
        h, states = np.zeros((5, 4)), []
        for t in range(7):
            from_x = np.split(sequence[:, t] @ W.T + b, 3, axis=1)
            from_h = np.split(h @ U.T + c, 3, axis=1)
            reset, update = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
            new = np.tanh(from_x[2] + reset * from_h[2])
            h = (1 - update) * new + update * h
            states.append(h)
        sequence = np.stack(states, axis=1)
    np.testing.assert_allclose(array(encoder(x)), h, atol=1e-10)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MLPEncoder((3,), 0), "hidden=0: positive integers"),
        (lambda: MLPEncoder((3,), (4, -1)), r"hidden=\(4, -1\): positive integers"),
        (lambda: MLPEncoder((3,), 2.5), "hidden=2.5|not iterable"),
        (lambda: MLPEncoder((3,), dropout=1), r"dropout=1: a probability in \[0, 1\)"),
        (lambda: MLPEncoder((3,), dropout=-0.1), "dropout=-0.1"),
        (lambda: MLPEncoder((3,), dropout=float("nan")), "dropout=nan"),
        (lambda: MLPEncoder((3,), dropout="a"), "dropout='a'"),
        (lambda: GRUEncoder((3,)), r"takes sequences.*got \(3,\)"),
        (lambda: GRUEncoder((3, 4, 5)), r"takes sequences.*got \(3, 4, 5\)"),
        (lambda: GRUEncoder((3, 4), hidden=0), "hidden=0, n_layers=1: positive integers"),
        (lambda: GRUEncoder((3, 4), n_layers=1.5), "n_layers=1.5: positive integers"),
        (lambda: GRUEncoder((3, 4), dropout=1.0), "dropout=1.0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


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
    with pytest.raises(ValueError, match=r"dropout=.*: a probability in \[0, 1\)"):
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
        ("auto", (GRUEncoder, MLPEncoder)),
        ("mlp", (MLPEncoder, MLPEncoder)),
        (MLPEncoder, (MLPEncoder, MLPEncoder)),
        ({}, (GRUEncoder, MLPEncoder)),
        ({"audio": "mlp"}, (MLPEncoder, MLPEncoder)),
        ({"audio": GRUEncoder, "text": "auto"}, (GRUEncoder, MLPEncoder)),
        (lambda input_shape: MLPEncoder(input_shape, 3), (MLPEncoder, MLPEncoder)),
        ({"text": lambda: nn.Linear(6, 2)}, (GRUEncoder, nn.Linear)),
    ],
    ids=str,
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
    made = build_encoders("auto", SHAPES, {"hidden": 7, "n_layers": 2, "text__hidden": (9, 3)})
    assert [layer.hidden_size for layer in made["audio"].layers] == [7, 7]
    assert [m.out_features for m in made["text"] if isinstance(m, nn.Linear)] == [9, 3]


def test_the_longest_modality_name_owns_a_setting():
    shapes = {"a": (3,), "a__b": (3,)}
    made = build_encoders("mlp", shapes, {"a__hidden": 4, "a__b__hidden": 5})
    assert made["a"][0].out_features == 4 and made["a__b"][0].out_features == 5


@pytest.mark.parametrize(
    "spec, settings, error, words",
    [
        ("cnn", {}, ValueError, ["encoders['audio']='cnn'", "'mlp', 'gru'"]),
        ("gro", {}, ValueError, ["did you mean 'gru'?"]),
        (3, {}, TypeError, ["encoders['audio'] is 3", "'auto', 'mlp', 'gru'", "callable"]),
        ({"text": None}, {}, TypeError, ["encoders['text'] is None"]),
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
        ("auto", {"txt__hidden": 2}, ValueError, ["encoders__txt__hidden"]),
        ({"text": nn.Linear(6, 2)}, {"text__bias": 2}, ValueError, ["'text' takes no settings"]),
        ("auto", {"hidden": 0}, ValueError, ["modality 'audio'", "hidden=0"]),
        ("auto", {"dropout": 2}, ValueError, ["modality 'audio'", "dropout=2"]),
    ],
)
def test_bad_specifications(spec, settings, error, words):
    with pytest.raises(error) as info:
        build_encoders(spec, SHAPES, settings)
    for word in words:
        assert word in str(info.value)


def test_auto_knows_vectors_and_sequences_only():
    with pytest.raises(ValueError, match=r"'image'.*\(3, 8, 8\).*'auto' knows vectors and seq"):
        build_encoders("auto", {"image": (3, 8, 8)}, {})


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
