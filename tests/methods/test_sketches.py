"""Published methods as sketches: the protocol is wide enough, with no branch elsewhere."""

import numpy as np
import pytest
import torch
from sketches.g_blending import GBlending
from sketches.pmr import PMR
from skorch.dataset import ValidSplit

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
    PMR(),
    GBlending(),
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


def test_pmr_prototypes_are_class_means_of_the_training_data(trimodal):
    X, y = trimodal
    clf = MultimodalClassifier(PMR(momentum=0.0), **SGD).fit(X, y)
    for name, z in clf.transform_by_modality(X).items():
        by_hand = [z[y == label].mean(axis=0) for label in clf.classes_]
        np.testing.assert_allclose(clf.method_.prototypes_[name], by_hand, rtol=1e-10, atol=1e-12)


def test_pmr_without_strength_is_joint_training(trimodal):
    X, y = trimodal
    off = MultimodalClassifier(PMR(alpha=0.0), **SGD).fit(X, y)
    joint = MultimodalClassifier("joint", **SGD).fit(X, y)
    for name, value in weights(off).items():
        torch.testing.assert_close(value, weights(joint)[name], rtol=1e-12, atol=1e-14)


def test_g_blending_with_all_weight_on_joint_is_joint_training(trimodal):
    X, y = trimodal

    class JointOnly(GBlending):
        def _estimate(self, training):
            weights, overfitting = super()._estimate(training)
            return {m: float(m == "joint") for m in weights}, overfitting

    class Heads(Joint):
        prepare = GBlending.prepare

    kwargs = {**SGD, "train_split": ValidSplit(3)}
    first = MultimodalClassifier(JointOnly(), **kwargs).fit(X, y)
    second = MultimodalClassifier(Heads(), **kwargs).fit(X, y)
    assert_equal_weights(first, second)
    assert list(first.curves_["blend"]) == ["text", "audio", "video", "joint"]
    # Estimated every second epoch.
    assert np.isnan(first.curves_["overfitting"]["joint"]).tolist() == [False, True, False]


@pytest.mark.parametrize("method", [PMR()])
def test_methods_for_classes_refuse_a_regressor_in_those_words(trimodal, method):
    X, y = trimodal
    name = type(method).__name__
    with pytest.raises(ValueError, match=rf"{name} .*is defined for classification only"):
        MultimodalRegressor(method, **SGD).fit(X, np.arange(90.0))
