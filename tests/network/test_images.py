"""Encoders of images against functional statements with the same weights."""

import copy
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inforeg_sk import MultimodalClassifier
from inforeg_sk.network import CNNEncoder, Dropout, ResNet18Encoder

SHAPES = [(8, 8), (3, 8, 8), (1, 28, 28), (2, 33, 19), (2, 1, 5), (3, 1, 1), (2, 3, 12, 7), (9, 40)]


def randomised(encoder, seed=0):
    """Weights and running statistics that are all different, in double precision."""
    torch.manual_seed(seed)
    encoder = encoder.double()
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if name.endswith("bias") or name.endswith("running_mean"):
                value.normal_(0, 0.3)
            elif name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
                value.uniform_(0.5, 1.5)
    return encoder


def batch(shape, n=4):
    torch.manual_seed(1)
    return torch.randn(n, *shape, dtype=torch.float64)


def as_images(x):
    """Samples as a list of frames, each of shape (n, channels, height, width)."""
    if x.ndim == 3:
        return [x[:, None]]
    return [x] if x.ndim == 4 else [x[:, :, t] for t in range(x.shape[2])]


# The small network


def cnn_by_hand(weights, x, n_stages):
    z = x
    for i in range(n_stages):
        weight, bias = (weights[f"convolutions.{i}.{part}"] for part in ("weight", "bias"))
        z = F.conv2d(z, weight, bias, padding=1).clamp(min=0)
        height, width = z.shape[2:]
        if height > 1:  # the larger of each two rows, then of each two columns
            z = torch.maximum(z[:, :, : height - 1 : 2], z[:, :, 1::2])
        if width > 1:
            z = torch.maximum(z[:, :, :, : width - 1 : 2], z[:, :, :, 1::2])
    z = F.adaptive_avg_pool2d(z, [min(4, size) for size in z.shape[2:]])
    return F.linear(z.flatten(1), weights["linear.weight"], weights["linear.bias"]).clamp(min=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [(16, 32), (5,), (3, 4, 6)])
def test_cnn_by_hand(shape, channels):
    encoder = randomised(CNNEncoder(shape, hidden=10, channels=channels))
    x = batch(shape)
    frames = [cnn_by_hand(encoder.state_dict(), z, len(channels)) for z in as_images(x)]
    got = encoder(x)
    assert got.shape == (4, 10)
    torch.testing.assert_close(got, sum(frames) / len(frames), rtol=0, atol=1e-10)
    single = copy.deepcopy(encoder).float()(x.float())
    torch.testing.assert_close(single, got.float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "shape, cells",
    [((3, 8, 8), 4), ((3, 28, 28), 16), ((3, 7, 224, 160), 16), ((12, 3), 3), ((3, 1, 1), 1)],
)
def test_cnn_number_of_parameters(shape, cells):
    c = shape[0] if len(shape) > 2 else 1
    expected = (9 * c * 16 + 16) + (9 * 16 * 32 + 32) + (32 * cells * 64 + 64)
    assert sum(p.numel() for p in CNNEncoder(shape).parameters()) == expected


def test_cnn_one_stage_may_be_a_number():
    assert [m.out_channels for m in CNNEncoder((3, 8, 8), channels=7).convolutions] == [7]


def test_cnn_sees_the_place_of_things():
    encoder = randomised(CNNEncoder((1, 16, 16)))
    x = torch.zeros(2, 1, 16, 16, dtype=torch.float64)
    x[0, 0, 2, 2] = x[1, 0, 12, 9] = 5
    first, second = encoder(x)
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 9, 9)])
def test_cnn_dropout(shape):
    encoder = CNNEncoder(shape, hidden=200, dropout=0.5)
    assert isinstance(encoder.dropout, Dropout)
    x, before = batch(shape).float(), torch.get_rng_state()
    kept = encoder(x) / encoder.eval()(x)
    assert torch.equal(torch.get_rng_state(), before)
    kept = kept[~kept.isnan()]
    assert set(kept.round(decimals=4).tolist()) == {0.0, 2.0}  # once, after the mean over time


ACCEPTED = "an int in [1, inf) or a non-empty sequence of these"
CHANNELS = f"'channels' parameter of CNNEncoder must be {ACCEPTED}."


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hidden": 0}, "'hidden' parameter of CNNEncoder must be an int in [1, inf). Got 0."),
        ({"hidden": (3, 4)}, "'hidden' parameter of CNNEncoder must be an int in [1, inf). Got (3"),
        ({"channels": ()}, f"{CHANNELS} Got ()."),
        ({"channels": (4, 0)}, f"{CHANNELS} Got (4, 0)."),
        ({"channels": "ab"}, f"{CHANNELS} Got 'ab'."),
        ({"channels": 2.0}, f"{CHANNELS} Got 2.0."),
        ({"channels": None}, f"{CHANNELS} Got None."),
        ({"dropout": 1}, "'dropout' parameter of CNNEncoder must be a float in [0, 1). Got 1."),
    ],
)
def test_cnn_bad_settings(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        CNNEncoder((3, 8, 8), **settings)


@pytest.mark.parametrize("kind", [CNNEncoder, ResNet18Encoder])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5, 6), (), (3, 0, 4)])
def test_wrong_number_of_axes(kind, shape):
    words = (
        f"{kind.__name__} takes images, (height, width) (spectrogram) or (channels, height, width)"
        f" (image) or (channels, frames, height, width) (video) a sample; got {shape}."
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        kind(shape)


# ResNet-18


def resnet_by_hand(state, frames, training):
    """The trunk, from He et al.'s table, in functions; moves the running statistics in `state`."""

    def conv(z, name, stride, padding):
        return F.conv2d(z, state[f"{name}.weight"], stride=stride, padding=padding)

    def norm(z, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        if training:
            n = z.numel() / z.shape[1]
            batch_mean = z.mean(dim=(0, 2, 3))
            batch_var = ((z - batch_mean[:, None, None]) ** 2).mean(dim=(0, 2, 3))
            state[f"{name}.running_mean"] = 0.9 * mean + 0.1 * batch_mean
            state[f"{name}.running_var"] = 0.9 * var + 0.1 * batch_var * n / (n - 1)
            mean, var = batch_mean, batch_var
        z = (z - mean[:, None, None]) / torch.sqrt(var[:, None, None] + 1e-5)
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return z * weight[:, None, None] + bias[:, None, None]

    z = norm(conv(frames, "conv1", 2, 3), "bn1").clamp(min=0)
    z = F.max_pool2d(z, 3, 2, 1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            side = z
            z = norm(conv(z, f"{name}.conv1", stride, 1), f"{name}.bn1").clamp(min=0)
            z = norm(conv(z, f"{name}.conv2", 1, 1), f"{name}.bn2")
            if stride == 2:
                side = norm(conv(side, f"{name}.downsample.0", 2, 0), f"{name}.downsample.1")
            z = (z + side).clamp(min=0)
    return z.sum(dim=(2, 3)) / (z.shape[2] * z.shape[3])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(40, 33), (1, 32, 32), (3, 32, 48), (3, 2, 32, 32)])
def test_resnet_by_hand(shape, training):
    encoder = randomised(ResNet18Encoder(shape)).train(training)
    state, x = {k: v.clone() for k, v in encoder.state_dict().items()}, batch(shape)
    with torch.no_grad():
        got = encoder(x)
        n_frames = shape[1] if len(shape) == 4 else 1
        expected = resnet_by_hand(state, torch.cat(as_images(x)), training)
    expected = expected.reshape(n_frames, 4, 512).mean(dim=0)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)
    for name, value in encoder.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(value, state[name], rtol=1e-8, atol=1e-8)


def test_resnet_in_single_precision():
    encoder = randomised(ResNet18Encoder((3, 32, 32))).eval()
    x = batch((3, 32, 32))
    with torch.no_grad():
        exact, single = encoder(x), encoder.float()(x.float())
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape, count", [((64, 64), 11_170_240), ((3, 64, 64), 11_176_512)])
def test_resnet_number_of_parameters(shape, count):
    blocks, width = 0, 64
    for channels in (64, 128, 256, 512):
        blocks += 9 * width * channels + 3 * 9 * channels**2 + 4 * 2 * channels
        blocks += width * channels + 2 * channels if width != channels else 0
        width = channels
    n_channels = 1 if len(shape) == 2 else 3
    assert count == 49 * n_channels * 64 + 2 * 64 + blocks  # by hand
    encoder = ResNet18Encoder(shape)
    assert sum(p.numel() for p in encoder.parameters()) == count


def test_resnet_has_torchvisions_names():
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = ["conv1.weight", *(f"bn1.{part}" for part in norm)]
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            for i in (1, 2):
                names.append(f"layer{layer}.{block}.conv{i}.weight")
                names += [f"layer{layer}.{block}.bn{i}.{part}" for part in norm]
            if layer > 1 and block == 0:
                names.append(f"layer{layer}.{block}.downsample.0.weight")
                names += [f"layer{layer}.{block}.downsample.1.{part}" for part in norm]
    encoder = ResNet18Encoder((3, 32, 32))
    assert list(encoder.state_dict()) == names
    trained = {name: torch.ones_like(value) for name, value in encoder.state_dict().items()}
    trained |= {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}
    keys = encoder.load_state_dict(trained, strict=False)
    assert not keys.missing_keys and keys.unexpected_keys == ["fc.weight", "fc.bias"]
    assert encoder.layer4[1].conv2.weight.min() == 1


def test_resnet_starts_from_kaiming_normal_by_fan_out():
    torch.manual_seed(0)
    encoder = ResNet18Encoder((3, 32, 32))
    for name, p in encoder.named_parameters():
        if p.ndim == 4:
            fan_out = p.shape[0] * p.shape[2] * p.shape[3]
            assert p.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05), name
            assert abs(p.mean().item()) < 5 * (2 / fan_out / p.numel()) ** 0.5, name
        else:
            assert torch.equal(p, torch.full_like(p, float(name.endswith("weight")))), name


@pytest.mark.parametrize("kind", [CNNEncoder, ResNet18Encoder])
@pytest.mark.parametrize("shape", [(3, 33, 20), (2, 2, 32, 32), (20, 32)])
def test_gradients_reach_all_parameters(kind, shape):
    torch.manual_seed(0)
    encoder = kind(shape).double()
    x = batch(shape).requires_grad_()
    (encoder(x) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "encoder, shape",
    [
        ("cnn", (8, 8)),
        ("auto", (3, 8, 8)),
        ("auto", (1, 3, 8, 8)),
        pytest.param("resnet18", (32, 32), marks=pytest.mark.slow),
        pytest.param("resnet18", (3, 2, 32, 32), marks=pytest.mark.slow),
    ],
)
def test_in_a_classifier(encoder, shape):
    n = 8 if encoder == "resnet18" else 40
    y = np.arange(n) % 2
    rng = np.random.default_rng(0)
    images = rng.normal(size=(n, *shape)) * 0.3
    images[y == 1, ..., :4, :4] += 2  # a bright corner
    X = {"image": images, "number": rng.normal(size=(n, 2))}
    clf = MultimodalClassifier(
        "inforeg", encoders={"image": encoder}, max_epochs=8, lr=0.003, random_state=0
    )
    clf.set_params(batch_size=-1 if encoder == "resnet18" else 10).fit(X, y)
    losses = clf.history[:, "train_loss"]
    assert np.isfinite(losses).all() and losses[-1] < 0.5 * losses[0]
    assert np.isfinite(clf.curves_["fisher_trace"]["image"]).all()
    assert clf.predict(X).shape == (n,)
    if encoder != "resnet18":
        assert clf.score_by_modality(X, y)["image"] > 0.9
