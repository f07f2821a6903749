"""The network as a whole: sizes, names of parameters, and where randomness enters."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import MultimodalClassifier
from inforeg_sk.network import MultimodalNetwork, NetworkOutput, build_network
from inforeg_sk.network.network import attribute_name

SHAPES = {"audio": (5, 4), "text": (6,), "video": (3,)}
AWKWARD = [
    *("keys", "items", "type", "training", "a.b", "a%2Eb", "100%", "input_ids", "forward"),
    *("encoder", "head", "fusion", "a b", "été", "a__b", "modalities", "0"),
]


def build(shapes=SHAPES, n_classes=3, seed=0, **kwargs):
    torch.manual_seed(seed)
    return build_network(shapes, n_classes, **{"dtype": torch.float64, **kwargs})


def batch(n=4, shapes=SHAPES):
    rng = np.random.default_rng(0)
    return {name: torch.tensor(rng.normal(size=(n, *shape))) for name, shape in shapes.items()}


def test_forward():
    network, X = build(), batch()
    output = network(X)
    assert isinstance(output, NetworkOutput) and output.logits.shape == (4, 3)
    assert list(output.features) == ["audio", "text", "video"]
    for name in SHAPES:
        torch.testing.assert_close(output.features[name], network.encoders[name](X[name]))
    joined = torch.cat(list(output.features.values()), dim=1)
    torch.testing.assert_close(output.logits, network.head(joined))
    assert list(network.unimodal_logits(output.features)) == ["audio", "text", "video"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_types_and_sizes(dtype):
    network = build(
        n_classes=5,
        dtype=dtype,
        settings={"encoders": {"hidden": 7, "video__hidden": (4, 2)}, "fusion": {}},
    )
    assert {p.dtype for p in network.parameters()} == {dtype}
    assert network.head.weight.shape == (5, 7 + 7 + 2)
    assert network.training and not any(p.is_meta for p in network.parameters())


def test_weights_follow_torchs_generator():
    same = zip(build(seed=1).parameters(), build(seed=1).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(build(seed=1).head.weight, build(seed=2).head.weight)


def test_dropout_streams_start_at_the_seed():
    X, outputs = batch(50), []
    for seed in (3, 3, 4):
        network = build(settings={"encoders": {"dropout": 0.5}}, dropout_seed=seed)
        outputs.append(network(X).logits)
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_a_fusion_may_define_the_unimodal_logits():
    class Mean(nn.Module):
        def __init__(self, widths):
            super().__init__()

        def forward(self, features):
            return torch.stack(list(features.values())).mean(0)

        def unimodal_logits(self, features, head):
            return {name: head(z) for name, z in features.items()}

    network = build(fusion=Mean)
    features = network(batch()).features
    for name, logits in network.unimodal_logits(features).items():
        torch.testing.assert_close(logits, network.head(features[name]))


@pytest.mark.parametrize(
    "fusion, words",
    [
        (lambda widths: nn.Identity(), "The fusion gave <class 'dict'> for 2 samples"),
        (lambda widths: Take("lost"), "features of widths {'audio': 64, .*KeyError: 'lost'"),
        (lambda widths: Take("text", slice(0, 1)), r"The fusion gave \(1, 64\)"),
        (lambda widths: Take("text", (slice(None), slice(0))), r"The fusion gave \(2, 0\)"),
    ],
)
def test_fusions_that_give_no_vector(fusion, words):
    with pytest.raises(ValueError, match=words):
        build(fusion=fusion)


class Take(nn.Module):
    def __init__(self, name, rows=slice(None)):
        super().__init__()
        self.name, self.rows = name, rows

    def forward(self, features):
        return features[self.name][self.rows]


# Names of modalities and parameters


def test_attribute_names_are_distinct_and_without_dots():
    names = [attribute_name(name) for name in AWKWARD]
    assert len(set(names)) == len(AWKWARD) and not any("." in name for name in names)
    assert attribute_name("text") == "encoder_text"


def test_awkward_names():
    shapes = {name: (2,) for name in sorted(AWKWARD)}
    network = build(shapes, settings={"encoders": {"hidden": 3}})
    assert network.modalities == tuple(sorted(AWKWARD))
    output = network(batch(4, shapes))
    assert list(output.features) == sorted(AWKWARD)
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == len(set(names)) == 2 * len(AWKWARD) + 2
    prefixes = {name.partition(".")[0] for name in names} - {"head"}
    assert prefixes == {attribute_name(name) for name in AWKWARD}
    assert network.training is True  # not hidden by the modality of that name
    other = copy.deepcopy(network)
    other.load_state_dict(network.state_dict())
    for name in AWKWARD:
        assert network.encoders[name] is network.get_submodule(attribute_name(name))


def test_two_shapes_of_one_name_do_not_collide():
    with_dot, escaped = MultimodalNetwork(
        {"a.b": nn.Linear(1, 1), "a%2Eb": nn.Linear(1, 1)}, nn.Identity(), nn.Linear(2, 2)
    ).encoders.values()
    assert with_dot is not escaped


@pytest.mark.parametrize("method", ["joint", "inforeg"])
def test_awkward_names_train(method):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = {name: rng.normal(size=(40, 2)) + y[:, None] for name in AWKWARD}
    clf = MultimodalClassifier(
        method, max_epochs=3, encoders__hidden=3, random_state=0, **{"encoders__a__b__hidden": 4}
    ).fit(X, y)
    assert clf.modalities_ == tuple(AWKWARD) == tuple(clf.encoders_)
    assert clf.module_.modalities == tuple(sorted(AWKWARD))
    assert set(clf.curves_["fisher_trace"]) == set(clf.score_by_modality(X, y)) == set(AWKWARD)
    assert clf.encoders_["a__b"][0].out_features == 4
    assert clf.encoders_["keys"][0].out_features == 3
    assert clf.predict(X).shape == (40,)
    history = set(clf.history[-1])
    assert {f"fisher_trace_{name}" for name in AWKWARD} <= history


def test_parameter_groups_by_modality(trimodal):
    X, y = trimodal
    X = {"a.b": X["text"], "keys": X["video"], "a": X["video"] + 1}
    clf = MultimodalClassifier(
        optimizer=torch.optim.SGD,
        optimizer__param_groups=[
            ("encoder_a%2Eb.*", {"lr": 0.0}),
            ("encoder_keys.*", {"lr": 0.5, "momentum": 0.9}),
        ],
        lr=0.01,
        max_epochs=1,
        random_state=0,
    ).fit(X, y)
    groups = clf.optimizer_.param_groups
    assert [group["lr"] for group in groups] == [0.0, 0.5, 0.01]
    for group, name in zip(groups, ["a.b", "keys"], strict=False):
        owned = {id(p) for p in clf.encoders_[name].parameters()}
        assert {id(p) for p in group["params"]} == owned
    start = clf.partial_fit(X, y).module_.state_dict()
    before = {name: value.clone() for name, value in start.items()}
    clf.partial_fit(X, y)
    moved = {
        name: not torch.equal(value, before[name])
        for name, value in clf.module_.state_dict().items()
    }
    assert not any(moved[n] for n in moved if n.startswith("encoder_a%2Eb."))
    assert not any(moved[n] for n in moved if n.startswith("scaler_"))
    rest = [n for n in moved if not n.startswith(("encoder_a%2Eb.", "scaler_"))]
    assert all(moved[n] for n in rest)


def test_one_encoder_for_two_modalities_is_one_set_of_parameters(trimodal):
    X, y = trimodal
    X = {"left": X["video"], "right": X["video"] * 2}
    shared = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    clf = MultimodalClassifier(
        "inforeg", encoders={"left": shared, "right": shared}, max_epochs=2, random_state=0
    ).fit(X, y)
    assert clf.encoders_["left"] is clf.encoders_["right"] is not shared
    assert sum(p.numel() for p in clf.module_.parameters()) == (3 * 4 + 4) + (8 * 3 + 3)
    z = clf.transform_by_modality(X)
    again = clf.transform_by_modality({"left": X["right"], "right": X["left"]})
    np.testing.assert_array_equal(z["right"], again["left"])
