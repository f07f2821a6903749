"""The parts of the slow re-statement that stand alone: window, fusion, losses and scores.

Written, as `oracle`, from the method's specification, sharing no code with the package.
"""

import math

import numpy as np
import torch
from torch import nn


def window_by_rule(traces, threshold, smoothing=1, padding="none", first_epoch="closed"):
    """Window ratios and states for epochs 0..T, given the traces of epochs 0..T-1.

    Parameters
    ----------
    traces : list of float
        The traces of one modality, one an epoch. Epoch t uses only ``traces[:t]``.
    threshold : float
        K; the window is open where the ratio is strictly larger.
    smoothing : int
        Length of the moving average.
    padding : {"none", "zeros"}
        Average over the epochs there are, or over a list with ``smoothing`` zeros in front.
    first_epoch : {"closed", "open"}
        "open" opens epoch 0, with ratio 1.0.

    Returns
    -------
    ratios : list of float
        T + 1 values; nan where undefined.
    is_open : list of bool
        T + 1 values; False where the ratio is undefined.
    """
    if padding not in ("none", "zeros"):
        raise ValueError(f"padding: {padding!r}")
    if first_epoch not in ("closed", "open"):
        raise ValueError(f"first_epoch: {first_epoch!r}")
    if smoothing < 1:
        raise ValueError(f"smoothing: {smoothing!r}")
    traces = [float(value) for value in traces]

    def moving_average(j):
        # The average over the `smoothing` epochs that end with epoch j.
        if padding == "zeros":
            padded = [0.0] * smoothing + traces
            last = padded[j + 1 : j + 1 + smoothing]  # padded[j + smoothing] is traces[j]
        else:
            last = traces[max(0, j + 1 - smoothing) : j + 1]
        return math.fsum(last) / len(last)

    # Two averages are needed; with zeros in front the one "before epoch 0" exists too.
    first_defined = 1 if padding == "zeros" else 2
    ratios, is_open = [], []
    for t in range(len(traces) + 1):
        if t == 0 and first_epoch == "open":
            ratios.append(1.0)
            is_open.append(True)
            continue
        ratio = math.nan
        if t >= first_defined:
            now, before = moving_average(t - 1), moving_average(t - 2)
            if now != 0.0:
                ratio = (now - before) / now
        ratios.append(ratio)
        is_open.append(ratio > threshold)  # False for nan
    return ratios, is_open


def fuse_by_formula(fusion, weights, z, names, conditioning):
    """Fused features from raw weight tensors.

    Parameters
    ----------
    fusion : {"mlp", "sum", "gated", "film"}
        mlp: ``max(0, A z + a)`` of all features side by side, once for each hidden layer;
        sum: ``sum_m (P_m z_m + b_m)``; gated: ``sigmoid(P_c z_c + b_c)`` times the sum of the
        others; film: ``gamma_m * z_m + beta_m`` of each ``m != c``, side by side, where the first
        half of a linear map of ``z_c`` is gamma.
    weights : dict of str to Tensor
        "layers.<2 i>.weight" and ".bias" of the i-th hidden layer (mlp);
        "projections.<i>.weight" and ".bias" for the i-th modality (sum, gated); "maps.<j>.weight"
        and ".bias" for the j-th modality that is not c (film).
    z : dict of str to Tensor of shape (batch, d_m)
    names : list of str
        The order in which the weights are numbered.
    conditioning : str or None
        c.

    Returns
    -------
    Tensor of shape (batch, width)
    """
    if fusion == "mlp":
        hidden = torch.cat([z[m] for m in names], dim=1)
        for i in range(0, len(weights), 2):  # a ReLU, which has no weights, stands between
            linear = hidden @ weights[f"layers.{i}.weight"].T + weights[f"layers.{i}.bias"]
            hidden = torch.where(linear > 0, linear, torch.zeros_like(linear))
        return hidden
    if fusion in ("sum", "gated"):
        total, gate = None, None
        for i, m in enumerate(names):
            value = z[m] @ weights[f"projections.{i}.weight"].T + weights[f"projections.{i}.bias"]
            if fusion == "gated" and m == conditioning:
                gate = 1.0 / (1.0 + torch.exp(-value))
            else:
                total = value if total is None else total + value
        return total if gate is None else gate * total
    parts = []
    others = [m for m in names if m != conditioning]
    for j, m in enumerate(others):
        d = z[m].shape[1]
        W, b = weights[f"maps.{j}.weight"], weights[f"maps.{j}.bias"]
        gamma = z[conditioning] @ W[:d].T + b[:d]
        beta = z[conditioning] @ W[d:].T + b[d:]
        parts.append(gamma * z[m] + beta)
    return torch.cat(parts, dim=1)


def standardised(y, weight=None):
    """A target of mean 0 and population standard deviation 1, by output, in plain floats.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    weight : array-like of shape (n_samples,) or None

    Returns
    -------
    values : ndarray of shape (n_samples, n_outputs)
    mean, scale : list of float
    """
    columns = np.asarray(y, dtype=float).reshape(len(y), -1).T.tolist()
    weight = [1.0] * len(y) if weight is None else [float(w) for w in weight]
    total = math.fsum(weight)
    values, mean, scale = [], [], []
    for column in columns:
        mu = math.fsum(w * v for w, v in zip(weight, column)) / total
        variance = math.fsum(w * (v - mu) ** 2 for w, v in zip(weight, column)) / total
        mean.append(mu)
        scale.append(math.sqrt(variance) or 1.0)
        values.append([(v - mean[-1]) / scale[-1] for v in column])
    return np.array(values).T, mean, scale


def sample_losses(outputs, target, task, criterion="mse"):
    """Loss of each sample, of shape (n_samples,).

    Parameters
    ----------
    outputs : Tensor of shape (n_samples, n_outputs)
        Logits, or standardised predictions.
    target : Tensor
        Labels (n_samples,), or the standardised target (n_samples, n_outputs).
    task : {"classification", "regression"}
    criterion : {"mse", "l1", "smooth_l1", "huber"}
        Of regression; the last two with torch's defaults, in which they are the same.
    """
    if task == "classification":
        return nn.functional.cross_entropy(outputs, target, reduction="none")
    error = outputs - target
    size = error.abs()
    if criterion == "mse":
        values = error**2
    elif criterion == "l1":
        values = size
    elif criterion in ("smooth_l1", "huber"):
        values = torch.where(size < 1.0, 0.5 * error**2, size - 0.5)
    else:
        raise ValueError(f"criterion: {criterion!r}")
    return values.mean(dim=1)


def sample_scores(outputs, target, task, score, criterion="mse"):
    """How well each sample is predicted, as plain floats: large is good."""
    if task == "regression":
        return [-v for v in sample_losses(outputs, target, task, criterion).tolist()]
    values = []
    for row, label in zip(outputs.tolist(), target.tolist()):
        top = max(row)
        log_sum = top + math.log(math.fsum(math.exp(v - top) for v in row))
        log_probability = row[label] - log_sum
        values.append(log_probability if score == "log_probability" else math.exp(log_probability))
    return values


def pooled_score(values, weight, rows, score):
    """Score over some rows: their weighted mean, or their weighted sum for probabilities."""
    total = math.fsum(weight[i] * values[i] for i in rows)
    if score == "probability_sum":
        return total
    return total / math.fsum(weight[i] for i in rows)
