"""What a diagnosis compares: rivals without our networks, and the same network by other methods."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    clone,
)
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from ..data.checks import check_modalities
from ..data.to_columns import ModalitiesToColumns
from ..ensemble import (
    EvidencePool,
    LateFusionClassifier,
    LateFusionRegressor,
    StackedModalitiesClassifier,
    StackedModalitiesRegressor,
)
from ..ensemble.experts import log_prior_of, only, rows_with
from ..ensemble.linear_experts import LinearPathClassifier, LinearPathRegressor
from ..ensemble.pool_data import table_kinds
from ..estimator.inforeg import InfoRegEstimator
from ..methods import METHODS
from ..training.device import resolve_dtype
from ..utils.suggestions import did_you_mean

__all__ = [
    "BEST_SINGLE",
    "LATE_FUSION",
    "LEVELS",
    "MAJORITY",
    "POOL",
    "POOL_FOLDS",
    "RIVALS",
    "Compared",
    "alone_on_all",
    "compared_networks",
    "describe",
    "fit_rival",
    "is_additive",
    "late_fusion_of",
    "late_fusion_template",
    "name_of_given",
    "pool_experts",
    "rival_estimator",
    "subset_row",
]

MAJORITY, LINEAR, STACKED = "majority", "linear on all", "stacked linear"
BEST_SINGLE, LATE_FUSION, POOL = "best single", "late fusion", "evidence pool"
#: Rows that are no variants of the network, and are compared unless `rivals` says otherwise.
RIVALS = (MAJORITY, BEST_SINGLE, LINEAR, STACKED, LATE_FUSION, POOL)
#: How simple rows are; the recommendation prefers the simpler inside the noise.
LEVELS = {MAJORITY: 0, LINEAR: 1, STACKED: 2, BEST_SINGLE: 3, LATE_FUSION: 4, POOL: 20}
_SUBSET, _JOINT, _STARRED, _METHOD, _INTERACTING = 5, 6, 7, 8, 9
_ADDITIVE = ("concat", "sum")
POOL_FOLDS = 3
_TEXTS = {
    MAJORITY: "the most frequent class, or the mean",
    BEST_SINGLE: "the network of one modality, chosen anew in each fold by the other folds",
    LINEAR: "one ridge-penalized linear model on all modalities side by side",
    STACKED: "one linear model a modality, and a linear model on their out-of-fold predictions",
    LATE_FUSION: "networks trained alone, their predictions combined",
    POOL: "the network, a linear model a modality and trees on all, weighed out of fold",
}


class Compared(NamedTuple):
    """A row of the comparison that is a network.

    Parameters
    ----------
    name : str
    estimator : estimator
        It takes modalities; not fitted.
    level : float
        How simple it is; see `LEVELS`.
    text : str
    """

    name: str
    estimator: object
    level: float
    text: str


def describe(name, one_split=False):
    """What a rival is (str)."""
    text = _TEXTS[name]
    halves = "half of the test part by the other half"
    return text.replace("fold by the other folds", halves) if one_split else text


# Variants of the network


def name_of_given(network):
    """The method of a network by name; of a class or object that has none, the class's name."""
    if isinstance(network, InfoRegEstimator):
        settings = network.alpha, network.unimodal_weight
    else:
        method = network.method
        known = {cls: name for name, cls in METHODS.items()}
        if isinstance(method, str):
            name = method
        else:
            kind = method if isinstance(method, type) else type(method)
            name = known.get(kind, kind.__name__)
        if name != "inforeg":
            return name
        read = network.get_params_for("method") if isinstance(method, str | type) else vars(method)
        settings = read.get("alpha", 3.0), read.get("unimodal_weight", 1.0)
    alpha, unimodal = settings
    pulls = any(alpha.values()) if isinstance(alpha, Mapping) else bool(alpha)
    if pulls:
        return "inforeg"
    return "joint*" if unimodal else "joint"


def is_additive(network):
    """Whether a network's joint logits are a sum over the modalities."""
    return network.fusion in _ADDITIVE


def compared_networks(network, methods):
    """The network as given and its rivals, the given one first.

    Parameters
    ----------
    network : MultimodalEstimator
    methods : "default", sequence of str, or dict of str to estimator or dict
        See `diagnose`.

    Returns
    -------
    list of Compared
    """
    given = name_of_given(network)
    found = [Compared(given, clone(network), _JOINT, "the network as given")]
    if isinstance(methods, str) and methods == "default":
        other = "mlp" if is_additive(network) else "concat"
        names = [name for name in ("joint", "joint*", "inforeg", other) if name != given]
        methods = names if has_named_fusion(network) else names[:-1]
    if isinstance(methods, Mapping):
        for name, what in methods.items():
            _refuse_taken(name, found)
            found.append(Compared(name, _own(network, name, what), _METHOD, "your own"))
        return found
    if isinstance(methods, str) or not all(isinstance(name, str) for name in methods):
        raise TypeError(
            "The 'methods' parameter of diagnose must be a list of names or a dict of name to "
            f"estimator or parameters. Got {methods!r}."
        )
    for name in methods:
        if name == given:
            continue
        _refuse_taken(name, found)
        found.append(_variant(network, name))
    return found


def has_named_fusion(network):
    """Whether `fusion` is one of the names, which another name can take the place of."""
    return isinstance(network.fusion, str)


def _refuse_taken(name, found):
    if name in RIVALS:
        raise ValueError(
            f"The 'methods' parameter of diagnose has {name!r}, which is a rival: name it in "
            "'rivals', or give a row of your own another name."
        )
    if name in [row.name for row in found]:
        raise ValueError(
            f"The 'methods' parameter of diagnose has {name!r}, which is the name of another row: "
            "give it another name."
        )


def _variant(network, name):
    """The same network by another method, or with another fusion."""
    if name in ("mlp", "concat"):
        kept = {k: v for k, v in _plain_params(network).items() if not k.startswith("fusion__")}
        made = type(network)(**{**kept, "fusion": name})
        level = _INTERACTING if name == "mlp" else _JOINT
        text = "an interacting fusion" if name == "mlp" else "a fusion without interactions"
        return Compared(name, made, level, f"the network with {text} (fusion={name!r})")
    texts = {
        "joint": (_JOINT, "the network in plain joint training"),
        "joint*": (_STARRED, "joint training with unimodal losses (InfoReg with alpha 0)"),
    }
    if name not in METHODS and name not in texts:
        known = [*METHODS, "joint*", "mlp", "concat"]
        raise ValueError(
            f"The 'methods' parameter of diagnose names {name!r}; known are "
            f"{', '.join(map(repr, known))}{did_you_mean(name, known)}"
        )
    level, text = texts.get(name, (_METHOD, f"the network with method {name!r} and its defaults"))
    return Compared(name, _with_method(network, name), level, text)


def _plain_params(network):
    return network.get_params(deep=False)


def _with_method(network, name):
    params = {k: v for k, v in _plain_params(network).items() if not k.startswith("method__")}
    flat = {"joint": (0.0, 0.0), "joint*": (0.0, 1.0), "inforeg": (3.0, 1.0)}
    if isinstance(network, InfoRegEstimator):
        if name not in flat:
            raise ValueError(
                f"The 'methods' parameter of diagnose names {name!r}, which "
                f"{type(network).__name__} cannot take: diagnose the estimator of any method, "
                f"{type(network)._general}."
            )
        alpha, unimodal = flat[name]
        return type(network)(**{**params, "alpha": alpha, "unimodal_weight": unimodal})
    settings = {"method": "inforeg" if name in ("joint*", "inforeg") else name, "active": None}
    if name == "joint*":
        settings["method__alpha"] = 0.0
    return type(network)(**{**params, **settings})


def _own(network, name, what):
    if isinstance(what, Mapping):
        return clone(network).set_params(**what)
    if isinstance(what, str):
        return _variant(network, what).estimator
    if isinstance(what, type) or not (hasattr(what, "fit") and hasattr(what, "get_params")):
        raise TypeError(
            f"The 'methods' parameter of diagnose has for {name!r} neither an estimator nor a dict "
            f"of parameters. Got {what!r}."
        )
    return clone(what)


def subset_row(network, name, dropped):
    """The network as given without a modality.

    Parameters
    ----------
    network : MultimodalEstimator
    name : str
        Of the row.
    dropped : tuple of str

    Returns
    -------
    Compared
    """
    text = f"the network as given, without {', '.join(dropped)}"
    return Compared(name, clone(network), _SUBSET, text)


# Rivals


def rival_estimator(name, task, names, seed):
    """A rival that is fitted by itself.

    Parameters
    ----------
    name : str
        One of `RIVALS` but those made of networks trained alone.
    task : Task
    names : tuple of str
        Modalities.
    seed : int or None
        None: that of the network.

    Returns
    -------
    estimator
    """
    classifies, missing = task.classifies, task.missing
    if name == MAJORITY:
        return DummyClassifier(strategy="prior") if classifies else DummyRegressor()
    linear = LinearPathClassifier() if classifies else LinearPathRegressor()
    if name == LINEAR:
        filled = [("fill", SimpleImputer(keep_empty_features=True))] if missing == "allow" else []
        columns = ("columns", ModalitiesToColumns(missing=missing))
        return Pipeline([columns, *filled, ("linear", linear)])
    if name == STACKED:
        kind = StackedModalitiesClassifier if classifies else StackedModalitiesRegressor
        return kind(linear, cv=3, missing=missing)
    network = clone(task.network)
    if seed is not None:
        network.set_params(random_state=seed)
    return EvidencePool(network, task.pool_experts, cv=POOL_FOLDS, random_state=seed)


def pool_experts(network, X):
    """Experts of the evidence pool: a ridge a modality, and trees on two or more tables.

    Parameters
    ----------
    network : MultimodalEstimator
    X : mapping
        What it is to be fitted on.

    Returns
    -------
    dict of str to list of str
    """
    dtype, _ = resolve_dtype(network.dtype, type(network).__name__)
    kinds = table_kinds(check_modalities(X, network, dtype).X)
    n_tables = sum(kind != "features" for kind in kinds.values())
    of_all = {"joint": ["extra_trees"] if n_tables > 1 else []}
    return {**{name: ["ridge"] for name in kinds}, **of_all}


def fit_rival(estimator, X, y, groups):
    """Fit a rival, with groups where it takes them."""
    if groups is None or isinstance(estimator, DummyClassifier | DummyRegressor):
        return estimator.fit(X, y)
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        takes = has_fit_parameter(last, "groups")
        return estimator.fit(X, y, **({f"{name}__groups": groups} if takes else {}))
    return estimator.fit(X, y, groups=groups)


def late_fusion_template(task):
    """Late fusion of networks that are trained alone; `estimator` is for the caller to set."""
    if not task.classifies:
        return LateFusionRegressor(missing=task.missing)
    # Networks with balanced classes have a flat prior each.
    flat = getattr(task.network, "class_weight", None) == "balanced"
    return LateFusionClassifier(missing=task.missing, prior="each" if flat else "once")


def late_fusion_of(task, experts, X, y):
    """Late fusion of networks that were trained alone."""
    return late_fusion_template(task).fit_from_experts(experts, X, y)


# One modality, for all samples


class _Alone(BaseEstimator):
    """A fitted estimator of one modality that is asked about all samples."""

    def __init__(self, expert=None, name=None):
        self.expert = expert
        self.name = name

    def _said(self, X, method, otherwise):
        rows = rows_with(X, self.name)
        values = np.broadcast_to(otherwise, (len(rows), *np.shape(otherwise))).copy()
        if rows.any():
            said = getattr(self.expert, method)(only(X, self.name, rows))
            self._place(values, rows, np.asarray(said))
        return values

    def _place(self, values, rows, said):
        values[rows] = said


class _AloneClassifier(ClassifierMixin, _Alone):
    def fit(self, X, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.prior_ = np.exp(log_prior_of(codes, len(self.classes_)))
        return self

    def predict_proba(self, X):
        return self._said(X, "predict_proba", self.prior_)

    def _place(self, values, rows, said):
        known = np.searchsorted(self.classes_, self.expert.classes_)
        part = np.zeros((len(said), len(self.classes_)))
        part[:, known] = said
        values[rows] = part

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _AloneRegressor(RegressorMixin, _Alone):
    def fit(self, X, y):
        self.mean_ = np.mean(y, axis=0)
        return self

    def predict(self, X):
        return self._said(X, "predict", self.mean_)


def alone_on_all(expert, name, X, y, classifies):
    """An estimator that says the prior, or the mean, where a sample lacks the modality.

    Parameters
    ----------
    expert : estimator
        Fitted on a mapping of the one modality.
    name : str
    X, y : training part
    classifies : bool
    """
    kind = _AloneClassifier if classifies else _AloneRegressor
    return kind(expert, name).fit(X, y)
