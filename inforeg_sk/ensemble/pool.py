"""A network and other experts whose evidence is added up: `EvidencePool`."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..classifier import MultimodalInfoRegClassifier
from ..data.checks import check_rows_beside
from ..data.target import as_labels
from ..estimator.unimodal import Reading, check_scored, score_by_modality
from ..utils.parameters import (
    Constraint,
    Instance,
    Interval,
    IsNone,
    Options,
    Splits,
    check_parameters,
)
from .expert_lists import JOINT, LISTS
from .pool_fit import PoolFit, last_step
from .pool_report import Evidence, block_importance, by_block, weights_by_fold

__all__ = ["EvidencePool"]


def _classifies(pool):
    if is_classifier(pool):
        return True
    raise AttributeError("EvidencePool of a regressor has no probabilities.")


class EvidencePool(MetaEstimatorMixin, BaseEstimator):
    """A network and other experts of each modality, whose evidence is added up.

    The network may miss what simple models find, and the other way round. The pool asks both, and
    weighs them by what they say of samples that they were not trained on:

    ``log p(y|x) = log prior_y + b_y + sum_s w_s (log p_s(y|x) - log prior_y) - log Z(x)``, with
    ``w_s >= 0``. Of regressors it is ``mean + b + sum_s w_s (f_s(x) - mean)``.

    The class prior counts once, however many experts there are, and an expert that adds nothing
    gets a weight of 0. Some experts get all modalities side by side, so that interactions between
    modalities are seen, which a network with ``fusion="concat"`` cannot represent. Use it for
    tables of features, where trees and linear models are strong; for images and long sequences the
    network does the work, and the pool costs ``cv + 1`` fits of it.

    Parameters
    ----------
    estimator : classifier or regressor of this library, or Pipeline, default=None
        The network, or a Pipeline that ends in it. None is ``MultimodalInfoRegClassifier()``. Steps
        of a Pipeline in front are fitted on each training part anew; the experts get what they
        return.
    experts : {"default", "light", "thorough"} or dict of str to list, default="default"
        Who is asked beside the network.

        - "light": a ridge (multinomial logistic regression) per modality.
        - "default": ridge, elastic net and ExtraTrees per modality; an early network, which gets
          the modalities side by side, and ExtraTrees on the same.
        - "thorough": in addition HistGradientBoosting and a support vector machine, per modality
          and on all side by side.

        A dict has a list for modalities and for "joint", of pairs ``(name, estimator)`` of any
        scikit-learn estimators, or of names: "ridge", "elastic_net", "extra_trees",
        "hist_gradient_boosting", "svc", and for "joint" "early_network". What it does not name
        keeps its default list; an empty list asks nobody. See Notes for what experts get.
    cv : int, splitter or iterable of splits, default=5
        Folds for what experts say of samples that they were not trained on. An int spreads classes
        evenly, and keeps ``groups`` of ``fit`` whole. A splitter must hold out each sample once.
    lam : float, default=1.0
        Strength with which weights are drawn to those of equal experts; see
        `inforeg_sk.functional.pool_weights`.
    random_state : int, RandomState instance or None, default=None
        Folds, and seeds of all experts and networks that have none.
    n_jobs : int or None, default=None
        In how many processes other experts than the networks are fitted, each in one thread.
    verbose : int, default=0
        1 prints the number of fits, how long the networks will take at most (a few epochs of one of
        each kind tell, and networks of one shape are trained as one, which takes less), how long
        they took, and a progress bar of the other experts.

    Attributes
    ----------
    network_ : estimator
        The network, or the Pipeline, fitted on all samples: traces, windows and all that it has.
    experts_ : dict of str to dict of str to estimator
        All experts by block (a modality, or "joint") and name, fitted on all samples.
    classes_ : ndarray of shape (n_classes,)
        Of a classifier.
    modalities_ : tuple of str
    weights_ : dict of str to dict of str to float
        Weight of each expert, by block and name: products of the two levels. Single weights mean
        little where experts agree; sums of blocks and `block_importance_` mean more. In regression
        with several outputs ndarray of shape (n_outputs,).
    weights_spread_ : dict of str to dict of str to float
        Standard deviation of these weights when they are refitted without each of the folds.
    block_weights_, block_weights_spread_ : dict of str to float
        The same of the sums over blocks.
    block_importance_ : dict of str to BlockImportance
        Increase of the out-of-fold log-loss (or squared error) without each block, with its
        standard error: does a modality add anything; that of "joint": are there interactions, or
        is the network needed. Weights are refitted without the block, and without the fold that is
        looked at.
    oof_log_proba_ : ndarray of float64 of shape (n_samples, n_experts, n_classes)
        What experts said out of fold, in the order of `expert_names_`; the log prior where a sample
        lacks what an expert needs. Of a classifier.
    oof_prediction_ : ndarray of float64 of shape (n_samples, n_experts, n_outputs)
        The same of a regressor.
    expert_names_ : list of tuple of str and str
        Block and name of each expert.
    fold_ : ndarray of int of shape (n_samples,)
        The fold in which each sample was held out.
    prior_ : ndarray of float64 of shape (n_classes,) or (n_outputs,)
        Log prior of the classes, or mean of the target.
    n_features_in_, feature_names_in_ :
        After a fit with a 2-D array or DataFrame.

    Raises
    ------
    TypeError, ValueError
        Before anything is fitted: what was got, what is accepted. An expert that cannot be fitted
        is named with its fold.

    Warns
    -----
    UserWarning
        If the training part of a fold lacks a class; its held-out samples then have no part in the
        weights.

    Notes
    -----
    **Two levels.** Each modality is a block, and network, early network and experts of all
    modalities side by side are the block "joint". Experts are pooled within each block, drawn to
    equal weights of sum 1, then the blocks with one another, drawn to M / (M + 1) of M modalities
    (in regression to equal weights of sum 1). Both go by the same out-of-fold opinions.

    **What experts get.** A vector as it is, sparse matrices as such; sequences without padding of
    up to 10,000 values flattened, as the network takes them. Of all others (images, padded or long
    sequences, modalities of several arrays) what the trained encoder of the network of the same
    fold makes of them: linear experts only, in lists by name. The elastic net is left out where
    columns times classes are above 5,000, boosting for sparse matrices, and the experts of all
    modalities side by side where fewer than two are tables.

    **Missing modalities.** With ``missing="allow"`` of the network an expert is fitted on the
    samples that have what it needs, and adds nothing for the others. At prediction the experts of
    absent modalities drop out, and the weights are refitted for what is left, from the stored
    out-of-fold opinions; those of the network are then what it says without these modalities (of
    more than four modalities: if one is absent).

    **Weights.** ``sample_weight`` and the network's ``class_weight`` count in the prior, in all
    experts and in the weights alike; "balanced" means a flat prior. Experts of your own must take
    ``sample_weight`` if there are any, and get ``groups`` if their ``fit`` has them.

    **Cost.** ``cv + 1`` fits of everything. Networks are trained as one where they can be (see
    `inforeg_sk.model_selection.BatchedGridSearchCV`). Trees make pickles of megabytes and take 20
    to 50 ms a call. In a search each candidate costs as much again: search over the network, and
    put the best into a pool.

    **No partial_fit**: trees cannot go on, and neither can weights that rest on folds.

    Examples
    --------
    >>> from inforeg_sk import EvidencePool, MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(120, random_state=0)
    >>> network = MultimodalInfoRegClassifier(max_epochs=5)
    >>> pool = EvidencePool(network, experts="light", cv=3, random_state=0).fit(X, y)
    >>> pool.predict(X).shape
    (120,)
    >>> list(pool.weights_["joint"])
    ['network']
    >>> evidence = pool.evidence(X)
    >>> bool(abs(evidence.total() - pool.predict_log_proba(X)).max() < 1e-10)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "experts": [Options(*LISTS), Instance(Mapping, text="a dict of lists by block")],
        "cv": [Interval(Integral, 2), Splits()],
        "lam": [Interval(Real, 0, closed="neither")],
        "n_jobs": [Instance(Integral), IsNone()],
        "verbose": [Interval(Integral, 0), Instance(bool)],
    }

    def __init__(
        self,
        estimator=None,
        experts="default",
        *,
        cv=5,
        lam=1.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.experts = experts
        self.cv = cv
        self.lam = lam
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _base(self):
        return MultimodalInfoRegClassifier() if self.estimator is None else self.estimator

    # Fitting

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit networks and experts on all folds and on all samples, and weigh them.

        Parameters
        ----------
        X : as in ``fit`` of the estimator
        y : array-like of shape (n_samples,)
            Class labels; of a regressor numbers, also of shape (n_samples, n_outputs).
        sample_weight : array-like of shape (n_samples,), default=None
        groups : array-like of shape (n_samples,), default=None
            What no fold cuts: neither those of the pool, nor those by which experts choose their
            strength, nor what the network holds out.

        Returns
        -------
        self
        """
        check_parameters(self)
        last_step(self._base())
        fit = PoolFit(
            self._base(),
            self.experts,
            self.cv,
            self.lam,
            self.random_state,
            self.n_jobs,
            self.verbose,
            type(self).__name__,
        )
        pool, whole, modalities = fit.run(X, y, sample_weight, groups)
        names = ("classes_", "oof_log_proba_", "oof_prediction_")
        for name in names:
            vars(self).pop(name, None)
        self._pool, self.network_, self.modalities_ = pool, whole, modalities
        if pool.classes is None:
            self.oof_prediction_ = pool.opinions
            self._flat = np.ndim(fit.y) == 1
        else:
            self.classes_, self.oof_log_proba_ = pool.classes, pool.opinions
        self.fold_, self.prior_ = pool.fold, pool.rule.base
        self.expert_names_ = [(expert.block, expert.name) for expert in pool.experts]
        self.experts_ = self._in_order(by_block(pool.experts, pool.fitted))
        self._by_fold = self._importance = None
        return self

    @property
    def partial_fit(self):
        raise AttributeError(
            "EvidencePool has no partial_fit: weights rest on folds of all samples, and trees "
            "cannot go on. Call fit with all samples, or partial_fit of a network alone."
        )

    # Prediction

    def predict(self, X):
        """Most probable class; of a regressor values.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        return self._decode(self._pool.predict(X))

    def _decode(self, said):
        if self._pool.classes is not None:
            return self.classes_[said.argmax(axis=1)]
        return said[:, 0] if self._flat else said

    @available_if(_classifies)
    def predict_log_proba(self, X):
        """Log-probabilities of the classes.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self._pool.predict(X)

    @available_if(_classifies)
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

    def score(self, X, y, sample_weight=None):
        """Accuracy; of a regressor R^2.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        predicted = self.predict(X)
        return float(self._metric()(self._truth(y), predicted, sample_weight=sample_weight))

    def _metric(self):
        return r2_score if self._pool.classes is None else accuracy_score

    def _truth(self, y):
        return y if self._pool.classes is None else as_labels(y, type(self).__name__)

    def score_by_modality(self, X, y, sample_weight=None, *, samples="common", scoring=None):
        """Score of the experts of each modality alone, with weights of their own.

        Parameters
        ----------
        X : as in ``fit``
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        samples : {"common", "each"}, default="common"
            Where samples lack modalities: score on the samples that have all modalities of `X`,
            so that the scores compare, or each modality on the samples that have it.
        scoring : str, callable or None, default=None
            Another score: the name of a scikit-learn scorer or a scorer, which may ask for
            ``predict``, ``predict_proba`` or ``decision_function``. It gets numbers of rows for X.

        Returns
        -------
        dict of str to float
            Without modalities that no sample has, or that have no experts.
        """
        check_is_fitted(self)
        check_scored(X, y, sample_weight, samples)
        asked = self._pool.ask(X)
        blocks = self._pool.blocks()
        outputs = {
            name: self._pool.pooled(*asked, only=name)
            for name in self.modalities_
            if name in blocks
        }
        present = {name: ~np.isnan(values[:, 0]) for name, values in outputs.items()}
        classes = None if self._pool.classes is None else self.classes_
        reading = Reading(self._decode, self._metric(), classes, np.exp)
        truth = self._truth(y)
        return score_by_modality(outputs, present, truth, sample_weight, samples, reading, scoring)

    def evidence(self, X):
        """How much each expert speaks for which class, or how far it moves the value.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        Evidence
            See `inforeg_sk.ensemble.Evidence`: by block and expert; it adds up to what the pool
            says.
        """
        check_is_fitted(self)
        pool = self._pool
        opinions, speaks, patterns = pool.ask(X)
        said = pool.pooled(opinions, speaks, patterns)
        experts, bias = np.zeros_like(opinions), np.zeros_like(said)
        for absent, rows in patterns:
            levels = pool.levels(absent)
            experts[rows], bias[rows] = levels.evidence(opinions[rows], speaks[rows])
        total = pool.rule.base + bias + experts.sum(axis=1)
        log_total = np.zeros(len(said))
        if pool.classes is not None:
            log_total = np.logaddexp.reduce(total, axis=1)
        columns = self._in_order(by_block(pool.experts, np.moveaxis(experts, 1, 0)))
        return Evidence(columns, pool.rule.base, bias, log_total)

    # What a fit found

    @property
    def weights_(self):
        pool = self._fitted()
        return self._by_expert(pool.levels().expert_weights(len(pool.experts)))

    @property
    def weights_spread_(self):
        return self._by_expert(self._fold_weights().std(axis=0))

    @property
    def block_weights_(self):
        pool = self._fitted()
        return self._by_block_sum(pool.levels().expert_weights(len(pool.experts))[None], np.mean)

    @property
    def block_weights_spread_(self):
        return self._by_block_sum(self._fold_weights(), np.std)

    @property
    def block_importance_(self):
        pool = self._fitted()
        if self._importance is None:
            self._importance = block_importance(pool)
        return self._in_order(self._importance)

    def _fold_weights(self):
        pool = self._fitted()
        if self._by_fold is None:
            self._by_fold = weights_by_fold(pool)
        return self._by_fold

    def _fitted(self):
        if "_pool" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit.")
        return vars(self)["_pool"]

    def _by_expert(self, weights):
        return self._in_order(by_block(self._pool.experts, [_number(w) for w in weights]))

    def _by_block_sum(self, weights, summary):
        blocks = self._pool.blocks()
        sums = {name: weights[:, where].sum(axis=1) for name, where in blocks.items()}
        return self._in_order({name: _number(summary(s, axis=0)) for name, s in sums.items()})

    def _in_order(self, blocks):
        """A dict by block in the order of the modalities as the user gave them."""
        return {name: blocks[name] for name in (*self.modalities_, JOINT) if name in blocks}

    @property
    def n_features_in_(self):
        self._fitted()
        return self.network_.n_features_in_

    @property
    def feature_names_in_(self):
        self._fitted()
        return self.network_.feature_names_in_

    def __sklearn_tags__(self):
        return get_tags(self._base())

    def __sklearn_is_fitted__(self):
        return "_pool" in vars(self)


def _number(value):
    value = np.asarray(value)
    return float(value.ravel()[0]) if value.size == 1 else value
