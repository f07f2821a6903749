"""Fits that are made together, beside single ones."""

import warnings

import numpy as np
from closed_runs import assert_equal_fits
from sklearn.base import clone

from inforeg_sk import ModalityDict
from inforeg_sk.model_selection.fits import fit_all

N = 150
SETTINGS = {
    "max_epochs": 10,
    "batch_size": 16,
    "dtype": "float64",
    "device": "cpu",
    "random_state": 0,
    "encoders__hidden": 6,
    "lr": 0.01,
}
OPEN = {"window_threshold": -1e9}
# Of several lengths, so that their numbers of batches differ, and one with a full last batch.
FOLDS = [np.arange(N)[20:], np.r_[0:70, 90:130], np.arange(0, 96), np.arange(5, 150)]


def make_data(names=("text", "audio", "video"), task="classification"):
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=N)
    shapes = {"text": (7,), "audio": (4, 3), "video": (5,)}
    X = {
        m: rng.normal(size=(N, *shapes[m])) + label.reshape(-1, *[1] * len(shapes[m]))
        for m in names
    }
    y = np.array(["a", "b", "c"])[label] if task == "classification" else label + rng.normal(size=N)
    return ModalityDict(X), y


def check(base, grid, X, y, sizes, stacks, fit_params=None, folds=FOLDS):
    """All of a grid on all folds, together and one by one; `sizes` are those of the stacks."""
    jobs = [(clone(base).set_params(**point), rows) for rows in folds for point in grid]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit_all([e for e, _ in jobs], X, y, [r for _, r in jobs], fit_params=fit_params)
        assert sorted(stacks) == sorted(sizes)
        for (estimator, rows), one in zip(jobs, found, strict=True):
            assert one.error is None and one.fit_time > 0
            cut = {k: np.asarray(v)[rows] for k, v in (fit_params or {}).items()}
            alone = clone(estimator).fit(X[rows], y[rows], **cut)
            assert one.estimator is estimator
            assert_equal_fits(estimator, alone)
            assert list(estimator.history_[0]) == list(alone.history_[0])
            assert list(estimator.curves_) == list(alone.curves_)
            np.testing.assert_allclose(
                estimator.history_[:, "batches", :, "train_loss"],
                alone.history_[:, "batches", :, "train_loss"],
                rtol=1e-10,
            )
            assert (estimator.predict(X) == alone.predict(X)).all() or y.dtype.kind == "f"
            yield estimator, alone, rows


ALPHAS = [{"alpha": a} for a in (0.0, 0.5, 3.0)]
