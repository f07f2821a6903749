"""A fitted pool: its experts, what they said out of fold, and the weights for any pattern."""

from itertools import combinations

import numpy as np

from ..data.arrays import CheckedModalities
from .expert_lists import JOINT
from .out_of_fold import ask
from .pool_data import Side
from .pool_levels import TwoLevels

__all__ = ["FittedPool", "network_patterns"]

# Modalities up to which the network is asked out of fold for each pattern of absent ones.
_ALL_PATTERNS = 4


def network_patterns(modalities):
    """Patterns of absent modalities for which the network is asked out of fold.

    Parameters
    ----------
    modalities : collection of str

    Returns
    -------
    list of frozenset of str
        All, or, of many modalities, those that lack one.
    """
    names = sorted(modalities)
    largest = len(names) - 1 if len(names) <= _ALL_PATTERNS else 1
    sizes = range(1, largest + 1)
    return [frozenset(absent) for size in sizes for absent in combinations(names, size)]


class FittedPool:
    """What a fit found.

    Parameters
    ----------
    rule : ClassRule or ValueRule
    experts : list of Expert
    fitted : list of estimator
        On all samples, in the order of `experts`.
    front : Pipeline or None
        Fitted on all samples.
    kinds : dict of str to str
        How experts get each modality.
    classes : ndarray or None
    opinions, speaks : ndarray
        Out of fold; see `TwoLevels`.
    without : dict of frozenset to ndarray of float64 of shape (n_samples, n_columns)
        What the network says out of fold where modalities are absent; NaN in samples that then
        have none.
    y, weight : ndarray
        See `TwoLevels`; the weight of a sample whose class its fold's experts did not know is 0.
    fold : ndarray of int of shape (n_samples,)
    """

    def __init__(
        self,
        rule,
        experts,
        fitted,
        front,
        kinds,
        classes,
        opinions,
        speaks,
        without,
        y,
        weight,
        fold,
    ):
        self.rule, self.experts, self.fitted, self.front = rule, experts, fitted, front
        self.kinds, self.classes, self.opinions, self.speaks = kinds, classes, opinions, speaks
        self.without, self.y, self.weight, self.fold = without, y, weight, fold
        self.network = fitted[self._network]
        self._levels = {}
        self.levels()

    @property
    def _network(self):
        return [expert.kind for expert in self.experts].index("network")

    def blocks(self, absent=frozenset(), only=None):
        """Positions of the experts that can speak where modalities are absent.

        Parameters
        ----------
        absent : frozenset of str
        only : str or None
            A single block.

        Returns
        -------
        dict of str to ndarray of int
        """
        found = {}
        for i, expert in enumerate(self.experts):
            if absent.isdisjoint(expert.needs) and only in (None, expert.block):
                found.setdefault(expert.block, []).append(i)
        return {block: np.array(where) for block, where in found.items()}

    def levels(self, absent=frozenset(), only=None):
        """Weights for a pattern of absent modalities (TwoLevels); they are fitted once.

        Parameters
        ----------
        absent : frozenset of str
        only : str or None
            A single block.
        """
        if (absent, only) not in self._levels:
            blocks = self.blocks(absent, only)
            opinions, speaks, weight = self.opinions, self.speaks, self.weight
            if absent in self.without and JOINT in blocks:
                said = self.without[absent]
                some = ~np.isnan(said[:, 0])
                opinions, speaks = opinions.copy(), speaks.copy()
                opinions[:, self._network] = np.where(some[:, None], said, self.rule.base)
                speaks[:, self._network] = some
                weight = np.where(some, weight, 0.0)
            self._levels[absent, only] = TwoLevels(
                self.rule, blocks, opinions, speaks, self.y, weight
            )
        return self._levels[absent, only]

    def by_fold(self):
        """Weights without the rows of each fold: pairs of the rows held out and TwoLevels."""
        for k in np.unique(self.fold):
            weight = np.where(self.fold == k, 0.0, self.weight)
            yield (
                np.flatnonzero(self.fold == k),
                TwoLevels(self.rule, self.blocks(), self.opinions, self.speaks, self.y, weight),
            )

    # New samples

    def ask(self, X):
        """What the experts say of new samples.

        Parameters
        ----------
        X : as in ``fit`` of the pool

        Returns
        -------
        opinions : ndarray of float64 of shape (n_samples, n_experts, n_columns)
        speaks : ndarray of bool of shape (n_samples, n_experts)
        patterns : list of tuple of frozenset and ndarray of int
            Absent modalities, and the rows that lack just these.
        """
        if self.front is not None:
            X = self.front.transform(X)
        dataset = self.network.get_dataset(X)
        side = Side(CheckedModalities(dataset.arrays, dataset.presence), self.kinds)
        side.make_features(self.network)
        n = side.n_samples
        opinions = np.tile(self.rule.base, (n, len(self.experts), 1))
        speaks = np.zeros((n, len(self.experts)), dtype=bool)
        for i, (expert, fitted) in enumerate(zip(self.experts, self.fitted, strict=True)):
            rows = speaks[:, i] = side.has(expert.needs)
            if not rows.any():
                continue
            if expert.kind == "network":
                table = dataset
            else:
                table = side.table(expert.needs, rows)
                table = {"early": table} if expert.kind == "early" else table
            opinions[rows, i] = ask(fitted, table, self.classes)
        names = sorted(self.kinds)
        lacks = np.column_stack([~side.has((name,)) for name in names])
        kinds, which = np.unique(lacks, axis=0, return_inverse=True)
        which = which.ravel()
        patterns = [
            (frozenset(m for m, gone in zip(names, kind) if gone), np.flatnonzero(which == i))
            for i, kind in enumerate(kinds)
        ]
        return opinions, speaks, patterns

    def predict(self, X, only=None):
        """What the pool says: log-probabilities, or values.

        Parameters
        ----------
        X : as in ``fit`` of the pool
        only : str or None
            A single block; rows that lack it are NaN.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_columns)
        """
        opinions, speaks, patterns = self.ask(X)
        return self.pooled(opinions, speaks, patterns, only)

    def pooled(self, opinions, speaks, patterns, only=None):
        """As `predict`, of what `ask` returns."""
        found = np.full((len(opinions), opinions.shape[2]), np.nan)
        for absent, rows in patterns:
            if only is None or only not in absent:
                found[rows] = self.levels(absent, only).apply(opinions[rows], speaks[rows])
        return found
