"""The maths of balancing as pure functions of tensors.

Modalities are the last axis, in sorted-name order, and any leading axes are free: what holds for
one network of M modalities holds for a stack of K of them in one call; the norms of gradients of
samples are of one layer, with the samples first, and experts take the place of modalities in pools.
Comparisons of scores and Shapley values are of numpy arrays. Nothing here knows of
networks, optimizers or batches of data; `inforeg_sk.methods` and `inforeg_sk.training` do.
"""

from .agm import agm_coefficient, mean_others_ahead, response_losses, shapley_responses
from .comparison import (
    Comparison,
    SamplesNeeded,
    bootstrap_interval,
    comparison_of_resamples,
    corrected_resampled_t,
    holm_adjust,
    holm_levels,
    samples_needed,
)
from .fisher import fisher_trace, trace_from_norms
from .g_blending import blending_weights, gain_and_overfitting
from .greedy import branch_to_rebalance, conditional_speed, learning_speed
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
from .opm import lead_over_mean, leading_drop_rate
from .pareto import min_norm_weight, norm_growth, pareto_weight
from .pmr import (
    class_sums,
    helping_weight,
    prototype_entropy,
    prototype_logits,
    prototypes_of,
    refresh_prototypes,
    restraining_weight,
)
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
from .ratios import pairwise_score_ratios
from .regulation import (
    TIE_TOLERANCE,
    pairwise_performance_gap,
    performance_gap,
    regulation_coefficient,
)
from .relearning import cluster_purity, min_max_scaled, relearning_share
from .resampling import COUNT_SCORES, count_score, draw_counts, scores_of_counts
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
    shapley_weights,
)
from .tcmax import re_paired_log_normalizer, total_correlation_loss
from .window import PADDINGS, moving_average, window_open, window_ratio

__all__ = [
    "COUNT_SCORES",
    "Comparison",
    "LOG_FLOOR",
    "Moments",
    "PADDINGS",
    "PoolWeights",
    "SampleLosses",
    "SampledShapley",
    "SamplesNeeded",
    "TIE_TOLERANCE",
    "agm_coefficient",
    "batch_score",
    "blending_weights",
    "bootstrap_interval",
    "branch_to_rebalance",
    "class_log_prior",
    "class_sums",
    "cluster_purity",
    "coalition_members",
    "coefficient_numbers",
    "comparison_of_resamples",
    "conditional_speed",
    "conv_positions",
    "corrected_resampled_t",
    "count_score",
    "cross_entropy_losses",
    "decoupled_pull",
    "diagonal_sample_norms",
    "draw_counts",
    "fisher_trace",
    "floor_log_proba",
    "gain_and_overfitting",
    "gap_numbers",
    "gradient_pull",
    "helping_weight",
    "holm_adjust",
    "holm_levels",
    "interaction_indices",
    "lead_over_mean",
    "leading_drop_rate",
    "learning_speed",
    "log_probability",
    "mean_others_ahead",
    "mean_pool_values",
    "mean_pool_weights",
    "merge_moments",
    "min_max_scaled",
    "min_norm_weight",
    "modulation_coefficient",
    "moving_average",
    "norm_growth",
    "on_host",
    "outer_sample_norms",
    "pairwise_batch_scores",
    "pairwise_gap_numbers",
    "pairwise_performance_gap",
    "pairwise_score_ratios",
    "pareto_weight",
    "performance_gap",
    "pool_evidence",
    "pool_log_proba",
    "pool_weights",
    "probability",
    "prototype_entropy",
    "prototype_logits",
    "prototypes_of",
    "pull_share",
    "re_paired_log_normalizer",
    "refresh_prototypes",
    "regulation_coefficient",
    "relearning_share",
    "response_losses",
    "restraining_weight",
    "sampled_shapley_values",
    "samples_needed",
    "scale_of_moments",
    "score_ratio",
    "scores_of_counts",
    "shapley_responses",
    "shapley_values",
    "shapley_weights",
    "share_numbers",
    "shift_sample_norms",
    "squared_losses",
    "total_correlation_loss",
    "trace_from_norms",
    "weighted_mean",
    "weighted_moments",
    "window_open",
    "window_ratio",
]
