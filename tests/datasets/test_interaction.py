"""make_multimodal_classification(interaction=...): what only the modalities together tell."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from inforeg_sk.datasets import make_multimodal_classification

N = 12000
TRAIN, TEST = slice(0, N // 2), slice(N // 2, N)


def problem(strengths=(3, 3), interaction=1.0, n_classes=2, **kwargs):
    modalities = {
        f"m{i}": {"n_features": 2 * (n_classes - 1), "strength": s} for i, s in enumerate(strengths)
    }
    return make_multimodal_classification(
        N,
        n_classes=n_classes,
        modalities=modalities,
        interaction=interaction,
        random_state=0,
        **kwargs,
    )


def accuracy(model, x, y):
    return model.fit(x[TRAIN], y[TRAIN]).score(x[TEST], y[TEST])


def linear(*arrays, y):
    return accuracy(LogisticRegression(), np.hstack(arrays), y)


def products(*arrays):
    """All products of a feature of each: a linear model on them has the rule of the parity."""
    rows = arrays[0]
    for more in arrays[1:]:
        rows = (rows[:, :, None] * more[:, None, :]).reshape(len(rows), -1)
    return rows


def parity_accuracy(strengths):
    """How often the product of signs is right, each right by its own chance, independently."""
    right = 0.0
    for wrong in range(0, len(strengths) + 1, 2):  # an even number of wrong signs
        for of in combinations(range(len(strengths)), wrong):
            chances = [norm.cdf((-1 if i in of else 1) * s / 2) for i, s in enumerate(strengths)]
            right += np.prod(chances)
    return right


def test_zero_leaves_the_data_bit_equal():
    # Made before the parameter was there.
    X, y = make_multimodal_classification(
        40,
        modalities={"a": {"strength": 2}, "b": {"n_features": 5, "n_steps": 3, "redundancy": 0.9}},
        flip_y=0.1,
        random_state=3,
    )
    values = b"".join(np.round(X[name], 9).tobytes() for name in X) + y.tobytes()
    assert hashlib.sha256(values).hexdigest()[:16] == "8154c8c2a14f2735"


@pytest.mark.parametrize("strengths", [(3, 3), (4, 2), (4, 3, 3)])
def test_with_two_classes_the_accuracy_is_that_of_a_product_of_signs(strengths):
    X, y = problem(strengths)
    model = LogisticRegression()
    found = accuracy(model, products(*X.values()), y)
    assert found == pytest.approx(parity_accuracy(strengths), abs=0.015)
    product = np.prod([2 * norm.cdf(s / 2) - 1 for s in strengths])
    assert parity_accuracy(strengths) == pytest.approx(0.5 + 0.5 * product)  # as documented


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("n_modalities", [2, 3])
def test_parts_and_sums_of_modalities_are_at_chance(n_classes, n_modalities):
    X, y = problem((6,) * n_modalities, n_classes=n_classes)
    chance = pytest.approx(1 / n_classes, abs=0.025)
    trees = ExtraTreesClassifier(50, min_samples_leaf=5, random_state=0)
    # The additive model learns nothing: its log-loss is that of guessing. (Weights near zero may
    # still be right a little more often than by chance.)
    x = np.hstack(list(X.values()))
    additive = LogisticRegression().fit(x[TRAIN], y[TRAIN])
    assert log_loss(y[TEST], additive.predict_proba(x[TEST])) > np.log(n_classes) - 1e-3
    assert additive.score(x[TEST], y[TEST]) < 1 / n_classes + 0.04
    for left_out in X:  # one less than all
        rest = np.hstack([X[name] for name in X if name != left_out])
        assert accuracy(trees, rest, y) == chance
    together = accuracy(trees, np.hstack(list(X.values())), y)
    assert together > 1 / n_classes + 0.35


def test_the_rest_of_the_strength_shows_the_class():
    strengths, share = (3, 2), 0.36
    X, y = problem(strengths, share, redundancy=0)
    shown = [0.8 * s for s in strengths]  # sqrt(1 - 0.36)
    for name, s in zip(X, shown, strict=True):
        assert linear(X[name], y=y) == pytest.approx(norm.cdf(s / 2), abs=0.015)
    # The additive model has what the class evidence says, and nothing of the digits.
    additive = linear(*X.values(), y=y)
    assert additive == pytest.approx(norm.cdf(np.hypot(*shown) / 2), abs=0.015)
    both = np.hstack([*X.values(), products(*X.values())])
    assert accuracy(LogisticRegression(max_iter=1000), both, y) > additive + 0.004


def test_a_digit_is_the_class_less_the_others_modulo_the_classes():
    # Without noise to speak of, a digit is the nearest vertex; classes are found by agreement.
    X, y = problem((40, 40), n_classes=3)
    first, second = (nearest_groups(x) for x in X.values())
    table = np.full((3, 3), -1)
    for a, b, label in zip(first, second, y, strict=True):
        assert table[a, b] in (-1, label)
        table[a, b] = label
    # A Latin square: each row and column has every class once.
    assert all(sorted(line) == [0, 1, 2] for line in [*table, *table.T])


def nearest_groups(x):
    """Groups of rows that lie together, numbered as they come."""
    centers, groups = [], []
    for row in x:
        near = [i for i, c in enumerate(centers) if np.linalg.norm(row - c) < 15]
        groups.append(near[0] if near else len(centers))
        if not near:
            centers.append(row)
    return groups


def test_the_class_may_be_rare_and_still_unseen():
    X, y = problem((4, 4), weights=[0.8, 0.2])
    assert np.mean(y) == pytest.approx(0.2, abs=1e-3)
    for x in X.values():
        values = np.corrcoef(np.column_stack([x, y]).T)[-1, :-1]
        assert np.abs(values).max() < 0.03


def test_a_modality_with_an_interaction_of_zero_takes_no_part():
    modalities = {
        "a": {"n_features": 2, "strength": 5},
        "b": {"n_features": 2, "strength": 5},
        "c": {"n_features": 1, "strength": 2, "interaction": 0},
    }
    X, y = make_multimodal_classification(
        N, n_classes=2, modalities=modalities, interaction=1, random_state=0
    )
    found = accuracy(LogisticRegression(), products(X["a"], X["b"]), y)
    assert found == pytest.approx(parity_accuracy((5, 5)), abs=0.015)
    assert linear(X["c"], y=y) == pytest.approx(norm.cdf(1), abs=0.015)


def test_sequences_show_their_digits_in_the_mean_over_steps():
    modalities = {
        "a": {"n_features": 3, "strength": 4, "n_steps": 4},
        "b": {"n_features": 2, "strength": 4},
    }
    X, y = make_multimodal_classification(
        N, n_classes=2, modalities=modalities, interaction=1, random_state=0
    )
    found = accuracy(LogisticRegression(), products(X["a"].mean(axis=1), X["b"]), y)
    assert found == pytest.approx(parity_accuracy((4, 4)), abs=0.015)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"interaction": 1.5}, r"'interaction' .* must be a float in \[0, 1\]. Got 1\.5"),
        ({"interaction": "x"}, r"'interaction' .* must be a float in \[0, 1\]. Got 'x'"),
        (
            {"interaction": 0.5, "modalities": {"a": {}}},
            "'interaction' .* at least two. Got one only, 'a'",
        ),
        (
            {"modalities": {"a": {"interaction": 0.1}, "b": {}}},
            "'interaction' .* at least two. Got one only, 'a'",
        ),
        (
            {"interaction": 0.5, "modalities": {"a": {"n_features": 3}, "b": {}}},
            r"modalities\['a'\]\['n_features'\]' .* at least 2 \* \(n_classes - 1\) = 4.*Got 3",
        ),
    ],
)
def test_bad_interactions_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_multimodal_classification(**kwargs)
