"""Pools of experts: the evidence of several models added up, with weights of at least 0.

Tensors are of float64: few numbers, many rows, and weights that are exact.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "LOG_FLOOR",
    "PoolWeights",
    "floor_log_proba",
    "mean_pool_values",
    "mean_pool_weights",
    "pool_evidence",
    "pool_log_proba",
    "pool_weights",
]

#: The least log-probability that an expert may give: no single one can veto a class.
LOG_FLOOR = -12.0

# Steps and the decrease that ends them: Newton's last step squares the error.
_MAX_STEPS = 200
_TOL = 1e-13


class PoolWeights(NamedTuple):
    """What was fitted.

    Parameters
    ----------
    weights : Tensor of float64 of shape (n_experts,), or (n_experts, n_outputs) in regression
        At least 0.
    bias : Tensor of float64 of shape (n_classes,) or (n_outputs,)
    """

    weights: Tensor
    bias: Tensor


def floor_log_proba(log_p: Tensor) -> Tensor:
    """Log-probabilities of at least `LOG_FLOOR`.

    Parameters
    ----------
    log_p : Tensor of float64 of any shape

    Returns
    -------
    Tensor of float64
        Rows are not normalised anew: the pool does that.

    Examples
    --------
    >>> import torch
    >>> floor_log_proba(torch.tensor([-0.5, -torch.inf]))
    tensor([ -0.5000, -12.0000], dtype=torch.float64)
    """
    return log_p.double().clamp(min=LOG_FLOOR)


def pool_evidence(log_p: Tensor, log_prior: Tensor, weights: Tensor) -> Tensor:
    """How much each expert speaks for each class, beyond the prior.

    Parameters
    ----------
    log_p : Tensor of float64 of shape (n_samples, n_experts, n_classes)
    log_prior : Tensor of float64 of shape (n_classes,)
    weights : Tensor of float64 of shape (n_experts,)

    Returns
    -------
    Tensor of float64 of shape (n_samples, n_experts, n_classes)
        ``w_s (log p_s(y|x) - log prior_y)``.
    """
    return weights[:, None] * (log_p - log_prior)


def pool_log_proba(log_p: Tensor, log_prior: Tensor, pool: PoolWeights) -> Tensor:
    """Log-probabilities of a pool: the prior once, and the evidence of all experts.

    ``log p(y|x) = log prior_y + b_y + sum_s w_s (log p_s(y|x) - log prior_y) - log Z(x)``

    Parameters
    ----------
    log_p : Tensor of float64 of shape (n_samples, n_experts, n_classes)
    log_prior : Tensor of float64 of shape (n_classes,)
    pool : PoolWeights

    Returns
    -------
    Tensor of float64 of shape (n_samples, n_classes)

    Examples
    --------
    Two experts that both say 0.9, where the prior is even: their evidence adds up.

    >>> import torch
    >>> log_p = torch.tensor([[[0.9, 0.1], [0.9, 0.1]]]).log()
    >>> pool = PoolWeights(torch.ones(2), torch.zeros(2))
    >>> pool_log_proba(log_p, torch.tensor([0.5, 0.5]).log(), pool).exp()
    tensor([[0.9878, 0.0122]])
    """
    total = torch.einsum("nsc,s->nc", log_p - log_prior, pool.weights)
    return (total + (log_prior + pool.bias)).log_softmax(dim=-1)


def pool_weights(
    log_p: Tensor,
    y: Tensor,
    log_prior: Tensor,
    sample_weight: Tensor | None = None,
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
    log_p : Tensor of float64 of shape (n_samples, n_experts, n_classes)
        Log-probabilities of the experts, of samples that they were not fitted on.
    y : Tensor of int64 of shape (n_samples,)
        Positions of the classes.
    log_prior : Tensor of float64 of shape (n_classes,)
    sample_weight : Tensor of float64 of shape (n_samples,), default=None
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

    >>> import torch
    >>> y = torch.arange(60) % 2
    >>> knows = torch.where(torch.eye(2)[y] == 1, 0.8, 0.2).double().log()
    >>> guesses = torch.full((60, 2), 0.5, dtype=torch.float64).log()
    >>> prior = guesses[0]
    >>> pool = pool_weights(torch.stack([knows, guesses], dim=1), y, prior)
    >>> bool(pool.weights[0] > 1), round(float(pool.weights[1]), 6)
    (True, 0.5)
    """
    log_prior = log_prior.double()
    evidence = log_p.double() - log_prior
    n, n_experts, n_classes = evidence.shape
    u = _mean_one(sample_weight, n)
    start = 1.0 / n_experts if w0 is None else w0
    rows = torch.arange(n)
    said = evidence[rows, :, y]  # of the true class
    counts = u.new_zeros(n_classes).index_add(0, y, u)
    by_expert = evidence.transpose(0, 1).reshape(n_experts, -1)
    pull = torch.cat([u.new_full((n_experts,), float(n_experts)), u.new_ones(n_classes)])
    centre = torch.cat([u.new_full((n_experts,), start), u.new_zeros(n_classes)])

    def log_q(x: Tensor) -> Tensor:
        total = torch.einsum("nsc,s->nc", evidence, x[:n_experts])
        return (total + (log_prior + x[n_experts:])).log_softmax(dim=-1)

    def value(x: Tensor) -> float:
        return float(-(u * log_q(x)[rows, y]).sum() + lam * (pull * (x - centre) ** 2).sum())

    def slopes(x: Tensor) -> tuple[Tensor, Tensor]:
        q = log_q(x).exp()
        uq = u[:, None] * q
        expected = torch.einsum("nsc,nc->ns", evidence, q)
        of_w = (u[:, None] * (expected - said)).sum(dim=0)
        gradient = torch.cat([of_w, uq.sum(dim=0) - counts]) + 2 * lam * pull * (x - centre)
        weighted = evidence * uq[:, None, :]
        ww = weighted.transpose(0, 1).reshape(n_experts, -1) @ by_expert.T
        ww = ww - (u[:, None] * expected).T @ expected
        wb = weighted.sum(dim=0) - expected.T @ uq
        bb = uq.sum(dim=0).diag() - uq.T @ q
        curvature = torch.cat([torch.cat([ww, wb], dim=1), torch.cat([wb.T, bb], dim=1)])
        return gradient, curvature + (2 * lam * pull).diag()

    x = _projected_newton(value, slopes, centre, n_experts)
    return PoolWeights(x[:n_experts], x[n_experts:])


def mean_pool_values(predictions: Tensor, mean: Tensor, pool: PoolWeights) -> Tensor:
    """Values of a pool of regressors: ``mean + b + sum_s w_s (f_s - mean)``, by output.

    Parameters
    ----------
    predictions : Tensor of float64 of shape (n_samples, n_experts, n_outputs)
    mean : Tensor of float64 of shape (n_outputs,)
    pool : PoolWeights

    Returns
    -------
    Tensor of float64 of shape (n_samples, n_outputs)
    """
    return mean + pool.bias + ((predictions - mean) * pool.weights).sum(dim=1)


def mean_pool_weights(
    predictions: Tensor,
    y: Tensor,
    mean: Tensor,
    sample_weight: Tensor | None = None,
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
    predictions : Tensor of float64 of shape (n_samples, n_experts, n_outputs)
        Of samples that the experts were not fitted on.
    y : Tensor of float64 of shape (n_samples, n_outputs)
    mean : Tensor of float64 of shape (n_outputs,)
    sample_weight : Tensor of float64 of shape (n_samples,), default=None
    w0 : float, default=None
        What the weights are drawn to; None is 1 / S.
    lam : float, default=1.0

    Returns
    -------
    PoolWeights
        Weights of shape (n_experts, n_outputs). An output that never differs keeps w0.
    """
    predictions, y, mean = predictions.double(), y.double(), mean.double()
    n, n_experts, n_outputs = predictions.shape
    u = _mean_one(sample_weight, n)
    start = 1.0 / n_experts if w0 is None else w0
    weights, bias = u.new_full((n_experts, n_outputs), start), u.new_zeros(n_outputs)
    for k in range(n_outputs):
        f, target = predictions[:, :, k] - mean[k], y[:, k] - mean[k]
        v = float((u * (target - f.sum(dim=1) * start) ** 2).mean())
        if v <= 1e-24 * max(float((u * target**2).mean()), float(mean[k]) ** 2):
            continue  # nothing is left to explain
        root = (u / v).sqrt()[:, None]
        A = root * torch.cat([f, f.new_ones(n, 1)], dim=1)
        pull = (
            2 * lam * torch.cat([u.new_full((n_experts,), float(n_experts)), u.new_tensor([1 / v])])
        )
        centre = torch.cat([u.new_full((n_experts,), start), u.new_zeros(1)])
        H, c = A.T @ A + pull.diag(), A.T @ (root[:, 0] * target) + pull * centre

        def value(x: Tensor, H: Tensor = H, c: Tensor = c) -> float:
            return float(x @ H @ x / 2 - c @ x)

        def slopes(x: Tensor, H: Tensor = H, c: Tensor = c) -> tuple[Tensor, Tensor]:
            return H @ x - c, H

        x = _projected_newton(value, slopes, centre, n_experts)
        weights[:, k], bias[k] = x[:n_experts], x[n_experts]
    return PoolWeights(weights, bias)


def _projected_newton(
    value: Callable[[Tensor], float],
    slopes: Callable[[Tensor], tuple[Tensor, Tensor]],
    x: Tensor,
    n_bounded: int,
) -> Tensor:
    """Minimise a strictly convex function whose first `n_bounded` arguments are at least 0.

    Bertsekas's method: Newton steps in the arguments that are free, projected onto the bounds.
    """
    bounded = torch.arange(len(x)) < n_bounded

    def moved_by(step: Tensor) -> Tensor:
        return torch.where(bounded, (x + step).clamp(min=0), x + step)

    best = value(x)
    for _ in range(_MAX_STEPS):
        gradient, curvature = slopes(x)
        free = (~(bounded & (x <= 0) & (gradient > 0))).nonzero()[:, 0]
        step = torch.zeros_like(x)
        step[free] = torch.linalg.solve(curvature[free][:, free], -gradient[free])
        promise = -float(gradient @ step)
        if promise <= _TOL * (1 + abs(best)):
            # The last, smallest step is taken: it squares what error there is.
            last = moved_by(step)
            return last if value(last) <= best else x
        size, new = 1.0, best
        for _ in range(60):
            moved = moved_by(size * step)
            new = value(moved)
            if new <= best + 1e-4 * float(gradient @ (moved - x)):
                break
            size /= 2
        else:
            return x  # no step goes down: rounding
        x, best = moved, new
    return x


def _mean_one(sample_weight: Tensor | None, n: int) -> Tensor:
    if sample_weight is None:
        return torch.ones(n, dtype=torch.float64)
    u = sample_weight.double()
    return u / u.mean()
