"""The lines and tracks are the given numbers, on any axes, with zeros and gaps."""

from itertools import pairwise

import numpy as np
import pytest

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.inspection import FisherTraceDisplay

TRACES = {"b": [1.0, 10.0, 100.0, 50.0, 60.0, 9.0], "a": [0.5, 0.4, 0.3, 0.2, 0.1, 0.2]}
WINDOW = {"b": [False, True, True, False, True, False], "a": [False] * 5 + [True]}


def shaded(display):
    """Epochs reached by the filled parts of each track."""
    inverse = display.ax_.transData.inverted()
    return {
        modality: [
            inverse.transform(patch.get_window_extent())[:, 0].round(6).tolist()
            for patch in patches
        ]
        for modality, patches in display.spans_.items()
    }


def test_lines_and_shades_are_the_given_numbers():
    from matplotlib.colors import to_rgb

    display = FisherTraceDisplay(TRACES, WINDOW, name="hand-made")
    assert display.plot() is display
    assert list(display.lines_) == ["b", "a"]  # in the order given
    for modality, line in display.lines_.items():
        assert line.get_xdata().tolist() == list(range(6))
        assert line.get_ydata().tolist() == TRACES[modality]
    # Opened twice; open in the last epoch.
    assert shaded(display) == {"a": [[4.5, 5.5]], "b": [[0.5, 2.5], [3.5, 4.5]]}
    for modality, patches in display.spans_.items():
        colour = to_rgb(display.lines_[modality].get_color())
        assert all(patch.get_facecolor()[:3] == colour for patch in patches)
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "Fisher trace")
    assert ax.get_title() == "hand-made"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["b", "a", "window open"]
    assert display.figure_ is ax.figure


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("n_modalities", [1, 5, 30])
def test_tracks_overlap_neither_each_other_nor_the_lines(n_modalities, log):
    rng = np.random.default_rng(0)
    traces = {f"m{i}": 10 ** rng.normal(size=8) for i in range(n_modalities)}
    display = FisherTraceDisplay(traces, {m: [True] * 8 for m in traces}).plot(log=log)
    display.figure_.canvas.draw()
    boxes = [patches[0].get_window_extent() for patches in display.spans_.values()]
    for upper, lower in pairwise(boxes):
        assert upper.y0 > lower.y1
    highest = max(trace.max() for trace in traces.values())
    assert display.ax_.transData.transform((0, highest))[1] < boxes[-1].y0
    assert boxes[0].y1 < display.ax_.get_window_extent().y1


def test_from_estimator_draws_what_the_fit_recorded(fitted):
    display = FisherTraceDisplay.from_estimator(fitted)
    for modality, trace in fitted.curves_["fisher_trace"].items():
        assert np.array_equal(display.lines_[modality].get_ydata(), trace)
        drawn = np.zeros(6, bool)
        for start, stop in shaded(display)[modality]:
            drawn[round(start + 0.5) : round(stop + 0.5)] = True
        assert np.array_equal(drawn, fitted.curves_["window"][modality])
    assert any(window.any() for window in fitted.curves_["window"].values())
    assert display.ax_.get_title() == "InfoReg(alpha=2.0)"
    assert display.ax_.get_xlabel() == "epoch (120 training samples)"
    assert FisherTraceDisplay.from_estimator(fitted, name="mine").ax_.get_title() == "mine"


def test_method_without_window_has_lines_only(data):
    clf = MultimodalClassifier(max_epochs=2, random_state=0, record_batches=False).fit(*data)
    display = FisherTraceDisplay.from_estimator(clf)
    assert display.ax_.get_xlabel() == "epoch"  # the rows of batches were not kept
    assert display.spans_ == {} and not display.ax_.patches
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["strong", "weak"]


def test_modalities_are_told_apart_without_colour():
    traces = {f"m{i}": [1.0, 2.0] for i in range(4)}
    display = FisherTraceDisplay(traces, {m: [True, False] for m in traces}).plot()
    lines = display.lines_.values()
    assert len({line.get_linestyle() for line in lines}) == 4
    assert len({line.get_marker() for line in lines}) == 4
    assert len({patches[0].get_hatch() for patches in display.spans_.values()}) == 4
    display.figure_.canvas.draw()
    for modality, text in display.texts_.items():  # the name stands beside the track
        track, name = display.spans_[modality][0].get_window_extent(), text.get_window_extent()
        assert text.get_text() == modality
        assert name.x0 >= display.ax_.get_window_extent().x1 and name.x1 <= 640
        assert (name.y0 + name.y1) / 2 == pytest.approx((track.y0 + track.y1) / 2, abs=2)


def test_many_modalities_have_a_legend_below_that_covers_nothing():
    rng = np.random.default_rng(0)
    traces = {f"modality {i}": rng.random(5) + 1 for i in range(12)}
    display = FisherTraceDisplay(traces, {m: [True] * 5 for m in traces}).plot()
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    assert legend.y1 <= display.ax_.xaxis.label.get_window_extent().y0
    assert legend.x0 >= 0 and legend.x1 <= 640 and legend.y0 >= 0
    names = [text.get_window_extent() for text in display.texts_.values()]
    assert all(upper.y0 > lower.y1 - 1 for upper, lower in pairwise(names))


@pytest.mark.parametrize("cls", [MultimodalClassifier, MultimodalRegressor])
def test_where_active_limits_a_method_its_epochs_are_drawn(data, cls):
    X, y = data
    model = cls("ogm-ge", active={0, 2}, max_epochs=4, random_state=0)
    if cls is MultimodalRegressor:
        model, y = cls("mmpareto", active={0, 2}, max_epochs=4, random_state=0), X["weak"][:, 0]
    display = FisherTraceDisplay.from_estimator(model.fit(X, y))
    expected = [[-0.5, 0.5], [1.5, 2.5]]
    assert shaded(display) == {"strong": expected, "weak": expected}
    legend = [t.get_text() for t in display.ax_.get_legend().get_texts()]
    assert legend == ["strong", "weak", "method active"]


@pytest.mark.parametrize(
    "trace, log, scale",
    [
        ([1.0, 2.0], True, "log"),
        ([1.0, 2.0], False, "linear"),
        ([0.0, 2.0], True, "symlog"),
        ([0.0, 0.0], True, "linear"),
        ([1.0, np.nan], True, "log"),
        ([np.nan, np.inf], True, "linear"),
        ([3.0], True, "log"),
    ],
)
def test_zeros_and_gaps_are_drawn_without_warnings(trace, log, scale, complaints):
    display = FisherTraceDisplay({"X": trace}, {"X": [True] * len(trace)}).plot(log=log)
    display.figure_.canvas.draw()
    assert display.ax_.get_yscale() == scale
    assert np.array_equal(display.lines_["X"].get_ydata(), trace, equal_nan=True)
    low, high = display.ax_.get_ylim()
    assert all(low < value < high for value in trace if np.isfinite(value))
    assert complaints() == []


def test_traces_on_given_axes_again_and_with_style(plt):
    _, ax = plt.subplots()
    display = FisherTraceDisplay(TRACES, WINDOW)
    display.plot(ax, linewidth=3, marker="x", legend=False)
    assert {line.get_linewidth() for line in ax.lines} == {3}
    assert {line.get_marker() for line in ax.lines} == {"x"}
    assert ax.get_legend() is None and ax.get_title() == ""
    limits = ax.get_ylim()
    display.plot(ax)
    assert display.ax_ is ax and len(ax.lines) == 4
    assert ax.get_ylim() == limits
    # A line drawn later is still scaled in, and one across the axes is no trace.
    ax.axvline(2)
    ax.plot([0, 1], [1e4, 1e5])
    assert ax.get_ylim()[1] > 1e5
    assert display.plot(ax).ax_.get_yscale() == "log"


@pytest.mark.parametrize(
    "traces, window, match",
    [
        ({}, None, "fisher_trace is a dict"),
        ([1.0], None, "fisher_trace is a dict"),
        ({"a": [1.0]}, {"b": [True]}, "'b' has no Fisher trace"),
        ({"a": [1.0]}, {"a": [True, False]}, r"'a' has the shape \(2,\)"),
    ],
)
def test_bad_traces(plt, traces, window, match):
    with pytest.raises(ValueError, match=match):
        FisherTraceDisplay(traces, window).plot()
    assert plt.get_fignums() == []


def test_traces_not_tracked(data):
    clf = MultimodalClassifier(fisher=None, max_epochs=1, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="fit it with fisher='batch'"):
        FisherTraceDisplay.from_estimator(clf)
