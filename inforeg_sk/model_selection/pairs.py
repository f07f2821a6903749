"""The pairs of a candidate and a fold: all are trained before the first of them is scored."""

import copy
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, get_routing_for_object

from ..estimator import MultimodalEstimator
from .fits import FittedOne, fit_all, fit_parts, log
from .parts import Part
from .stand_ins import LastStep

__all__ = ["TrainingSplits", "for_fit", "train_pairs", "why_not_ours"]


class TrainingSplits:
    """A splitter that has everything trained when it is asked for the splits.

    This is the moment at which a search of scikit-learn knows data, splits and candidates.

    Parameters
    ----------
    cv : splitter
    train : callable
        Called with X, y, and the list of splits.
    """

    def __init__(self, cv, train):
        self.cv, self.train = cv, train

    def split(self, X, y=None, **params):
        """Yield the splits of `cv`, once all is trained on them."""
        splits = list(self.cv.split(X, y, **params))
        self.train(X, y, splits)
        yield from splits

    def get_n_splits(self, *args, **params):
        """As of `cv`."""
        return self.cv.get_n_splits(*args, **params)

    def get_metadata_routing(self):
        """The requests of `cv`."""
        return get_routing_for_object(self.cv)


def why_not_ours(estimator):
    """Why scikit-learn's own code is to train an estimator.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    str or None
        The reason, in words; None for an estimator of this library and a Pipeline that ends in one.
    """
    inner = estimator.steps[-1][1] if _is_pipeline(estimator) else estimator
    if isinstance(inner, MultimodalEstimator):
        return None
    if inner is estimator:
        return f"{type(estimator).__name__} is not an estimator of this library"
    return f"{type(estimator).__name__} does not end in an estimator of this library"


def for_fit(estimator, params, else_):
    """What of the further arguments is for ``fit`` of the estimator.

    Parameters
    ----------
    estimator : estimator
    params : dict
        All further arguments, for the splitter and the scorer, too. scikit-learn has checked them.
    else_ : dict
        The answer if metadata routing is off.

    Returns
    -------
    dict
    """
    if not get_config()["enable_metadata_routing"]:
        return else_
    fits = MethodMapping().add(caller="fit", callee="fit")
    router = MetadataRouter(owner="fit").add(estimator=estimator, method_mapping=fits)
    return router.route_params(caller="fit", params=params).estimator.fit


def train_pairs(estimator, candidates, X, y, splits, fit_params, n_jobs=None):
    """Train every candidate on the training part of every split.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    candidates : list of dict
        Parameters to set.
    X, y : data
        In a form that rows can be taken of.
    splits : list of tuple of ndarray of int
        Training and test rows; None for the training rows takes all, in whatever form X is.
    fit_params : dict
        Further arguments of ``fit``.
    n_jobs : int, default=None
        In how many processes.

    Returns
    -------
    list of list of FittedOne, or None
        By candidate and split. None in the place of a candidate that scikit-learn's own code is to
        train.
    """
    if y is None:
        log.info("scikit-learn's own code trains: there is no y")
        return [None] * len(candidates)
    parts = [None if train is None else _positions(np.asarray(train)) for train, _ in splits]
    ours = _ours(estimator, candidates)
    plain = [i for i, made in ours.items() if not _is_pipeline(made)]
    done = dict.fromkeys(plain)
    if plain and parts:
        clones = [_configured(estimator, candidates[i]) for i in plain for _ in parts]
        fitted = fit_all(clones, X, y, parts * len(plain), fit_params=fit_params, n_jobs=n_jobs)
        n = len(parts)
        done = {i: fitted[k * n : (k + 1) * n] for k, i in enumerate(plain)}
    groups = {}
    for i, made in ours.items():
        if _is_pipeline(made):
            groups.setdefault(_front(made, candidates[i]), []).append(i)
    behind = [
        _Behind(estimator, [candidates[i] for i in group], X, y, rows, fit_params)
        for group in groups.values()
        for rows in parts
    ]
    steps = [step for one in behind for step in one.steps]
    data = [one.part for one in behind for _ in one.steps]
    fitted = iter(fit_parts(steps, data, n_jobs=n_jobs))
    behind = iter(behind)
    for group in groups.values():
        folds = [next(behind).finish(fitted) for _ in parts]
        done.update((i, [fold[k] for fold in folds]) for k, i in enumerate(group))
    return [done.get(i) for i in range(len(candidates))]


def _positions(rows):
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def _is_pipeline(estimator):
    return isinstance(estimator, Pipeline) and bool(estimator.steps)


def _configured(estimator, parameters):
    # Parameters may be estimators, as in scikit-learn's searches.
    return clone(estimator).set_params(**clone(parameters, safe=False))


def _ours(estimator, candidates):
    """Configured clones of those candidates that are not left to scikit-learn, by position."""
    ours, reasons = {}, {}
    for i, parameters in enumerate(candidates):
        try:
            made = _configured(estimator, parameters)
            reason = why_not_ours(made)
        except Exception as error:  # scikit-learn's code meets it again, and raises it
            reason = f"the parameters cannot be set ({error})"
        if reason is None:
            ours[i] = made
        else:
            reasons.setdefault(reason, []).append(i)
    for reason, which in reasons.items():
        log.info("scikit-learn's own code trains %d candidates: %s", len(which), reason)
    return ours


class _Same(NamedTuple):
    """An object that equals itself only; it is kept, so that no other gets its id."""

    id: int
    value: object

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self):
        return hash(self.id)


def _front(pipeline, parameters):
    """What a candidate sets in front of the last step: equal if the same is to be fitted there."""
    last = f"{pipeline.steps[-1][0]}__"
    return frozenset(
        (name, type(value), value if isinstance(value, _PLAIN) else _Same(id(value), value))
        for name, value in parameters.items()
        if not name.startswith(last)
    )


_PLAIN = (bool, int, float, str, type(None))


class _Behind:
    """Pipelines that differ in their last steps only: the steps in front are fitted once, here.

    Attributes
    ----------
    steps : list of estimator
        The last steps, to be fitted; none if a step in front failed.
    part : Part or None
        What they are to be fitted on.
    """

    def __init__(self, estimator, candidates, X, y, rows, fit_params):
        pipelines = [_configured(estimator, parameters) for parameters in candidates]
        self._front, self._n = pipelines[0], len(pipelines)
        self._name = self._front.steps[-1][0]
        self.steps = [pipeline.steps[-1][1] for pipeline in pipelines]
        given = LastStep(self.steps[0])
        self._front.steps = [*self._front.steps[:-1], (self._name, given)]
        X, y, params = Part(X, y, rows, fit_params, estimator).cut()
        begun = perf_counter()
        self._error = self.part = None
        try:
            self._front.fit(X, y, **params)
        except Exception as error:
            self._error, self.steps = error, []
        else:
            X, y, params = given.given
            self.part = Part(X, y, None, params)
        self._time = (perf_counter() - begun) / self._n

    def finish(self, fitted):
        """The whole Pipelines (list of FittedOne), from an iterator over fitted last steps."""
        if self._error is not None:
            return [FittedOne(None, self._error, self._time)] * self._n
        found = [next(fitted) for _ in self.steps]
        return [FittedOne(self._whole(o), o.error, self._time + o.fit_time) for o in found]

    def _whole(self, one):
        if one.estimator is None:
            return None
        whole = copy.copy(self._front)
        whole.steps = [*self._front.steps[:-1], (self._name, one.estimator)]
        return whole
