"""Estimators that choose the strength of InfoReg by cross-validation, as LogisticRegressionCV."""

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from ..classifier import MultimodalInfoRegClassifier
from ..data import ModalityDict
from ..data.container import is_mapping
from ..regressor import MultimodalInfoRegRegressor
from ..utils.parameters import (
    Constraint,
    Instance,
    Interval,
    IsNone,
    SequenceOf,
    check_parameters,
)
from .search import BatchedGridSearchCV

__all__ = ["MultimodalInfoRegClassifierCV", "MultimodalInfoRegRegressorCV"]

_STRENGTHS: list[Constraint] = [SequenceOf(Interval(Real, 0), alone=True)]


class _InfoRegCV(MetaEstimatorMixin, BaseEstimator):
    """What the two estimators share; `MultimodalInfoRegClassifierCV` documents it."""

    _estimator_class: ClassVar[type]
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "alphas": _STRENGTHS,
        "unimodal_weights": [*_STRENGTHS, IsNone()],
        "refit": [Instance(bool)],
    }

    def __init__(
        self,
        estimator=None,
        *,
        alphas=(0.3, 1.0, 3.0, 10.0),
        unimodal_weights=None,
        cv=None,
        scoring=None,
        refit=True,
    ):
        self.estimator = estimator
        self.alphas = alphas
        self.unimodal_weights = unimodal_weights
        self.cv = cv
        self.scoring = scoring
        self.refit = refit

    def fit(self, X, y, **params):
        """Choose by cross-validation, and train on all data with what was chosen.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
            As in ``fit`` of the estimator.
        y : array-like of shape (n_samples,)
            Class labels; of a regressor numbers, also of shape (n_samples, n_outputs).
        **params : dict of str to object
            ``groups`` for the splitter, ``sample_weight`` and others for ``fit`` of the estimator;
            with metadata routing, what each asks for.

        Returns
        -------
        self
        """
        check_parameters(self)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        search = self._search().fit(ModalityDict(X) if is_mapping(X) else X, y, **params)
        for name in ("best_estimator_", "feature_names_in_"):
            vars(self).pop(name, None)
        self.search_ = search
        results, best = search.cv_results_, search.best_params_
        folds = [results[f"split{k}_test_score"] for k in range(search.n_splits_)]
        # The grid runs through the names in their alphabetical order.
        shape = (len(list(self.alphas)), -1, search.n_splits_)
        self.scores_ = np.stack(folds, axis=1).reshape(shape)
        settings = {**self._base().method_settings(), **best}
        self.alpha_, self.unimodal_weight_ = settings["alpha"], settings["unimodal_weight"]
        if self.refit:
            self.best_estimator_ = search.best_estimator_
            if hasattr(search, "feature_names_in_"):
                self.feature_names_in_ = search.feature_names_in_
        return self

    def _base(self):
        """The estimator to search over."""
        if self.estimator is None:
            return self._estimator_class()
        table: dict = {"estimator": [Instance(self._estimator_class), IsNone()]}
        check_parameters(self, table)
        return self.estimator

    def _search(self):
        estimator, grid = clone(self._base()), {"alpha": list(self.alphas)}
        if self.unimodal_weights is not None:
            grid["unimodal_weight"] = list(self.unimodal_weights)
        for name in grid:
            # The estimator would take it for the candidate that is the default.
            if f"method__{name}" in estimator.get_params(deep=False):
                raise ValueError(
                    f"The 'estimator' parameter of {type(self).__name__} must not have "
                    f"method__{name}, which is what is to be chosen. Got {estimator!r}."
                )
        return BatchedGridSearchCV(
            estimator,
            grid,
            cv=self.cv,
            scoring=self.scoring,
            refit=self.refit,
            error_score="raise",
        )

    def _model(self):
        """The estimator trained on all data, or an error that says why there is none."""
        check_is_fitted(self)
        if "best_estimator_" not in vars(self):
            raise AttributeError(
                f"This {type(self).__name__} has no model: it was fitted with refit=False, which "
                "chooses alpha_ and unimodal_weight_ only."
            )
        return self.best_estimator_

    def predict(self, X):
        """As of the estimator.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) of a regressor
        """
        return self._model().predict(X)

    def _score(self, X, y, params):
        self._model()
        return self.search_.score(X, y, **params)

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """Score of each modality alone; as of the estimator.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
        scoring : str, callable or None, default=None

        Returns
        -------
        dict of str to float
        """
        model = self._model()
        return model.score_by_modality(X, y, sample_weight, samples=samples, scoring=scoring)

    @property
    def modalities_(self):
        return self._model().modalities_

    @property
    def curves_(self):
        return self._model().curves_

    @property
    def n_features_in_(self):
        try:
            return self._model().n_features_in_
        except ValueError as error:  # not fitted: hasattr says no
            raise AttributeError(str(error)) from error

    def get_metadata_routing(self):
        """What the search over the estimator asks for.

        Returns
        -------
        MetadataRouter
        """
        calls = MethodMapping().add(caller="fit", callee="fit").add(caller="score", callee="score")
        return MetadataRouter(owner=type(self).__name__).add(
            search=self._search(), method_mapping=calls
        )

    def __sklearn_tags__(self):
        return get_tags(self._base())


class MultimodalInfoRegClassifierCV(ClassifierMixin, _InfoRegCV):
    """`MultimodalInfoRegClassifier` that chooses alpha and unimodal_weight by cross-validation.

    All candidates are trained on all folds at once, as by `BatchedGridSearchCV`.

    Parameters
    ----------
    estimator : MultimodalInfoRegClassifier, default=None
        The estimator whose `alpha` and `unimodal_weight` are chosen; None is one with its defaults.
        All other settings are its: 34 parameters and nested ones, which would otherwise stand here
        a second time. They are nested parameters here, ``estimator__lr``.
    alphas : sequence of float, default=(0.3, 1.0, 3.0, 10.0)
        Values of `alpha` to try; 0 is no regulation.
    unimodal_weights : sequence of float or None, default=None
        Values of `unimodal_weight` to try; None keeps the estimator's.
    cv : int, splitter, iterable of splits or None, default=None
        As in `sklearn.model_selection.GridSearchCV`: None takes 5 folds, by classes.
    scoring : str, callable or None, default=None
        What to choose by, a single score; None is the accuracy.
    refit : bool, default=True
        Whether to train on all data with what was chosen. Without, the estimator cannot predict.

    Attributes
    ----------
    alpha_, unimodal_weight_ : float
        What was chosen: the highest mean score, of equal ones the first.
    scores_ : ndarray of float64 of shape (n_alphas, n_unimodal_weights, n_folds)
        Scores of the held-out folds, in the order of `alphas` and `unimodal_weights` (one, if
        None).
    best_estimator_ : MultimodalInfoRegClassifier
        Trained on all data; only with `refit`.
    search_ : BatchedGridSearchCV
        The search, with its ``cv_results_``.
    classes_, modalities_, curves_, n_features_in_, feature_names_in_ :
        Those of `best_estimator_`.

    See Also
    --------
    BatchedGridSearchCV : Any parameters, and Pipelines.

    Examples
    --------
    >>> from inforeg_sk import MultimodalInfoRegClassifier, MultimodalInfoRegClassifierCV
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=5, random_state=0)
    >>> chosen = MultimodalInfoRegClassifierCV(clf, alphas=[0.3, 3.0], cv=3).fit(X, y)
    >>> chosen.scores_.shape
    (2, 1, 3)
    >>> chosen.predict(X).shape
    (120,)
    """

    _estimator_class = MultimodalInfoRegClassifier

    @property
    def classes_(self):
        return self._model().classes_

    def score(self, X, y, **params):
        """Score by `scoring`; without one, accuracy.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,)
        **params : dict of str to object
            With metadata routing: further arguments for the scorer.

        Returns
        -------
        float
        """
        return self._score(X, y, params)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        return self._model().predict_proba(X)

    def predict_proba_by_modality(self, X):
        """Probabilities from each modality alone.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
        """
        return self._model().predict_proba_by_modality(X)


class MultimodalInfoRegRegressorCV(RegressorMixin, _InfoRegCV):
    """`MultimodalInfoRegRegressor` that chooses alpha and unimodal_weight by cross-validation.

    All candidates are trained on all folds at once, as by `BatchedGridSearchCV`.

    Parameters
    ----------
    estimator : MultimodalInfoRegRegressor, default=None
        The estimator whose `alpha` and `unimodal_weight` are chosen; None is one with its defaults.
        All other settings are its, as of `MultimodalInfoRegClassifierCV`.
    alphas : sequence of float, default=(0.3, 1.0, 3.0, 10.0)
        Values of `alpha` to try; 0 is no regulation.
    unimodal_weights : sequence of float or None, default=None
        Values of `unimodal_weight` to try; None keeps the estimator's.
    cv : int, splitter, iterable of splits or None, default=None
        As in `sklearn.model_selection.GridSearchCV`: None takes 5 folds.
    scoring : str, callable or None, default=None
        What to choose by, a single score; None is R^2.
    refit : bool, default=True
        Whether to train on all data with what was chosen. Without, the estimator cannot predict.

    Attributes
    ----------
    alpha_, unimodal_weight_ : float
        What was chosen: the highest mean score, of equal ones the first.
    scores_ : ndarray of float64 of shape (n_alphas, n_unimodal_weights, n_folds)
        Scores of the held-out folds, in the order of `alphas` and `unimodal_weights` (one, if
        None).
    best_estimator_ : MultimodalInfoRegRegressor
        Trained on all data; only with `refit`.
    search_ : BatchedGridSearchCV
        The search, with its ``cv_results_``.
    modalities_, curves_, n_features_in_, feature_names_in_ :
        Those of `best_estimator_`.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import MultimodalInfoRegRegressor, MultimodalInfoRegRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = {"text": rng.normal(size=(60, 4)), "audio": rng.normal(size=(60, 3))}
    >>> y = X["text"][:, 0] + X["audio"][:, 0]
    >>> reg = MultimodalInfoRegRegressor(max_epochs=5, random_state=0)
    >>> chosen = MultimodalInfoRegRegressorCV(reg, alphas=[0.3, 3.0], cv=3).fit(X, y)
    >>> chosen.scores_.shape
    (2, 1, 3)
    """

    _estimator_class = MultimodalInfoRegRegressor

    def score(self, X, y, **params):
        """Score by `scoring`; without one, R^2.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **params : dict of str to object
            With metadata routing: further arguments for the scorer.

        Returns
        -------
        float
        """
        return self._score(X, y, params)

    def predict_by_modality(self, X):
        """Values that each modality predicts by itself.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64, shaped as in `predict`
        """
        return self._model().predict_by_modality(X)
