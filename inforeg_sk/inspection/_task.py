"""What a diagnosis is asked: the network, the steps in front of it, and its data in folds."""

from collections.abc import Iterable
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline

from ..compose import ModalityTransformer
from ..data.checks import SINGLE, as_selectable, check_modalities, check_rows_beside
from ..data.columns import ColumnsToModalities, as_blocks
from ..data.container import ModalityDict, is_mapping
from ..data.mistakes import refuse_swapped, refuse_target, refuse_unnamed
from ..ensemble.experts import only, present_rows, rows_with
from ..ensemble.folds import assign_folds
from ..estimator import MultimodalEstimator
from ..model_selection.parts import Part
from ..training.device import resolve_dtype
from ..utils.callers import warn_caller
from ..utils.compat import safe_indexing

__all__ = ["MOST_CLASSES", "Fold", "Folds", "Task", "make_folds"]

_OWNER = "diagnose"
#: Whole numbers may be classes up to so many different ones.
MOST_CLASSES = 20


class Task(NamedTuple):
    """An estimator taken apart.

    Parameters
    ----------
    steps : list of tuple of str and transformer
        In front of the network; of a table the last one cuts it into modalities.
    network : MultimodalEstimator
        It takes a mapping of modalities.
    name : str or None
        Of the network among the steps of a Pipeline; None: it stood by itself.
    pool_experts : dict of str to list of str, default=None
        Experts of the evidence pool.
    """

    steps: list
    network: MultimodalEstimator
    name: str | None
    pool_experts: dict | None = None

    @classmethod
    def of(cls, estimator, X):
        """Take an estimator apart, for data of the form of X.

        Raises
        ------
        TypeError
            If it is none of this library's, nor a Pipeline that ends in one.
        """
        steps, name, network = [], None, estimator
        if isinstance(estimator, Pipeline) and estimator.steps:
            *steps, (name, network) = estimator.steps
        if isinstance(network, type) or not isinstance(network, MultimodalEstimator):
            raise TypeError(
                "The 'estimator' parameter of diagnose must be a MultimodalClassifier or "
                "MultimodalRegressor, or a Pipeline that ends in one, not fitted or fitted: its "
                f"encoders are what is diagnosed. Got {estimator!r}{_hint(network)}"
            )
        network = clone(network)
        if network.modalities is not None or not (steps or is_mapping(X)):
            columns = {SINGLE: slice(None)} if network.modalities is None else network.modalities
            cutter = ColumnsToModalities(as_blocks(columns))
            steps = [*steps, ("modalities", cutter)]
            network.set_params(modalities=None)
        return cls(steps, network, name)

    @property
    def classifies(self):
        return type(self.network).target_class.task == "classification"

    @property
    def missing(self):
        return self.network.missing

    def whole(self, estimator, names=None):
        """An estimator that takes what the user has, from one that takes modalities.

        Parameters
        ----------
        estimator : estimator
            Not fitted.
        names : tuple of str, default=None
            Modalities that it is to get; None: all.
        """
        steps = [(name, clone(step)) for name, step in self.steps]
        if names is not None:
            kept = ModalityTransformer(dict.fromkeys(names, "passthrough"), remainder="drop")
            if self.missing == "allow":
                kept.set_params(missing="allow")
            steps.append(("selection", kept))
        if not steps:
            return estimator
        ends = [(self.name or "network", estimator)]
        if isinstance(estimator, Pipeline):
            ends = estimator.steps
        for name, step in ends:
            while name in {taken for taken, _ in steps}:
                name += "_"
            steps.append((name, step))
        return Pipeline(steps)


class Fold:
    """A training and a test part, as modalities.

    Parameters
    ----------
    task : Task
    place : tuple of int and int
        Of the seed among the seeds, and of the fold among the folds.
    seed : int
    train, test : ndarray of int
    X : as given
    y : ndarray
    groups : ndarray or None

    Attributes
    ----------
    seed : int
        Of the networks of this fold: of `seed` and the number of the fold.
    repeat : int
        `seed` as it was given.
    y_train, y_test, groups, groups_test, all_groups : ndarray
        `groups` are those of the training part, or None; `all_groups` those of all samples.
    """

    def __init__(self, task, place, seed, train, test, X, y, groups):
        self._task, self.place, self.repeat = task, place, seed
        # Folds of one seed with the same initial weights would have their luck in common.
        self.seed = int(np.random.SeedSequence([seed, place[1]]).generate_state(1)[0] >> 1)
        self._X, self._y, self._rows, self.all_groups = X, y, train, groups
        self._test = test
        self.y_train, self.y_test = y[train], y[test]
        self.groups = None if groups is None else groups[train]
        self.groups_test = None if groups is None else groups[test]
        self._sides = None

    def __str__(self):
        return f"fold {self.place[1]} of seed {self.repeat}"

    def _front(self):
        """Both parts, behind the steps in front."""
        if self._sides is None:
            front = clone(Pipeline(self._task.steps))
            train = front.fit_transform(safe_indexing(self._X, self._rows), self.y_train)
            self._sides = (
                _as_dict(train),
                _as_dict(front.transform(safe_indexing(self._X, self._test))),
            )
        return self._sides

    @property
    def X_train(self):
        return self._front()[0] if self._task.steps else self._X[self._rows]

    @property
    def X_test(self):
        return self._front()[1] if self._task.steps else self._X[self._test]

    @property
    def names(self):
        return tuple(self._front()[0] if self._task.steps else self._X)

    def part(self, names=None):
        """The training part of a network, of all samples that have any of some modalities.

        Parameters
        ----------
        names : tuple of str, default=None
            None: all modalities.

        Returns
        -------
        Part
        """
        if self._task.steps:
            X, y, rows, groups = self.X_train, self.y_train, None, self.groups
        else:
            X, y, rows, groups = self._X, self._y, self._rows, self.groups
        if names is not None:
            X = only(X, names[0]) if len(names) == 1 else ModalityDict({n: X[n] for n in names})
            has = np.logical_or.reduce([rows_with(X, name) for name in names])
            kept = has if rows is None else has[rows]
            if not kept.any():
                raise ValueError(
                    f"No sample of the training part of {self} has "
                    f"{', '.join(map(repr, names))}: give fewer folds, or leave it out."
                )
            groups = None if groups is None else groups[kept]
            if not kept.all():
                rows = np.flatnonzero(has) if rows is None else rows[kept]
        network = self._task.network
        params = {}
        if groups is not None and (network.early_stopping or network.train_split):
            params["groups"] = groups
        if rows is not None and params:  # a part cuts what it is given: nothing to cut here
            X, y, rows = X[rows], y[rows], None
        return Part(X, y, rows, params, network)

    def having(self, name):
        """Which test samples have a modality (ndarray of bool)."""
        return rows_with(self.X_test, name)

    def release(self):
        """Forget what the steps in front made."""
        self._sides = None


class Folds(NamedTuple):
    """All folds of all seeds.

    Parameters
    ----------
    folds : list of Fold
    n_folds : int
    same : bool
        Whether all seeds have the same folds.
    n_train, n_test : float
        Mean number of samples (or groups, where they are kept together).
    """

    folds: list
    n_folds: int
    same: bool
    n_train: float
    n_test: float


def make_folds(task, X, y, groups, cv, seeds):
    """Cut the data.

    Parameters
    ----------
    task : Task
    X, y, groups, cv :
        Of `diagnose`.
    seeds : list of int

    Returns
    -------
    Folds
    y : ndarray
    """
    refuse_swapped(X, y)
    refuse_unnamed(X)
    check_rows_beside(X, {"y": y, "groups": groups})
    X = _as_dict(X) if not task.steps else as_selectable(X)
    _check_whole(task, X, y)
    target_class = type(task.network).target_class
    y = target_class.check(y, _n_samples(X), task.network)
    target_class.fit(y, type(task.network).__name__)
    if not task.classifies:
        _warn_of_classes(y)
    groups = _check_groups(groups, len(y))
    same = not isinstance(cv, Integral)
    if groups is not None and not same and (groups == groups[0]).all():
        raise ValueError(
            f"All samples have one group, {groups.tolist()[0]!r}: groups= needs at least as many "
            f"as folds (cv={cv}). Leave it out if samples do not belong together."
        )
    if task.classifies and not same:
        _check_classes(y, groups, cv)
    partitions = [_splits(task, X, y, groups, cv, seed) for seed in (seeds[:1] if same else seeds)]
    if not partitions[0]:
        raise ValueError("The 'cv' parameter of diagnose must give at least one split. Got none.")
    folds = []
    for i, seed in enumerate(seeds):
        for k, (train, test) in enumerate(partitions[0 if same else i]):
            folds.append(Fold(task, (i, k), seed, train, test, X, y, groups))
    unit = len if groups is None else lambda rows: len(np.unique(groups[rows]))
    sizes = np.array([[unit(a), unit(b)] for part in partitions for a, b in part], float)
    n_train, n_test = sizes.mean(axis=0)
    if len(partitions[0]) == 1 and n_test < 2:
        what = "samples" if groups is None else "groups"
        raise ValueError(
            "The 'cv' parameter of diagnose gives one split, whose test part must have at least 2 "
            f"{what}. Got {int(n_test)}."
        )
    return Folds(folds, len(partitions[0]), same, n_train, n_test), y


def _hint(network):
    """End the message on an estimator that cannot be diagnosed."""
    kind = network if isinstance(network, type) else type(network)
    if network is kind and issubclass(kind, MultimodalEstimator):
        return f", a class: add (): {kind.__name__}()"
    if kind.__module__.startswith("sklearn.linear_model"):
        return ": linear models are among the rivals already; pass a network."
    return "."


def _check_whole(task, X, y):
    """Check all samples as a fit would, so that errors name the user's rows, not a fold's.

    What steps of the user make of X is not known yet; their fits check it.
    """
    steps = [step for _, step in task.steps]
    kind = type(task.network).target_class.task
    if is_mapping(X):
        refuse_target(X, y, kind)
    if any(not isinstance(step, ColumnsToModalities) for step in steps):
        return
    for step in steps:
        X = step.fit_transform(X)
    if steps:
        refuse_target(X, y, kind)
    else:
        present_rows(X, tuple(X), task.missing)
    dtype, _ = resolve_dtype(task.network.dtype, type(task.network).__name__)
    check_modalities(X, task.network, dtype)


def _warn_of_classes(y):
    """Warn of a target of a regressor that may be of classes."""
    found = np.unique(y) if y.ndim == 1 or y.shape[1] == 1 else ()
    if (
        0 < len(found) <= MOST_CLASSES
        and 2 * len(found) < len(y)
        and (found == found.round()).all()
    ):
        values = ", ".join(f"{value:g}" for value in found[:4]) + ", ..." * (len(found) > 4)
        warn_caller(
            f"y has {len(found)} different whole numbers ({values}), which look like classes, and "
            "diagnose takes them as values, as it got a regressor: give a classifier if they are "
            "classes."
        )


def _check_groups(groups, n_samples):
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(
            f"groups of diagnose must have the shape ({n_samples},), one for each sample. Got "
            f"{groups.shape}."
        )
    unknown = [i for i, group in enumerate(groups.tolist()) if group is None or group != group]
    if unknown:
        raise ValueError(
            f"groups of diagnose has no group in row {unknown[0]} (None or NaN): give each sample "
            "one, or drop such samples first."
        )
    return groups


def _check_classes(y, groups, n_folds):
    """Warn of classes that some test parts lack, and refuse those that a training part lacks."""
    labels, counts = np.unique(y, return_counts=True)
    # As Python's values, which labels of an object array are already.
    for label, n_units in zip(labels.tolist(), counts.tolist(), strict=True):
        unit = "sample"
        if groups is not None:
            n_units, unit = len(np.unique(groups[y == label])), "group"
        text = f"Class {label!r} has {n_units} {unit}{'' if n_units == 1 else 's'}"
        if n_units < 2:
            raise ValueError(
                f"{text}: at least 2 are needed, for the training and the test part. Leave the "
                "class out, or give more of it."
            )
        if n_units < n_folds:
            warn_caller(
                f"{text}, fewer than the {n_folds} folds of diagnose: some test parts lack it. "
                "Scores that need all classes fail there; give fewer folds (cv=)."
            )


def _splits(task, X, y, groups, cv, seed):
    """Splits of one seed, checked."""
    codes = np.unique(y, return_inverse=True)[1] if task.classifies else np.zeros(len(y), int)
    if isinstance(cv, Integral):
        units = len(y) if groups is None else len(np.unique(groups))
        if not 2 <= cv <= units:
            what = "samples" if groups is None else "groups"
            raise ValueError(
                f"The 'cv' parameter of diagnose must be in [2, {units}], the number of {what}. "
                f"Got {cv}."
            )
        fold = assign_folds(codes, int(cv), groups, seed)
        splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(cv)]
    elif isinstance(cv, str) or not (hasattr(cv, "split") or isinstance(cv, Iterable)):
        raise TypeError(
            "The 'cv' parameter of diagnose must be an int, a splitter or an iterable of splits. "
            f"Got {cv!r}."
        )
    else:
        found = check_cv(cv, y, classifier=task.classifies).split(np.zeros(len(y)), y, groups)
        splits = [tuple(_rows(rows) for rows in pair) for pair in found]
    for k, (train, test) in enumerate(splits):
        if np.intersect1d(train, test).size:
            raise ValueError(
                "The 'cv' parameter of diagnose must keep training and test rows apart. Fold "
                f"{k} has some in both."
            )
        lost = np.setdiff1d(y, y[train]) if task.classifies else ()
        if len(lost):
            raise ValueError(
                f"The 'cv' parameter of diagnose leaves class {lost.tolist()[0]!r} out of the "
                f"training part of fold {k}: give other folds, more samples of the class, or leave "
                "it out."
            )
    return splits


def _rows(rows):
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def _as_dict(X):
    if isinstance(X, ModalityDict):
        return X
    if not is_mapping(X):
        raise TypeError(
            "The steps in front of the network must return a mapping of modalities. Got "
            f"{type(X).__name__}."
        )
    return ModalityDict({name: value for name, value in X.items() if value is not None})


def _n_samples(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)
