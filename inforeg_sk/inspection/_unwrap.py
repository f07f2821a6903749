"""The estimator inside a pipeline or a search, and the transformers in front of it."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..ensemble.pool import EvidencePool
from ..estimator import MultimodalEstimator
from ..model_selection import MultimodalInfoRegClassifierCV, MultimodalInfoRegRegressorCV

_CHOOSERS = (MultimodalInfoRegClassifierCV, MultimodalInfoRegRegressorCV)


def unwrap(estimator, accepted=MultimodalEstimator, names="estimator of this library"):
    """Return the fitted transformers in front, in their order, and the fitted estimator.

    Parameters
    ----------
    estimator : estimator
    accepted : class
        Class of the fitted estimator; `names` describes it in messages.
    names : str

    Returns
    -------
    transformers : list of Pipeline
    estimator : MultimodalEstimator
    """
    transformers, inner = [], estimator
    while not isinstance(inner, accepted):
        if isinstance(inner, Pipeline):
            transformers += [inner[:-1]] if len(inner) > 1 else []
            inner = inner[-1]
        elif hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        # A search: no other estimator has this parameter.
        elif hasattr(inner, "error_score") or isinstance(inner, _CHOOSERS):
            check_is_fitted(inner)
            raise ValueError(
                f"This {type(inner).__name__} has no best estimator: fit it with refit=True, "
                f"or give a fitted {names}."
            )
        else:
            got = type(estimator).__name__
            got += "" if inner is estimator else f" that ends in {type(inner).__name__}"
            raise TypeError(
                f"A fitted {names} is expected, or a Pipeline that ends in one, or a search (such "
                f"as GridSearchCV) over either; got {got}."
            )
    check_is_fitted(inner)
    return transformers, inner


def with_network(estimator):
    """The estimator itself, or the one whose network a pool holds."""
    if isinstance(estimator, EvidencePool):
        check_is_fitted(estimator)
        return estimator.network_
    return estimator


def method_title(estimator):
    """The balancing method and its settings that are not the defaults, in a line."""
    settings = " ".join(repr(estimator.method_).split())
    return settings if len(settings) <= 60 else f"{settings[:57]}..."
