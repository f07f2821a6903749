"""What a method keeps lives on; state of another class is refused by name."""

import copy
import pickle

import numpy as np
import pytest
import torch

from inforeg_sk import BalancingMethod, InfoReg, Joint, MultimodalClassifier

SETTINGS = {"batch_size": 30, "max_epochs": 2, "random_state": 0}


class Counting(BalancingMethod):
    """Keeps a count, a tensor and a nested dict from epoch to epoch."""

    def __init__(self, step=1):
        self.step = step

    def on_train_start(self, training):
        self.transient = torch.zeros(10_000)
        if not hasattr(self, "count_"):
            self.count_, self.mean_ = 0, {"z": torch.zeros(3)}

    def on_epoch_start(self, epoch):
        self.count_ += self.step
        epoch.record("count", self.count_)
        self.mean_["z"] += torch.rand(3, generator=epoch.training.generator)
        epoch.record("mean", self.mean_["z"])


def curves(clf):
    found = clf.curves_
    return [found["count"].tolist(), *(found["mean"][m].tolist() for m in clf.modalities_)]


@pytest.mark.parametrize("how", ["partial_fit", "warm_start", "pickle", "deepcopy"])
def test_state_and_generator_live_on(trimodal, how):
    X, y = trimodal
    whole = MultimodalClassifier(Counting(), **{**SETTINGS, "max_epochs": 4}).fit(X, y)
    clf = MultimodalClassifier(Counting(), **SETTINGS)
    if how == "partial_fit":
        for _ in range(4):
            clf.partial_fit(X, y)
    else:
        clf.set_params(warm_start=True).fit(X, y)
        if how != "warm_start":
            clf = pickle.loads(pickle.dumps(clf)) if how == "pickle" else copy.deepcopy(clf)
        clf.fit(X, y)
    assert curves(clf) == curves(whole)
    assert clf.curves_["count"].tolist() == [1, 2, 3, 4]


def test_a_new_fit_starts_anew(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Counting(), **SETTINGS).fit(X, y)
    first = curves(clf)
    assert curves(clf.fit(X, y)) == first


def test_settings_are_read_anew_while_the_state_lives_on(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Counting(), **SETTINGS).partial_fit(X, y)
    clf.set_params(method__step=10).partial_fit(X, y)
    assert clf.curves_["count"].tolist() == [1, 11]


def test_a_pickle_holds_settings_and_state_only(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(Counting(step=3), **SETTINGS).fit(X, y)
    assert clf.method_.transient.shape == (10_000,)
    saved = pickle.dumps(clf.method_)
    assert len(saved) < 5_000
    twin = pickle.loads(saved)
    assert set(vars(twin)) == {"step", "count_", "mean_"} and twin.count_ == clf.method_.count_


@pytest.mark.parametrize("later", [InfoReg(), Joint()])
def test_state_of_another_class_is_refused_by_name(trimodal, later):
    X, y = trimodal
    clf = MultimodalClassifier(Counting(), **SETTINGS).partial_fit(X, y)
    before = clf.predict_proba(X)
    name = type(later).__name__
    with pytest.raises(ValueError, match=rf"{name} cannot go on from the state of .*Counting"):
        clf.set_params(method=later).partial_fit(X, y)
    assert np.array_equal(clf.predict_proba(X), before) and len(clf.history) == 1
    # The method of before still goes on, and a new fit takes any.
    clf.set_params(method=Counting()).partial_fit(X, y)
    assert clf.curves_["count"].tolist() == [1, 2]
    clf.set_params(method=later).fit(X, y)


def test_a_method_without_state_may_be_followed_by_another(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier("joint", **SETTINGS).partial_fit(X, y)
    clf.set_params(method="inforeg", method__window_smoothing=1).partial_fit(X, y).partial_fit(X, y)
    # Traces of the joint epoch decide the window, as they do in one run.
    ratio, trace = clf.curves_["window_ratio"]["text"], clf.curves_["fisher_trace"]["text"]
    assert ratio[2] == pytest.approx((trace[1] - trace[0]) / trace[1])
    assert np.isnan(ratio[0])  # not recorded


def test_traces_that_were_not_tracked_leave_the_window_closed(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier("joint", fisher=None, **SETTINGS).partial_fit(X, y)
    clf.set_params(method="inforeg", method__window_smoothing=1, fisher="batch")
    for _ in range(3):
        clf.partial_fit(X, y)
    ratio = clf.curves_["window_ratio"]["text"]
    assert np.isnan(ratio[:3]).all() and np.isfinite(ratio[3])
    assert not clf.curves_["window"]["text"][1:3].any()


def test_a_refused_fit_leaves_state_and_generator_as_they_were(trimodal):
    X, y = trimodal

    class Refusing(Counting):
        def __init__(self, step=1, refuse=False):
            super().__init__(step)
            self.refuse = refuse

        def on_train_start(self, training):
            super().on_train_start(training)
            self.count_ += 100
            torch.rand(3, generator=training.generator)
            if self.refuse:
                raise RuntimeError("no")
            self.count_ -= 100

    twins = [MultimodalClassifier(Refusing(), **SETTINGS).partial_fit(X, y) for _ in range(2)]
    with pytest.raises(RuntimeError):
        twins[0].set_params(method__refuse=True).partial_fit(X, y)
    twins[0].set_params(method__refuse=False)
    assert twins[0].method_.count_ == 1
    first, second = (clf.partial_fit(X, y) for clf in twins)
    assert curves(first) == curves(second)


def test_load_state_dict_copies_and_refuses_what_is_no_state():
    method = Counting()
    state = {**method.state_dict(), "mean_": torch.zeros(2)}
    method.load_state_dict(state)
    method.mean_ += 1
    assert state["mean_"].tolist() == [0, 0]
    with pytest.raises(
        ValueError, match="has the name 'mean': names of state end with an underscore"
    ):
        method.load_state_dict({**Counting().state_dict(), "mean": 1})
    with pytest.raises(ValueError, match="cannot go on from the state of None"):
        method.load_state_dict({})
