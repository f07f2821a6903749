"""Two published methods as sketches: the protocol is wide enough, with no branch elsewhere."""

import numpy as np
import pytest
import torch
from sketches.mmpareto import MMPareto
from sketches.ogm_ge import OGMGE

from inforeg_sk import InfoReg, Joint, MultimodalClassifier, MultimodalRegressor, presets
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 30,
    "max_epochs": 3,
    "random_state": 0,
    "dtype": "float64",
}

METHODS = [
    Joint(),
    InfoReg(),
    InfoReg(**{**presets.method_settings(presets.PAPER_STAR), "window_threshold": -1e9}),
    InfoReg(**presets.method_settings(presets.authors_code("a", {"a": 0.95, "b": 0.1}))),
    OGMGE(),
    MMPareto(),
]
CHECKS = [
    pytest.param(check, id=f"{type(method).__name__}-{i}-{name}")
    for i, method in enumerate(METHODS)
    for name, check in method_checks(method)
]


@pytest.mark.parametrize("check", CHECKS)
def test_passes_check_method(check):
    check()


def weights(clf, start=""):
    parameters = clf.module_.named_parameters()
    return {n: p.detach().clone() for n, p in parameters if n.startswith(start)}


def assert_equal_weights(first, second, start=""):
    a, b = weights(first, start), weights(second, start)
    assert a and all(torch.equal(value, b[name]) for name, value in a.items())


def test_ogm_ge_without_strength_and_noise_is_joint_training(trimodal):
    X, y = trimodal
    off = MultimodalClassifier(OGMGE(alpha=0.0, noise=False), **SGD).fit(X, y)
    assert_equal_weights(off, MultimodalClassifier("joint", **SGD).fit(X, y))
    assert all((k == 1).all() for k in off.curves_["modulation"].values())


def test_ogm_ge_acts_inside_its_window_only(trimodal):
    X, y = trimodal
    method = OGMGE(alpha=1.0, first_epoch=1, last_epoch=1)
    k = MultimodalClassifier(method, **SGD).fit(X, y).curves_["modulation"]
    rows = np.array(list(k.values()))
    assert (rows[:, [0, 2]] == 1).all() and (rows[:, 1] < 1).any()


def test_ogm_ge_noise_does_not_change_the_order_of_the_data(trimodal, monkeypatch):
    from inforeg_sk.data.batches import ModalityDataset

    X, y = trimodal
    orders = []
    cut = ModalityDataset.__getitems__

    def spy(self, indices):
        orders[-1].append(tuple(indices))
        return cut(self, indices)

    monkeypatch.setattr(ModalityDataset, "__getitems__", spy)
    for noise in (False, True):
        orders.append([])
        MultimodalClassifier(OGMGE(noise=noise), **SGD).fit(X, y)
    assert orders[0] == orders[1]


def test_mmpareto_without_conflict_is_the_uniform_baseline(trimodal):
    """Gamma 1 and equal weights give the gradient of the summed losses."""
    X, y = trimodal
    uniform = MultimodalClassifier(MMPareto(gamma=1.0, pareto=False), **SGD).fit(X, y)
    summed = MultimodalClassifier(InfoReg(alpha=0.0, unimodal_weight=1.0), **SGD).fit(X, y)
    expected = weights(summed)
    for name, value in weights(uniform).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-13)
    pareto = MultimodalClassifier(MMPareto(gamma=1.0), **SGD).fit(X, y)
    cosines = np.array(list(pareto.curves_["cosine"].values()))
    assert ((cosines > -1) & (cosines <= 1)).all()


def test_methods_for_classes_refuse_a_regressor_in_those_words(trimodal):
    X, y = trimodal
    with pytest.raises(ValueError, match=r"OGMGE .*is defined for classification only"):
        MultimodalRegressor(OGMGE(), **SGD).fit(X, np.arange(90.0))
