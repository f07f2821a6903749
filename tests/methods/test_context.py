"""What a method sees: coalitions, gradients, passes over the data, trial trainings of a copy."""

import copy

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch import nn

from inforeg_sk import BalancingMethod, MultimodalClassifier

SETTINGS = {"batch_size": 30, "max_epochs": 1, "random_state": 0, "dtype": "float64"}
NAMES = ("audio", "text", "video")


def seen_in(hook, look, trimodal, **settings):
    """What ``look(argument of the hook)`` returned in the first call of a hook of a fit."""
    seen = []

    def call(self, *args):
        if not seen:
            seen.append(look(*args))
        return getattr(super(Looking, self), hook)(*args)

    Looking = type("Looking", (BalancingMethod,), {hook: call})
    X, y = trimodal
    return seen, MultimodalClassifier(Looking(), **{**SETTINGS, **settings}).fit(X, y)


def test_coalition_logits_by_features_and_by_inputs(trimodal):
    def look(batch):
        found = {"joint": batch.logits.detach()}
        found["all"] = batch.coalition_logits(NAMES).detach()
        found["features"] = batch.coalition_logits(["text"]).detach()
        found["inputs"] = batch.coalition_logits(["text"], zero="inputs").detach()
        network = copy.deepcopy(batch.network)
        # Standardized inputs are zero at their mean.
        means = {m: scaler.mean for m, scaler in network.scalers.items()}
        zeroed = {
            m: x if m == "text" else torch.zeros_like(x) + means.get(m, 0)
            for m, x in batch.inputs.items()
        }
        features = network.encode(zeroed)
        found["by hand"] = network.head(network.fusion(features)).detach()
        only = {m: z if m == "text" else torch.zeros_like(z) for m, z in batch.features.items()}
        found["zeroed"] = network.head(network.fusion(only)).detach()
        gradient = torch.autograd.grad(
            batch.coalition_logits(["text"], zero="inputs").sum(),
            list(batch.network.encoders["text"].parameters()),
            retain_graph=True,
        )
        found["gradient"] = sum(g.abs().sum() for g in gradient)
        return found

    (found,), _ = seen_in("loss", look, trimodal)
    close = dict(rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found["all"], found["joint"], **close)
    torch.testing.assert_close(found["features"], found["zeroed"], **close)
    torch.testing.assert_close(found["inputs"], found["by hand"], **close)
    assert not torch.allclose(found["inputs"], found["features"])  # encoders of zeros are not zero
    assert found["gradient"] > 0


@pytest.mark.parametrize(
    "coalition, zero, match",
    [(["txt"], "features", "unknown 'txt'"), (["text"], "weights", "'features' or 'inputs'")],
)
def test_coalition_logits_refuse_what_they_do_not_know(trimodal, coalition, zero, match):
    with pytest.raises(ValueError, match=match):
        seen_in("loss", lambda b: b.coalition_logits(coalition, zero=zero), trimodal)


def test_gradients_of_several_losses_add_up(trimodal):
    def look(batch):
        parameters = list(batch.network.encoders["text"].parameters())
        joint = batch.gradients(batch.joint_loss, parameters)
        alone = batch.gradients(batch.unimodal_losses["text"], parameters)
        other = batch.gradients(batch.unimodal_losses["audio"], parameters)
        whole = batch.gradients(batch.weighted_loss({"joint": 2.0, "text": 0.5}), parameters)
        return joint, alone, other, whole

    ((joint, alone, other, whole),), _ = seen_in("loss", look, trimodal)
    assert other == [None] * len(joint)
    for a, u, s in zip(joint, alone, whole, strict=True):
        torch.testing.assert_close(2 * a + 0.5 * u, s, rtol=1e-12, atol=1e-15)


def test_weighted_losses_by_hand(trimodal):
    def look(batch):
        losses = {m: loss.detach() for m, loss in batch.unimodal_losses.items()}
        weights = {"joint": 0.5, "audio": 1.0, "text": 0.0, "video": 3.0}
        by_hand = 0.5 * batch.joint_loss + losses["audio"] + 3 * losses["video"]
        return batch.weighted_loss(weights).item(), by_hand.item()

    (found,), _ = seen_in("on_gradients", look, trimodal)
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("weights, match", [({"txt": 1.0}, "'txt' must be"), ({}, "at least one")])
def test_loss_weights_that_make_no_loss_are_refused(trimodal, weights, match):
    class Weighted(BalancingMethod):
        def loss_weights(self, batch):
            return weights

    X, y = trimodal
    with pytest.raises(ValueError, match=match):
        MultimodalClassifier(Weighted(), **SETTINGS).fit(X, y)


def test_a_subclass_that_overrides_the_loss_is_not_asked_for_weights(trimodal):
    """The weights of a base class must not train another loss than the subclass's."""
    X, y = trimodal

    class Doubled(BalancingMethod):
        def loss(self, batch):
            return 2 * super().loss(batch)

    kwargs = {**SETTINGS, "optimizer": torch.optim.SGD, "optimizer__weight_decay": 0.0}
    doubled = MultimodalClassifier(Doubled(), lr=0.01, **kwargs).fit(X, y)
    plain = MultimodalClassifier("joint", lr=0.02, **kwargs).fit(X, y)
    for a, b in zip(doubled.module_.parameters(), plain.module_.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)


def test_passes_over_training_and_held_out_data(trimodal):
    X, y = trimodal

    def look(training):
        held = sum(batch.n_samples for batch in training.batches("held_out"))
        orders = [
            torch.cat([b.features["text"] for b in training.batches(shuffle=s)]).sort(0).values
            for s in (False, True)
        ]
        assert not next(iter(training.batches())).logits.requires_grad
        first = list(training.batches(n_batches=1))
        targets = [b.target for b in training.batches()]
        return held, orders, len(first), torch.cat(targets)

    (found,), clf = seen_in("on_train_start", look, trimodal, train_split=ValidSplit(3))
    held, orders, n_first, targets = found
    assert held == 30 and n_first == 1 and len(targets) == 60
    torch.testing.assert_close(*orders)
    rows = np.arange(30, 90)  # the first third is held out
    assert targets.tolist() == np.searchsorted(clf.classes_, y)[rows].tolist()


def test_held_out_data_are_asked_for(trimodal):
    X, y = trimodal

    class Needs(BalancingMethod):
        requires = ("held_out",)

    with pytest.raises(ValueError, match=r"Needs needs held-out samples: train_split=.*None"):
        MultimodalClassifier(Needs(), **SETTINGS).fit(X, y)
    with pytest.raises(ValueError, match="There are no held-out samples"):
        seen_in("on_train_start", lambda t: list(t.batches("held_out")), trimodal)


def test_mean_loss_is_the_mean_over_samples_with_their_weights(trimodal):
    X, y = trimodal
    weight = np.random.default_rng(0).uniform(0, 2, len(y))

    def look(training):
        losses = [b.loss_of(b.logits).item() for b in training.batches()]
        each = [
            nn.functional.cross_entropy(b.logits, b.target, reduction="none")
            for b in training.batches()
        ]
        return training.mean_loss(lambda b: b.joint_loss), losses, torch.cat(each)

    class Looking(BalancingMethod):
        def on_train_start(self, training):
            self.seen_ = look(training)

    clf = MultimodalClassifier(Looking(), **{**SETTINGS, "batch_size": 40})
    mean, losses, each = clf.fit(X, y, sample_weight=weight).method_.seen_
    assert len(losses) == 3
    assert mean == pytest.approx(np.average(each.numpy(), weights=weight), rel=1e-12)


class Norm(nn.Sequential):
    """Running statistics, and dropout that draws on torch's global generator."""

    def __init__(self, input_shape):
        super().__init__(nn.Flatten(), nn.LazyLinear(4), nn.BatchNorm1d(4), nn.Dropout(0.3))


class Trial(BalancingMethod):
    """Trains copies on the side in each epoch."""

    def __init__(self, trial=True):
        self.trial = trial

    def on_epoch_start(self, epoch):
        if not self.trial:
            return
        training = epoch.training
        before = training.mean_loss(lambda b: b.joint_loss)
        network = training.train_copy(lambda b: b.joint_loss, 3)
        epoch.record("gain", before - training.mean_loss(lambda b: b.joint_loss, network=network))
        assert network is not training.network
        assert training.mean_loss(lambda b: b.joint_loss) == before


@pytest.mark.parametrize("encoders", ["auto", Norm])
def test_a_trial_training_leaves_the_run_as_it_was(trimodal, encoders):
    X, y = trimodal
    settings = {
        **SETTINGS,
        "max_epochs": 3,
        "encoders": encoders,
        "modality_dropout": 0.2,
        "lr": 0.01,
        **({"encoders__dropout": 0.2} if encoders == "auto" else {}),
    }
    tried, plain = (
        MultimodalClassifier(Trial(trial), **settings).fit(X, y) for trial in (True, False)
    )
    assert (tried.curves_["gain"] > 0).all()
    state, expected = tried.module_.state_dict(), plain.module_.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    assert tried.history[:, "train_objective"] == plain.history[:, "train_objective"]


def test_presence_may_be_changed_before_the_forward_pass(trimodal):
    X, y = trimodal

    class Dropping(BalancingMethod):
        def on_batch_start(self, inputs, epoch):
            return inputs.keep({"text": torch.arange(inputs.n_samples) % 2 == 0})

        def on_gradients(self, batch):
            batch.record("present", batch.present.double().mean(dim=0))

    curves = MultimodalClassifier(Dropping(), **SETTINGS).fit(X, y).curves_["present"]
    assert {m: v.tolist() for m, v in curves.items()} == {"audio": [1], "text": [0.5], "video": [1]}


def test_epochs_are_counted_over_all_calls(trimodal):
    X, y = trimodal

    class Counting(BalancingMethod):
        def on_epoch_start(self, epoch):
            epoch.record("index", epoch.index)
            epoch.record("first", epoch.training.first_epoch)
            epoch.record("last", epoch.training.last_epoch)

    clf = MultimodalClassifier(Counting(), **{**SETTINGS, "max_epochs": 2, "warm_start": True})
    curves = clf.fit(X, y).fit(X, y).curves_
    assert curves["index"].tolist() == [0, 1, 2, 3]
    assert curves["first"].tolist() == [0, 0, 2, 2] and curves["last"].tolist() == [1, 1, 3, 3]
