"""Pools of experts: the evidence of several models added up, with weights of at least 0.

These are functions of numpy arrays in double precision: few numbers, many rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOG_FLOOR",
    "PoolWeights",
    "floor_log_proba",
    "mean_pool_values",
    "mean_pool_weights",
    "pool_evidence",
    "pool_log_proba",
    "pool_weights",
    "smoothed_log_prior",
]

Array = NDArray[np.float64]

#: The least log-probability that an expert may give: no single one can veto a class.
LOG_FLOOR = -12.0

# Steps and the decrease that ends them: Newton's last step squares the error.
_MAX_STEPS = 200
_TOL = 1e-13


class PoolWeights(NamedTuple):
    """What was fitted.

    Parameters
    ----------
    weights : ndarray of float64 of shape (n_experts,), or (n_experts, n_outputs) in regression
        At least 0.
    bias : ndarray of float64 of shape (n_classes,) or (n_outputs,)
    """

    weights: Array
    bias: Array


def floor_log_proba(log_p: Array) -> Array:
    """Log-probabilities of at least `LOG_FLOOR`.

    Parameters
    ----------
    log_p : ndarray of float64 of any shape

    Returns
    -------
    ndarray of float64
        Rows are not normalised anew: the pool does that.

    Examples
    --------
    >>> import numpy as np
    >>> floor_log_proba(np.array([-0.5, -np.inf]))
    array([ -0.5, -12. ])
    """
    return np.maximum(np.asarray(log_p, dtype=np.float64), LOG_FLOOR)


def smoothed_log_prior(y: NDArray[np.int64], n_classes: int, sample_weight: Array | None) -> Array:
    """Log of the share of each class, each half a sample larger.

    Parameters
    ----------
    y : ndarray of int64 of shape (n_samples,)
        Positions of the classes.
    n_classes : int
    sample_weight : ndarray of float64 of shape (n_samples,) or None
        Scaled to a mean of 1 first.

    Returns
    -------
    ndarray of float64 of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> np.exp(smoothed_log_prior(np.array([0, 0, 0, 1]), 2, None)).round(6)
    array([0.7, 0.3])
    """
    counts = np.bincount(y, weights=_mean_one(sample_weight, len(y)), minlength=n_classes) + 0.5
    return np.log(counts / counts.sum())


def pool_evidence(log_p: Array, log_prior: Array, weights: Array) -> Array:
    """How much each expert speaks for each class, beyond the prior.

    Parameters
    ----------
    log_p : ndarray of float64 of shape (n_samples, n_experts, n_classes)
    log_prior : ndarray of float64 of shape (n_classes,)
    weights : ndarray of float64 of shape (n_experts,)

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_experts, n_classes)
        ``w_s (log p_s(y|x) - log prior_y)``.
    """
    return weights[:, None] * (log_p - log_prior)


def pool_log_proba(log_p: Array, log_prior: Array, pool: PoolWeights) -> Array:
    """Log-probabilities of a pool: the prior once, and the evidence of all experts.

    ``log p(y|x) = log prior_y + b_y + sum_s w_s (log p_s(y|x) - log prior_y) - log Z(x)``

    Parameters
    ----------
    log_p : ndarray of float64 of shape (n_samples, n_experts, n_classes)
    log_prior : ndarray of float64 of shape (n_classes,)
    pool : PoolWeights

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_classes)

    Examples
    --------
    Two experts that both say 0.9, where the prior is even: their evidence adds up.

    >>> import numpy as np
    >>> log_p = np.log([[[0.9, 0.1], [0.9, 0.1]]])
    >>> pool = PoolWeights(np.ones(2), np.zeros(2))
    >>> np.exp(pool_log_proba(log_p, np.log([0.5, 0.5]), pool)).round(4)
    array([[0.9878, 0.0122]])
    """
    total = np.einsum("nsc,s->nc", log_p - log_prior, pool.weights)
    return _log_softmax(total + (log_prior + pool.bias))


def pool_weights(
    log_p: Array,
    y: NDArray[np.int64],
    log_prior: Array,
    sample_weight: Array | None = None,
    w0: float | None = None,
    lam: float = 1.0,
) -> PoolWeights:
    """Weights of experts by penalised maximum likelihood; the problem is convex.

    With weights u of the samples scaled to a mean of 1, this minimises ``sum_i u_i (-log
    p(y_i|x_i)) + lam (S sum_s (w_s - w0)^2 + sum_y b_y^2)`` under ``w_s >= 0``, where p is that of
    `pool_log_proba` and S is the number of experts. Projected Newton steps end at the exact
    minimum, but for rounding.

    Parameters
    ----------
    log_p : ndarray of float64 of shape (n_samples, n_experts, n_classes)
        Log-probabilities of the experts, of samples that they were not fitted on.
    y : ndarray of int64 of shape (n_samples,)
        Positions of the classes.
    log_prior : ndarray of float64 of shape (n_classes,)
    sample_weight : ndarray of float64 of shape (n_samples,), default=None
        At least 0, and not all 0.
    w0 : float, default=None
        What the weights are drawn to; None is 1 / S.
    lam : float, default=1.0
        Strength of the penalty, above 0.

    Returns
    -------
    PoolWeights

    Examples
    --------
    An expert that knows the class, and one that knows nothing:

    >>> import numpy as np
    >>> y = np.arange(60) % 2
    >>> knows = np.log(np.where(np.eye(2)[y] == 1, 0.8, 0.2))
    >>> guesses = np.log(np.full((60, 2), 0.5))
    >>> prior = np.log([0.5, 0.5])
    >>> pool = pool_weights(np.stack([knows, guesses], axis=1), y, prior)
    >>> bool(pool.weights[0] > 1), float(pool.weights[1].round(6))
    (True, 0.5)
    """
    evidence = np.asarray(log_p, dtype=np.float64) - log_prior
    n, n_experts, n_classes = evidence.shape
    u = _mean_one(sample_weight, n)
    start = 1.0 / n_experts if w0 is None else w0
    rows = np.arange(n)
    said = evidence[rows, :, y]  # of the true class

    def value(x: Array) -> float:
        w, b = x[:n_experts], x[n_experts:]
        log_q = _log_softmax(np.einsum("nsc,s->nc", evidence, w) + (log_prior + b))
        fit = -(u * log_q[rows, y]).sum()
        return float(fit + lam * (n_experts * ((w - start) ** 2).sum() + (b**2).sum()))

    def slopes(x: Array) -> tuple[Array, Array]:
        w, b = x[:n_experts], x[n_experts:]
        q = np.exp(_log_softmax(np.einsum("nsc,s->nc", evidence, w) + (log_prior + b)))
        expected = np.einsum("nsc,nc->ns", evidence, q)
        uq = u[:, None] * q
        gradient = np.concatenate([(u[:, None] * (expected - said)).sum(axis=0), uq.sum(axis=0)])
        gradient[n_experts:] -= np.bincount(y, weights=u, minlength=n_classes)
        gradient += 2 * lam * np.concatenate([n_experts * (w - start), b])
        weighted = evidence * uq[:, None, :]
        curvature = np.empty((n_experts + n_classes,) * 2)
        flat = evidence.transpose(1, 0, 2).reshape(n_experts, -1)
        ww = weighted.transpose(1, 0, 2).reshape(n_experts, -1) @ flat.T
        curvature[:n_experts, :n_experts] = ww - (u[:, None] * expected).T @ expected
        wb = weighted.sum(axis=0) - expected.T @ uq
        curvature[:n_experts, n_experts:], curvature[n_experts:, :n_experts] = wb, wb.T
        curvature[n_experts:, n_experts:] = np.diag(uq.sum(axis=0)) - uq.T @ q
        curvature[np.diag_indices_from(curvature)] += (
            2 * lam * np.concatenate([np.full(n_experts, float(n_experts)), np.ones(n_classes)])
        )
        return gradient, curvature

    x0 = np.concatenate([np.full(n_experts, start), np.zeros(n_classes)])
    x = _projected_newton(value, slopes, x0, n_experts)
    return PoolWeights(x[:n_experts], x[n_experts:])


def mean_pool_values(predictions: Array, mean: Array, pool: PoolWeights) -> Array:
    """Values of a pool of regressors: ``mean + b + sum_s w_s (f_s - mean)``, by output.

    Parameters
    ----------
    predictions : ndarray of float64 of shape (n_samples, n_experts, n_outputs)
    mean : ndarray of float64 of shape (n_outputs,)
    pool : PoolWeights

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_outputs)
    """
    return mean + pool.bias + ((predictions - mean) * pool.weights).sum(axis=1)


def mean_pool_weights(
    predictions: Array,
    y: Array,
    mean: Array,
    sample_weight: Array | None = None,
    w0: float | None = None,
    lam: float = 1.0,
) -> PoolWeights:
    """Weights of regressors by penalised maximum likelihood, for each output by itself.

    With weights u of the samples scaled to a mean of 1, this minimises ``sum_i u_i (y_i - f(x_i))^2
    / (2 v) + lam (S sum_s (w_s - w0)^2 + b^2 / v)`` under ``w_s >= 0``, where f is that of
    `mean_pool_values`. The variance v of the noise is the mean squared error of the pool with
    ``w = w0`` and ``b = 0``, so that neither the units of y nor the noise decide how strong the
    penalty is.

    Parameters
    ----------
    predictions : ndarray of float64 of shape (n_samples, n_experts, n_outputs)
        Of samples that the experts were not fitted on.
    y : ndarray of float64 of shape (n_samples, n_outputs)
    mean : ndarray of float64 of shape (n_outputs,)
    sample_weight : ndarray of float64 of shape (n_samples,), default=None
    w0 : float, default=None
        What the weights are drawn to; None is 1 / S.
    lam : float, default=1.0

    Returns
    -------
    PoolWeights
        Weights of shape (n_experts, n_outputs). An output that never differs keeps w0.
    """
    n, n_experts, n_outputs = predictions.shape
    u = _mean_one(sample_weight, n)
    start = 1.0 / n_experts if w0 is None else w0
    weights, bias = np.full((n_experts, n_outputs), start), np.zeros(n_outputs)
    for k in range(n_outputs):
        f, target = predictions[:, :, k] - mean[k], y[:, k] - mean[k]
        v = float((u * (target - f.sum(axis=1) * start) ** 2).mean())
        if v <= 1e-24 * max(float((u * target**2).mean()), abs(float(mean[k])) ** 2):
            continue  # nothing is left to explain
        root = np.sqrt(u / v)[:, None]
        A = root * np.column_stack([f, np.ones(n)])
        r = root[:, 0] * target
        pull = 2 * lam * np.append(np.full(n_experts, float(n_experts)), 1 / v)
        centre = np.append(np.full(n_experts, start), 0.0)
        H, c = A.T @ A + np.diag(pull), A.T @ r + pull * centre

        def value(x: Array, H: Array = H, c: Array = c) -> float:
            return float(x @ H @ x / 2 - c @ x)

        def slopes(x: Array, H: Array = H, c: Array = c) -> tuple[Array, Array]:
            return H @ x - c, H

        x = _projected_newton(value, slopes, centre, n_experts)
        weights[:, k], bias[k] = x[:n_experts], x[n_experts]
    return PoolWeights(weights, bias)


def _projected_newton(
    value: Callable[[Array], float],
    slopes: Callable[[Array], tuple[Array, Array]],
    x: Array,
    n_bounded: int,
) -> Array:
    """Minimise a strictly convex function whose first `n_bounded` arguments are at least 0.

    Bertsekas's method: Newton steps in the arguments that are free, projected onto the bounds.
    """
    bounded = np.arange(len(x)) < n_bounded
    best = value(x)
    for _ in range(_MAX_STEPS):
        gradient, curvature = slopes(x)
        free = ~(bounded & (x <= 0) & (gradient > 0))
        step = np.zeros_like(x)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], -gradient[free])
        promise = -float(gradient @ step)
        if promise <= _TOL * (1 + abs(best)):
            # The last, smallest step is taken: it squares what error there is.
            last = np.where(bounded, np.maximum(x + step, 0), x + step)
            return last if value(last) <= best else x
        # At a bound a Newton step of many arguments may go uphill after the projection.
        size, found = 1.0, False
        for _ in range(60):
            moved = np.where(bounded, np.maximum(x + size * step, 0), x + size * step)
            new = value(moved)
            if new <= best + 1e-4 * float(gradient @ (moved - x)):
                found = True
                break
            size /= 2
        if not found:
            hit = free & bounded & (x + step < 0) & (x <= 1e-12)
            if not hit.any():
                return x
            x = np.where(hit, 0.0, x)
            best = value(x)
            continue
        x, best = moved, new
    return x


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _mean_one(sample_weight: Array | None, n: int) -> Array:
    if sample_weight is None:
        return np.ones(n)
    u = np.asarray(sample_weight, dtype=np.float64)
    return u / u.mean()
