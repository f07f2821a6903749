"""What the protocol refuses by name, and what survives errors."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import WeightedRandomSampler

from inforeg_sk import (
    BalancingMethod,
    InfoReg,
    Joint,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
)
from inforeg_sk.methods import Curve
from inforeg_sk.methods.monitors import PerformanceScore

SETTINGS = {"batch_size": 30, "max_epochs": 2, "random_state": 0, "device": "cpu"}


def make(method="joint", **settings):
    return MultimodalClassifier(method, **{**SETTINGS, **settings})


def test_no_modality_may_be_called_joint(trimodal):
    X, y = trimodal
    with pytest.raises(ValueError, match="cannot be called 'joint'"):
        make().fit({"joint": X["text"], "b": X["video"]}, y)


def test_gaps_under_autocast_are_not_lost_in_the_rounding_of_a_short_type(trimodal):
    X, y = trimodal
    gaps = []

    class Looking(BalancingMethod):
        def on_gradients(self, batch):
            assert batch.logits.dtype == torch.bfloat16
            assert batch.scores.dtype == torch.float32
            gaps.append(batch.performance_gap.max().item())

    class Autocast(MultimodalClassifier):
        def train_step(self, batch, **fit_params):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().train_step(batch, **fit_params)

        def validation_step(self, batch, **fit_params):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().validation_step(batch, **fit_params)

    Autocast(Looking(), **SETTINGS).fit(X, y)
    # Differences of a percent or two of the score are real.
    assert 0 < min(gap for gap in gaps if gap) < 0.05


@pytest.mark.parametrize("zero", ["features", "inputs"])
def test_coalitions_under_autocast(trimodal, zero):
    X, y = trimodal

    class Looking(BalancingMethod):
        def on_gradients(self, batch):
            assert batch.coalition_logits(["text"], zero=zero).isfinite().all()

    class Autocast(MultimodalClassifier):
        def infer(self, x, **fit_params):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().infer(x, **fit_params)

    Autocast(Looking(), **SETTINGS).fit(X, y)


# Errors in mid-training


class Failing(Callback):
    """Fails in the second batch of an epoch."""

    def __init__(self, epoch=2, error=RuntimeError):
        self.epoch, self.error = epoch, error

    def on_batch_end(self, net, training=False, **kwargs):
        epoch = len(net.history)
        if training and epoch == self.epoch and len(net.history[-1, "batches"]) == 2:
            raise self.error("from a callback")


def test_an_error_in_mid_epoch_leaves_no_broken_epoch_and_training_goes_on(trimodal):
    X, y = trimodal
    clf = MultimodalInfoRegClassifier(window_smoothing=1, **SETTINGS).fit(X, y)
    clf.set_params(callbacks=[Failing(epoch=3)])
    clf.initialize_callbacks()
    with pytest.raises(RuntimeError, match="from a callback"):
        clf.partial_fit(X, y)
    assert len(clf.history) == 2
    clf.set_params(callbacks=None)
    clf.initialize_callbacks()
    clf.partial_fit(X, y)
    ratio, trace = clf.window_ratio_["text"], clf.fisher_trace_["text"]
    assert len(ratio) == 3 and ratio[2] == pytest.approx((trace[1] - trace[0]) / trace[1])


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_new_fit_that_fails_at_any_time_keeps_the_model_of_before(trimodal, epoch):
    X, y = trimodal
    clf = make("inforeg").fit(X, y)
    before, curves = clf.predict_proba(X), clf.curves_
    clf.set_params(callbacks=[Failing(epoch)], max_epochs=5)
    with pytest.raises(RuntimeError, match="from a callback"):
        clf.fit({name: 2 * values for name, values in X.items()}, y)
    assert np.array_equal(clf.predict_proba(X), before)
    assert all(np.array_equal(clf.curves_["window"][m], curves["window"][m]) for m in X)
    clf.set_params(callbacks=None, max_epochs=2).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), before)


class FailsAtStart(Joint):
    """Fails when an epoch starts, if told so."""

    def __init__(self, fail=False):
        self.fail = fail

    def on_epoch_start(self, epoch):
        if self.fail:
            raise RuntimeError("at the start of an epoch")


def test_a_continuation_that_fails_before_its_first_step_is_undone(trimodal):
    X, y = trimodal
    first, second = (make(FailsAtStart()).partial_fit(X, y) for _ in range(2))
    with pytest.raises(RuntimeError, match="start of an epoch"):
        first.set_params(method__fail=True).partial_fit(X, y)
    assert len(first.history) == 1 and first.method_.fail is False
    first.set_params(method__fail=False).partial_fit(X, y)
    second.partial_fit(X, y)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))


# Changing the class of the method


class Heads(BalancingMethod):
    def prepare(self, network):
        network.extra = nn.Linear(2, 2)
        return network


@pytest.mark.parametrize("earlier, later", [(Joint(), Heads()), (Heads(), Joint())])
def test_a_method_that_alters_the_network_cannot_follow_or_be_followed_by_another(
    trimodal, earlier, later
):
    X, y = trimodal
    clf = make(earlier).partial_fit(X, y)
    names = rf"{type(later).__name__} cannot go on from .*{type(earlier).__name__}"
    with pytest.raises(ValueError, match=f"{names}.*alters the network"):
        clf.set_params(method=later).partial_fit(X, y)


# What is needed


class Needs(BalancingMethod):
    def __init__(self, needs=()):
        self.needs = needs

    @property
    def requires(self):
        return self.needs


@pytest.mark.parametrize(
    "needs, settings, match",
    [
        ("fisher_trace", {"fisher": None}, "Needs needs the Fisher traces.*Got fisher=None"),
        ("held_out", {}, "Needs needs held-out samples.*train_split"),
        ("additive_fusion", {"fusion": "sum"}, "Needs needs unimodal logits.*Got fusion='sum'"),
        ("complete", {"modality_dropout": 0.1}, "Needs needs samples that have all modalities"),
        ("unweighted", {"class_weight": "balanced"}, "Needs needs samples without weights"),
        ("fisher_traces", {}, "must hold names among.*did you mean 'fisher_trace'"),
    ],
)
def test_what_a_method_needs_and_does_not_get_is_refused_by_name(trimodal, needs, settings, match):
    X, y = trimodal
    with pytest.raises(ValueError, match=match):
        make(Needs((needs,)), **settings).fit(X, y)
    if needs != "fisher_traces":
        everything = {"train_split": ValidSplit(3)}
        make(Needs((needs,)), **everything).fit(X, y)


def test_complete_data_are_needed_in_the_data_too(trimodal):
    X, y = trimodal
    X["text"][0] = np.nan
    with pytest.raises(ValueError, match="Needs needs samples that have all modalities"):
        make(Needs(("complete",)), missing="allow").fit(X, y)


def test_monitors_without_traces_do_not_switch_inforeg_off_silently(trimodal):
    X, y = trimodal

    class OtherMonitors(InfoReg):
        def monitors(self):
            return [PerformanceScore()]

    with pytest.raises(ValueError, match="OtherMonitors needs the Fisher traces"):
        make(OtherMonitors()).fit(X, y)


def test_a_task_that_a_method_is_not_defined_for_is_refused_in_those_words(trimodal):
    X, _ = trimodal
    reg = MultimodalRegressor(InfoReg(score="probability_sum"), **SETTINGS)
    with pytest.raises(ValueError, match="InfoReg with score='probability_sum' is defined for cl"):
        reg.fit(X, np.arange(90.0))


# Hooks


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X: None, "must return a Batch. Got NoneType"),
        (
            lambda X: X.keep({m: torch.zeros(X.n_samples, dtype=torch.bool) for m in X}),
            "leaves a sample without any modality",
        ),
    ],
)
def test_what_on_batch_start_returns_is_checked(trimodal, change, match):
    X, y = trimodal

    class Changing(BalancingMethod):
        def on_batch_start(self, inputs, epoch):
            return change(inputs)

    with pytest.raises((TypeError, ValueError), match=f"Changing.on_batch_start {match}"):
        make(Changing()).fit(X, y)


def test_modalities_dropped_by_a_method_come_on_top_of_those_that_are_missing(trimodal):
    X, y = trimodal
    X["text"][::2] = np.nan

    class Dropping(BalancingMethod):
        curves = {"share": Curve("Share of samples that have the modality")}

        def on_batch_start(self, inputs, epoch):
            assert epoch.index in (0, 1)
            everyone = torch.ones(inputs.n_samples, dtype=torch.bool)
            inputs = inputs.keep({"text": everyone})  # brings nothing back
            return inputs.drop({"video": 0.5}, epoch.training.generator)

        def on_gradients(self, batch):
            batch.record("share", batch.present.double().mean(dim=0))

    share = make(Dropping(), missing="allow").fit(X, y).curves_["share"]
    assert share["text"].tolist() == [0.5, 0.5] and share["audio"].tolist() == [1, 1]
    assert (0.2 < share["video"]).all() and (share["video"] < 0.8).all()


@pytest.mark.parametrize(
    "hooks, match",
    [
        ({"loss_weights": lambda self, batch: None}, "loss_weights returns None: override loss"),
        ({"loss": lambda self, batch: batch.joint_loss[None]}, r"single number. Got .*\(1,\)"),
    ],
)
def test_a_loss_that_is_none_is_refused_before_the_first_step(trimodal, hooks, match):
    X, y = trimodal
    with pytest.raises((TypeError, ValueError), match=match):
        make(type("Odd", (BalancingMethod,), hooks)()).fit(X, y)


# State


@pytest.mark.parametrize(
    "value, match",
    [
        (lambda batch: batch.joint_loss, "'kept_' keeps the graph of a batch"),
        (lambda batch: {"z": [batch.joint_loss]}, "'kept_' keeps the graph of a batch"),
        (lambda batch: nn.Linear(1, 1), "'kept_' is a Linear"),
        (lambda batch: nn.Parameter(torch.zeros(1)), "'kept_' is a Parameter"),
    ],
)
def test_state_that_cannot_live_on_is_refused_at_the_end_of_the_first_epoch(trimodal, value, match):
    X, y = trimodal

    class Keeping(BalancingMethod):
        def on_step(self, batch):
            self.kept_ = value(batch)

    with pytest.raises(TypeError, match=match):
        make(Keeping()).fit(X, y)


def test_state_moves_to_the_device_of_training_and_is_saved_on_the_cpu():
    method = Joint()
    method.kept_ = {"z": torch.zeros(2), "n": 1, "l": [torch.ones(1)]}
    method.move_state(torch.device("meta"))
    assert method.kept_["z"].device.type == method.kept_["l"][0].device.type == "meta"
    method.kept_ = {"z": torch.ones(2, requires_grad=True)}
    saved = method.state_dict()["kept_"]["z"]
    assert saved.device.type == "cpu" and not saved.requires_grad


# Passes over the data


def mean_by_hand(clf, X, y, name):
    logits = np.log(clf.predict_proba_by_modality(X)[name])
    index = np.searchsorted(clf.classes_, y)
    losses = -logits[np.arange(len(y)), index]
    return losses[~np.isnan(losses)].mean()


def test_the_mean_loss_of_a_modality_is_over_the_samples_that_have_it(trimodal):
    X, y = trimodal
    X["audio"][:40] = np.nan  # none in the first batch, few in the second

    class Measuring(BalancingMethod):
        def on_train_start(self, training):
            self.mean_ = training.mean_loss(
                lambda batch: batch.unimodal_losses["audio"], modality="audio"
            )

    clf = make(Measuring(), missing="allow", lr=0.0, dtype="float64").fit(X, y)
    assert clf.method_.mean_ == pytest.approx(mean_by_hand(clf, X, y, "audio"), rel=1e-10)


def test_passes_over_data_see_every_sample_whatever_the_training_iterator_does(trimodal):
    X, y = trimodal
    seen = {}

    class Looking(BalancingMethod):
        def on_train_start(self, training):
            for part in ("training", "held_out"):
                for shuffle in (False, True):
                    batches = list(training.batches(part, shuffle=shuffle))
                    seen[part, shuffle] = sum(batch.n_samples for batch in batches)

    sampler = WeightedRandomSampler(torch.ones(60), 30)
    for settings in (
        {"iterator_train__drop_last": True, "batch_size": 7},
        {"iterator_train__sampler": sampler},
    ):
        make(Looking(), train_split=ValidSplit(3), **settings).fit(X, y)
        assert {n for (part, _), n in seen.items() if part == "training"} == {60}
        assert {n for (part, _), n in seen.items() if part == "held_out"} == {30}


def test_a_trial_takes_an_optimizer_that_wants_a_closure(trimodal):
    X, y = trimodal

    class Trial(BalancingMethod):
        def on_train_start(self, training):
            network = training.train_copy(lambda batch: batch.joint_loss, 2)
            losses = [
                training.mean_loss(lambda batch: batch.joint_loss, network=n)
                for n in (None, network)
            ]
            self.gain_ = losses[0] - losses[1]

    clf = make(Trial(), optimizer=torch.optim.LBFGS, lr=0.1, batch_size=-1).fit(X, y)
    assert clf.method_.gain_ > 0
