"""Missing modalities: the fast path against the slow statement, in float64, to 1e-10."""

import numpy as np
import parity
import pytest
import torch
from parity import BATCH, EPOCHS, compare, fit_fast, inputs_that_tell, slow_arguments, slow_inforeg

from inforeg_sk import InfoReg, MultimodalClassifier, presets
from inforeg_sk.network import MLPEncoder

TWO, THREE = ("audio", "text"), ("audio", "text", "video")
N = 90
SETTINGS = {
    **parity.SETTINGS,
    "drift_star": {**parity.SETTINGS["drift_star"], "alpha": {"audio": 5.0, "text": 2.0}},
    "always_drift": {
        **presets.method_settings(presets.PAPER_STAR),
        "window_threshold": -1e9,
        "alpha": 3.0,
        "pull": "decoupled",
    },
}


def draw_present(names, n=N, share=0.4, seed=1):
    """Masks that lack `share` of the values; in some batches nobody has a certain modality."""
    rng = np.random.default_rng(seed)
    present = {name: rng.random(n) >= share for name in names}
    # Nobody has audio in the second batch, nobody text in the fourth, nor video in the fifth.
    for batch, name in ((1, "audio"), (3, "text"), (4, "video")):
        if name in names:
            rows = slice(batch * BATCH, (batch + 1) * BATCH)
            present[name][rows] = False
    # Nobody is left with nothing.
    for i in range(n):
        if not any(mask[i] for mask in present.values()):
            absent = {1: "audio", 3: "text", 4: "video"}.get(i // BATCH)
            present[str(rng.choice([m for m in names if m != absent]))][i] = True
    # One sample has no variance, which batch normalisation needs: none here, or several.
    first = [present["audio"][i : i + BATCH].sum() for i in range(0, n, BATCH)]
    assert 0 in first and 1 not in first
    assert all(0.3 <= 1 - mask.mean() <= 0.62 for mask in present.values())
    return present


def make_data(names):
    y = np.random.default_rng(0).integers(0, 3, N)
    X = inputs_that_tell(names, y)
    present = draw_present(names)
    for name, mask in present.items():
        X[name][~mask] = np.nan
    return X, y, present


def check(setting, names, fusion="concat", conditioning=None, weighted=False, **kwargs):
    settings = dict(SETTINGS[setting])
    if isinstance(settings["alpha"], dict):
        settings["alpha"] = {k: v for k, v in settings["alpha"].items() if k in names}
    X, y, present = make_data(names)
    weight = np.random.default_rng(2).uniform(0.2, 3, N) if weighted else None
    if conditioning:
        kwargs["fusion__conditioning"] = conditioning
    clf, start = fit_fast(
        MultimodalClassifier,
        InfoReg(**settings),
        X,
        y,
        sample_weight=weight,
        fusion=fusion,
        missing="allow",
        **kwargs,
    )
    slow = slow_inforeg(
        X=X,
        y=y,
        present=present,
        sample_weight=weight,
        **slow_arguments(start, fusion, conditioning, N),
        **settings,
    )
    # The comparison means something only if the method did something.
    assert any((c > 0).any() for c in clf.curves_["coefficient"].values())
    compare(clf, slow)
    return clf, slow


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_slow_statement(setting, names):
    check(setting, names)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("fusion, conditioning", [("mlp", None), ("sum", None), ("gated", "text")])
@pytest.mark.parametrize("setting", ["paper_star", "authors_code", "drift"])
def test_equals_the_slow_statement_with_other_fusions(setting, fusion, conditioning, names):
    check(setting, names, fusion, conditioning)


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("setting", ["paper_star", "authors_code", "drift_star", "always"])
def test_equals_the_slow_statement_with_sample_weights(setting, names):
    check(setting, names, weighted=True)


def test_equals_the_slow_statement_with_film_and_weights():
    check("drift_star", THREE, "film", "video", weighted=True)


def test_objective_is_the_mean_over_batches():
    # All batches but the last are full, so compare on a whole number of batches.
    X, y, present = make_data(TWO)
    n = 5 * BATCH
    X, y = {k: v[:n] for k, v in X.items()}, y[:n]
    present = {k: v[:n] for k, v in present.items()}
    settings = SETTINGS["paper_star"]
    clf, start = fit_fast(MultimodalClassifier, InfoReg(**settings), X, y, missing="allow")
    slow = slow_inforeg(
        X=X, y=y, present=present, **slow_arguments(start, "concat", None, n), **settings
    )
    np.testing.assert_allclose(clf.history[:, "train_objective"], slow.loss, rtol=1e-10)


def test_an_encoder_stands_still_in_a_batch_that_lacks_it():
    # The modality is there in the first batch only, so that one step an epoch moves its encoder:
    # momentum and weight decay alone do not.
    X, y, _ = make_data(TWO)
    n = 4 * BATCH
    X = inputs_that_tell(TWO, y[:n].astype(float))
    X["text"][BATCH:] = np.nan
    present = {"text": np.arange(n) < BATCH}
    moves = []

    class Watch(MultimodalClassifier):
        def train_step(self, batch, **fit_params):
            before = [p.detach().clone() for p in self.module_.encoders["text"].parameters()]
            result = super().train_step(batch, **fit_params)
            after = self.module_.encoders["text"].parameters()
            moves.append(any(not torch.equal(a, b) for a, b in zip(before, after)))
            return result

    settings = SETTINGS["always"]
    clf, start = fit_fast(Watch, InfoReg(**settings), X, y[:n], missing="allow")
    assert moves == [True, False, False, False] * EPOCHS
    slow = slow_inforeg(
        X=X, y=y[:n], present=present, **slow_arguments(start, "concat", None, n), **settings
    )
    compare(clf, slow)
    # Three of four batches count 0 in its trace: the same epoch on its batch alone has 4 times.
    alone = {k: v[:BATCH] for k, v in X.items()}
    first, _ = fit_fast(Watch, InfoReg(**settings), alone, y[:BATCH], max_epochs=1)
    ratio = first.curves_["fisher_trace"]["text"][0] / clf.curves_["fisher_trace"]["text"][0]
    assert ratio == pytest.approx(4, rel=1e-10)


def test_an_epoch_in_which_nobody_has_a_modality():
    # Going on with data that lack it: nothing of it is recorded, nothing moves, nothing fails.
    X, y, _ = make_data(TWO)
    full = inputs_that_tell(TWO, y.astype(float))
    settings = SETTINGS["paper_star"]
    clf, _ = fit_fast(MultimodalClassifier, InfoReg(**settings), full, y, missing="allow")
    before = [p.detach().clone() for p in clf.encoders_["text"].parameters()]
    clf.partial_fit({"audio": full["audio"]}, y)
    assert np.isnan(clf.curves_["performance_score"]["text"][-1])
    assert clf.curves_["fisher_trace"]["text"][-1] == 0.0
    assert clf.curves_["coefficient"]["text"][-1] == clf.curves_["coefficient"]["audio"][-1] == 0.0
    for a, b in zip(before, clf.encoders_["text"].parameters()):
        assert torch.equal(a, b)
    clf.partial_fit(full, y)
    assert np.isfinite(clf.curves_["performance_score"]["text"][-1])
    assert all(np.isfinite(p.detach().numpy()).all() for p in clf.module_.parameters())


def test_order_of_modalities_changes_nothing():
    X, y, _ = make_data(THREE)
    fits = []
    for data in (X, dict(reversed(X.items()))):
        settings = SETTINGS["paper_star"]
        clf, _ = fit_fast(MultimodalClassifier, InfoReg(**settings), data, y, missing="allow")
        fits.append([p.detach().numpy() for p in clf.module_.parameters()])
    for a, b in zip(*fits, strict=True):
        assert np.array_equal(a, b)


def test_weights_are_repetitions_with_missing_modalities():
    X, y, _ = make_data(THREE)
    weight = np.random.default_rng(0).integers(1, 4, N)
    rows = np.repeat(np.arange(N), weight)
    # One batch, and no batch normalisation, which counts a repeated sample twice.
    settings = {"missing": "allow", "batch_size": -1, "encoders": MLPEncoder}
    method = InfoReg(**SETTINGS["always_drift"])
    weighted, _ = fit_fast(MultimodalClassifier, method, X, y, sample_weight=weight, **settings)
    repeated, _ = fit_fast(
        MultimodalClassifier, method, {k: v[rows] for k, v in X.items()}, y[rows], **settings
    )
    for a, b in zip(weighted.module_.parameters(), repeated.module_.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-11)
    for name in THREE:
        for curve in ("coefficient", "performance_score", "fisher_trace"):
            a, b = weighted.curves_[curve][name], repeated.curves_[curve][name]
            np.testing.assert_allclose(a, b, rtol=1e-9)
