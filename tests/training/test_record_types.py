"""Records: numbers of any library, and the types that they become."""

import numpy as np
import pytest
import torch
from recording_runs import MODALITIES, Run, assert_same, both, done, record_in_batch
from skorch.history import History

from inforeg_sk.methods.records import BatchRecorder, CurveKeys, EpochRecorder
from inforeg_sk.training.records import EpochRecords

SCALARS = [
    1.5,
    torch.tensor(1.5),
    torch.tensor(1.5, dtype=torch.float64),
    torch.tensor(1.5, dtype=torch.bfloat16),
    torch.tensor(1.5, requires_grad=True),
    np.float64(1.5),
    np.float32(1.5),
    np.array(1.5),
]
WHOLE = [2, True, np.int64(2), np.bool_(True), torch.tensor(2), torch.tensor(True), np.array(2)]


@both
@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_a_single_number_is_a_scalar(record, value):
    run = Run()
    record(run, "ratio", value)
    assert run.row == {"ratio": 1.5} and type(run.row["ratio"]) is float
    assert run.curves == {"ratio": [1.5]}
    assert run.keys.labelled == set()


@both
@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_a_mapping_may_hold_any_number(record, value):
    run = Run()
    record(run, "ratio", {"audio": value, "text": 0.25})
    assert run.row == {"ratio_audio": 1.5, "ratio_text": 0.25}
    assert all(type(v) is float for v in run.row.values())


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers_and_flags_of_a_batch_are_averaged(value):
    run = Run()
    run.batch.record("open", value)
    run.batch.record("window", {"audio": value, "text": 0})
    run.end_batch()
    run.batch.record("open", 0)
    run.batch.record("window", {"audio": 0, "text": value})
    run.end_batch()
    run.end_epoch()
    expected = float(value) / 2
    assert run.row == {"open": expected, "window_audio": expected, "window_text": expected}


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers_and_flags_of_an_epoch_keep_their_type(value):
    run = Run()
    run.values.record("open", value)
    run.values.record("window", {"audio": value, "text": value})
    expected = bool if isinstance(value, (bool, np.bool_)) or value is WHOLE[5] else int
    for found in run.row.values():
        assert found == value and type(found) is expected


def test_numbers_of_a_batch_are_kept_in_the_type_of_the_logits_or_better():
    for dtype, expected in (
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ):
        run = Run(logits=torch.zeros(4, 3, dtype=dtype))
        run.batch.record("x", 0.1)
        run.batch.record("flags", torch.tensor([True, False]))
        run.batch.record("mixed", {"audio": 0.1, "text": torch.tensor(1)})
        assert {v.dtype for v in run.batch.recorded.values()} == {expected}
    # A tensor of doubles keeps its digits.
    run = Run()
    run.batch.record("x", torch.tensor(0.1, dtype=torch.float64))
    run.end_batch()
    run.end_epoch()
    assert run.row == {"x": 0.1}


def test_values_of_a_batch_are_detached_and_keep_no_graph():
    run = Run()
    loss = torch.tensor([1.0, 2.0], requires_grad=True) * 3
    run.batch.record("loss", loss)
    run.batch.record("one", {"audio": loss[0]})
    run.batch.record("all", loss.sum())
    assert not any(v.requires_grad for v in run.batch.recorded.values())
    assert loss.requires_grad


def test_recording_does_not_modify_what_it_gets():
    run = Run()
    values = torch.tensor([1.0, 2.0])
    mapping = {"text": torch.tensor(1.0), "audio": 2.0}
    labels = ["x", "y"]
    for record in (run.batch.record, run.values.record):
        record("a", values)
        record("b", mapping)
        record("c", values, labels)
    run.end_batch()
    run.end_epoch()
    assert_same(values, torch.tensor([1.0, 2.0]))
    assert list(mapping) == ["text", "audio"] and labels == ["x", "y"]


@pytest.mark.parametrize("values", [None, "abc", 1j, [[1.0], [1.0, 2.0]], {"audio": None}])
@pytest.mark.parametrize("where", ["batch", "epoch"])
def test_what_is_no_number_is_refused_by_name(values, where):
    keys = CurveKeys(MODALITIES)
    history = History()
    history.new_epoch()
    records = {
        "batch": BatchRecorder(keys, torch.zeros(2)),
        "epoch": EpochRecorder(history, keys),
    }[where]
    with pytest.raises((TypeError, ValueError), match=r"record\('gap'\)"):
        records.record("gap", values)
    records.record("gap", {"audio": 1.0})  # the refused one claimed no name


def test_tuples_of_scalars_of_any_library_become_plain_numbers():
    keys = CurveKeys(MODALITIES)
    history = History()
    history.new_epoch()
    epoch = EpochRecorder(history, keys)
    epoch.record("flag", (np.True_, np.False_))
    epoch.record("value", (torch.tensor(1.0), np.float32(2.0)))
    assert history[-1, "flag_audio"] is True and type(history[-1, "value_text"]) is float
    assert keys.curves(history)["flag"]["text"].dtype == bool


def test_a_tensor_changed_after_it_was_recorded_is_recorded_as_it_was():
    records = BatchRecorder(CurveKeys(MODALITIES), torch.zeros(2))
    values = torch.ones(2)
    records.record("gap", values)
    values.zero_()
    epoch = EpochRecords()
    epoch.add(done(records, torch.tensor(0.0)), torch.tensor(0.0), 1)
    assert epoch.resolve()[1]["gap", "audio"] == [1.0]


def test_the_history_holds_plain_python_values():
    run = Run()
    run.values.record("a", torch.tensor([1.0, 2.0], requires_grad=True))
    run.values.record("b", np.array([1, 2]))
    run.values.record("c", {"audio": np.float32(1), "text": torch.tensor(True)})
    run.values.record("d", np.float64(1))
    record_in_batch(run, "e", torch.tensor([1, 2]))
    assert {type(v) for v in run.row.values()} == {float, int, bool}
