"""Parameters of encoders: which are used, and lists of them against the functional forms."""

from functools import partial
from math import exp, inf

import pytest
import torch
from torch import nn

from inforeg_sk.functional import (
    decoupled_pull,
    fisher_trace,
    gradient_pull,
    numbers,
    pull_share,
    trace_from_norms,
)
from inforeg_sk.network.parameters import (
    TracedEncoders,
    add_gradient_pull,
    apply_decoupled_pull,
    encoder_parameters,
    layer_weights,
)

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)
assert_near = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-14)

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
strengths = pytest.mark.parametrize("c", [0.0, 1e-3, 1.0, 5.0, 1e9])


def squared_gradient(parameters, weights=None):
    """The trace of one encoder, in Python numbers and, as on a GPU, in tensors."""
    weights = None if weights is None else weights.tolist()
    encoder = TracedEncoders([(parameters, weights)])
    number = encoder.traces()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "on_host", lambda device: False)
        tensor = encoder.traces()[0]
    torch.testing.assert_close(torch.as_tensor(number, dtype=tensor.dtype), tensor)
    return tensor


def pull_decoupled(parameters, reference, coefficient, n_batches):
    apply_decoupled_pull(parameters, reference, pull_share(coefficient, n_batches))


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def make_parameters(dtype=torch.float64, gradients=True):
    """A list of parameters of several shapes, and a reference."""
    shapes = [(4, 3), (3,), (), (2, 3, 2, 2), (1,)]
    parameters = [nn.Parameter(random(*s, dtype=dtype, seed=i)) for i, s in enumerate(shapes)]
    if gradients:
        for i, p in enumerate(parameters):
            p.grad = random(*p.shape, dtype=dtype, seed=10 + i)
    return parameters, [random(*s, dtype=dtype, seed=20 + i) for i, s in enumerate(shapes)]


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def flat_gradients(parameters):
    return flat([p.grad for p in parameters])


def same(found, expected):
    """Whether two lists hold the same objects in the same order."""
    return [id(p) for p in found] == [id(p) for p in expected]


# Which parameters


def encoder():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_all_parameters_of_an_encoder_of_its_own_are_trained_and_regulated():
    encoders = {"audio": encoder(), "text": encoder()}
    found = encoder_parameters(encoders)
    assert list(found) == ["audio", "text"]
    for name, module in encoders.items():
        # In the order of the module, without buffers.
        assert same(found[name].trainable, module.parameters())
        assert same(found[name].regulated, module.parameters())
        assert len(found[name].trainable) == 6


def test_frozen_parameters_are_left_out():
    encoders = {"audio": encoder(), "text": encoder()}
    frozen = encoders["text"][0]
    frozen.requires_grad_(False)
    found = encoder_parameters(encoders)
    for part in found["text"]:
        assert same(part, [p for layer in encoders["text"][1:] for p in layer.parameters()])
    assert len(found["audio"].trainable) == 6
    encoders["audio"].requires_grad_(False)
    assert encoder_parameters(encoders)["audio"] == ([], [])


def test_shared_parameters_are_trained_in_each_and_regulated_in_none():
    shared = nn.Linear(4, 2)
    encoders = {m: nn.Sequential(nn.Linear(3, 4), shared) for m in ("audio", "text")}
    encoders["video"] = encoder()
    found = encoder_parameters(encoders)
    for name in ("audio", "text"):
        assert same(found[name].trainable, encoders[name].parameters())
        assert same(found[name].regulated, encoders[name][0].parameters())
    assert same(found["video"].regulated, encoders["video"].parameters())


def test_a_single_shared_tensor_is_enough():
    first, second = encoder(), encoder()
    second[2].weight = first[2].weight
    found = encoder_parameters({"audio": first, "text": second})
    for name, module in (("audio", first), ("text", second)):
        assert same(found[name].trainable, module.parameters())
        expected = [p for p in module.parameters() if p is not first[2].weight]
        assert same(found[name].regulated, expected)


def test_equal_values_are_not_shared():
    first, second = encoder(), encoder()
    second.load_state_dict(first.state_dict())
    found = encoder_parameters({"audio": first, "text": second})
    assert len(found["audio"].regulated) == len(found["text"].regulated) == 6


def test_one_encoder_of_two_modalities_is_never_regulated():
    both = encoder()
    found = encoder_parameters({"audio": both, "text": both})
    for name in ("audio", "text"):
        assert same(found[name].trainable, both.parameters())
        assert found[name].regulated == []


def test_a_tensor_used_twice_in_one_encoder_is_its_own():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    found = encoder_parameters({"audio": module, "text": encoder()})["audio"]
    expected = [module[0].weight, module[0].bias, module[1].bias]
    assert same(found.trainable, expected) and same(found.regulated, expected)


def test_an_encoder_may_have_no_parameters():
    found = encoder_parameters({"audio": nn.Flatten(), "text": encoder()})
    assert found["audio"] == ([], []) and len(found["text"].regulated) == 6


def test_module_dicts_are_encoders_too():
    encoders = nn.ModuleDict({"audio": encoder(), "text": encoder()})
    found = encoder_parameters(encoders)
    assert same(found["text"].regulated, encoders["text"].parameters())


def test_layer_weights_are_those_of_linear_and_convolution_layers():
    layers = {
        "conv1": nn.Conv1d(2, 2, 1),
        "conv2": nn.Conv2d(2, 2, 1),
        "conv3": nn.Conv3d(2, 2, 1),
        "back": nn.ConvTranspose1d(2, 2, 1),
        "norm": nn.BatchNorm1d(2),
        "table": nn.Embedding(2, 2),
        "inner": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)),
    }
    module = nn.ModuleDict(layers)
    expected = [layers[k].weight for k in ("conv1", "conv2", "conv3")]
    expected.append(layers["inner"][0].weight)
    assert same(layer_weights(module, list(module.parameters())), expected)
    # In the order of the list, and nothing that is not in it.
    some = [expected[3], layers["norm"].weight, expected[0]]
    assert same(layer_weights(module, some), [expected[3], expected[0]])
    assert layer_weights(module, []) == []


def test_layer_weights_of_another_module_do_not_count():
    module, other = nn.Linear(2, 2), nn.Linear(2, 2)
    other.load_state_dict(module.state_dict())
    assert layer_weights(module, list(other.parameters())) == []


# Squared gradients


@dtypes
def test_squared_gradient_is_the_fisher_trace_of_all_elements(dtype):
    parameters, _ = make_parameters(dtype)
    got = squared_gradient(parameters)
    assert got.dtype == dtype and got.shape == ()
    torch.testing.assert_close(got, fisher_trace(flat_gradients(parameters)))


def test_squared_gradient_equals_loops():
    parameters, _ = make_parameters()
    weights = torch.tensor([0.5, 2.0, 1.0, 0.0, 3.0], dtype=torch.float64)
    total = 0.0
    for p, w in zip(parameters, weights.tolist(), strict=True):
        total += w * sum(g * g for g in p.grad.reshape(-1).tolist())
    assert squared_gradient(parameters, weights).item() == pytest.approx(total, rel=1e-12)
    norms = torch.stack([p.grad.norm() for p in parameters])
    assert_near(squared_gradient(parameters, weights), trace_from_norms(norms, weights))


def test_parameters_without_a_gradient_count_as_zero_and_keep_the_weights_in_place():
    parameters, _ = make_parameters()
    weights = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0], dtype=torch.float64)
    parameters[1].grad = None
    got = [squared_gradient(parameters), squared_gradient(parameters, weights)]
    parameters[1].grad = torch.zeros_like(parameters[1])
    assert_near(got[0], squared_gradient(parameters))
    assert_near(got[1], squared_gradient(parameters, weights))


def test_without_any_gradient_the_squared_gradient_is_0():
    parameters, _ = make_parameters(gradients=False)
    assert squared_gradient(parameters) == 0
    assert squared_gradient(parameters, torch.ones(5)) == 0
    assert squared_gradient([]) == 0


@pytest.mark.parametrize("on_host", [True, False])
def test_an_infinite_gradient_of_one_encoder_is_none_of_another(monkeypatch, on_host):
    monkeypatch.setattr(numbers, "on_host", lambda device: on_host)
    first, second = (make_parameters()[0] for _ in range(2))
    first[2].grad.fill_(inf)
    second[1].grad = None
    found = TracedEncoders([(first, None), (second, [1.0, 9.0, 2.0, 0.5, 0.0])]).traces()
    expected = sum(
        w * float((p.grad**2).sum())
        for p, w in zip(second, [1.0, 9.0, 2.0, 0.5, 0.0], strict=True)
        if p.grad is not None
    )
    assert float(found[0]) == inf
    assert float(found[1]) == pytest.approx(expected, rel=1e-12)


def test_frozen_parameters_have_no_gradient_to_square():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    module(torch.ones(2, 3)).sum().backward()
    expected = fisher_trace(flat_gradients(module[1].parameters()))
    torch.testing.assert_close(squared_gradient(list(module.parameters())), expected)


# Pulls


@dtypes
@strengths
def test_pull_of_a_list_is_the_gradient_pull_of_all_elements(c, dtype):
    parameters, reference = make_parameters(dtype)
    c = torch.tensor(c, dtype=dtype)
    expected = flat_gradients(parameters) + gradient_pull(flat(parameters), flat(reference), c)
    add_gradient_pull(parameters, reference, c)
    assert_same(flat_gradients(parameters), expected)


def test_pull_of_a_list_is_the_gradient_of_the_penalty():
    parameters, reference = make_parameters()
    before = flat_gradients(parameters)
    penalty = sum((p - r).square().sum() for p, r in zip(parameters, reference, strict=True))
    pull = torch.autograd.grad(0.35 * penalty, parameters)
    add_gradient_pull(parameters, reference, torch.tensor(0.7, dtype=torch.float64))
    assert_near(flat_gradients(parameters), before + flat(pull))


@dtypes
@strengths
def test_decoupled_pull_of_a_list_is_that_of_all_elements(c, dtype):
    parameters, reference = make_parameters(dtype)
    c = torch.tensor(c, dtype=dtype)
    expected = decoupled_pull(flat(parameters), flat(reference), c, 10)
    pull_decoupled(parameters, reference, c, 10)
    assert_same(flat(parameters), expected)


@pytest.mark.parametrize("n_batches", [1, 10, 100])
def test_an_epoch_of_steps_takes_the_whole_share(n_batches):
    parameters, reference = make_parameters()
    start, target = flat(parameters), flat(reference)
    for _ in range(n_batches):
        pull_decoupled(parameters, reference, torch.tensor(2.0, dtype=torch.float64), n_batches)
    assert_near(flat(parameters), target + (start - target) * exp(-2.0), rtol=1e-10)


def test_an_infinite_coefficient_leads_to_the_reference():
    parameters, reference = make_parameters()
    pull_decoupled(parameters, reference, torch.tensor(inf, dtype=torch.float64), 10)
    assert_near(flat(parameters), flat(reference))


def test_parameters_without_a_gradient_get_none():
    parameters, reference = make_parameters()
    parameters[0].grad = parameters[3].grad = None
    before = [None if p.grad is None else p.grad.clone() for p in parameters]
    add_gradient_pull(parameters, reference, torch.tensor(0.5, dtype=torch.float64))
    for p, r, g in zip(parameters, reference, before, strict=True):
        if g is None:
            assert p.grad is None
        else:
            assert_same(p.grad, g + (p.detach() - r) * 0.5)
    parameters, reference = make_parameters(gradients=False)
    add_gradient_pull(parameters, reference, torch.tensor(0.5, dtype=torch.float64))
    assert all(p.grad is None for p in parameters)


def test_the_decoupled_pull_needs_no_gradient():
    parameters, reference = make_parameters(gradients=False)
    pull_decoupled(parameters, reference, torch.tensor(1e9, dtype=torch.float64), 1)
    assert_near(flat(parameters), flat(reference))
    assert all(p.grad is None for p in parameters)


@pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
def test_pulls_change_in_place_what_they_are_meant_to_and_nothing_else(dtype):
    parameters, reference = make_parameters(dtype)
    c = torch.tensor(0.5, dtype=dtype)
    weights, gradients = flat(parameters), flat_gradients(parameters)
    references = flat(reference)
    places = [(p.data_ptr(), p.grad.data_ptr()) for p in parameters]

    add_gradient_pull(parameters, reference, c)
    assert_same(flat(parameters), weights)
    assert not torch.equal(flat_gradients(parameters), gradients)
    gradients = flat_gradients(parameters)

    pull_decoupled(parameters, reference, c, 3)
    assert_same(flat_gradients(parameters), gradients)
    assert not torch.equal(flat(parameters), weights)

    assert_same(flat(reference), references)
    assert c == 0.5
    assert places == [(p.data_ptr(), p.grad.data_ptr()) for p in parameters]
    for p in parameters:
        assert p.is_leaf and p.requires_grad and p.dtype == p.grad.dtype == dtype
        assert not p.grad.requires_grad


def test_an_empty_list_gets_no_gradient():
    add_gradient_pull([], [], torch.tensor(0.5))


def test_a_reference_of_another_length_is_an_error():
    parameters, reference = make_parameters()
    with pytest.raises(ValueError):
        add_gradient_pull(parameters, reference[:-1], torch.tensor(0.5))
    with pytest.raises(RuntimeError):
        pull_decoupled(parameters, reference[:-1], torch.tensor(0.5), 10)
