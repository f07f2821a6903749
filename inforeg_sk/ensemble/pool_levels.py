"""The two levels of a pool: experts within blocks, and blocks with one another."""

import numpy as np
import torch

from ..functional import (
    PoolWeights,
    mean_pool_values,
    mean_pool_weights,
    pool_log_proba,
    pool_weights,
)
from .expert_lists import JOINT

__all__ = ["ClassRule", "TwoLevels", "ValueRule"]


class ClassRule:
    """How opinions on classes are pooled: log-probabilities, as evidence beyond the prior.

    Parameters
    ----------
    base : ndarray of float64 of shape (n_classes,)
        Log prior: the opinion of an expert that has nothing to say.
    lam : float
    """

    def __init__(self, base, lam):
        self.base, self.lam = base, lam

    def fit(self, opinions, y, weight, w0):
        """Weights of experts (PoolWeights); see `inforeg_sk.functional.pool_weights`."""
        return _as_arrays(pool_weights, opinions, y, self.base, weight, w0, self.lam)

    def apply(self, opinions, pool):
        """Log-probabilities of the pool (ndarray of shape (n_samples, n_classes))."""
        return _as_arrays(pool_log_proba, opinions, self.base, pool)

    @staticmethod
    def outer_start(n_modalities, n_blocks):
        """What the weights of blocks are drawn to."""
        return (n_modalities or 1) / n_blocks

    @staticmethod
    def losses(pooled, y):
        """Log-loss of each sample (ndarray of shape (n_samples,))."""
        return -pooled[np.arange(len(y)), y]


class ValueRule:
    """How predicted values are pooled: as differences from the mean.

    Parameters
    ----------
    base : ndarray of float64 of shape (n_outputs,)
        Mean of the target.
    lam : float
    """

    def __init__(self, base, lam):
        self.base, self.lam = base, lam

    def fit(self, opinions, y, weight, w0):
        """Weights of experts (PoolWeights); see `inforeg_sk.functional.mean_pool_weights`."""
        return _as_arrays(mean_pool_weights, opinions, y, self.base, weight, w0, self.lam)

    def apply(self, opinions, pool):
        """Values of the pool (ndarray of shape (n_samples, n_outputs))."""
        return _as_arrays(mean_pool_values, opinions, self.base, pool)

    @staticmethod
    def outer_start(n_modalities, n_blocks):
        """What the weights of blocks are drawn to."""
        return 1 / n_blocks

    @staticmethod
    def losses(pooled, y):
        """Squared error of each sample, a mean over the outputs (ndarray of (n_samples,))."""
        return ((pooled - y) ** 2).mean(axis=1)


class TwoLevels:
    """A fitted pool: weights within blocks and across them.

    Parameters
    ----------
    rule : ClassRule or ValueRule
    blocks : dict of str to ndarray of int
        Positions of the experts of each block.
    opinions : ndarray of float64 of shape (n_samples, n_experts, n_columns)
        Out of fold; those of an expert that cannot speak are the rule's base.
    speaks : ndarray of bool of shape (n_samples, n_experts)
    y : ndarray
        Positions of classes, or values of shape (n_samples, n_outputs).
    weight : ndarray of float64 of shape (n_samples,)

    Attributes
    ----------
    inner : dict of str to PoolWeights
    outer : PoolWeights
        In the order of the blocks.
    """

    def __init__(self, rule, blocks, opinions, speaks, y, weight):
        self.rule, self.blocks = rule, blocks
        self.inner, pooled = {}, []
        for block, experts in blocks.items():
            said, rows = opinions[:, experts], speaks[:, experts].any(axis=1)
            counted = rows & (weight > 0)
            if not counted.any():
                raise ValueError(
                    f"No sample with a weight shows what the experts of {block!r} are worth."
                )
            self.inner[block] = rule.fit(
                said[counted], y[counted], weight[counted], 1 / len(experts)
            )
            pooled.append(self._of_block(block, said, rows))
        self.outer = self._fit_outer(list(blocks), np.stack(pooled, axis=1), y, weight)

    def _fit_outer(self, names, pooled, y, weight):
        w0 = self.rule.outer_start(len([b for b in names if b != JOINT]), len(names))
        counted = weight > 0
        return self.rule.fit(pooled[counted], y[counted], weight[counted], w0)

    def _of_block(self, block, said, rows):
        pooled = np.tile(self.rule.base, (len(said), 1))
        pooled[rows] = self.rule.apply(said[rows], self.inner[block])
        return pooled

    def _blocks_say(self, opinions, speaks):
        return np.stack(
            [
                self._of_block(block, opinions[:, experts], speaks[:, experts].any(axis=1))
                for block, experts in self.blocks.items()
            ],
            axis=1,
        )

    def apply(self, opinions, speaks):
        """What the pool says (ndarray of float64 of shape (n_samples, n_columns))."""
        return self.rule.apply(self._blocks_say(opinions, speaks), self.outer)

    def apply_without(self, block, opinions, speaks, y, weight, new):
        """What the pool says of new samples without a block, the weights of others refitted.

        Parameters
        ----------
        block : str
        opinions, speaks, y, weight :
            What this pool was fitted on.
        new : tuple of ndarray
            Opinions, and who speaks, of the new samples.

        Returns
        -------
        ndarray of float64 of shape (n_new, n_columns)
        """
        names = [name for name in self.blocks if name != block]
        kept = [i for i, name in enumerate(self.blocks) if name != block]
        if not kept:
            return np.tile(self.rule.base, (len(new[0]), 1))
        outer = self._fit_outer(names, self._blocks_say(opinions, speaks)[:, kept], y, weight)
        return self.rule.apply(self._blocks_say(*new)[:, kept], outer)

    def expert_weights(self, n_experts):
        """Product of the weights of both levels, by expert; 0 for those of no block.

        Returns
        -------
        ndarray of float64 of shape (n_experts,), or (n_experts, n_outputs)
        """
        total = np.zeros((n_experts, *self.outer.weights.shape[1:]))
        for (block, experts), of_block in zip(self.blocks.items(), self.outer.weights):
            total[experts] = of_block * self.inner[block].weights
        return total

    def evidence(self, opinions, speaks):
        """How much each expert adds, and the constants of the blocks that speak.

        Returns
        -------
        experts : ndarray of float64 of shape (n_samples, n_experts, n_columns)
        bias : ndarray of float64 of shape (n_samples, n_columns)
        """
        total = self.expert_weights(opinions.shape[1])
        total = total[:, None] if total.ndim == 1 else total
        experts = total * (opinions - self.rule.base)
        bias = np.tile(self.outer.bias, (len(opinions), 1))
        for (block, positions), of_block in zip(self.blocks.items(), self.outer.weights):
            rows = speaks[:, positions].any(axis=1)
            bias[rows] += of_block * self.inner[block].bias
        return experts, bias


def _as_arrays(function, *arguments):
    """Call a function of tensors with arrays; what it returns are arrays again."""
    found = function(*map(_tensors, arguments))
    if isinstance(found, PoolWeights):
        return PoolWeights(*(part.numpy() for part in found))
    return found.numpy()


def _tensors(value):
    if isinstance(value, PoolWeights):
        return PoolWeights(*map(_tensors, value))
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
