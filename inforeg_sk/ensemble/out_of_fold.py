"""Opinions of experts on samples that they were not fitted on, and the experts fitted on all."""

from contextlib import nullcontext

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from ..functional import floor_log_proba
from ..utils.parameters import error_kind

__all__ = ["ask", "fit_experts", "fit_table_expert"]


def fit_experts(jobs, n_fits, n_jobs, progress):
    """Fit experts on tables, and ask them, in parallel.

    Parameters
    ----------
    jobs : iterable of tuple
        Arguments of `fit_table_expert`.
    n_fits : int
        How many.
    n_jobs : int or None
        joblib's; each process or thread then computes with one thread.
    progress : callable
        Wraps the iterator of results.

    Returns
    -------
    list
        Results in the order of the jobs.
    """
    one_thread = effective_n_jobs(n_jobs) > 1
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    calls = (delayed(_in_one_thread)(one_thread, *job) for job in jobs)
    return list(progress(parallel(calls), n_fits))


def _in_one_thread(one_thread, *job):
    with threadpool_limits(1) if one_thread else nullcontext():
        return fit_table_expert(*job)


def fit_table_expert(estimator, where, classes, train, test, keep):
    """Fit an expert on a table, and ask it about another.

    Parameters
    ----------
    estimator : estimator
        Not fitted; a clone is.
    where : str
        Names expert and fold in errors.
    classes : ndarray or None
        All labels; None in regression.
    train : tuple of table, y, sample_weight or None, groups or None
    test : table or None
    keep : bool
        Whether to return the fitted estimator.

    Returns
    -------
    estimator or None
    ndarray of float64 of shape (n_test, n_columns), or None
    """
    X, y, weight, groups = train
    if classes is not None and len(np.unique(y)) < 2:
        raise ValueError(
            f"{where}: its samples have one class only, {np.unique(y).tolist()}; use fewer folds, "
            "or other groups."
        )
    made = clone(estimator)
    try:
        made.fit(X, y, **_fit_params(made, weight, groups, where))
        said = None if test is None or not test.shape[0] else ask(made, test, classes)
    except (TypeError, ValueError) as error:
        raise error_kind(error)(f"{where}: {error}") from error
    return made if keep else None, said


def _fit_params(estimator, weight, groups, where):
    params = {}
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        # With metadata routing the steps ask for what they get.
        prefix = "" if get_config()["enable_metadata_routing"] else f"{prefix}{name}__"
    if weight is not None:
        if not has_fit_parameter(last, "sample_weight"):
            raise ValueError(
                f"{type(last).__name__} takes no sample_weight, and there are weights of samples "
                "or classes: leave it out, or fit without weights."
            )
        params[f"{prefix}sample_weight"] = weight
    if groups is not None and has_fit_parameter(last, "groups"):
        params[f"{prefix}groups"] = groups
    return params


def ask(estimator, X, classes):
    """What a fitted expert says, in all columns.

    Parameters
    ----------
    estimator : estimator
    X : table, or what a network takes
    classes : ndarray or None
        All labels; None in regression.

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_columns)
        Log-probabilities of all classes, those that it never saw included, at least
        `inforeg_sk.functional.LOG_FLOOR`; or values.
    """
    if classes is None:
        values = np.asarray(estimator.predict(X), dtype=np.float64)
        return values.reshape(len(values), -1)
    with np.errstate(divide="ignore"):
        found = np.log(np.asarray(estimator.predict_proba(X), dtype=np.float64))
    said = np.full((len(found), len(classes)), -np.inf)
    said[:, np.searchsorted(classes, estimator.classes_)] = found
    return floor_log_proba(torch.from_numpy(said)).numpy()
