"""Records: batches of an epoch, the curves of all epochs, and what is past."""

from math import inf, isnan, nan

import numpy as np
import pytest
import torch
from recording_runs import MODALITIES, Run, assert_same, done

from inforeg_sk.methods.records import EpochRecorder
from inforeg_sk.training.records import EpochRecords, epoch_value

# From batches to the value of an epoch


def test_the_value_of_an_epoch_is_the_mean_or_the_sum():
    assert epoch_value([1.0, 2.0, 6.0], "mean") == 3.0
    assert epoch_value([1.0, 2.0, 6.0], "sum") == 9.0
    assert epoch_value([4.0], "mean") == epoch_value([4.0], "sum") == 4.0
    assert epoch_value([1.0, inf], "mean") == inf


def test_nan_is_left_out_of_the_value_of_an_epoch():
    assert epoch_value([1.0, nan, 3.0], "mean") == 2.0
    # A batch that could not tell counts as one like the others.
    assert epoch_value([1.0, nan, 3.0], "sum") == 6.0
    for reduction in ("mean", "sum"):
        assert isnan(epoch_value([nan, nan], reduction))


@pytest.mark.parametrize("reduction, expected", [("mean", 2.0), ("sum", 4.0)])
def test_batches_of_an_epoch_are_reduced_by_label(reduction, expected):
    run = Run()
    for values in ([1.0, 10.0], [3.0, nan]):
        run.batch.record("gap", values)
        run.end_batch()
    run.end_epoch(reduction)
    factor = 2 if reduction == "sum" else 1
    assert run.row == {"gap_audio": expected, "gap_text": 10.0 * factor}


def test_a_quantity_of_some_batches_is_the_mean_of_those():
    run = Run()
    for i in range(6):
        run.batch.record("always", float(i))
        if i % 2:
            run.batch.record("odd", {"text": float(i)})
        if i == 4:
            run.batch.record("once", torch.tensor([1.0, 2.0, 3.0]), ["x", "audio", "y"])
        run.end_batch()
    run.end_epoch()
    assert run.row == {
        "always": 2.5,
        "odd_text": 3.0,
        "once_x": 1.0,
        "once_audio": 2.0,
        "once_y": 3.0,
    }


def test_labels_in_another_order_in_each_batch_land_by_label():
    run = Run()
    run.batch.record("gap", {"audio": 1.0, "text": 10.0})
    run.end_batch()
    run.batch.record("gap", {"text": 20.0, "audio": 3.0})
    run.end_batch()
    run.batch.record("gap", [5.0, 30.0])
    run.end_batch()
    run.end_epoch()
    assert run.row == {"gap_audio": 3.0, "gap_text": 20.0}


def test_an_epoch_with_ragged_rows_leaves_the_device_in_one_copy(monkeypatch):
    run = Run()
    records, expected = EpochRecords(), {}
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(5, 2, generator=generator)
    kinds = [  # quantity, labels, names of its values, batches that record it
        ("a", None, MODALITIES, range(5)),
        ("b", ("x", "audio", "y"), ("x", "audio", "y"), (0, 3)),
        ("c", None, (None,), (1, 2, 3)),
    ]
    for i in range(5):
        for quantity, labels, names, batches in kinds:
            if i in batches:
                shape = () if names == (None,) else len(names)
                values = torch.rand(shape, generator=generator)
                run.batch.record(quantity, values, labels)
                for label, value in zip(names, values.reshape(-1).tolist(), strict=True):
                    expected.setdefault((quantity, label), []).append(value)
        joint_loss, loss = losses[i].unbind()
        records.add(done(run.batch, joint_loss), loss, n_samples=i + 1)
        run.new_batch()
    copies, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: copies.append(1) or tolist(self))
    monkeypatch.setattr(torch.Tensor, "item", None)
    found, values = records.resolve()
    monkeypatch.undo()
    assert len(copies) == 1
    assert found == list(map(tuple, losses.tolist())) and values == expected
    assert records.sizes == [1, 2, 3, 4, 5]
    assert {len(v) for v in values.values()} == {2, 3, 5}


def test_losses_of_an_epoch_are_detached():
    run = Run()
    loss = torch.tensor(2.0, requires_grad=True)
    run.epoch.add(done(run.batch, loss * 1), loss * 2, 4)
    losses, values = run.epoch.resolve()
    assert losses == [(2.0, 4.0)] and values == {}


def test_records_of_a_batch_do_not_change_after_it():
    run = Run()
    buffer = torch.zeros(2)
    for i in range(3):
        buffer.fill_(i)
        run.batch.record("gap", buffer)
        run.end_batch()
    buffer.fill_(100)
    run.end_epoch()
    assert run.row == {"gap_audio": 1.0, "gap_text": 1.0}


# Curves, and the past that a method may ask for


def test_epochs_without_a_value_hold_nan():
    run = Run()
    run.batch.record("early", [1.0, 2.0])
    run.end_batch()
    run.end_epoch()
    run.new_epoch()
    run.batch.record("late", 5.0)
    run.batch.record("early", {"text": 3.0})
    run.end_batch()
    run.end_epoch()
    run.new_epoch()
    curves = run.keys.curves(run.history)
    np.testing.assert_array_equal(curves["early"]["audio"], [1.0, nan, nan])
    np.testing.assert_array_equal(curves["early"]["text"], [2.0, 3.0, nan])
    np.testing.assert_array_equal(curves["late"], [nan, 5.0, nan])
    assert curves["late"].dtype == curves["early"]["text"].dtype == float


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_flags_stay_boolean(make):
    run = Run()
    run.values.record("window", make([True, False]))
    run.values.record("all", np.bool_(True))
    run.new_epoch()
    run.values.record("window", {"audio": torch.tensor(False), "text": True})
    run.values.record("all", torch.tensor(False))
    curves = run.keys.curves(run.history)
    assert curves["window"]["audio"].dtype == curves["all"].dtype == bool
    assert run.curves == {
        "window": {"audio": [True, False], "text": [False, True]},
        "all": [True, False],
    }
    # An epoch without a flag counts as false.
    run.new_epoch()
    assert run.curves["all"] == [True, False, False]


def test_a_quantity_of_no_finished_epoch_has_no_curve():
    run = Run()
    run.keys.claim("gap", MODALITIES)
    run.values.record("kept", 1.0)
    assert run.curves == {"kept": [1.0]}
    assert run.keys.curves([]) == {}


def test_curves_do_not_hold_what_others_wrote():
    run = Run()
    run.history.record("train_loss", 1.0)
    run.history.record("mine", 2.0)
    run.values.record("gap", [1.0, 2.0])
    assert list(run.curves) == ["gap"]


def test_past_holds_the_finished_epochs_of_all_modalities():
    run = Run()
    for t in range(4):
        run.values.record("gap", [t, 10.0 * t] if t != 2 else {"text": 20.0})
        run.new_epoch()
    run.values.record("gap", [100.0, 100.0])  # of the epoch that is running
    expected = torch.tensor([[0, 0], [1, 10], [nan, 20], [3, 30]], dtype=torch.float64)
    assert_same(run.values.past("gap"), expected)
    for n in (0, 1, 3, 4, 9):
        assert_same(run.values.past("gap", n), expected[4 - min(n, 4) :])
    # What the method declares may be asked for before it is recorded.
    early = EpochRecorder(run.history, run.keys, {"declared"})
    assert early.past("declared").isnan().all() and early.past("declared").shape == (4, 2)
    with pytest.raises(KeyError, match="past\\('unknown'\\): nothing of that name was recorded"):
        run.values.past("unknown")


def test_past_of_flags_is_zeros_and_ones():
    run = Run()
    run.values.record("window", [True, False])
    run.new_epoch()
    assert_same(run.values.past("window"), torch.tensor([[1.0, 0.0]], dtype=torch.float64))


def test_past_reads_labels_of_the_methods_own_and_scalars():
    run = Run()
    for t in range(3):
        run.values.record("blend", {"joint": t, "text": 10.0 * t})
        run.values.record("scale", t)
        run.new_epoch()
    assert run.values.past("blend", labels=["joint"]).tolist() == [[0.0], [1.0], [2.0]]
    assert run.values.past("scale", 2, labels=()).tolist() == [1.0, 2.0]
    with pytest.raises(KeyError, match="recorded for 'audio'"):
        run.values.past("blend")
