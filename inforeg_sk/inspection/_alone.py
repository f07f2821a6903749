"""A modality by itself: its data, and the estimator that is trained on it alone."""

import numpy as np

from ..data.checks import as_modalities
from ..data.columns import split_columns
from ..data.container import ModalityDict, is_mapping
from ..data.conversion import as_table
from ..ensemble.experts import as_expert, fit_arguments, only, rows_with
from ..estimator.inforeg import InfoRegEstimator
from ..model_selection.fits import fit_parts
from ..model_selection.parts import Part
from ..network.network import attribute_name
from ..utils.compat import safe_indexing
from ..utils.parameters import error_kind

__all__ = ["alone_estimator", "as_given_modalities", "fit_alone_estimators"]

# Fusions that need a modality beside the one.
_CONDITIONED = ("gated", "film")


def alone_estimator(estimator, name, names=None):
    """An estimator of one modality with the same encoder, budget and seed, trained jointly only.

    Parameters
    ----------
    estimator : MultimodalEstimator
        It does not change.
    name : str
        The modality.
    names : sequence of str, default=None
        All modalities. None: those that the estimator was fitted on.

    Returns
    -------
    MultimodalEstimator
        Not fitted. It takes a mapping of the one modality. There is nothing to balance, so its
        method is joint training.
    """
    params = estimator.get_params(deep=False)
    names = estimator.modalities_ if names is None else names
    others = [other for other in names if other != name]
    foreign = ("method__", *(f"encoders__{other}__" for other in others))
    params = {key: value for key, value in params.items() if not key.startswith(foreign)}
    groups = params.get("optimizer__param_groups")
    if groups is not None:
        params["optimizer__param_groups"] = _groups_without(groups, others)
    plain = {"active": None, "modalities": None}
    if isinstance(estimator, InfoRegEstimator):
        plain.update(alpha=0.0, unimodal_weight=0.0)
    else:
        plain.update(method="joint")
    if params.get("fusion") in _CONDITIONED:
        params = {key: v for key, v in params.items() if not key.startswith("fusion__")}
        plain.update(fusion="concat")
    params.update({key: value for key, value in plain.items() if key in params})
    return as_expert(type(estimator)(**params), name)


def _groups_without(groups, names):
    """Parameter groups but those of some encoders."""
    encoders = [attribute_name(name) for name in names]
    kept = []
    for pattern, settings in groups:
        plain = pattern.partition("*")[0]
        if not any(plain.rstrip(".") == e or plain.startswith(f"{e}.") for e in encoders):
            kept.append((pattern, settings))
    return kept


def as_given_modalities(estimator, X):
    """Data for a fitted estimator as a `ModalityDict`, cut if they are a table.

    Parameters
    ----------
    estimator : MultimodalEstimator
    X : as in ``fit``

    Returns
    -------
    ModalityDict
    """
    if not is_mapping(X):
        return split_columns(as_table(X, type(estimator).__name__), estimator.fitted_input_.columns)
    if isinstance(X, ModalityDict):
        return X
    return as_modalities({name: value for name, value in X.items() if value is not None})


def fit_alone_estimators(estimator, X, y, *, groups=None, n_jobs=None):
    """Train an estimator on each modality by itself, on the samples that have it.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Fitted; see `alone_estimator`.
    X : as in ``fit``
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    groups : array-like of shape (n_samples,), default=None
        For what early stopping or `train_split` holds out.
    n_jobs : int or None, default=None

    Returns
    -------
    dict of str to MultimodalEstimator
        In the order of `modalities_`.
    """
    X = as_given_modalities(estimator, X)
    names = [name for name in estimator.modalities_ if name in X]
    experts = [alone_estimator(estimator, name) for name in names]
    parts = []
    for name, expert in zip(names, experts, strict=True):
        present = rows_with(X, name)
        rows = np.flatnonzero(present)
        inside = None if groups is None else np.asarray(groups)[rows]
        arguments = fit_arguments(expert, groups=inside)
        parts.append(Part(only(X, name, present), safe_indexing(y, rows), None, arguments))
    fitted = fit_parts(experts, parts, n_jobs=n_jobs)
    for name, one in zip(names, fitted, strict=True):
        if one.error is not None:
            kind = error_kind(one.error)
            raise kind(f"Modality {name!r} could not be trained alone: {one.error}") from one.error
    return {name: one.estimator for name, one in zip(names, fitted, strict=True)}
