"""Comparisons of scores: by hand, beside scipy's tests, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from inforeg_sk.functional import (
    Comparison,
    bootstrap_interval,
    corrected_resampled_t,
    holm_adjust,
    holm_levels,
    samples_needed,
)

DIFFERENCES = np.array([0.02, 0.05, -0.01, 0.04, 0.03, 0.06])


def test_the_corrected_interval_is_that_of_the_formula_by_hand():
    told = corrected_resampled_t([1.0, 2.0, 3.0], n_train=20, n_test=10)
    # mean 2, variance 1, times 1/3 + 1/2; t of 2 degrees of freedom at .975 is 4.302653
    assert told.estimate == 2.0 and told.df == 2 and told.level == 0.95
    assert told.standard_error == pytest.approx(np.sqrt(5 / 6))
    assert told.high - told.estimate == pytest.approx(4.302653 * np.sqrt(5 / 6), rel=1e-6)
    assert told.estimate - told.low == pytest.approx(told.high - told.estimate)
    t = 2 / np.sqrt(5 / 6)  # of 2 degrees of freedom: P(|T| > t) = 1 - t / sqrt(2 + t^2)
    assert told.p_value == pytest.approx(1 - t / np.sqrt(2 + t**2))


def test_without_overlap_it_is_scipys_paired_t():
    """A test part that is nothing beside the training part leaves no correction."""
    plain = stats.ttest_1samp(DIFFERENCES, 0.0)
    told = corrected_resampled_t(DIFFERENCES, n_train=1e12, n_test=1, level=0.9)
    low, high = plain.confidence_interval(0.9)
    assert told.p_value == pytest.approx(plain.pvalue)
    assert (told.low, told.high) == (pytest.approx(low), pytest.approx(high))


def test_leading_axes_are_rows_of_a_table_and_nan_stays_in_its_row():
    table = np.stack([DIFFERENCES, -2 * DIFFERENCES, np.full(6, np.nan)])
    told = corrected_resampled_t(table, 80, 20, level=[0.95, 0.99, 0.95])
    for row, level, i in [(table[0], 0.95, 0), (table[1], 0.99, 1)]:
        one = corrected_resampled_t(row, 80, 20, level=level)
        assert [part[i] for part in told if np.ndim(part)] == pytest.approx(
            [float(part) for name, part in one._asdict().items() if name != "df"]
        )
    assert np.isnan([told.estimate[2], told.low[2], told.high[2], told.p_value[2]]).all()


@pytest.mark.parametrize("value, p_value", [(0.0, 1.0), (0.1, 0.0)])
def test_equal_differences_have_no_spread(value, p_value):
    told = corrected_resampled_t([value] * 7, 80, 20)
    assert (told.low, told.high, told.p_value) == (told.estimate, told.estimate, p_value)
    assert told.estimate == pytest.approx(value)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: corrected_resampled_t([1.0], 8, 2), "At least 2 differences"),
        (lambda: corrected_resampled_t([1.0, 2.0], 8, 0), "must be positive. Got n_train=8"),
        (lambda: corrected_resampled_t([1.0, 2.0], 8, 2, level=1.0), r"level must be in \(0, 1\)"),
        (lambda: holm_adjust([0.1, 1.2]), "numbers in"),
        (lambda: holm_adjust([[0.1]]), "1-D"),
        (
            lambda: samples_needed(corrected_resampled_t([1.0, 2.0], 8, 2), 10, power=1),
            "power must be in",
        ),
        (lambda: bootstrap_interval(np.mean, 4, groups=[1, 1, 1, 1]), "At least 2 groups"),
        (lambda: bootstrap_interval(np.mean, 4, groups=[1, 2]), "2 entries for 4 samples"),
        (lambda: bootstrap_interval(lambda rows: np.nan, 4), "NaN in 1000 of 1000"),
    ],
)
def test_what_cannot_be_told_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Several comparisons


def rejected_by_holm(p_values, alpha):
    """Holm's procedure as the paper words it, one hypothesis after another."""
    left = {i: p for i, p in enumerate(p_values) if not np.isnan(p)}
    rejected = set()
    while left:
        i = min(left, key=left.get)
        if left[i] > alpha / len(left):
            break
        rejected.add(i)
        del left[i]
    return rejected


def test_adjusted_p_values_are_those_by_hand():
    # .01 * 4; .02 * 3; .03 * 2 = .06 again; .5 * 1
    assert holm_adjust([0.5, 0.02, 0.01, 0.03]) == pytest.approx([0.5, 0.06, 0.04, 0.06])
    assert holm_adjust([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm_adjust([np.nan, 0.02]).tolist() == pytest.approx([np.nan, 0.02], nan_ok=True)
    assert holm_adjust([]).shape == (0,)


@pytest.mark.parametrize("seed", range(20))
def test_adjusted_p_values_and_levels_decide_as_holms_procedure(seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(6, 10)) + rng.choice([0.0, 1.0, 2.0], (6, 1))
    table[2] = np.nan if seed % 2 else table[2]
    p_values = corrected_resampled_t(table, 80, 20).p_value
    expected = rejected_by_holm(p_values, 0.05)
    assert set(np.flatnonzero(holm_adjust(p_values) <= 0.05)) == expected
    levels = holm_levels(p_values, 0.95)
    told = corrected_resampled_t(table, 80, 20, level=np.where(np.isnan(levels), 0.5, levels))
    assert set(np.flatnonzero((told.low > 0) | (told.high < 0))) == expected


def test_the_levels_are_holms_steps():
    levels = holm_levels([0.04, 0.001, 0.2, np.nan, 0.03], 0.95)
    # 4 comparisons: .001 is below .05/4, .03 is not below .05/3, at which the rest stay
    expected = 1 - 0.05 / np.array([3, 4, 3, np.nan, 3])
    assert levels == pytest.approx(expected, nan_ok=True)


def test_exchangeable_modalities_are_called_different_as_seldom_as_promised():
    """5 folds, repeated 3 times, of 6 models that are equally good.

    Differences of folds share training samples: a correlation of n_test/(n_test + n_train), for
    which the correction is made. The plain t test takes them for independent.
    """
    rng = np.random.default_rng(0)
    n_reports, n_folds, n_models, share = 2000, 15, 6, 0.2
    common = rng.normal(size=(n_reports, n_models, 1)) * np.sqrt(share)
    scores = common + rng.normal(size=(n_reports, n_models, n_folds)) * np.sqrt(1 - share)
    first, second = np.triu_indices(n_models, 1)
    differences = scores[:, first] - scores[:, second]
    naive = stats.ttest_1samp(differences, 0.0, axis=-1).pvalue
    corrected = corrected_resampled_t(differences, 80, 20).p_value
    with_holm = np.array([holm_adjust(p) for p in corrected])
    assert 0.25 < (naive < 0.05).mean() < 0.45
    assert (naive < 0.05).any(axis=1).mean() > 0.6
    assert (corrected < 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert (with_holm < 0.05).any(axis=1).mean() < 0.065


# How many samples


def test_samples_needed_by_hand():
    told = corrected_resampled_t([0.1, 0.3, -0.1, 0.2, 0.0], n_train=80, n_test=20)
    # standard error .106066; t of 4 degrees of freedom: 2.776445 at .975, .940965 at .8
    needed = samples_needed(told, 100)
    assert needed.to_tell == np.ceil(100 * ((2.776445 + 0.940965) * 0.1060660 / 0.1) ** 2)
    assert needed.for_half_width == 400
    assert samples_needed(told, 100, power=0.5).to_tell == np.ceil(
        100 * (2.776445 * 0.1060660 / 0.1) ** 2
    )


def test_no_number_of_samples_tells_a_difference_of_zero():
    told = corrected_resampled_t([-0.1, 0.1], 80, 20)
    assert samples_needed(told, 100).to_tell == np.inf


def test_with_the_samples_needed_the_difference_is_told_in_most_experiments():
    rng = np.random.default_rng(0)
    size, error, none = np.array(0.1), np.array(1 / np.sqrt(400)), np.array(np.nan)
    told = Comparison(size, error, none, none, none, df=np.inf, level=np.array(0.95))
    n = int(samples_needed(told, 400).to_tell)
    means = rng.normal(0.1, 1 / np.sqrt(n), 20_000)
    assert (means - 1.96 / np.sqrt(n) > 0).mean() == pytest.approx(0.8, abs=0.01)


# Bootstrap


def test_the_bootstrap_is_scipys():
    values = np.random.default_rng(1).normal(0.3, 1.0, 200)
    ours = bootstrap_interval(
        lambda rows: values[rows].mean(), 200, n_resamples=4000, random_state=0
    )
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    )
    assert ours.estimate == values.mean()
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.05)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_groups_are_drawn_whole():
    groups = np.array(["a", "b", "a", "c", "b", "b"])
    seen = []

    def count(rows):
        seen.append(np.bincount(rows, minlength=6))
        return 0.0

    bootstrap_interval(count, 6, groups=groups, n_resamples=50, random_state=0)
    drawn = np.array(seen[:50])
    assert (drawn[:, 0] == drawn[:, 2]).all() and (drawn[:, [4, 5]] == drawn[:, [1]]).all()
    assert set((drawn[:, [0, 1, 3]]).sum(axis=1)) == {3}  # as many groups as there are
    assert (seen[-1] == 1).all()  # the estimate is of all samples


def test_samples_of_a_group_that_say_the_same_count_once():
    values = np.random.default_rng(0).normal(size=40)
    repeated, groups = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    plain = bootstrap_interval(lambda rows: values[rows].mean(), 40, random_state=0)
    grouped = bootstrap_interval(
        lambda rows: repeated[rows].mean(), 400, groups=groups, random_state=0
    )
    assert list(map(float, grouped[:5])) == pytest.approx(list(map(float, plain[:5])))


def test_p_value_of_the_bootstrap_and_resamples_without_a_score():
    sure = bootstrap_interval(lambda rows: 1.0, 10, n_resamples=99, random_state=0)
    assert sure.p_value == pytest.approx(2 / 100)
    one = np.arange(10) == 0
    told = bootstrap_interval(
        lambda rows: np.nan if one[rows].sum() > 2 else rows.mean() - 4.5, 10, random_state=0
    )
    assert np.isfinite([told.low, told.high]).all() and told.p_value > 0.5
