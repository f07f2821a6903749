"""The two kinds of target: class labels, and numbers; held by an estimator, not inherited."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Number, Real
from typing import ClassVar

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array
from skorch.callbacks import EpochScoring
from torch import nn

from ..data.target import as_labels, as_numbers, kinds_of_labels
from ..utils.compat import check_weights

__all__ = ["ClassLabels", "TargetScaler", "check_sample_weight"]


@dataclass(frozen=True)
class ClassLabels:
    """The class labels that a classifier knows, and what is particular to them.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
        Sorted.
    """

    labels: np.ndarray

    task: ClassVar = "classification"
    scores: ClassVar = (
        "log_probability",
        "probability_sum",
        "negative_loss",
    )  # the first is "auto"
    criteria: ClassVar = (nn.CrossEntropyLoss,)
    metric = staticmethod(accuracy_score)

    @property
    def n_outputs(self):
        return len(self.labels)

    @classmethod
    def fit(cls, y, owner, sample_weight=None, classes=None):
        """Learn the sorted class labels of a first fit, or raise if there is only one."""
        if classes is not None:
            classes = _check_classes(classes, owner)
        found = np.unique(y if classes is None else classes)
        if len(found) < 2:
            raise ValueError(
                f"{owner} needs samples of at least 2 classes; y has one class, "
                f"{found.tolist()[0]!r}."
            )
        return cls(found)

    def encode(self, y, dtype):
        """Positions of labels among the classes (int64), or an error for an unknown one."""
        position = np.searchsorted(self.labels, y).clip(max=len(self.labels) - 1)
        unknown = y[self.labels[position] != y]
        if len(unknown):
            raise ValueError(
                f"y holds the label {unknown[:1].tolist()[0]!r}, which is not among the classes "
                f"{self.labels.tolist()} of the first fit."
            )
        return position.astype(np.int64)

    def decode(self, outputs):
        """Labels from logits (Tensor of shape (n_samples, n_classes))."""
        return self.labels[outputs.argmax(dim=1).numpy()]

    @staticmethod
    def proba(outputs):
        """Probabilities of the classes (ndarray of float64) from logits."""
        # In double precision: rows add up to 1 as closely as scikit-learn's tools expect.
        return outputs.cpu().double().softmax(dim=1).numpy()

    @staticmethod
    def callbacks():
        """Callbacks beside skorch's defaults: pairs of name and callback."""
        accuracy = EpochScoring(joint_accuracy, name="valid_acc", lower_is_better=False)
        return [("valid_acc", accuracy)]

    @staticmethod
    def check(y, n_samples, estimator):
        """Return the labels as a 1-D array, or raise."""
        check_y_given(y, estimator)
        y = as_labels(y, type(estimator).__name__)
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=estimator)
        y = column_or_1d(y, warn=True)
        if len(y) != n_samples:
            raise ValueError(f"y has {len(y)} labels, but X has {n_samples} samples.")
        kinds = {"bytes"} if y.dtype.kind == "S" else kinds_of_labels(y)
        if "bytes" in kinds:
            kinds = {"bytes"}
        if len(kinds) > 1:
            raise TypeError(
                f"y mixes labels of the types {', '.join(sorted(kinds))}, which have no order: "
                "give labels of one type."
            )
        if kinds - {"str"}:
            raise TypeError(
                f"y holds labels of {kinds.pop()}; string or integer labels are accepted, such as "
                "y.astype(str)."
            )
        check_classification_targets(y)
        return y

    def weights(self, sample_weight, y, class_weight):
        """Combine sample and class weights (float64); None if there are neither."""
        weight = check_sample_weight(sample_weight, len(y))
        if class_weight is None:
            return weight
        weight = np.ones(len(y)) if weight is None else weight
        weight *= class_weights(class_weight, y, self, weight)
        if not weight.any():
            raise ValueError("All weights are 0: at least one sample must count.")
        return weight

    @staticmethod
    def check_criterion(criterion, settings, owner):
        """Refuse settings of the criterion that are given elsewhere, or out of range."""
        if "weight" in settings or getattr(criterion, "weight", None) is not None:
            raise ValueError(
                "criterion__weight is not accepted: weights are given as class_weight or "
                "sample_weight."
            )
        smoothing = settings.get("label_smoothing", 0.0)
        if not isinstance(smoothing, Real) or not 0 <= smoothing <= 1:
            raise ValueError(
                f"The 'criterion__label_smoothing' parameter of {owner} must be a float in [0, 1]. "
                f"Got {smoothing!r}."
            )


@dataclass(frozen=True)
class TargetScaler:
    """Mean and scale of a target of numbers, by output, and what is particular to it.

    Parameters
    ----------
    mean, scale : ndarray of float64 of shape (n_outputs,)
    flat : bool
        Whether the target is 1-D.
    """

    mean: np.ndarray
    scale: np.ndarray
    flat: bool

    task: ClassVar = "regression"
    scores: ClassVar = ("negative_loss",)
    criteria: ClassVar = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
    metric = staticmethod(r2_score)
    labels: ClassVar = None
    proba: ClassVar = None

    @property
    def n_outputs(self):
        return len(self.mean)

    @classmethod
    def fit(cls, y, owner, sample_weight=None, classes=None):
        """Learn mean and standard deviation, by output, with the sample weights."""
        weight = check_sample_weight(sample_weight, len(y))
        table = y.reshape(len(y), -1)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(table, axis=0, weights=weight)
            scale = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=weight))
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            raise ValueError("The values of y are too large to take their variance: scale them.")
        # A constant has no spread, or only that of rounding.
        scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
        return cls(mean, scale, y.ndim == 1)

    def encode(self, y, dtype):
        """Targets of mean 0 and standard deviation 1 in the first fit, (n_samples, n_outputs)."""
        y = y.reshape(len(y), -1)
        if y.shape[1] != self.n_outputs:
            raise ValueError(
                f"y has {y.shape[1]} output(s) a sample, but had {self.n_outputs} in the first fit."
            )
        with np.errstate(over="ignore"):
            encoded = ((y - self.mean) / self.scale).astype(dtype)
        if not np.isfinite(encoded).all():
            row = int(np.argmin(np.isfinite(encoded).all(axis=1)))
            raise ValueError(
                f"y has a value in row {row} that is too far from those of the first fit for "
                f"{np.dtype(dtype)}: scale it, or use dtype='float64'."
            )
        return encoded

    def decode(self, outputs):
        """Predictions in the units and the shape of the target."""
        values = outputs.double().numpy() * self.scale + self.mean
        return values[:, 0] if self.flat else values

    @staticmethod
    def callbacks():
        """Callbacks beside skorch's defaults: none."""
        return []

    @staticmethod
    def check(y, n_samples, estimator):
        """Return the target as float64, or raise."""
        check_y_given(y, estimator)
        y = as_numbers(y, type(estimator).__name__)
        try:
            y = check_array(
                y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=estimator
            )
        except (TypeError, ValueError) as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(
                f"y must hold numbers for {type(estimator).__name__} ({error}); labels are for a "
                "classifier, such as MultimodalInfoRegClassifier."
            ) from error
        if y.ndim > 2:
            raise ValueError(
                f"y must have shape (n_samples,) or (n_samples, n_outputs). Got {y.shape}."
            )
        if len(y) != n_samples:
            raise ValueError(f"y has {len(y)} values, but X has {n_samples} samples.")
        return y

    def weights(self, sample_weight, y, class_weight=None):
        """Sample weights (float64) or None."""
        return check_sample_weight(sample_weight, len(y))

    @staticmethod
    def check_criterion(criterion, settings, owner):
        """Any settings will do."""


def _check_classes(classes, owner):
    try:
        array = np.asarray(as_labels(classes, owner, "classes"))
        if len(kinds_of_labels(array)) > 1:
            raise ValueError("classes mixes types of labels.")
        if array.ndim != 1 or (array.dtype.kind == "f" and not np.isfinite(array).all()):
            raise ValueError("classes is not a 1-D array of finite labels.")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The 'classes' parameter of {owner}.partial_fit must be a 1-D array of labels of one "
            f"type, none missing. Got {classes!r}."
        ) from error
    return array


def check_y_given(y, estimator):
    """Raise if there is no target."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )


def check_sample_weight(sample_weight, n_samples):
    """Return sample weights as float64, or raise; None stays None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        At least 0, and not all 0.
    n_samples : int

    Returns
    -------
    ndarray of float64 of shape (n_samples,) or None
        A copy.
    """
    if sample_weight is None:
        return None
    if not isinstance(sample_weight, Number):
        sample_weight = as_numbers(sample_weight, "the fit", "sample_weight", "weight")
    if (axes := np.asarray(sample_weight).ndim) > 1:
        raise ValueError(
            f"sample_weight must be a 1D array of shape ({n_samples},); got one of {axes}D."
        )
    weight = check_weights(sample_weight, n_samples)
    if weight.min() < 0:
        raise ValueError(
            f"sample_weight holds the negative value {weight.min():g}; weights are at least 0."
        )
    if not weight.any():
        raise ValueError("All weights are 0: at least one sample must count.")
    return weight


def class_weights(class_weight, y, target, sample_weight):
    """Weight of each sample by its class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        scikit-learn's meaning: weights by class label, or ``n / (n_classes * count)``, where
        weights count as numbers of samples.
    y : ndarray of shape (n_samples,)
        Labels.
    target : ClassLabels
    sample_weight : ndarray of float64 of shape (n_samples,)

    Returns
    -------
    ndarray of float64 of shape (n_samples,)
        0 for a class whose samples all have weight 0, if balanced.
    """
    classes, position = target.labels, target.encode(y, None)
    if not isinstance(class_weight, Mapping):
        counts = np.bincount(position, weights=sample_weight, minlength=len(classes))
        n_classes = len(np.unique(position))
        by_class = np.divide(
            counts.sum(), n_classes * counts, np.zeros_like(counts), where=counts > 0
        )
        return by_class[position]
    known, named = classes.tolist(), set(class_weight)
    # As in scikit-learn, a name too many is a class that these data lack, unless one is without.
    unknown, without = named.difference(known), [label for label in known if label not in named]
    if unknown and without:
        label = next(label for label in class_weight if label in unknown)
        raise ValueError(
            f"class_weight names the unknown class {label!r}, and not {without[0]!r}; the classes "
            f"are {known}."
        )
    for label, value in class_weight.items():
        if not _is_weight(value):
            raise ValueError(
                f"class_weight[{label!r}] must be a finite number of at least 0. Got {value!r}."
            )
    return np.array([float(class_weight.get(label, 1.0)) for label in known])[position]


def _is_weight(value):
    try:
        return bool(np.isfinite(value) and value >= 0)
    except (TypeError, ValueError):
        return False


def joint_accuracy(net, X, y):
    """Accuracy on a dataset or on data, as skorch's callbacks hand them on."""
    return float((net.target_.decode(net.forward(X)) == y).mean())
