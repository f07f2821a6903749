"""Late fusion: one estimator a modality, trained apart, and their predictions combined."""

from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..classifier import MultimodalClassifier
from ..estimator.targets import ClassLabels, TargetScaler, check_sample_weight
from ..estimator.unimodal import Reading, check_scored, score_by_modality
from ..model_selection.fits import fit_parts
from ..model_selection.parts import Part
from ..regressor import MultimodalRegressor
from ..utils.parameters import (
    Constraint,
    Interval,
    IsNone,
    Options,
    check_parameters,
    error_kind,
)
from .experts import (
    LOG_FLOOR,
    NOTHING_SAID,
    ByModality,
    PredictsBy,
    as_expert,
    complete_log_proba,
    fit_arguments,
    keep_groups_together,
    log_prior_of,
    only,
    present_rows,
    take_modalities,
    take_modalities_again,
)

__all__ = ["LateFusionClassifier", "LateFusionRegressor"]

_JOBS: list[Constraint] = [Interval(Integral), IsNone()]
_MISSING: list[Constraint] = [Options("error", "allow")]


class _LateFusion(MetaEstimatorMixin, ByModality):
    """What the two share; `LateFusionClassifier` documents it."""

    missing: str
    n_jobs: int | None
    _default_class: ClassVar[type]
    _target_class: ClassVar[type]

    def _fit(self, X, y, sample_weight, groups):
        """Fit the experts; return the encoded target, its kind, the weights and who has what."""
        checked = self._checked(X, y, sample_weight, groups)
        X, seen, y, target, weight, present = checked
        estimators = self._estimators(seen.names, self._default_class())
        experts, parts = [], []
        for name in seen.names:
            rows = np.flatnonzero(present[name])
            expert = as_expert(estimators[name], name)
            inside = None if groups is None else np.asarray(groups)[rows]
            classifier = self._target_class is ClassLabels
            experts.append(keep_groups_together(expert, y[rows], inside, classifier))
            arguments = {}
            if sample_weight is not None:
                arguments = fit_arguments(expert, weight[rows])
            if inside is not None:
                arguments.update(fit_arguments(expert, groups=inside))
            parts.append(Part(only(X, name, present[name]), y[rows], None, arguments))
        with config_context(enable_metadata_routing=False):  # it knows itself where they go
            fitted = fit_parts(experts, parts, n_jobs=self.n_jobs)
        self._take(seen, self._fitted_experts(seen, fitted))
        return y, target, weight, present

    def _checked(self, X, y, sample_weight, groups=None):
        """Parameters and data, checked."""
        check_parameters(self)
        beside = {"y": y, "sample_weight": sample_weight, "groups": groups}
        X, seen = take_modalities(X, self, beside)
        present = present_rows(X, seen.names, self.missing)
        y = self._target_class.check(y, len(X), self)
        target = self._target_class.fit(y, type(self).__name__, sample_weight)
        weight = check_sample_weight(sample_weight, len(X))
        for name in seen.names:
            if not present[name].any():
                raise ValueError(
                    f"Modality {name!r} is missing in every sample, so nothing can be learnt about "
                    "it: leave it out."
                )
        return X, seen, y, target, weight, present

    def fit_from_experts(self, experts, X, y, sample_weight=None):
        """Combine estimators that are fitted already, each on its modality.

        Parameters
        ----------
        experts : dict of str to estimator
            Fitted, one for each modality of X; they are taken as they are. Each takes what it would
            be given by ``fit``: a dict of its one modality.
        X, y, sample_weight : as in ``fit``
            What they were fitted on: the classes are counted, nothing is trained.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the experts are not those of the modalities of X.
        """
        _, seen, y, target, weight, present = self._checked(X, y, sample_weight)
        if set(experts) != set(seen.names):
            raise ValueError(
                f"fit_from_experts of {type(self).__name__} needs an expert for each of "
                f"{', '.join(map(repr, seen.names))}. Got {', '.join(map(repr, experts))}."
            )
        for expert in experts.values():
            check_is_fitted(expert)
        self._take(seen, experts)
        self._count(y, target, weight, present)
        return self

    def _count(self, y, target, weight, present):
        """Learn what the combination needs beside the experts."""
        raise NotImplementedError

    @staticmethod
    def _fitted_experts(seen, fitted):
        for name, one in zip(seen.names, fitted, strict=True):
            if one.error is not None:
                kind = error_kind(one.error)
                raise kind(
                    f"The expert of modality {name!r} could not be fitted: {one.error}"
                ) from one.error
        return {n: one.estimator for n, one in zip(seen.names, fitted, strict=True)}

    def _take(self, seen, experts):
        for attribute in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(attribute, None)
            if hasattr(seen.cutter, attribute):
                setattr(self, attribute, getattr(seen.cutter, attribute))
        self.experts_ = {name: experts[name] for name in seen.names}
        self.modalities_ = seen.names
        self._seen = seen

    def _by_expert(self, X, method):
        """What a method of each expert returns for the samples that it has, and which these are."""
        check_is_fitted(self)
        X = take_modalities_again(X, self, self._seen)
        present = present_rows(X, self.modalities_, self.missing)
        said = {
            name: np.asarray(getattr(self.experts_[name], method)(only(X, name, rows)))
            for name, rows in present.items()
            if rows.any()
        }
        return said, present

    def _score_by_modality(self, values, present, X, y, sample_weight, samples, reading, scoring):
        check_scored(X, y, sample_weight, samples)
        return score_by_modality(values, present, y, sample_weight, samples, reading, scoring)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        tags.input_tags.allow_nan = self.missing == "allow"
        return tags


class LateFusionClassifier(ClassifierMixin, _LateFusion):
    r"""Product of experts: one classifier a modality, trained apart from the others.

    The usual rival of joint training. No modality can hold another back in training, and none can
    complement another but by adding its evidence.

    Parameters
    ----------
    estimator : estimator with predict_proba, or dict of str to these, default=None
        The classifier of each modality, cloned; of all, or by modality. None is
        `MultimodalClassifier` with its defaults, a network of one modality. Estimators of this
        library and Pipelines that begin with a `ModalityTransformer` get a dict of the one
        modality, any other its columns (see `ModalitiesToColumns`). A modality that a dict leaves
        out has the default.
    prior : {"once", "each"}, default="once"
        How often the prior of the classes counts; see Notes. "each" is the plain product: as often
        as a sample has modalities.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame; see `ColumnsToModalities`.
    missing : {"error", "allow"}, default="error"
        Whether samples may lack modalities. A modality's classifier is fitted on the samples that
        have it; an absent modality adds no evidence.
    n_jobs : int or None, default=None
        Processes among which the fits are divided.

    Attributes
    ----------
    experts_ : dict of str to estimator
        What was fitted, by modality. A Pipeline behind `ModalitiesToColumns`, where that was
        needed.
    classes_ : ndarray of shape (n_classes,)
    log_prior_ : ndarray of float64 of shape (n_classes,)
        From the counts of the classes, with the sample weights, plus 0.5.
    modalities_ : tuple of str
    n_features_in_, feature_names_in_ :
        Where X was a table.

    Notes
    -----
    Where the modalities are independent given the class, the probability of a class :math:`y` is

    .. math:: \log p(y | x) = \log p(y) + \sum_m (\log p(y | x_m) - \log p(y)) - \log Z(x).

    That is ``prior="once"``; :math:`p(y)` inside the sum is the prior among the samples that the
    modality's classifier was fitted on. The plain rule, :math:`\sum_m \log p(y | x_m)`, counts the
    prior with each modality, which costs accuracy where classes are rare. Of a class that a
    modality's classifier has not seen it says nothing. Log-probabilities below -12 count as -12.
    Classifiers with ``class_weight="balanced"`` have a flat prior each: take ``prior="each"``.

    The networks are fitted by the engine that trains many as one where that is possible; see the
    Notes of `inforeg_sk.model_selection.BatchedGridSearchCV`.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from inforeg_sk import LateFusionClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = LateFusionClassifier(LogisticRegression()).fit(X, y)
    >>> clf.predict_proba(X).shape
    (120, 3)
    >>> sorted(clf.score_by_modality(X, y))
    ['strong', 'weak']
    """

    _default_class = MultimodalClassifier
    _target_class = ClassLabels
    _EXPERT = PredictsBy("predict_proba")
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "prior": [Options("once", "each")],
        "missing": _MISSING,
        "n_jobs": _JOBS,
    }

    def __init__(
        self, estimator=None, *, prior="once", modalities=None, missing="error", n_jobs=None
    ):
        self.estimator = estimator
        self.prior = prior
        self.modalities = modalities
        self.missing = missing
        self.n_jobs = n_jobs

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the classifier of each modality, and count the classes.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            For the classifiers and the prior.
        groups : array-like of shape (n_samples,), default=None
            For cross-validations inside the classifiers, whose parameter `cv` is None or an int,
            and for what networks hold out.

        Returns
        -------
        self
        """
        self._count(*self._fit(X, y, sample_weight, groups))
        return self

    def _count(self, y, target, weight, present):
        """Count the classes, among all samples and among those of each modality."""
        codes, n_classes = target.encode(y, np.float64), target.n_outputs
        self.classes_ = target.labels
        self.log_prior_ = log_prior_of(codes, n_classes, weight)
        self._priors, self._known = {}, {}
        for name, rows in present.items():
            known = np.searchsorted(self.classes_, self.experts_[name].classes_)
            own = log_prior_of(codes[rows], n_classes, None if weight is None else weight[rows])
            own = log_softmax(own[known])
            self._known[name] = known
            self._priors[name] = complete_log_proba(own, known, self.log_prior_)

    def _evidence(self, X):
        """Log-probabilities by modality (less the prior, if it counts once), and who has what."""
        said, present = self._by_expert(X, "predict_proba")
        evidence = {}
        for name, proba in said.items():
            with np.errstate(divide="ignore"):
                own = np.maximum(np.log(proba.astype(np.float64)), LOG_FLOOR)
            own = complete_log_proba(own, self._known[name], self.log_prior_)
            evidence[name] = np.full((len(present[name]), own.shape[1]), NOTHING_SAID)
            prior = self._priors[name] if self.prior == "once" else 0.0
            evidence[name][present[name]] = own - prior
        return evidence, present

    def predict_log_proba(self, X):
        """Log-probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        evidence, _ = self._evidence(X)
        total = sum(evidence.values())
        return log_softmax(total + self.log_prior_ if self.prior == "once" else total, axis=1)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X):
        """Most probable class.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba_by_modality(self, X):
        """Probabilities from each modality alone.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
            In the order of `modalities_`; NaN where a sample lacks the modality.
        """
        return self._proba_by_modality(X)[0]

    def _proba_by_modality(self, X):
        said, present = self._by_expert(X, "predict_proba")
        values = {}
        for name, rows in present.items():
            values[name] = np.full((len(rows), len(self.classes_)), np.nan)
            if name in said:
                with np.errstate(divide="ignore"):
                    own = np.log(said[name].astype(np.float64))
                own = complete_log_proba(own, self._known[name], self.log_prior_)
                values[name][rows] = np.exp(own)
        return values, present

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """Accuracy of each modality alone.

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
        values, present = self._proba_by_modality(X)
        reading = Reading.of_probabilities(self.classes_)
        return self._score_by_modality(
            values, present, X, y, sample_weight, samples, reading, scoring
        )


class LateFusionRegressor(RegressorMixin, _LateFusion):
    """Mean of the predictions of one regressor a modality, trained apart from the others.

    Parameters
    ----------
    estimator : estimator with predict, or dict of str to these, default=None
        The regressor of each modality, as in `LateFusionClassifier`. None is `MultimodalRegressor`
        with its defaults.
    modalities : dict of str to columns, default=None
        How to cut a 2-D array or DataFrame; see `ColumnsToModalities`.
    missing : {"error", "allow"}, default="error"
        Whether samples may lack modalities. A modality's regressor is fitted on the samples that
        have it; the mean is over the modalities that a sample has.
    n_jobs : int or None, default=None
        Processes among which the fits are divided.

    Attributes
    ----------
    experts_ : dict of str to estimator
        What was fitted, by modality.
    modalities_ : tuple of str
    n_features_in_, feature_names_in_ :
        Where X was a table.

    Notes
    -----
    The mean is the plain rule of the field. Where modalities complement each other it is too
    cautious: each regressor already shrinks towards the mean of y by what it does not know.
    `StackedModalitiesRegressor` learns the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from inforeg_sk import LateFusionRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = {"text": rng.normal(size=(60, 4)), "audio": rng.normal(size=(60, 3))}
    >>> y = X["text"][:, 0] + X["audio"][:, 0]
    >>> LateFusionRegressor(Ridge()).fit(X, y).predict(X).shape
    (60,)
    """

    _default_class = MultimodalRegressor
    _target_class = TargetScaler
    _EXPERT = PredictsBy("predict")
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "missing": _MISSING,
        "n_jobs": _JOBS,
    }

    def __init__(self, estimator=None, *, modalities=None, missing="error", n_jobs=None):
        self.estimator = estimator
        self.modalities = modalities
        self.missing = missing
        self.n_jobs = n_jobs

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the regressor of each modality.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        groups : array-like of shape (n_samples,), default=None
            As in `LateFusionClassifier`.

        Returns
        -------
        self
        """
        self._count(*self._fit(X, y, sample_weight, groups))
        return self

    def _count(self, y, target, weight, present):
        self._shape = y.shape[1:]

    def predict(self, X):
        """Mean of the predictions of the modalities that a sample has.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_outputs)
        """
        values, _ = self._values_by_modality(X)
        return np.nanmean(list(values.values()), axis=0)

    def predict_by_modality(self, X):
        """Values that each modality predicts by itself.

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
        said, present = self._by_expert(X, "predict")
        values = {}
        for name, rows in present.items():
            values[name] = np.full((len(rows), *self._shape), np.nan)
            if name in said:
                values[name][rows] = said[name].reshape(-1, *self._shape)
        return values, present

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """R^2 of each modality alone.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            As in `LateFusionClassifier`.
        scoring : str, callable or None, default=None
            Another score: the name of a scikit-learn scorer or a scorer, which may ask for
            ``predict``, ``predict_proba`` or ``decision_function``. It gets numbers of rows for X.

        Returns
        -------
        dict of str to float
        """
        values, present = self._values_by_modality(X)
        reading = Reading.of_numbers()
        return self._score_by_modality(
            values, present, X, y, sample_weight, samples, reading, scoring
        )
