"""G-Blending: trials by hand, weights in force when they should be, and a training left alone."""

import copy

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch.nn.functional import cross_entropy

from inforeg_sk import GBlending, Joint, MultimodalClassifier, MultimodalRegressor, presets
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 3,
    "random_state": 0,
    "dtype": "float64",
}
SPLIT = {"train_split": ValidSplit(3)}
HEADS = ["audio", "text", "video", "joint"]  # with the modalities in sorted order

METHOD = GBlending(super_epoch=2)
CHECKS = [pytest.param(check, id=name) for name, check in method_checks(METHOD)]


@pytest.mark.filterwarnings("ignore:GBlending gives the joint head")
@pytest.mark.parametrize("check", CHECKS)
def test_passes_check_method(check):
    check()


class Autograd(Joint):
    """Joint training by the same steps, without closed forms."""

    closed_form = False


def weights(clf, start=""):
    parameters = clf.module_.named_parameters()
    return {n: p.detach().clone() for n, p in parameters if n.startswith(start)}


def values(curve):
    """A curve as an array of shape (n_epochs, n_heads)."""
    return np.stack([curve[head] for head in HEADS], axis=1)


# Fixed weights


def test_all_weight_on_joint_is_joint_training_bit_for_bit(trimodal):
    X, y = trimodal
    blended = MultimodalClassifier(GBlending({"joint": 1.0}), **SGD).fit(X, y)
    joint = weights(MultimodalClassifier(Autograd(), **SGD).fit(X, y))
    got = weights(blended)
    assert all(torch.equal(got[name], value) for name, value in joint.items())
    assert set(got) - set(joint) == {
        f"unimodal_head_{m}.{part}" for m in X for part in ("weight", "bias")
    }


def test_loss_is_the_weighted_sum_of_the_losses_of_all_heads(trimodal):
    X, y = trimodal
    seen = []

    class Spy(GBlending):
        def loss(self, batch):
            loss = super().loss(batch)
            expected = 0.3 * cross_entropy(batch.logits, batch.target)
            for m, weight in (("text", 0.5), ("video", 0.2)):
                head = batch.network.unimodal_heads[m]
                z = batch.features[m] @ head.weight.T + head.bias
                expected = expected + weight * cross_entropy(z, batch.target)
            seen.append((loss.item(), expected.item()))
            return loss

    fixed = {"joint": 0.3, "text": 0.5, "video": 0.2}
    clf = MultimodalClassifier(Spy(fixed), **SGD, prior_offset=False).fit(X, y)
    np.testing.assert_allclose(*zip(*seen, strict=True), rtol=1e-12)
    assert values(clf.curves_["blending_weight"]).tolist() == [[0, 0.5, 0.2, 0.3]] * 3
    assert set(clf.curves_) >= {"blending_weight"} and "overfitting" not in clf.curves_


def test_fixed_weights_need_no_held_out_samples_and_estimated_ones_do(trimodal):
    X, y = trimodal
    MultimodalClassifier(GBlending({"joint": 1, "text": 1}), **SGD).fit(X, y)
    for weights in ("online", "offline"):
        with pytest.raises(ValueError, match=r"GBlending.*train_split"):
            MultimodalClassifier(GBlending(weights), **SGD).fit(X, y)


def test_fixed_weights_work_for_a_regressor(trimodal):
    X, _ = trimodal
    y = X["text"][:, 0] + X["video"][:, 0]
    method = GBlending({"joint": 0.5, "text": 0.25, "video": 0.25})
    reg = MultimodalRegressor(method, **{**SGD, "max_epochs": 20}).fit(X, y)
    assert reg.score(X, y) > 0.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"joint": 1, "txt": 1}, "unknown head 'txt'.*did you mean 'text'"),
        ({"text": 1}, "must give 'joint' a weight above 0"),
        ({"joint": 0.0, "text": 1}, "must give 'joint' a weight above 0"),
        ({"joint": 1, "text": -1}, r"'weights\['text'\]' parameter of GBlending must be"),
        ("on", "must be one of 'online', 'offline' or a dict"),
    ],
)
def test_refuses_wrong_weights_by_name(trimodal, given, message):
    X, y = trimodal
    with pytest.raises(ValueError, match=f"GBlending|{message}") as error:
        MultimodalClassifier(GBlending(given), **SGD, **SPLIT).fit(X, y)
    error.match(message)


# Estimated weights


def split_of(X, y):
    """The parts that a fit trains on and holds out, as indices."""
    train, valid = ValidSplit(3)(list(range(len(y))), y)
    return np.array(train.indices), np.array(valid.indices)


def loss_by_hand(network, X, y, head):
    """Mean loss of a head over samples, in evaluation mode."""
    network.eval()
    with torch.no_grad():
        output = network({m: torch.from_numpy(X[m]) for m in sorted(X)})
        logits = output.logits if head == "joint" else network.head_logits(output.features)[head]
        return cross_entropy(logits, torch.from_numpy(y)).item()


@pytest.mark.filterwarnings("ignore:GBlending gives the joint head")
def test_estimated_weights_follow_from_the_losses_before_and_after_each_trial(trimodal):
    X, y = trimodal
    kept = {}

    class Keep(GBlending):
        def _estimate(self, epoch):
            kept["before"] = copy.deepcopy(epoch.network)
            kept["copies"] = []
            training, train_copy = epoch.training, epoch.training.train_copy

            def keep(loss, n_epochs):
                network = train_copy(loss, n_epochs)
                kept["copies"].append((n_epochs, network))
                return network

            training.train_copy = keep
            super()._estimate(epoch)

    method = Keep(super_epoch=4)
    clf = MultimodalClassifier(method, **SGD, **SPLIT).fit(X, y)
    code = np.searchsorted(clf.classes_, y)
    parts = [({m: x[i] for m, x in X.items()}, code[i]) for i in split_of(X, y)]
    assert [n for n, _ in kept["copies"]] == [4] * 4
    gain, overfitting = [], []
    for head, (_, network) in zip(HEADS, kept["copies"], strict=True):
        before = [loss_by_hand(kept["before"], *part, head) for part in parts]
        after = [loss_by_hand(network, *part, head) for part in parts]
        gain.append(before[1] - after[1])
        overfitting.append((after[1] - after[0]) - (before[1] - before[0]))
    np.testing.assert_allclose(values(clf.curves_["generalization"])[0], gain, rtol=1e-9)
    np.testing.assert_allclose(values(clf.curves_["overfitting"])[0], overfitting, rtol=1e-8)
    raw = [max(g, 0) / max(o**2, 1e-8) for g, o in zip(gain, overfitting, strict=True)]
    assert sum(raw) > 0
    expected = [r / sum(raw) for r in raw]
    np.testing.assert_allclose(
        values(clf.curves_["blending_weight"]), [expected] * 3, rtol=1e-7, atol=1e-15
    )


@pytest.mark.filterwarnings("ignore:GBlending gives the joint head")
def test_a_trial_trains_its_head_and_encoder_alone(trimodal):
    X, y = trimodal
    moved = []

    class Keep(GBlending):
        def _estimate(self, epoch):
            before = {n: p.detach().clone() for n, p in epoch.network.named_parameters()}
            train_copy = epoch.training.train_copy

            def keep(loss, n_epochs):
                network = train_copy(loss, n_epochs)
                named = network.named_parameters()
                moved.append({n.split(".")[0] for n, p in named if not torch.equal(p, before[n])})
                return network

            epoch.training.train_copy = keep
            super()._estimate(epoch)

    MultimodalClassifier(Keep(), **{**SGD, "max_epochs": 1}, **SPLIT).fit(X, y)
    unimodal = [{f"encoder_{m}", f"unimodal_head_{m}"} for m in ("audio", "text", "video")]
    assert moved == [*unimodal, {"encoder_audio", "encoder_text", "encoder_video", "head"}]


@pytest.mark.filterwarnings("ignore:GBlending gives the joint head")
@pytest.mark.parametrize(
    ("method", "estimated"),
    [
        (GBlending(super_epoch=2), [True, False, True, False, True]),
        (GBlending("offline"), [True, False, False, False, False]),
    ],
)
def test_weights_are_estimated_when_they_are_due(trimodal, method, estimated):
    X, y = trimodal
    clf = MultimodalClassifier(method, **{**SGD, "max_epochs": 5}, **SPLIT).fit(X, y)
    known = np.isfinite(values(clf.curves_["overfitting"])).all(axis=1)
    assert known.tolist() == estimated
    blend = values(clf.curves_["blending_weight"])
    np.testing.assert_allclose(blend.sum(axis=1), 1)
    changed = (blend[1:] != blend[:-1]).any(axis=1)
    assert not (changed & ~np.array(estimated[1:])).any()


def test_an_offline_trial_is_as_long_as_the_training(trimodal):
    X, y = trimodal
    lengths = []

    class Keep(GBlending):
        def _estimate(self, epoch):
            epoch.training.train_copy = lambda loss, n: lengths.append(n) or epoch.network
            super()._estimate(epoch)

    MultimodalClassifier(Keep("offline"), **{**SGD, "max_epochs": 7}, **SPLIT).fit(X, y)
    assert lengths == [7] * 4


def state_of(network, optimizer, generators):
    """All that a training goes on from, as one list of tensors."""
    state = [t.clone() for t in network.state_dict().values()]
    state += [torch.tensor([m.training for m in network.modules()])]
    for entry in optimizer.state_dict()["state"].values():
        state += [torch.as_tensor(v).clone() for v in entry.values() if v is not None]
    own = [getattr(m, "generator", None) for m in network.modules()]  # of dropout layers
    own = [g.get_state() for g in own if g is not None]
    rng = torch.from_numpy(np.random.get_state()[1].astype(np.int64))
    return [*state, *own, rng, torch.get_rng_state(), *(g.get_state() for g in generators)]


class Noisy(torch.nn.Module):
    """Batch normalisation, and dropout that draws on torch's global generator."""

    def __init__(self, input_shape):
        super().__init__()
        self.layer = torch.nn.Linear(input_shape[-1], 8)
        self.norm = torch.nn.BatchNorm1d(8)
        self.dropout = torch.nn.Dropout(0.3)

    def forward(self, x):
        x = x.flatten(1) if x.shape[1] == self.layer.in_features else x.mean(dim=1)
        return self.dropout(torch.relu(self.norm(self.layer(x))))


@pytest.mark.filterwarnings("ignore:GBlending gives the joint head")
@pytest.mark.parametrize("encoders", [Noisy, "mlp"])
def test_an_estimation_leaves_the_training_as_it_was(trimodal, encoders):
    X, y = trimodal
    compared = []

    class Compare(GBlending):
        def _estimate(self, epoch):
            run = clf._run  # the generators of order and modality dropout are its own
            generators = run.generators.shuffling, run.generators.modality_dropout
            arguments = epoch.network, clf.optimizer_, generators
            before = state_of(*arguments)
            super()._estimate(epoch)
            after = state_of(*arguments)
            compared.append(all(map(torch.equal, before, after)) and len(before) == len(after))

    settings = {**SGD, "optimizer__momentum": 0.9, "max_epochs": 4, "modality_dropout": 0.2}
    clf = MultimodalClassifier(Compare(super_epoch=2), encoders=encoders, **settings, **SPLIT)
    if encoders == "mlp":
        clf.set_params(encoders__dropout=0.3)
    clf.fit(X, y)
    assert compared == [True, True]


def test_a_head_that_no_held_out_sample_has_gets_no_weight(trimodal):
    X, y = trimodal
    held_out = split_of(X, y)[1]
    X["video"][held_out] = np.nan
    settings = {**SGD, **SPLIT, "missing": "allow"}
    clf = MultimodalClassifier(GBlending(super_epoch=1), **settings).fit(X, y)
    assert clf.curves_["blending_weight"]["video"].tolist() == [0, 0, 0]
    assert np.isnan(clf.curves_["overfitting"]["video"]).all()
    assert np.isfinite(clf.curves_["overfitting"]["text"]).all()


def test_warns_if_the_joint_head_gets_no_weight(trimodal, monkeypatch):
    X, y = trimodal
    found = torch.tensor([0.5, 0.2, 0.1, -0.1]), torch.ones(4)  # G and O
    name = "inforeg_sk.methods.g_blending.gain_and_overfitting"
    monkeypatch.setattr(name, lambda before, after: found)
    with pytest.warns(UserWarning, match=r"GBlending gives the joint head.*weight 0"):
        clf = MultimodalClassifier(GBlending(super_epoch=1), **SGD, **SPLIT).fit(X, y)
    assert clf.curves_["blending_weight"]["joint"].tolist() == [0, 0, 0]


def test_where_it_may_not_act_nothing_is_estimated_and_the_loss_is_joint(trimodal):
    X, y = trimodal
    settings = {**SGD, **SPLIT}
    never = MultimodalClassifier(GBlending(), active=range(5, 6), **settings).fit(X, y)
    assert values(never.curves_["blending_weight"]).tolist() == [[0, 0, 0, 1]] * 3
    joint = weights(MultimodalClassifier(Autograd(), **settings).fit(X, y))
    got = weights(never)
    for name, value in joint.items():
        torch.testing.assert_close(got[name], value, rtol=1e-12, atol=1e-14)


def test_it_is_a_method_by_name_and_its_preset_trains(trimodal):
    X, y = trimodal
    X = {m: X[m] for m in ("audio", "video")}
    clf = MultimodalClassifier("g-blending", **presets.G_BLENDING, **SGD).fit(X, y)
    assert clf.method_.weights_ == {"audio": 0.014, "video": 0.63, "joint": 0.356}
    assert sum(clf.method_.weights_.values()) == pytest.approx(1)
