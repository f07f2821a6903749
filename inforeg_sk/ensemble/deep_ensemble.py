"""Deep ensembles: networks that differ in their seeds, averaged; their spread is uncertainty."""

from numbers import Integral
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import entr
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from ..classifier import MultimodalClassifier, MultimodalInfoRegClassifier
from ..data.checks import check_rows_beside
from ..data.target import as_labels, as_numbers
from ..estimator.targets import check_y_given
from ..estimator.unimodal import Reading, check_scored, score_by_modality
from ..model_selection.pairs import train_pairs
from ..model_selection.parts import Part, fit_alone
from ..regressor import MultimodalInfoRegRegressor, MultimodalRegressor
from ..utils.parameters import (
    Constraint,
    Interval,
    IsNone,
    check_parameters,
    error_kind,
)

__all__ = ["DeepEnsembleClassifier", "DeepEnsembleRegressor", "Uncertainty"]


class Uncertainty(NamedTuple):
    """How uncertain an ensemble is, in nats, and why; `total` is the sum of the other two.

    Parameters
    ----------
    total : ndarray of float64 of shape (n_samples,)
        Entropy of the mean of the members' probabilities.
    aleatoric : ndarray of float64 of shape (n_samples,)
        Mean of the entropies of the members' probabilities: what each member is unsure of.
    epistemic : ndarray of float64 of shape (n_samples,)
        Mutual information between class and member: what the members disagree on.
    """

    total: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray


class _EndsIn(Constraint):
    """An estimator of a class, or a Pipeline that ends in one."""

    def __init__(self, cls):
        self.cls = cls

    def accepts(self, value):
        return isinstance(_last(value), self.cls)

    def __str__(self):
        return f"an instance of {self.cls.__name__}, a Pipeline that ends in one"


def _is_pipeline(estimator):
    return isinstance(estimator, Pipeline) and bool(estimator.steps)


def _last(estimator):
    """The estimator itself, or the last step of a Pipeline."""
    return estimator.steps[-1][1] if _is_pipeline(estimator) else estimator


class _DeepEnsemble(MetaEstimatorMixin, BaseEstimator):
    """What the two ensembles share; `DeepEnsembleClassifier` documents it."""

    _estimator_class: ClassVar[type]
    _default_class: ClassVar[type]
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "n_members": [Interval(Integral, 1)],
        "n_jobs": [Interval(Integral), IsNone()],
    }
    # The requests are those of the estimator: set them there.
    __metadata_request__fit: ClassVar[dict] = {"sample_weight": UNUSED}
    __metadata_request__score: ClassVar[dict] = {"sample_weight": UNUSED}

    def __init__(self, estimator=None, *, n_members=10, n_jobs=None, random_state=None):
        self.estimator = estimator
        self.n_members = n_members
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None, **params):
        """Train all members, on the same data.

        Parameters
        ----------
        X : dict of str to array, ModalityDict, or 2-D array or DataFrame of n_samples rows
            As in ``fit`` of the estimator.
        y : array-like of shape (n_samples,)
            Class labels; of a regressor numbers, also of shape (n_samples, n_outputs).
        sample_weight : array-like of shape (n_samples,), default=None
            Of a Pipeline it goes to the last step. With metadata routing it goes where it is asked
            for.
        **params : dict of str to object
            Further arguments for ``fit`` of the estimator, such as ``validation_data``; of a
            Pipeline by the names of its steps.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As ``fit`` of the estimator, if no member could be fitted.
        ValueError, TypeError, RuntimeError
            If some members could not: which, with its seed. The first two are those of the
            member; others are the cause of a RuntimeError. A model fitted before stays.
        """
        check_parameters(self)
        estimator = self._base()
        check_y_given(y, self)
        seeds = self._seeds()
        params = self._for_fit(estimator, sample_weight, params)
        name = "random_state"
        if _is_pipeline(estimator):
            name = f"{estimator.steps[-1][0]}__{name}"
        candidates = [{name: seed} for seed in seeds]
        if len(seeds) == 1:  # to the last bit what the estimator alone would be
            fitted = [
                fit_alone(clone(estimator).set_params(**candidates[0]), Part(X, y, None, params))
            ]
        else:
            pairs = train_pairs(estimator, candidates, X, y, [(None, None)], params, self.n_jobs)
            fitted = [one for (one,) in pairs]
        self._raise_errors(fitted, seeds)
        self.members_ = [one.estimator for one in fitted]
        return self

    def _base(self):
        """The estimator that the members are clones of."""
        if self.estimator is None:
            return self._default_class()
        table: dict = {"estimator": [_EndsIn(self._estimator_class), IsNone()]}
        check_parameters(self, table)
        return self.estimator

    def _seeds(self):
        rng = check_random_state(self.random_state)
        return [int(seed) for seed in rng.randint(np.iinfo(np.int32).max, size=self.n_members)]

    def _for_fit(self, estimator, sample_weight, params):
        """Arguments for ``fit`` of the estimator."""
        given = {**params}
        if get_config()["enable_metadata_routing"]:
            if sample_weight is not None:
                given["sample_weight"] = sample_weight
            return dict(process_routing(self, "fit", **given).estimator.fit) if given else {}
        if sample_weight is not None:
            name = "sample_weight"
            if _is_pipeline(estimator):
                name = f"{estimator.steps[-1][0]}__{name}"
            if name in given:
                raise TypeError(
                    f"{type(self).__name__}.fit got sample_weight and {name}, which is the same."
                )
            given[name] = sample_weight
        return given

    def _raise_errors(self, fitted, seeds):
        errors = [one.error for one in fitted]
        failed = [i for i, error in enumerate(errors) if error is not None]
        if not failed:
            return
        i, error = failed[0], errors[failed[0]]
        if len(failed) == len(errors) and len({(type(e), str(e)) for e in errors}) == 1:
            raise error  # of parameters or data, not of a member
        known = isinstance(error, ValueError | TypeError)
        kind, what = (
            (error_kind(error), "") if known else (RuntimeError, f"{type(error).__name__}: ")
        )
        raise kind(
            f"Member {i} of the {len(errors)} of {type(self).__name__}, with random_state="
            f"{seeds[i]}, could not be fitted: {what}{error}"
        ) from error

    # Prediction

    def _each(self, method, X):
        """What a method of each member returns (iterator); steps in front run once."""
        check_is_fitted(self)
        first = self.members_[0]
        if _is_pipeline(first) and len(first) > 1:
            X = first[:-1].transform(X)
        return (getattr(_last(member), method)(X) for member in self.members_)

    def _mean(self, method, X):
        return sum(self._each(method, X)) / len(self.members_)

    def _mean_by_modality(self, method, X):
        totals = {}
        for found in self._each(method, X):
            totals = {name: totals.get(name, 0.0) + values for name, values in found.items()}
        return {name: total / len(self.members_) for name, total in totals.items()}

    def _std(self, method, X):
        """Standard deviation over the members, by Welford's recursion: one of them at a time."""
        mean = squares = 0.0
        for n, found in enumerate(self._each(method, X), start=1):
            step = found - mean
            mean = mean + step / n
            squares = squares + step * (found - mean)
        return np.sqrt(squares / len(self.members_))

    def _score_by_modality(self, outputs, decode, X, y, sample_weight, samples, scoring):
        check_scored(X, y, sample_weight, samples)
        means = outputs(X)
        _, present = next(self._each("_unimodal_outputs", X))
        target = _last(self.members_[0]).target_
        reading = Reading(decode, target.metric, target.labels)
        return score_by_modality(means, present, y, sample_weight, samples, reading, scoring)

    # What a fit found

    def _first(self, attribute, of_last=True):
        """An attribute that all members have alike, or an AttributeError."""
        if "members_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit.")
        first = self.members_[0]
        return getattr(_last(first) if of_last else first, attribute)

    @property
    def modalities_(self):
        return self._first("modalities_")

    @property
    def n_features_in_(self):
        return self._first("n_features_in_", of_last=False)

    @property
    def feature_names_in_(self):
        return self._first("feature_names_in_", of_last=False)

    @property
    def partial_fit(self):
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit; each of its members_ has, unless they are "
            "Pipelines."
        )

    def get_metadata_routing(self):
        """What the estimator asks for.

        Returns
        -------
        MetadataRouter
        """
        calls = MethodMapping().add(caller="fit", callee="fit").add(caller="score", callee="score")
        return MetadataRouter(owner=type(self).__name__).add(
            estimator=self._base(), method_mapping=calls
        )

    def __sklearn_tags__(self):
        return get_tags(self._base())


class DeepEnsembleClassifier(ClassifierMixin, _DeepEnsemble):
    """Classifiers that differ in their seeds, averaged; their spread is uncertainty.

    The members are trained on the same data, as one network of many members where that is
    possible, as by `inforeg_sk.model_selection.BatchedGridSearchCV`: see its Notes. They differ in
    initial weights, order of the samples, and dropout. This is the ensemble of [1]_, without its
    adversarial training.

    Parameters
    ----------
    estimator : MultimodalClassifier, MultimodalInfoRegClassifier or Pipeline, default=None
        What the members are clones of; a Pipeline ends in one of these. None is a
        `MultimodalInfoRegClassifier` with its defaults. The steps of a Pipeline in front of the
        last are fitted once, for all members. Its own `random_state` is replaced by the seeds of
        the members, and `warm_start` has no effect: each ``fit`` trains anew.
    n_members : int, default=10
        Networks to train.
    n_jobs : int or None, default=None
        Processes among which the networks are divided. The seeds do not depend on it.
    random_state : int, RandomState instance or None, default=None
        For the seeds of the members. With an int they are the same in each ``fit``, and the first
        of them do not depend on how many there are.

    Attributes
    ----------
    members_ : list of estimator
        The fitted members; Pipelines share their steps in front.
    classes_, modalities_, n_features_in_, feature_names_in_ :
        Those of the members.

    See Also
    --------
    DeepEnsembleRegressor : The same for numbers.

    Notes
    -----
    A single member equals the estimator with its seed to the last bit. Members that are trained
    together equal single fits but for rounding.

    What cannot be trained together is trained one after another; the logger
    ``inforeg_sk.model_selection`` says why at level INFO.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell (2017), "Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles", Advances in Neural Information Processing
       Systems 30, arXiv:1612.01474.

    Examples
    --------
    >>> from inforeg_sk import DeepEnsembleClassifier, MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=5)
    >>> ensemble = DeepEnsembleClassifier(clf, n_members=4, random_state=0).fit(X, y)
    >>> ensemble.predict(X).shape
    (120,)
    >>> ensemble.uncertainty(X).epistemic.shape
    (120,)
    """

    _estimator_class = MultimodalClassifier
    _default_class = MultimodalInfoRegClassifier

    @property
    def classes_(self):
        return self._first("classes_")

    def _decode(self, probabilities):
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X):
        """Mean of the members' probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return self._mean("predict_proba", X)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            -inf where all members give a probability of 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X):
        """Labels of the classes with the highest mean probability.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._decode(self.predict_proba(X))

    def predict_std(self, X):
        """Spread of the members' probabilities.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            Standard deviation over the members of the probability of each class. It is that of
            these members (numpy's ``ddof=0``): 0 of a single one.
        """
        return self._std("predict_proba", X)

    def uncertainty(self, X):
        """How uncertain the ensemble is, and whether its members are, or disagree.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        Uncertainty
            Named tuple of `total`, `aleatoric` and `epistemic`, each of shape (n_samples,), in
            nats.
        """
        mean = aleatoric = 0.0
        for found in self._each("predict_proba", X):
            mean = mean + found / len(self.members_)
            aleatoric = aleatoric + entr(found).sum(axis=1) / len(self.members_)
        total = entr(mean).sum(axis=1)
        # Not negative but for rounding.
        return Uncertainty(total, aleatoric, np.maximum(total - aleatoric, 0.0))

    def predict_proba_by_modality(self, X):
        """Means of the members' probabilities from each modality alone.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples, n_classes)
            Rows of NaN where a sample lacks the modality.
        """
        return self._mean_by_modality("predict_proba_by_modality", X)

    def score(self, X, y, sample_weight=None):
        """Accuracy of `predict`.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        return super().score(X, as_labels(y, type(self).__name__), sample_weight)

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """Accuracy of each modality alone, by `predict_proba_by_modality`.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            As of the estimator.
        scoring : str, callable or None, default=None
            Another score: the name of a scikit-learn scorer or a scorer, which may ask for
            ``predict``, ``predict_proba`` or ``decision_function``. It gets numbers of rows for X.

        Returns
        -------
        dict of str to float
        """
        outputs, decode = self.predict_proba_by_modality, self._decode
        return self._score_by_modality(outputs, decode, X, y, sample_weight, samples, scoring)


class DeepEnsembleRegressor(RegressorMixin, _DeepEnsemble):
    """Regressors that differ in their seeds, averaged; their spread is uncertainty.

    See `DeepEnsembleClassifier`, whose description and Notes hold here, too.

    Parameters
    ----------
    estimator : MultimodalRegressor, MultimodalInfoRegRegressor or Pipeline, default=None
        What the members are clones of; None is a `MultimodalInfoRegRegressor` with its defaults.
    n_members : int, default=10
        Networks to train.
    n_jobs : int or None, default=None
        Processes among which the networks are divided.
    random_state : int, RandomState instance or None, default=None
        For the seeds of the members.

    Attributes
    ----------
    members_ : list of estimator
        The fitted members; Pipelines share their steps in front.
    modalities_, n_features_in_, feature_names_in_ :
        Those of the members.

    Examples
    --------
    >>> import numpy as np
    >>> from inforeg_sk import DeepEnsembleRegressor, MultimodalInfoRegRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = {"text": rng.normal(size=(60, 4)), "audio": rng.normal(size=(60, 3))}
    >>> y = X["text"][:, 0] + X["audio"][:, 0]
    >>> reg = MultimodalInfoRegRegressor(max_epochs=5)
    >>> ensemble = DeepEnsembleRegressor(reg, n_members=4, random_state=0).fit(X, y)
    >>> ensemble.predict_std(X).shape
    (60,)
    """

    _estimator_class = MultimodalRegressor
    _default_class = MultimodalInfoRegRegressor

    def predict(self, X):
        """Mean of the members' predictions.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples,), or (n_samples, n_outputs) if ``y`` was 2-D
        """
        return self._mean("predict", X)

    def predict_std(self, X):
        """Spread of the members' predictions.

        It says how far the members disagree, not how far the target lies from them: noise in the
        target is no part of it.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64, shaped as in `predict`
            Standard deviation over the members (numpy's ``ddof=0``): 0 of a single one.
        """
        return self._std("predict", X)

    def predict_by_modality(self, X):
        """Means of the values that each modality predicts by itself in the members.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        dict of str to ndarray of float64, shaped as in `predict`
            NaN where a sample lacks the modality.
        """
        return self._mean_by_modality("predict_by_modality", X)

    def score(self, X, y, sample_weight=None):
        """R^2 of `predict`.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        return super().score(X, as_numbers(y, type(self).__name__), sample_weight)

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """R^2 of each modality alone, by `predict_by_modality`.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            As of the estimator.
        scoring : str, callable or None, default=None
            Another score: the name of a scikit-learn scorer or a scorer, which may ask for
            ``predict``, ``predict_proba`` or ``decision_function``. It gets numbers of rows for X.

        Returns
        -------
        dict of str to float
        """
        outputs = self.predict_by_modality
        return self._score_by_modality(outputs, np.asarray, X, y, sample_weight, samples, scoring)
