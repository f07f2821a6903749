"""Many fits at once: the one place where searches and cross-validations have networks trained."""

from .parts import FittedOne, Part, log
from .stackable import why_not_together
from .together import fit_together

__all__ = ["FittedOne", "fit_all", "fit_parts", "log", "why_not_batched"]


def fit_all(estimators, X, y, rows, *, fit_params=None, n_jobs=None):
    """Fit many estimators, each on rows of the same data.

    Parameters
    ----------
    estimators : list of estimators
        Not fitted, a clone of its own for each fit; they are fitted in place.
    X : as in ``fit`` of the estimators
        In a form that rows can be taken of, unless each fit takes all of them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    rows : list of ndarray of int or None
        The training part of each fit; the same object for those that share it. None: all rows.
    fit_params : dict, default=None
        Further arguments of ``fit``, such as sample_weight, for all rows of X. What has a value a
        sample is cut to the rows.
    n_jobs : int, default=None
        In how many processes, by joblib's backend.

    Returns
    -------
    list of FittedOne
        In the order of `estimators`. An exception of one fit does not stop the others; an interrupt
        does.

    Notes
    -----
    **Memory.** At its peak a pass of K networks takes about ``X + K (P + 0.2 MB + H) + max over the
    stacks of (2 d P + max(5 k P + 2 B, 6 k P + B) + A)`` beside what the caller holds. X are the
    data as the network gets them, P the bytes of one network's parameters. A stack trains k of the
    networks, at most 1 GiB / 6 P, while each of the d of earlier stacks keeps two moments for its
    optimizer. In it are parameters, gradients, two moments, and the weights at the start of the
    epoch that InfoReg pulls towards; at its end the gradients are gone and each member has moments
    of its own. B are the batches that are gathered at a time: 16 MB, or one batch of each member
    if that is more, and two of these at times. A are the activations, ``24 k batch_size hidden``
    bytes for one hidden layer. H is the history: epochs times (240 bytes a batch + 2 kB), of which
    ``record_batches=False`` frees the batches once all networks are trained.
    ``benchmarks/MEMBERS.rst`` has measured it.
    """
    parts = {}
    for estimator, chosen in zip(estimators, rows, strict=True):
        if id(chosen) not in parts:
            parts[id(chosen)] = Part(X, y, chosen, fit_params, estimator)
    return fit_parts(estimators, [parts[id(chosen)] for chosen in rows], n_jobs=n_jobs)


def fit_parts(estimators, parts, *, n_jobs=None):
    """Fit many estimators, each on data of its own.

    Parameters
    ----------
    estimators : list of estimators
        As in `fit_all`.
    parts : list of Part
        The same object for those that share their data.
    n_jobs : int, default=None
        As in `fit_all`.

    Returns
    -------
    list of FittedOne
    """
    return fit_together(estimators, parts, n_jobs)


why_not_batched = why_not_together
