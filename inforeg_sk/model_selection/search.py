"""Searches of parameters that train all candidates on all folds at once."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv

from ..utils.compat import BaseSearchCV
from .fits import log
from .pairs import TrainingSplits, for_fit, train_pairs, why_not_ours
from .processes import training_only
from .stand_ins import Clones, Trained

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV"]


class _BatchedSearch(BaseSearchCV):
    """A search of scikit-learn whose candidates are trained before the first is scored.

    While scikit-learn's ``fit`` runs, its clones of the estimator are those of `Clones`, and it
    gets the splits from `TrainingSplits`.
    """

    def fit(self, X, y=None, **params):
        """Run fit with all sets of parameters.

        Parameters
        ----------
        X : as in ``fit`` of the estimator, in a form that rows can be taken of
            A `ModalityDict`, a 2-D array or DataFrame, or what the first step of a Pipeline takes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **params : dict of str to object
            As in scikit-learn: ``groups`` for the splitter, ``sample_weight`` and others for
            ``fit`` of the estimator; with metadata routing, what each asks for.

        Returns
        -------
        self
        """
        reason = why_not_ours(self.estimator) or self._why_watched()
        if reason is not None:
            log.info("%s: scikit-learn's own code trains: %s", type(self).__name__, reason)
            return super().fit(X, y, **params)
        try:
            cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        except ValueError:
            return super().fit(X, y, **params)  # which says what is wrong
        given = self.estimator, self.cv
        clones = _SearchClones(clone(self.estimator), cv, params)
        self.estimator, self.cv = clones.attach(), cv
        # The first clone is what scikit-learn makes the candidates from.
        clones.ready.append(clones.attach())
        try:
            with training_only():
                return super().fit(X, y, **params)
        finally:
            clones.detach(self.estimator)
            clones.ready.clear()
            self.estimator, self.cv = given

    def _why_watched(self):
        # Callbacks of scikit-learn 1.9 follow each fit of an estimator that takes them.
        if getattr(self, "_skl_callbacks", None) and hasattr(self.estimator, "set_callbacks"):
            return "its callbacks follow each fit"
        return None

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        # Older versions than 1.9 have no such argument.
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        clones = getattr(self.estimator, "__sklearn_clone__", None)
        if not isinstance(clones, _SearchClones):
            super()._run_search(evaluate_candidates, **context)
            return

        def evaluate(candidate_params, cv=None, **kwargs):
            candidates = list(candidate_params)

            def train(X, y, splits):
                clones.train(candidates, X, y, splits, self.n_jobs)

            splits = TrainingSplits(cv or clones.cv, train)
            results = evaluate_candidates(candidates, splits, **kwargs)
            clones.check_used_up()
            clones.correct_times(results)
            return results

        super()._run_search(evaluate, **context)


class _SearchClones(Clones):
    """The clones of one search, and how long their training took.

    Parameters
    ----------
    estimator : estimator
    cv : splitter
    params : dict
        What ``fit`` of the search got beside X and y.
    """

    def __init__(self, estimator, cv, params):
        super().__init__(estimator)
        self.cv, self.params = cv, params
        #: By candidate of all evaluations: the seconds of each fold, None if scikit-learn knows.
        self.times = []

    def train(self, candidates, X, y, splits, n_jobs):
        """Train the candidates; clones are then the trained ones."""
        params = {name: value for name, value in self.params.items() if name != "groups"}
        params = for_fit(self.estimator, self.params, else_=params)
        pairs = train_pairs(self.estimator, candidates, X, y, splits, params, n_jobs)
        for parameters, folds in zip(candidates, pairs, strict=True):
            if folds is None:
                self.ready.extend(clone(self.estimator) for _ in splits)
                self.times.append(None)
            else:
                self.ready.extend(Trained(one, parameters, self.estimator) for one in folds)
                self.times.append([one.fit_time for one in folds])

    def check_used_up(self):
        """Raise if scikit-learn has not asked for as many clones as were trained."""
        if self.ready:
            raise RuntimeError(
                f"scikit-learn did not score {len(self.ready)} of the fits. Please report this "
                "with your version of scikit-learn, and use its own search meanwhile."
            )

    def correct_times(self, results):
        """Put the times of training into results, in place: scikit-learn measured none."""
        for i, times in enumerate(self.times):
            if times is not None:
                results["mean_fit_time"][i] = np.mean(times)
                results["std_fit_time"][i] = np.std(times)


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
    """`sklearn.model_selection.GridSearchCV` that trains all candidates on all folds at once.

    Parameters, attributes, methods and results are scikit-learn's: only how the fits are made
    differs. They are all made before the first is scored.

    Parameters
    ----------
    estimator : estimator
        An estimator of this library, or a Pipeline that ends in one. Any other is searched by
        scikit-learn's own code.
    param_grid : dict or list of dict
        Values of parameters to try.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in GridSearchCV.
    n_jobs : int or None, default=None
        Processes among which the networks are divided, and that score.
    refit : bool, str or callable, default=True
        Whether, and by which metric, to fit the best candidate on all data.
    cv : int, splitter, iterable of splits or None, default=None
        As in GridSearchCV.
    verbose : int, default=0
        As in GridSearchCV; the times of single fits that it prints are those of their scoring.
    pre_dispatch : int or str, default="2*n_jobs"
        As in GridSearchCV.
    error_score : "raise" or float, default=numpy.nan
        Score of a candidate whose fit fails. "raise" raises once all fits are made.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        As of GridSearchCV. ``mean_fit_time`` and ``std_fit_time`` are of each fit's share of the
        time.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_ :
        As of GridSearchCV.
    multimetric_, classes_, n_features_in_, feature_names_in_ :
        As of GridSearchCV.

    See Also
    --------
    BatchedRandomizedSearchCV : Candidates that are drawn.
    cross_validate_batched : All folds of one estimator at once.

    Notes
    -----
    The steps of a Pipeline in front of the estimator are fitted once a fold, for all candidates
    that set the same parameters there. A random step whose ``random_state`` is None so draws once
    a fold, not once a candidate.

    The fits stay in memory until they are scored.

    Trained together, as one network of many members, are candidates whose encoders are multilayer
    perceptrons with the fusion "concat", trained by joint training or `InfoReg` with AdamW, with
    or without early stopping; samples may lack modalities. Each keeps its own samples, order,
    weights and settings, and comes out as from a fit of its own, but for rounding. Others are
    trained one after another, or by scikit-learn's own code; the logger
    ``inforeg_sk.model_selection`` says why at level INFO.

    Within ``joblib.parallel_config("dask")`` (extra ``dask``) the fits are made by the workers of a
    cluster with more than one core, on all of its cores whatever `n_jobs` is. Data are sent to the
    workers once. A worker that is lost costs what it was training, and what it had just finished if
    that was not fetched yet: another one trains that again, with the same result. Scores are
    computed in the process of the caller, where candidates that scikit-learn's own code trains are
    trained, too.

    Examples
    --------
    >>> from inforeg_sk import MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.model_selection import BatchedGridSearchCV
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=5, random_state=0)
    >>> search = BatchedGridSearchCV(clf, {"alpha": [0.3, 3.0], "lr": [1e-3, 1e-2]}, cv=3)
    >>> search.fit(X, y).cv_results_["mean_test_score"].shape
    (4,)
    >>> search.best_params_["lr"]
    0.01
    """


class BatchedRandomizedSearchCV(_BatchedSearch, RandomizedSearchCV):
    """`sklearn.model_selection.RandomizedSearchCV` that trains everything at once.

    See `BatchedGridSearchCV`, whose Notes hold here, too.

    Parameters
    ----------
    estimator : estimator
        An estimator of this library, or a Pipeline that ends in one. Any other is searched by
        scikit-learn's own code.
    param_distributions : dict or list of dict
        Lists of values, or distributions with a method ``rvs``.
    n_iter : int, default=10
        Candidates to draw.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score :
        As of `BatchedGridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        For drawing candidates.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_ :
        As of `BatchedGridSearchCV`.
    scorer_, n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_ :
        As of `BatchedGridSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from inforeg_sk import MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.model_selection import BatchedRandomizedSearchCV
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=5, random_state=0)
    >>> search = BatchedRandomizedSearchCV(
    ...     clf, {"alpha": loguniform(0.1, 10)}, n_iter=3, cv=3, random_state=0
    ... )
    >>> len(search.fit(X, y).cv_results_["params"])
    3
    """
