"""Losses of samples and their gradients, against torch's own and its automatic differentiation."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inforeg_sk.functional import cross_entropy_losses, log_probability, squared_losses

assert_near = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-14)
assert_same = partial(torch.testing.assert_close, rtol=0, atol=0)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def classes(n_samples, n_classes):
    return torch.randint(n_classes, (n_samples,), generator=torch.Generator().manual_seed(1))


def differentiated(criterion, logits, target, share):
    """Losses, and the gradient of their sum with shares, by torch."""
    logits = logits.clone().requires_grad_()
    losses = torch.stack([criterion(each, target) for each in logits])
    (losses * share).sum().backward()
    return losses.detach(), logits.grad


@pytest.mark.parametrize("dim", [-1, -2])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("share", ["one", "number", "of_samples", "of_terms"])
@pytest.mark.parametrize(("n_samples", "n_classes"), [(7, 3), (1, 2), (16, 40)])
def test_cross_entropy_equals_torchs(dim, smoothing, share, n_samples, n_classes):
    logits, target = random(4, n_samples, n_classes) * 3, classes(n_samples, n_classes)
    share = {
        "one": 1.0,
        "number": 0.37,
        "of_samples": random(4, n_samples, seed=2),
        "of_terms": random(4, 1, seed=3),
    }[share]
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="none")
    losses, gradient = differentiated(criterion, logits, target, share)
    given = logits if dim == -1 else logits.mT.contiguous()
    found = cross_entropy_losses(given, target, share, smoothing, dim)
    assert_near(found.losses, losses)
    assert_near(found.gradient if dim == -1 else found.gradient.mT, gradient)
    assert_near(found.log_probability, log_probability(logits, target))
    assert_same(given if dim == -1 else given.mT, logits)  # left as they were


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_samples", [13, 16, 64])
def test_the_joint_gradient_is_torchs_to_the_last_bit(dtype, n_samples):
    logits, target = random(n_samples, 3, dtype=dtype), classes(n_samples, 3)
    theirs = logits.clone().requires_grad_()
    F.cross_entropy(theirs, target).backward()
    assert_same(cross_entropy_losses(logits, target, 1 / n_samples).gradient, theirs.grad)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=torch.float64)
    found = cross_entropy_losses(logits, torch.tensor([1, 1]))
    assert_same(found.losses, torch.tensor([2e4, 0.0], dtype=torch.float64))
    expected = torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
    assert_same(found.gradient, expected)


@pytest.mark.parametrize("dim", [-1, -2])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_squared_error_equals_torchs(dim, n_outputs, weighted):
    prediction, target = random(4, 9, n_outputs), random(9, n_outputs, seed=1)
    share = random(4, 9, seed=2) if weighted else 0.5

    def criterion(each, target):
        return F.mse_loss(each, target, reduction="none").mean(dim=1)

    losses, gradient = differentiated(criterion, prediction, target, share)
    given = prediction if dim == -1 else prediction.mT.contiguous()
    found = squared_losses(given, target, share, dim)
    assert_near(found.losses, losses)
    assert_near(found.gradient if dim == -1 else found.gradient.mT, gradient)
    assert found.log_probability is None


def test_log_probabilities_on_either_axis():
    logits, target = random(2, 5, 3), classes(5, 3)
    expected = -F.cross_entropy(logits.reshape(-1, 3), target.repeat(2), reduction="none")
    assert_near(log_probability(logits, target), expected.reshape(2, 5))
    assert_same(log_probability(logits.mT, target, dim=-2), log_probability(logits, target))
