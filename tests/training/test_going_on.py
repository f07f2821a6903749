"""Training that goes on: partial fits, warm starts, saving in mid-training."""

import pickle

import pytest
from skorch.callbacks import Callback
from training_runs import equal, make, weights


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
