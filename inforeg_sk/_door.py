"""The door: whatever the user gives as X, y and weights becomes checked arrays, or an error."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.utils import compute_class_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

from ._validation import (
    as_modalities,
    as_table,
    check_known_modalities,
    check_shapes,
    numeric_modalities,
)
from .columns import resolve_columns, split_columns

__all__ = ["Entry", "encode_target", "enter", "enter_again", "sample_weights"]

#: Name of the one modality that a 2-D array without a column map becomes.
SINGLE = "X"


class Entry(NamedTuple):
    """Checked data, and what a fit has to remember of them."""

    X: dict  # modality -> array of the network's type, in sorted-name order
    columns: dict | None  # resolved column map; None: X was a mapping
    table: object  # the table itself, for its column names; None: X was a mapping

    @property
    def n_samples(self):
        return len(next(iter(self.X.values())))

    @property
    def shapes(self):
        return {name: array.shape[1:] for name, array in self.X.items()}


def enter(X, estimator, dtype):
    """Check the data of a first fit.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
    estimator : MultimodalClassifier
        For its parameter `modalities`, and its name in errors. Nothing is set on it.
    dtype : numpy dtype

    Returns
    -------
    Entry
    """
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        if estimator.modalities is not None:
            raise ValueError(
                "modalities= cuts a 2-D array or DataFrame, but X is a mapping and names its "
                "modalities itself; leave modalities at None."
            )
        return Entry(numeric_modalities(as_modalities(X), dtype), None, None)
    table = as_table(X, estimator)
    columns = {SINGLE: slice(None)}
    if estimator.modalities is not None:
        columns = resolve_columns(table, estimator.modalities)
    return Entry(numeric_modalities(split_columns(table, columns), dtype), columns, table)


def enter_again(X, estimator):
    """Check data for a fitted estimator: the same modalities and shapes as in ``fit``.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
        A table if ``fit`` got one, else a mapping.
    estimator : MultimodalClassifier
        Fitted; its network's floating type counts.

    Returns
    -------
    dict of str to ndarray
    """
    name = type(estimator).__name__
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        X = as_modalities(X)
        check_known_modalities(X.modalities, estimator.modalities_, name)
    else:
        if estimator._columns is None:
            raise ValueError(
                f"{name} was fitted with a mapping of the modalities "
                f"{', '.join(map(repr, estimator.modalities_))}; got {type(X).__name__}."
            )
        table = as_table(X, estimator)
        validate_data(estimator, table, reset=False, skip_check_array=True)
        X = split_columns(table, estimator._columns)
    arrays = numeric_modalities(X, estimator._dtype)
    check_shapes(arrays, estimator._shapes)
    return arrays


def encode_target(y, classes):
    """Return the positions of labels in the sorted `classes`, or raise for an unknown one."""
    position = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = y[classes[position] != y]
    if len(unknown):
        raise ValueError(
            f"y holds the label {unknown[:1].tolist()[0]!r}, which is not among the classes "
            f"{classes.tolist()} of the first fit."
        )
    return position.astype(np.int64)


def first_classes(y, estimator, classes=None):
    """Return the sorted class labels of a first fit, or raise if there is only one."""
    if classes is not None:
        classes = np.asarray(classes)
        bad = classes.ndim != 1 or (classes.dtype.kind == "f" and not np.isfinite(classes).all())
        if bad:
            raise ValueError(f"classes={classes.tolist()}: a 1-D array of labels is needed.")
    found = np.unique(y if classes is None else classes)
    if len(found) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs samples of at least 2 classes; y has one class, "
            f"{found.tolist()[0]!r}."
        )
    return found


def sample_weights(sample_weight, class_weight, target, classes, X):
    """Combine sample and class weights; None if there are neither.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
    class_weight : dict, "balanced" or None
        scikit-learn's meaning: weights by class label, or ``n / (n_classes * count)``.
    target : ndarray of int of shape (n_samples,)
        Encoded labels.
    classes : ndarray
        Class labels.
    X : object with ``shape``
        For the number of samples.

    Returns
    -------
    ndarray of float64 of shape (n_samples,) or None
    """
    if sample_weight is None and class_weight is None:
        return None
    if sample_weight is not None and (axes := np.asarray(sample_weight).ndim) > 1:
        raise ValueError(
            f"sample_weight must be a 1D array of shape ({len(target)},); got one of {axes}D."
        )
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, copy=True)
    if weight.min() < 0:
        raise ValueError(
            f"sample_weight holds the negative value {weight.min():g}; weights are at least 0."
        )
    if class_weight is not None:
        # Classes that this batch of data lacks (partial_fit) have no count; theirs is not used.
        present = np.unique(target)
        labels = classes[target]
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
                        f"class_weight[{label!r}]={value!r}: a finite number of at least 0 is "
                        "needed."
                    )
            class_weight = {c: class_weight.get(c, 1.0) for c in classes[present].tolist()}
        by_class = np.ones(len(classes))
        by_class[present] = compute_class_weight(class_weight, classes=classes[present], y=labels)
        weight *= by_class[target]
    if not weight.any():
        raise ValueError("All weights are 0: at least one sample must count.")
    return weight
