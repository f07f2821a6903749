"""All private names of scikit-learn and skorch that the library uses, in one place."""

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils.metadata_routing import _raise_for_params as raise_for_params
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.metaestimators import _safe_split as cut_rows
from sklearn.utils.validation import (
    _check_feature_names_in as check_feature_names_in,
)
from sklearn.utils.validation import _check_method_params as cut_fit_params
from sklearn.utils.validation import (
    _check_sample_weight,
)

try:  # scikit-learn 1.7 and newer
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:
    from sklearn.utils._estimator_html_repr import _VisualBlock

__all__ = [
    "BaseComposition",
    "BaseSearchCV",
    "OwnParametersInHtml",
    "check_feature_names_in",
    "check_weights",
    "cut_fit_params",
    "cut_rows",
    "parallel_block",
    "raise_for_params",
    "safe_indexing",
]


def check_weights(sample_weight, n_samples):
    """Sample weights as a new array of float64, finite, of the right length; or raise."""
    return _check_sample_weight(
        sample_weight, np.empty((n_samples, 0)), dtype=np.float64, copy=True
    )


def parallel_block(estimators, names):
    """Drawing of estimators side by side, as a ColumnTransformer's, for ``_sk_visual_block_``."""
    return _VisualBlock("parallel", estimators, names=names, name_details=[None] * len(names))


class OwnParametersInHtml:
    """Mixin of skorch nets whose HTML shows the user's parameters, not those of callbacks."""

    def _get_params_html(self, deep=True, **kwargs):
        return super()._get_params_html(deep=False, **kwargs)
