"""What a fitted network says of each modality by itself."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_consistent_length

from ..data.checks import check_rows_beside
from ..utils.compat import safe_indexing
from ..utils.parameters import Options, check_parameter
from .scoring import ClassifierOfOutputs, RegressorOfOutputs, check_single_scoring, one_score

__all__ = ["Reading", "by_modality", "check_scored", "features_of", "score_by_modality"]


def by_modality(estimator, X, function):
    """Apply a function to the features, batch by batch, in evaluation mode.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Fitted.
    X : Dataset, or what ``predict`` takes
    function : callable
        Maps the dict of features to a dict of Tensors of shape (n_samples, ...).

    Returns
    -------
    values : dict of str to Tensor of shape (n_samples, ...)
        In the order of `modalities_`, on the CPU; NaN where a sample lacks the modality.
    present : dict of str to ndarray of bool of shape (n_samples,)
    """
    dataset = estimator.get_dataset(X)
    estimator._set_training(False)
    names = estimator.modalities_
    parts, masks = {name: [] for name in names}, []
    with torch.no_grad():
        for batch, _ in estimator.get_iterator(dataset, training=False):
            output = estimator.infer(batch)
            present = output.presence.to(output.logits.device).matrix(names)
            present = present.to(output.logits.device)
            values = function(output.features)
            for i, (name, part) in enumerate(parts.items()):
                part.append(values[name].masked_fill(~present[:, i : i + 1], torch.nan).cpu())
            masks.append(present.cpu())
    present = torch.cat(masks).numpy()
    return (
        {name: torch.cat(values) for name, values in parts.items()},
        {name: present[:, i] for i, name in enumerate(parts)},
    )


def features_of(estimator, network, X):
    """Features of each modality from another network of the estimator's shape.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Fitted; it does not change.
    network : MultimodalNetwork
    X : as in ``predict``

    Returns
    -------
    dict of str to ndarray of shape (n_samples, n_features)
        Rows of NaN where a sample lacks the modality.
    """
    twin = object.__new__(type(estimator))
    vars(twin).update(vars(estimator), module_=network)
    features, _ = by_modality(twin, X, lambda features: features)
    return {name: z.numpy() for name, z in features.items()}


def check_scored(X, y, sample_weight, samples):
    """Check what ``score_by_modality`` of an estimator that combines others is given.

    Parameters
    ----------
    X : as in ``fit``
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,) or None
    samples : {"common", "each"}
    """
    check_parameter("samples", samples, [Options("common", "each")], "score_by_modality")
    check_rows_beside(X, {"y": y, "sample_weight": sample_weight})


class Reading(NamedTuple):
    """How the unimodal outputs of an estimator are read.

    Parameters
    ----------
    decode : callable
        From outputs to predictions.
    metric : callable
        ``(y_true, y_pred, sample_weight=None) -> float``, the score where no other is asked for.
    classes : ndarray of shape (n_classes,), default=None
        None: the estimator is a regressor.
    proba : callable, default=None
        From outputs to probabilities of the classes; None: they are probabilities.
    """

    decode: Callable
    metric: Callable
    classes: np.ndarray | None = None
    proba: Callable | None = None

    @classmethod
    def of_probabilities(cls, classes):
        """Outputs are probabilities of these classes; the score is the accuracy."""
        return cls(lambda proba: classes[proba.argmax(axis=1)], accuracy_score, classes)

    @classmethod
    def of_numbers(cls):
        """Outputs are predictions of a regressor; the score is R^2."""
        return cls(lambda predicted: predicted, r2_score)

    def stand_in(self, outputs):
        """Something like an estimator that scorers can ask, by numbers of rows."""
        predicted = self.decode(outputs)
        if self.classes is None:
            return RegressorOfOutputs(predicted)
        proba = outputs if self.proba is None else self.proba(outputs)
        return ClassifierOfOutputs(predicted, np.asarray(proba), self.classes)


def score_by_modality(outputs, present, y, sample_weight, samples, reading, scoring=None):
    """Score of each modality's unimodal outputs.

    Parameters
    ----------
    outputs, present : dict
        From `by_modality`.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,) or None
    samples : {"common", "each"}
        See `MultimodalEstimator.score_by_modality`.
    reading : Reading
    scoring : str, callable or None, default=None
        None: the metric of `reading`.

    Returns
    -------
    dict of str to float
    """
    check_consistent_length(next(iter(outputs.values())), y, sample_weight)
    names = [name for name in outputs if present[name].any()]
    if samples == "common":
        common = np.logical_and.reduce([present[name] for name in names])
        if not common.any():
            raise ValueError(
                f"No sample has all of {', '.join(map(repr, names))}, so their scores do not "
                "compare; samples='each' scores each modality on the samples that have it."
            )
        present = dict.fromkeys(names, common)
    scores = {}
    for name in names:
        rows, truth, weight = present[name], y, sample_weight
        if not rows.all():
            truth = safe_indexing(y, rows)
            weight = None if weight is None else np.asarray(weight)[rows]
        outputs_here = outputs[name][rows]
        if scoring is None:
            predicted = reading.decode(outputs_here)
            scores[name] = float(reading.metric(truth, predicted, sample_weight=weight))
            continue
        stand_in = reading.stand_in(outputs_here)
        scorer = check_single_scoring(stand_in, scoring, "score_by_modality")
        numbers = np.arange(len(outputs_here))[:, None]
        scores[name] = one_score(scorer, stand_in, numbers, truth, weight)
    return scores
