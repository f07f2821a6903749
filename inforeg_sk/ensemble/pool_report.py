"""What a fitted pool has to tell: evidence, weights and their spread, what each block is worth."""

from typing import NamedTuple

import numpy as np

__all__ = ["BlockImportance", "Evidence", "block_importance", "by_block", "weights_by_fold"]


class Evidence(NamedTuple):
    """What each expert adds to the log-probability of each class, or to the value.

    ``prior + bias`` and the evidence of all experts add up to the log-probabilities of the pool, up
    to one number a sample (``log_total``), and so to its log-odds exactly; in regression to the
    values themselves, where ``log_total`` is 0.

    Parameters
    ----------
    experts : dict of str to dict of str to ndarray of float64 of shape (n_samples, n_columns)
        By block and name. 0 where a sample lacks what the expert needs.
    prior : ndarray of float64 of shape (n_columns,)
        Log prior of the classes; in regression the mean of the target.
    bias : ndarray of float64 of shape (n_samples, n_columns)
        Constants of the pool and of those blocks that speak.
    log_total : ndarray of float64 of shape (n_samples,)
    """

    experts: dict
    prior: np.ndarray
    bias: np.ndarray
    log_total: np.ndarray

    def by_block(self):
        """Sums over the experts of each block (dict of str to ndarray)."""
        return {block: sum(of.values()) for block, of in self.experts.items()}

    def total(self):
        """All together: log-probabilities, or values (ndarray of shape (n_samples, n_columns))."""
        return self.prior + self.bias + sum(self.by_block().values()) - self.log_total[:, None]


class BlockImportance(NamedTuple):
    """What the out-of-fold loss loses without a block.

    Parameters
    ----------
    increase : float
        Mean increase of the log-loss (or of the squared error) without the block, the weights of
        the others refitted.
    standard_error : float
        Of this mean, paired over the samples.
    """

    increase: float
    standard_error: float


def by_block(experts, values):
    """Values of experts by block and name.

    Parameters
    ----------
    experts : list of Expert
    values : sequence
        One an expert.

    Returns
    -------
    dict of str to dict of str to object
    """
    found = {}
    for expert, value in zip(experts, values, strict=True):
        found.setdefault(expert.block, {})[expert.name] = value
    return found


def weights_by_fold(pool):
    """Weights of all experts, refitted without the rows of each fold.

    Parameters
    ----------
    pool : FittedPool

    Returns
    -------
    ndarray of float64 of shape (n_folds, n_experts), or (n_folds, n_experts, n_outputs)
    """
    return np.array([levels.expert_weights(len(pool.experts)) for _, levels in pool.by_fold()])


def block_importance(pool):
    """What each block is worth, on samples that neither experts nor weights were fitted on.

    Parameters
    ----------
    pool : FittedPool

    Returns
    -------
    dict of str to BlockImportance
    """
    blocks, rule = list(pool.blocks()), pool.rule
    more = {block: np.zeros(len(pool.y)) for block in blocks}
    for rows, levels in pool.by_fold():
        new = pool.opinions[rows], pool.speaks[rows]
        full = rule.losses(levels.apply(*new), pool.y[rows])
        weight = pool.weight.copy()
        weight[rows] = 0
        for block in blocks:
            left = levels.apply_without(block, pool.opinions, pool.speaks, pool.y, weight, new)
            more[block][rows] = rule.losses(left, pool.y[rows]) - full
    u = pool.weight / pool.weight.sum()
    found = {}
    for block, values in more.items():
        mean = float(u @ values)
        error = float(np.sqrt((u**2) @ (values - mean) ** 2))
        found[block] = BlockImportance(mean, error)
    return found
