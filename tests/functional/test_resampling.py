"""Scores of resamples: beside scikit-learn's scorers on the rows that were drawn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import get_scorer

from inforeg_sk.estimator.scoring import ClassifierOfOutputs, RegressorOfOutputs
from inforeg_sk.functional import (
    COUNT_SCORES,
    comparison_of_resamples,
    count_score,
    draw_counts,
    scores_of_counts,
)

N = 40
CLASSES = np.array([0, 1, 4])
REGRESSION = ("neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error")


def outputs(kind):
    """Targets, and something that was said of them, with ties and a class that is never said."""
    rng = np.random.default_rng(0)
    if kind == "regression":
        y = rng.standard_normal((N, 2)) + np.array([0, 1000])
        return y, RegressorOfOutputs(y + rng.standard_normal(y.shape))
    classes = CLASSES[:2] if kind == "binary" else CLASSES
    y = classes[np.arange(N) % len(classes)]
    proba = rng.dirichlet(np.ones(len(classes)), N).round(1) + 0.1
    proba[:, -1] *= 0.4
    proba /= proba.sum(axis=1, keepdims=True)
    said = classes[proba.argmax(axis=1)]
    return y, ClassifierOfOutputs(said, proba, classes)


def kinds_of(name):
    if name == "r2" or name in REGRESSION:
        return ["regression"]
    only = {"f1": ["binary"], "roc_auc": ["binary"]}
    never = {"roc_auc_ovr_weighted": ["multiclass"]}  # of two classes it is another sum
    return only.get(name) or never.get(name) or ["binary", "multiclass"]


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in COUNT_SCORES for kind in kinds_of(name)]
)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_a_score_of_counts_is_scikit_learns_on_the_rows_drawn(name, kind):
    y, model = outputs(kind)
    numbers = np.arange(N)[:, None]
    counts = draw_counts(N, 25, seed=1)
    score = count_score(
        name, y, lambda m: getattr(model, m)(numbers), CLASSES[: 2 + (kind != "binary")]
    )
    found = scores_of_counts(score, counts)
    for row, value in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(N), row)
        expected = get_scorer(name)(model, rows[:, None], y[rows])
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_score_that_is_not_defined_on_a_resample_is_nan():
    y = np.array([0, 0, 1, 1])
    proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    area = count_score("roc_auc", y, lambda method: proba, np.array([0, 1]))
    # Of pairs of a 0 and a 1 three of four are in order; without a 1 there is no pair.
    found = scores_of_counts(area, np.array([[1, 1, 1, 1], [2, 2, 0, 0], [0, 2, 2, 0]]))
    assert found.tolist() == pytest.approx([0.75, np.nan, 0.0], nan_ok=True)
    r2 = count_score("r2", np.array([1.0, 2.0]), lambda method: np.array([1.0, 1.0]))
    found = scores_of_counts(r2, np.array([[1, 1], [2, 0]]))
    assert found.tolist() == pytest.approx([-1.0, np.nan], nan_ok=True)


def test_other_scores_are_no_functions_of_counts_here():
    assert count_score("matthews_corrcoef", np.zeros(3), None) is None


def test_as_many_samples_or_groups_are_drawn_as_there_are():
    counts = draw_counts(N, 50)
    assert (counts.sum(axis=1) == N).all() and counts.max() > 1
    groups = np.repeat([3, 1, 2], [20, 15, 5])
    counts = draw_counts(N, 50, groups)
    of_groups = counts[:, [0, 20, 35]]
    assert (of_groups.sum(axis=1) == 3).all()
    assert np.array_equal(counts, of_groups[:, [0, 1, 2]].repeat([20, 15, 5], axis=1))
    assert np.array_equal(draw_counts(N, 50, seed=3), draw_counts(N, 50, seed=3))


def test_a_paired_difference_has_scipys_percentile_interval():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    first, second = np.where(rng.random((2, 200)) < [[0.9], [0.8]], y, 1 - y)
    counts = draw_counts(200, 4000)
    scores = [
        scores_of_counts(count_score("accuracy", y, lambda m, said=said: said), counts)
        for said in (first, second)
    ]
    gains = (first == y) - (second == y).astype(float)
    told = comparison_of_resamples(gains.mean(), scores[0] - scores[1])
    plain = stats.bootstrap((gains,), np.mean, method="percentile", n_resamples=4000, rng=1)
    low, high = plain.confidence_interval
    assert (told.low, told.high) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))
    assert told.standard_error == pytest.approx(plain.standard_error, rel=0.05)
    assert told.standard_error == pytest.approx(gains.std() / np.sqrt(200), rel=0.05)


def test_resamples_without_a_number_are_left_out_up_to_a_tenth():
    values = np.append(np.linspace(-0.1, 0.9, 99), np.nan)
    told = comparison_of_resamples(0.4, values)
    assert told.estimate == 0.4 and told.low == pytest.approx(np.quantile(values[:-1], 0.025))
    assert told.p_value == pytest.approx(2 * 11 / 100)  # ten of 99 are not above 0
    values[:15] = np.nan
    assert np.isnan(comparison_of_resamples(0.4, values)[:5]).all()
