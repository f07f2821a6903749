"""OPM: what is dropped from which batch, by the ratio of the batch before."""

from math import tanh

import numpy as np
import pytest
import torch
from scipy.special import softmax

from inforeg_sk import OPM, MultimodalClassifier, MultimodalRegressor
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 3,
    "random_state": 0,
    "dtype": "float64",
}

METHOD = OPM(alpha=5.0)
CHECKS = [pytest.param(check, id=name) for name, check in method_checks(METHOD)]


@pytest.mark.parametrize("check", CHECKS)
def test_passes_check_method(check):
    check()


class Spy(OPM):
    """Keeps what each batch gave, and at which rates it was cut."""

    seen = ()

    def on_batch_start(self, inputs, epoch):
        changed = super().on_batch_start(inputs, epoch)
        row = {"rates": dict(self._rates), "before": inputs.presence, "after": changed.presence}
        type(self).seen = [*self.seen, row]
        return changed

    def on_gradients(self, batch):
        super().on_gradients(batch)
        row = self.seen[-1]
        row["ratio"] = dict(zip(batch.modalities, self.ratio_.tolist(), strict=True))
        row["logits"] = {m: u.detach().numpy().copy() for m, u in batch.unimodal_logits.items()}
        row["target"] = batch.target.numpy().copy()


@pytest.fixture
def spy():
    class Own(Spy):
        seen = ()

    return Own


def ratio_by_hand(row, names):
    """Score over the mean one of the others, each pair on the samples that have both."""
    there = {m: row["after"].mask(m).numpy() for m in names}
    rows = np.arange(len(row["target"]))
    score = {m: softmax(row["logits"][m], axis=1)[rows, row["target"]] for m in names}
    ratio = {}
    for m in names:
        shares = []
        for n in names:
            both = there[m] & there[n]
            if n != m and both.any():
                shares.append(score[n][both].mean() / score[m][both].mean())
        ratio[m] = 1 / np.mean(shares) if shares else 1.0
    return ratio


@pytest.mark.parametrize("names", [("text", "video"), ("text", "audio", "video")])
def test_rates_follow_from_the_ratio_of_the_batch_before(trimodal, spy, names):
    X, y = trimodal
    MultimodalClassifier(spy(q=0.6, alpha=3.0), **SGD).fit({m: X[m] for m in names}, y)
    assert not any(spy.seen[0]["rates"].values())
    for row, following in zip(spy.seen, spy.seen[1:], strict=False):
        expected = ratio_by_hand(row, sorted(names))
        for m, ratio in expected.items():
            assert row["ratio"][m] == pytest.approx(ratio, rel=1e-10)
            rate = 0.6 * tanh(3.0 * (ratio - 1)) if ratio > 1 else 0.0
            assert following["rates"][m] == pytest.approx(rate, rel=1e-9, abs=1e-15)
    assert len(spy.seen) == 9 and max(spy.seen[-1]["rates"].values()) > 0.1


def test_only_a_leading_modality_is_dropped_and_about_as_often_as_its_rate(trimodal, spy):
    X, y = trimodal
    MultimodalClassifier(spy(q=0.9, alpha=9.0), **{**SGD, "max_epochs": 20}).fit(X, y)
    dropped, expected = 0, 0.0
    for row in spy.seen:
        for m, rate in row["rates"].items():
            gone = (~row["after"].mask(m)).sum().item()
            assert gone == 0 or rate > 0
            dropped, expected = dropped + gone, expected + 30 * rate
    # Where two lead, a sample keeps one of them.
    assert expected > 300 and 0.85 < dropped / expected < 1.1


def test_no_sample_loses_all_its_modalities(trimodal, spy):
    X, y = trimodal
    rng = np.random.default_rng(5)
    X["video"][rng.random(90) < 0.5] = np.nan
    X["audio"][rng.random(90) < 0.5] = np.nan
    settings = {**SGD, "missing": "allow", "modality_dropout": 0.3}
    MultimodalClassifier(spy(q=0.99, alpha=50.0), **settings).fit(X, y)
    cut = 0
    for row in spy.seen:
        before, after = (row[k].matrix(sorted(X)) for k in ("before", "after"))
        assert after.any(dim=1).all()
        assert not (after & ~before).any()  # nothing comes back
        cut += (before & ~after).sum().item()
    assert cut > 20


@pytest.mark.parametrize("settings", [{"q": 0.0}, {"alpha": 0.0}])
def test_without_strength_it_is_joint_training_bit_for_bit(trimodal, settings):
    X, y = trimodal
    off = MultimodalClassifier(OPM(**settings), **SGD).fit(X, y).module_.state_dict()
    joint = MultimodalClassifier("joint", **SGD).fit(X, y).module_.state_dict()
    assert all(torch.equal(value, joint[name]) for name, value in off.items())


def test_draws_do_not_change_the_order_of_the_data(trimodal, monkeypatch):
    from inforeg_sk.data.batches import ModalityDataset

    X, y = trimodal
    orders, cut = [], ModalityDataset.__getitems__

    def note(self, indices):
        orders[-1].append(tuple(indices))
        return cut(self, indices)

    monkeypatch.setattr(ModalityDataset, "__getitems__", note)
    for method in ("joint", OPM(alpha=5.0)):
        orders.append([])
        MultimodalClassifier(method, **SGD).fit(X, y)
    assert orders[0] == orders[1]


def test_one_modality_trains_as_without_the_method(trimodal):
    X, y = trimodal
    alone = {"text": X["text"]}
    opm = MultimodalClassifier(OPM(alpha=9.0), **SGD).fit(alone, y).module_.state_dict()
    joint = MultimodalClassifier("joint", **SGD).fit(alone, y).module_.state_dict()
    assert all(torch.equal(value, joint[name]) for name, value in opm.items())


def test_in_epochs_where_it_may_not_act_nothing_is_dropped(trimodal, spy):
    X, y = trimodal
    clf = MultimodalClassifier(spy(alpha=9.0), active=range(1, 2), **SGD).fit(X, y)
    assert len(spy.seen) == 3  # the batches of one epoch of three
    rate = clf.curves_["drop_rate"]["text"]
    assert np.isnan(rate[[0, 2]]).all() and rate[1] > 0


def test_refuses_a_regressor_and_settings_out_of_range(trimodal):
    X, y = trimodal
    with pytest.raises(ValueError, match=r"OPM .*is defined for classification only"):
        MultimodalRegressor(OPM(), **SGD).fit(X, np.arange(90.0))
    for name, value in (("q", 1.0), ("alpha", -1)):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of OPM must be"):
            MultimodalClassifier(OPM(**{name: value}), **SGD).fit(X, y)


def test_it_is_a_method_by_name(trimodal):
    clf = MultimodalClassifier("opm", method__q=0.3, **SGD).fit(*trimodal)
    assert isinstance(clf.method_, OPM) and clf.method_.q == 0.3
