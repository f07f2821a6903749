"""Records: names of quantities and labels that would collide are refused."""

import pytest
from recording_runs import MODALITIES, Run, both, refuse

from inforeg_sk.methods.records import CurveKeys


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
