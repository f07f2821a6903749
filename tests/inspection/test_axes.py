"""Axes and figures are made only where none are given; without matplotlib, errors name it."""

import sys

import matplotlib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from inforeg_sk import MultimodalClassifier
from inforeg_sk.callbacks import ScoreByModality
from inforeg_sk.inspection import (
    EmbeddingDisplay,
    FisherTraceDisplay,
    GapDisplay,
    GradientSimilarityDisplay,
    ModalityAccuracyDisplay,
    ScoreByModalityDisplay,
    SensitivityDisplay,
)

BOTH = {"a": [1.0, 2.0], "b": [2.0, 1.0]}
BY_HAND = [
    EmbeddingDisplay({"a": np.eye(2)}, {"a": [0.0, 1.0]}),
    FisherTraceDisplay(BOTH, {"a": [True, False]}),
    GapDisplay(BOTH, BOTH),
    GradientSimilarityDisplay({"a": np.eye(2)}),
    ModalityAccuracyDisplay({"all": 0.5}),
    ScoreByModalityDisplay(BOTH),
    SensitivityDisplay({"alpha": [1, 2]}, [0.1, 0.2]),
]


@pytest.fixture(scope="module")
def from_estimator(fitted, data):
    """Each display's `from_estimator`, with what it takes."""
    callbacks = [("scores", ScoreByModality())]
    watched = MultimodalClassifier(callbacks=callbacks, max_epochs=2, random_state=0).fit(*data)
    rng = np.random.default_rng(0)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2)
    search.fit(rng.normal(size=(20, 2)), np.arange(20) % 2)
    return {
        EmbeddingDisplay: ((fitted, *data), {"method": "pca"}),
        FisherTraceDisplay: ((fitted,), {}),
        GapDisplay: ((fitted,), {}),
        GradientSimilarityDisplay: ((fitted, *data), {}),
        ModalityAccuracyDisplay: ((fitted, *data), {}),
        ScoreByModalityDisplay: ((watched,), {}),
        SensitivityDisplay: ((search,), {}),
    }


@pytest.mark.parametrize("display", BY_HAND, ids=lambda display: type(display).__name__)
def test_every_display_leaves_pyplot_as_it_was(display, plt, from_estimator, complaints):
    settings, cls = dict(matplotlib.rcParams), type(display)
    args, more = from_estimator[cls]
    made = cls.from_estimator(*args, **more)
    made.figure_.canvas.draw()
    assert len(plt.get_fignums()) == 1
    figure, axes = plt.subplots(1, 2, layout="constrained")
    made = cls.from_estimator(*args, **more, ax=axes[0])
    assert display.plot(ax=axes[1]) is display
    assert made.figure_ is display.figure_ is figure and len(plt.get_fignums()) == 2
    assert dict(matplotlib.rcParams) == settings and figure.get_suptitle() == ""
    figure.canvas.draw()
    assert complaints() == []


def texts_of(figure):
    """What is written on a figure, with the box of each text."""
    figure.canvas.draw()
    hidden = set()  # labels of ticks that are out of sight
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high or not axis.axes.axison:
                hidden |= {tick.label1, tick.label2}
    texts = figure.findobj(matplotlib.text.Text)
    texts = [t for t in texts if t.get_visible() and t.get_text().strip() and t not in hidden]
    return [(t.get_text(), t.get_window_extent()) for t in texts]


@pytest.mark.parametrize("display", BY_HAND, ids=lambda display: type(display).__name__)
def test_texts_of_every_display_overlap_nowhere_at_the_default_size(display, from_estimator):
    cls = type(display)
    args, more = from_estimator[cls]
    found = texts_of(cls.from_estimator(*args, **more).figure_)
    assert len(found) > 4
    for i, (first, box) in enumerate(found):
        assert box.x0 >= 0 and box.y0 >= 0, first
        for second, other in found[:i]:
            apart = max(box.x0, other.x0) + 1 >= min(box.x1, other.x1)
            apart |= max(box.y0, other.y0) + 1 >= min(box.y1, other.y1)
            assert apart, (first, second)


@pytest.mark.parametrize("display", BY_HAND, ids=lambda display: type(display).__name__)
def test_without_matplotlib(display, monkeypatch, from_estimator):
    cls = type(display)
    args, more = from_estimator[cls]
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    advice = r'requires matplotlib.*pip install "inforeg-sk\[plot\]"'
    with pytest.raises(ImportError, match=rf"{cls.__name__}\.plot {advice}"):
        display.plot()
    with pytest.raises(ImportError, match=rf"{cls.__name__}\.from_estimator {advice}"):
        cls.from_estimator(*args, **more)
