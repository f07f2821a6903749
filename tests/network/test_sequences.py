"""Encoders of sequences compute what they say, and padding at the end changes nothing."""

import numpy as np
import pytest
import torch

from inforeg_sk import MultimodalClassifier
from inforeg_sk.network import Dropout, GRUEncoder, TransformerEncoder

KINDS = [
    pytest.param(GRUEncoder, {"hidden": 8}, id="gru"),
    pytest.param(GRUEncoder, {"hidden": 8, "n_layers": 3}, id="stacked gru"),
    pytest.param(TransformerEncoder, {}, id="transformer"),
    pytest.param(TransformerEncoder, {"hidden": 9, "n_heads": 3, "n_layers": 1}, id="odd width"),
]


def weights_of(encoder):
    return {name: p.detach().double().numpy() for name, p in encoder.state_dict().items()}


def padded_batch(dtype=torch.float64, value=np.nan, seed=0):
    """Six samples of 9 steps: full, padded, one step, no step, one hole, a real zero feature."""
    torch.manual_seed(seed)
    x = torch.randn(6, 9, 5, dtype=dtype)
    x[1, 4:] = value
    x[2, 1:] = value
    number = 0.0 if np.isnan(value) else value
    x[3], x[3, 0] = value, number
    x[4, 2:5] = number  # in the middle: no padding
    x[5, 8, 1:] = number  # one feature is left: no padding
    return x, [9, 4, 1, 1, 9, 9]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_by_hand(weights, sequence, n_layers):
    """The states of the last layer, one sample after another, of shape (n_steps, hidden)."""
    for layer in range(n_layers):
        W, U, b, c = (
            weights[f"layers.{layer}.{name}_l0"]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h, states = np.zeros(U.shape[1]), []
        for x in sequence:
            from_x, from_h = np.split(W @ x + b, 3), np.split(U @ h + c, 3)
            reset, update = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
            new = np.tanh(from_x[2] + reset * from_h[2])
            h = (1 - update) * new + update * h
            states.append(h)
        sequence = np.stack(states)
    return sequence


def layer_norm(z, weight, bias):
    centred = z - z.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias


def transformer_by_hand(weights, sequence, n_layers, n_heads):
    """Features of one sample that has no padding: loops over positions, heads and steps."""
    z = sequence @ weights["projection.weight"].T + weights["projection.bias"]
    n_steps, width = z.shape
    for t in range(n_steps):
        for i in range(width):
            angle = t / 10000 ** ((i - i % 2) / width)
            z[t, i] += np.cos(angle) if i % 2 else np.sin(angle)
    for layer in range(n_layers):
        w = {k.split(".", 2)[2]: v for k, v in weights.items() if k.startswith(f"layers.{layer}.")}
        W, b = w["self_attn.in_proj_weight"], w["self_attn.in_proj_bias"]
        query, key, value = np.split(z @ W.T + b, 3, axis=1)
        size, heads = width // n_heads, []
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)
            scores = query[:, part] @ key[:, part].T / np.sqrt(size)
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(scores / scores.sum(axis=1, keepdims=True) @ value[:, part])
        attended = np.concatenate(heads, axis=1) @ w["self_attn.out_proj.weight"].T
        z = z + attended + w["self_attn.out_proj.bias"]
        z = layer_norm(z, w["norm1.weight"], w["norm1.bias"])
        wide = np.maximum(z @ w["linear1.weight"].T + w["linear1.bias"], 0)
        z = z + wide @ w["linear2.weight"].T + w["linear2.bias"]
        z = layer_norm(z, w["norm2.weight"], w["norm2.bias"])
    return z.mean(axis=0)


values = pytest.mark.parametrize("value", [np.nan, 0.0, -1.1])

# What they compute


@values
@pytest.mark.parametrize("n_layers", [1, 2])
def test_gru_by_hand(n_layers, value):
    torch.manual_seed(1)
    encoder = GRUEncoder((9, 5), hidden=4, n_layers=n_layers, padding_value=value).double()
    assert len(list(encoder.parameters())) == 4 * n_layers
    x, lengths = padded_batch(value=value)
    for row, n, got in zip(x.numpy(), lengths, encoder(x).detach().numpy(), strict=True):
        states = gru_by_hand(weights_of(encoder), row[:n], n_layers)
        np.testing.assert_allclose(got, states[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"hidden": 9, "n_heads": 3, "n_layers": 3}])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_transformer_by_hand(settings, training, dtype, tolerance):
    torch.manual_seed(1)
    encoder = TransformerEncoder((9, 5), **settings).to(dtype).train(training)
    n_layers, n_heads = settings.get("n_layers", 2), settings.get("n_heads", 4)
    x, lengths = padded_batch(dtype)
    with torch.set_grad_enabled(training):  # without gradients torch takes a path of its own
        features = encoder(x).detach().numpy()
    for row, n, got in zip(x.double().numpy(), lengths, features, strict=True):
        expected = transformer_by_hand(weights_of(encoder), row[:n], n_layers, n_heads)
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def test_without_a_padding_value_every_step_is_real():
    torch.manual_seed(1)
    x, _ = padded_batch(value=0.0)
    gru = GRUEncoder((9, 5), hidden=4, padding_value=None).double()
    transformer = TransformerEncoder((9, 5), padding_value=None).double()
    for row, by_gru, by_transformer in zip(x.numpy(), gru(x), transformer(x), strict=True):
        states = gru_by_hand(weights_of(gru), row, 1)
        np.testing.assert_allclose(by_gru.detach(), states[-1], rtol=0, atol=1e-12)
        expected = transformer_by_hand(weights_of(transformer), row, 2, 4)
        np.testing.assert_allclose(by_transformer.detach(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind, settings", KINDS)
def test_without_padding_the_padding_value_has_no_say(kind, settings):
    torch.manual_seed(1)
    encoder = kind((9, 5), **settings)
    x = torch.randn(6, 9, 5)
    with_rule = encoder(x)
    encoder.padding_value = None
    torch.testing.assert_close(encoder(x), with_rule, rtol=0, atol=1e-6)
    if kind is GRUEncoder:
        assert torch.equal(encoder(x), with_rule)


@pytest.mark.parametrize("kind, settings", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gradients", [True, False])
@values
def test_double_padding_changes_nothing(kind, settings, dtype, training, gradients, value):
    torch.manual_seed(2)
    encoder = kind((9, 5), padding_value=value, **settings).to(dtype).train(training)
    x, _ = padded_batch(dtype, value)
    longer = torch.cat([x, torch.full_like(x, value)], dim=1)
    with torch.set_grad_enabled(gradients):
        before, after = encoder(x), encoder(longer)
    assert torch.isfinite(before).all()
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


@values
@pytest.mark.parametrize("kind, settings", KINDS)
def test_padding_gets_no_gradient_and_gives_none(kind, settings, value):
    torch.manual_seed(2)
    encoder = kind((9, 5), padding_value=value, **settings).double()
    x, lengths = padded_batch(value=value)
    x.requires_grad_()
    (encoder(x) ** 2 * torch.arange(1, encoder(x).shape[1] + 1)).sum().backward()
    for row, n in zip(x.grad, lengths, strict=True):
        assert (row[:n].abs().sum(dim=1) > 0).all() and not row[n:].any()
    # Mean-centred by the last normalisation, a plain sum would have no gradient at all.
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.mark.parametrize("kind, settings", KINDS)
def test_the_order_of_real_steps_matters(kind, settings):
    torch.manual_seed(2)
    encoder = kind((9, 5), **settings).double()
    x = torch.randn(4, 9, 5, dtype=torch.float64)
    assert (encoder(x) - encoder(x.flip(1))).abs().max() > 1e-3


def test_number_of_parameters():
    def count(encoder):
        return sum(p.numel() for p in encoder.parameters())

    for d, n_layers, f in [(64, 2, 35), (12, 3, 5)]:
        # Attention 4 d^2 + 4 d, feed-forward 8 d^2 + 5 d, two normalisations 4 d.
        expected = (f * d + d) + n_layers * (12 * d**2 + 13 * d)
        assert count(TransformerEncoder((20, f), hidden=d, n_layers=n_layers)) == expected
    assert count(GRUEncoder((20, 35), hidden=8)) == 3 * 8 * (35 + 8 + 2)
    assert count(GRUEncoder((20, 35), hidden=8, n_layers=2)) == 3 * 8 * (35 + 8 + 2 + 8 + 8 + 2)


# Dropout


@pytest.mark.parametrize("kind, settings", KINDS)
def test_dropout_is_our_own(kind, settings):
    torch.manual_seed(3)
    encoder = kind((9, 5), dropout=0.4, **settings)
    layers = [m for m in encoder.modules() if isinstance(m, Dropout)]
    assert not any(isinstance(m, torch.nn.Dropout) for m in encoder.modules())
    assert layers and all(layer.p == 0.4 for layer in layers)
    x, before = torch.randn(6, 9, 5), torch.get_rng_state()
    first, second = encoder(x), encoder(x)
    assert torch.equal(torch.get_rng_state(), before)  # the global generator has no say
    assert not torch.equal(first, second)
    assert torch.equal(encoder.eval()(x), encoder(x))
    with torch.no_grad():
        torch.testing.assert_close(encoder(x), encoder(x), rtol=0, atol=0)


def test_dropout_of_the_transformer_is_in_each_layer():
    layers = TransformerEncoder((9, 5), n_layers=2, dropout=0.4).layers
    for layer in layers:
        assert [type(m) for m in (layer.dropout, layer.dropout1, layer.dropout2)] == [Dropout] * 3
        assert layer.self_attn.dropout == 0


# Settings

ENCODER = "parameter of (GRU|Transformer)Encoder must be"
COUNT = rf"{ENCODER} an int in \[1, inf\)\. Got "
SHARE = rf"{ENCODER} a float in \[0, 1\)\. Got "
FINITE = rf"{ENCODER} None or NaN or a finite number\. Got "


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GRUEncoder((3,)), r"GRUEncoder takes sequences.*\(n_steps, n_f.*got \(3,\)"),
        (lambda: GRUEncoder((3, 4, 5)), r"takes sequences.*got \(3, 4, 5\)"),
        (lambda: GRUEncoder((3, 4), hidden=0), f"'hidden' {COUNT}0"),
        (lambda: GRUEncoder((3, 4), hidden=True), f"'hidden' {COUNT}True"),
        (lambda: GRUEncoder((3, 4), n_layers=1.5), rf"'n_layers' {COUNT}1\.5"),
        (lambda: GRUEncoder((3, 4), 0, -1), f"'hidden' {COUNT}0"),
        (lambda: GRUEncoder((3, 4), 4, -1), f"'n_layers' {COUNT}-1"),
        (lambda: GRUEncoder((3, 4), dropout=1.0), rf"'dropout' {SHARE}1\.0"),
        (lambda: GRUEncoder((3, 4), padding_value="0"), f"'padding_value' {FINITE}'0'"),
        (lambda: GRUEncoder((3, 4), padding_value=np.inf), f"'padding_value' {FINITE}inf"),
        (lambda: TransformerEncoder((3,)), r"TransformerEncoder takes seq.*got \(3,\)"),
        (lambda: TransformerEncoder((3, 0)), r"takes sequences.*got \(3, 0\)"),
        (lambda: TransformerEncoder((3, 4), hidden=-2), f"'hidden' {COUNT}-2"),
        (lambda: TransformerEncoder((3, 4), n_layers=0), f"'n_layers' {COUNT}0"),
        (lambda: TransformerEncoder((3, 4), n_heads=None), f"'n_heads' {COUNT}None"),
        (
            lambda: TransformerEncoder((3, 4), hidden=6),
            "'hidden' .* must be divisible by n_heads. Got hidden=6, n_heads=4",
        ),
        (lambda: TransformerEncoder((3, 4), dropout=-1), f"'dropout' {SHARE}-1"),
        (lambda: TransformerEncoder((3, 4), padding_value=True), f"'padding_value' {FINITE}True"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@values
@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_padding_of_a_dataset_changes_no_prediction(encoder, value):
    rng = np.random.default_rng(0)
    y = np.arange(48) % 2
    words = rng.normal(size=(48, 6, 3)) + y[:, None, None]
    words[np.arange(6) >= rng.integers(1, 7, 48)[:, None]] = value
    longer = np.concatenate([words, np.full_like(words, value)], axis=1)
    proba = []
    for text in (words, longer):
        X = {"text": text, "number": rng.normal(size=(48, 2)) * 0 + y[:, None]}
        clf = MultimodalClassifier(
            encoders={"text": encoder},
            encoders__text__padding_value=value,
            dtype="float64",
            max_epochs=3,
            random_state=0,
        )
        proba.append(clf.fit(X, y).predict_proba(X))
    np.testing.assert_allclose(*proba, rtol=0, atol=1e-9)
