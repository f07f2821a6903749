"""Pools on all kinds of data: missing modalities, weights, groups, rare classes, other shapes."""

import warnings

import numpy as np
import pytest
from pools import pool, small, small_regressor, two_modalities, two_numbers
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from inforeg_sk.ensemble.pool_levels import ClassRule

# Out of fold


def test_noise_is_seen_as_noise_out_of_fold():
    rng = np.random.default_rng(0)
    # The last goes to its linear expert as features of the network that was trained on it.
    X = {
        "a": rng.normal(size=(90, 300)),
        "b": rng.normal(size=(90, 200)),
        "padded": rng.normal(size=(90, 10, 20)),
    }
    X["padded"][::3, 8:] = np.nan
    y = rng.integers(0, 2, 90)
    made = pool(small(max_epochs=10), "default").fit(X, y)
    right = made.oof_log_proba_.argmax(axis=2) == y[:, None]
    assert (np.abs(right.mean(axis=0) - 0.5) < 3 * 0.5 / np.sqrt(90)).all()
    new = {name: rng.normal(size=values.shape) for name, values in X.items()}
    p = made.predict_proba(new)
    assert log_loss(rng.integers(0, 2, 90), p) < np.log(2) + 0.1
    # The same experts know all of their own training data by heart.
    assert made.experts_["joint"]["extra_trees"].score(np.hstack([X["a"], X["b"]]), y) == 1
    features = made.network_.transform_by_modality(X)["padded"]
    assert made.experts_["padded"]["ridge"].score(features, y) > 0.9


def test_an_expert_that_learns_by_heart_gets_the_weight_of_its_held_out_guesses():
    X, y = two_modalities(120)
    X["by_heart"] = np.random.default_rng(1).normal(size=(120, 2))
    nearest = KNeighborsClassifier(1)
    made = pool(experts={"by_heart": [("nearest", nearest)]}).fit(X, y)
    assert made.experts_["by_heart"]["nearest"].score(X["by_heart"], y) == 1
    assert made.weights_["by_heart"]["nearest"] < 0.02
    assert made.weights_["text"]["ridge"] > 0.1


class Spy(ClassifierMixin, BaseEstimator):
    """Says the prior; notes the numbers, in the first column, of what it is fitted on and asked."""

    log = []

    def fit(self, X, y, groups=None):
        self.classes_, self.rows_ = np.unique(y), X[:, 0].astype(int)
        self.groups_ = groups
        return self

    def predict_proba(self, X):
        Spy.log.append((self.rows_, X[:, 0].astype(int), self.groups_))
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.mark.parametrize("grouped", [False, True])
def test_no_sample_and_no_group_is_in_both_parts(grouped):
    X, y = two_modalities()
    X["text"][:, 0] = np.arange(90)
    groups = np.random.default_rng(0).integers(0, 9, 90) if grouped else None
    Spy.log.clear()
    made = pool(experts={"text": [("spy", Spy())]}).fit(X, y, groups=groups)
    assert len(Spy.log) == 3
    assert sorted(np.concatenate([asked for _, asked, _ in Spy.log])) == list(range(90))
    for trained, asked, given in Spy.log:
        assert sorted([*trained, *asked]) == list(range(90))
        if grouped:
            np.testing.assert_array_equal(given, groups[trained])
            assert not set(groups[trained]) & set(groups[asked])
            assert len(set(made.fold_[asked])) == 1


def test_too_few_groups_are_refused():
    X, y = two_modalities()
    with pytest.raises(ValueError, match=r"at most the number of groups \(n_groups=2\)\. Got 3"):
        pool().fit(X, y, groups=np.arange(90) % 2)


# Missing modalities


def lacking(X, rng, share=0.3):
    """The data where samples lack one of two modalities."""
    X = {name: values.copy() for name, values in X.items()}
    which = rng.random(len(X["text"]))
    X["text"][which < share / 2] = np.nan
    X["audio"][which > 1 - share / 2] = np.nan
    return X


def test_weights_are_refitted_for_each_pattern_of_absent_modalities():
    X, y = two_modalities()
    made = pool(small(missing="allow")).fit(X, y)
    left = {"text": X["text"][:20]}
    log_p, position = made.predict_log_proba(left), np.searchsorted(made.classes_, y)
    # By hand: blocks of one expert each; that of the network as it speaks without the audio.
    prior, absent = made.prior_, frozenset(["audio"])
    said = {"text": made.oof_log_proba_[:, [1]], "joint": made._pool.without[absent][:, None]}
    net = np.maximum(np.log(made.network_.predict_proba(left)), -12)
    ridge = made.experts_["text"]["ridge"].predict_log_proba(X["text"][:20].astype(np.float32))
    new = {"text": np.maximum(ridge, -12)[:, None], "joint": net[:, None]}
    rule, inner, there = ClassRule(prior, 1.0), [], []
    for block in ("text", "joint"):
        weights = rule.fit(said[block], position, None, 1.0)
        inner.append(rule.apply(said[block], weights))
        there.append(rule.apply(new[block], weights))
    outer = rule.fit(np.stack(inner, axis=1), position, None, 1 / 2)
    expected = rule.apply(np.stack(there, axis=1), outer)
    np.testing.assert_allclose(log_p, expected, atol=1e-6)
    evidence = made.evidence(left)
    assert (evidence.experts["audio"]["ridge"] == 0).all()
    np.testing.assert_allclose(evidence.total(), log_p, atol=1e-10)


def test_an_expert_is_fitted_on_those_that_have_its_modality_and_silent_for_others():
    X, y = two_modalities()
    rng = np.random.default_rng(0)
    X = lacking(X, rng)
    made = pool(small(missing="allow"), "default").fit(X, y)
    gone = np.isnan(X["audio"][:, 0])
    for i, (block, name) in enumerate(made.expert_names_):
        some = np.abs(made.oof_log_proba_[:, i] - made.prior_).max(axis=1) > 1e-12
        if block == "audio" or (block == "joint" and name != "network"):
            assert not some[gone].any() and some.any()
    full = np.isfinite(X["audio"]).all(axis=1)
    there = LogisticRegression().fit(X["audio"][full], y[full])
    assert made.experts_["audio"]["ridge"].score(X["audio"][full], y[full]) == pytest.approx(
        there.score(X["audio"][full], y[full]), abs=0.08
    )
    np.testing.assert_allclose(made.evidence(X).total(), made.predict_log_proba(X), atol=1e-10)
    assert made.score(X, y) > 0.7
    each = made.score_by_modality(X, y, samples="each")
    assert set(each) == {"text", "audio"} and min(each.values()) > 0.5
    # Rows are judged by themselves: what others lack does not matter.
    some = {name: values[gone] for name, values in X.items()}
    np.testing.assert_allclose(made.predict_proba(some), made.predict_proba(X)[gone], atol=1e-6)


def test_a_network_that_needs_all_modalities_refuses_fewer():
    X, y = two_modalities()
    made = pool().fit(X, y)
    with pytest.raises(ValueError, match="misses 'audio'"):
        made.predict({"text": X["text"]})
    X["audio"][3] = np.nan
    with pytest.raises(ValueError, match="contains NaN in row 3"):
        pool().fit(X, y)


# Weights


def test_samples_without_weight_have_no_part_at_all():
    X, y = two_modalities()
    weight = np.ones(90)
    weight[::4] = 0
    turned = y.copy()
    turned[::4] = np.roll(y, 1)[::4]  # wrong labels, whose weight is 0
    # Folds of an int go by the labels, so they are given.
    order = np.random.default_rng(0).permutation(90)
    folds = [(np.delete(order, part), order[part]) for part in np.split(np.arange(90), 3)]
    one, two = (pool(cv=folds).fit(X, labels, sample_weight=weight) for labels in (y, turned))
    np.testing.assert_allclose(one.prior_, two.prior_)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)


def test_balanced_classes_have_a_flat_prior_and_weigh_all_alike():
    X, y = two_modalities(120)
    keep = np.flatnonzero((y != "joy") | (np.arange(120) % 4 == 0))
    X, y = {name: values[keep] for name, values in X.items()}, y[keep]
    made = pool(small(class_weight="balanced")).fit(X, y)
    np.testing.assert_allclose(np.exp(made.prior_), 1 / 3)
    plain = pool().fit(X, y)
    assert np.exp(plain.prior_)[np.searchsorted(plain.classes_, "joy")] < 0.2
    joy = y == "joy"
    assert (made.predict(X)[joy] == "joy").mean() >= (plain.predict(X)[joy] == "joy").mean()
    by_hand = pool(small(class_weight="balanced")).fit(X, y, sample_weight=np.full(len(y), 3.0))
    np.testing.assert_allclose(by_hand.predict_proba(X), made.predict_proba(X), atol=1e-5)


def test_an_expert_that_takes_no_weights_is_refused_where_there_are_some():
    X, y = two_modalities()
    experts = {"text": [("nearest", KNeighborsClassifier())]}
    with pytest.raises(ValueError, match=r"'nearest' of 'text', .* takes no sample_weight"):
        pool(experts=experts).fit(X, y, sample_weight=np.arange(90) + 1.0)
    pool(experts={"text": [("bayes", GaussianNB())]}).fit(X, y, sample_weight=np.arange(90) + 1.0)


# Classes, samples and modalities in small numbers


def test_a_class_that_a_fold_lacks_is_known_to_the_pool_and_has_no_part_in_the_weights():
    X, y = two_modalities()
    y = y.copy()
    y[7] = "rare"
    X["text"][7] += 30
    with pytest.warns(UserWarning, match=r"1 samples have no part .* first is 'rare'"):
        made = pool(experts="default").fit(X, y)
    assert made.predict_proba(X).shape == (90, 4) and "rare" in made.classes_
    assert made.oof_log_proba_.min() >= -12
    rare = list(made.classes_).index("rare")
    said = made.oof_log_proba_[:, [name[1] == "ridge" for name in made.expert_names_], rare]
    assert (said[made.fold_ == made.fold_[7]] == -12).all()
    assert made.predict(X)[7] == "rare"


def test_a_fold_with_one_class_is_refused():
    X, y = two_modalities(60, 2)
    with pytest.raises(ValueError, match="training part of fold 0 has samples of 1 class"):
        pool(cv=2).fit(X, y, groups=(y == "joy").astype(int))


def test_twenty_samples_one_modality_and_many_classes():
    X, y = two_modalities(20, 2)
    assert pool(experts="default").fit(X, y).predict_proba(X).shape == (20, 2)
    one = pool(experts="default").fit({"text": X["text"]}, y)
    assert {block: list(of) for block, of in one.experts_.items()} == {
        "text": ["ridge", "elastic_net", "extra_trees"],
        "joint": ["network"],
    }
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40), 3)
    X = {
        "a": rng.normal(size=(120, 4)) + y[:, None] % 8,
        "b": rng.normal(size=(120, 3)) + y[:, None],
    }
    p = pool().fit(X, y).predict_proba(X)
    assert p.shape == (120, 40)
    np.testing.assert_allclose(p.sum(axis=1), 1)


# Other shapes


def test_sparse_matrices_stay_sparse():
    X, y = two_modalities()
    rate = 0.3 + 0.7 * (y == "joy")[:, None]
    counts = np.random.default_rng(0).poisson(rate, (90, 40))
    X["words"] = sparse.csr_matrix(counts.astype(float))
    made = pool(experts="default").fit(X, y)
    joy = list(made.classes_).index("joy")
    speaks = made.evidence(X).experts["words"]["ridge"]
    others = np.delete(speaks, joy, axis=1).max(axis=1)
    assert ((speaks[:, joy] > others) == (y == "joy")).mean() > 0.9
    assert made.predict_proba(X).shape == (90, 3)
    trees = made.experts_["joint"]["extra_trees"]
    assert trees.n_features_in_ == 49
    only = pool().fit({"words": X["words"]}, y)
    assert np.isfinite(only.predict_log_proba({"words": X["words"]})).all()


def tokens(n, y, rng):
    ids = rng.integers(0, 10, (n, 6)) + 10 * y[:, None]
    return {"ids": ids, "mask": np.ones((n, 6), dtype=bool)}


class TokenEncoder(nn.Module):
    """Mean of embeddings."""

    out_features = 4

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 4)

    def forward(self, parts):
        return self.table(parts["ids"]).mean(dim=1)


def test_other_shapes_are_given_as_the_network_sees_them():
    rng = np.random.default_rng(0)
    n, y = 60, np.arange(60) % 3
    sequences = rng.normal(size=(n, 6, 3)) + y[:, None, None]
    padded = sequences.copy()
    padded[::2, 4:] = np.nan
    X = {
        "whole": sequences,
        "padded": padded,
        "image": rng.normal(size=(n, 1, 6, 6)) + y[:, None, None, None],
        "tokens": tokens(n, y, rng),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pool(small(encoders={"tokens": TokenEncoder()}), "default").fit(X, y)
    kinds = {m: [name for b, name in made.expert_names_ if b == m] for m in X}
    assert kinds["whole"] == ["ridge", "elastic_net", "extra_trees"]
    assert kinds["padded"] == kinds["image"] == kinds["tokens"] == ["ridge"]
    ridge, features = made.experts_["tokens"]["ridge"], made.network_.transform_by_modality(X)
    assert ridge.n_features_in_ == 4
    ridge_says = np.maximum(np.log(ridge.predict_proba(features["tokens"])), -12)
    said = made.weights_["tokens"]["ridge"] * (ridge_says - made.prior_)
    evidence = made.evidence(X)
    np.testing.assert_allclose(evidence.experts["tokens"]["ridge"], said, atol=1e-9)
    np.testing.assert_allclose(evidence.total(), made.predict_log_proba(X), atol=1e-10)
    X["whole"] = padded
    with pytest.raises(ValueError, match="'whole' has padded sequences here"):
        made.predict(X)


def test_all_lists_work_for_numbers_with_weights_groups_and_missing_modalities():
    X, y = two_numbers(60, n_outputs=2)
    X["audio"][::7] = np.nan
    groups = np.arange(60) % 12
    made = pool(small_regressor(missing="allow"), "thorough", cv=2)
    made.fit(X, y, sample_weight=np.linspace(1, 2, 60), groups=groups)
    assert made.predict(X).shape == (60, 2) and made.score(X, y) > 0.5
    assert made.predict({"text": X["text"]}).shape == (60, 2)
    np.testing.assert_allclose(made.evidence(X).total(), made.predict(X), atol=1e-10)
    assert made.weights_["text"]["svc"].shape == (2,)


def test_the_thorough_list_works_for_classes_in_groups():
    X, y = two_modalities(60)
    made = pool(experts="thorough", cv=2).fit(X, y, groups=np.arange(60) // 3 % 10)
    assert list(made.experts_["joint"]) == [
        "network",
        "early_network",
        "extra_trees",
        "hist_gradient_boosting",
        "svc",
    ]
    assert made.score(X, y) > 0.8
