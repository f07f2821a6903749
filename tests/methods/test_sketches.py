"""Published methods as sketches: the protocol is wide enough, with no branch elsewhere."""

import numpy as np
import pytest
import torch
from sketches.mmpareto import MMPareto

from inforeg_sk import InfoReg, Joint, MultimodalClassifier, presets
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
