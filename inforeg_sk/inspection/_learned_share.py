"""How much of what an encoder learns alone it has learned in joint training: three probes."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import Bunch

from ..data.checks import as_modalities, check_rows_beside
from ..ensemble.experts import only, rows_with
from ..estimator.scoring import check_single_scoring, one_score
from ..estimator.unimodal import features_of
from ..utils.compat import safe_indexing
from ._alone import as_given_modalities, fit_alone_estimators
from ._probe import fit_linear_probe
from ._unwrap import unwrap, with_network

__all__ = ["learned_share"]


def learned_share(
    estimator,
    X_train,
    y_train,
    X_test,
    y_test,
    *,
    alone=None,
    scoring=None,
    probe=None,
    groups=None,
    n_jobs=None,
):
    r"""Share of what each encoder learns alone that it has learned in joint training.

    A modality that predicts badly inside a joint network may have an encoder that did not learn, or
    a head that does not use it. Linear probes on frozen features tell them apart: P0 on those of
    the network before its first step, PJ on those of the fitted network, PA on those of an encoder
    that was trained on the modality alone. The learned share is

    .. math:: s_m = (PJ_m - P0_m) / (PA_m - P0_m)

    Random features predict well, too, so that P0 and not chance is the zero point.

    Parameters
    ----------
    estimator : MultimodalClassifier, MultimodalRegressor, Pipeline, search or EvidencePool
        Fitted on the training data: one of these or a subclass, or a Pipeline or search that ends
        in one. Of a pool, its network is measured.
    X_train, y_train : as in ``fit``
        What the probes, and the networks of the single modalities, are fitted on.
    X_test, y_test : as in ``fit``
        Held-out data, on which the probes are scored.
    alone : dict of str to estimator, default=None
        Estimators of this library that were fitted on a mapping of one modality each, such as the
        `experts_` of a `LateFusionClassifier`; or Pipelines that end in one. None fits them: same
        encoder, budget and seed, joint training, on what the steps in front of the estimator make
        of the data. Sample weights are not handed on.
    scoring : str, callable or None, default=None
        Scores the probes. None is their ``score``: accuracy, or R^2 of a regressor.
    probe : estimator, default=None
        The linear model, cloned for each set of features. None: on standardized features a logistic
        regression with C of 0.01, 0.1, 1 or 10, chosen by the log-likelihood in 3 folds of the
        training data; in regression ``RidgeCV`` with alphas from 0.01 to 10,000.
    groups : array-like of shape (n_train_samples,), default=None
        Stay together in all inner folds.
    n_jobs : int or None, default=None
        Processes among which the fits of single modalities are divided.

    Returns
    -------
    sklearn.utils.Bunch
        ``modalities`` (tuple of str), and by modality in this order, ndarrays of shape
        (n_modalities,): ``untrained`` (P0), ``joint`` (PJ), ``alone`` (PA) and ``learned_share``,
        which is NaN where PA is not above P0: alone, the encoder learns nothing beyond random
        features. ``alone_estimators`` (dict) are those that were fitted or given. All of it is of
        the samples that have the modality; NaN where there is none to score.

    Raises
    ------
    TypeError
        If the estimator has no network of several encoders.
    ValueError
        If `alone` lacks a modality, or the initial weights are not known; see
        `MultimodalClassifier.initial_network`.

    Notes
    -----
    There is no interval here: one fit and one split. Where PA - P0 is small, the share is mostly
    noise; `inforeg_sk.functional.corrected_resampled_t` of differences over folds says how much.

    Examples
    --------
    >>> from sklearn.model_selection import train_test_split
    >>> from inforeg_sk import ModalityDict, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import learned_share
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> data = train_test_split(ModalityDict(X), y, random_state=0)
    >>> X_train, X_test, y_train, y_test = data
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X_train, y_train)
    >>> found = learned_share(clf, X_train, y_train, X_test, y_test)
    >>> found.modalities, found.joint.shape
    (('strong', 'weak'), (2,))
    """
    transformers, inner = unwrap(with_network(estimator))
    train = _Part(transformers, inner, X_train, y_train)
    test = _Part(transformers, inner, X_test, y_test)
    names = tuple(name for name in inner.modalities_ if name in train.X and name in test.X)
    given = alone is not None
    if not given:
        alone = fit_alone_estimators(inner, train.X, train.y, groups=groups, n_jobs=n_jobs)
    alone = {name: _fitted_alone(alone, name) for name in names}
    initial = inner.initial_network()
    features = {
        "untrained": lambda part: part.cut(features_of(inner, initial, part.taken), names),
        "joint": lambda part: part.cut(inner.transform_by_modality(part.taken), names),
        "alone": lambda part: {name: part.of_alone(alone[name], name, given) for name in names},
    }
    probes = _Probes(is_classifier(inner), probe, scoring, groups)
    scores = {}
    for what, features_in in features.items():
        Z_train, Z_test = features_in(train), features_in(test)
        found = [probes.score(n, Z_train[n], train, Z_test[n], test) for n in names]
        scores[what] = np.stack(np.broadcast_arrays(*found))
    gain = scores["alone"] - scores["untrained"]
    share = np.full_like(gain, np.nan)
    np.divide(scores["joint"] - scores["untrained"], gain, out=share, where=gain > 0)
    return Bunch(modalities=names, learned_share=share, **scores, alone_estimators=alone)


class _Part:
    """Training or test data: as they were given, as the network takes them, and by modality."""

    def __init__(self, transformers, inner, X, y):
        check_rows_beside(X, {"y": y})
        self.given, self.y = X, y
        for transformer in transformers:
            X = transformer.transform(X)
        self.taken, self.X = X, as_given_modalities(inner, X)
        self.present = {name: rows_with(self.X, name) for name in self.X}

    def cut(self, features, names):
        """Features of the samples that have the modality."""
        return {name: features[name][self.present[name]] for name in names}

    def of_alone(self, estimator, name, given):
        """Features from the encoder of an estimator of one modality, of the same samples."""
        rows = self.present[name]
        if not rows.any():
            return np.empty((0, 1))
        transformers, inner = unwrap(estimator)
        X = only(as_modalities(self.given) if given else self.X, name, rows)
        for transformer in transformers:
            X = transformer.transform(X)
        return inner.transform_by_modality(X)[name]


class _Probes:
    """Probes of one kind, and how they are scored."""

    def __init__(self, classifies, probe, scoring, groups):
        self._classifies, self._probe, self._scoring = classifies, probe, scoring
        self._groups = None if groups is None else np.asarray(groups)

    def score(self, name, Z_train, train, Z_test, test):
        """Fit a probe on the training part and score it on the test part."""
        if not len(Z_test):
            return np.nan
        rows = np.flatnonzero(train.present[name])
        y = np.asarray(safe_indexing(train.y, rows))
        groups = None if self._groups is None else self._groups[rows]
        if self._probe is None:
            probe = fit_linear_probe(Z_train, y, self._classifies, groups)
        else:
            probe = clone(self._probe).fit(Z_train, y)
        scorer = check_single_scoring(probe, self._scoring, "learned_share")
        truth = np.asarray(safe_indexing(test.y, np.flatnonzero(test.present[name])))
        return one_score(scorer, probe, Z_test, truth)


def _fitted_alone(alone, name):
    if name not in alone:
        raise ValueError(
            f"The 'alone' parameter of learned_share has no estimator of modality {name!r}. It has "
            f"those of {', '.join(map(repr, alone))}."
        )
    _, inner = unwrap(alone[name])
    if tuple(inner.modalities_) != (name,):
        raise ValueError(
            f"The 'alone' parameter of learned_share has for modality {name!r} an estimator that "
            f"was fitted on {', '.join(map(repr, inner.modalities_))}."
        )
    return alone[name]
