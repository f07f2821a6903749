"""How much a fitted model relies on each modality: permuted rows, and Shapley values."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from ..estimator.scoring import check_single_scoring, one_score
from ..functional.shapley import (
    coalition_members,
    interaction_indices,
    sampled_shapley_values,
    shapley_values,
)
from ..utils.parameters import Interval, check_parameter
from ._modality_rows import ModalityRows

__all__ = ["modality_permutation_importance", "modality_shapley"]

# Up to so many modalities all coalitions are scored.
_MOST_EXACT = 5


def modality_permutation_importance(
    estimator,
    X,
    y,
    *,
    scoring=None,
    n_repeats=5,
    random_state=None,
    sample_weight=None,
    n_jobs=None,
):
    """How far the score falls if a modality's rows are shuffled among the samples that have it.

    `sklearn.inspection.permutation_importance` of whole modalities: on modalities of one column
    each, and the same `random_state`, the results are equal.

    Parameters
    ----------
    estimator : estimator
        Fitted: any that takes modalities, alone, in a Pipeline or a search.
    X : dict of str to array, ModalityDict, 2-D array or DataFrame
        Samples, preferably ones that the estimator was not fitted on. Of a table the estimator (or
        `ColumnsToModalities`, as the first step of a Pipeline) says which columns make up which
        modality.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    scoring : str, callable or None, default=None
        A scorer's name, ``scorer(estimator, X, y)``, or None for the estimator's ``score``.
    n_repeats : int, default=5
        How often each modality is shuffled.
    random_state : int, RandomState instance or None, default=None
        The shuffles are the same for all modalities (of samples that all have them).
    sample_weight : array-like of shape (n_samples,), default=None
        Handed to the scorer.
    n_jobs : int or None, default=None
        Processes among which the modalities are divided.

    Returns
    -------
    sklearn.utils.Bunch
        ``modalities`` (tuple of str), and by modality in this order ``importances_mean`` and
        ``importances_std`` of shape (n_modalities,), ``importances`` of shape (n_modalities,
        n_repeats). A sample that lacks a modality keeps lacking it.

    See Also
    --------
    modality_shapley : Shares the score among the modalities.

    References
    ----------
    Gat, Schwartz, Schwing: "Perceptual Score: What Data Modalities Does Your Model Perceive?",
    NeurIPS 2021.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import modality_permutation_importance
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> found = modality_permutation_importance(clf, X, y, random_state=0)
    >>> found.modalities
    ('strong', 'weak')
    >>> found.importances.shape
    (2, 5)
    """
    owner = "modality_permutation_importance"
    check_parameter("n_repeats", n_repeats, [Interval(Integral, 1)], owner)
    data = ModalityRows(X, estimator, owner, {"y": y, "sample_weight": sample_weight})
    scorer = check_single_scoring(estimator, scoring, owner)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max + 1)
    before = one_score(scorer, estimator, data.X, y, sample_weight)
    after = Parallel(n_jobs=n_jobs)(
        delayed(_permuted_scores)(estimator, data, name, y, sample_weight, scorer, n_repeats, seed)
        for name in data.names
    )
    importances = before - np.array(after)
    return Bunch(
        modalities=data.names,
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        importances=importances,
    )


def _permuted_scores(estimator, data, name, y, sample_weight, scorer, n_repeats, seed):
    """Scores with the rows of one modality shuffled, again and again, as scikit-learn does it."""
    rng = check_random_state(seed)
    rows = np.arange(data.n_samples)
    having = np.flatnonzero(data.present[name])
    order, shuffle = having.copy(), np.arange(len(having))
    scores = []
    for _ in range(n_repeats):
        rng.shuffle(shuffle)
        order = order[shuffle]
        rows[having] = order
        scores.append(one_score(scorer, estimator, data.replace({name: rows}), y, sample_weight))
    return scores


def modality_shapley(
    estimator,
    X,
    y,
    *,
    scoring=None,
    background=None,
    n_repeats=5,
    n_permutations=20,
    random_state=None,
    sample_weight=None,
):
    """The score's gain over knowing nothing, shared among the modalities by Shapley's rule.

    The value V(S) of a set S of modalities is the score when the others are taken from other
    samples: all of them from one row of the background, so that the model sees values as it knows
    them, but none that belong to the sample.

    Parameters
    ----------
    estimator, X, y, scoring, sample_weight :
        As in `modality_permutation_importance`.
    background : as X, default=None
        Rows that the values come from, such as training data. None: those of `X`. Each row is used
        as often as the others, as far as the numbers allow.
    n_repeats : int, default=5
        Draws of rows; the same draw serves all sets.
    n_permutations : int, default=20
        With more than 5 modalities: number of random orders in which modalities come in. Up to 5,
        all sets are scored, and the values are exact.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    sklearn.utils.Bunch
        ``modalities`` : tuple of str
            The order of the axes below.
        ``importances_mean``, ``importances_std`` : ndarray of shape (n_modalities,)
            Shapley values and their standard deviation over the repeats. The values add up to
            ``score_all - score_none``.
        ``importances`` : ndarray of shape (n_modalities, n_repeats)
            The Shapley values of each repeat.
        ``score_all``, ``score_none`` : float
            V of all modalities, which is the estimator's score, and of none.
        ``single_gains`` : ndarray of shape (n_modalities,)
            V of the modality alone minus V of none.
        ``cooperation`` : float
            V(all) - V(none) - sum of the single gains: above 0 where the modalities say more
            together than the sum of what each says, below 0 where they say the same.
        ``cooperation_std`` : float
            Its standard deviation over the repeats.
        ``interactions`` : ndarray of shape (n_modalities, n_modalities), or None
            Shapley interaction index of each pair; None of more than 5 modalities.
        ``coalition_scores`` : dict of tuple of str to float
            V of each set that was scored.
        ``standard_error`` : ndarray of shape (n_modalities,)
            Of the choice of orders: 0 where the values are exact.

    Raises
    ------
    ValueError
        If no row of the background has all the modalities that a sample would get from it.

    Notes
    -----
    A sample that lacks a modality keeps lacking it, and the rows for a sample are those that have
    what it needs. V(S) describes the model, not the data: a network that never learned to use a
    modality gives it nothing.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import modality_shapley
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> found = modality_shapley(clf, X, y, random_state=0)
    >>> bool(abs(found.importances_mean.sum() - found.score_all + found.score_none) < 1e-12)
    True
    """
    owner = "modality_shapley"
    for name, value in [("n_repeats", n_repeats), ("n_permutations", n_permutations)]:
        check_parameter(name, value, [Interval(Integral, 1)], owner)
    data = ModalityRows(X, estimator, owner, {"y": y, "sample_weight": sample_weight}, background)
    scorer = check_single_scoring(estimator, scoring, owner)
    rng = check_random_state(random_state)
    game = _Game(estimator, data, y, sample_weight, scorer, n_repeats, rng)
    n_modalities = len(data.names)
    nobody, everybody = np.zeros(n_modalities, bool), np.ones(n_modalities, bool)
    if n_modalities <= _MOST_EXACT:
        table = np.stack([game(row) for row in coalition_members(n_modalities)], axis=-1)
        values, error = shapley_values(table), np.zeros(n_modalities)
        interactions = interaction_indices(table).mean(axis=0)
    else:
        # The mean over the repeats is a further game, so that its error is known.
        found = sampled_shapley_values(game.with_mean, n_modalities, n_permutations, rng)
        values, error, interactions = found.values[:-1], found.standard_error[-1], None
    none, all_ = game(nobody), game(everybody)
    single = np.stack([game(np.arange(n_modalities) == i) - none for i in range(n_modalities)])
    cooperation = all_ - none - single.sum(axis=0)
    return Bunch(
        modalities=data.names,
        importances_mean=values.mean(axis=0).T,
        importances_std=values.std(axis=0).T,
        importances=values.T,
        standard_error=error,
        score_all=all_.mean(axis=0),
        score_none=none.mean(axis=0),
        single_gains=single.mean(axis=1),
        cooperation=cooperation.mean(axis=0),
        cooperation_std=cooperation.std(axis=0),
        interactions=interactions,
        coalition_scores=game.scores(),
    )


class _Game:
    """V(S) of sets of modalities, of all repeats; each is scored once."""

    def __init__(self, estimator, data, y, sample_weight, scorer, n_repeats, rng):
        self._score = lambda X: one_score(scorer, estimator, X, y, sample_weight)
        self._data, self._known = data, {}
        n = data.n_samples
        # Numbers in [0, 1), one from each n-th of it: they choose each donor equally often.
        self._draws = [(rng.permutation(n) + rng.random_sample(n)) / n for _ in range(n_repeats)]
        names = data.names
        self._has = np.stack([data.present[name] for name in names], axis=1)

    def __call__(self, members):
        """V(S) in each repeat (ndarray of shape (n_repeats,))."""
        key = tuple(np.flatnonzero(members).tolist())
        if key not in self._known:
            if members.all():
                scores = [self._score(self._data.X)] * len(self._draws)
            else:
                scores = [self._score(self._without(~members, draw)) for draw in self._draws]
            self._known[key] = np.array(scores)
        return self._known[key]

    def with_mean(self, members):
        scores = self(members)
        return np.concatenate([scores, scores.mean(axis=0, keepdims=True)])

    def scores(self):
        """V(S) by the names of the set, small sets first."""
        names = self._data.names
        found = sorted(self._known.items(), key=lambda item: (len(item[0]), item[0]))
        return {tuple(names[i] for i in key): float(v.mean()) for key, v in found}

    def _without(self, outside, draw):
        """The samples with the modalities outside of a set from other rows."""
        rows = {}
        sought = self._has[: self._data.n_samples] & outside
        donor = self._donors(sought, draw)
        for i in np.flatnonzero(outside):
            own = np.arange(self._data.n_samples)
            rows[self._data.names[i]] = np.where(sought[:, i], donor, own)
        return self._data.replace(rows)

    def _donors(self, sought, draw):
        """A row for each sample that has the modalities sought for it."""
        donor = np.arange(len(sought))
        patterns, which = np.unique(sought, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            here = np.flatnonzero(which.ravel() == k)
            able = self._data.donors[self._has[self._data.donors][:, pattern].all(axis=1)]
            if not len(able):
                needed = [name for name, s in zip(self._data.names, pattern, strict=True) if s]
                raise ValueError(
                    "The 'background' parameter of modality_shapley has no row with "
                    f"{', '.join(map(repr, needed))} together, which sample {here[0]} has: give "
                    "more rows, or None for those of X."
                )
            # The draws of these samples, spread evenly again.
            rank = np.argsort(np.argsort(draw[here]))
            even = (rank + draw[here] * len(draw) % 1) / len(here)
            place = (even * len(able)).astype(int)
            donor[here] = able[np.minimum(place, len(able) - 1)]  # rounding may reach the end
        return donor
