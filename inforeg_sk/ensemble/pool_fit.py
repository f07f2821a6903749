"""The fit of a pool: folds, networks in one call, experts beside them, weights at the end."""

import copy
from time import perf_counter

import numpy as np
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, check_random_state

from ..data.checks import as_selectable, check_rows_beside
from ..estimator import MultimodalEstimator
from ..functional import class_log_prior
from ..model_selection.cost import duration, seconds_of_fit
from ..model_selection.fits import fit_parts
from ..model_selection.parts import Part
from ..utils.callers import warn_caller
from ..utils.parameters import error_kind
from .expert_lists import Problem, list_experts, seed_of
from .folds import assign_folds
from .out_of_fold import ask, fit_experts
from .pool_data import Sides
from .pool_fitted import FittedPool, network_patterns
from .pool_levels import ClassRule, ValueRule

__all__ = ["PoolFit", "last_step"]


def last_step(estimator):
    """The network of an estimator, which may be a Pipeline that ends in one; or an error.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    MultimodalEstimator
    """
    last = estimator
    if isinstance(estimator, Pipeline) and estimator.steps:
        last = estimator.steps[-1][1]
    if not isinstance(last, MultimodalEstimator):
        raise TypeError(
            "The 'estimator' parameter of EvidencePool must be a classifier or regressor of this "
            f"library, or a Pipeline that ends in one. Got {estimator!r}."
        )
    return last


class PoolFit:
    """One fit of a pool.

    Parameters
    ----------
    estimator : estimator
        The network or a Pipeline; it is not changed.
    experts, cv, lam, random_state, n_jobs, verbose :
        Parameters of `EvidencePool`.
    owner : str
        For errors.
    """

    def __init__(self, estimator, experts, cv, lam, random_state, n_jobs, verbose, owner):
        self.estimator = clone(estimator)
        self.network = last_step(self.estimator)
        self.front = None
        if self.network is not self.estimator and len(self.estimator.steps) > 1:
            self.front = Pipeline(self.estimator.steps[:-1], memory=self.estimator.memory)
        self.cv, self.lam, self.experts = cv, lam, experts
        self.n_jobs, self.verbose, self.owner = n_jobs, verbose, owner
        seed = int(check_random_state(random_state).randint(2**31))
        self.fold_seed, self.seed = seed, None if random_state is None else seed
        if self.seed is not None and self.network.random_state is None:
            self.network.set_params(random_state=seed_of(seed, "network") % 2**31)

    def run(self, X, y, sample_weight, groups):
        """Fit all.

        Parameters
        ----------
        X, y, sample_weight, groups :
            As of ``EvidencePool.fit``.

        Returns
        -------
        FittedPool
        whole : estimator
            The network, or the Pipeline, fitted on all samples.
        """
        beside = {"y": y, "sample_weight": sample_weight, "groups": groups}
        check_rows_beside(X, beside)
        X = as_selectable(X)
        target_class = type(self.network).target_class
        y = target_class.check(y, X.shape[0], self.network)
        target = target_class.fit(y, self.owner, sample_weight)
        weight = target.weights(sample_weight, y, getattr(self.network, "class_weight", None))
        self.classes = target.labels if target_class.task == "classification" else None
        self.y, self.weighted = y, weight is not None
        self.weight = np.ones(len(y)) if weight is None else weight / weight.mean()
        self.groups = None if groups is None else np.asarray(groups)
        if groups is not None:
            check_consistent_length(y, self.groups)
        if self.classes is None:
            self.position = np.zeros(len(y), dtype=int)
            values = y.reshape(len(y), -1)
            base = np.average(values, axis=0, weights=self.weight)
            rule, target_values = ValueRule(base, self.lam), values
        else:
            self.position = target.encode(y, None)
            position, by_weight = map(torch.from_numpy, (self.position, self.weight))
            base = class_log_prior(position, len(self.classes), by_weight).numpy()
            rule, target_values = ClassRule(base, self.lam), self.position
        splits, fold = self._splits(X)
        known = self._known(splits, fold)
        sides = Sides(X, y, self.front, self.network, beside, splits)
        experts = list_experts(
            self.experts, self._problem(sides, len(base)), self.network, self.seed, self.owner
        )
        opinions = np.tile(base, (len(y), len(experts), 1))
        speaks = np.zeros((len(y), len(experts)), dtype=bool)
        fitted = [None] * len(experts)
        self._say(experts, len(splits))
        without = self._networks(sides, splits, experts, fitted, opinions, speaks, sample_weight)
        self._tables(sides, splits, experts, fitted, opinions, speaks)
        pool = FittedPool(
            rule=rule,
            experts=experts,
            fitted=fitted,
            front=sides.fronts[-1],
            kinds=sides.kinds,
            classes=self.classes,
            opinions=opinions,
            speaks=speaks,
            without=without,
            y=target_values,
            weight=np.where(known, self.weight, 0.0),
            fold=fold,
        )
        return pool, self._whole(pool), sides.checked.modalities

    def _problem(self, sides, n_columns):
        arrays = sides.checked.X.arrays
        widths = {
            name: int(np.prod(arrays[name].shape[1:]))
            for name, kind in sides.kinds.items()
            if kind != "features"
        }
        thin = tuple(name for name, array in arrays.items() if sparse.issparse(array))
        return Problem(
            sides.kinds,
            widths,
            thin,
            n_columns,
            len(self.y),
            self.classes is not None,
            self.y.ndim > 1,
        )

    # Folds

    def _splits(self, X):
        """Splits, all samples the last, and the fold that each sample is held out in."""
        n = len(self.y)
        if isinstance(self.cv, (int, np.integer)):
            units = n if self.groups is None else len(np.unique(self.groups))
            if units < self.cv:
                what = "samples" if self.groups is None else "groups"
                raise ValueError(
                    f"The 'cv' parameter of {self.owner} must be at most the number of {what} "
                    f"(n_{what}={units}). Got {self.cv}."
                )
            fold = assign_folds(self.position, self.cv, self.groups, self.fold_seed)
            splits = [
                (np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(self.cv)
            ]
        else:
            cv = check_cv(self.cv, self.y, classifier=self.classes is not None)
            splits = [_as_rows(pair, n) for pair in cv.split(X, self.y, self.groups)]
            fold, times = np.full(n, -1), np.zeros(n, dtype=int)
            for k, (train, test) in enumerate(splits):
                fold[test] = k
                np.add.at(times, test, 1)
                if np.intersect1d(train, test).size:
                    raise ValueError(
                        f"The 'cv' parameter of {self.owner} must keep training and held-out rows "
                        f"apart. Split {k} has some in both."
                    )
            if (times != 1).any():
                row = int(np.argmax(times != 1))
                raise ValueError(
                    f"The 'cv' parameter of {self.owner} must hold out each sample once, as "
                    f"KFold does. Row {row} is held out {times[row]} times."
                )
        return [*splits, (np.arange(n), np.arange(0))], fold

    def _known(self, splits, fold):
        """Which samples have a class that was in the training part that they are held out of."""
        known = np.ones(len(self.y), dtype=bool)
        if self.classes is None:
            return known
        for k, (train, test) in enumerate(splits[:-1]):
            here = np.unique(self.position[train][self.weight[train] > 0])
            if len(here) < 2:
                raise ValueError(
                    f"The training part of fold {k} has samples of {len(here)} class: "
                    f"{self.owner} needs 2; give fewer or other folds."
                )
            known[test] = np.isin(self.position[test], here)
        lost = ~known & (self.weight > 0)
        if lost.any():
            names = self.classes[np.unique(self.position[lost])].tolist()
            warn_caller(
                f"{self.owner}: {int(lost.sum())} samples have no part in the weights, since the "
                f"training part of their fold has no sample of their class ({len(names)} classes, "
                f"the first is {names[0]!r})."
            )
            if not (known & (self.weight > 0)).any():
                raise ValueError(
                    f"{self.owner}: no class has samples in two folds, so that nothing shows what "
                    "the experts are worth."
                )
        return known

    # Networks

    def _networks(self, sides, splits, experts, fitted, opinions, speaks, sample_weight):
        begun = perf_counter()
        networks, parts = [], []
        for i, expert in enumerate(experts):
            if expert.kind == "table":
                continue
            for k in range(len(splits)):
                make = self.network if expert.kind == "network" else expert.estimator
                networks.append((i, k, clone(make)))
                parts.append(self._part(sides, splits, k, expert, sample_weight))
        self._say_seconds([made for _, _, made in networks], parts, experts)
        done = fit_parts([made for _, _, made in networks], parts, n_jobs=self.n_jobs)
        done = {(i, k): one for (i, k, _), one in zip(networks, done, strict=True)}
        for (i, k), one in sorted(done.items(), key=lambda item: -item[0][1]):
            if one.error is not None:
                if k == len(splits) - 1 and experts[i].kind == "network":
                    raise one.error
                where = f"{_name(experts[i])}, {_place(k, splits)}"
                raise error_kind(one.error)(f"{where}: {one.error}") from one.error
        without = {}
        for (i, k), one in done.items():
            self._ask_network(
                sides.pairs[k],
                splits[k][1],
                i,
                experts[i],
                one.estimator,
                opinions,
                speaks,
                without,
            )
            if k == len(splits) - 1:
                fitted[i] = one.estimator
        self._print(f"networks took {perf_counter() - begun:.1f} s")
        return without

    def _part(self, sides, splits, k, expert, sample_weight):
        rows = splits[k][0]
        weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
        groups = None
        if self.groups is not None and (self.network.early_stopping or self.network.train_split):
            groups = self.groups[rows]
        if expert.kind == "network":
            X, of_given = sides.given[k]
            params = {"sample_weight": weight, "groups": groups}
            if of_given is not None:
                params = {
                    "sample_weight": sample_weight,
                    "groups": None if groups is None else self.groups,
                }
            params = {name: value for name, value in params.items() if value is not None}
            y = self.y[rows] if of_given is None else self.y
            return Part(X, y, of_given, params, self.network)
        side = sides.pairs[k][0]
        have = side.has(expert.needs)
        if not have.any():
            raise ValueError(
                f"No sample of {_place(k, splits)} has all of "
                f"{', '.join(map(repr, expert.needs))}, which {_name(expert)} needs: give "
                "experts={'joint': []}."
            )
        params = {"sample_weight": weight, "groups": groups}
        params = {name: value[have] for name, value in params.items() if value is not None}
        return Part({"early": side.table(expert.needs, have)}, self.y[rows][have], None, params)

    def _ask_network(self, pair, rows, i, expert, network, opinions, speaks, without):
        train, test = pair
        if expert.kind == "network":
            for side in (train, test):
                if side.n_samples:
                    side.make_features(network)
        if not len(rows):
            return
        have = test.has(expert.needs)
        if expert.kind == "early":
            table = {"early": test.table(expert.needs, have)} if have.any() else None
        else:
            table = test.dataset(network)
        if have.any():
            opinions[rows[have], i] = ask(network, table, self.classes)
        speaks[rows, i] = have
        if expert.kind == "early" or network.missing != "allow":
            return
        names = network.modalities_
        for absent in network_patterns(names):
            some = np.logical_or.reduce([test.has((m,)) for m in names if m not in absent])
            said = without.setdefault(absent, np.full((len(opinions), opinions.shape[2]), np.nan))
            if some.any():
                left = test.dataset(network, absent, some)
                said[rows[some]] = ask(network, left, self.classes)

    # Experts that get tables

    def _tables(self, sides, splits, experts, fitted, opinions, speaks):
        begun = perf_counter()
        which = [i for i, expert in enumerate(experts) if expert.kind == "table"]
        asked = [(i, k) for i in which for k in range(len(splits))]
        jobs = (self._job(sides.pairs[k], splits, k, experts[i]) for i, k in asked)
        done = fit_experts(jobs, len(asked), self.n_jobs, self._bar)
        for (i, k), (made, said) in zip(asked, done, strict=True):
            rows, have = splits[k][1], sides.pairs[k][1].has(experts[i].needs)
            if said is not None:
                opinions[rows[have], i] = said
            speaks[rows, i] = have
            if k == len(splits) - 1:
                fitted[i] = made
        self._print(f"other experts took {perf_counter() - begun:.1f} s")

    def _job(self, pair, splits, k, expert):
        train, test = pair
        rows, where = splits[k][0], f"{_name(expert)}, {_place(k, splits)}"
        counted = train.has(expert.needs) & (self.weight[rows] > 0)
        if not counted.any():
            raise ValueError(f"{where}: no sample has {', '.join(map(repr, expert.needs))}.")
        have = test.has(expert.needs)
        data = (
            train.table(expert.needs, counted),
            self.y[rows][counted],
            self.weight[rows][counted] if self.weighted else None,
            None if self.groups is None else self.groups[rows][counted],
        )
        held_out = test.table(expert.needs, have) if have.any() else None
        return expert.estimator, where, self.classes, data, held_out, k == len(splits) - 1

    def _whole(self, pool):
        if self.network is self.estimator:
            return pool.network
        whole = copy.copy(self.estimator)
        front = [] if pool.front is None else pool.front.steps
        whole.steps = [*front, (self.estimator.steps[-1][0], pool.network)]
        return whole

    # What is said on the way

    def _say(self, experts, n_splits):
        kinds = [expert.kind for expert in experts]
        counts = {kind: kinds.count(kind) * n_splits for kind in ("network", "early", "table")}
        early = f", {counts['early']} of the early network" if counts["early"] else ""
        self._print(
            f"{counts['network']} fits of the network{early}, {counts['table']} of other experts"
        )

    def _say_seconds(self, networks, parts, experts):
        """Say how long the networks will take at most, from a few epochs of one of each kind."""
        if not self.verbose:
            return
        total, n = 0.0, sum(expert.kind != "table" for expert in experts)
        for first in range(0, len(networks), len(networks) // n):
            each = seconds_of_fit(networks[first], parts[first])
            total += each * len(networks) // n
        if total == total:  # else a fit will say what is wrong
            self._print(f"the networks will take at most about {duration(total)}")

    def _print(self, text):
        if self.verbose:
            print(f"{self.owner}: {text}", flush=True)

    def _bar(self, results, total):
        if not self.verbose:
            return results
        from tqdm import tqdm

        # Work of less than a second shows no bar.
        return tqdm(results, total=total, desc=self.owner, unit="fit", delay=1)


def _as_rows(pair, n):
    return tuple(np.flatnonzero(r) if np.asarray(r).dtype == bool else np.asarray(r) for r in pair)


def _name(expert):
    return f"the expert {expert.name!r} of {expert.block!r}"


def _place(k, splits):
    return "all samples" if k == len(splits) - 1 else f"the training part of fold {k}"
