"""One expert a modality: what goes into it, what comes out, and what stands for an absent one."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from ..data.checks import SINGLE, check_known_modalities, check_rows_beside
from ..data.columns import ColumnsToModalities, as_blocks
from ..data.container import ModalityDict, is_mapping
from ..data.presence import find_present
from ..data.to_columns import ModalitiesToColumns
from ..estimator import MultimodalEstimator
from ..functional import LOG_FLOOR, class_log_prior
from ..utils.parameters import ByName, Constraint, IsNone, check_parameter
from ..utils.suggestions import did_you_mean

__all__ = [
    "LOG_FLOOR",
    "NOTHING_SAID",
    "ByModality",
    "PredictsBy",
    "SeenModalities",
    "as_expert",
    "complete_log_proba",
    "fit_arguments",
    "keep_groups_together",
    "log_prior_of",
    "only",
    "present_rows",
    "rows_with",
    "take_modalities",
    "take_modalities_again",
]

#: The evidence of an absent modality.
NOTHING_SAID = 0.0


# Data


class SeenModalities(NamedTuple):
    """What a fit remembers of the form of its data."""

    names: tuple  # in the order of the data
    cutter: ColumnsToModalities | None  # None: X was a mapping


def take_modalities(X, owner, beside=None):
    """The modalities of a first fit, with their values as they were given.

    Parameters
    ----------
    X : mapping, 2-D array or DataFrame
    owner : estimator
        With a parameter `modalities`, the columns of a table.
    beside : dict of str to object, default=None
        What has a row for each sample too, such as ``{"y": y}``.

    Returns
    -------
    ModalityDict
    SeenModalities
    """
    cutter = None
    if is_mapping(X):
        if owner.modalities is not None:
            raise ValueError(
                "modalities= cuts a 2-D array or DataFrame, but X is a mapping and names its "
                "modalities itself; leave modalities at None."
            )
        X = X if isinstance(X, ModalityDict) else ModalityDict(X)
    else:
        columns = {SINGLE: slice(None)} if owner.modalities is None else owner.modalities
        cutter = ColumnsToModalities(
            as_blocks(columns) if isinstance(columns, Mapping) else columns
        )
        check_rows_beside(X, beside)
        X = cutter.fit(X).transform(X)
    if len(X) == 0:
        raise ValueError("Found array with 0 sample(s): at least 1 sample is required.")
    check_rows_beside(X, beside)
    return X, SeenModalities(tuple(X), cutter)


def take_modalities_again(X, owner, seen):
    """The modalities of further data; with ``missing="allow"`` some may be left out.

    Parameters
    ----------
    X : as in ``fit``
    owner : estimator
        With a parameter `missing`.
    seen : SeenModalities

    Returns
    -------
    ModalityDict
    """
    name = type(owner).__name__
    if is_mapping(X):
        partial = owner.missing == "allow"
        if partial and not isinstance(X, ModalityDict):
            X = {modality: value for modality, value in X.items() if value is not None}
        check_known_modalities(tuple(X), seen.names, name, partial)
        return X if isinstance(X, ModalityDict) else ModalityDict(X)
    if seen.cutter is None:
        raise ValueError(
            f"{name} was fitted with a mapping of the modalities "
            f"{', '.join(map(repr, seen.names))}; got {type(X).__name__}."
        )
    return seen.cutter.transform(X)


def present_rows(X, names, missing):
    """Which samples have which modality.

    Parameters
    ----------
    X : ModalityDict
        A modality that it does not have is absent in all samples.
    names : tuple of str
    missing : {"error", "allow"}

    Returns
    -------
    dict of str to ndarray of bool of shape (n_samples,)

    Raises
    ------
    ValueError
        If a sample lacks a modality and `missing` is "error", or lacks all of them.
    """
    n_samples, present = len(X), {}
    for name in names:
        present[name] = rows_with(X, name)
        if missing == "error" and not present[name].all():
            raise ValueError(
                f"Modality {name!r} has no values in row {int(np.argmin(present[name]))}: all "
                "values must be present; impute or drop such samples first, or take them as "
                "missing (missing='allow')."
            )
    empty = ~np.logical_or.reduce(list(present.values()))
    if empty.any():
        raise ValueError(
            f"{int(empty.sum())} of {n_samples} samples have no modality at all, the first is "
            f"sample {int(np.argmax(empty))}: each needs at least one; drop such samples first."
        )
    return present


def rows_with(X, name):
    """Which samples of a `ModalityDict` have a modality (ndarray of bool of shape (n_samples,))."""
    if name not in X:
        return np.zeros(len(X), dtype=bool)
    mask = find_present(X[name])
    return np.ones(len(X), dtype=bool) if mask is None else mask


def only(X, name, rows=None):
    """One modality of a `ModalityDict`, of some rows (mask; None: of all), as a `ModalityDict`."""
    one = ModalityDict({name: X[name]})
    return one if rows is None or rows.all() else one[rows]


# Estimators


def as_expert(estimator, name):
    """A clone of an estimator that takes a mapping of one modality.

    Parameters
    ----------
    estimator : estimator
        One of this library, alone or at the end of a Pipeline or inside a search, is cloned as it
        is, with those of its settings by modality that are the modality's. Any other gets the
        modality's columns, from `ModalitiesToColumns`.
    name : str

    Returns
    -------
    estimator
    """
    estimator = clone(estimator)
    if not _takes_modalities(estimator):
        return Pipeline([("columns", ModalitiesToColumns()), ("expert", estimator)])
    for part in [estimator, *estimator.get_params().values()]:
        if isinstance(part, MultimodalEstimator):
            _keep_settings_of(part, name)
    return estimator


def _takes_modalities(estimator):
    """Whether an estimator, or what it hands its input to, takes a mapping of modalities."""
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        return bool(steps) and _takes_modalities(steps[0])
    # scikit-learn's own that say so take a list of dicts, as DictVectorizer does.
    own = type(estimator).__module__.partition(".")[0] == "sklearn"
    if not own and get_tags(estimator).input_tags.dict:
        return True
    inner = getattr(estimator, "estimator", None)
    return inner is not None and hasattr(inner, "fit") and _takes_modalities(inner)


def _keep_settings_of(estimator, name):
    """Leave out of settings by modality what is not this modality's."""
    for setting, value in estimator.get_params(deep=False).items():
        if isinstance(value, Mapping) and setting in ("encoders", "modality_dropout", "alpha"):
            kept = {name: value[name]} if name in value else None
            plain = {"encoders": "auto", "modality_dropout": 0.0, "alpha": {}}[setting]
            estimator.set_params(**{setting: plain if kept is None else kept})


def fit_arguments(expert, sample_weight=None, groups=None):
    """Arguments of ``fit`` of an expert, by the names that they have there.

    Parameters
    ----------
    expert : estimator
    sample_weight : array-like of shape (n_samples,), default=None
    groups : array-like of shape (n_samples,), default=None
        Left out where ``fit`` does not take them.

    Returns
    -------
    dict of str to array-like

    Raises
    ------
    TypeError
        If there are sample weights, and the expert takes none.
    """
    prefix, last = "", expert
    while True:
        if isinstance(last, Pipeline):
            step, last = last.steps[-1]
            prefix += f"{step}__"
        elif hasattr(last, "error_score") and hasattr(last, "estimator"):  # a search
            last = last.estimator
        else:
            break
    arguments = {}
    if sample_weight is not None:
        if not has_fit_parameter(last, "sample_weight"):
            raise TypeError(
                f"{type(last).__name__} takes no sample_weight in fit: give an estimator that "
                "does, or no sample weights."
            )
        arguments[f"{prefix}sample_weight"] = sample_weight
    if groups is not None and isinstance(last, MultimodalEstimator):
        arguments[f"{prefix}groups"] = groups
    return arguments


def keep_groups_together(expert, y, groups, classifier):
    """Give the cross-validations inside an expert folds that keep groups together.

    Parameters
    ----------
    expert : estimator
        Its parameters called `cv`, its own or of a part, are replaced where they are None or an
        int: by splits of 5 folds, or as many as the int says. An expert whose `fit` takes groups
        gets as many as there are groups, if these are fewer, as it would make itself.
    y : ndarray
    groups : ndarray of shape (n_samples,) or None
        None leaves the expert as it is.
    classifier : bool
        Whether the folds are stratified.

    Returns
    -------
    estimator
    """
    if groups is None:
        return expert
    name, last = expert.steps[-1] if isinstance(expert, Pipeline) else ("", expert)
    own = f"{name}__cv".lstrip("_") if has_fit_parameter(last, "groups") else None
    for key, cv in expert.get_params().items():
        if key.split("__")[-1] == "cv" and (cv is None or isinstance(cv, Integral)):
            n_folds = cv or 5
            if key == own:
                n_folds = max(2, min(n_folds, len(np.unique(groups))))
            splitter = (StratifiedGroupKFold if classifier else GroupKFold)(n_folds)
            expert.set_params(**{key: list(splitter.split(np.zeros(len(y)), y, groups))})
    return expert


class ByModality(BaseEstimator):
    """Mixin of estimators whose parameter `estimator` may be a dict by modality.

    Parameters of its estimators are set and searched as ``estimator__audio__C``, and
    ``estimator__audio`` replaces one.
    """

    estimator: Any
    _EXPERT: ClassVar[Constraint]  # what each must be

    def get_params(self, deep=True):
        params = super().get_params(deep=deep)
        given = params["estimator"]
        if deep and isinstance(given, Mapping):
            for name, part in given.items():
                params[f"estimator__{name}"] = part
                if hasattr(part, "get_params"):
                    inner = part.get_params().items()
                    params.update({f"estimator__{name}__{key}": value for key, value in inner})
        return params

    def set_params(self, **params):
        """Set parameters; those of a dict's estimators as ``estimator__audio__C``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        if "estimator" in params:
            self.estimator = params.pop("estimator")
        if not isinstance(self.estimator, Mapping):
            return super().set_params(**params)
        rest = {}
        for key, value in params.items():
            names = [n for n in self.estimator if f"{key}__".startswith(f"estimator__{n}__")]
            if not names:
                rest[key] = value
                continue
            name = max(names, key=len)
            setting = key[len(f"estimator__{name}__") :]
            if setting:
                self.estimator[name].set_params(**{setting: value})
            else:
                self.estimator = {**self.estimator, name: value}
        return super().set_params(**rest)

    def _estimators(self, names, default):
        """The estimator of each modality, checked and not cloned; `default` where none is given."""
        given = self.estimator
        if isinstance(given, Mapping):
            for name in given:
                if name not in names:
                    raise ValueError(
                        f"The 'estimator' parameter of {type(self).__name__} names {name!r}, but "
                        f"the data's modalities are {', '.join(map(repr, names))}"
                        f"{did_you_mean(name, names)}"
                    )
        check_parameter(
            "estimator", given, [self._EXPERT, IsNone(), ByName(self._EXPERT)], type(self).__name__
        )
        given = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
        chosen = {name: given.get(name) for name in names}
        return {name: default if part is None else part for name, part in chosen.items()}


class PredictsBy(Constraint):
    """An estimator that has ``fit`` and some method."""

    def __init__(self, method):
        self.method = method

    def accepts(self, value):
        made = not isinstance(value, type)
        return made and hasattr(value, "fit") and hasattr(value, self.method)

    def __str__(self):
        return f"an estimator with fit and {self.method}"


# What experts say


def log_prior_of(codes, n_classes, weight=None):
    """Log prior of the classes, each half a sample larger; see `class_log_prior`.

    Parameters
    ----------
    codes : ndarray of int64 of shape (n_samples,)
    n_classes : int
    weight : ndarray of float64 of shape (n_samples,), default=None

    Returns
    -------
    ndarray of float64 of shape (n_classes,)
    """
    weight = None if weight is None else torch.from_numpy(weight)
    return class_log_prior(torch.from_numpy(codes), n_classes, weight).numpy()


def complete_log_proba(log_proba, seen, log_prior):
    """Log-probabilities of all classes from those of the classes that an expert has seen.

    Of the others it says nothing: each has its prior.

    Parameters
    ----------
    log_proba : ndarray of shape (..., n_seen)
        Of a distribution over the classes seen.
    seen : ndarray of int of shape (n_seen,)
        Their positions among all classes.
    log_prior : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of float64 of shape (..., n_classes)
    """
    if len(seen) == len(log_prior):
        return np.array(log_proba, dtype=np.float64)
    complete = np.empty((*np.shape(log_proba)[:-1], len(log_prior)))
    complete[...] = log_prior
    complete[..., seen] = log_proba + np.log(np.exp(log_prior[seen]).sum())
    return complete
