"""Cross-validation that trains the estimators of all folds at once."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv, cross_validate

from .fits import log
from .pairs import TrainingSplits, for_fit, train_pairs, why_not_ours
from .processes import training_only
from .stand_ins import Clones, Trained

__all__ = ["cross_validate_batched"]


def cross_validate_batched(
    estimator,
    X,
    y=None,
    *,
    groups=None,
    scoring=None,
    cv=None,
    params=None,
    return_train_score=False,
    return_estimator=False,
    return_indices=False,
    error_score=np.nan,
):
    """`sklearn.model_selection.cross_validate` that trains all folds at once.

    Parameters
    ----------
    estimator : estimator
        An estimator of this library, or a Pipeline that ends in one. Any other is trained by
        scikit-learn's own code; the logger ``inforeg_sk.model_selection`` says so at level INFO.
    X : as in ``fit`` of the estimator, in a form that rows can be taken of
        A `ModalityDict`, a 2-D array or DataFrame, or what the first step of a Pipeline takes.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    groups : array-like of shape (n_samples,), default=None
        For the splitter. With metadata routing they go in by `params`.
    scoring : str, callable, list, tuple, dict or None, default=None
    cv : int, splitter, iterable of splits or None, default=None
    params : dict, default=None
        Further arguments of ``fit``, such as sample_weight; with metadata routing also of scorer
        and splitter.
    return_train_score, return_estimator, return_indices : bool, default=False
        Whether the result has training scores, the fitted estimators, and the rows of the folds.
    error_score : "raise" or float, default=numpy.nan
        Score of a fold whose fit fails. "raise" raises once all fits are made.

    Returns
    -------
    dict of str to ndarray of shape (n_splits,)
        As scikit-learn's: ``"test_score"`` or ``"test_<metric>"``, ``"fit_time"`` (each fold's
        share), ``"score_time"``, and what was asked for.

    Notes
    -----
    What `BatchedGridSearchCV` says of clusters of dask holds here, too.

    Examples
    --------
    >>> from inforeg_sk import MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.model_selection import cross_validate_batched
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=5, random_state=0)
    >>> scores = cross_validate_batched(clf, X, y, cv=3, scoring=["accuracy", "neg_log_loss"])
    >>> sorted(scores)
    ['fit_time', 'score_time', 'test_accuracy', 'test_neg_log_loss']
    """
    settings = {
        "groups": groups,
        "scoring": scoring,
        "params": params,
        "return_train_score": return_train_score,
        "return_estimator": return_estimator,
        "error_score": error_score,
    }
    reason = why_not_ours(estimator)
    if reason is not None:
        log.info("cross_validate_batched: scikit-learn's own code trains: %s", reason)
        return cross_validate(estimator, X, y, cv=cv, return_indices=return_indices, **settings)
    clones = Clones(clone(estimator))
    times, rows = [], []

    def train(X, y, splits):
        fit_params = for_fit(clones.estimator, params or {}, else_=params or {})
        (folds,) = train_pairs(clones.estimator, [{}], X, y, splits, fit_params)
        if folds is not None:
            clones.ready.extend(Trained(one, {}, clones.estimator) for one in folds)
            times.extend(one.fit_time for one in folds)
        rows.extend(splits)

    cv = check_cv(cv, y, classifier=is_classifier(estimator))
    hooked = clones.attach()
    # The splits are asked for within scikit-learn's loop over the fits, unless return_indices.
    with training_only():
        scores = cross_validate(hooked, X, y, cv=TrainingSplits(cv, train), **settings)
    if times:
        scores["fit_time"] = np.array(times)
    if return_indices:
        train_rows, test_rows = zip(*rows)
        indices = {"train": train_rows, "test": test_rows}
        scores = _insert_before_scores(scores, "indices", indices)
    return scores


def _insert_before_scores(scores, key, value):
    """The dict with an entry where scikit-learn has it."""
    first = {k: v for k, v in scores.items() if k in ("fit_time", "score_time", "estimator")}
    return {**first, key: value, **{k: v for k, v in scores.items() if k not in first}}
