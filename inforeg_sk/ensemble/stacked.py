"""Stacking: one estimator a modality, and a regularized model on what they predict out of fold."""

import warnings
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from ..data.container import ModalityDict
from ..estimator.targets import ClassLabels, TargetScaler, check_sample_weight
from ..estimator.unimodal import Reading, check_scored, score_by_modality
from ..utils.parameters import (
    Constraint,
    Interval,
    IsNone,
    Options,
    Splits,
    check_parameter,
    check_parameters,
)
from .experts import (
    LOG_FLOOR,
    ByModality,
    PredictsBy,
    as_expert,
    complete_log_proba,
    fit_arguments,
    keep_groups_together,
    log_prior_of,
    only,
    present_rows,
    rows_with,
    take_modalities,
    take_modalities_again,
)

__all__ = ["StackedModalitiesClassifier", "StackedModalitiesRegressor"]

# The groups go with the samples into every fold, as a further modality of a name nobody gives.
_GROUPS = "\0groups"
_INNER_FOLDS = 3


# Experts


class _OneModality(BaseEstimator):
    """An estimator of one modality that takes all of them, and is fitted where its modality is.

    Parameters
    ----------
    modality : str
    estimator : estimator or None
        None: a linear one.
    """

    def __init__(self, modality, estimator):
        self.modality = modality
        self.estimator = estimator

    def _fit(self, X, y, sample_weight):
        rows = rows_with(X, self.modality)
        if not rows.any():
            raise ValueError(
                f"Modality {self.modality!r} is missing in every sample of a training part."
            )
        groups = np.asarray(X[_GROUPS])[rows] if _GROUPS in X else None
        given = self.estimator
        if given is None:
            scaler = StandardScaler(with_mean=not sparse.issparse(X[self.modality]))
            given = self._linear(scaler, y[rows], groups)
        expert = as_expert(given, self.modality)
        expert = keep_groups_together(expert, y[rows], groups, is_classifier(self))
        weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
        arguments = fit_arguments(expert, weight, groups)
        self.expert_ = expert.fit(only(X, self.modality, rows), y[rows], **arguments)

    def _linear(self, scaler, y, groups):
        raise NotImplementedError

    def _said(self, X, method, nothing):
        """What a method of the expert returns, with `nothing` where the modality is absent."""
        rows = rows_with(X, self.modality)
        if rows.all():
            return getattr(self.expert_, method)(only(X, self.modality))
        said = np.full((len(rows), *np.shape(nothing)), nothing, np.float64)
        if rows.any():
            said[rows] = getattr(self.expert_, method)(only(X, self.modality, rows))
        return said


class _ClassifierOfOne(ClassifierMixin, _OneModality):
    def fit(self, X, y, sample_weight=None):
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._fit(X, y, sample_weight)
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        self.log_prior_ = log_prior_of(codes, len(self.classes_), weight)
        return self

    @staticmethod
    def _linear(scaler, y, groups):
        pipe = make_pipeline(scaler, LogisticRegression(max_iter=1000))
        if np.unique(y, return_counts=True)[1].max() < 2:  # no folds
            return pipe
        grid = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
        folds = _inner_folds(y, groups)
        return GridSearchCV(pipe, grid, cv=folds, scoring=_log_likelihood)

    def predict_proba(self, X):
        known = np.searchsorted(self.classes_, self.expert_.classes_)
        if len(known) == len(self.classes_):
            return self._said(X, "predict_proba", np.exp(self.log_prior_))
        proba = self._said(X, "predict_proba", np.exp(self.log_prior_)[known])
        proba = proba / proba.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            return np.exp(complete_log_proba(np.log(proba), known, self.log_prior_))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _RegressorOfOne(RegressorMixin, _OneModality):
    def fit(self, X, y, sample_weight=None):
        self._fit(X, y, sample_weight)
        self.mean_ = np.average(y, weights=sample_weight)
        return self

    @staticmethod
    def _linear(scaler, y, groups):
        return make_pipeline(scaler, RidgeCV(alphas=10.0 ** np.arange(-2, 5)))

    def predict(self, X):
        return self._said(X, "predict", self.mean_)


def _inner_folds(y, groups):
    """Splits for the choice of a strength; a class may be too rare to be in all of them."""
    largest = np.unique(y, return_counts=True)[1].max()
    n_folds = int(min(_INNER_FOLDS, largest if groups is None else len(np.unique(groups))))
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(max(n_folds, 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(np.zeros(len(y)), y, groups))


def _log_likelihood(estimator, X, y):
    """Mean log-probability of the true class, also where the estimator does not know it."""
    proba, classes = estimator.predict_proba(X), estimator.classes_
    where = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    found = np.where(classes[where] == y, proba[np.arange(len(where)), where], 0.0)
    with np.errstate(divide="ignore"):
        return float(np.maximum(np.log(found), LOG_FLOOR).mean())


# Stacks


class _Stacked(MetaEstimatorMixin, ByModality):
    """What the two share; `StackedModalitiesClassifier` documents it."""

    final_estimator: Any
    cv: Any
    missing: str
    n_jobs: int | None
    _expert_class: ClassVar[type]
    _stacking_class: ClassVar[type]
    _target_class: ClassVar[type]
    _final_class: ClassVar[type]
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "cv": [Interval(Integral, 2), IsNone(), Splits()],
        "missing": [Options("error", "allow")],
        "n_jobs": [Interval(Integral), IsNone()],
    }

    def __init__(
        self,
        estimator=None,
        final_estimator=None,
        *,
        cv=5,
        modalities=None,
        missing="error",
        n_jobs=None,
    ):
        self.estimator = estimator
        self.final_estimator = final_estimator
        self.cv = cv
        self.modalities = modalities
        self.missing = missing
        self.n_jobs = n_jobs

    def _fit(self, X, y, sample_weight, groups):
        check_parameters(self)
        beside = {"y": y, "sample_weight": sample_weight, "groups": groups}
        X, seen = take_modalities(X, self, beside)
        for name, rows in present_rows(X, seen.names, self.missing).items():
            if not rows.any():
                raise ValueError(
                    f"Modality {name!r} is missing in every sample, so nothing can be learnt about "
                    "it: leave it out."
                )
        y = self._target_class.check(y, len(X), self)
        self._target_class.fit(y, type(self).__name__, sample_weight)
        weight = check_sample_weight(sample_weight, len(X))
        folds = self._folds(X, y, groups)
        estimators = self._estimators(seen.names, None)
        if groups is not None:
            X = ModalityDict({**X, _GROUPS: np.asarray(groups)})
        columns = [y] if y.ndim == 1 else list(y.T)
        weights = {} if weight is None else {"sample_weight": weight}
        with config_context(enable_metadata_routing=False):  # it knows itself where they go
            stackings = [
                self._stacking(estimators, folds, column, groups).fit(X, column, **weights)
                for column in columns
            ]
        for attribute in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(attribute, None)
            if hasattr(seen.cutter, attribute):
                setattr(self, attribute, getattr(seen.cutter, attribute))
        self.stackings_, self._shape = stackings, y.shape[1:]
        self.modalities_, self._seen = seen.names, seen
        self.experts_ = {
            name: [stacking.estimators_[i].expert_ for stacking in stackings]
            for i, name in enumerate(seen.names)
        }
        if y.ndim == 1:
            self.experts_ = {name: expert for name, (expert,) in self.experts_.items()}
        return self

    def _folds(self, X, y, groups):
        """The splits of the samples, the same for all experts."""
        classifier, cv = is_classifier(self), self.cv
        if groups is not None and (cv is None or isinstance(cv, Integral)):
            cv = (StratifiedGroupKFold if classifier else GroupKFold)(cv or 5)
        splitter = check_cv(cv, y, classifier=classifier)
        try:
            return list(splitter.split(X, y, groups))
        except ValueError as error:
            raise ValueError(
                f"The samples cannot be split by cv={self.cv!r} of {type(self).__name__}: {error}"
            ) from error

    def _stacking(self, estimators, folds, y, groups):
        final = self._final_class() if self.final_estimator is None else self.final_estimator
        check_parameter("final_estimator", final, [self._EXPERT, IsNone()], type(self).__name__)
        final = keep_groups_together(clone(final), y, groups, is_classifier(self))
        # The names of scikit-learn's parts may not be those of its parameters, nor hold "__".
        experts = [
            (f"modality {i}", self._expert_class(name, given))
            for i, (name, given) in enumerate(estimators.items())
        ]
        return self._stacking_class(experts, final, cv=folds, n_jobs=self.n_jobs)

    def _checked(self, X):
        check_is_fitted(self, "stackings_")
        X = take_modalities_again(X, self, self._seen)
        present_rows(X, self.modalities_, self.missing)
        return X

    def _by_modality(self, X, said):
        """What each modality's expert says; NaN where a sample lacks it, and which samples do not.

        `said` is a function of an expert that takes all modalities, and X.
        """
        X = self._checked(X)
        present, values = present_rows(X, self.modalities_, self.missing), {}
        for i, name in enumerate(self.modalities_):
            experts = [stacking.estimators_[i] for stacking in self.stackings_]
            values[name] = said(experts, X).astype(np.float64)
            values[name][~present[name]] = np.nan
        return values, present

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        tags.input_tags.allow_nan = self.missing == "allow"
        return tags


class StackedModalitiesClassifier(ClassifierMixin, _Stacked):
    """One classifier a modality, and a regularized model on what they predict out of fold.

    A strong rival of every network on tables of features. It is scikit-learn's
    `~sklearn.ensemble.StackingClassifier` whose estimators each see one modality.

    Parameters
    ----------
    estimator : estimator with predict_proba, or dict of str to these, default=None
        The classifier of each modality, cloned; of all, or by modality. None is a
        ``LogisticRegression`` behind a ``StandardScaler``, with `C` of 0.01, 0.1, 1 and 10 chosen
        by the log-likelihood in 3 folds. Estimators of this library and Pipelines that begin with a
        `ModalityTransformer` get a dict of the one modality, any other its columns (see
        `ModalitiesToColumns`). A modality that a dict leaves out has the default.
    final_estimator : classifier, default=None
        The model on the predicted probabilities, modality after modality; with two classes those of
        the second only. None is ``LogisticRegression()``.
    cv : int, splitter or iterable of splits, default=5
        The folds. With an int they are stratified, and with ``groups`` in ``fit`` they keep groups
        together.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame; see `ColumnsToModalities`.
    missing : {"error", "allow"}, default="error"
        Whether samples may lack modalities. A modality's classifier is fitted on the samples that
        have it; in the place of what it would say of the others stands the prior of the classes.
    n_jobs : int or None, default=None
        Processes among which the fits are divided.

    Attributes
    ----------
    experts_ : dict of str to estimator
        The classifier of each modality, fitted on all samples that have it.
    stackings_ : list of one StackingClassifier
        What holds everything that was fitted.
    classes_ : ndarray of shape (n_classes,)
    modalities_ : tuple of str
    n_features_in_, feature_names_in_ :
        Where X was a table.

    Notes
    -----
    With ``groups`` the cross-validations inside the classifiers keep groups together, too, where
    their parameter `cv` is None or an int.

    Examples
    --------
    >>> from inforeg_sk import StackedModalitiesClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = StackedModalitiesClassifier().fit(X, y)
    >>> clf.predict_proba(X).shape
    (120, 3)
    >>> sorted(clf.score_by_modality(X, y))
    ['strong', 'weak']
    """

    _expert_class = _ClassifierOfOne
    _stacking_class = StackingClassifier
    _target_class = ClassLabels
    _final_class = LogisticRegression
    _EXPERT = PredictsBy("predict_proba")

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the classifiers in all folds and on all samples, and the model on top.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            For all of them.
        groups : array-like of shape (n_samples,), default=None
            Samples of one group stand in one fold.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups)

    @property
    def classes_(self):
        if "stackings_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit.")
        return self.stackings_[0].classes_

    def predict(self, X):
        """Class labels.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        X = self._checked(X)
        return self.stackings_[0].predict(X)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        X = self._checked(X)
        return self.stackings_[0].predict_proba(X)

    def predict_proba_by_modality(self, X):
        """Probabilities from each modality's own classifier, before the model on top.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
            In the order of `modalities_`; NaN where a sample lacks the modality.
        """
        return self._by_modality(X, lambda experts, X: experts[0].predict_proba(X))[0]

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """Accuracy of each modality's own classifier.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            Where samples lack modalities: score on the samples that have all modalities of `X`, so
            that the scores compare, or each modality on the samples that have it.
        scoring : str, callable or None, default=None
            Another score: the name of a scikit-learn scorer or a scorer, which may ask for
            ``predict``, ``predict_proba`` or ``decision_function``. It gets numbers of rows for X.

        Returns
        -------
        dict of str to float
        """
        check_scored(X, y, sample_weight, samples)
        values, present = self._by_modality(X, lambda experts, X: experts[0].predict_proba(X))
        reading = Reading.of_probabilities(self.classes_)
        return score_by_modality(values, present, y, sample_weight, samples, reading, scoring)


class StackedModalitiesRegressor(RegressorMixin, _Stacked):
    """One regressor a modality, and a regularized model on what they predict out of fold.

    It is scikit-learn's `~sklearn.ensemble.StackingRegressor` whose estimators each see one
    modality; of several outputs, one such stack each.

    Parameters
    ----------
    estimator : estimator with predict, or dict of str to these, default=None
        The regressor of each modality, as in `StackedModalitiesClassifier`. None is a ``RidgeCV``
        behind a ``StandardScaler``, with `alphas` from 0.01 to 10,000.
    final_estimator : regressor, default=None
        The model on the predictions. None is ``RidgeCV()``.
    cv : int, splitter or iterable of splits, default=5
        The folds; with ``groups`` in ``fit`` and an int they keep groups together.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame; see `ColumnsToModalities`.
    missing : {"error", "allow"}, default="error"
        Whether samples may lack modalities. A modality's regressor is fitted on the samples that
        have it; in the place of what it would predict of the others stands the mean of y.
    n_jobs : int or None, default=None
        Processes among which the fits are divided.

    Attributes
    ----------
    experts_ : dict of str to estimator
        The regressor of each modality, fitted on all samples that have it; of several outputs, a
        list of them.
    stackings_ : list of StackingRegressor
        One for each output.
    modalities_ : tuple of str
    n_features_in_, feature_names_in_ :
        Where X was a table.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import StackedModalitiesRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = {"text": rng.normal(size=(60, 4)), "audio": rng.normal(size=(60, 3))}
    >>> y = X["text"][:, 0] + X["audio"][:, 0]
    >>> StackedModalitiesRegressor().fit(X, y).predict(X).shape
    (60,)
    """

    _expert_class = _RegressorOfOne
    _stacking_class = StackingRegressor
    _target_class = TargetScaler
    _final_class = RidgeCV
    _EXPERT = PredictsBy("predict")

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the regressors in all folds and on all samples, and the model on top.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            For all of them.
        groups : array-like of shape (n_samples,), default=None
            Samples of one group stand in one fold.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups)

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_outputs)
        """
        X = self._checked(X)
        return self._as_target([stacking.predict(X) for stacking in self.stackings_])

    def _as_target(self, columns):
        return np.column_stack(columns).reshape(-1, *self._shape)

    def predict_by_modality(self, X):
        """Values that each modality's own regressor predicts, before the model on top.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64, shaped as in `predict`
            In the order of `modalities_`; NaN where a sample lacks the modality.
        """
        return self._values_by_modality(X)[0]

    def _values_by_modality(self, X):
        return self._by_modality(
            X, lambda experts, X: self._as_target([expert.predict(X) for expert in experts])
        )

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """R^2 of each modality's own regressor.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            As in `StackedModalitiesClassifier`.
        scoring : str, callable or None, default=None
            Another score, as in `StackedModalitiesClassifier`.

        Returns
        -------
        dict of str to float
        """
        check_scored(X, y, sample_weight, samples)
        values, present = self._values_by_modality(X)
        reading = Reading.of_numbers()
        return score_by_modality(values, present, y, sample_weight, samples, reading, scoring)
