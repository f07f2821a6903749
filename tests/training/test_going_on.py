"""Training that goes on: partial fits, warm starts, saving in mid-training."""

import pickle

import numpy as np
import pytest
import regression
import torch
from skorch.callbacks import Callback, Checkpoint, LoadInitState, TrainEndCheckpoint
from skorch.dataset import ValidSplit
from training_runs import equal, make, weights

from inforeg_sk import BalancingMethod, MultimodalClassifier


def test_partial_fit_is_one_epoch_and_continues_everything(trimodal):
    X, y = trimodal
    clf = make(window_smoothing=1)
    for epoch in range(1, 4):
        clf.partial_fit(X, y)
        assert len(clf.history) == epoch
    # Traces of earlier calls decide the window: ratios are as if in one go.
    trace = clf.curves_["fisher_trace"]["text"]
    assert clf.curves_["window_ratio"]["text"][2] == pytest.approx((trace[1] - trace[0]) / trace[1])


def test_warm_start_continues_the_same_run(trimodal):
    X, y = trimodal
    clf = make(warm_start=True, max_epochs=2).fit(X, y)
    optimizer, module = clf.optimizer_, clf.module_
    step = next(iter(optimizer.state.values()))["step"].item()
    clf.set_params(alpha=0.0).fit(X, y)
    assert clf.module_ is module and clf.optimizer_ is optimizer
    assert next(iter(optimizer.state.values()))["step"].item() == 2 * step
    assert len(clf.history) == 4
    # Method settings are read anew.
    assert (clf.curves_["coefficient"]["text"][2:] == 0).all()
    cold = make(max_epochs=2)
    assert len(cold.fit(X, y).fit(X, y).history) == 2


def test_partial_fit_with_classes_to_come(trimodal):
    X, y = trimodal
    first = y != "joy"
    part = {name: values[first] for name, values in X.items()}
    clf = make().partial_fit(part, y[first], classes=["joy", "fear", "anger"])
    assert clf.classes_.tolist() == ["anger", "fear", "joy"]
    clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="'joy', which is not among the classes"):
        make().partial_fit(part, y[first]).partial_fit(X, y)


def test_a_pickle_in_mid_training_goes_on_as_if_nothing_happened(trimodal):
    X, y = trimodal
    clf = make(encoders__dropout=0.3).partial_fit(X, y)
    twin = pickle.loads(pickle.dumps(clf))
    assert equal(weights(clf.partial_fit(X, y)), weights(twin.partial_fit(X, y)))
    assert twin.get_params()["device"] == "cpu"


def test_reference_weights_are_not_saved(trimodal):
    X, y = trimodal
    sizes = []

    class Save(Callback):
        def on_batch_end(self, net, **kwargs):
            sizes.append((bool(net.method_._reference), len(pickle.dumps(net.method_))))

    clf = make(callbacks=[Save()]).fit(X, y)
    assert any(held for held, _ in sizes)
    assert len(pickle.dumps(clf.method_)) == sizes[-1][1]
    assert not clf.method_._reference and clf._run.training is None


class Noisy(torch.nn.Module):
    """An encoder of the user's, whose dropout draws on torch's global generator."""

    def __init__(self, in_features):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.LazyLinear(8), torch.nn.Dropout(0.4), torch.nn.ReLU()
        )

    def forward(self, x):
        return self.layers(x)


class Draws(BalancingMethod):
    """A method that draws, and keeps a state."""

    def on_train_start(self, training):
        self.kept_ = getattr(self, "kept_", torch.zeros(2))

    def on_batch_start(self, inputs, epoch):
        return inputs.drop({"text": 0.3}, epoch.training.generator)

    def on_step(self, batch):
        self.kept_ = self.kept_ + torch.rand(2, generator=batch.generator)
        for parameter in self.decayed(batch):
            parameter.data.mul_(1 - 1e-3 * self.kept_[0] / (1 + self.kept_[0]))

    def decayed(self, batch):
        return batch.network.head.parameters()


NETS = {
    "inforeg": {},
    "dropout of all kinds": {"encoders__dropout": 0.3, "modality_dropout": 0.2},
    "lost gradients": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.05},
    "held out": {"train_split": ValidSplit(3), "encoders__dropout": 0.1},
    "user's modules": {"encoders": {"text": Noisy, "audio": "mlp", "video": "mlp"}},
    "padded window": {"window_threshold": 0.04, "window_smoothing": 2, "padding": "none"},
}


def in_one_go(X, y, **settings):
    return make(**settings, max_epochs=6).fit(X, y)


def by_warm_start(X, y, folder, **settings):
    return make(**settings, max_epochs=3, warm_start=True).fit(X, y).fit(X, y)


def by_partial_fit_after_pickle(X, y, folder, **settings):
    clf = make(**settings, max_epochs=3).fit(X, y)
    for _ in range(3):
        clf = pickle.loads(pickle.dumps(clf)).partial_fit(X, y)
    return clf


def by_checkpoint(X, y, folder, **settings):
    make(**settings, max_epochs=3, callbacks=[checkpoint(folder)]).fit(X, y)
    return make(**settings, max_epochs=3, callbacks=[LoadInitState(checkpoint(folder))]).fit(X, y)


def by_last_checkpoint(X, y, folder, **settings):
    """The same callbacks in both runs, as in skorch's documentation."""
    for _ in range(2):
        save = TrainEndCheckpoint(dirname=folder)
        clf = make(**settings, max_epochs=3, callbacks=[save, LoadInitState(save)]).fit(X, y)
    return clf


def by_pickle_of_a_checkpoint(X, y, folder, **settings):
    save = Checkpoint(dirname=folder, monitor=None, f_pickle="whole.pkl", f_params=None)
    make(**settings, max_epochs=3, callbacks=[save]).fit(X, y)
    clf = pickle.loads((folder / "whole.pkl").read_bytes())
    return clf.set_params(warm_start=True, callbacks=None).fit(X, y)


def checkpoint(folder):
    return Checkpoint(dirname=folder, monitor=None)


WAYS = [
    by_warm_start,
    by_partial_fit_after_pickle,
    by_checkpoint,
    by_last_checkpoint,
    by_pickle_of_a_checkpoint,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("net", NETS)
def test_three_epochs_and_three_are_six(trimodal, tmp_path, net, way):
    X, y = trimodal
    before = torch.get_rng_state()
    whole, parts = in_one_go(X, y, **NETS[net]), way(X, y, tmp_path, **NETS[net])
    assert equal(weights(whole), weights(parts))
    assert len(parts.history) == 6
    for key in ("train_loss", "train_objective", *(["valid_loss"] if net == "held out" else [])):
        assert whole.history[:, key] == parts.history[:, key]
    for quantity, curves in whole.curves_.items():
        assert list(parts.curves_[quantity]) == list(curves)
        for name, values in curves.items():
            np.testing.assert_array_equal(parts.curves_[quantity][name], values)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("way", WAYS[:4], ids=lambda way: way.__name__)
def test_a_regressor_goes_on_exactly(tmp_path, way, monkeypatch):
    X, y = regression.make_data()

    def make_regressor(**kwargs):
        return regression.make(encoders__dropout=0.2, **kwargs)

    monkeypatch.setitem(globals(), "make", make_regressor)
    assert regression.bits(in_one_go(X, y)) == regression.bits(way(X, y, tmp_path))


def test_a_method_that_draws_and_keeps_goes_on_exactly(trimodal, tmp_path):
    X, y = trimodal
    whole = MultimodalClassifier(Draws(), max_epochs=6, random_state=0, device="cpu").fit(X, y)
    first = MultimodalClassifier(
        Draws(), max_epochs=3, random_state=0, device="cpu", callbacks=[checkpoint(tmp_path)]
    ).fit(X, y)
    assert torch.equal(first.method_.kept_, pickle.loads(pickle.dumps(first)).method_.kept_)
    second = MultimodalClassifier(
        Draws(),
        max_epochs=3,
        random_state=7,  # what was saved counts
        device="cpu",
        callbacks=[LoadInitState(checkpoint(tmp_path))],
    ).fit(X, y)
    assert equal(weights(whole), weights(second))
    assert torch.equal(whole.method_.kept_, second.method_.kept_)


def test_the_state_of_another_run_is_refused(trimodal, tmp_path):
    X, y = trimodal
    make(callbacks=[checkpoint(tmp_path)], max_epochs=1).fit(X, y)
    load = {"callbacks": [LoadInitState(checkpoint(tmp_path))], "max_epochs": 1}
    with pytest.raises(ValueError, match=r"classes .*'joy'.* y has .*'zzz'"):
        make(**load).fit(X, np.where(y == "joy", "zzz", y))
    with pytest.raises(ValueError, match="InfoReg"):
        MultimodalClassifier(Draws(), device="cpu", **load).fit(X, y)
    del X["video"]
    with pytest.raises(ValueError, match=r"shapes .*'video'"):
        make(**load).fit(X, y)
