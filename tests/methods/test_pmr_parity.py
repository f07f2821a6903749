"""PMR against its slow statement: weights, prototypes and curves, and wrong rules that show."""

import numpy as np
import pytest
from peer_networks import THREE, TWO
from peer_parity import EPOCHS, SGD, fit_fast
from peers import base, pmr

from inforeg_sk import PMR

SETTINGS = {
    "paper": {"alpha": 2.0, "mu": 0.0},
    "entropy": {"alpha": 1.5, "mu": 0.4, "entropy_epochs": 4},
    "code": {"alpha": 0.7, "mu": 0.0, "hard": True},
}


def compare(names, settings, epochs=EPOCHS, **more):
    method = PMR(
        settings["alpha"],
        0.3,
        hard=settings.get("hard", False),
        entropy_weight=settings["mu"],
        entropy_epochs=settings.get("entropy_epochs"),
    )
    fast, slow = fit_fast(method, names, epochs, **more)
    rows = [np.arange(len(slow[2]))] * (epochs + 1)

    def state(wrong):
        return pmr.train(*slow, **SGD, **settings, q=0.3, prototype_rows=rows, wrong=wrong)

    return fast, state


@pytest.mark.parametrize(
    ("kind", "names", "fusion"),
    [
        ("paper", TWO, "concat"),
        ("paper", THREE, "mlp"),
        ("entropy", TWO, "mlp"),
        ("entropy", THREE, "concat"),
        ("code", THREE, "concat"),
    ],
)
def test_it_is_the_slow_statement(names, fusion, kind):
    settings = SETTINGS[kind]
    fast, state = compare(names, settings, fusion=fusion)
    expected = state(None)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    beta, gamma = (base.by_epoch(expected, what) for what in ("beta", "gamma"))
    score = base.by_epoch(expected, "score")
    active = np.arange(EPOCHS) < settings.get("entropy_epochs", EPOCHS)
    for m in names:
        curves = {what: curve[m] for what, curve in fast.curves_.items() if m in curve}
        np.testing.assert_allclose(
            curves["prototype_weight"], settings["alpha"] * np.array(beta[m]), rtol=1e-8
        )
        factor = settings["mu"] * np.array(gamma[m]) * active
        np.testing.assert_allclose(curves["entropy_weight"], factor, rtol=1e-8)
        np.testing.assert_allclose(8 * curves["prototype_score"], score[m], rtol=1e-8)
        last = expected.records["prototypes"][-1][m]
        np.testing.assert_allclose(fast.method_.prototypes_[m], last, rtol=1e-8)
    assert max(map(max, beta.values())) > 0


def test_it_is_the_slow_statement_in_some_epochs_only():
    settings, active = SETTINGS["entropy"], range(1, 3)
    fast, slow = fit_fast(
        PMR(1.5, 0.3, entropy_weight=0.4, entropy_epochs=2), THREE, 4, active=active
    )
    rows = [np.arange(len(slow[2]))] * 5
    settings = {**settings, "entropy_epochs": 2, "q": 0.3, "active_epochs": active}
    expected = pmr.train(*slow, **SGD, **settings, prototype_rows=rows)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8


def test_every_wrong_rule_shows():
    settings = {"alpha": 2.0, "mu": 0.4, "entropy_epochs": 2}
    fast, state = compare(THREE, settings, 3, encoders__hidden=(16, 64), random_state=1)
    parameters = dict(fast.module_.named_parameters())
    assert base.disagreement(parameters, state(None)) < 1e-8
    hidden = [w for w in pmr.WRONG if base.disagreement(parameters, state(w)) < 1e-6]
    assert not hidden
