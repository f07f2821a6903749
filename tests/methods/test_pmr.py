"""PMR: prototypes by loops, its loss by hand, and what it does to which encoder."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax

from inforeg_sk import PMR, Joint, MultimodalClassifier, MultimodalRegressor, presets
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 3,
    "random_state": 0,
    "dtype": "float64",
}

METHOD = PMR(alpha=2.0, share=0.4, entropy_weight=0.5, entropy_epochs=2)
CHECKS = [pytest.param(check, id=name) for name, check in method_checks(METHOD)]


@pytest.mark.parametrize("check", CHECKS)
def test_passes_check_method(check):
    check()


class Autograd(Joint):
    """Joint training by the same steps as PMR's, without closed forms."""

    closed_form = False


class Spy(PMR):
    """Keeps what each batch gave, as arrays."""

    seen = ()

    def loss(self, batch):
        loss = super().loss(batch)
        row = {
            "features": {m: z.detach().numpy().copy() for m, z in batch.features.items()},
            "target": batch.target.numpy().copy(),
            "prototypes": {m: p.numpy().copy() for m, p in self.prototypes_.items()},
            "joint": batch.joint_loss.item(),
            "loss": loss.item(),
            "present": batch.present,
            "weight": batch.weight,
        }
        type(self).seen = [*self.seen, row]
        return loss


@pytest.fixture
def spy():
    class Own(Spy):
        seen = ()

    return Own


def weights(clf):
    return {n: p.detach().clone() for n, p in clf.module_.named_parameters()}


def assert_equal_weights(first, second):
    a, b = weights(first), weights(second)
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def class_means(clf, X, y):
    features = clf.transform_by_modality(X)
    return {
        m: np.array([z[y == k].mean(axis=0) for k in clf.classes_]) for m, z in features.items()
    }


def assert_prototypes(clf, expected):
    for name, prototypes in clf.method_.prototypes_.items():
        np.testing.assert_allclose(prototypes, expected[name], rtol=1e-10, atol=1e-12)


def loss_by_hand(row, alpha, hard=False, mu=0.0):
    """The loss of a batch of complete, unweighted samples, modality by modality."""
    rows = np.arange(len(row["target"]))
    pce, score, entropy = {}, {}, {}
    for m, z in row["features"].items():
        logits = -cdist(z, row["prototypes"][m])
        p = softmax(logits, axis=1)
        pce[m] = -log_softmax(logits, axis=1)[rows, row["target"]].mean()
        score[m] = p[rows, row["target"]].sum()
        entropy[m] = -(p * np.log(p)).sum(axis=1).mean()
    loss, best, worst = row["joint"], max(score.values()), min(score.values())
    for m, s in score.items():
        helping = float(s < best) if hard else min(max(best / s - 1, 0), 1)
        loss += alpha * helping * pce[m] - mu * min(max(s / worst - 1, 0), 1) * entropy[m]
    return loss


@pytest.mark.parametrize("settings", [{}, {"hard": True}, {"entropy_weight": 0.7}])
@pytest.mark.parametrize("names", [("text", "audio"), ("text", "audio", "video")])
def test_loss_by_hand(trimodal, spy, names, settings):
    X, y = trimodal
    X = {m: X[m] for m in names}
    MultimodalClassifier(spy(alpha=1.5, **settings), **SGD).fit(X, y)
    mu = settings.get("entropy_weight", 0.0)
    expected = [loss_by_hand(row, 1.5, settings.get("hard", False), mu) for row in spy.seen]
    np.testing.assert_allclose([row["loss"] for row in spy.seen], expected, rtol=1e-10)
    assert all(row["loss"] != row["joint"] for row in spy.seen)


def test_loss_is_the_joint_one_without_strength_bit_for_bit(trimodal):
    X, y = trimodal
    off = MultimodalClassifier(PMR(alpha=0.0), **SGD).fit(X, y)
    assert_equal_weights(off, MultimodalClassifier(Autograd(), **SGD).fit(X, y))


def test_the_draw_of_a_share_does_not_change_the_order_of_the_data(trimodal):
    X, y = trimodal
    off = MultimodalClassifier(PMR(alpha=0.0, share=0.3), **SGD).fit(X, y)
    assert_equal_weights(off, MultimodalClassifier(Autograd(), **SGD).fit(X, y))


def test_entropy_acts_in_its_epochs_only(trimodal):
    X, y = trimodal
    method = PMR(entropy_weight=0.5, entropy_epochs=2)
    curve = MultimodalClassifier(method, **SGD).fit(X, y).curves_["entropy_weight"]
    total = sum(curve.values())
    assert (total[:2] > 0).all() and total[2] == 0


def test_one_modality_trains_as_without_the_method(trimodal):
    X, y = trimodal
    alone = {"text": X["text"]}
    pmr = MultimodalClassifier(PMR(alpha=5.0, entropy_weight=1.0), **SGD).fit(alone, y)
    assert_equal_weights(pmr, MultimodalClassifier(Autograd(), **SGD).fit(alone, y))


def test_prototype_loss_reaches_the_weaker_encoder_only(trimodal):
    X, y = trimodal
    found = []

    class Probe(PMR):
        def loss(self, batch):
            total = super().loss(batch)
            change = total - batch.joint_loss  # the prototype term alone
            named = dict(batch.network.named_parameters())
            gradients = torch.autograd.grad(
                change, list(named.values()), retain_graph=True, allow_unused=True
            )
            reached = {
                name.split(".")[0]
                for name, g in zip(named, gradients, strict=True)
                if g is not None and g.norm() > 1e-10
            }
            # The joint loss is in both terms of the difference, so rounding is left of it.
            found.append(reached)
            return total

    two = {m: X[m] for m in ("text", "video")}
    clf = MultimodalClassifier(Probe(alpha=3.0), **SGD).fit(two, y)
    assert clf.curves_["prototype_score"]["text"][0] > clf.curves_["prototype_score"]["video"][0]
    assert all(reached == {"encoder_video"} for reached in found)


# Prototypes


def test_prototypes_without_momentum_are_class_means_of_the_training_data(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(PMR(momentum=0.0), **SGD).fit(X, y)
    assert_prototypes(clf, class_means(clf, X, y))


def test_prototypes_follow_with_momentum_from_the_second_epoch_on(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(PMR(momentum=0.3), **SGD)
    expected = None
    for _ in range(3):
        clf.partial_fit(X, y)
        fresh = class_means(clf, X, y)
        old = fresh if expected is None else expected
        expected = {m: 0.7 * fresh[m] + 0.3 * old[m] for m in fresh}
        assert_prototypes(clf, expected)


def test_prototypes_before_the_first_epoch_are_those_of_the_new_network(trimodal, spy):
    X, y = trimodal
    MultimodalClassifier(spy(), **SGD).fit(X, y)
    still = MultimodalClassifier(PMR(momentum=0.0), **{**SGD, "lr": 0.0}).fit(X, y)
    for name, prototypes in class_means(still, X, y).items():
        np.testing.assert_allclose(spy.seen[0]["prototypes"][name], prototypes, rtol=1e-10)


def test_a_share_of_the_data_is_drawn_but_all_classes_are_found_at_the_start(spy):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 49, 1])  # the rare class is in one batch of nine
    X = {"a": rng.normal(size=(90, 3)) + y[:, None], "b": rng.normal(size=(90, 3))}
    settings = {**SGD, "batch_size": 10, "max_epochs": 2}
    clf = MultimodalClassifier(spy(share=0.1, momentum=0.0), **settings).fit(X, y)
    assert all(np.isfinite(row["prototypes"]["a"]).all() for row in spy.seen)
    assert all(np.isfinite(row["loss"]) for row in spy.seen)
    # The share of ten samples does not give the means of all.
    assert not np.allclose(clf.method_.prototypes_["a"], class_means(clf, X, y)["a"])


def test_a_class_that_comes_in_a_later_call_gets_its_prototype_then(trimodal):
    X, y = trimodal
    two = y != "joy"
    clf = MultimodalClassifier(PMR(momentum=0.0), **SGD)
    clf.partial_fit({m: x[two] for m, x in X.items()}, y[two], classes=np.unique(y))
    assert clf.method_.prototypes_["text"].isnan().any(dim=1).tolist() == [False, False, True]
    clf.partial_fit(X, y)
    assert_prototypes(clf, class_means(clf, X, y))


def test_prototypes_of_weighted_samples_are_those_of_repeated_samples(trimodal):
    X, y = trimodal
    n = np.random.default_rng(5).integers(0, 3, 90)  # the seed of y is another
    still = {**SGD, "lr": 0.0, "standardize": False}
    weighted = MultimodalClassifier(PMR(), **still).fit(X, y, sample_weight=n)
    repeated = {m: x.repeat(n, axis=0) for m, x in X.items()}
    twin = MultimodalClassifier(PMR(), **still).fit(repeated, y.repeat(n))
    assert_prototypes(weighted, twin.method_.prototypes_)


def test_prototypes_are_measured_in_full_precision_under_autocast(trimodal):
    X, y = trimodal
    still = {**SGD, "lr": 0.0, "dtype": "float32"}
    plain = MultimodalClassifier(PMR(), **still).fit(X, y).method_.prototypes_
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = MultimodalClassifier(PMR(), **still).fit(X, y).method_.prototypes_
    assert all(torch.equal(value, short[m]) for m, value in plain.items())


def test_samples_that_lack_a_modality_do_not_count_for_it(trimodal, spy):
    X, y = trimodal
    gone = np.random.default_rng(5).random(90) < 0.4
    X["text"][gone] = np.nan
    clf = MultimodalClassifier(spy(momentum=0.0), missing="allow", **SGD).fit(X, y)
    features = clf.transform_by_modality(X)["text"]
    expected = [features[(y == k) & ~gone].mean(axis=0) for k in clf.classes_]
    np.testing.assert_allclose(clf.method_.prototypes_["text"], expected, rtol=1e-10)
    row = spy.seen[-1]
    names, rows = sorted(X), np.arange(len(row["target"]))
    scores = {m: _true_class(row, m)[rows, row["target"]] for m in names}
    present, loss = row["present"].numpy(), row["joint"]
    for i, m in enumerate(names):
        factor = 0.0
        for j, n in enumerate(names):  # each pair on the samples that have both
            both = present[:, i] & present[:, j]
            factor = max(factor, min(scores[n][both].sum() / scores[m][both].sum() - 1, 1))
        loss += factor * -np.log(scores[m][present[:, i]]).mean()
    np.testing.assert_allclose(row["loss"], loss, rtol=1e-10)


def _true_class(row, m):
    return softmax(-cdist(row["features"][m], row["prototypes"][m]), axis=1)


def test_refuses_a_regressor_in_those_words(trimodal):
    X, y = trimodal
    with pytest.raises(ValueError, match=r"PMR .*is defined for classification only"):
        MultimodalRegressor(PMR(), **SGD).fit(X, np.arange(90.0))


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", -1), ("momentum", 1.5), ("share", 0.0), ("hard", 1)]
)
def test_refuses_settings_out_of_range_by_name(trimodal, name, value):
    X, y = trimodal
    with pytest.raises(ValueError, match=f"The '{name}' parameter of PMR must be"):
        MultimodalClassifier(PMR(**{name: value}), **SGD).fit(X, y)


def test_it_is_a_method_by_name_and_its_preset_trains(trimodal):
    X, y = trimodal
    settings = {**presets.PMR, **SGD}
    clf = MultimodalClassifier("pmr", **settings).fit(X, y)
    assert clf.method_.get_params() == presets.method_settings(presets.PMR) | {
        "entropy_weight": 0.0,
        "entropy_epochs": None,
    }
    assert 70 in clf.active and 71 not in clf.active
