"""Records: what is accepted, where it lands in the history, and what is refused by name."""

import re
from functools import partial
from math import inf, isnan, nan
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.history import History

from inforeg_sk.methods.records import BatchRecorder, CurveKeys, EpochRecorder, by_label
from inforeg_sk.training.records import EpochRecords, epoch_value


def done(recorder, joint_loss):
    """A batch with its joint loss and what was recorded."""
    return SimpleNamespace(joint_loss=joint_loss, recorded=recorder.recorded)


assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)

MODALITIES = ("audio", "text")


class Run:
    """A history with records of batches and of epochs, as a training run has them."""

    def __init__(self, modalities=MODALITIES, logits=None):
        self.keys = CurveKeys(modalities)
        self.history = History()
        self.values = EpochRecorder(self.history, self.keys)
        self.logits = torch.zeros(4, 3) if logits is None else logits
        self.new_epoch()

    def new_epoch(self):
        self.history.new_epoch()
        self.epoch = EpochRecords()
        self.new_batch()

    def new_batch(self):
        self.batch = BatchRecorder(self.keys, self.logits)

    def end_batch(self, n_samples=4):
        loss = torch.zeros(())
        self.epoch.add(done(self.batch, loss), loss, n_samples)
        self.new_batch()

    def end_epoch(self, reduction="mean"):
        for (quantity, label), found in self.epoch.resolve()[1].items():
            key = self.keys.key(quantity, label)
            self.history.record(key, epoch_value(found, reduction))

    @property
    def row(self):
        return {k: v for k, v in self.history[-1].items() if k != "batches"}

    @property
    def curves(self):
        found = self.keys.curves(self.history)
        return {
            q: {k: v.tolist() for k, v in c.items()} if isinstance(c, dict) else c.tolist()
            for q, c in found.items()
        }


def record_in_batch(run, *args, **kwargs):
    run.batch.record(*args, **kwargs)
    run.end_batch()
    run.end_epoch()


def record_in_epoch(run, *args, **kwargs):
    run.values.record(*args, **kwargs)


both = pytest.mark.parametrize("record", [record_in_batch, record_in_epoch])


def refuse(record, error, *parts, **kwargs):
    """Recording raises an error that has all parts, for a batch and for an epoch."""
    run = Run()
    with pytest.raises(error) as caught:
        record(run, **kwargs)
    for part in parts:
        assert re.search(part, str(caught.value)), (part, str(caught.value))


# Shapes and labels

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


# Scalars and types

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


# Names that would collide


@pytest.mark.parametrize("quantity", ["train_loss", "epoch", "batches", "valid_acc", "dur"])
@both
def test_names_of_the_loop_are_refused(record, quantity):
    parts = (f"'{quantity}'", "the training loop", "another name")
    refuse(record, ValueError, *parts, quantity=quantity, values=1.0)


@both
def test_a_label_may_not_spell_a_name_of_the_loop(record):
    parts = ("'train' of 'loss'", "'train_loss'", "the training loop")
    refuse(record, ValueError, *parts, quantity="train", values={"loss": 1.0})
    # With labels the name itself is free.
    run = Run()
    record(run, "epoch", [1.0, 2.0])
    assert run.row == {"epoch_audio": 1.0, "epoch_text": 2.0}


FIRST_SECOND = [
    (("window", {"ratio_x": 1.0}), ("window_ratio", {"x": 1.0})),
    (("window_ratio", {"x": 1.0}), ("window", {"ratio_x": 1.0})),
    (("window_x", 1.0), ("window", {"x": 1.0})),
    (("window", {"x": 1.0}), ("window_x", 1.0)),
]


@both
@pytest.mark.parametrize("first, second", FIRST_SECOND)
def test_quantities_that_would_share_a_key_are_refused(record, first, second):
    run = Run()
    record(run, *first)
    with pytest.raises(ValueError, match="belongs to") as caught:
        record(run, *second)
    for quantity, values in (first, second):
        assert repr(quantity) in str(caught.value)
        for label in values if isinstance(values, dict) else ():
            assert repr(label) in str(caught.value)
    # The first is still there, in later epochs too.
    run.new_epoch()
    record(run, *first)
    assert list(run.curves) == [first[0]]


@both
@pytest.mark.parametrize("values", [(1.0, {"x": 1.0}), ({"x": 1.0}, 1.0)])
def test_a_quantity_is_a_scalar_or_has_labels(record, values):
    run = Run()
    record(run, "gap", values[0])
    run.new_epoch()
    with pytest.raises(ValueError, match="'gap' is recorded with labels and without"):
        record(run, "gap", values[1])


@pytest.mark.parametrize(
    "first, second, twice",
    [
        (1.0, 2.0, "None"),
        ([1.0, 2.0], [3.0, 4.0], "'audio', 'text'"),
        ({"audio": 1.0}, [3.0, 4.0], "'audio'"),
        ({"joint": 1.0, "text": 2.0}, {"other": 1.0, "text": 2.0}, "'text'"),
    ],
)
def test_recorded_twice_in_a_batch_is_refused(first, second, twice):
    run = Run()
    run.batch.record("gap", first)
    with pytest.raises(ValueError, match=f"'gap'.*twice in a batch for {twice}"):
        run.batch.record("gap", second)
    # The next batch may.
    run.end_batch()
    run.batch.record("gap", second)


def test_labels_of_a_quantity_may_come_one_after_the_other():
    run = Run()
    run.batch.record("gap", {"text": 1.0})
    run.batch.record("gap", {"audio": 2.0})
    run.batch.record("gap", {"joint": 3.0})
    run.end_batch()
    run.end_epoch()
    assert run.row == {"gap_text": 1.0, "gap_audio": 2.0, "gap_joint": 3.0}
    assert list(run.curves["gap"]) == ["audio", "text", "joint"]


def test_an_epoch_keeps_its_last_value_and_batches_replace_it():
    run = Run()
    run.values.record("gap", [0.0, 0.0])
    run.values.record("gap", [1.0, 2.0])
    assert run.row == {"gap_audio": 1.0, "gap_text": 2.0}
    run.batch.record("gap", {"text": 5.0})
    run.end_batch()
    run.end_epoch()
    assert run.row == {"gap_audio": 1.0, "gap_text": 5.0}


def test_labelled_keys_are_those_with_a_label():
    keys = CurveKeys(MODALITIES)
    assert keys.key("gap", "audio") == "gap_audio"
    assert keys.key("ratio") == "ratio"
    keys.claim("gap", ("audio",))
    keys.claim("ratio", None)
    keys.claim("loss", ("joint", "audio"))
    keys.claim("loss", ("joint", "audio"))
    keys.claim("scale", None)
    assert keys.labelled == {"gap_audio", "loss_joint", "loss_audio"}
    assert keys.key("gap", "audio") == "gap_audio"


# Epochs


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
    assert found == losses.tolist() and values == expected
    assert records.sizes == [1, 2, 3, 4, 5]
    assert {len(v) for v in values.values()} == {2, 3, 5}


def test_losses_of_an_epoch_are_detached():
    run = Run()
    loss = torch.tensor(2.0, requires_grad=True)
    run.epoch.add(done(run.batch, loss * 1), loss * 2, 4)
    losses, values = run.epoch.resolve()
    assert losses == [[2.0, 4.0]] and values == {}


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


# Curves


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


# The history of an epoch


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


def test_the_history_holds_plain_python_values():
    run = Run()
    run.values.record("a", torch.tensor([1.0, 2.0], requires_grad=True))
    run.values.record("b", np.array([1, 2]))
    run.values.record("c", {"audio": np.float32(1), "text": torch.tensor(True)})
    run.values.record("d", np.float64(1))
    record_in_batch(run, "e", torch.tensor([1, 2]))
    assert {type(v) for v in run.row.values()} == {float, int, bool}


@pytest.mark.parametrize("key", ["train_loss_best", "valid_acc_best", "event_lr", "dur"])
def test_names_that_skorchs_callbacks_write_are_refused(key):
    keys = CurveKeys(MODALITIES)
    with pytest.raises(ValueError, match=f"'{key}' in the history"):
        keys.claim(key, None)
    quantity, _, label = key.rpartition("_")
    if quantity:
        with pytest.raises(ValueError, match=f"'{key}' in the history"):
            keys.claim(quantity, (label,))


def test_a_refused_claim_claims_nothing():
    keys = CurveKeys(MODALITIES)
    with pytest.raises(ValueError, match="train_loss"):
        keys.claim("train", ("x", "loss"))
    keys.claim("train", None)


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
