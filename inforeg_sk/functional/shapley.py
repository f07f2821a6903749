"""Shapley values: what each player contributes to the value of all of them together.

A game of M players is a table of the values of its ``2**M`` coalitions. The place of a coalition is
the number whose bit i says whether player i is in it, so 0 is nobody and ``2**M - 1`` is all.
"""

from collections.abc import Callable
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "SampledShapley",
    "coalition_members",
    "interaction_indices",
    "sampled_shapley_values",
    "shapley_values",
    "shapley_weights",
]


class SampledShapley(NamedTuple):
    """Shapley values from some orders of the players.

    Parameters
    ----------
    values : ndarray of shape (..., n_players)
        They add up to the value of all less that of nobody, exactly.
    standard_error : ndarray of shape (..., n_players)
        Of the choice of orders; NaN from a single pair of orders.
    n_coalitions : int
        Coalitions whose value was asked for.
    """

    values: np.ndarray
    standard_error: np.ndarray
    n_coalitions: int


def coalition_members(n_players: int) -> np.ndarray:
    """Who is in which coalition.

    Parameters
    ----------
    n_players : int

    Returns
    -------
    ndarray of bool of shape (2 ** n_players, n_players)

    Examples
    --------
    >>> coalition_members(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    numbers = np.arange(2**n_players)[:, None]
    return (numbers >> np.arange(n_players) & 1).astype(bool)


def shapley_values(values: ArrayLike) -> np.ndarray:
    """Exact Shapley values from the values of all coalitions.

    Parameters
    ----------
    values : array-like of shape (..., 2 ** n_players)
        In the order of `coalition_members`.

    Returns
    -------
    ndarray of shape (..., n_players)
        They add up to ``values[..., -1] - values[..., 0]``.

    Raises
    ------
    ValueError
        If the number of values is not a power of 2, or is below 2.

    Examples
    --------
    Neither of two players is worth anything without the other:

    >>> shapley_values([0.0, 0.0, 0.0, 1.0]).tolist()
    [0.5, 0.5]
    """
    table, n_players = _check_table(values)
    return table @ shapley_weights(n_players).T


def shapley_weights(n_players: int) -> np.ndarray:
    """What the value of each coalition counts in the Shapley value of each player.

    Parameters
    ----------
    n_players : int

    Returns
    -------
    ndarray of float64 of shape (n_players, 2 ** n_players)
        Coalitions are in the order of `coalition_members`.

    Examples
    --------
    >>> shapley_weights(2).tolist()
    [[-0.5, 0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]]
    """
    sizes = coalition_members(n_players).sum(axis=1)
    share = np.array(
        [factorial(k) * factorial(n_players - k - 1) for k in range(n_players)], dtype=np.float64
    ) / factorial(n_players)
    weights = np.zeros((n_players, 2**n_players))
    for player, row in enumerate(weights):
        without = _without(n_players, player)
        row[without] = -share[sizes[without]]
        row[without | 1 << player] = share[sizes[without]]
    return weights


def interaction_indices(values: ArrayLike) -> np.ndarray:
    """Shapley interaction index of each pair (Grabisch and Roubens, 1999).

    What two players are worth together beyond what each is worth without the other, as a mean over
    what the others may be: above 0 where they complement each other, below 0 where they say the
    same.

    Parameters
    ----------
    values : array-like of shape (..., 2 ** n_players)
        In the order of `coalition_members`.

    Returns
    -------
    ndarray of shape (..., n_players, n_players)
        Symmetric, with 0 on the diagonal.

    Examples
    --------
    >>> interaction_indices([0.0, 0.0, 0.0, 1.0]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    table, n_players = _check_table(values)
    sizes = coalition_members(n_players).sum(axis=1)
    n_others = n_players - 2
    weight = np.array(
        [factorial(k) * factorial(n_others - k) for k in range(n_others + 1)], dtype=np.float64
    ) / factorial(max(n_players - 1, 1))
    found = np.zeros((*table.shape[:-1], n_players, n_players))
    for i in range(n_players):
        for j in range(i):
            a, b = 1 << i, 1 << j
            rest = _without(n_players, i, j)
            more = table[..., rest | a | b] - table[..., rest | a]
            less = table[..., rest | b] - table[..., rest]
            found[..., i, j] = found[..., j, i] = (more - less) @ weight[sizes[rest]]
    return found


def sampled_shapley_values(
    value: Callable[[np.ndarray], ArrayLike],
    n_players: int,
    n_permutations: int,
    rng: np.random.Generator | np.random.RandomState,
) -> SampledShapley:
    """Shapley values from random orders of the players, each also taken backwards.

    Parameters
    ----------
    value : callable
        From the members of a coalition (ndarray of bool of shape (n_players,)) to its value, a
        number or an array of shape (...). Asked once a coalition.
    n_players : int
    n_permutations : int
        Number of orders; an odd number is rounded up.
    rng : Generator or RandomState

    Returns
    -------
    SampledShapley

    Examples
    --------
    >>> import numpy as np
    >>> worth = np.array([1.0, 2.0, 3.0])
    >>> found = sampled_shapley_values(lambda s: worth[s].sum(), 3, 4, np.random.default_rng(0))
    >>> found.values.tolist()
    [1.0, 2.0, 3.0]
    """
    if n_players < 1 or n_permutations < 1:
        raise ValueError(
            "n_players and n_permutations must be at least 1. Got "
            f"n_players={n_players!r}, n_permutations={n_permutations!r}."
        )
    known: dict[bytes, np.ndarray] = {}

    def ask(members: np.ndarray) -> np.ndarray:
        key = members.tobytes()
        if key not in known:
            known[key] = np.asarray(value(members.copy()), dtype=np.float64)
        return known[key]

    pairs = []
    for _ in range((n_permutations + 1) // 2):
        order = rng.permutation(n_players)
        pairs.append((_gains(ask, order) + _gains(ask, order[::-1])) / 2)
    gains = np.stack(pairs)
    error = np.full(gains.shape[1:], np.nan)
    if len(gains) > 1:
        error = gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
    return SampledShapley(gains.mean(axis=0), error, len(known))


def _gains(ask: Callable[[np.ndarray], np.ndarray], order: np.ndarray) -> np.ndarray:
    """What each player adds as the players come in one by one."""
    members = np.zeros(len(order), dtype=bool)
    before = ask(members)
    gains = np.empty((*before.shape, len(order)))
    for player in order:
        members[player] = True
        after = ask(members)
        gains[..., player] = after - before
        before = after
    return gains


def _without(n_players: int, *players: int) -> np.ndarray:
    """Numbers of the coalitions that some players are not in."""
    numbers = np.arange(2**n_players)
    return numbers[numbers & sum(1 << player for player in players) == 0]


def _check_table(values: ArrayLike) -> tuple[np.ndarray, int]:
    table = np.asarray(values, dtype=np.float64)
    n_values = table.shape[-1] if table.ndim else 1
    if n_values < 2 or n_values & (n_values - 1):
        raise ValueError(
            f"The values of all 2 ** n_players coalitions are needed. Got {n_values} values."
        )
    return table, n_values.bit_length() - 1
