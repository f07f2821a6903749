"""The bars and marks are the given numbers, on any axes, for any number of modalities."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, make_scorer, max_error, r2_score

from inforeg_sk import (
    LateFusionClassifier,
    LateFusionRegressor,
    ModalityDict,
    MultimodalClassifier,
)
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.inspection import ModalityAccuracyDisplay


def test_bars_are_the_given_numbers():
    scores = {"video": 0.5, "all": 0.75, "audio": 0.04}
    display = ModalityAccuracyDisplay(
        scores, {"all": 0.02, "audio": 0.01}, 0.25, alone={"audio": 0.6}, name="joint"
    )
    assert display.plot() is display
    assert list(display.bars_) == ["all", "video", "audio"]
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == list(display.bars_)
    for i, (key, bar) in enumerate(display.bars_.items()):
        assert bar.get_height() == 100 * scores[key]
        assert bar.get_x() + bar.get_width() / 2 == pytest.approx(i)
        assert display.texts_[key].get_text() == f"{100 * scores[key]:.1f}"
    assert list(display.alone_lines_) == ["audio"]
    assert display.alone_lines_["audio"].get_ydata() == pytest.approx([60, 60])
    assert display.alone_lines_["audio"].get_xdata() == pytest.approx([1.6, 2.4])
    assert list(display.errorbars_) == ["all", "audio"]
    (segment,) = display.errorbars_["all"].lines[2][0].get_segments()
    assert segment[:, 1] == pytest.approx([73, 77])
    assert list(display.chance_line_.get_ydata()) == [25, 25]
    ax = display.ax_
    assert ax.get_ylabel() == "accuracy (%)" and ax.get_title() == "joint"
    assert ax.get_yticks().tolist() == [0, 20, 40, 60, 80, 100]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["trained alone", "chance"]


def test_from_estimator_scores(fitted, data):
    X, y = data
    display = ModalityAccuracyDisplay.from_estimator(fitted, X, y)
    assert display.scores == {"all": fitted.score(X, y), **fitted.score_by_modality(X, y)}
    heights = {key: bar.get_height() / 100 for key, bar in display.bars_.items()}
    assert heights == pytest.approx(display.scores)
    assert display.ax_.get_title() == "InfoReg(alpha=2.0)" and display.ax_.get_legend() is None
    assert display.chance_line_ is None and display.alone_lines_ == display.errorbars_ == {}


def test_weights(fitted, data):
    X, y = data
    right = fitted.predict_proba_by_modality(X)["weak"].argmax(axis=1) == y
    assert 0 < right.mean() < 1
    display = ModalityAccuracyDisplay.from_estimator(
        fitted, X, y, sample_weight=right.astype(float)
    )
    assert display.scores["weak"] == 1
    kept = ModalityDict(X)[np.flatnonzero(right)]
    assert display.scores["all"] == pytest.approx(fitted.score(kept, y[right]))


@pytest.mark.parametrize("as_table", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_all_bars_are_of_the_samples_that_have_all_modalities(data, as_table, weighted):
    rng = np.random.default_rng(3)
    X, y = data
    X = {name: values.reshape(len(y), -1).copy() for name, values in X.items()}
    there = {name: rng.random(len(y)) < 0.75 for name in X}
    there["weak"] |= ~there["strong"]
    for name, values in X.items():
        values[~there[name]] = np.nan
    given, settings = X, {}
    if as_table:
        given = pd.DataFrame(np.hstack(list(X.values())))
        ends = np.cumsum([values.shape[1] for values in X.values()])
        given.columns = [f"c{i}" for i in range(ends[-1])]
        given.index = given.index[::-1]  # positions count, not labels
        settings["modalities"] = {
            name: slice(int(end - X[name].shape[1]), int(end)) for name, end in zip(X, ends)
        }
    clf = MultimodalClassifier(max_epochs=3, random_state=0, missing="allow", **settings)
    clf.fit(given, y)
    weight = rng.uniform(0.2, 2, len(y)) if weighted else None
    display = ModalityAccuracyDisplay.from_estimator(clf, given, y, sample_weight=weight)
    common = there["strong"] & there["weak"]
    assert 20 < common.sum() < len(y) - 20
    by_modality = clf.predict_proba_by_modality(given)
    predicted = {"all": clf.predict(given)}
    predicted |= {name: clf.classes_[p.argmax(axis=1)] for name, p in by_modality.items()}
    assert set(display.scores) == {"all", "strong", "weak"}
    for key, labels in predicted.items():
        right = (labels == y)[common]
        expected = np.average(right, weights=None if weight is None else weight[common])
        assert display.scores[key] == pytest.approx(expected)
        assert display.bars_[key].get_height() == pytest.approx(100 * expected)
    np.testing.assert_array_equal(clf.common_samples(given), common)


def test_common_samples(fitted, data):
    X, y = data
    assert fitted.common_samples(X).tolist() == [True] * len(y)
    clf = MultimodalClassifier(max_epochs=1, missing="allow", random_state=0).fit(X, y)
    # A modality that nobody has is none that the others are compared with.
    assert clf.common_samples({"weak": X["weak"][:4]}).tolist() == [True] * 4
    apart = {name: values[:4].copy() for name, values in X.items()}
    apart["weak"][:2] = apart["strong"][2:] = np.nan
    assert clf.common_samples(apart).tolist() == [False] * 4
    with pytest.raises(ValueError, match="samples='each'"):
        ModalityAccuracyDisplay.from_estimator(clf, apart, y[:4])


@pytest.mark.parametrize(
    "names", [["X"], ["electrocardiogram", "gaze", "posture", "text", "video"]]
)
def test_one_modality_and_five(names):
    scores = {"all": 0.9, **{name: 0.5 for name in names}}
    display = ModalityAccuracyDisplay(scores).plot()
    assert list(display.bars_) == ["all", *names]
    display.figure_.canvas.draw()
    boxes = [tick.get_window_extent() for tick in display.ax_.get_xticklabels()]
    rotated = {tick.get_rotation() for tick in display.ax_.get_xticklabels()}
    assert rotated == ({0} if len(names) == 1 else {30})
    assert min(box.y0 for box in boxes) >= 0


def test_four_side_by_side_share_an_axis(plt, complaints):
    figure, axes = plt.subplots(1, 4, figsize=(12, 4), sharey=True, layout="constrained")
    scores = {"all": 0.9, "audio": 0.3, "text": 0.9}
    for i, ax in enumerate(axes):
        display = ModalityAccuracyDisplay(scores, {"audio": 0.1}, 0.2, alone={"audio": 0.5})
        display.plot(ax, name=f"method {i}", legend=i == 0)
        ax.label_outer()
    figure.canvas.draw()
    assert len({ax.get_ylim() for ax in axes}) == 1
    assert [ax.get_title() for ax in axes] == [f"method {i}" for i in range(4)]
    assert [ax.get_ylabel() for ax in axes] == ["accuracy (%)", "", "", ""]
    assert [ax.get_legend() is not None for ax in axes] == [True, False, False, False]
    assert plt.get_fignums() == [figure.number] and complaints() == []


def test_bars_on_given_axes_again_and_with_style(plt):
    from matplotlib.colors import to_rgba

    _, ax = plt.subplots()
    display = ModalityAccuracyDisplay({"audio": 0.3, "text": 0.9})
    display.plot(ax, color="yellow", edgecolor="black", width=0.5)
    assert {bar.get_width() for bar in ax.patches} == {0.5}
    assert ax.patches[0].get_facecolor() == to_rgba("yellow")
    assert display.texts_["audio"].get_color() == "black"  # readable on a light bar
    display.plot(ax)
    assert display.ax_ is ax and len(ax.patches) == 4
    assert display.texts_["audio"].get_color() == "white"


# Other scores and other estimators


def test_any_scorer_in_its_own_units(fitted, data):
    X, y = data
    display = ModalityAccuracyDisplay.from_estimator(fitted, X, y, scoring="neg_log_loss")
    expected = {"all": -log_loss(y, fitted.predict_proba(X))}
    for name, proba in fitted.predict_proba_by_modality(X).items():
        expected[name] = -log_loss(y, proba)
    assert display.scores == pytest.approx(expected)
    for key, bar in display.bars_.items():
        assert bar.get_height() == pytest.approx(expected[key])
        assert display.texts_[key].get_text() == f"{expected[key]:.3f}"
    ax = display.ax_
    assert ax.get_ylabel() == "neg log loss" and ax.get_xlabel() == "modalities used (n = 120)"
    low, high = ax.get_ylim()
    assert low < min(expected.values()) and high >= 0
    display = ModalityAccuracyDisplay.from_estimator(fitted, X, y, scoring="balanced_accuracy")
    assert display.ax_.get_ylabel() == "balanced accuracy (%)"


def test_late_fusion_and_pools(data, pool):
    X, y = data
    late = LateFusionClassifier(LogisticRegression()).fit(X, y)
    display = ModalityAccuracyDisplay.from_estimator(late, X, y)
    assert display.scores == {"all": late.score(X, y), **late.score_by_modality(X, y)}
    assert display.ax_.get_title() == "LateFusionClassifier"
    target = X["weak"][:, 0]
    late = LateFusionRegressor(Ridge()).fit(X, target)
    scorer = make_scorer(max_error, greater_is_better=False)
    display = ModalityAccuracyDisplay.from_estimator(late, X, target, scoring=scorer)
    assert display.scores["all"] == -max_error(target, late.predict(X))
    assert display.ax_.get_ylabel() == "score"
    display = ModalityAccuracyDisplay.from_estimator(late, X, target)
    assert display.scores["all"] == r2_score(target, late.predict(X))
    display = ModalityAccuracyDisplay.from_estimator(pool, X, y)
    assert display.scores == {"all": pool.score(X, y), **pool.score_by_modality(X, y)}


def test_late_fusion_is_scored_on_common_samples_too(data):
    X, y = data
    X = {name: v.astype(float) for name, v in X.items()}
    X["weak"][:30] = np.nan
    late = LateFusionClassifier(LogisticRegression(), missing="allow").fit(X, y)
    display = ModalityAccuracyDisplay.from_estimator(late, X, y)
    both = {name: v[30:] for name, v in X.items()}
    assert display.scores == {
        "all": late.score(both, y[30:]),
        **late.score_by_modality(both, y[30:]),
    }
    assert display.ax_.get_xlabel() == "modalities used (n = 90)"


@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_beyond_the_bars_overlap_neither_marks_nor_the_legend(sign):
    scores = {"all": 0.9 * sign, "audio": 0.4 * sign, "text": 0.85 * sign}
    display = ModalityAccuracyDisplay(
        scores, {"all": 0.05}, 0.1 * sign, alone={"audio": 0.7 * sign}, score_name="r2"
    ).plot()
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    frame = display.ax_.get_window_extent()
    for text in display.texts_.values():
        box = text.get_window_extent()
        assert not box.overlaps(legend) and frame.y0 <= box.y0 and box.y1 <= frame.y1


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"scores": {}}, "scores is a dict"),
        ({"scores": 0.5}, "scores is a dict"),
        (
            {"scores": {"all": 75.5}},
            r"scores\['all'\] must be an accuracy in \[0, 1\]. Got 75.5",
        ),
        (
            {"scores": {"a": 0.5}, "spread": {"b": 0.1}},
            "spread: 'b' is not among the scores of 'a'",
        ),
        ({"scores": {"a": 0.5}, "alone": {"b": 0.1}}, "alone: 'b' is not among the scores of 'a'"),
        ({"scores": {"a": np.nan}, "score_name": "r2"}, r"scores\['a'\] must be finite. Got nan"),
        ({"scores": {"a": 0.5}, "chance": 33}, r"chance must be an accuracy in \[0, 1\]. Got 33"),
    ],
)
def test_bad_scores(plt, parameters, match):
    with pytest.raises(ValueError, match=match):
        ModalityAccuracyDisplay(**parameters).plot()
    assert plt.get_fignums() == []


def test_modality_called_all():
    X, y = make_multimodal_classification(30, modalities={"all": {}}, random_state=0)
    clf = MultimodalClassifier(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="called 'all'"):
        ModalityAccuracyDisplay.from_estimator(clf, X, y)
