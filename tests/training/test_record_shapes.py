"""Records: their shapes and labels."""

import numpy as np
import pytest
import torch
from recording_runs import MODALITIES, Run, both, record_in_batch, refuse

from inforeg_sk.methods.records import by_label

VECTORS = [
    lambda values: torch.tensor(values),
    lambda values: torch.tensor(values, dtype=torch.float64),
    lambda values: torch.tensor(values, requires_grad=True),
    lambda values: np.array(values),
    lambda values: np.array(values, dtype=np.float32),
    list,
    tuple,
]


@both
@pytest.mark.parametrize("make", VECTORS)
def test_values_without_labels_are_those_of_the_modalities(record, make):
    run = Run()
    record(run, "gap", make([1.5, -2.0]))
    assert run.row == {"gap_audio": 1.5, "gap_text": -2.0}
    assert run.curves == {"gap": {"audio": [1.5], "text": [-2.0]}}


@both
@pytest.mark.parametrize("make", VECTORS)
def test_values_with_labels_are_those_of_the_labels(record, make):
    run = Run()
    record(run, "loss", make([1.5, -2.0, 0.25]), labels=("joint", "audio", "text"))
    assert run.row == {"loss_joint": 1.5, "loss_audio": -2.0, "loss_text": 0.25}


@both
@pytest.mark.parametrize("make", VECTORS)
def test_one_value_too_many_is_refused_by_name(record, make):
    parts = ("'loss'", r"\(3,\)", "2 modalities 'audio', 'text'", "labels=")
    refuse(record, ValueError, *parts, quantity="loss", values=make([1.0, 2.0, 3.0]))


@both
@pytest.mark.parametrize(
    "values, labels, parts",
    [
        ([1.0], None, (r"\(1,\)", "2 modalities")),
        ([], None, (r"\(0,\)", "2 modalities")),
        (np.zeros((2, 1)), None, (r"\(2, 1\)", "2 modalities")),
        (torch.zeros(1, 2), None, (r"\(1, 2\)", "2 modalities")),
        (torch.zeros(2, 2), ["x", "y"], (r"\(2, 2\)", "2 labels 'x', 'y'")),
        ([1.0, 2.0, 3.0], ["x", "y"], (r"\(3,\)", "2 labels 'x', 'y'")),
        ([1.0], ["x", "y"], (r"\(1,\)", "2 labels 'x', 'y'")),
        (1.0, ["x"], (r"\(\)", "1 labels 'x'")),
        ({"x": [1.0]}, None, ("'x'", r"\(1,\)")),
        ({"x": 1.0, "y": torch.zeros(2)}, None, ("'y'", r"\(2,\)")),
        ({"x": np.zeros((1, 1))}, None, ("'x'", r"\(1, 1\)")),
        ({"x": 1.0}, ["x"], ("mapping", "labels")),
        ([1.0, 2.0], ["x", "x"], ("twice", "'x'")),
    ],
)
def test_wrong_shapes_are_refused_by_name(record, values, labels, parts):
    refuse(record, ValueError, "'loss'", *parts, quantity="loss", values=values, labels=labels)


@both
@pytest.mark.parametrize(
    "values, labels",
    [
        ({}, None),
        ([], []),
        ({0: 1.0}, None),
        ({"x": 1.0, None: 2.0}, None),
        ([1.0, 2.0], [0, 1]),
        ([1.0, 2.0], ["x", None]),
        ([1.0, 2.0], [["x"], "y"]),
    ],
)
def test_labels_that_are_not_strings_are_refused_by_name(record, values, labels):
    parts = ("'loss'", "labels must be strings")
    refuse(record, TypeError, *parts, quantity="loss", values=values, labels=labels)


@both
@pytest.mark.parametrize("quantity", ["", None, 3, ("gap",)])
def test_a_quantity_needs_a_name(record, quantity):
    refuse(record, TypeError, "non-empty string", quantity=quantity, values=1.0)


def test_a_refused_shape_leaves_nothing_behind():
    run = Run()
    for record in (run.batch.record, run.values.record):
        with pytest.raises(ValueError):
            record("loss", [1.0, 2.0, 3.0])
        with pytest.raises(TypeError):
            record("loss", {0: 1.0})
    assert run.row == {} and run.batch.recorded == {} and run.keys.labelled == set()
    record_in_batch(run, "loss", 1.0)
    assert run.row == {"loss": 1.0}


@both
def test_a_mapping_lands_by_label_in_any_order(record):
    run = Run()
    record(run, "gap", {"text": torch.tensor(2.0), "audio": 1.0})
    assert run.row == {"gap_audio": 1.0, "gap_text": 2.0}
    other = Run()
    record(other, "gap", {"audio": 1.0, "text": torch.tensor(2.0)})
    assert other.curves == run.curves
    assert list(run.curves["gap"]) == ["audio", "text"]


@both
def test_a_mapping_of_some_modalities_is_fine(record):
    run = Run()
    record(run, "gap", {"text": 2.0})
    assert run.row == {"gap_text": 2.0}


@both
def test_one_label_may_be_a_plain_string(record):
    run = Run()
    record(run, "loss", [3.0], labels="joint")
    assert run.row == {"loss_joint": 3.0}


def test_modalities_come_first_in_a_curve():
    run = Run()
    labels = ["joint", "text", "audio", "extra"]
    record_in_batch(run, "loss", [1.0, 2.0, 3.0, 4.0], labels=labels)
    assert list(run.curves["loss"]) == ["audio", "text", "joint", "extra"]
    assert run.curves["loss"] == {"audio": [3.0], "text": [2.0], "joint": [1.0], "extra": [4.0]}


def test_by_label_returns_labels_and_values():
    values = torch.tensor([1.0, 2.0])
    labels, found = by_label("gap", values, None, MODALITIES)
    assert labels == MODALITIES and torch.equal(found, values)
    assert by_label("gap", 3.0, None, MODALITIES) == (None, 3.0)
    assert by_label("gap", {"b": 1, "a": 2}, None, MODALITIES) == (("b", "a"), [1, 2])
    assert by_label("gap", [1, 2, 3], iter("xyz"), MODALITIES) == (("x", "y", "z"), [1, 2, 3])
    # One modality: a vector of one is labelled, a number is not.
    assert by_label("gap", [1.0], None, ("audio",)) == (("audio",), [1.0])
    assert by_label("gap", 1.0, None, ("audio",)) == (None, 1.0)
