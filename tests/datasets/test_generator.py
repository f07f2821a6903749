"""The knobs of make_multimodal_classification do what they say."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from inforeg_sk.data.container import ModalityDict
from inforeg_sk.datasets import make_multimodal_classification

N = 20000


def accuracy(*arrays, y):
    """Held-out accuracy of the classifier that is optimal here, on the arrays side by side."""
    X = np.hstack([a.reshape(len(a), -1) for a in arrays])
    half = len(y) // 2
    return LinearDiscriminantAnalysis().fit(X[:half], y[:half]).score(X[half:], y[half:])


def problem(strengths, n_classes=2, n_samples=N, random_state=0, **kwargs):
    modalities = {f"m{i}": {"n_features": 6, "strength": s} for i, s in enumerate(strengths)}
    return make_multimodal_classification(
        n_samples,
        n_classes=n_classes,
        modalities=modalities,
        random_state=random_state,
        **kwargs,
    )


def joint_strength(strengths, redundancy):
    """Mahalanobis distance of two classes, from the correlation stated in the docstring."""
    s = np.asarray(strengths, dtype=float)
    C = redundancy * np.minimum.outer(s, s) / np.maximum.outer(s, s)
    np.fill_diagonal(C, 1)
    return np.sqrt(s @ np.linalg.pinv(C) @ s)


# What the data look like


def test_default():
    X, y = make_multimodal_classification(random_state=0)
    assert isinstance(X, ModalityDict)
    assert {name: X[name].shape for name in X} == {"strong": (200, 20), "weak": (200, 20)}
    assert all(X[name].dtype == np.float64 for name in X)
    assert y.shape == (200,) and y.dtype == np.int64
    assert sorted(np.bincount(y)) == [66, 67, 67]


def test_names_shapes_and_order_are_as_given():
    X, y = make_multimodal_classification(
        12,
        modalities={
            "weak first": {"n_features": 3, "strength": 0.5},
            "seq": {"n_features": 4, "n_steps": 7, "strength": 5},
            "one step": {"n_features": 2, "n_steps": 1},
            "plain": {},
        },
        random_state=np.random.RandomState(3),
    )
    assert list(X) == ["weak first", "seq", "one step", "plain"]
    assert [X[name].shape for name in X] == [(12, 3), (12, 7, 4), (12, 1, 2), (12, 20)]


def test_fixed_seed_gives_the_same_bytes_and_leaves_the_global_generator():
    before = np.random.get_state()[1].copy()
    X, y = make_multimodal_classification(50, flip_y=0.2, random_state=7)
    X2, y2 = make_multimodal_classification(50, flip_y=0.2, random_state=7)
    assert np.array_equal(np.random.get_state()[1], before)
    assert y.tobytes() == y2.tobytes()
    assert all(X[name].tobytes() == X2[name].tobytes() for name in X)
    X3, y3 = make_multimodal_classification(50, flip_y=0.2, random_state=8)
    assert y.tobytes() != y3.tobytes()
    assert X["strong"].tobytes() != X3["strong"].tobytes()


def test_a_random_state_instance_moves_on():
    rng = np.random.RandomState(0)
    first = make_multimodal_classification(20, random_state=rng)[0]
    second = make_multimodal_classification(20, random_state=rng)[0]
    assert not np.array_equal(first["strong"], second["strong"])


def test_without_shuffle_sorted_by_class():
    _, y = make_multimodal_classification(10, shuffle=False, random_state=0)
    assert y.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    _, y = make_multimodal_classification(10, random_state=0)
    assert y.tolist() != sorted(y)


@pytest.mark.parametrize(
    "n, weights, counts",
    [
        (100, [0.29, 0.01, 0.7], [29, 1, 70]),
        (7, [0.5, 0.5, 0.0], [4, 3, 0]),
        (10, [0.1, 0.1, 0.8], [1, 1, 8]),
        (2, [1 / 3, 1 / 3, 1 / 3], [1, 1, 0]),
    ],
)
def test_weights(n, weights, counts):
    _, y = make_multimodal_classification(n, weights=weights, random_state=0)
    assert np.bincount(y, minlength=3).tolist() == counts


def test_flip_y_redraws_that_share_of_labels():
    _, y = make_multimodal_classification(N, shuffle=False, random_state=0)
    _, flipped = make_multimodal_classification(N, shuffle=False, flip_y=0.3, random_state=0)
    # A third of the redrawn labels are what they were.
    assert np.mean(y != flipped) == pytest.approx(0.3 * 2 / 3, abs=0.015)
    np.testing.assert_allclose(np.bincount(flipped) / N, 1 / 3, atol=0.01)
    X, flipped = make_multimodal_classification(
        N, n_classes=2, modalities={"a": {"strength": 12}}, flip_y=0.3, random_state=0
    )
    assert accuracy(X["a"], y=flipped) == pytest.approx(1 - 0.3 / 2, abs=0.015)


def test_all_directions_have_unit_noise():
    X, y = make_multimodal_classification(
        N,
        modalities={"a": {"n_features": 5, "strength": 3}, "b": {"n_features": 4, "n_steps": 3}},
        random_state=0,
    )
    for name in X:
        flat = X[name].reshape(N, -1)
        within = np.concatenate([flat[y == k] - flat[y == k].mean(axis=0) for k in range(3)])
        np.testing.assert_allclose(np.cov(within.T), np.eye(flat.shape[1]), atol=0.05)


# Strength


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("n_steps", [None, 9])
def test_strength_is_the_distance_between_any_two_class_means(n_classes, n_steps):
    X, y = make_multimodal_classification(
        N,
        n_classes=n_classes,
        modalities={"a": {"n_features": 5, "strength": 2.5, "n_steps": n_steps}},
        random_state=0,
    )
    flat = X["a"].reshape(N, -1)
    means = np.array([flat[y == k].mean(axis=0) for k in range(n_classes)])
    squared = ((means[:, None] - means[None]) ** 2).sum(axis=2)
    # The estimates' own noise adds variance n_dimensions * (1 / n_k + 1 / n_l).
    squared -= 2 * flat.shape[1] * n_classes / N
    pairs = np.sqrt(squared[np.triu_indices(n_classes, 1)])
    np.testing.assert_allclose(pairs, 2.5, atol=0.15)


@pytest.mark.parametrize("strength", [0, 0.5, 1, 2, 4])
def test_accuracy_of_one_modality_is_the_gaussian_tail(strength):
    X, y = problem([strength])
    assert accuracy(X["m0"], y=y) == pytest.approx(norm.cdf(strength / 2), abs=0.015)


def test_accuracy_rises_with_strength_and_starts_at_chance():
    scores = []
    for strength in (0, 0.5, 1, 2, 3, 5):
        X, y = problem([strength], n_classes=4)
        scores.append(accuracy(X["m0"], y=y))
    assert scores[0] == pytest.approx(1 / 4, abs=0.02)
    assert np.all(np.diff(scores) > 0.03)


def test_number_of_features_changes_no_accuracy():
    for n_features in (1, 30):
        X, y = make_multimodal_classification(
            N,
            n_classes=2,
            modalities={"a": {"n_features": n_features, "strength": 2}},
            random_state=0,
        )
        assert accuracy(X["a"], y=y) == pytest.approx(norm.cdf(1), abs=0.015)


def test_mean_over_steps_holds_all_evidence_and_one_step_little():
    X, y = make_multimodal_classification(
        N,
        n_classes=2,
        modalities={"seq": {"n_features": 4, "strength": 3, "n_steps": 16}},
        random_state=0,
    )
    assert accuracy(X["seq"].mean(axis=1), y=y) == pytest.approx(norm.cdf(1.5), abs=0.015)
    # One of 16 steps has the signal divided by 4 in the same noise.
    for step in (0, 7, 15):
        assert accuracy(X["seq"][:, step], y=y) == pytest.approx(norm.cdf(1.5 / 4), abs=0.02)


# Redundancy


@pytest.mark.parametrize("strengths", [(2, 2), (3, 1.5), (1, 1, 1), (1, 2, 1.5)])
@pytest.mark.parametrize("redundancy", [0, 0.4, 0.8, 1])
def test_joint_accuracy_is_that_of_the_stated_correlation(strengths, redundancy):
    X, y = problem(strengths, redundancy=redundancy)
    expected = norm.cdf(joint_strength(strengths, redundancy) / 2)
    assert accuracy(*X.values(), y=y) == pytest.approx(expected, abs=0.015)
    for name, strength in zip(X, strengths, strict=True):
        assert accuracy(X[name], y=y) == pytest.approx(norm.cdf(strength / 2), abs=0.015)


@pytest.mark.parametrize("strengths", [(2, 2), (2.5, 1.5)])
def test_joint_gain_shrinks_to_nothing_as_redundancy_rises(strengths):
    gains = []
    for redundancy in (0, 0.3, 0.6, 1):
        X, y = problem(strengths, n_classes=3, redundancy=redundancy)
        best = max(accuracy(X[name], y=y) for name in X)
        gains.append(accuracy(*X.values(), y=y) - best)
    assert gains[0] > 0.04
    assert np.all(np.diff(gains) < 0)
    assert gains[-1] == pytest.approx(0, abs=0.005)


def test_noise_added_to_pure_noise_adds_nothing():
    X, y = problem([2, 0, 0], redundancy=1)
    assert accuracy(X["m1"], X["m2"], y=y) == pytest.approx(0.5, abs=0.015)
    assert accuracy(*X.values(), y=y) == pytest.approx(norm.cdf(1), abs=0.015)


def test_redundancy_of_one_modality_overrides():
    def joint(**own):
        X, y = make_multimodal_classification(
            N,
            n_classes=2,
            modalities={
                "a": {"n_features": 3, "strength": 2},
                "b": {"n_features": 3, "strength": 2, **own},
            },
            redundancy=1,
            random_state=0,
        )
        return accuracy(X["a"], X["b"], y=y)

    assert joint() == pytest.approx(norm.cdf(1), abs=0.015)
    assert joint(redundancy=0.25) == pytest.approx(
        norm.cdf(joint_strength([2, 2], np.sqrt(0.25)) / 2), abs=0.015
    )
    assert joint(redundancy=0) == pytest.approx(norm.cdf(np.sqrt(2)), abs=0.015)


def test_redundancy_leaves_the_labels():
    y = [problem([2, 2], redundancy=r, n_samples=300)[1] for r in (0, 1)]
    assert np.array_equal(*y)


# Validation


@pytest.mark.parametrize(
    "kwargs, error, message",
    [
        ({"n_samples": 0}, ValueError, r"'n_samples' .* must be an int in \[1, inf\). Got 0"),
        ({"n_samples": 2.0}, TypeError, r"'n_samples' .* must be an int in \[1, inf\). Got 2\.0"),
        ({"n_classes": 1}, ValueError, r"'n_classes' .* must be an int in \[2, inf\). Got 1"),
        ({"n_classes": True}, TypeError, r"'n_classes' .* must be an int .* Got True"),
        ({"redundancy": 1.1}, ValueError, r"'redundancy' .* must be a float in \[0, 1\]. Got 1\.1"),
        ({"redundancy": "x"}, TypeError, r"'redundancy' .* must be a float in \[0, 1\]. Got 'x'"),
        ({"flip_y": -0.1}, ValueError, r"'flip_y' .* must be a float in \[0, 1\]. Got -0\.1"),
        ({"flip_y": float("nan")}, ValueError, r"'flip_y' .* must be a float in \[0, 1\]. Got nan"),
        ({"shuffle": "no"}, TypeError, r"'shuffle' .* must be a bool. Got 'no'"),
        ({"weights": [0.5, 0.5]}, ValueError, r"'weights' .* None or 3 .* Got \[0\.5, 0\.5\]"),
        (
            {"weights": [0.5, 0.6, -0.1]},
            ValueError,
            r"'weights' .* must be None or 3 numbers that are not negative",
        ),
        ({"weights": [0.5, 0.6, 0.1]}, ValueError, r"'weights' .* sum to 1. Got"),
        ({"weights": "abc"}, TypeError, r"'weights' .* must be .* Got 'abc'"),
        (
            {"modalities": ["a"]},
            TypeError,
            r"'modalities' .* must be None or a dict .* Got \['a'\]",
        ),
        ({"modalities": {}}, ValueError, r"'modalities' .* must have at least one modality"),
        ({"modalities": {"a": 3}}, TypeError, r"modalities\['a'\]' .* must be a dict .* Got 3"),
        (
            {"modalities": {"a": {"size": 3}}},
            ValueError,
            r"modalities\['a'\]' .* must have settings among 'n_features', 'strength'.* Got 'size'",
        ),
        (
            {"modalities": {"a": {"n_feature": 3}}},
            ValueError,
            "Got 'n_feature'; did you mean 'n_features'",
        ),
        (
            {"modalities": {"a": {}, "b": {"strength": -1}}},
            ValueError,
            r"modalities\['b'\]\['strength'\]' .* must be a float in \[0, inf\). Got -1",
        ),
        (
            {"modalities": {"b": {"strength": float("inf")}}},
            ValueError,
            r"modalities\['b'\]\['strength'\]' .* must be a float .* Got inf",
        ),
        (
            {"modalities": {"b": {"redundancy": 2}}},
            ValueError,
            r"modalities\['b'\]\['redundancy'\]' .* must be a float in \[0, 1\]. Got 2",
        ),
        (
            {"modalities": {"b": {"n_steps": 0}}},
            ValueError,
            r"modalities\['b'\]\['n_steps'\]' .* must be None or an int in \[1, inf\). Got 0",
        ),
        (
            {"n_classes": 5, "modalities": {"b": {"n_features": 3}}},
            ValueError,
            r"modalities\['b'\]\['n_features'\]' .* at least n_classes - 1 = 4.*Got 3",
        ),
        ({"modalities": {1: {}}}, TypeError, r"names must be strings. Got 1"),
        ({"random_state": "x"}, ValueError, r"'random_state' .* or a RandomState. Got 'x'"),
    ],
)
def test_bad_parameters_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        make_multimodal_classification(**kwargs)
