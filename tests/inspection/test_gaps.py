"""Gaps are ratios of the given traces and differences of the given scores, by pair."""

import numpy as np
import pytest

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.inspection import GapDisplay

TRACES = {"a": [1.0, 2.0, 8.0], "b": [4.0, 4.0, 2.0], "c": [1.0, 0.0, 1.0]}
SCORES = {"a": [0.1, 0.2, 0.3], "b": [0.5, 0.6, 0.9], "c": [0.2, 0.2, 0.2]}


def test_each_pair_is_a_line_of_the_same_look_in_both_panels():
    display = GapDisplay(TRACES, SCORES, n_samples=1200, name="mine")
    assert display.plot() is display
    # The one with the larger mean score comes first; a and c tie.
    assert list(display.lines_) == [("b", "a"), ("b", "c"), ("a", "c")]
    above, below = display.lines_["b", "a"]
    assert above.get_ydata().tolist() == [4.0, 2.0, 0.25]
    assert below.get_ydata() == pytest.approx([0.4, 0.4, 0.6])
    assert above.get_label() == "b to a"
    undefined = display.lines_["b", "c"][0].get_ydata()  # a trace of 0 has no ratio
    assert np.array_equal(undefined, [4.0, np.nan, 2.0], equal_nan=True)
    for lines in display.lines_.values():
        assert len({(x.get_color(), x.get_linestyle(), x.get_marker()) for x in lines}) == 1
    looks = {(x.get_linestyle(), x.get_marker()) for x, _ in display.lines_.values()}
    assert len(looks) == 3
    assert display.ax_.get_yscale() == "log" and display.ax_.get_title() == "mine"
    assert display.axes_[1].get_xlabel() == "epoch (1,200 training samples)"


def test_from_estimator_draws_what_the_fit_recorded(fitted, data):
    display = GapDisplay.from_estimator(fitted)
    traces, scores = (fitted.curves_[q] for q in ("fisher_trace", "performance_score"))
    ((a, b),) = display.lines_
    assert scores[a].mean() > scores[b].mean()
    above, below = display.lines_[a, b]
    assert above.get_ydata() == pytest.approx(traces[a] / traces[b])
    assert below.get_ydata() == pytest.approx(scores[a] - scores[b])
    X, _ = data
    reg = MultimodalRegressor(max_epochs=2, random_state=0).fit(X, X["weak"][:, 0])
    assert len(GapDisplay.from_estimator(reg).lines_) == 1


def test_chosen_pairs_and_many_modalities():
    display = GapDisplay(TRACES, SCORES, pairs=[("c", "a")]).plot()
    assert list(display.lines_) == [("c", "a")]
    many = {f"m{i}": [float(i + 1)] for i in range(10)}
    display = GapDisplay(many, many).plot()
    assert list(display.lines_) == [("m9", f"m{i}") for i in range(8, -1, -1)]
    display.figure_.canvas.draw()
    legend = display.axes_[1].get_legend().get_window_extent()
    assert legend.y0 >= 0 and legend.y1 <= display.axes_[1].xaxis.label.get_window_extent().y0


def test_on_one_axes_that_is_divided_and_on_two(plt):
    figure, axes = plt.subplots(1, 2, layout="constrained")
    display = GapDisplay(TRACES, SCORES).plot(axes[1])
    assert display.figure_ is figure and len(figure.axes) == 4
    assert not axes[1].axison
    _, two = plt.subplots(2, 1)
    display = GapDisplay(TRACES, SCORES).plot(two)
    assert display.axes_ == list(two) and len(plt.get_fignums()) == 2
    with pytest.raises(ValueError, match=r"an array of 2 Axes. Got 3"):
        GapDisplay(TRACES, SCORES).plot(plt.subplots(3)[1])
    with pytest.raises(ValueError, match="which can be divided"):
        GapDisplay(TRACES, SCORES).plot(figure.add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize(
    "parameters, match",
    [
        (({"a": [1.0]}, SCORES), "fisher_trace must be a dict from two modalities or more"),
        ((TRACES, {"a": [1.0], "b": [1.0]}), "fisher_trace is of 'a', 'b', 'c', but"),
        (({"a": [1.0], "b": [1.0]}, {"a": [1.0], "b": [1.0, 2.0]}), r"\(1,\), \(2,\)"),
    ],
)
def test_bad_gaps(plt, parameters, match):
    with pytest.raises(ValueError, match=match):
        GapDisplay(*parameters).plot()
    with pytest.raises(ValueError, match="pairs must hold tuples of two of 'a', 'b', 'c'"):
        GapDisplay(TRACES, SCORES, pairs=["ab"]).plot()
    assert plt.get_fignums() == []


def test_what_was_not_recorded(data, fitted):
    clf = MultimodalClassifier(fisher=None, max_epochs=1, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="fit it with fisher='batch'"):
        GapDisplay.from_estimator(clf)
    with pytest.raises(ValueError, match=r"no curve 'valid_acc' by modality.*'performance_score'"):
        GapDisplay.from_estimator(fitted, curve="valid_acc")
