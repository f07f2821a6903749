"""Linear models along a path of penalties, each started from the one before."""

import numpy as np
from scipy.optimize import minimize

__all__ = ["SoftmaxLoss", "SquaredLoss", "elastic_net", "ridge"]


class SoftmaxLoss:
    """Cross-entropy of class indicators; the target has a column for each class."""

    largest_curvature = 0.5

    @staticmethod
    def curvature(target, u):
        """Typical second derivative in each column's logit (ndarray of shape (n_columns,))."""
        share = u @ target
        return np.maximum(share * (1 - share), 1e-3)

    @staticmethod
    def value(logits, target, u):
        """Mean loss, and its gradient in the logits (ndarray of the shape of `logits`)."""
        p = logits - logits.max(axis=1, keepdims=True)
        said = np.einsum("nk,nk,n->", p, target, u)
        np.exp(p, out=p)
        total = p.sum(axis=1)
        loss = u @ np.log(total) - said
        p *= (u / total)[:, None]
        p -= u[:, None] * target
        return float(loss), p

    @staticmethod
    def start(target, u):
        """Best constant logits."""
        return np.log(np.maximum(u @ target, 1e-12))


class SquaredLoss:
    """Half the squared error, summed over the columns of the target."""

    largest_curvature = 1.0

    @staticmethod
    def curvature(target, u):
        """Second derivative in each column (ndarray of shape (n_columns,))."""
        return np.ones(target.shape[1])

    @staticmethod
    def value(outputs, target, u):
        """Mean loss, and its gradient in the outputs."""
        rest = outputs - target
        return float(u @ (rest**2).sum(axis=1)) / 2, u[:, None] * rest

    @staticmethod
    def start(target, u):
        """Best constant outputs."""
        return u @ target


def ridge(Z, target, u, alpha, loss, start=None, tol=1e-4):
    """Minimise ``sum_i u_i loss_i + alpha / 2 ||B||^2``; the constant is free.

    Parameters
    ----------
    Z : ndarray or sparse matrix of shape (n_samples, n_features)
        Best with orthogonal columns: then steps are scaled right in each direction, for all alpha.
    target : ndarray of shape (n_samples, n_columns)
    u : ndarray of shape (n_samples,)
        Weights of sum 1.
    alpha : float
    loss : SoftmaxLoss or SquaredLoss
    start : ndarray of shape (n_features + 1, n_columns), default=None
        The constant is the last row.
    tol : float, default=1e-4
        Largest entry of the scaled gradient.

    Returns
    -------
    ndarray of shape (n_features + 1, n_columns)
    """
    d, k = Z.shape[1], target.shape[1]
    h = loss.curvature(target, u)
    squares = Z.multiply(Z).T @ u if hasattr(Z, "multiply") else (Z**2).T @ u
    scale = np.sqrt(np.vstack([np.outer(squares, h) + alpha, h]))
    if start is None:
        start = np.vstack([np.zeros((d, k)), loss.start(target, u)])

    def objective(flat):
        B = flat.reshape(d + 1, k) / scale
        value, slope = loss.value(Z @ B[:-1] + B[-1], target, u)
        gradient = np.vstack([Z.T @ slope + alpha * B[:-1], slope.sum(axis=0)]) / scale
        return value + alpha / 2 * (B[:-1] ** 2).sum(), gradient.ravel()

    options = {"gtol": tol, "ftol": 1e-3 * tol, "maxiter": 300, "maxcor": 10}
    found = minimize(
        objective, (start * scale).ravel(), jac=True, method="L-BFGS-B", options=options
    )
    return found.x.reshape(d + 1, k) / scale


def elastic_net(Z, target, u, alpha, loss, l1_ratio, start=None, last_alpha=None, tol=1e-4):
    """Minimise ``sum_i u_i loss_i + alpha (l1_ratio ||B||_1 + (1 - l1_ratio) / 2 ||B||^2)``.

    By accelerated proximal steps in those features that may count: the strong rule proposes them,
    and the conditions of the minimum bring in what it missed.

    Parameters
    ----------
    Z, target, u, alpha, loss, start :
        As of `ridge`.
    l1_ratio : float
    last_alpha : float, default=None
        The penalty at which `start` is the minimum; None: all features may count.
    tol : float, default=1e-4
        Relative decrease that ends the steps.

    Returns
    -------
    ndarray of shape (n_features + 1, n_columns)
    """
    B = start
    if B is None:
        B = np.vstack([np.zeros((Z.shape[1], target.shape[1])), loss.start(target, u)])
    l1 = alpha * l1_ratio
    if last_alpha is None:
        active = np.ones(Z.shape[1], dtype=bool)
    else:
        reach = np.abs(_slope(Z, target, u, loss, B)).max(axis=1)
        active = (B[:-1] != 0).any(axis=1) | (reach >= l1_ratio * (2 * alpha - last_alpha))
    for _ in range(10):
        where = np.append(active, True)
        B = B.copy()
        B[where] = _proximal(Z[:, active], target, u, alpha, loss, l1_ratio, B[where], tol)
        reach = np.abs(_slope(Z, target, u, loss, B)).max(axis=1)
        missed = ~active & (reach > l1 * 1.01)
        if not missed.any():
            return B
        active |= missed
    return B


def _slope(Z, target, u, loss, B):
    return Z.T @ loss.value(Z @ B[:-1] + B[-1], target, u)[1]


def _proximal(Z, target, u, alpha, loss, l1_ratio, B, tol):
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)

    def smooth(B):
        value, slope = loss.value(Z @ B[:-1] + B[-1], target, u)
        gradient = np.vstack([Z.T @ slope + l2 * B[:-1], slope.sum(axis=0)])
        return value + l2 / 2 * (B[:-1] ** 2).sum(), gradient

    squares = Z.multiply(Z).T @ u if hasattr(Z, "multiply") else (Z**2).T @ u
    steep = 0.1 * loss.largest_curvature * max(float(np.max(squares, initial=1.0)), 1.0)
    ahead, t, best = B, 1.0, np.inf
    for _ in range(300):
        value, gradient = smooth(ahead)
        while True:
            new = ahead - gradient / steep
            new[:-1] = np.sign(new[:-1]) * np.maximum(np.abs(new[:-1]) - l1 / steep, 0)
            move = new - ahead
            bound = value + (gradient * move).sum() + steep / 2 * (move**2).sum()
            reached = smooth(new)[0]
            if reached <= bound + 1e-12 * abs(bound) or steep > 1e12:
                break
            steep *= 2
        total = reached + l1 * np.abs(new[:-1]).sum()
        if best - total <= tol * 1e-2 * abs(total):
            if total > best:  # the momentum went too far: begin anew, or end
                if t == 1.0:
                    return B
                ahead, t = B, 1.0
                continue
            return new
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        ahead = new + (t - 1) / following * (new - B)
        B, t, best = new, following, total
    return B
