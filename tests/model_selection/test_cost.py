"""How long fits will take, told by a few epochs."""

import math

import numpy as np
import pytest

from inforeg_sk import EvidencePool, MultimodalClassifier
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.model_selection import cost
from inforeg_sk.model_selection.parts import FittedOne, Part


@pytest.mark.parametrize("max_epochs", [1, 3, 100])
def test_the_estimate_is_that_of_a_line_through_two_short_fits(monkeypatch, max_epochs):
    asked = []

    def fit(estimator, part):
        asked.append(estimator.max_epochs)
        return FittedOne(estimator, None, 0.5 + 0.25 * estimator.max_epochs)

    monkeypatch.setattr(cost, "fit_alone", fit)
    estimator = MultimodalClassifier(max_epochs=max_epochs)
    found = cost.seconds_of_fit(estimator, None)
    assert found == pytest.approx(0.5 + 0.25 * max_epochs)
    assert max(asked) < 5 and estimator.max_epochs == max_epochs


def test_an_estimate_of_fits_that_fail_is_none():
    X, y = make_multimodal_classification(random_state=0)
    part = Part({**X, "weak": np.full_like(X["weak"], np.nan)}, y)
    assert math.isnan(cost.seconds_of_fit(MultimodalClassifier(), part))


def test_the_estimate_leaves_no_trace():
    X, y = make_multimodal_classification(random_state=0)
    first = MultimodalClassifier(max_epochs=5, random_state=0)
    cost.seconds_of_fit(first, Part(X, y))
    assert not hasattr(first, "module_")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.21, "3.2 s"), (42, "42 s"), (150, "2 min"), (9000, "2.5 h")],
)
def test_durations_in_words(seconds, words):
    assert cost.duration(seconds) == words


def test_a_pool_says_beforehand_how_long_its_networks_take(capsys):
    X, y = make_multimodal_classification(60, random_state=0)
    network = MultimodalClassifier(max_epochs=5, random_state=0)
    EvidencePool(network, experts="light", cv=2, verbose=1, random_state=0).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    said = [i for i, line in enumerate(lines) if "the networks will take at most about" in line]
    took = [i for i, line in enumerate(lines) if "networks took" in line]
    assert len(said) == 1 and said < took
