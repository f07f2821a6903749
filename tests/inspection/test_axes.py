"""Axes and figures are made only where none are given; without matplotlib, errors name it."""

import sys

import pytest

from inforeg_sk.inspection import FisherTraceDisplay, ModalityAccuracyDisplay


def test_one_figure_a_display_and_none_on_given_axes(plt, fitted, data):
    FisherTraceDisplay.from_estimator(fitted)
    ModalityAccuracyDisplay.from_estimator(fitted, *data)
    assert len(plt.get_fignums()) == 2
    _, axes = plt.subplots(1, 2)
    traces = FisherTraceDisplay.from_estimator(fitted, ax=axes[0])
    accuracy = ModalityAccuracyDisplay.from_estimator(fitted, *data, ax=axes[1])
    assert (traces.ax_, accuracy.ax_) == tuple(axes)
    assert traces.figure_ is accuracy.figure_ is axes[0].figure
    assert len(plt.get_fignums()) == 3


def test_without_matplotlib(monkeypatch, fitted, data):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    advice = r'requires matplotlib.*pip install "inforeg-sk\[plot\]"'
    with pytest.raises(ImportError, match=rf"FisherTraceDisplay\.plot {advice}"):
        FisherTraceDisplay({"a": [1.0]}).plot()
    with pytest.raises(ImportError, match=rf"ModalityAccuracyDisplay\.plot {advice}"):
        ModalityAccuracyDisplay({"all": 0.5}).plot()
    with pytest.raises(ImportError, match=rf"from_estimator {advice}"):
        FisherTraceDisplay.from_estimator(fitted)
    with pytest.raises(ImportError, match=rf"from_estimator {advice}"):
        ModalityAccuracyDisplay.from_estimator(fitted, *data)
