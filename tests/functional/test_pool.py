"""Weights of pools beside scipy's solvers; evidence adds up."""

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, minimize
from scipy.special import log_softmax

from inforeg_sk import functional
from inforeg_sk.functional import PoolWeights


def of_arrays(name):
    """A function of tensors as one of arrays, which scipy and numpy give and take."""

    def tensors(value):
        if isinstance(value, PoolWeights):
            return PoolWeights(*map(tensors, value))
        return torch.as_tensor(value) if isinstance(value, np.ndarray) else value

    def called(*args, **kwargs):
        kwargs = {key: tensors(value) for key, value in kwargs.items()}
        found = getattr(functional, name)(*map(tensors, args), **kwargs)
        if isinstance(found, PoolWeights):
            return PoolWeights(*(part.numpy() for part in found))
        return found.numpy()

    return called


floor_log_proba = of_arrays("floor_log_proba")
mean_pool_values = of_arrays("mean_pool_values")
mean_pool_weights = of_arrays("mean_pool_weights")
pool_evidence = of_arrays("pool_evidence")
pool_log_proba = of_arrays("pool_log_proba")
pool_weights = of_arrays("pool_weights")


def opinions(seed, n=80, n_experts=4, n_classes=3):
    """Log-probabilities of experts of unequal worth, one of them worse than none."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    worth = np.linspace(-1.5, 2.5, n_experts)
    logits = rng.normal(size=(n, n_experts, n_classes))
    logits += worth[:, None] * np.eye(n_classes)[y][:, None, :]
    return log_softmax(logits, axis=2), y, rng.uniform(0.1, 3, n)


def solve(objective, x0, n_bounded):
    """A solver of scipy's, started from a point of its own, at its tightest."""
    low = np.where(np.arange(len(x0)) < n_bounded, 0, -np.inf)
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10000, "maxfun": 10**6}
    return minimize(
        objective, x0, jac="3-point", method="L-BFGS-B", bounds=Bounds(low), options=options
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("lam, w0", [(1.0, None), (0.3, 2 / 3)])
def test_weights_are_those_of_scipy(seed, lam, w0):
    log_p, y, weight = opinions(seed)
    prior = np.log([0.5, 0.3, 0.2])
    pool = pool_weights(log_p, y, prior, weight, w0, lam)
    u, start = weight / weight.mean(), 0.25 if w0 is None else w0

    def objective(x):
        w, b = x[:4], x[4:]
        logits = prior + b + np.tensordot(log_p - prior, w, axes=(1, 0))
        loss = -(u * log_softmax(logits, axis=1)[np.arange(len(y)), y]).sum()
        return loss + lam * (4 * ((w - start) ** 2).sum() + (b**2).sum())

    ours = np.concatenate(pool)
    found = solve(objective, np.full(7, 0.3), 4)
    np.testing.assert_allclose(ours, found.x, atol=1e-6)
    assert objective(ours) <= found.fun + 1e-9
    assert (pool.weights >= 0).all() and pool.weights[0] == 0


def test_weights_satisfy_the_conditions_of_the_minimum():
    log_p, y, weight = opinions(3, n=200, n_experts=6, n_classes=5)
    prior = np.log(np.bincount(y, weight) / weight.sum())
    pool = pool_weights(log_p, y, prior, weight)
    u = weight / weight.mean()
    q = np.exp(pool_log_proba(log_p, prior, pool))
    rest = u[:, None] * (q - np.eye(5)[y])
    of_w = np.einsum("nsc,nc->s", log_p - prior, rest) + 2 * 6 * (pool.weights - 1 / 6)
    of_b = rest.sum(axis=0) + 2 * pool.bias
    np.testing.assert_allclose(of_b, 0, atol=1e-8)
    np.testing.assert_allclose(of_w[pool.weights > 0], 0, atol=1e-8)
    assert (of_w[pool.weights == 0] >= -1e-8).all()


def test_the_order_of_experts_changes_nothing():
    log_p, y, weight = opinions(4)
    order, prior = [2, 0, 3, 1], np.log([0.4, 0.3, 0.3])
    here, there = (pool_weights(p, y, prior, weight) for p in (log_p, log_p[:, order]))
    np.testing.assert_allclose(there.weights, here.weights[order], atol=1e-9)
    np.testing.assert_allclose(there.bias, here.bias, atol=1e-9)


def test_weights_of_samples_count_as_repetitions_do_up_to_their_scale():
    log_p, y, _ = opinions(5)
    prior, twice = np.log([0.4, 0.3, 0.3]), np.tile(np.arange(80), 2)
    one = pool_weights(log_p, y, prior, np.full(80, 7.0))
    np.testing.assert_allclose(one.weights, pool_weights(log_p, y, prior).weights, atol=1e-10)
    # Twice the data are half the penalty.
    two = pool_weights(log_p[twice], y[twice], prior, lam=2.0)
    np.testing.assert_allclose(one.weights, two.weights, atol=1e-8)


def test_evidence_adds_up_to_the_log_odds():
    log_p, y, _ = opinions(6)
    prior = np.log(np.bincount(y) / len(y))
    pool = pool_weights(log_p, y, prior)
    total = prior + pool.bias + pool_evidence(log_p, prior, pool.weights).sum(axis=1)
    log_q = pool_log_proba(log_p, prior, pool)
    odds = log_q[:, 1:] - log_q[:, :1]
    np.testing.assert_allclose(total[:, 1:] - total[:, :1], odds, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_q).sum(axis=1), 1, atol=1e-12)


def test_no_expert_says_less_than_the_floor():
    with np.errstate(divide="ignore"):
        log_p = floor_log_proba(np.log([[1.0, 0.0]]))
    np.testing.assert_array_equal(log_p, [[0.0, -12.0]])


@pytest.mark.parametrize("lam, w0", [(1.0, None), (0.3, 0.6)])
def test_weights_of_regressors_are_those_of_scipy(lam, w0):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 2)) * [1, 50] + [0, 7]
    noise = rng.normal(size=(60, 3, 2)) * [[[0.5, 20]], [[1, 50]], [[3, 90]]][0]
    f = truth[:, None, :] * np.array([1.0, 0.5, -1.0])[None, :, None] + noise
    mean, weight = truth.mean(axis=0), rng.uniform(0.1, 2, 60)
    pool = mean_pool_weights(f, truth, mean, weight, w0, lam)
    u, start = weight / weight.mean(), 1 / 3 if w0 is None else w0
    for k in range(2):
        v = np.average((truth[:, k] - mean[k] - start * (f[:, :, k] - mean[k]).sum(axis=1)) ** 2,
                       weights=u)  # fmt: skip

        def objective(x, k=k, v=v):
            b = x[3] * np.sqrt(v)  # scipy's solver needs units of size 1
            rest = truth[:, k] - mean[k] - b - (f[:, :, k] - mean[k]) @ x[:3]
            pull = 3 * ((x[:3] - start) ** 2).sum() + b**2 / v
            return (u * rest**2).sum() / (2 * v) + lam * pull

        found = solve(objective, np.array([0.3, 0.3, 0.3, 0.0]), 3)
        ours = np.append(pool.weights[:, k], pool.bias[k] / np.sqrt(v))
        np.testing.assert_allclose(ours, found.x, atol=1e-6)
    assert (pool.weights >= 0).all() and (pool.weights[2] == 0).all()
    values = mean_pool_values(f, mean, pool)
    by_hand = mean + pool.bias + sum(pool.weights[s] * (f[:, s] - mean) for s in range(3))
    np.testing.assert_allclose(values, by_hand)


def test_an_output_that_never_differs_keeps_the_start():
    pool = mean_pool_weights(np.ones((5, 2, 1)), np.ones((5, 1)), np.ones(1))
    assert isinstance(pool, PoolWeights)
    np.testing.assert_array_equal(pool.weights, 0.5)
