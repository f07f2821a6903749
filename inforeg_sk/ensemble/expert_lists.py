"""Which experts a pool asks: three lists by name, or the user's own."""

from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.multioutput import MultiOutputRegressor

from ..classifier import MultimodalClassifier
from ..regressor import MultimodalRegressor
from ..utils.suggestions import did_you_mean
from .kernel_experts import KernelClassifier, KernelRegressor
from .linear_experts import LinearPathClassifier, LinearPathRegressor

__all__ = ["EXPERT_NAMES", "JOINT", "LISTS", "Expert", "early_network", "list_experts", "seed_of"]

JOINT = "joint"
#: For each list by name: the experts of a modality, and those of the joint block.
LISTS = {
    "light": (("ridge",), ()),
    "default": (("ridge", "elastic_net", "extra_trees"), ("early_network", "extra_trees")),
    "thorough": (
        ("ridge", "elastic_net", "extra_trees", "hist_gradient_boosting", "svc"),
        ("early_network", "extra_trees", "hist_gradient_boosting", "svc"),
    ),
}
#: What the user's own lists may name instead of giving an estimator.
EXPERT_NAMES = ("ridge", "elastic_net", "extra_trees", "hist_gradient_boosting", "svc")
# Columns times classes (or outputs) up to which an elastic net is worth its time.
_ELASTIC_LIMIT = 5000


class Expert(NamedTuple):
    """One expert of a pool.

    Parameters
    ----------
    block : str
        A modality, or "joint".
    name : str
    estimator : estimator or None
        Not fitted. None: the network itself.
    needs : tuple of str
        Modalities that a sample must have for it to speak, in sorted order.
    kind : {"network", "early", "table"}
    """

    block: str
    name: str
    estimator: object
    needs: tuple
    kind: str


class Problem(NamedTuple):
    """What the lists go by.

    Parameters
    ----------
    kinds : dict of str to {"vector", "flat", "features"}
        What experts get of each modality; see `table_kinds`.
    widths : dict of str to int
        Columns of those modalities that are tables.
    sparse : tuple of str
        Modalities that are sparse matrices.
    n_columns : int
        Classes or outputs.
    n_samples : int
    classifies : bool
    several : bool
        Whether y has several columns.
    """

    kinds: dict
    widths: dict
    sparse: tuple
    n_columns: int
    n_samples: int
    classifies: bool
    several: bool

    @property
    def tables(self):
        """Modalities that are tables, in sorted order (tuple of str)."""
        return tuple(name for name in sorted(self.kinds) if self.kinds[name] != "features")


def list_experts(experts, problem, network, random_state, owner):
    """The experts of a pool, the network first in the joint block, which comes last.

    Parameters
    ----------
    experts : str or dict of str to list
        The parameter.
    problem : Problem
    network : MultimodalEstimator
        What the early network takes its training settings from.
    random_state : int or None
        Seeds all that have none, each with one of its own.
    owner : str
        For errors.

    Returns
    -------
    list of Expert
        Modalities in sorted order.
    """
    of_user = experts if isinstance(experts, Mapping) else {}
    base = LISTS[experts if isinstance(experts, str) else "default"]
    known = (*sorted(problem.kinds), JOINT)
    for block in of_user:
        if block not in known:
            raise ValueError(
                f"The 'experts' parameter of {owner} names {block!r}, but the blocks are "
                f"{', '.join(map(repr, known))}{did_you_mean(block, known)}"
            )
    found = []
    for block in known[:-1]:
        for item in of_user.get(block, base[0]):
            found.append(_of_table(block, item, (block,), block in of_user, problem, owner))
    found.append(Expert(JOINT, "network", None, (), "network"))
    tables = problem.tables
    joint = of_user.get(JOINT, base[1])
    if len(tables) < 2 and JOINT in of_user and joint:
        raise ValueError(
            f"The 'experts' parameter of {owner} has experts for the joint block, which get the "
            f"modalities that are tables side by side, but there are {len(tables)} of them: give "
            "'joint' an empty list."
        )
    for item in joint if len(tables) >= 2 else ():
        if item == "early_network":
            found.append(Expert(JOINT, item, early_network(network), tables, "early"))
        else:
            found.append(_of_table(JOINT, item, tables, JOINT in of_user, problem, owner))
    found = [expert for expert in found if expert is not None]
    names = [(expert.block, expert.name) for expert in found]
    for pair in names:
        if names.count(pair) > 1:
            raise ValueError(
                f"The 'experts' parameter of {owner} gives {pair[1]!r} twice for {pair[0]!r}: "
                "names must differ."
            )
    if random_state is not None:
        for expert in found:
            _seed(expert, random_state)
    return found


def seed_of(random_state, *names):
    """A seed that depends on names, not on their order (int)."""
    words = [crc32(name.encode()) for name in names]
    return int(np.random.SeedSequence([random_state, *words]).generate_state(1)[0] >> 1)


def early_network(network):
    """A network that gets all tables side by side, so that it sees interactions.

    Parameters
    ----------
    network : MultimodalEstimator
        Settings of training, target and device are its.

    Returns
    -------
    MultimodalClassifier or MultimodalRegressor
    """
    classifies = is_classifier(network)
    cls = MultimodalClassifier if classifies else MultimodalRegressor
    kept = ["optimizer", "lr", "max_epochs", "batch_size", "train_split", "early_stopping"]
    kept += ["validation_fraction", "n_iter_no_change", "tol", "random_state", "dtype", "device"]
    kept += ["criterion", "iterator_train", "iterator_valid"]
    kept += ["class_weight", "prior_offset"] if classifies else []
    given = network.get_params(deep=False)
    nested = tuple(f"{name}__" for name in ("optimizer", "criterion", "iterator_train"))
    settings = {
        name: value
        for name, value in given.items()
        if name in kept or (name.startswith(nested) and name != "optimizer__param_groups")
    }
    fixed = {"method": "joint", "fisher": None, "record_batches": False, "encoders": "mlp"}
    return cls(**clone(settings, safe=False), **fixed)


def _of_table(block, item, needs, of_user, problem, owner):
    """An expert that gets a table; None where a list by name leaves it out."""
    if isinstance(item, str):
        if item not in EXPERT_NAMES:
            names = (*EXPERT_NAMES, "early_network")
            raise ValueError(
                f"The 'experts' parameter of {owner} must hold pairs of a name and an estimator, "
                f"or some of {', '.join(map(repr, names))} ('early_network' for 'joint' only). Got "
                f"{item!r} for {block!r}{did_you_mean(item, names)}"
            )
        made = _built_in(item, needs, of_user, problem)
        return None if made is None else Expert(block, item, made, needs, "table")
    try:
        name, estimator = item
    except (TypeError, ValueError):
        name = estimator = None
    right = is_classifier if problem.classifies else is_regressor
    if not isinstance(name, str) or not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"The 'experts' parameter of {owner} must hold pairs of a name and an estimator. Got "
            f"{item!r} for {block!r}."
        )
    task = "classifier" if problem.classifies else "regressor"
    if not right(estimator) or (problem.classifies and not hasattr(estimator, "predict_proba")):
        probabilities = " with predict_proba" if problem.classifies else ""
        raise TypeError(
            f"The expert {name!r} of {block!r} must be a {task}{probabilities}. Got {estimator!r}."
        )
    return Expert(block, name, clone(estimator), needs, "table")


def _built_in(name, needs, of_user, problem):
    classifies, frozen = problem.classifies, problem.kinds[needs[0]] == "features"
    if name == "ridge":
        return LinearPathClassifier() if classifies else LinearPathRegressor()
    if frozen and not of_user:  # linear models only on what the network has learnt
        return None
    if name == "elastic_net":
        width = sum(problem.widths.get(modality, 0) for modality in needs)
        if width * problem.n_columns > _ELASTIC_LIMIT and not of_user:
            return None
        return LinearPathClassifier(0.5) if classifies else LinearPathRegressor(0.5)
    if name == "extra_trees":
        return ExtraTreesClassifier() if classifies else ExtraTreesRegressor()
    thin = any(modality in problem.sparse for modality in needs)
    if name == "hist_gradient_boosting":
        if thin and not of_user:  # takes dense tables only
            return None
        leaf = int(np.clip(problem.n_samples // 50, 1, 20))
        cls = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
        made = cls(early_stopping=False, min_samples_leaf=leaf)
        if problem.several and get_config()["enable_metadata_routing"]:
            made.set_fit_request(sample_weight=True)
        return MultiOutputRegressor(made) if problem.several else made
    return KernelClassifier() if classifies else KernelRegressor()


def _seed(expert, random_state):
    if expert.estimator is None:
        return
    seed = seed_of(random_state, expert.block, expert.name)
    parameters = expert.estimator.get_params(deep=expert.kind == "table")
    names = [name for name in parameters if name.split("__")[-1] == "random_state"]
    unset = {name: seed for name in names if parameters[name] is None}
    if unset:
        expert.estimator.set_params(**unset)
