"""Notes beside the verdicts, on numbers made by hand."""

import numpy as np
import pytest

from inforeg_sk.inspection._notes import notes_of
from inforeg_sk.inspection._verdicts import Design
from inforeg_sk.inspection._wording import Wording

DESIGN = Design(500, 400, 100, False)
#: Three seeds and five folds around 0 with a standard deviation of 0.01.
NOISE = 0.01 * np.linspace(-1, 1, 15).reshape(3, 5) / np.linspace(-1, 1, 15).std(ddof=1)
WORDS = Wording(True, True, (0.0, 1.0))


def notes(scores=None, alone=None, untrained=0.5, words=WORDS):
    alone = {"left": 0.7, "label_onehot": 0.7, **(alone or {})}
    measures = {
        "alone": {name: value + 0 * NOISE for name, value in alone.items()},
        "probe_untrained": {name: untrained + NOISE for name in alone},
    }
    rows = {name: value + 0 * NOISE for name, value in {"joint": 0.8, **(scores or {})}.items()}
    return notes_of(rows, measures, DESIGN, words)


def test_nothing_is_noted_of_usual_scores():
    assert notes({"linear on all": 0.9, "late fusion": 0.9}) == []


def test_a_modality_that_is_right_for_all_samples_may_contain_the_target():
    (note,) = notes({"linear on all": 1.0, "joint": 1.0}, {"label_onehot": 1.0})
    assert note == (
        "label_onehot alone scores 100.0 %, the best other modality 70.0 %: does label_onehot "
        "contain the target?"
    )


@pytest.mark.parametrize("alone", [{"left": 0.95, "label_onehot": 1.0}, {"label_onehot": 0.99}])
def test_an_easy_task_is_no_leak(alone):
    assert notes(alone=alone) == []


def test_one_fold_that_is_not_perfect_is_enough_for_no_note():
    measures = {
        "alone": {"left": 0.6 + 0 * NOISE, "right": 1.0 + 0 * NOISE},
        "probe_untrained": {"left": 0.4 + NOISE, "right": 0.5 + NOISE},
    }
    assert len(notes_of({"joint": 0.8 + NOISE}, measures, DESIGN, WORDS)) == 1
    measures["alone"]["right"][1, 2] = 0.99
    assert notes_of({"joint": 0.8 + NOISE}, measures, DESIGN, WORDS) == []


def test_a_linear_model_far_above_all_networks_is_noted():
    (note,) = notes({"linear on all": 1.0, "late fusion": 1.0})
    assert "linear on all scores 100.0 %, the best network 80.0 %: does a modality" in note
    assert notes({"linear on all": 1.0, "joint": 0.95}) == []


def test_a_score_without_a_largest_value_one_has_no_leak():
    words = Wording(False, False, (-np.inf, 0.0))
    assert notes(alone={"label_onehot": 1.0}, words=words) == []


def test_untrained_features_that_beat_the_network_alone_are_noted_with_a_single_interval():
    # By hand: half = 2.145 * 0.01 * sqrt(1 / 15 + 100 / 400) = 0.0121.
    first, second = notes(untrained=0.75)
    assert first == (
        "left: training does not help its encoder: a probe of untrained features scores 5.0 points "
        "more than the network trained alone (95 % interval 3.8 to 6.2, not corrected for several "
        "comparisons). Try other scaling, lr, more epochs or trees."
    )
    assert second.startswith("label_onehot: ")
    assert notes(untrained=0.711) == []
