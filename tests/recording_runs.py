"""A history that batches and epochs record into, as in a training run."""

import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from skorch.history import History

from inforeg_sk.methods.records import BatchRecorder, CurveKeys, EpochRecorder
from inforeg_sk.training.records import EpochRecords, epoch_value

MODALITIES = ("audio", "text")

assert_same = partial(torch.testing.assert_close, rtol=0, atol=0, equal_nan=True)


def done(recorder, joint_loss):
    """A batch with its joint loss and what was recorded."""
    return SimpleNamespace(joint_loss=joint_loss, recorded=recorder.recorded)


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
