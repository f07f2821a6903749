"""Fisher traces of single samples of whole fits, against one backward pass for each sample."""

import pickle

import numpy as np
import pytest
import torch
from oracle_parts import window_by_rule
from sample_traces import SETTINGS, assert_by_hand, fit, images, traces_by_hand
from sklearn.model_selection import GridSearchCV
from torch import nn

from inforeg_sk import (
    InfoReg,
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
)
from inforeg_sk.data.presence import Presence
from inforeg_sk.methods.sample_trace import draw_rows, sample_losses
from inforeg_sk.network import MLPEncoder
from inforeg_sk.network.modes import evaluating
from inforeg_sk.training.parts import PartSamples

pytestmark = pytest.mark.filterwarnings("ignore:.*no better than guessing")


# What it measures


@pytest.mark.parametrize(
    "settings, unimodal",
    [
        ({}, 0.0),
        ({}, 0.7),
        ({"encoders": {"audio": "gru"}}, 0.7),
        ({"encoders": {"audio": "transformer"}, "encoders__audio__hidden": 8}, 0.7),
        ({"fusion": "gated", "fusion__conditioning": "text"}, 0.7),
        ({"fusion": "film", "fusion__conditioning": "text"}, 0.7),
        ({"fusion": "attention", "fusion__width": 8}, 0.0),
        ({"fusion": "mlp", "fusion__hidden": 8}, 0.7),
        ({"fusion": "sum", "encoders__dropout": 0.3}, 0.7),
        ({"encoders__hidden": (8, 4), "batch_size": -1}, 0.7),
    ],
)
def test_the_trace_is_that_of_a_loop_over_single_samples(trimodal, settings, unimodal):
    X, y = trimodal
    clf = fit(X, y, InfoReg(alpha=0, unimodal_weight=unimodal), **settings)
    assert_by_hand(clf, X, y, unimodal=unimodal)


@pytest.mark.parametrize(("encoder", "n_samples"), [("cnn", 20), ("resnet18", 8)])
def test_images_and_videos_with_batch_normalisation_by_running_statistics(encoder, n_samples):
    X, y = images(n_samples)
    clf = fit(X, y, InfoReg(alpha=0), encoders=encoder, batch_size=6)
    assert_by_hand(clf, X, y, unimodal=1.0)


def test_label_smoothing_is_part_of_the_loss(trimodal):
    X, y = trimodal
    clf = fit(X, y, InfoReg(alpha=0), criterion__label_smoothing=0.2)
    loss = nn.CrossEntropyLoss(label_smoothing=0.2)
    assert_by_hand(clf, X, y, unimodal=1.0, loss=loss)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("criterion", [nn.MSELoss, nn.HuberLoss])
def test_a_regressor_has_the_loss_of_its_standardised_target(trimodal, n_outputs, criterion):
    X, _ = trimodal
    y = np.random.default_rng(1).normal(3, 2, size=(90, n_outputs))
    y = y[:, 0] if n_outputs == 1 else y
    clf = fit(X, y, InfoReg(alpha=0), kind=MultimodalRegressor, criterion=criterion)
    target = ((y - y.mean(axis=0)) / y.std(axis=0)).reshape(90, -1)

    def loss(prediction, target):
        return criterion()(prediction.reshape(1, -1), target)

    assert_by_hand(clf, X, target, unimodal=1.0, loss=loss)


@pytest.fixture
def incomplete(trimodal):
    X, y = trimodal
    X = {m: x.copy() for m, x in X.items()}
    X["text"][::3] = X["audio"][1::4] = np.nan
    return X, y


def test_a_modality_is_measured_on_the_samples_that_have_it(incomplete):
    X, y = incomplete
    clf = fit(X, y, InfoReg(alpha=0), missing="allow")
    assert_by_hand(clf, X, y, unimodal=1.0)


@pytest.mark.parametrize("n_samples", [None, 90])
def test_sample_weights_are_those_of_the_mean(incomplete, n_samples):
    X, y = incomplete
    w = np.random.default_rng(2).integers(0, 4, 90).astype(float)
    settings = {**SETTINGS, "fisher": "sample", "fisher_samples": n_samples, "missing": "allow"}
    clf = MultimodalClassifier(InfoReg(alpha=0), **settings).fit(X, y, sample_weight=w)
    assert_by_hand(clf, X, y, unimodal=1.0, weight=w)


def test_class_weights_are_those_of_the_mean(trimodal):
    X, y = trimodal
    weights = {"anger": 3.0, "joy": 1.0, "fear": 0.5}
    clf = fit(X, y, InfoReg(alpha=0), class_weight=weights)
    assert_by_hand(clf, X, y, unimodal=1.0, weight=[weights[label] for label in y])


def test_weights_are_repeated_rows(incomplete):
    X, y = incomplete
    w = np.random.default_rng(2).integers(0, 3, 90)
    rows = np.repeat(np.arange(90), w)
    settings = {**SETTINGS, "fisher": "sample", "fisher_samples": None, "missing": "allow"}
    settings |= {"batch_size": -1}
    weighted = MultimodalInfoRegClassifier(**settings).fit(X, y, sample_weight=w)
    repeated = MultimodalInfoRegClassifier(**settings).fit({m: X[m][rows] for m in X}, y[rows])
    for m in X:
        np.testing.assert_allclose(weighted.fisher_trace_[m], repeated.fisher_trace_[m], rtol=1e-8)


def test_frozen_parameters_are_left_out(trimodal):
    X, y = trimodal
    torch.manual_seed(0)
    encoder = MLPEncoder((6,), hidden=(8, 4))
    encoder[0].requires_grad_(False)
    encoder[2].bias.requires_grad_(False)
    clf = fit(X, y, InfoReg(alpha=0), encoders={"text": encoder})
    assert_by_hand(clf, X, y, unimodal=1.0)
    trace = clf.curves_["fisher_trace"]["text"][-1]
    clf.encoders_["text"].requires_grad_(True)
    assert traces_by_hand(clf, X, np.unique(y, return_inverse=True)[1], 1.0)["text"] > 1.2 * trace


def test_an_encoder_without_trainable_parameters_has_the_trace_zero(trimodal):
    X, y = trimodal
    clf = fit(X, y, encoders={"text": nn.Linear(6, 4).requires_grad_(False)})
    assert clf.curves_["fisher_trace"]["text"].tolist() == [0, 0]
    assert_by_hand(clf, X, y)


def test_a_shared_parameter_has_one_gradient_and_counts_in_each_encoder_that_uses_it():
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(40, 5)), "b": rng.normal(size=(40, 5))}
    X["b"][::3] = np.nan
    y = np.arange(40) % 2
    encoder = nn.Linear(5, 3)
    clf = fit(X, y, InfoReg(alpha=0), encoders={"a": encoder, "b": encoder}, missing="allow")
    assert_by_hand(clf, X, y, unimodal=1.0)


def test_a_linear_case_by_hand():
    """One feature, one output: the gradient of (w v x + b - y)^2 is 2 (w v x + b - y) v x."""
    X, y = {"a": np.array([[1.0], [2.0], [-1.0]])}, np.array([1.0, 0.0, -1.0])
    reg = MultimodalRegressor(
        encoders={"a": nn.Linear(1, 1, bias=False)}, fisher="sample", **SETTINGS
    ).fit(X, y)
    w, v, b = (
        float(p.detach().sum()) for p in (*reg.encoders_["a"].parameters(), *reg.head_.parameters())
    )
    scaled = y / np.sqrt(2 / 3)
    squares = [(2 * (w * v * x + b - t) * v * x) ** 2 for x, t in zip([1, 2, -1], scaled)]
    assert reg.curves_["fisher_trace"]["a"][-1] == pytest.approx(sum(squares) / 3, rel=1e-12)


class Several(nn.Module):
    """Takes an array of numbers and one of ids."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.linear = nn.Linear(3, 4)

    def forward(self, x):
        return torch.tanh(self.linear(x["x"] + self.table(x["n"]).mean(dim=1)))


def test_it_is_the_trace_of_batches_of_one_sample_where_the_weights_stand_still(trimodal):
    X, y = trimodal
    settings = {"optimizer": torch.optim.SGD, "lr": 0.0}
    of_samples = fit(X, y, InfoReg(alpha=0), **settings).curves_["fisher_trace"]
    batches = fit(X, y, InfoReg(alpha=0), fisher="batch", batch_size=1, **settings)
    larger = fit(X, y, InfoReg(alpha=0), fisher="batch", **settings)
    for m in X:
        np.testing.assert_allclose(of_samples[m], batches.curves_["fisher_trace"][m], rtol=1e-10)
        assert (of_samples[m] > 1.5 * larger.curves_["fisher_trace"][m]).all()  # another scale


@pytest.mark.parametrize("encoder", ["mlp", "gru", "transformer"])
def test_padding_scaling_prior_and_modalities_of_several_arrays_are_as_in_training(encoder):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 3
    X = {"a": rng.normal(2, 3, size=(40, 6, 3)), "b": {"x": rng.normal(size=(40, 3))}}
    X["b"]["n"] = rng.integers(0, 5, size=(40, 3))
    for i, length in enumerate(rng.integers(1, 7, 40)):
        X["a"][i, length:] = np.nan
    settings = {
        "encoders": {"a": encoder, "b": Several},
        "encoders__a__hidden": 8,
        "optimizer": torch.optim.SGD,
        "lr": 0.0,
        "standardize": True,
        "prior_offset": True,
    }
    samples = fit(X, y, InfoReg(alpha=0), **settings).curves_["fisher_trace"]
    batches = fit(X, y, InfoReg(alpha=0), fisher="batch", batch_size=1, **settings)
    for m in X:
        np.testing.assert_allclose(samples[m], batches.curves_["fisher_trace"][m], rtol=1e-10)


# What it leaves alone


class Noisy(nn.Module):
    """Draws on torch's global generator, in evaluation mode as well."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))

    def forward(self, x):
        return self.layers(x) * (1 + 0.1 * torch.rand(1, dtype=x.dtype))


@pytest.mark.parametrize("encoder", ["mlp", "gru", "transformer", Noisy])
def test_training_is_the_same_bit_for_bit(trimodal, encoder):
    X, y = trimodal
    name = "text" if encoder is Noisy else "audio"
    settings = {
        "encoders": {name: encoder},
        "encoders__dropout": 0.2,
        "modality_dropout": 0.2,
        "max_epochs": 3,
        "dtype": "float32",
        "early_stopping": True,
    }
    plain = fit(X, y, InfoReg(alpha=0), fisher=None, **settings)
    clf = fit(X, y, InfoReg(alpha=0), fisher_samples=20, **settings)
    state = clf.module_.state_dict()
    for key, value in plain.module_.state_dict().items():
        assert torch.equal(value, state[key])
    assert plain.history[:, "valid_loss"] == clf.history[:, "valid_loss"]


def test_going_on_gives_the_traces_of_one_fit(trimodal):
    X, y = trimodal
    settings = {"fisher": "sample", "fisher_samples": 30, **SETTINGS}
    whole = MultimodalInfoRegClassifier(**{**settings, "max_epochs": 4}).fit(X, y)
    warm = MultimodalInfoRegClassifier(**settings, warm_start=True).fit(X, y).fit(X, y)
    partial = MultimodalInfoRegClassifier(**settings)
    for _ in range(4):
        partial = pickle.loads(pickle.dumps(partial.partial_fit(X, y)))
    for clf in (warm, partial):
        for m in X:
            assert clf.fisher_trace_[m].tolist() == whole.fisher_trace_[m].tolist()
            assert clf.window_[m].tolist() == whole.window_[m].tolist()


def test_a_search_compares_both_traces(trimodal):
    X, y = trimodal
    search = GridSearchCV(
        MultimodalInfoRegClassifier(**SETTINGS), {"fisher": ["batch", "sample"]}, cv=2
    ).fit(ModalityDict(X), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_windows_are_decided_on_it(trimodal):
    X, y = trimodal
    settings = {"window_smoothing": 2, "padding": "none", "first_epoch": "closed", "max_epochs": 8}
    clf = MultimodalInfoRegClassifier(**{**SETTINGS, **settings}, fisher="sample", lr=0.01).fit(
        X, y
    )
    opened = []
    for m in X:
        _, is_open = window_by_rule(clf.fisher_trace_[m][:-1].tolist(), 0.04, 2)
        assert clf.window_[m].tolist() == is_open
        opened += is_open
    assert 0 < sum(opened) < 24


# The samples


def part(weight=None):
    masks = {"b": np.arange(100) % 10 == 0, "c": np.zeros(100, bool)}
    return PartSamples(None, weight, Presence.from_arrays(100, masks))


def test_samples_are_drawn_from_those_that_have_the_modality():
    rows, shares = draw_rows(part(), ("a", "b", "c"), 8, seed=3)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert {m: int((s > 0).sum()) for m, s in shares.items()} == {"a": 8, "b": 8, "c": 0}
    assert set(shares["a"].tolist()) == {0, 1 / 8}
    assert (rows[shares["b"] > 0] % 10 == 0).all()
    again, _ = draw_rows(part(), ("a", "b", "c"), 8, seed=3)
    other, _ = draw_rows(part(), ("a", "b", "c"), 8, seed=4)
    assert rows.tolist() == again.tolist() != other.tolist()


def test_samples_without_weight_are_not_drawn():
    weight = torch.arange(100) % 3
    rows, shares = draw_rows(part(weight), ("a", "b", "c"), 20, seed=3)
    assert (weight[rows] > 0).all()
    chosen = shares["a"] > 0
    assert int(chosen.sum()) == 20 and int((shares["b"] > 0).sum()) == 6  # those of 10 that count
    expected = weight[rows[chosen]] / weight[rows[chosen]].sum()
    torch.testing.assert_close(shares["a"][chosen], expected.double())


@pytest.mark.parametrize("n_samples", [None, 100])
def test_all_samples_count_once_where_as_many_are_asked_for(n_samples):
    whole = PartSamples(None, None, Presence(100))
    rows, shares = draw_rows(whole, ("a", "b"), n_samples, seed=0)
    assert rows.tolist() == list(range(100))
    assert all((s == 0.01).all() for s in shares.values())


def test_a_draw_depends_on_random_state_only(trimodal):
    X, y = trimodal
    settings = {"fisher_samples": 10, "optimizer": torch.optim.SGD, "lr": 0.0}
    first, second = (fit(X, y, **settings).curves_["fisher_trace"]["text"] for _ in range(2))
    whole = fit(X, y, **{**settings, "fisher_samples": None}).curves_["fisher_trace"]["text"]
    assert first.tolist() == second.tolist() and first[0] == first[1]  # the same in all epochs
    assert first[0] != whole[0]


def test_only_the_training_part_is_measured(trimodal):
    X, y = trimodal
    other = {m: np.full_like(x, 1e3) for m, x in X.items()}
    plain = fit(X, y).curves_["fisher_trace"]
    clf = MultimodalClassifier("joint", fisher="sample", fisher_samples=None, **SETTINGS)
    clf.fit(X, y, validation_data=(other, y))
    assert clf.curves_["fisher_trace"]["text"].tolist() == plain["text"].tolist()


def test_a_modality_that_no_sample_has_gets_zero(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier("joint", fisher="sample", missing="allow", **SETTINGS)
    clf.partial_fit(X, y).partial_fit({**X, "text": np.full((90, 6), np.nan)}, y)
    trace = clf.curves_["fisher_trace"]["text"]
    assert trace[0] > 0 and trace[1] == 0


def test_losses_of_samples_are_those_of_batches_of_one(incomplete):
    X, y = incomplete
    seen = []

    class Looking(InfoReg):
        def on_epoch_end(self, epoch):
            training, weights = epoch.training, self.loss_weights
            with torch.no_grad(), evaluating(epoch.network):
                whole = training.run_on(list(range(90)), epoch=epoch)
                losses = sample_losses(whole, weights(whole))
                for i in range(90):
                    one = training.run_on([i], epoch=epoch)
                    seen.append((losses[i].item(), one.weighted_loss(weights(one)).item()))

    fit(X, y, Looking(alpha=0), missing="allow", max_epochs=1)
    got, expected = np.transpose(seen)
    assert len(got) == 90
    np.testing.assert_allclose(got, expected, rtol=1e-12)
