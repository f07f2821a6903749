"""A method of the user's own: every hook, in the documented order, and nothing else to change."""

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import BalancingMethod, MultimodalClassifier
from inforeg_sk.network import Concat


class Halving(BalancingMethod):
    """Halves the text encoder's gradient, with an extra head on it; logs what is called."""

    def __init__(self, weight=0.5):
        self.weight = weight

    def check(self, modalities):
        super().check(modalities)
        self.calls = [f"check {modalities}"]

    def prepare(self, network):
        self.calls.append("prepare")
        network.extra = nn.Linear(64, 3)
        return network

    def on_epoch_start(self, epoch):
        past = epoch.past("fisher_trace")
        self.calls.append(f"epoch {len(past)} of {epoch.n_batches} batches")
        epoch.record("strength", dict.fromkeys(epoch.parameters, self.weight))

    def on_train_start(self, training):
        self.calls.append(f"start {training.first_epoch} to {training.last_epoch}")

    def on_batch_start(self, inputs, epoch):
        self.calls.append("batch")
        return inputs

    def loss(self, batch):
        self.calls.append("loss")
        return batch.joint_loss + batch.loss_of(batch.network.extra(batch.features["text"]))

    def on_gradients(self, batch):
        self.calls.append("gradients")
        for p in batch.network.encoders["text"].parameters():
            p.grad.mul_(self.weight)
        batch.record("gap", batch.scores - batch.scores.mean())

    def on_step(self, batch):
        self.calls.append("step")

    def on_epoch_end(self, epoch):
        self.calls.append("end")

    def on_train_end(self):
        self.calls.append("released")


def test_hooks_run_in_order_and_reach_the_history(trimodal):
    X, y = trimodal
    method = Halving()
    kwargs = {"max_epochs": 2, "batch_size": 64, "random_state": 0, "optimizer": torch.optim.SGD}
    clf = MultimodalClassifier(method, **kwargs).fit(X, y)
    batch = ["batch", "loss", "gradients", "step"]
    assert clf.method_.calls == [
        "check ('audio', 'text', 'video')",
        "prepare",
        "start 0 to 1",
        "epoch 0 of 2 batches",
        *batch * 2,
        "end",
        "epoch 1 of 2 batches",
        *batch * 2,
        "end",
        "released",
    ]
    assert not hasattr(method, "calls")
    assert clf.history[0, "strength_text"] == 0.5
    gaps = [clf.history[1, f"gap_{name}"] for name in X]
    assert abs(sum(gaps)) < 1e-6 and any(gaps)
    # The extra head was trained, and the halved gradient made a difference.
    whole = MultimodalClassifier(Halving(1.0), **kwargs).fit(X, y)
    key = "encoder_text.0.weight"
    halved, full = (dict(c.module_.named_parameters())[key] for c in (clf, whole))
    assert not np.array_equal(halved.detach().numpy(), full.detach().numpy())
    assert clf.module_.extra.weight.grad is not None


class Modulation(BalancingMethod):
    """Damps the gradients of the encoders that lead, by the scores as they are."""

    def on_gradients(self, batch):
        factors = 1 - torch.tanh(torch.relu(batch.scores - batch.scores.mean()))
        for factor, encoder in zip(factors, batch.network.encoders.values(), strict=True):
            for p in encoder.parameters():
                if p.grad is not None:
                    p.grad.mul_(factor)


class Scored(BalancingMethod):
    """Notes which modalities have a score, batch by batch."""

    def on_epoch_start(self, epoch):
        self.scored = []

    def on_gradients(self, batch):
        self.scored.append(batch.scored.tolist())


BATCH = 15
IN_ORDER = {"batch_size": BATCH, "iterator_train__shuffle": False, "random_state": 0}


def rarely_there(X, name="audio"):
    """Four samples have the modality, three in the second batch of six and one in the fifth."""
    rows = [BATCH + 1, BATCH + 4, BATCH + 9, 4 * BATCH + 3]
    X[name][np.setdiff1d(np.arange(90), rows)] = np.nan
    return X, rows


def scores_by_batch(clf, X, y, weight):
    """Mean log-probability of each batch that has samples of some weight, by hand."""
    index, out = np.searchsorted(clf.classes_, y), {}
    for name, proba in clf.predict_proba_by_modality(X).items():
        score = np.log(proba[np.arange(len(y)), index])
        batches = np.split(np.arange(len(y)), range(BATCH, len(y), BATCH))
        counted = [rows[(weight[rows] > 0) & ~np.isnan(score[rows])] for rows in batches]
        out[name] = [np.average(score[r], weights=weight[r]) if len(r) else None for r in counted]
    return out


def gaps(X, y, weighted):
    """Batches without a modality, and, if weighted, two without any weight."""
    X, _ = rarely_there(X)
    weight = np.ones(len(y))
    if weighted:
        weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
        weight[2 * BATCH : 4 * BATCH] = 0
    return X, weight, {"sample_weight": weight} if weighted else {}


@pytest.mark.parametrize("weighted", [False, True])
def test_a_method_that_compares_scores_trains_though_batches_lack_a_modality(trimodal, weighted):
    X, y = trimodal
    X, _, given = gaps(X, y, weighted)
    clf = MultimodalClassifier(
        Modulation(), max_epochs=5, lr=0.01, missing="allow", dtype="float64", **IN_ORDER
    ).fit(X, y, **given)
    assert all(torch.isfinite(p).all() for p in clf.module_.parameters())
    assert np.isfinite(clf.predict_proba(X)).all()
    losses = clf.history[:, "train_objective"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    for name in X:
        assert np.isfinite(clf.curves_["performance_score"][name]).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_without_a_score_are_named_and_left_out(trimodal, weighted):
    X, y = trimodal
    X, weight, given = gaps(X, y, weighted)
    # With a learning rate of 0 the scores are those of the network as it stands.
    clf = MultimodalClassifier(
        Scored(), lr=0.0, max_epochs=1, missing="allow", dtype="float64", **IN_ORDER
    ).fit(X, y, **given)
    by_hand = scores_by_batch(clf, X, y, weight)
    for name, scores in by_hand.items():
        mean = np.mean([score for score in scores if score is not None])
        assert clf.curves_["performance_score"][name][0] == pytest.approx(mean, rel=1e-10)
    expected = [[by_hand[name][i] is not None for name in sorted(X)] for i in range(6)]
    assert clf.method_.scored == expected
    assert sum(row[0] for row in expected) == 2
    assert [row[1] for row in expected] == [True, True, *[not weighted] * 2, True, True]


class Deeper(BalancingMethod):
    """Replaces the linear head."""

    def prepare(self, network):
        network.head = nn.Sequential(nn.Linear(64, 8), nn.Dropout(0.1), nn.Linear(8, 3))
        return network


class Wider(BalancingMethod):
    """Replaces an encoder by one that gives another number of features."""

    def prepare(self, network):
        network.encoder_audio = nn.Sequential(nn.Flatten(), nn.Linear(20, 7), nn.ReLU())
        network.fusion = Concat({"audio": 7, "text": 64, "video": 64})
        network.head = nn.Linear(135, 3)
        return network


@pytest.mark.parametrize("method, fusion, width", [(Deeper, "sum", 64), (Wider, "concat", 7)])
def test_parts_of_the_network_that_prepare_replaces(trimodal, method, fusion, width):
    X, y = trimodal
    X, rows = rarely_there(X)
    clf = MultimodalClassifier(
        method, fusion=fusion, missing="allow", max_epochs=4, lr=0.01, **IN_ORDER
    ).fit(X, y)
    assert type(clf.head_) is (nn.Sequential if method is Deeper else nn.Linear)
    assert clf.transform_by_modality(X)["audio"].shape == (90, width)
    assert (clf.curves_["fisher_trace"]["audio"] > 0).all()
    losses = clf.history[:, "train_loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    proba, scores = clf.predict_proba(X), clf.score_by_modality(X, y)
    assert np.isfinite(proba).all() and set(scores) == set(X)
    # Nobody has it here, in any batch.
    rest = np.setdiff1d(np.arange(90), rows)
    without = {name: X[name][rest] for name in ("text", "video")}
    np.testing.assert_allclose(clf.predict_proba(without), proba[rest], atol=1e-6)
    # What is missing counts as features of zero, as many as the encoder gives.
    module = clf.module_.eval()
    batch = {n: torch.tensor(v, dtype=torch.float32) for n, v in without.items()}
    scaled = {name: module.scalers[name](x)[0] for name, x in batch.items()}
    features = {name: module.encoders[name](x) for name, x in scaled.items()}
    features = {"audio": torch.zeros(len(rest), width), **features}
    logits = module.head(module.fusion(features)).detach().double()
    np.testing.assert_allclose(proba[rest], logits.softmax(1), atol=1e-6)
