"""The learning window: worked values of the specification, and plain lists."""

from functools import partial
from math import inf, isnan, nan

import numpy as np
import pytest
import torch
from stacks import one_by_one

from inforeg_sk.functional import PADDINGS, moving_average, window_open, window_ratio

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
stacks = pytest.mark.parametrize("lead", [(7,), (2, 3)])
modalities = pytest.mark.parametrize("m", [1, 2, 3, 5])
paddings = pytest.mark.parametrize("padding", PADDINGS)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def slow_average(traces, length, padding):
    """Average of one modality from a list."""
    if padding == "zeros":
        traces = [0.0] * length + traces
    last = traces[-length:]
    return sum(last) / len(last) if last else nan


def slow_ratio(traces, length, padding):
    """Window ratio of one modality from a list."""
    if len(traces) < (2 if padding == "none" else 1):
        return nan
    now, before = (slow_average(t, length, padding) for t in (traces, traces[:-1]))
    return (now - before) / now if now else nan


def ratios(traces, *args, epochs=None):
    """Ratios of the epochs so far: row t from the traces before epoch t."""
    return torch.stack([window_ratio(traces[:t], *args) for t in range(epochs or len(traces))])


def epochs_of(mask):
    return mask.nonzero().flatten().tolist()


# The worked values, of three modalities at once

CONSTANT, LINE, STEP = range(3)


def worked(epochs=50):
    """Traces that stay, grow by one, and jump to 3 times at epoch 20."""
    epoch = torch.arange(epochs, dtype=torch.float64)
    return torch.stack([torch.full_like(epoch, 2.0), epoch + 1, 1.0 + 2 * (epoch >= 20)], dim=1)


def test_authors_rule_gives_the_worked_values_of_all_modalities():
    ratio = ratios(worked(), 10, "zeros")
    assert ratio[0].isnan().all()  # no trace yet: the method decides
    assert ratio[1].tolist() == [1.0, 1.0, 1.0]
    for t in range(2, 11):
        assert ratio[t, CONSTANT].item() == pytest.approx(1 / t, rel=1e-12)
        assert ratio[t, LINE].item() == pytest.approx(t / sum(range(1, t + 1)), rel=1e-12)
    assert (ratio[11:, CONSTANT] == 0).all()
    for t in range(10, 50):
        assert ratio[t, LINE].item() == pytest.approx(10 / (10 * t - 45), rel=1e-12)
    assert_same(ratio[:21, STEP], ratio[:21, CONSTANT])
    for t in range(21, 31):
        # The mean of ten rises by 2/10 an epoch, from 1.
        assert ratio[t, STEP].item() == pytest.approx(0.2 / (1 + 0.2 * (t - 20)), rel=1e-12)
    assert (ratio[31:, STEP] == 0).all()


def test_authors_rule_opens_the_windows_of_the_worked_values():
    grows = window_open(ratios(worked(), 10, "zeros"), 0.05)
    assert epochs_of(grows[:, CONSTANT]) == list(range(1, 11))
    assert epochs_of(grows[:, LINE]) == list(range(1, 25))
    assert epochs_of(grows[:, STEP]) == [*range(1, 11), *range(21, 31)]


def test_papers_rule_gives_the_worked_values_of_all_modalities():
    ratio = ratios(worked())
    assert ratio[:2].isnan().all()
    assert (ratio[2:, CONSTANT] == 0).all()
    for t in range(2, 50):
        assert ratio[t, LINE].item() == pytest.approx(1 / t, rel=1e-12)
    assert epochs_of(ratio[:, STEP] > 0) == [21]
    assert ratio[21, STEP].item() == pytest.approx(2 / 3, rel=1e-12)
    grows = window_open(ratio, 0.04)
    # Epoch 25 is a tie, so it is left out.
    assert [t for t in epochs_of(grows[:, LINE]) if t != 25] == list(range(2, 25))
    assert epochs_of(grows[:, CONSTANT]) == []
    assert epochs_of(grows[:, STEP]) == [21]


@paddings
def test_traces_of_zero_never_open(padding):
    ratio = ratios(torch.zeros(15, 3, dtype=torch.float64), 10, padding)
    assert ratio.isnan().all()
    assert not window_open(ratio, -inf).any()


# Plain lists


@paddings
@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_averages_and_ratios_equal_lists(length, padding):
    traces = random(14, 3)
    columns = traces.T.tolist()
    for t in range(15):
        expected = [slow_average(c[:t], length, padding) for c in columns]
        got = moving_average(traces[:t], length, padding)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        expected = [slow_ratio(c[:t], length, padding) for c in columns]
        got = window_ratio(traces[:t], length, padding)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-14)


@paddings
@pytest.mark.parametrize("length", [1, 10])
def test_averages_and_ratios_have_the_bits_of_floats_added_in_order(length, padding):
    traces = random(25, 3)
    columns = traces.T.tolist()

    def add(values):
        total = 0.0
        for value in values[-length:]:
            total = total + value
        n = length if padding == "zeros" else min(length, len(values))
        return total / n

    averages = [add(c) for c in columns]
    assert moving_average(traces, length, padding).tolist() == averages
    before = [add(c[:-1]) for c in columns]
    expected = [(a - b) / a for a, b in zip(averages, before, strict=True)]
    assert window_ratio(traces, length, padding).tolist() == expected


@dtypes
@paddings
@pytest.mark.parametrize("smoothing", [1, 2, 5, 10])
def test_the_last_traces_are_enough(smoothing, padding, dtype):
    traces = random(30, 3, dtype=dtype)
    for t in range(31):
        whole = window_ratio(traces[:t], smoothing, padding)
        assert_same(window_ratio(traces[:t][-(smoothing + 1) :], smoothing, padding), whole)
        whole = moving_average(traces[:t], smoothing, padding)
        assert_same(moving_average(traces[:t][-smoothing:], smoothing, padding), whole)


def test_too_few_epochs_have_no_ratio():
    none = torch.empty(7, 0, 3)
    assert moving_average(none, 2).isnan().all() and moving_average(none, 2).shape == (7, 3)
    assert (moving_average(none, 2, "zeros") == 0).all()
    for padding in PADDINGS:
        assert_same(window_ratio(none, 2, padding), torch.full((7, 3), nan))
    one = torch.tensor([[2.0, 0.0]])
    assert window_ratio(one).isnan().all()
    # With zeros before it the first trace is all growth, unless it is zero.
    assert_same(window_ratio(one, 5, "zeros"), torch.tensor([1.0, nan]))


def test_traces_that_begin_or_end_at_zero():
    traces = torch.tensor([[0.0, 3.0], [2.0, 0.0]])
    assert_same(window_ratio(traces), torch.tensor([1.0, nan]))


@paddings
def test_a_trace_that_is_nan_closes_the_window_until_it_is_forgotten(padding):
    traces = worked()[:, [LINE, LINE]].clone()
    traces[5, 0] = nan
    ratio = ratios(traces, 3, padding)
    # Both averages of epochs 6 to 9 hold it, or one of them does.
    assert set(epochs_of(ratio[:, 0].isnan())) - set(epochs_of(ratio[:, 1].isnan())) == {6, 7, 8, 9}
    assert_same(ratio[10:, 0], ratio[10:, 1])
    assert not window_open(ratio[6:10, 0], -inf).any()


def test_infinite_traces_do_not_open_a_window():
    traces = torch.tensor([[1.0, inf, 1.0], [inf, inf, 1.0]])
    ratio = window_ratio(traces)
    assert not window_open(ratio, 0.04).any()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_traces_does_not_matter(scale):
    traces = random(12, 3)
    torch.testing.assert_close(window_ratio(traces * scale, 4), window_ratio(traces, 4))


# Open or closed


def test_growth_has_to_be_above_the_threshold():
    ratio = torch.tensor([0.05, 0.04, 0.03, -1.0, nan, inf], dtype=torch.float64)
    assert window_open(ratio, 0.04).tolist() == [True, False, False, False, False, True]
    # Where a growth is defined, -inf is always below it.
    assert window_open(ratio, -inf).tolist() == [True, True, True, True, False, True]
    assert not window_open(ratio, inf).any()


def test_a_threshold_of_each_modality():
    ratio = torch.tensor([[0.1, 0.1], [0.3, 0.3]])
    got = window_open(ratio, torch.tensor([0.2, 0.05]))
    assert got.tolist() == [[False, True], [True, True]]
    networks = torch.tensor([[0.05], [0.5]])
    assert window_open(ratio, networks).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("leader", [0, 1, 2])
def test_a_leader_decides_for_all(leader):
    ratio = torch.tensor([[0.1, 0.0, nan], [nan, 0.1, 0.2]])
    grows = window_open(ratio, 0.04, leader)
    for row, values in zip(grows.tolist(), ratio.tolist(), strict=True):
        mine = values[leader]
        assert row == [not isnan(mine) and mine > 0.04] * 3
    assert grows.dtype == torch.bool and grows.shape == ratio.shape


# How they are called


@dtypes
@stacks
@modalities
@paddings
def test_windows_of_a_stack_equal_single_networks_bit_for_bit(padding, m, lead, dtype):
    traces = random(*lead, 14, m, dtype=dtype)
    traces[0, ..., -3:, 0] = 0
    traces[1, ..., -2, 0] = nan
    for t in (0, 1, 2, 14):
        for function in (
            lambda one: moving_average(one, 3, padding),
            lambda one: window_ratio(one, 3, padding),
            lambda one: window_ratio(one, 10, padding),
            lambda one: window_open(window_ratio(one, 3, padding), 0.04),
            lambda one: window_open(window_ratio(one, 3, padding), 0.04, m - 1),
        ):
            part = traces[..., :t, :]
            assert_same(function(part), one_by_one(function, lead, part))


@pytest.mark.parametrize("dtype", [torch.bfloat16, *DTYPES])
def test_dtype_is_kept_and_inputs_are_not_modified(dtype):
    traces = random(7, 5, 3, dtype=dtype)
    before = traces.clone()
    for padding in PADDINGS:
        for t in (0, 1, 5):
            for function in (moving_average, window_ratio):
                result = function(traces[:, :t], 3, padding)
                assert result.dtype == dtype and result.shape == (7, 3)
    ratio = window_ratio(traces)
    kept = ratio.clone()
    assert window_open(ratio, 0.04, 1).dtype == torch.bool
    assert_same(traces, before)
    assert_same(ratio, kept)


def test_an_average_of_one_epoch_is_a_tensor_of_its_own():
    traces = random(5, 3)
    before = traces.clone()
    moving_average(traces, 1).zero_()
    assert_same(traces, before)


def test_shapes_are_known_without_values():
    traces = torch.empty(7, 5, 3, device="meta")
    for result in (
        moving_average(traces, 3),
        window_ratio(traces, 3),
        window_ratio(traces[:, :1]),
        window_open(window_ratio(traces), 0.04, 1),
    ):
        assert result.device.type == "meta" and result.shape == (7, 3)
