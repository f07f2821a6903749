"""Shapley values: brute force over all orders, additivity, and games known by heart."""

from itertools import combinations, permutations

import numpy as np
import pytest

from inforeg_sk.functional import (
    coalition_members,
    interaction_indices,
    sampled_shapley_values,
    shapley_values,
)


def game(n_players, seed=0, shape=()):
    return np.random.default_rng(seed).normal(size=(*shape, 2**n_players))


def place(players):
    return sum(2**p for p in players)


def over_all_orders(values, n_players):
    """The definition: the mean gain as players come in, over all orders."""
    gains = np.zeros(n_players)
    orders = list(permutations(range(n_players)))
    for order in orders:
        for k, player in enumerate(order):
            gains[player] += values[place(order[: k + 1])] - values[place(order[:k])]
    return gains / len(orders)


@pytest.mark.parametrize("n_players", [1, 2, 3, 5, 6])
def test_exact_values_are_brute_force_over_all_orders(n_players):
    values = game(n_players)
    expected = over_all_orders(values, n_players)
    assert shapley_values(values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_players", [2, 4, 10])
def test_values_add_up_to_all_less_nobody(n_players):
    values = game(n_players, seed=1)
    assert shapley_values(values).sum() == pytest.approx(values[-1] - values[0])


def test_a_sum_of_games_has_the_sum_of_values():
    one, two = game(4, 2), game(4, 3)
    expected = 2 * shapley_values(one) - shapley_values(two)
    assert shapley_values(2 * one - two) == pytest.approx(expected, abs=1e-12)


def test_players_who_add_the_same_get_the_same_and_who_adds_nothing_gets_nothing():
    members = coalition_members(3)
    both = members[:, 0] & members[:, 2]  # 1 is not needed
    assert shapley_values(both.astype(float)).tolist() == pytest.approx([0.5, 0.0, 0.5])
    glove = members[:, 0] & (members[:, 1] | members[:, 2])  # a left and two right gloves
    assert shapley_values(glove.astype(float)) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_leading_axes_are_games_of_their_own():
    values = game(3, shape=(2, 4))
    found, pairs = shapley_values(values), interaction_indices(values)
    assert found.shape == (2, 4, 3) and pairs.shape == (2, 4, 3, 3)
    assert found[1, 2] == pytest.approx(shapley_values(values[1, 2]))
    assert pairs[1, 2] == pytest.approx(interaction_indices(values[1, 2]))


def test_members_of_coalitions_are_the_bits_of_their_places():
    members = coalition_members(4)
    assert [place(np.flatnonzero(row)) for row in members] == list(range(16))


@pytest.mark.parametrize("n_players", [2, 3, 5])
def test_interactions_are_shapley_values_of_the_pair_as_one_player(n_players):
    """The index is defined so: the pair as one, less each without the other (recursion)."""
    values = game(n_players)
    found = interaction_indices(values)
    for i, j in combinations(range(n_players), 2):
        rest = [p for p in range(n_players) if p not in (i, j)]

        def reduced(last, rest=rest):
            """The game of `rest` and one more player, who brings `last`."""
            players = [[p] for p in rest] + [last]
            rows = coalition_members(len(players))
            table = [place(p for k in np.flatnonzero(row) for p in players[k]) for row in rows]
            return shapley_values(values[table])[-1]

        expected = reduced([i, j]) - reduced([i]) - reduced([j])
        assert found[i, j] == found[j, i] == pytest.approx(expected)
    assert (np.diag(found) == 0).all()


def test_a_game_without_interaction_has_none():
    worth = np.array([1.0, -2.0, 0.5])
    assert interaction_indices(coalition_members(3) @ worth) == pytest.approx(np.zeros((3, 3)))


# Sampled


def asked(values, log=None):
    def value(members):
        if log is not None:
            log.append(tuple(members))
        return values[..., place(np.flatnonzero(members))]

    return value


@pytest.mark.parametrize("seed", range(3))
def test_sampled_values_are_near_the_exact_ones_and_their_error_says_how_near(seed):
    values = game(7, seed)
    rng = np.random.default_rng(seed)
    found = sampled_shapley_values(asked(values), 7, 2000, rng)
    z = (found.values - shapley_values(values)) / found.standard_error
    assert np.abs(z).max() < 4
    assert found.standard_error.max() < 0.05


def test_sampled_values_add_up_exactly_and_ask_once_a_coalition():
    values, log = game(6, shape=(3,)), []
    found = sampled_shapley_values(asked(values, log), 6, 3, np.random.RandomState(0))
    assert found.values.sum(axis=-1) == pytest.approx(values[..., -1] - values[..., 0])
    assert len(log) == len(set(log)) == found.n_coalitions <= 2 + 4 * 5
    assert found.values.shape == found.standard_error.shape == (3, 6)


def test_one_pair_of_orders_is_exact_for_pairs_and_has_no_error():
    values = game(2)
    found = sampled_shapley_values(asked(values), 2, 1, np.random.default_rng(0))
    assert found.values == pytest.approx(shapley_values(values))
    assert np.isnan(found.standard_error).all()


@pytest.mark.parametrize("values", [[1.0], [0.0, 1.0, 2.0], 3.0])
def test_a_table_that_is_not_of_all_coalitions_is_refused(values):
    with pytest.raises(ValueError, match=r"all 2 \*\* n_players coalitions"):
        shapley_values(values)


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match=r"at least 1\. Got n_players=0"):
        sampled_shapley_values(asked(game(1)), 0, 3, np.random.default_rng(0))
