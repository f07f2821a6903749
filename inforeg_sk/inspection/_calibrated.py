"""What each modality says inside a joint network, brought to the scale of a prediction."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ..estimator.scoring import (
    ClassifierOfOutputs,
    RegressorOfOutputs,
    check_single_scoring,
    one_score,
)

__all__ = ["calibrated_scores"]

# Logarithms of the factors tried.
_REACH = (-3.0, 3.0)
_LEAST = np.finfo(np.float64).tiny


def calibrated_scores(network, X_train, y_train, X, y, scoring):
    """Score each modality's outputs after one factor (and in regression an offset) each.

    Where modalities say the same, each contributes a part of the joint output only, and its own is
    too small: a share of the work, not a head that neglects it. The factor is learned on the
    training part.

    Parameters
    ----------
    network : MultimodalEstimator
        Fitted.
    X_train, y_train, X, y : training and test part
    scoring : str, callable or None

    Returns
    -------
    dict of str to float
    """
    classifies = hasattr(network, "predict_proba_by_modality")
    ask = network.predict_proba_by_modality if classifies else network.predict_by_modality
    before, after = ask(X_train), ask(X)
    scores = {}
    for name, said in after.items():
        rows = _rows(said)
        if not rows.any():
            continue
        known = _rows(before[name])
        train = before[name][known], y_train[known]
        if classifies:
            stand_in = _with_temperature(network.classes_, *train, said[rows])
        else:
            stand_in = RegressorOfOutputs(_with_slope(*train, said[rows]))
        scorer = check_single_scoring(stand_in, scoring, "diagnose")
        numbers = np.arange(rows.sum())[:, None]
        scores[name] = one_score(scorer, stand_in, numbers, y[rows])
    return scores


def _rows(values):
    return ~np.isnan(values.reshape(len(values), -1)).any(axis=1)


def _with_temperature(classes, proba, y, said):
    """A classifier of probabilities whose logarithms are multiplied by the best factor."""
    logs = np.log(np.maximum(proba.astype(np.float64), _LEAST))
    codes = np.searchsorted(classes, y)

    def loss(log_factor):
        spoken = log_softmax(np.exp(log_factor) * logs, axis=1)
        return -spoken[np.arange(len(codes)), codes].mean()

    factor = np.exp(minimize_scalar(loss, bounds=_REACH, method="bounded").x)
    logs = np.log(np.maximum(said.astype(np.float64), _LEAST))
    scaled = np.exp(log_softmax(factor * logs, axis=1))
    return ClassifierOfOutputs(classes[scaled.argmax(axis=1)], scaled, classes)


def _with_slope(predicted, y, said):
    """Predictions with the slope and offset, for each output, that fit the training part best."""
    made = []
    columns = (a.reshape(len(a), -1).T for a in (predicted, y, said))
    for old, truth, new in zip(*columns, strict=True):
        centered = old - old.mean()
        variance = float(centered @ centered)
        slope = float(centered @ (truth - truth.mean())) / variance if variance > 0 else 0.0
        made.append(truth.mean() + slope * (new - old.mean()))
    return np.stack(made, axis=1).reshape(said.shape)
