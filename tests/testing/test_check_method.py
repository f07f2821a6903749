"""`check_method` finds what it is there to find."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inforeg_sk import BalancingMethod, Joint
from inforeg_sk.methods import Curve
from inforeg_sk.testing import check_method, method_checks

TEMPLATE = Path(__file__).parents[2] / "examples" / "extension_templates" / "balancing_method.py"


def test_the_template_passes(monkeypatch):
    spec = importlib.util.spec_from_file_location("balancing_method_template", TEMPLATE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # or its class could not be pickled
    spec.loader.exec_module(module)
    assert all(result["status"] == "passed" for result in check_method(module.MyMethod()))


class UntouchedNot(BalancingMethod):
    def __init__(self, alpha=1):
        self.alpha = float(alpha)


class Undeclared(BalancingMethod):
    def on_gradients(self, batch):
        batch.record("secret", batch.scores)


class NeverRecorded(BalancingMethod):
    curves = {"promised": Curve("Nothing")}


class FlagsThatAreNone(BalancingMethod):
    curves = {"flag": Curve("A number", flag=True)}

    def on_gradients(self, batch):
        batch.record("flag", 0.5)


class Global(BalancingMethod):
    def on_epoch_start(self, epoch):
        np.random.rand()


class ReadsValues(BalancingMethod):
    def on_gradients(self, batch):
        if batch.scores.max() > batch.scores.min():
            pass


class ReadsALot(BalancingMethod):
    """Reads values by calls that are not ``item``."""

    def on_gradients(self, batch):
        self.total = sum(batch.scores.tolist())
        batch.logits.detach()[batch.target > 0].cpu()


class HoldsContexts(BalancingMethod):
    def on_train_start(self, training):
        self.training = training


class KeepsGraphs(BalancingMethod):
    def on_step(self, batch):
        self.mean_ = batch.joint_loss


class OnlyComplete(BalancingMethod):
    """Is not defined for missing samples, and does not say so."""

    def loss(self, batch):
        if batch.present is not None:
            raise ValueError("not defined")
        return batch.joint_loss


class SaysSo(OnlyComplete):
    requires = ("complete", "unweighted")


class DropsModalities(BalancingMethod):
    """Uses what is documented: it passes."""

    def on_batch_start(self, inputs, epoch):
        rates = dict.fromkeys(epoch.modalities, 0.2)
        return inputs.drop(rates, epoch.training.generator)


@pytest.mark.parametrize("method", [SaysSo(), DropsModalities()])
def test_a_method_that_keeps_to_the_protocol_passes(method):
    results = check_method(method)
    assert {result["status"] for result in results} == {"passed"}


class Misspelt(BalancingMethod):
    def on_gradient(self, batch):
        raise AssertionError("never called")


class Forgetful(BalancingMethod):
    """Keeps its count in an attribute that is no state."""

    curves = {"count": Curve("A count")}

    def on_epoch_start(self, epoch):
        self._count = getattr(self, "_count", 0) + 1
        epoch.record("count", self._count)


class Holding(BalancingMethod):
    def on_gradients(self, batch):
        self.last = batch.logits


class Unscaled(BalancingMethod):
    def on_gradients(self, batch):
        for p in batch.network.encoders[next(iter(batch.features))].parameters():
            if p.grad is not None:
                p.grad.add_(0.1 * p.detach())


class NoGradient(BalancingMethod):
    def on_gradients(self, batch):
        for parameters in batch.epoch.parameters.values():
            for p in parameters.trainable:
                p.grad.mul_(0.5)


class ByPresence(BalancingMethod):
    def on_gradients(self, batch):
        assert batch.present is None


class Lying(BalancingMethod):
    closed_form = True

    def loss(self, batch):
        return batch.joint_loss


class Greedy(BalancingMethod):
    """Its __setstate__ loses what base classes keep."""

    def __getstate__(self):
        return {"settings": {}, "state": {**self.state_dict()}, "more": vars(self).copy()}

    def __setstate__(self, state):
        vars(self).update(state["more"])

    def on_gradients(self, batch):
        self.junk = [1.0]


@pytest.mark.parametrize(
    "method, check",
    [
        (UntouchedNot(), "check_settings"),
        (Undeclared(), "check_curves"),
        (NeverRecorded(), "check_curves"),
        (FlagsThatAreNone(), "check_curves"),
        (Global(), "check_random_state"),
        (ReadsValues(), "check_no_transfer_in_a_batch"),
        (ReadsALot(), "check_no_transfer_in_a_batch"),
        (HoldsContexts(), "check_release"),
        (KeepsGraphs(), "check_trains"),
        (OnlyComplete(), "check_missing_modalities"),
        (Misspelt(), "check_declarations"),
        (Forgetful(), "check_partial_fit"),
        (Holding(), "check_release"),
        (Unscaled(), "check_gradient_scale"),
        (NoGradient(), "check_missing_modalities"),
        (NoGradient(), "check_frozen_parameters"),
        (ByPresence(), "check_missing_modalities"),
        (Lying(), "check_declarations"),
        (Greedy(), "check_pickle"),
    ],
)
def test_a_faulty_method_fails_the_check_that_is_about_it(method, check, monkeypatch):
    # Only that check runs: all of them, one after another, run in the test below.
    about_it = [pair for pair in method_checks(method) if pair[0] == check]
    monkeypatch.setitem(check_method.__globals__, "method_checks", lambda method: about_it)
    with pytest.raises(AssertionError, match=f"{type(method).__name__}, {check}: "):
        check_method(method)
    (result,) = check_method(method, on_fail=None)
    assert result["check_name"] == check
    assert result["status"] == "failed" and result["exception"] is not None


@pytest.mark.parametrize(
    "method, checks",
    [
        (UntouchedNot(), {"check_settings"}),
        (NoGradient(), {"check_missing_modalities", "check_frozen_parameters"}),
    ],
)
def test_checks_after_a_failure_are_run_too(method, checks):
    results = check_method(method, on_fail=None)
    assert [r["check_name"] for r in results] == [name for name, _ in method_checks(method)]
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert checks <= failed and len(failed) < len(results)
    assert all((r["exception"] is None) == (r["status"] == "passed") for r in results)


def test_failures_name_method_and_check_unless_they_are_expected():
    with pytest.raises(AssertionError, match="ReadsValues, check_no_transfer_in_a_batch: "):
        check_method(ReadsValues())
    expected = {"check_no_transfer_in_a_batch": "a sketch"}
    results = check_method(ReadsValues(), expected_failed_checks=expected)
    statuses = {r["check_name"]: r["status"] for r in results}
    assert statuses.pop("check_no_transfer_in_a_batch") == "xfail"
    assert set(statuses.values()) == {"passed"}


@pytest.mark.parametrize(
    "args, kwargs, match",
    [
        ((Joint,), {}, "must be an instance"),
        ((torch.nn.Linear(1, 1),), {}, "must be an instance"),
        ((Joint(),), {"expected_failed_checks": {"check_x": ""}}, "no check 'check_x'"),
    ],
)
def test_wrong_arguments_are_refused(args, kwargs, match):
    with pytest.raises((TypeError, ValueError), match=match):
        check_method(*args, **kwargs)
