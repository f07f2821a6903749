"""Scores against other libraries and plain loops; and what the whole package imports."""

import ast
import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special
from stacks import one_by_one

from inforeg_sk import functional
from inforeg_sk.functional import (
    batch_score,
    log_probability,
    pairwise_batch_scores,
    pairwise_performance_gap,
    probability,
    regulation_coefficient,
    weighted_mean,
)

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)
assert_near = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-14)

LEADS = [(7,), (2, 3)]
DTYPES = [torch.float32, torch.float64]
stacks = pytest.mark.parametrize("lead", LEADS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)
modalities = pytest.mark.parametrize("m", [1, 2, 3, 5])
reductions = pytest.mark.parametrize("mean", [True, False])


def make_samples(lead, m, n=67, dtype=torch.float64, seed=0):
    """Scores of samples, presence and weights; modalities 0 and 1 have no common sample."""
    generator = torch.Generator().manual_seed(seed)
    values = -3 * torch.rand(*lead, m, n, dtype=dtype, generator=generator)
    present = (torch.rand(*lead, m, n, generator=generator) < 0.7).to(dtype)
    if m > 1:
        even = (torch.arange(n) % 2).to(dtype)
        present[..., 0, :] *= even
        present[..., 1, :] *= 1 - even
    weight = torch.rand(*lead, n, dtype=dtype, generator=generator)
    return values, present, weight


def make_logits(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, shape[-1], shape[-2:-1], generator=generator)
    return 3 * torch.randn(shape, dtype=dtype, generator=generator), target


# Samples


def test_log_probability_equals_scipy():
    logits, target = make_logits(7, 3, 20, 5)
    expected = special.log_softmax(logits.numpy(), axis=-1)
    expected = np.take_along_axis(expected, target.numpy().reshape(1, 1, -1, 1), axis=-1)[..., 0]
    assert_near(log_probability(logits, target), torch.from_numpy(expected))


def test_probability_equals_scipy():
    logits, target = make_logits(7, 3, 20, 5)
    expected = special.softmax(logits.numpy(), axis=-1)
    expected = np.take_along_axis(expected, target.numpy().reshape(1, 1, -1, 1), axis=-1)[..., 0]
    assert_near(probability(logits, target), torch.from_numpy(expected))


def test_log_probability_by_hand():
    logits = torch.tensor([[0.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    expected = [-np.log(1 + np.e), -np.log(2)]
    got = log_probability(logits, torch.tensor([0, 1]))
    assert got.tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("function", [log_probability, probability])
def test_a_target_of_each_network_goes_with_its_logits(function):
    logits, _ = make_logits(4, 3, 10, 5)
    target = torch.randint(0, 5, (4, 1, 10), generator=torch.Generator().manual_seed(1))
    got = function(logits, target)
    assert_same(got, torch.stack([function(logits[k], target[k, 0]) for k in range(4)]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
def test_extreme_logits_stay_in_range(dtype):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0]], dtype=dtype)
    target = torch.tensor([0, 0, 0])
    log, share = log_probability(logits, target), probability(logits, target)
    assert log.isfinite().all() and (log <= 0).all()
    assert log[0] == 0 and log[1] == torch.tensor(-2e4, dtype=dtype)
    assert share.tolist() == [1.0, 0.0, 0.5]


@dtypes
@stacks
@modalities
@pytest.mark.parametrize("function", [log_probability, probability])
def test_samples_of_a_stack_equal_single_networks_bit_for_bit(function, m, lead, dtype):
    logits, target = make_logits(*lead, m, 33, 4, dtype=dtype)
    single = one_by_one(lambda one: function(one, target), lead, logits)
    assert_same(function(logits, target), single)


# Means


def test_weighted_mean_equals_numpy():
    values, _, weight = make_samples((4,), 3)
    weight = weight[:, None, :].expand_as(values)
    expected = np.average(values.numpy(), axis=-1, weights=weight.numpy())
    assert_near(weighted_mean(values, weight), torch.from_numpy(expected))


def test_weighted_mean_without_any_weight_is_zero():
    values = torch.tensor([[1.0, 4.0], [2.0, 6.0]])
    weight = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert weighted_mean(values, weight).tolist() == [0.0, 4.0]
    assert weighted_mean(torch.empty(3, 0), torch.empty(3, 0)).tolist() == [0.0, 0.0, 0.0]


@dtypes
@stacks
def test_weighted_mean_of_a_stack_equals_single_networks_bit_for_bit(lead, dtype):
    values, present, _ = make_samples(lead, 3, dtype=dtype)
    assert_same(weighted_mean(values, present), one_by_one(weighted_mean, lead, values, present))


# Scores of a batch


def slow_batch_score(values, weight, mean):
    """Scores of one network from nested lists."""
    scores = []
    for row, shares in zip(values, weight, strict=True):
        total = sum(v * w for v, w in zip(row, shares, strict=True))
        count = sum(shares)
        scores.append(total / count if mean and count > 0 else total)
    return scores


def slow_pairwise(values, present, weight, mean):
    """Scores of one network on common samples, from nested lists."""
    m, n = len(values), len(values[0])
    scores = [[0.0] * m for _ in range(m)]
    for a in range(m):
        for b in range(m):
            common = [i for i in range(n) if present[a][i] and present[b][i]]
            total = sum(values[a][i] * weight[i] for i in common)
            count = sum(weight[i] for i in common)
            scores[a][b] = total / count if mean and count > 0 else total
    return scores


@reductions
@modalities
def test_batch_score_equals_loops(m, mean):
    values, present, weight = make_samples((), m)
    ones = torch.ones_like(values)
    for shares in (ones, present, present * weight):
        expected = slow_batch_score(values.tolist(), shares.tolist(), mean)
        assert batch_score(values, shares, mean=mean).tolist() == pytest.approx(expected, rel=1e-12)
    expected = slow_batch_score(values.tolist(), ones.tolist(), mean)
    assert batch_score(values, mean=mean).tolist() == pytest.approx(expected, rel=1e-12)


@reductions
@modalities
def test_pairwise_scores_equal_loops(m, mean):
    values, present, weight = make_samples((), m)
    for w in (torch.ones_like(weight), weight):
        expected = slow_pairwise(values.tolist(), present.tolist(), w.tolist(), mean)
        got = pairwise_batch_scores(values, present, w, mean=mean)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)
    got = pairwise_batch_scores(values, present, mean=mean)
    expected = slow_pairwise(values.tolist(), present.tolist(), [1.0] * values.shape[-1], mean)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


@reductions
def test_modalities_without_a_common_sample_score_zero_and_do_not_differ(mean):
    values, present, weight = make_samples((), 3)
    scores = pairwise_batch_scores(values, present, weight, mean=mean)
    assert scores[0, 1] == scores[1, 0] == 0
    # Both are compared with modality 2 only.
    lead = [max(0.0, (scores[a, 2] - scores[2, a]).item()) for a in (0, 1)]
    assert pairwise_performance_gap(scores)[:2].tolist() == pytest.approx(lead, rel=1e-14)


@reductions
def test_a_modality_that_no_sample_has_scores_zero(mean):
    values, present, weight = make_samples((), 3)
    present[1] = 0
    assert batch_score(values, present * weight, mean=mean)[1] == 0
    scores = pairwise_batch_scores(values, present, weight, mean=mean)
    assert (scores[1] == 0).all() and (scores[:, 1] == 0).all()
    assert pairwise_performance_gap(scores)[1] == 0


@reductions
@modalities
def test_pairwise_scores_of_complete_samples_are_batch_scores(m, mean):
    values, _, weight = make_samples((4,), m)
    present = torch.ones_like(values)
    expected = batch_score(values, present * weight[:, None], mean=mean)
    got = pairwise_batch_scores(values, present, weight, mean=mean)
    assert_near(got, expected[..., None].expand_as(got))


@reductions
def test_pairwise_scores_on_the_diagonal_are_batch_scores(mean):
    values, present, weight = make_samples((4,), 3)
    got = pairwise_batch_scores(values, present, weight, mean=mean).diagonal(dim1=-2, dim2=-1)
    assert_near(got, batch_score(values, present * weight[:, None], mean=mean))


@reductions
def test_whole_weights_are_repetitions(mean):
    values, present, _ = make_samples((), 3)
    counts = torch.randint(0, 3, values.shape[-1:], generator=torch.Generator().manual_seed(1))
    repeated = [a.repeat_interleave(counts, dim=-1) for a in (values, present)]
    got = batch_score(values, present * counts, mean=mean)
    assert_near(got, batch_score(*repeated, mean=mean))
    got = pairwise_batch_scores(values, present, counts.double(), mean=mean)
    assert_near(got, pairwise_batch_scores(*repeated, mean=mean))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_scale_of_weights_does_not_change_a_mean(scale):
    values, present, weight = make_samples((4,), 3)
    weights = present * weight[:, None]
    assert_near(weighted_mean(values, weights * scale), weighted_mean(values, weights))
    assert_near(batch_score(values, weights * scale), batch_score(values, weights))
    expected = pairwise_batch_scores(values, present, weight)
    assert_near(pairwise_batch_scores(values, present, weight * scale), expected)


@dtypes
@stacks
@modalities
@reductions
def test_batch_scores_of_a_stack_equal_single_networks_bit_for_bit(mean, m, lead, dtype):
    values, present, weight = make_samples(lead, m, dtype=dtype)
    score = partial(batch_score, mean=mean)
    assert_same(score(values), one_by_one(score, lead, values))
    for shares in (present, present * weight[..., None, :]):
        assert_same(score(values, shares), one_by_one(score, lead, values, shares))


@stacks
@modalities
@reductions
@pytest.mark.parametrize("weighted", [False, True])
def test_pairwise_scores_of_a_stack_equal_single_networks(weighted, mean, m, lead):
    """To rounding only: a product of matrices sums in another order than a batch of them."""
    arguments = make_samples(lead, m)[: 3 if weighted else 2]
    score = partial(pairwise_batch_scores, mean=mean)
    alpha = torch.linspace(0.1, 1.0, m, dtype=torch.float64)

    def gap(*single):
        return pairwise_performance_gap(score(*single))

    def coefficient(*single):
        return regulation_coefficient(gap(*single), alpha, 0.9)

    for function in (score, gap, coefficient):
        assert_near(function(*arguments), one_by_one(function, lead, *arguments), rtol=1e-12)


# All functions of this file


def calls(dtype, device="cpu"):
    """Every function with inputs, and the shape of its result."""
    values, present, weight = make_samples((2,), 3, dtype=dtype)
    logits, target = make_logits(2, 3, 10, 4, dtype=dtype)
    cases = [
        (log_probability, (logits, target), (2, 3, 10)),
        (probability, (logits, target), (2, 3, 10)),
        (weighted_mean, (values, present), (2, 3)),
        (batch_score, (values,), (2, 3)),
        (batch_score, (values, present), (2, 3)),
        (partial(batch_score, mean=False), (values, present), (2, 3)),
        (pairwise_batch_scores, (values, present), (2, 3, 3)),
        (pairwise_batch_scores, (values, present, weight), (2, 3, 3)),
        (partial(pairwise_batch_scores, mean=False), (values, present), (2, 3, 3)),
    ]
    return [(f, [a.to(device) for a in arguments], shape) for f, arguments, shape in cases]


@pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
def test_dtype_is_kept_and_inputs_are_not_modified(dtype):
    for function, arguments, shape in calls(dtype):
        before = [a.clone() for a in arguments]
        result = function(*arguments)
        assert result.dtype == dtype and result.shape == shape
        for a, b in zip(arguments, before, strict=True):
            assert_same(a, b)


def test_shapes_are_known_without_values():
    for function, arguments, shape in calls(torch.float32, device="meta"):
        result = function(*arguments)
        assert result.device.type == "meta" and result.shape == shape


# The package

PACKAGE = Path(functional.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
PUBLIC = [f for f in map(partial(getattr, functional), functional.__all__) if callable(f)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_maths_imports_torch_and_little_else(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays inside the package.
            assert node.level <= 1
            found = [] if node.level else [node.module]
        else:
            continue
        roots = {name.split(".")[0] for name in found}
        # numpy and scipy: statistics of a few numbers, which never were on a device.
        assert roots <= {"torch", "numpy", "scipy", "math", "typing", "collections", "functools"}


def test_all_modules_are_public_and_complete():
    names = set()
    for path in MODULES:
        if path.stem != "__init__":
            names |= set(getattr(functional, path.stem).__all__)
    assert names == set(functional.__all__)
    assert len(functional.__all__) == len(names)


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_every_function_has_full_type_hints(function):
    signature = inspect.signature(function, eval_str=True)
    if not isinstance(function, type):
        results = (torch.Tensor, functional.Moments, functional.SampleLosses, list[float], bool)
        results += (functional.PoolWeights, tuple[torch.Tensor, torch.Tensor], np.ndarray)
        results += (functional.Comparison, functional.SamplesNeeded, functional.SampledShapley)
        results += (functional.resampling.CountScore | None,)
        assert signature.return_annotation in results
    for parameter in signature.parameters.values():
        assert parameter.annotation is not parameter.empty, parameter.name
    assert function.__doc__


def test_pairwise_scores_take_presence_as_bool():
    values = torch.tensor([[1.0, 3.0, 8.0], [5.0, 7.0, 9.0]])
    present = torch.tensor([[True, True, True], [True, True, False]])
    found = pairwise_batch_scores(values, present)
    assert found.tolist() == [[4.0, 2.0], [6.0, 6.0]]
