"""What the estimators do with class labels: encode, weigh, predict and score them."""

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array
from skorch.callbacks import EpochScoring
from skorch.utils import is_dataset
from torch import nn

from ._validation import check_sample_weight, check_y_given

__all__ = ["Classes", "Classification"]


class Classes(NamedTuple):
    """The labels that a classifier knows."""

    labels: np.ndarray  # sorted

    @property
    def n_outputs(self):
        return len(self.labels)

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


def joint_accuracy(net, X, y):
    """Accuracy on a dataset whose labels are encoded, as skorch's callbacks hold them."""
    return float((net.forward(X).argmax(dim=1).cpu().numpy() == y).mean())


class Classification(ClassifierMixin):
    """The kind of target of `MultimodalClassifier`; see `Fitting` for the hooks."""

    _task = "classification"
    _scores = ("log_probability", "probability_sum", "negative_loss")
    _criterion_classes = (nn.CrossEntropyLoss,)
    _metric = staticmethod(accuracy_score)

    @property
    def _scoring_callbacks(self):
        accuracy = EpochScoring(joint_accuracy, name="valid_acc", lower_is_better=False)
        return [("valid_acc", accuracy)]

    # Fitting

    def _check_target(self, y, n_samples):
        """Return the labels as a 1-D array, or raise."""
        check_y_given(y, self)
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        y = column_or_1d(y, warn=True)
        if len(y) != n_samples:
            raise ValueError(f"y has {len(y)} labels, but X has {n_samples} samples.")
        if y.dtype.kind == "S" or (y.dtype == object and any(isinstance(v, bytes) for v in y)):
            raise TypeError(
                "y holds labels of bytes; string or integer labels are accepted, such as "
                "y.astype(str)."
            )
        try:
            check_classification_targets(y)
        except TypeError as error:
            kinds = sorted({type(label).__name__ for label in y.tolist()})
            if len(kinds) == 1:
                raise
            raise TypeError(
                f"y mixes labels of the types {', '.join(kinds)}, which have no order: give "
                "labels of one type."
            ) from error
        return y

    def _first_target(self, y, sample_weight, classes=None):
        """Learn the sorted class labels of a first fit, or raise if there is only one."""
        if classes is not None:
            classes = np.asarray(classes)
            infinite = classes.dtype.kind == "f" and not np.isfinite(classes).all()
            if classes.ndim != 1 or infinite:
                raise ValueError(f"classes={classes.tolist()}: a 1-D array of labels is needed.")
        found = np.unique(y if classes is None else classes)
        if len(found) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes; y has one class, "
                f"{found.tolist()[0]!r}."
            )
        return Classes(found)

    def _fitted_target(self):
        return Classes(self.classes_)

    def _take_target(self, target):
        self.classes_ = target.labels

    def _weights(self, sample_weight, y, target):
        """Combine sample and class weights (float64); None if there are neither."""
        weight = check_sample_weight(sample_weight, len(y))
        if self.class_weight is None:
            return weight
        weight = np.ones(len(y)) if weight is None else weight
        weight *= class_weights(self.class_weight, y, target)
        if not weight.any():
            raise ValueError("All weights are 0: at least one sample must count.")
        return weight

    def _check_criterion(self):
        super()._check_criterion()
        settings = self.get_params_for("criterion")
        if "weight" in settings or getattr(self.criterion, "weight", None) is not None:
            raise ValueError(
                "criterion__weight is not accepted: weights are given as class_weight or "
                "sample_weight."
            )
        smoothing = settings.get("label_smoothing", 0.0)
        if not isinstance(smoothing, Real) or not 0 <= smoothing <= 1:
            raise ValueError(
                f"criterion__label_smoothing={smoothing!r}: a number in [0, 1] is needed."
            )

    # Prediction

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``
            The same modalities, with samples of the same shape.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        self.check_is_fitted()
        return _softmax(self.forward(X))

    def predict(self, X):
        """Class labels.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        # In a callback X is a dataset, whose labels are encoded: so are these.
        return best if is_dataset(X) else self.classes_[best]

    def predict_proba_by_modality(self, X):
        """Probabilities from each modality's unimodal logits.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
            Rows of NaN where a sample lacks the modality.
        """
        return {name: _softmax(u) for name, u in self._unimodal_outputs(X)[0].items()}

    def _decide(self, outputs):
        return self.classes_[self._decide_encoded(outputs)]

    def _decide_encoded(self, outputs):
        return outputs.argmax(dim=1).numpy()


def class_weights(class_weight, y, target):
    """Weight of each sample by its class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        scikit-learn's meaning: weights by class label, or ``n / (n_classes * count)``.
    y : ndarray of shape (n_samples,)
        Labels.
    target : Classes

    Returns
    -------
    ndarray of float64 of shape (n_samples,)
    """
    classes, position = target.labels, target.encode(y, None)
    # Classes that this batch of data lacks (partial_fit) have no count; theirs is not used.
    present = np.unique(position)
    if isinstance(class_weight, Mapping):
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown:
            raise ValueError(
                f"class_weight names the unknown class {unknown[0]!r}; the classes are "
                f"{classes.tolist()}."
            )
        for label, value in class_weight.items():
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(
                    f"class_weight[{label!r}]={value!r}: a finite number of at least 0 is needed."
                )
        class_weight = {c: class_weight.get(c, 1.0) for c in classes[present].tolist()}
    by_class = np.ones(len(classes))
    by_class[present] = compute_class_weight(
        class_weight, classes=classes[present], y=classes[position]
    )
    return by_class[position]


def _softmax(logits):
    # In double precision: rows add up to 1 as closely as scikit-learn's tools expect.
    return logits.cpu().double().softmax(dim=1).numpy()
