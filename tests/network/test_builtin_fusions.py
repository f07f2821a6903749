"""The built-in fusions against their formulas in numpy, with the same weights."""

import copy
import re
import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn

from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.network import (
    FUSIONS,
    Attention,
    FiLM,
    Gated,
    MLPFusion,
    Sum,
    zeroed_unimodal_logits,
)
from inforeg_sk.network.fusion import build_fusion

WIDTHS = {"a": 3, "b.c": 5, "keys": 2}
# Fusion, settings, number of modalities.
CASES = [
    *(("concat", {}, n) for n in (1, 2, 3)),
    *(("mlp", settings, n) for settings in ({}, {"hidden": (9, 7)}) for n in (1, 2, 3)),
    *(("sum", settings, n) for settings in ({}, {"width": 7}) for n in (1, 2, 3)),
    *(("attention", settings, n) for settings in ({}, {"width": 7}) for n in (1, 2, 3)),
    *(("gated", {"conditioning": c}, n) for c, n in (("a", 2), ("b.c", 2), ("b.c", 3))),
    ("gated", {"conditioning": "keys", "width": 4}, 3),
    *(("film", {"conditioning": c}, n) for c, n in (("a", 2), ("b.c", 2), ("b.c", 3))),
]
BUILT_IN = [  # as estimator parameters, for the trimodal data
    {"fusion": "concat"},
    {"fusion": "mlp", "fusion__hidden": 16},
    {"fusion": "sum"},
    {"fusion": "gated", "fusion__conditioning": "text"},
    {"fusion": "film", "fusion__conditioning": "video"},
    {"fusion": "attention", "fusion__width": 16},
]


def case(name, settings, n):
    torch.manual_seed(0)
    widths = dict(list(WIDTHS.items())[:n])
    fusion = build_fusion(name, widths, settings).double()
    features = {m: torch.randn(6, width, dtype=torch.float64) for m, width in widths.items()}
    return fusion, features


def arrays(fusion):
    return {name: p.detach().numpy() for name, p in fusion.named_parameters()}


def by_hand(name, settings, weights, z):
    """The fusion of numpy features, sample by sample, from its formula."""
    names = list(z)

    def linear(key, x):
        return weights[f"{key}.weight"] @ x + weights[f"{key}.bias"]

    rows = []
    for i in range(len(next(iter(z.values())))):
        x = {m: z[m][i] for m in names}
        if name == "concat":
            rows.append([v for m in names for v in x[m]])
            continue
        if name == "mlp":
            row = np.concatenate([x[m] for m in names])
            for j in range(len(weights) // 2):  # a ReLU, without weights, after each linear layer
                row = np.maximum(linear(f"layers.{2 * j}", row), 0)
            rows.append(row)
            continue
        c = settings.get("conditioning")
        if name == "film":
            row = []
            for j, m in enumerate(m for m in names if m != c):
                both, d = linear(f"maps.{j}", x[c]), len(x[m])
                row += [both[k] * x[m][k] + both[d + k] for k in range(d)]
            rows.append(row)
            continue
        values = {m: linear(f"projections.{j}", x[m]) for j, m in enumerate(names)}
        if name == "sum":
            rows.append(sum(values.values()))
        elif name == "gated":
            gate = 1 / (1 + np.exp(-values[c]))
            rows.append(gate * sum(values[m] for m in names if m != c))
        else:
            scores = [float(weights["score.weight"][0] @ np.tanh(v)) for v in values.values()]
            shares = np.exp(scores) / np.exp(scores).sum()
            rows.append(sum(w * v for w, v in zip(shares, values.values(), strict=True)))
    return np.array(rows)


@pytest.mark.parametrize("name, settings, n", CASES)
def test_by_hand(name, settings, n):
    fusion, features = case(name, settings, n)
    z = {m: values.numpy() for m, values in features.items()}
    got = fusion(features).detach().numpy()
    np.testing.assert_allclose(got, by_hand(name, settings, arrays(fusion), z), rtol=0, atol=1e-12)
    if name == "mlp":
        assert got.shape[1] == (7 if settings else 64)
    elif name not in ("concat", "film"):
        assert got.shape[1] == settings.get("width", max(v.shape[1] for v in z.values()))
    single = fusion.float()({m: values.float() for m, values in features.items()})
    np.testing.assert_allclose(single.detach(), got, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name, settings, n", CASES)
def test_unimodal_logits_by_hand(name, settings, n):
    """The joint logits with zeros for the others; with concat, a share of the bias each."""
    fusion, features = case(name, settings, n)
    z = {m: values.numpy() for m, values in features.items()}
    head = nn.Linear(fusion(features).shape[1], 4, dtype=torch.float64)
    W, b = head.weight.detach().numpy(), head.bias.detach().numpy()
    if name == "concat":
        got, b = fusion.unimodal_logits(features, head), b / n
    else:
        got = zeroed_unimodal_logits(fusion, head, features)
    assert list(got) == list(z)
    for m in z:
        alone = {k: v if k == m else np.zeros_like(v) for k, v in z.items()}
        expected = by_hand(name, settings, arrays(fusion), alone) @ W.T + b
        np.testing.assert_allclose(got[m].detach(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name, settings, n", CASES)
def test_order_of_features_does_not_matter(name, settings, n):
    fusion, features = case(name, settings, n)
    assert torch.equal(fusion(dict(reversed(features.items()))), fusion(features))
    assert list(features) == list(WIDTHS)[:n]  # and nothing is taken out of the dict


@pytest.mark.parametrize("name, settings, n", CASES)
def test_gradients_flow(name, settings, n):
    fusion, features = case(name, settings, n)
    for z in features.values():
        z.requires_grad_()
    (fusion(features) ** 2).sum().backward()
    assert all(z.grad.abs().sum() > 0 for z in features.values())
    for key, p in fusion.named_parameters():
        if key == "score.weight" and n == 1:
            assert not p.grad.any()  # one modality has weight 1
        else:
            assert p.grad.abs().sum() > 0, key


def test_gated_of_two_is_the_references():
    """The gate of one is on the projection of the other."""
    fusion, z = case("gated", {"conditioning": "a"}, 2)
    first, second = fusion.projections
    expected = torch.sigmoid(first(z["a"])) * second(z["b.c"])
    assert torch.equal(fusion(z), expected)


def test_film_of_two_is_the_references():
    """One linear map, gamma in front, beta behind."""
    fusion, z = case("film", {"conditioning": "a"}, 2)
    gamma, beta = torch.split(fusion.maps[0](z["a"]), 5, dim=1)
    torch.testing.assert_close(fusion(z), gamma * z["b.c"] + beta, rtol=0, atol=0)
    assert fusion(z).shape == (6, 5) and len(fusion.maps) == 1


def test_attention_weights_add_up_to_one():
    fusion, z = case("attention", {}, 3)
    with torch.no_grad():
        for projection in fusion.projections:
            projection.weight.zero_()
            projection.bias.fill_(2.5)
    torch.testing.assert_close(fusion(z), torch.full((6, 5), 2.5, dtype=torch.float64))


@pytest.mark.parametrize("kind", [Gated, FiLM])
@pytest.mark.parametrize(
    "widths, settings, message",
    [
        (WIDTHS, {}, r"fusion__conditioning=\.\.\. to one of 'a', 'b.c', 'keys'"),
        (WIDTHS, {"conditioning": "key"}, "fusion__conditioning='key' .*did you mean 'keys'"),
        (
            WIDTHS,
            {"conditioning": 3},
            "fusion__conditioning=3 must be one of the modalities 'a', 'b.c', 'keys'",
        ),
        (
            WIDTHS,
            {"conditioning": ["a"]},
            r"fusion__conditioning=\['a'\] must be one of the modalities 'a', ",
        ),
        ({"a": 3}, {"conditioning": "a"}, "at least two modalities; got 'a' only"),
        ({"a": 3}, {}, "at least two modalities; got 'a' only"),
    ],
)
def test_bad_conditioning(kind, widths, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(widths, **settings)


@pytest.mark.parametrize(
    "kind, settings", [(Sum, {}), (Attention, {}), (Gated, {"conditioning": "a"})]
)
@pytest.mark.parametrize("width", [0, -1, 1.5, "4", True, (3,)])
def test_bad_width(kind, settings, width):
    words = (
        f"The 'width' parameter of {kind.__name__} must be None or an int in [1, inf). "
        f"Got {width!r}."
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        kind(WIDTHS, width=width, **settings)


@pytest.mark.parametrize("hidden", [0, -1, 1.5, "4", True, (), (3, 0), None])
def test_bad_hidden_widths_of_the_mlp(hidden):
    words = (
        "The 'hidden' parameter of MLPFusion must be an int in [1, inf) or a non-empty sequence "
        f"of these. Got {hidden!r}."
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        MLPFusion(WIDTHS, hidden=hidden)


def test_dropout_of_the_mlp_is_off_where_a_modality_speaks_alone():
    fusion, z = case("mlp", {"dropout": 0.5}, 3)
    head = nn.Linear(64, 2, dtype=torch.float64)
    alone = zeroed_unimodal_logits(fusion, head, z)
    assert fusion.training
    assert all(torch.equal(v, zeroed_unimodal_logits(fusion, head, z)[m]) for m, v in alone.items())
    dropped = (fusion(z) == 0).double().mean()
    assert dropped > (fusion.eval()(z) == 0).double().mean() + 0.1


# In a classifier


def test_all_built_in_fusions_are_tested():
    assert {params["fusion"] for params in BUILT_IN} == {name for name, *_ in CASES} == set(FUSIONS)


@pytest.mark.parametrize("params", BUILT_IN, ids=lambda params: params["fusion"])
@pytest.mark.parametrize("unimodal_weight", [0.0, 1.0])
def test_in_a_classifier(trimodal, params, unimodal_weight):
    X, y = trimodal
    clf = MultimodalInfoRegClassifier(
        unimodal_weight=unimodal_weight,
        window_threshold=-np.inf,
        max_epochs=12,
        lr=0.01,
        dtype="float64",
        random_state=0,
        **params,
    ).fit(X, y)
    assert type(clf.module_.fusion) is FUSIONS[params["fusion"]]
    losses = clf.history[:, "train_objective"]
    assert np.isfinite(losses).all() and losses[-1] < 0.8 * losses[0]
    assert any(clf.curves_["coefficient"][name].any() for name in X)
    scores = clf.score_by_modality(X, y)
    assert list(scores) == list(X) == ["text", "audio", "video"]
    proba = clf.predict_proba_by_modality(X)
    for name, score in scores.items():
        assert score == np.mean(clf.classes_[proba[name].argmax(axis=1)] == y)
    if params["fusion"] == "concat":
        return
    settings = {k.partition("__")[2]: v for k, v in params.items() if k != "fusion"}
    W, b = clf.head_.weight.detach().numpy(), clf.head_.bias.detach().numpy()
    z = dict(sorted(clf.transform_by_modality(X).items()))  # as in the network
    for name in X:
        alone = {k: v if k == name else np.zeros_like(v) for k, v in z.items()}
        logits = by_hand(params["fusion"], settings, arrays(clf.module_.fusion), alone) @ W.T + b
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(proba[name], expected, rtol=0, atol=1e-12)


def test_the_mlp_sees_an_interaction_and_concat_does_not():
    X, y = make_multimodal_classification(
        1500,
        n_classes=2,
        modalities={name: {"n_features": 4, "strength": 4.0} for name in ("audio", "text")},
        interaction=1,
        random_state=0,
    )
    best = 0.5 + 0.5 * 0.9545**2  # of the digits, each right with probability Phi(2)
    train, test = np.arange(1000), np.arange(1000, 1500)
    scores = {}
    for fusion in ("concat", "mlp"):
        clf = MultimodalClassifier(fusion=fusion, max_epochs=30, lr=0.01, random_state=0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*no better than guessing")
            scores[fusion] = clf.fit(X[train], y[train]).score(X[test], y[test])
    assert scores["mlp"] == pytest.approx(best, abs=0.04)
    assert scores["concat"] < 0.6


@pytest.mark.parametrize("params", BUILT_IN, ids=lambda params: params["fusion"])
def test_order_of_modalities_does_not_matter(trimodal, params):
    X, y = trimodal
    clf = MultimodalInfoRegClassifier(max_epochs=2, random_state=0, **params)
    first = clf.fit(X, y).predict_proba(X)
    backwards = dict(reversed(X.items()))
    np.testing.assert_array_equal(clf.fit(backwards, y).predict_proba(backwards), first)


@pytest.mark.parametrize("fusion", ["concat", "mlp", "sum", "attention"])
def test_one_modality_is_enough(trimodal, fusion):
    X, y = trimodal
    clf = MultimodalClassifier(fusion=fusion, max_epochs=2, random_state=0)
    text = {"text": X["text"]}
    assert clf.fit(text, y).predict(text).shape == y.shape
    assert clf.score_by_modality(text, y) == {"text": clf.score(text, y)}


def test_grid_search_over_fusions(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(max_epochs=3, lr=0.01, random_state=0)
    grid = {"fusion": ["concat", "sum", "attention"], "encoders__hidden": [8]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(ModalityDict(X), y)
    assert len(search.cv_results_["mean_test_score"]) == 3
    assert type(search.best_estimator_.module_.fusion) is FUSIONS[search.best_params_["fusion"]]
    grid = {"fusion__conditioning": ["text", "video"]}
    search = GridSearchCV(clf.set_params(fusion="film"), grid, cv=2, error_score="raise")
    best = search.fit(ModalityDict(X), y).best_estimator_
    assert best.module_.fusion.conditioning == search.best_params_["fusion__conditioning"]


@pytest.mark.parametrize(
    "params, words",
    [
        ({"fusion": "gated"}, ["fusion could not be made", "fusion__conditioning=...", "'text'"]),
        ({"fusion": "film", "fusion__conditioning": "txt"}, ["did you mean 'text'?"]),
        (
            {"fusion": "sum", "fusion__width": -3},
            [
                "fusion could not be made: The 'width' parameter of Sum must be None or an int in "
                "[1, inf). Got -3."
            ],
        ),
        ({"fusion": "sum", "fusion__conditioning": "text"}, ["fusion__conditioning", "width"]),
    ],
)
def test_a_refused_fusion_leaves_the_fitted_model(trimodal, params, words):
    X, y = trimodal
    clf = MultimodalClassifier(max_epochs=2, random_state=0).fit(X, y)
    before, weights = clf.predict_proba(X), copy.deepcopy(clf.module_.state_dict())
    clf.set_params(**params)
    with pytest.raises(ValueError) as info:
        clf.fit(X, y)
    for word in words:
        assert word in str(info.value)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert all(torch.equal(v, weights[k]) for k, v in clf.module_.state_dict().items())
    assert len(clf.history) == 2


def test_a_fusion_that_needs_two_modalities_refuses_one(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(fusion="gated", fusion__conditioning="text")
    with pytest.raises(ValueError, match="at least two modalities; got 'text' only"):
        clf.fit({"text": X["text"]}, y)


@pytest.mark.parametrize("params", BUILT_IN, ids=lambda params: params["fusion"])
def test_awkward_names(params):
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    X = {name: rng.normal(size=(30, 2)) for name in ("a.b", "keys", "training", "100%")}
    params = {k: "a.b" if k == "fusion__conditioning" else v for k, v in params.items()}
    clf = MultimodalClassifier(max_epochs=1, random_state=0, **params).fit(X, y)
    assert set(clf.score_by_modality(X, y)) == set(X)
