"""A diagnosis of one fixed split: bootstrap intervals over its test part."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, matthews_corrcoef
from sklearn.model_selection import PredefinedSplit

from inforeg_sk import MultimodalClassifier, MultimodalRegressor, diagnose
from inforeg_sk.inspection import (
    DiagnosisReport,
    modality_permutation_importance,
    modality_shapley,
)
from inforeg_sk.inspection._alone import alone_estimator
from inforeg_sk.inspection._resampled import ResampledScorer, Spread, best_on_the_other_half
from inforeg_sk.inspection._verdicts import Design, compare

N, N_TEST = 150, 60
TEST = np.arange(N - N_TEST, N)
RIVALS = ["majority", "best single", "linear on all", "late fusion"]
ONE = Design(N_TEST, N - N_TEST, N_TEST, True, "test samples", one_split=True)


def network(**params):
    return MultimodalClassifier(**{"encoders__hidden": 8, "max_epochs": 3, "lr": 0.02, **params})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(N) % 3
    means = np.eye(3)[y]
    X = {"text": 2 * means + rng.standard_normal((N, 3))}
    X["audio"] = means + rng.standard_normal((N, 3))
    return {name: x.astype(np.float32) for name, x in X.items()}, y


@pytest.fixture(scope="module")
def report(data):
    split = PredefinedSplit(np.where(np.isin(np.arange(N), TEST), 0, -1))
    return diagnose(network(), *data, cv=split, seeds=2, methods=["joint*"], rivals=RIVALS)


def fitted_pair(data, seed):
    """Late fusion's experts and the joint network of a seed, and the test part."""
    X, y = data
    parts = [{name: x[rows] for name, x in X.items()} for rows in (np.arange(N - N_TEST), TEST)]
    joint = network(random_state=seed).fit(parts[0], y[: N - N_TEST])
    alone = {
        name: alone_estimator(network(random_state=seed), name, tuple(X)).fit(
            {name: parts[0][name]}, y[: N - N_TEST]
        )
        for name in X
    }
    return joint, alone, parts[1], y[TEST]


def test_gains_have_the_paired_bootstrap_interval_of_samples_averaged_over_seeds(report, data):
    X, y = data
    hits = []
    for (seed,) in report.data["network_seeds"]:
        joint, _, X_test, y_test = fitted_pair(data, seed)
        hits.append(joint.predict(X_test) == y_test)
    assert report.scores_["joint"][:, 0] == pytest.approx(np.mean(hits, axis=1))
    majority = DummyClassifier().fit(X["text"][: N - N_TEST], y[: N - N_TEST])
    gains = (majority.predict(X["text"][TEST]) == y[TEST]) - np.mean(hits, axis=0)
    plain = stats.bootstrap((gains,), np.mean, method="percentile", n_resamples=5000, rng=1)
    told = report.gain("majority")
    assert told.estimate == pytest.approx(gains.mean())
    assert told.standard_error == pytest.approx(plain.standard_error, rel=0.08)
    low, high = plain.confidence_interval
    assert (told.low, told.high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


def test_every_number_is_that_of_the_split_and_has_an_interval_around_it(report):
    assert all(scores.shape == (2, 1) for scores in report.scores_.values())
    assert set(report.scores_) == {*RIVALS, "joint", "joint*"}
    for row, scores in report.scores_.items():
        told = report.score(row)
        assert told.estimate == pytest.approx(scores.mean())
        assert told.low <= told.estimate <= told.high
    for what, by_name in report.measures_.items():
        for name, values in by_name.items():
            told = report.measure(what, name)
            assert told.estimate == pytest.approx(values.mean())
            assert told.low <= told.estimate <= told.high, (what, name)


def test_the_learned_share_has_the_interval_of_its_linear_part(report):
    copy = DiagnosisReport.from_json(report.to_json())
    rng = np.random.default_rng(0)
    resampled = {what: 0.02 * rng.standard_normal(1000) for what in ("untrained", "joint", "alone")}
    means = {"untrained": 0.5, "joint": 0.6, "alone": 0.7}
    for what, mean in means.items():
        copy.measures_[f"probe_{what}"]["text"][:] = mean
        copy.data["resampled_measures"][f"probe_{what}"]["text"] = mean + resampled[what]
    told = copy.learned_share("text")
    p0, pj, pa = (means[w] + resampled[w] for w in ("untrained", "joint", "alone"))
    linear = 0.5 + (pj - p0 - 0.5 * (pa - p0)) / 0.2
    assert told.estimate == pytest.approx(0.5)
    assert told.high == pytest.approx(np.quantile(linear, 0.975))


def test_measures_are_those_without_resamples(report, data):
    """The same functions, asked for one number each."""
    (seed,) = report.data["network_seeds"][0]
    joint, alone, X_test, y_test = fitted_pair(data, seed)
    by_modality = joint.score_by_modality(X_test, y_test)
    drops = modality_permutation_importance(joint, X_test, y_test, n_repeats=3, random_state=seed)
    game = modality_shapley(joint, X_test, y_test, n_repeats=3, random_state=seed)
    for i, name in enumerate(joint.modalities_):
        measured = {what: values[name][0, 0] for what, values in report.measures_.items()}
        assert measured["in_joint"] == pytest.approx(by_modality[name])
        expected = alone[name].score({name: X_test[name]}, y_test)
        assert measured["alone"] == pytest.approx(expected)
        assert measured["permutation_drop"] == pytest.approx(drops.importances_mean[i])
        assert measured["shapley"] == pytest.approx(game.importances_mean[i])
    assert report.data["cooperation"][0, 0] == pytest.approx(game.cooperation)


def test_shapley_values_add_up_in_each_resample(report):
    resampled = report.data["resampled_measures"]["shapley"]
    total = sum(resampled.values())
    assert total.shape == (1000,) and total.std() > 0
    assert total.mean() == pytest.approx(
        sum(values.mean() for values in report.measures_["shapley"].values()), abs=0.01
    )


def test_all_forms_say_which_interval_it_is(report, plt):
    said = (
        "Intervals: bootstrap over 60 test samples, one split: it does not hold the chance of the "
        "training part; verdicts use wider ones"
    )
    assert said in " ".join(repr(report).split()) and said in report._repr_html_()
    assert "corrected resampled t" not in repr(report)
    assert (
        "in each half of the test part by the other half"
        in report.data["rows"]["best single"]["text"]
    )
    assert json.loads(report.to_json())["interval"].startswith("bootstrap over 60 test samples")
    title = report.plot().get_title()
    assert title == "n = 150, one split, 2 seeds, 60 test samples, 95 % bootstrap intervals"


def test_json_keeps_the_intervals(report):
    again = DiagnosisReport.from_json(report.to_json())
    assert repr(again) == repr(report)
    np.testing.assert_equal(again.verdicts_, report.verdicts_)  # NaN is NaN
    assert again.recommended_ == report.recommended_


def test_groups_are_drawn_whole(data):
    X, y = data
    groups = np.arange(N) // 10
    given = {"cv": [(np.arange(N - N_TEST), TEST)], "seeds": 1, "methods": ()}
    report = diagnose(network(), X, y, groups=groups, rivals=["majority"], **given)
    assert "bootstrap over 6 test groups" in " ".join(repr(report).split())
    (seed,) = report.data["network_seeds"][0]
    joint, _, X_test, y_test = fitted_pair(data, seed)
    by_group = (joint.predict(X_test) == y_test).reshape(6, 10).mean(axis=1)  # of equal sizes
    told = report.score("joint")
    assert told.standard_error == pytest.approx(by_group.std() / np.sqrt(6), rel=0.1)


def test_regression_with_missing_modalities_is_resampled(data):
    X, y = data
    X = {name: x.copy() for name, x in X.items()}
    y = X["text"][:, 0] + X["audio"][:, 1]
    X["text"][:20], X["audio"][TEST[:15]] = np.nan, np.nan
    estimator = MultimodalRegressor(encoders__hidden=8, max_epochs=3, missing="allow")
    given = {"cv": [(np.arange(N - N_TEST), TEST)], "seeds": 1, "methods": (), "rivals": RIVALS}
    report = diagnose(estimator, X, y, **given)
    assert not report.data["failed"]
    for name in X:
        for what in report.measures_:
            told = report.measure(what, name)
            assert told.low <= told.estimate <= told.high, (what, name)


def scorer_of(scoring, n_resamples=300, groups=None, classifies=True, n=N_TEST):
    return ResampledScorer(scoring, classifies, n, groups, n_resamples)


@pytest.mark.parametrize(
    "scoring", ["matthews_corrcoef", make_scorer(matthews_corrcoef)], ids=["name", "scorer"]
)
def test_any_other_score_is_computed_on_the_rows_drawn(data, scoring):
    X, y = data
    model = LogisticRegression().fit(X["audio"][:50], y[:50])
    found = scorer_of(scoring, 20)(model, X["audio"][TEST], y[TEST])
    said = model.predict(X["audio"][TEST])
    assert found[0] == pytest.approx(matthews_corrcoef(y[TEST], said))
    counts = scorer_of(scoring, 20)._counts
    for row, value in zip(counts, found[1:], strict=True):
        rows = np.repeat(np.arange(N_TEST), row)
        assert value == pytest.approx(matthews_corrcoef(y[TEST][rows], said[rows]))


def test_where_resamples_lack_a_class_it_is_said():
    y = np.append(np.zeros(29, int), 1)
    model = LogisticRegression().fit(np.arange(30.0)[:, None], y)
    with pytest.warns(UserWarning, match="not defined in 3.* % of the resamples"):
        found = scorer_of("roc_auc", n=30)(model, np.arange(30.0)[:, None], y)
    assert found[0] == 1.0 and 0.2 < np.isnan(found[1:]).mean() < 0.5  # (29 / 30)^30 = .36
    told = compare(Spread([[found[0]]], found[1:]), ONE)
    assert np.isnan(told.low)


def test_the_single_modality_of_each_half_is_the_best_on_the_other():
    n = 40
    y = np.arange(n) % 2
    right = {"a": np.arange(n) < 20, "b": np.arange(n) >= 20}

    class Says(DummyClassifier):
        def __init__(self, right=None):
            self.right = right
            self.classes_ = np.array([0, 1])

        def predict_proba(self, X):
            said = np.where(self.right[X[:, 0]], y[X[:, 0]], 1 - y[X[:, 0]])
            return np.eye(2)[said]

        def predict(self, X):
            return self.predict_proba(X).argmax(axis=1)

    alone = {name: Says(rows) for name, rows in right.items()}
    groups = (np.arange(n) >= 20).astype(int)  # so that the halves are those
    found = best_on_the_other_half(alone, np.arange(n)[:, None], y, groups, scorer_of(None, n=n))
    # Each is perfect on one half, and is chosen for the other.
    assert found[0] == 0.0


# Scores with resamples


def test_sums_and_multiples_carry_the_resamples():
    a, b = Spread([[1.0], [3.0]], [1.0, 2.0]), Spread([[0.0], [1.0]], [0.5, 1.0])
    made = (2 * a - b) / 4 + 1 - (-a)
    assert np.asarray(made).ravel().tolist() == [2.5, 5.25]
    assert made.resampled.tolist() == [2.375, 3 + 1.75 - 1.0]
    assert type(np.nanmean(a)) is not Spread and np.nanmean(a) == 2.0
    assert (sum([a, b]) / 2).resampled.tolist() == [0.75, 1.5]


def test_resamples_that_are_tied_but_for_rounding_are_tied():
    a = Spread([[0.6]], np.full(100, 0.1 + 0.2))
    b = Spread([[0.6]], np.full(100, 0.3))
    assert compare(a - b, ONE).p_value == 1.0


def test_a_difference_is_told_by_percentiles_at_any_level():
    rng = np.random.default_rng(0)
    resampled = 0.1 + 0.04 * rng.standard_normal(1000)
    told = compare(Spread([[0.1]], resampled), ONE, 0.99)
    assert told.estimate == 0.1 and told.low == pytest.approx(np.quantile(resampled, 0.005))
    assert told.p_value == pytest.approx(2 * (1 + (resampled <= 0).sum()) / 1001)


def test_one_test_sample_or_group_is_refused(data):
    given = {"methods": (), "rivals": (), "seeds": 1}
    for groups, text in [(None, "samples. Got 1"), (np.arange(N) < 149, "groups. Got 1")]:
        with pytest.raises(ValueError, match=f"must have at least 2 {text}"):
            diagnose(network(), *data, cv=[(np.arange(149), [149])], groups=groups, **given)
