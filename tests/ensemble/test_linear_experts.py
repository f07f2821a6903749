"""Linear experts beside scikit-learn's, and kernel experts."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from inforeg_sk.ensemble import linear_experts
from inforeg_sk.ensemble.folds import assign_folds
from inforeg_sk.ensemble.kernel_experts import KernelClassifier, KernelRegressor
from inforeg_sk.ensemble.linear_experts import LinearPathClassifier, LinearPathRegressor


def classes(n, d, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + rng.normal(size=d)
    signal = (X / X.std(axis=0))[:, :4] @ rng.normal(size=(4, n_classes)) * 2
    return X, np.array(["a", "b", "c"])[(signal + rng.normal(size=signal.shape)).argmax(axis=1)]


@pytest.mark.parametrize("d", [8, 200])
def test_a_ridge_is_that_of_scikit_learn_for_long_and_wide_tables(d):
    X, y = classes(80, d)
    weight = np.random.default_rng(1).uniform(0.5, 2, 80)
    ours = LinearPathClassifier().fit(X, y, sample_weight=weight)
    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    # The objectives are the same but for a factor: C = 1 / (alpha * sum of the weights).
    theirs = LogisticRegression(C=1 / (ours.alpha_ * weight.sum()), tol=1e-8, max_iter=10000)
    theirs.fit((X - mean) / scale, y, sample_weight=weight)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba((X - mean) / scale), atol=1e-3
    )
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.alpha_ < 1 / (1e-4 * 80)  # not the strongest: there is something to learn


def test_an_elastic_net_is_that_of_scikit_learn_and_leaves_columns_out():
    X, y = classes(80, 40)
    ours = LinearPathClassifier(0.5).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(
        C=1 / (ours.alpha_ * 80), l1_ratio=0.5, solver="saga", tol=1e-5, max_iter=10000,
        penalty="elasticnet",
    )  # fmt: skip
    with pytest.warns(FutureWarning) if _warns_of_penalty() else _nothing():
        theirs.fit(Z, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(Z), atol=5e-3)
    assert (ours.coef_ == 0).all(axis=0).any()


def _warns_of_penalty():
    return LogisticRegression().get_params()["penalty"] == "deprecated"


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


@pytest.mark.parametrize("d", [6, 150])
def test_a_ridge_regression_is_that_of_scikit_learn(d):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, d)) * rng.uniform(0.1, 10, d)
    y = np.stack([X[:, 0] + rng.normal(size=60), 100 * X[:, 1]], axis=1)
    ours = LinearPathRegressor().fit(X, y)
    Z = StandardScaler().fit_transform(X)
    theirs = Ridge(ours.alpha_ * 60).fit(Z, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(Z), rtol=1e-3, atol=1e-3 * y.std())
    flat = LinearPathRegressor(0.5).fit(X, y[:, 0])
    scaled = (y[:, 0] - y[:, 0].mean()) / y[:, 0].std()
    net = ElasticNet(flat.alpha_, l1_ratio=0.5, tol=1e-8, max_iter=10**5).fit(Z, scaled)
    values = net.predict(Z) * y[:, 0].std() + y[:, 0].mean()
    np.testing.assert_allclose(flat.predict(X), values, atol=0.02 * y[:, 0].std())
    assert flat.predict(X).shape == (60,)


@pytest.mark.parametrize("d", [5, 120])
def test_a_sparse_matrix_is_scaled_and_not_centered(d):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.4, (70, d)).astype(float)
    y = (counts[:, 0] + counts[:, 1] + 0.3 * rng.normal(size=70) > 0.5).astype(int)
    ours = LinearPathClassifier().fit(sparse.csr_matrix(counts), y)
    Z = counts / np.sqrt((counts**2).mean(axis=0))
    theirs = LogisticRegression(C=1 / (ours.alpha_ * 70), tol=1e-8, max_iter=10000)
    # Two classes: a multinomial model with a penalty on both halves is one of half the strength.
    theirs.set_params(C=2 * theirs.C).fit(Z, y)
    p = ours.predict_proba(sparse.csr_matrix(counts))
    np.testing.assert_allclose(p, theirs.predict_proba(Z), atol=2e-3)
    np.testing.assert_allclose(ours.predict_proba(counts), p)


def test_large_tables_are_solved_without_a_decomposition(monkeypatch):
    X, y = classes(80, 8)
    whole = LinearPathClassifier().fit(X, y)
    monkeypatch.setattr(linear_experts, "_LARGEST", 2)
    without = LinearPathClassifier().fit(X, y)
    assert without.alpha_ == whole.alpha_
    np.testing.assert_allclose(without.predict_proba(X), whole.predict_proba(X), atol=1e-3)


def test_the_strength_is_chosen_by_folds_that_keep_groups_whole():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 8)
    y = rng.integers(0, 2, 12)[group]
    # Columns tell the group, and so the class, but nothing of new groups.
    X = rng.normal(size=(12, 20))[group] + 0.01 * rng.normal(size=(96, 20))
    alone = LinearPathClassifier().fit(X, y)
    grouped = LinearPathClassifier().fit(X, y, groups=group)
    assert grouped.alpha_ > 100 * alone.alpha_
    # One group: there is nothing to choose by, and the middle of 8 strengths is taken.
    one = LinearPathClassifier().fit(X, y, groups=np.zeros(96))
    assert one.alpha_ == pytest.approx(1 / 96)


def test_splits_may_be_given_in_the_place_of_their_number():
    X, y = classes(90, 8)
    own = LinearPathClassifier(cv=3).fit(X, y)
    fold = assign_folds(np.unique(y, return_inverse=True)[1], 3, None, 0)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    given = LinearPathClassifier(cv=splits).fit(X, y)
    assert given.alpha_ == own.alpha_
    np.testing.assert_array_equal(given.coef_, own.coef_)


def test_noise_is_shrunk_to_the_prior():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 300)), rng.integers(0, 2, 60)
    for l1_ratio in (0.0, 0.5):
        made = LinearPathClassifier(l1_ratio).fit(X, y)
        p = made.predict_proba(rng.normal(size=(200, 300)))
        assert log_loss(rng.integers(0, 2, 200), p) < np.log(2) + 0.1


def test_a_constant_column_and_a_class_of_one_member_do_no_harm():
    X, y = classes(60, 5)
    X[:, 2] = 4.0
    y[0] = "rare"
    for made in (LinearPathClassifier(), LinearPathClassifier(0.5), KernelClassifier()):
        p = made.fit(X, y).predict_proba(X)
        assert np.isfinite(p).all() and p.shape == (60, 4)
        np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (LinearPathClassifier().fit(X, y).coef_[:, 2] == 0).all()


def test_another_number_of_columns_is_refused():
    X, y = classes(60, 5)
    with pytest.raises(ValueError, match="X has 4 features, but LinearPathClassifier is expecting"):
        LinearPathClassifier().fit(X, y).predict(X[:, :4])


def test_kernel_experts_see_what_linear_ones_cannot():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    new = rng.normal(size=(200, 2))
    truth = np.where(new[:, 0] * new[:, 1] > 0, "same", "other")
    made = KernelClassifier().fit(X, y, groups=np.arange(160) // 4)
    assert (
        log_loss(truth, made.predict_proba(new))
        < 0.4
        < LinearPathClassifier().fit(X, y).score(new, truth)
    )
    assert (made.predict(new) == truth).mean() > 0.85
    values = KernelRegressor().fit(X, X[:, 0] * X[:, 1]).predict(new)
    assert np.corrcoef(values, new[:, 0] * new[:, 1])[0, 1] > 0.8
