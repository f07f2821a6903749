"""`active`: any method inside the prime learning window, outside it, or in given epochs."""

import numpy as np
import pytest
import torch
from oracle_parts import window_by_rule
from sklearn.base import clone

from inforeg_sk import (
    BalancingMethod,
    InfoReg,
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    PrimeWindow,
)
from inforeg_sk.model_selection import BatchedGridSearchCV

SETTINGS = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 6,
    "random_state": 0,
    "dtype": "float64",
}


class Doubling(BalancingMethod):
    """Doubles the gradients of encoders, and notes when it was called."""

    def loss_weights(self, batch):
        return {"joint": 3.0}

    def on_batch_start(self, inputs, epoch):
        epoch.training.calls = [*getattr(epoch.training, "calls", ()), epoch.index]
        return inputs

    def on_gradients(self, batch):
        batch.record("called", 1.0)
        for parameters in batch.epoch.parameters.values():
            for p in parameters.regulated:
                p.grad.mul_(2)


class EachModality(Doubling):
    per_modality = True

    def on_gradients(self, batch):
        for m, parameters in batch.epoch.parameters.items():
            if batch.epoch.active[m]:
                for p in parameters.regulated:
                    p.grad.zero_()


def weights(clf):
    return {n: p.detach().clone() for n, p in clf.module_.named_parameters()}


def assert_equal(first, second):
    a, b = weights(first), weights(second)
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_outside_the_given_epochs_training_is_joint(trimodal):
    X, y = trimodal
    never = MultimodalClassifier(Doubling(), active={99}, **SETTINGS).fit(X, y)
    assert_equal(never, MultimodalClassifier("joint", **SETTINGS).fit(X, y))
    assert "called" not in never.curves_


def test_all_epochs_are_as_without_a_limit(trimodal):
    X, y = trimodal
    always = MultimodalClassifier(Doubling(), active=range(6), **SETTINGS).fit(X, y)
    assert_equal(always, MultimodalClassifier(Doubling(), **SETTINGS).fit(X, y))


def test_a_method_acts_in_the_given_epochs_only(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Doubling(), active=range(2, 4), **SETTINGS).fit(X, y)
    called = ~np.isnan(clf.curves_["called"])
    assert called.tolist() == [False, False, True, True, False, False]
    for flags in clf.curves_["active"].values():
        assert flags.tolist() == called.tolist()


def test_epochs_are_counted_over_several_calls(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Doubling(), active={3, 4}, **SETTINGS)
    for _ in range(6):
        clf.partial_fit(X, y)
    whole = MultimodalClassifier(Doubling(), active={3, 4}, **SETTINGS).fit(X, y)
    assert_equal(clf, whole)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("smoothing", [1, 3])
def test_the_window_is_that_of_the_rule(trimodal, inside, smoothing):
    X, y = trimodal
    window = PrimeWindow(-0.05, smoothing, "none", first_epoch="closed", inside=inside)
    clf = MultimodalClassifier(EachModality(), active=window, **SETTINGS).fit(X, y)
    for m, traces in clf.curves_["fisher_trace"].items():
        _, is_open = window_by_rule(traces.tolist(), -0.05, smoothing, "none", "closed")
        assert [opened is inside for opened in is_open[:6]] == clf.curves_["active"][m].tolist()
    flags = np.array(list(clf.curves_["active"].values()))
    assert flags.any() and not flags.all()


def test_inside_and_outside_are_complements_while_the_weights_agree(trimodal):
    X, y = trimodal

    class Idle(BalancingMethod):
        pass

    inside, outside = (
        MultimodalClassifier(Idle(), active=active, **SETTINGS).fit(X, y).curves_["active"]
        for active in ("window", "outside")
    )
    for m, flags in inside.items():
        np.testing.assert_array_equal(flags, ~outside[m])


def test_a_method_that_acts_on_all_acts_while_any_window_is_open(trimodal):
    X, y = trimodal
    window = PrimeWindow(-0.05, 1)
    clf = MultimodalClassifier(Doubling(), active=window, **SETTINGS).fit(X, y)
    any_open = np.array(list(clf.curves_["active"].values())).any(axis=0)
    np.testing.assert_array_equal(~np.isnan(clf.curves_["called"]), any_open)
    assert any_open.any() and not any_open.all()


def test_inforeg_within_its_own_window_is_inforeg(trimodal):
    X, y = trimodal
    own = MultimodalInfoRegClassifier(window_threshold=0.1, window_smoothing=2, **SETTINGS)
    given = clone(own).set_params(active=PrimeWindow(0.1, 2))
    assert_equal(own.fit(X, y), given.fit(X, y))


def test_inforeg_outside_the_window_pulls_where_it_is_closed(trimodal):
    X, y = trimodal
    clf = MultimodalInfoRegClassifier(active=PrimeWindow(0.1, 1, inside=False), **SETTINGS)
    clf.fit(X, y)
    for m, pulled in clf.coefficient_.items():
        assert not pulled[~clf.curves_["active"][m]].any()
    assert any(c.any() for c in clf.coefficient_.values())


def test_inforeg_keeps_its_unimodal_losses_where_it_may_not_pull(trimodal):
    X, y = trimodal
    never = MultimodalInfoRegClassifier(active={99}, **SETTINGS).fit(X, y)
    assert_equal(never, MultimodalInfoRegClassifier(alpha=0.0, **SETTINGS).fit(X, y))


def test_exact_traces_are_of_the_loss_of_the_epoch(trimodal):
    X, y = trimodal
    never = MultimodalClassifier(Doubling(), active={99}, fisher="sample", **SETTINGS).fit(X, y)
    joint = MultimodalClassifier("joint", fisher="sample", **SETTINGS).fit(X, y)
    for m, trace in joint.curves_["fisher_trace"].items():
        np.testing.assert_array_equal(never.curves_["fisher_trace"][m], trace)


def test_a_regressor_has_it_too(trimodal):
    X, _ = trimodal
    target = X["text"][:, 0]
    clf = MultimodalInfoRegRegressor(active=range(1), **SETTINGS).fit(X, target)
    assert not any(c[1:].any() for c in clf.coefficient_.values())


def test_a_search_over_active_finds_what_single_fits_give(trimodal):
    X, y = trimodal
    grid = [None, "window", "outside", range(2)]
    base = MultimodalClassifier(InfoReg(), **{**SETTINGS, "max_epochs": 2})
    search = BatchedGridSearchCV(base, {"active": grid}, cv=2).fit(ModalityDict(X), y)
    assert search.cv_results_["param_active"].tolist() == grid


@pytest.mark.parametrize(
    ("active", "message"),
    [
        ("inside", "'active' parameter of MultimodalClassifier must be"),
        ((0, 50), "'active' parameter of MultimodalClassifier must be"),
        ([0, 1], "'active' parameter of MultimodalClassifier must be"),
        (range(0), "must hold at least one epoch"),
        ({-1}, "must hold at least one epoch"),
        ({"a"}, "must hold at least one epoch"),
        (PrimeWindow(smoothing=0), "'smoothing' parameter of PrimeWindow"),
        (PrimeWindow(leader="txt"), "'txt'.*text"),
    ],
)
def test_what_is_no_window_and_no_epochs_is_refused(trimodal, active, message):
    X, y = trimodal
    with pytest.raises((TypeError, ValueError), match=message):
        MultimodalClassifier(active=active, **SETTINGS).fit(X, y)


def test_a_window_needs_traces(trimodal):
    X, y = trimodal
    with pytest.raises(ValueError, match=r"'active' parameter .* needs the Fisher traces"):
        MultimodalClassifier(active="window", fisher=None, **SETTINGS).fit(X, y)
    MultimodalClassifier(active=range(2), fisher=None, **SETTINGS).fit(X, y)
