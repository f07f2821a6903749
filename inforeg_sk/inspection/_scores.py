"""The score of each modality alone, of whatever ends in an estimator of this library."""

from ..ensemble import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    EvidencePool,
    LateFusionClassifier,
    LateFusionRegressor,
    StackedModalitiesClassifier,
    StackedModalitiesRegressor,
)
from ..estimator import MultimodalEstimator
from ._unwrap import unwrap

__all__ = ["SCORED", "score_by_modality"]

SCORED = (
    MultimodalEstimator,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    EvidencePool,
    LateFusionClassifier,
    LateFusionRegressor,
    StackedModalitiesClassifier,
    StackedModalitiesRegressor,
)


def score_by_modality(estimator, X, y, *, scoring=None, samples="common", sample_weight=None):
    """Score of each modality alone; ``score_by_modality`` of estimators, also inside Pipelines.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted: an estimator of this library that has ``score_by_modality``, a Pipeline that ends in
        one, or a search over either.
    X : as in the estimator's ``fit``
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    scoring : str, callable or None, default=None
        The name of a scikit-learn scorer or a scorer; None is accuracy, or R^2 of a regressor.
    samples : {"common", "each"}, default="common"
        Where samples lack modalities: score on the samples that have all modalities of `X`, so that
        the scores compare, or each modality on the samples that have it.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from inforeg_sk import ModalityTransformer, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import score_by_modality
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0)
    >>> pipe = make_pipeline(ModalityTransformer(StandardScaler()), clf).fit(X, y)
    >>> sorted(score_by_modality(pipe, X, y, scoring="neg_log_loss"))
    ['strong', 'weak']
    """
    transformers, inner = unwrap(
        estimator, SCORED, "estimator of this library that has score_by_modality"
    )
    for transformer in transformers:
        X = transformer.transform(X)
    return inner.score_by_modality(X, y, sample_weight, samples=samples, scoring=scoring)
