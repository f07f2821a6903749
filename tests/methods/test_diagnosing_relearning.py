"""D&R: when it diagnoses, how far encoders go back, and that nothing else changes."""

from math import tanh

import numpy as np
import pytest
import torch
from sklearn.metrics.cluster import contingency_matrix
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from inforeg_sk import DiagnosingRelearning, MultimodalClassifier, MultimodalRegressor, presets
from inforeg_sk.testing import method_checks

SETTINGS = {
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 4,
    "random_state": 0,
    "dtype": "float64",
    "train_split": ValidSplit(3),
}

METHOD = DiagnosingRelearning(every=1)
CHECKS = [pytest.param(check, id=name) for name, check in method_checks(METHOD)]


@pytest.mark.filterwarnings("ignore:DiagnosingRelearning cannot diagnose")
@pytest.mark.parametrize("check", CHECKS)
def test_passes_check_method(check):
    check()


class Watch(Callback):
    """Keeps the state at the end of each epoch, and before the first step of the next."""

    def on_train_begin(self, net, **kwargs):
        self.start, self.ends, self.starts = state_of(net), [], []

    def on_epoch_begin(self, net, **kwargs):
        self.starts.append(state_of(net))  # the method has acted by now

    def on_epoch_end(self, net, **kwargs):
        self.ends.append(state_of(net))


def state_of(net):
    weights = {n: t.detach().clone() for n, t in net.module_.state_dict().items()}
    optimizer = net.optimizer_.state_dict()["state"]
    for i, entry in optimizer.items():
        for name, value in entry.items():
            if value is not None:
                weights[f"optimizer.{i}.{name}"] = torch.as_tensor(value).clone()
    return weights


def fit(method, X, y, **settings):
    watch = Watch()
    settings = {**SETTINGS, "callbacks": [("watch", watch)], **settings}
    return MultimodalClassifier(method, **settings).fit(X, y), watch


def test_encoders_go_back_by_their_share_and_nothing_else_changes(trimodal):
    X, y = trimodal
    clf, watch = fit(DiagnosingRelearning(every=2), X, y)
    shares = clf.curves_["relearning_share"]
    for epoch in (1, 2, 3):
        before, after = watch.ends[epoch - 1], watch.starts[epoch]
        assert set(after) == set(before)
        for name, value in after.items():
            if not name.startswith("encoder_"):
                assert torch.equal(value, before[name]), name
                continue
            share = shares[name.removeprefix("encoder_").split(".")[0]][epoch]
            expected = share * watch.start[name] + (1 - share) * before[name]
            torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-14)
    rows = np.stack(list(shares.values()), axis=1)
    assert (rows[2] > 0).any() and not rows[[0, 1, 3]].any()
    assert any(name.startswith("optimizer") for name in watch.starts[2])


@pytest.mark.filterwarnings("ignore:.*no better than guessing")
def test_shares_follow_from_the_purity_of_clusters_on_both_parts():
    """Clusters so far apart that each start of k-means finds them, with labels that differ."""
    rng = np.random.default_rng(0)
    code = rng.permutation(np.repeat(np.arange(3), 30))
    y = np.array(["x", "y", "z"])[code]
    cluster = {
        m: np.where(rng.random(90) < noise, rng.integers(0, 3, 90), code)
        for m, noise in (("a", 0.0), ("b", 0.3), ("c", 0.9))
    }
    X = {m: 20.0 * np.eye(3)[k] + rng.normal(size=(90, 3)) for m, k in cluster.items()}
    settings = {"encoders": {m: torch.nn.Identity() for m in X}, "max_epochs": 3}
    clf, _ = fit(DiagnosingRelearning(every=2, strength=2.0), X, y, **settings)
    parts = dict(zip(("training", "held_out"), ValidSplit(3)(list(range(90)), y), strict=True))
    for m, k in cluster.items():
        purity = {}
        for part, subset in parts.items():
            rows = np.array(subset.indices)
            table = contingency_matrix(y[rows], k[rows])
            purity[part] = table.max(axis=0).sum() / len(rows)
            assert clf.curves_[f"purity_{part}"][m][2] == pytest.approx(purity[part])
        share = tanh(2.0 * abs(purity["training"] - purity["held_out"]))
        assert clf.curves_["relearning_share"][m][2] == pytest.approx(share, abs=1e-12)
    assert clf.curves_["purity_training"]["a"][2] == 1
    assert clf.curves_["relearning_share"]["c"][2] > 0


@pytest.mark.filterwarnings("ignore:.*no better than guessing")
def test_features_are_scaled_before_they_are_clustered():
    """A feature of large values that tells nothing does not hide a small one that tells all."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = {"a": np.stack([y, 1e3 * rng.random(60)], axis=1) + 0.0}
    X["a"][:, 1] *= rng.random(60) < 0.9
    clf, _ = fit(
        DiagnosingRelearning(every=1),
        X,
        y,
        lr=0.0,
        max_epochs=2,
        standardize=False,
        encoders={"a": torch.nn.Identity()},
    )
    assert clf.curves_["purity_training"]["a"][1] == clf.curves_["purity_held_out"]["a"][1] == 1


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"every": 2}, [2, 4, 6]),
        ({"every": 2, "times": 1}, [2]),
        ({"every": 1, "times": 3}, [1, 2, 3]),
        ({"every": 7}, []),  # none after the last epoch: no training would follow
        ({"every": 1, "times": 0}, []),
    ],
)
def test_diagnoses_come_every_so_often_and_so_many_times(trimodal, settings, epochs):
    X, y = trimodal
    clf, _ = fit(DiagnosingRelearning(**settings), X, y, max_epochs=7)
    known = np.isfinite(clf.curves_["purity_training"]["text"])
    assert known.nonzero()[0].tolist() == epochs
    assert clf.method_.n_diagnoses_ == len(epochs)


@pytest.mark.parametrize("settings", [{"times": 0}, {"strength": 0.0, "every": 1}])
def test_without_strength_it_is_joint_training_bit_for_bit(trimodal, settings):
    X, y = trimodal
    off, _ = fit(DiagnosingRelearning(**settings), X, y)
    joint, _ = fit("joint", X, y)
    other = joint.module_.state_dict()
    assert all(torch.equal(t, other[n]) for n, t in off.module_.state_dict().items())


def test_initial_weights_are_those_of_the_first_call(trimodal):
    X, y = trimodal
    clf, watch = fit(DiagnosingRelearning(every=2), X, y)
    start = watch.start
    clf.partial_fit(X, y)  # notes a start of its own
    for m, weights in clf.method_.initial_weights_.items():
        for name, value in weights.items():
            assert torch.equal(value, start[f"encoder_{m}.{name}"])


def test_weights_that_two_encoders_share_stay(trimodal):
    X, y = trimodal
    X = {m: X[m][:, :3] for m in ("text", "video")}
    both = torch.nn.Linear(3, 8).double()
    encoders = {m: torch.nn.Sequential(both, torch.nn.Linear(8, 4).double()) for m in X}

    class Tie(DiagnosingRelearning):
        def prepare(self, network):
            network.encoder_video[0] = network.encoder_text[0]
            return network

    clf, watch = fit(Tie(every=1, strength=9.0), X, y, encoders=encoders)
    assert max(clf.curves_["relearning_share"]["text"]) > 0.1
    for epoch in (1, 2, 3):
        before, after = watch.ends[epoch - 1], watch.starts[epoch]
        assert torch.equal(after["encoder_text.0.weight"], before["encoder_text.0.weight"])


def test_acts_on_active_modalities_in_active_epochs_only(trimodal):
    X, y = trimodal
    method = DiagnosingRelearning(every=1, times=9)
    clf, _ = fit(method, X, y, active=range(2, 3), max_epochs=5)
    known = np.isfinite(clf.curves_["purity_training"]["text"])
    assert known.tolist() == [False, False, True, False, False]


def test_an_undefined_purity_warns_and_leaves_the_encoder(trimodal):
    X, y = trimodal
    valid = ValidSplit(3)(list(range(90)), y)[1].indices
    X["video"][valid[2:]] = np.nan  # two held-out samples for three classes
    with pytest.warns(UserWarning, match=r"cannot diagnose modality 'video': 2 samples"):
        clf, _ = fit(DiagnosingRelearning(every=1), X, y, missing="allow", max_epochs=2)
    assert clf.curves_["relearning_share"]["video"].tolist() == [0, 0]
    assert np.isnan(clf.curves_["purity_held_out"]["video"]).all()
    assert np.isfinite(clf.curves_["purity_held_out"]["text"][1])


def test_needs_held_out_samples_and_classes(trimodal):
    X, y = trimodal
    with pytest.raises(ValueError, match=r"DiagnosingRelearning.*train_split"):
        fit(DiagnosingRelearning(), X, y, train_split=None)
    with pytest.raises(ValueError, match=r"DiagnosingRelearning .*classification only"):
        MultimodalRegressor(DiagnosingRelearning(), **SETTINGS).fit(X, np.arange(90.0))


@pytest.mark.parametrize(("name", "value"), [("every", 0), ("times", -1), ("strength", -0.5)])
def test_refuses_settings_out_of_range_by_name(trimodal, name, value):
    X, y = trimodal
    with pytest.raises(ValueError, match=f"The '{name}' parameter of DiagnosingRelearning must be"):
        fit(DiagnosingRelearning(**{name: value}), X, y)


def test_it_is_a_method_by_name_and_its_preset_has_its_defaults(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier("dr", **presets.DIAGNOSING_RELEARNING, **SETTINGS).fit(X, y)
    assert clf.method_.get_params() == DiagnosingRelearning().get_params()
