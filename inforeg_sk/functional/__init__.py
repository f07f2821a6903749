"""The maths of balancing as pure functions of tensors.

Modalities are the last axis, in sorted-name order, and any leading axes are free: what holds for
one network of M modalities holds for a stack of K of them in one call; the norms of gradients of
samples are of one layer, with the samples first, and experts take the place of modalities in pools.
Comparisons of scores and Shapley values are of numpy arrays. Nothing here knows of
networks, optimizers or batches of data; `inforeg_sk.methods` and `inforeg_sk.training` do.
"""

from .comparison import (
    Comparison,
    SamplesNeeded,
    bootstrap_interval,
    corrected_resampled_t,
    holm_adjust,
    holm_levels,
    samples_needed,
)
from .fisher import fisher_trace, trace_from_norms
from .losses import SampleLosses, cross_entropy_losses, squared_losses
from .moments import Moments, merge_moments, scale_of_moments, weighted_moments
from .numbers import (
    coefficient_numbers,
    gap_numbers,
    on_host,
    pairwise_gap_numbers,
    share_numbers,
)
from .ogm import modulation_coefficient, score_ratio
from .pool import (
    LOG_FLOOR,
    PoolWeights,
    floor_log_proba,
    mean_pool_values,
    mean_pool_weights,
    pool_evidence,
    pool_log_proba,
    pool_weights,
)
from .prior import class_log_prior
from .pull import decoupled_pull, gradient_pull, pull_share
from .regulation import (
    TIE_TOLERANCE,
    pairwise_performance_gap,
    performance_gap,
    regulation_coefficient,
)
from .sample_fisher import (
    conv_positions,
    diagonal_sample_norms,
    outer_sample_norms,
    shift_sample_norms,
)
from .scores import (
    batch_score,
    log_probability,
    pairwise_batch_scores,
    probability,
    weighted_mean,
)
from .shapley import (
    SampledShapley,
    coalition_members,
    interaction_indices,
    sampled_shapley_values,
    shapley_values,
)
from .window import PADDINGS, moving_average, window_open, window_ratio

__all__ = [
    "Comparison",
    "LOG_FLOOR",
    "PADDINGS",
    "Moments",
    "PoolWeights",
    "SampleLosses",
    "SampledShapley",
    "SamplesNeeded",
    "merge_moments",
    "scale_of_moments",
    "weighted_moments",
    "TIE_TOLERANCE",
    "batch_score",
    "bootstrap_interval",
    "class_log_prior",
    "coalition_members",
    "coefficient_numbers",
    "corrected_resampled_t",
    "cross_entropy_losses",
    "conv_positions",
    "decoupled_pull",
    "diagonal_sample_norms",
    "fisher_trace",
    "floor_log_proba",
    "gap_numbers",
    "gradient_pull",
    "holm_adjust",
    "holm_levels",
    "interaction_indices",
    "window_open",
    "log_probability",
    "mean_pool_values",
    "mean_pool_weights",
    "modulation_coefficient",
    "moving_average",
    "on_host",
    "outer_sample_norms",
    "pairwise_batch_scores",
    "pairwise_gap_numbers",
    "pairwise_performance_gap",
    "performance_gap",
    "pool_evidence",
    "pool_log_proba",
    "pool_weights",
    "probability",
    "pull_share",
    "shift_sample_norms",
    "regulation_coefficient",
    "sampled_shapley_values",
    "samples_needed",
    "score_ratio",
    "shapley_values",
    "share_numbers",
    "squared_losses",
    "trace_from_norms",
    "weighted_mean",
    "window_ratio",
]
