"""Gradient norms of single samples of encoders against a loop and torch.func."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from inforeg_sk.network import CNNEncoder, GRUEncoder, MLPEncoder, ResNet18Encoder
from inforeg_sk.network.sample_norms import (
    EncoderCalls,
    looped_norms,
    measuring,
    mixes_samples,
    vmapped_norms,
)
from inforeg_sk.network.sequences import TransformerEncoder
from inforeg_sk.network.taps import LayerTaps, can_be_tapped

assert_near = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-14)
N = 5


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_taps(encoder, x, gradients):
    """Norms by one backward pass; None if a layer could not be tapped."""
    taps = LayerTaps(encoder, x)
    with measuring(encoder, x.device), taps.listening(len(x)):
        features = encoder(x)
        torch.autograd.grad(features, taps.token, gradients, allow_unused=True)
    return None if taps.failed else taps.norms


def by_hand(encoder, x, gradients):
    """One forward and one backward pass for each sample."""
    parameters = [p for p in encoder.parameters() if p.requires_grad]
    mode, norms = encoder.training, []
    encoder.eval()
    for i in range(len(x)):
        loss = (encoder(x[i : i + 1]) * gradients[i]).sum()
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        norms.append(sum(g.square().sum() for g in found if g is not None))
    encoder.train(mode)
    return torch.stack(norms)


class Sequence(nn.Module):
    """A linear layer on each step."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.batch_first = batch_first

    def forward(self, x):
        z = torch.tanh(self.linear(x if self.batch_first else x.transpose(0, 1)))
        return z.mean(dim=1 if self.batch_first else 0)


class Recurrent(nn.Module):
    def __init__(self, kind, **settings):
        super().__init__()
        self.layer = kind(3, 4, batch_first=True, dropout=0.5, num_layers=2, **settings)

    def forward(self, x):
        out, last = self.layer(x)
        last = last[1] if isinstance(last, tuple) else last
        return torch.cat([out.square().mean(dim=1), last.transpose(0, 1).flatten(1)], dim=1)


class Masked(nn.Module):
    """Attention with masks, whose weights count, too."""

    def __init__(self, bias=True):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, bias=bias, batch_first=True)
        self.norm = nn.LayerNorm((6, 4))

    def forward(self, x):
        causal = nn.Transformer.generate_square_subsequent_mask(6, dtype=x.dtype)
        padding = torch.zeros(len(x), 6, dtype=x.dtype)
        padding[:, 4:] = -torch.inf
        z, shares = self.attention(
            x, 2 * x, x.flip(2), attn_mask=causal, key_padding_mask=padding, is_causal=True
        )
        return self.norm(x + z).flatten(1)[:, :5] + shares.square().sum(dim=(1, 2))[:, None]


class InPlace(nn.Module):
    """Changes what layers give in place, as many published networks do."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3, stride=2, groups=2, bias=False)
        self.norm = nn.GroupNorm(2, 4)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.act(self.convolution(x)))).mean(dim=(2, 3))


def make_resnet():
    encoder = ResNet18Encoder((2, 20, 20))
    for module in encoder.modules():  # statistics and weights as after some training
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
    return encoder


ENCODERS = {
    "mlp": (lambda: MLPEncoder((3,), hidden=(6, 4)), (3,)),
    "mlp of sequences": (lambda: MLPEncoder((4, 3)), (4, 3)),
    "linear sequence": (Sequence, (7, 3)),
    "short sequence": (Sequence, (2, 3)),
    "gru": (lambda: GRUEncoder((6, 3), hidden=4, n_layers=2), (6, 3)),
    "rnn": (lambda: Recurrent(nn.RNN, nonlinearity="relu"), (6, 3)),
    "lstm": (lambda: Recurrent(nn.LSTM, bidirectional=True), (6, 3)),
    "gru both ways": (lambda: Recurrent(nn.GRU, bidirectional=True, bias=False), (6, 3)),
    "transformer": (lambda: TransformerEncoder((6, 3), hidden=8, n_heads=2), (6, 3)),
    "attention": (Masked, (6, 4)),
    "attention without bias": (lambda: Masked(bias=False), (6, 4)),
    "cnn": (lambda: CNNEncoder((2, 8, 9), hidden=5), (2, 8, 9)),
    "video": (lambda: CNNEncoder((2, 3, 8, 9), hidden=5), (2, 3, 8, 9)),
    "resnet": (make_resnet, (2, 20, 20)),
    "in place": (InPlace, (2, 8, 8)),
    "conv1d": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 3, stride=2, padding=2, groups=2, dilation=2),
            nn.BatchNorm1d(6),
            nn.Tanh(),
            nn.Conv1d(6, 6, 2, groups=6),
            nn.Flatten(),
        ),
        (4, 9),
    ),
    "conv3d": (
        lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding="same"), nn.Tanh(), nn.Flatten()),
        (2, 3, 4, 3),
    ),
}


def make(name):
    build, shape = ENCODERS[name]
    torch.manual_seed(0)
    encoder = build().double()
    x = random(N, *shape)
    gradients = random(*encoder.eval()(x).shape, seed=1)
    return encoder.train(), x, gradients


@pytest.mark.parametrize("name", ENCODERS)
def test_one_backward_pass_gives_the_norms_of_a_loop_over_samples(name):
    encoder, x, gradients = make(name)
    assert can_be_tapped(encoder)
    assert_near(by_taps(encoder, x, gradients), by_hand(encoder, x, gradients))


@pytest.mark.parametrize("name", ["mlp", "linear sequence", "cnn", "conv1d", "resnet"])
def test_one_backward_pass_gives_the_norms_of_torch_func(name):
    encoder, x, gradients = make(name)
    encoder.eval()
    parameters = {key: p.detach() for key, p in encoder.named_parameters()}

    def loss(parameters, x, g):
        return (functional_call(encoder, parameters, (x[None],)) * g).sum()

    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, gradients)
    expected = sum(g.flatten(1).square().sum(dim=1) for g in found.values())
    assert_near(by_taps(encoder, x, gradients), expected)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_part_that_is_frozen_is_left_out(name):
    encoder, x, gradients = make(name)
    for p in list(encoder.parameters())[::2]:
        p.requires_grad_(False)
    if any(p.requires_grad for p in encoder.parameters()):
        assert_near(by_taps(encoder, x, gradients), by_hand(encoder, x, gradients))


def test_norms_of_a_linear_layer_by_hand():
    layer = nn.Linear(2, 1).double()
    x, g = torch.tensor([[3.0, 4.0], [0.0, 1.0]]).double(), torch.tensor([[2.0], [-1.0]]).double()
    # |x|^2 g^2 for the weight, g^2 for the bias
    assert by_taps(layer, x, g).tolist() == [25 * 4 + 4, 1 + 1]


def test_a_pass_leaves_gradients_modes_hooks_and_statistics_as_they_were():
    encoder, x, gradients = make("resnet")
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    by_taps(encoder, x, gradients)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(p.grad is None for p in encoder.parameters())
    assert all(m.training and not m._forward_hooks for m in encoder.modules())


def test_recurrent_layers_have_their_dropout_again_afterwards():
    encoder, x, gradients = make("lstm")
    by_taps(encoder, x, gradients)
    assert encoder.layer.dropout == 0.5 and encoder.layer.training


# What cannot be tapped


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Raw(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return self.linear(x) * self.scale


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(torch.tanh(self.linear(x)))


class Subclass(nn.Linear):
    def forward(self, x):
        return super().forward(x) * self.weight.sum()


def parametrized():
    return nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))


def with_prelu():
    return nn.Sequential(nn.Linear(3, 4), nn.PReLU())


@pytest.mark.parametrize("build", [Tied, Raw, lambda: Subclass(3, 4), parametrized, with_prelu])
def test_parameters_outside_layers_of_a_known_kind_are_seen(build):
    assert not can_be_tapped(build())


def test_a_layer_that_runs_twice_fails():
    encoder = Twice().double()
    assert can_be_tapped(encoder)
    assert by_taps(encoder, random(N, 3), random(N, 3, seed=1)) is None


def test_samples_on_another_axis_fail():
    encoder = Sequence(batch_first=False).double()
    assert by_taps(encoder, random(N, 7, 3), random(N, 4, seed=1)) is None


OTHERS = [Tied, Raw, Twice, lambda: Subclass(3, 4), parametrized, with_prelu]


@pytest.mark.parametrize("build", OTHERS)
@pytest.mark.parametrize("norms", [looped_norms, vmapped_norms])
def test_other_ways_give_the_norms_of_a_loop_over_samples(build, norms):
    encoder = build().double()
    x = random(N, 3)
    calls = EncoderCalls(encoder)
    with calls.listening():
        gradients = random(*encoder(x).shape, seed=1)
    assert len(calls.calls) == 1
    with measuring(encoder, x.device):
        assert_near(norms(encoder, calls.calls[0], gradients), by_hand(encoder, x, gradients))


def test_torch_func_says_so_where_it_has_no_rule():
    encoder, x, gradients = make("transformer")
    with measuring(encoder, x.device), pytest.raises(Exception, match="performance drop"):
        vmapped_norms(encoder, ((x,), {}), gradients)


def test_batch_norm_without_running_statistics_mixes_samples():
    layers = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False))
    assert mixes_samples(layers) == ["1"]
