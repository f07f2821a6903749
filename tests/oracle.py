"""A slow, plain re-statement of InfoReg training, to check the fast path against.

Written from the method's specification alone, sharing no code with the package:
float64 throughout, one backward pass for each loss term, full tensors of squared
gradients, plain Python floats for everything that is a number, and SGD by hand.
"Step" and "eq." below are the specification's (and the paper's) numbers.
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from oracle_parts import (
    fuse_by_formula,
    pooled_score,
    sample_losses,
    sample_scores,
    standardised,
    window_by_rule,
)
from torch import nn


@dataclass
class SlowResult:
    """What `slow_inforeg` returns; each dict but `parameters` is modality -> one value an epoch."""

    parameters: dict
    trace: dict
    window_ratio: dict
    window: dict
    coefficient: dict
    score: dict
    loss: list


def batch_loss(losses, weight, rows, mean_weight):
    """Sum of w' l over some rows of a batch, divided by their number; w' = w / mean weight."""
    total = 0.0
    for i in rows:
        total = total + (weight[i] / mean_weight) * losses[i]
    return total / len(rows)


def slow_inforeg(
    encoders,
    head,
    X,
    y,
    epochs,
    *,
    fusion="concat",
    fusion_weights=None,
    conditioning=None,
    alpha,
    beta,
    window_threshold,
    window_smoothing=1,
    padding="none",
    first_epoch="closed",
    leader=None,
    unimodal_weight=0.0,
    score="log_probability",
    trace="encoder",
    strength="coefficient",
    lr,
    momentum=0.0,
    weight_decay=0.0,
    task="classification",
    criterion="mse",
    present=None,
    sample_weight=None,
):
    """Train by InfoReg, slowly, with SGD.

    Parameters
    ----------
    encoders : dict of str to nn.Module
        Encoder of each modality, input to features (batch, d_m). Copied, not changed.
    head : nn.Linear
        Over the fused features; with concatenation in sorted-name order. Copied, not changed.
    X : dict of str to ndarray
        Inputs of each modality.
    y : ndarray
        Labels (int), or the target in any unit, of shape (n_samples,) or (n_samples, n_outputs).
    epochs : list of list of ndarray
        For each epoch, for each batch, the indices of its samples.
    fusion : {"concat", "mlp", "sum", "gated", "film"}
        With concatenation the unimodal logits are W_m z_m + b/M; with any other fusion they are
        the joint logits with the other modalities' features set to zero.
    fusion_weights : dict of str to Tensor or None
        See `fuse_by_formula`; copied, not changed. Trained, never pulled, in no trace.
    conditioning : str or None
        The modality that conditions the others (gated, film).
    alpha : float or dict of str to float
        Strength; a modality that is not in the dict is never regulated.
    beta : float
        How far the gap raises the coefficient.
    window_threshold, window_smoothing, padding, first_epoch
        See `window_by_rule`.
    leader : str or None
        The modality whose window decides for all; None: each decides for itself.
    unimodal_weight : float
        Weight of the sum of the unimodal losses.
    score : {"log_probability", "probability_sum"}
        Batch mean of the true class's log-probability (paper), or batch sum of its
        probability (authors' code).
    trace : {"encoder", "layers"}
        Mean over batches of the squared norm of the encoder's gradient, before the pull
        (paper preset), or the sum over Conv/Linear weights of the mean over elements of the
        sum over batches of g^2, after the pull (authors' code).
    strength : {"coefficient", "drift"}
        Pull in the gradient, or after the optimiser's step.
    lr, momentum, weight_decay : float
        Of SGD, without dampening and Nesterov.
    task : {"classification", "regression"}
        In regression the target is standardised here; the losses are those of `criterion`, and
        the score is minus the unimodal loss.
    criterion : {"mse", "l1", "smooth_l1", "huber"}
        See `sample_losses`.
    present : dict of str to ndarray of bool or None
        Which samples have a modality; all have one that is not named. What `X` holds at the
        others is never looked at.
    sample_weight : ndarray or None
        Weights of the samples in losses and scores. The loss of a batch is the sum of w' l over
        its samples divided by their number, where w' is w divided by the mean of w over all
        samples; a unimodal loss is divided by the number of the batch's samples that have the
        modality, and its weights by the mean of w over all samples that have it. Scores are
        weighted means (or sums) of the batch.

    Returns
    -------
    SlowResult
        Final parameters ("encoder_<modality>.<name>", "fusion.<name>", "head.weight",
        "head.bias") and the history. ``window`` holds the window that decided for the modality
        (the leader's, where there is one), ``window_ratio`` the modality's own ratio.
    """
    for option, value, choices in (
        ("score", score, ("log_probability", "probability_sum")),
        ("trace", trace, ("encoder", "layers")),
        ("strength", strength, ("coefficient", "drift")),
        ("fusion", fusion, ("concat", "mlp", "sum", "gated", "film")),
        ("task", task, ("classification", "regression")),
    ):
        if value not in choices:
            raise ValueError(f"{option}: {value!r} is not one of {choices}")
    names = sorted(encoders)
    M = len(names)
    if leader is not None and leader not in names:
        raise ValueError(f"leader: {leader!r} is not one of {names}")
    if (fusion in ("gated", "film")) != (conditioning in names):
        raise ValueError(f"conditioning: {conditioning!r} with fusion {fusion!r}")
    if isinstance(alpha, dict):
        alphas = {m: float(alpha.get(m, 0.0)) for m in names}
    else:
        alphas = {m: float(alpha) for m in names}

    encoders = {m: copy.deepcopy(encoders[m]).double().train() for m in names}
    head = copy.deepcopy(head).double().train()
    inputs = {m: torch.tensor(np.asarray(X[m]), dtype=torch.float64) for m in names}
    if task == "regression":
        labels = torch.tensor(standardised(y, sample_weight)[0], dtype=torch.float64)
    else:
        labels = torch.tensor(np.asarray(y), dtype=torch.int64)
    weights = [1.0] * len(labels) if sample_weight is None else [float(w) for w in sample_weight]
    has = {m: [True] * len(labels) for m in names}
    for m, mask in (present or {}).items():
        has[m] = [bool(value) for value in mask]

    # Mean weights, of all samples and of those that have a modality.
    mean_weight = math.fsum(weights) / len(weights)
    mean_weight_of = {}
    for m in names:
        of_m = [w for w, present_m in zip(weights, has[m]) if present_m]
        mean_weight_of[m] = math.fsum(of_m) / len(of_m)

    # Numbers of features, which a modality's zeros need where no sample of a batch has it.
    width = {}
    for m in names:
        look = copy.deepcopy(encoders[m]).eval()
        width[m] = look(inputs[m][[has[m].index(True)]]).shape[1]

    # Every trained parameter under its full name, and which encoder it is of.
    params, encoder_keys, layer_keys = {}, {}, {}
    for m in names:
        encoder_keys[m] = []
        for key, p in encoders[m].named_parameters():
            if p.requires_grad:
                params[f"encoder_{m}.{key}"] = p
                encoder_keys[m].append(f"encoder_{m}.{key}")
        # Authors' trace: the weights of Conv and Linear layers only.
        layer_ids = set()
        for module in encoders[m].modules():
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                layer_ids.add(id(module.weight))
        layer_keys[m] = [key for key in encoder_keys[m] if id(params[key]) in layer_ids]
    fusion_params = {}
    for key, value in (fusion_weights or {}).items():
        fusion_params[key] = value.detach().clone().double().requires_grad_()
        params[f"fusion.{key}"] = fusion_params[key]
    for key, p in head.named_parameters():
        if p.requires_grad:
            params[f"head.{key}"] = p

    buffers = {}  # momentum buffers, by parameter
    history = {
        field: {m: [] for m in names}
        for field in ("trace", "window_ratio", "window", "coefficient", "score")
    }
    losses = []

    for batches in epochs:
        N = len(batches)
        if N == 0:
            raise ValueError("an epoch has no batch")

        # Step 1: the reference weights are those at the start of the epoch.
        reference = {key: params[key].detach().clone() for m in names for key in encoder_keys[m]}

        # Step 2: the window, from the whole list of traces again.
        own_open = {}
        for m in names:
            ratios, states = window_by_rule(
                history["trace"][m], window_threshold, window_smoothing, padding, first_epoch
            )
            history["window_ratio"][m].append(ratios[-1])
            own_open[m] = states[-1]
        window = {m: own_open[m if leader is None else leader] for m in names}

        squared = {key: torch.zeros_like(value) for key, value in reference.items()}
        epoch_coefficient = {m: [] for m in names}
        epoch_score = {m: [] for m in names}
        epoch_loss = []

        for index in batches:
            index = [int(i) for i in index]
            target = labels[index]
            weight = [weights[i] for i in index]
            # Positions in the batch of the samples that have a modality.
            rows = {m: [k for k, i in enumerate(index) if has[m][i]] for m in names}

            # The encoder runs on the samples that have m; the features of the others are zeros.
            z = {}
            for m in names:
                z[m] = torch.zeros(len(index), width[m], dtype=torch.float64)
                if rows[m]:
                    features = encoders[m](inputs[m][[index[k] for k in rows[m]]])
                    z[m] = z[m].index_copy(0, torch.tensor(rows[m]), features)
            unimodal = {}
            if fusion == "concat":
                # Unimodal logits W_m z_m + b/M; they add up to the joint logits.
                start = 0
                for m in names:
                    W = head.weight[:, start : start + z[m].shape[1]]
                    start += z[m].shape[1]
                    unimodal[m] = z[m] @ W.T
                    if head.bias is not None:
                        unimodal[m] = unimodal[m] + head.bias / M
                if start != head.weight.shape[1]:
                    raise ValueError("the head does not fit the features")
                joint = unimodal[names[0]]
                for m in names[1:]:
                    joint = joint + unimodal[m]
            else:
                # Joint logits, and the same with zeros for all other modalities (Sec. 4.5).
                fused = fuse_by_formula(fusion, fusion_params, z, names, conditioning)
                joint = fused @ head.weight.T + head.bias
                for m in names:
                    alone = {k: z[k] if k == m else torch.zeros_like(z[k]) for k in names}
                    fused = fuse_by_formula(fusion, fusion_params, alone, names, conditioning)
                    unimodal[m] = fused @ head.weight.T + head.bias

            # Step 3, loss: joint + unimodal_weight * sum_m unimodal_m, term by term; a unimodal
            # loss is over the samples that have the modality, and 0 if there is none.
            everyone = list(range(len(index)))
            losses_joint = sample_losses(joint, target, task, criterion)
            terms = [(1.0, batch_loss(losses_joint, weight, everyone, mean_weight))]
            if unimodal_weight != 0.0:
                for m in names:
                    losses_m = sample_losses(unimodal[m], target, task, criterion)
                    if rows[m]:
                        term = batch_loss(losses_m, weight, rows[m], mean_weight_of[m])
                        terms.append((float(unimodal_weight), term))
            epoch_loss.append(math.fsum(share * term.item() for share, term in terms))

            # One backward for each term, added by hand; None: nothing depends on the parameter,
            # as on those of an encoder that did not run.
            grads = {key: None for key in params}
            for share, term in terms:
                parts = torch.autograd.grad(
                    term, list(params.values()), retain_graph=True, allow_unused=True
                )
                for key, part in zip(params, parts):
                    if part is not None:
                        part = share * part
                        grads[key] = part if grads[key] is None else grads[key] + part

            # Step 3, score s_m (eq. 8 with the sign that makes large good), over those who have m.
            good = {}
            for m in names:
                good[m] = sample_scores(unimodal[m].detach(), target, task, score, criterion)
                if rows[m]:
                    epoch_score[m].append(pooled_score(good[m], weight, rows[m], score))

            # Step 3, gap (eq. 9-10), each pair on the samples that have both; and coefficient.
            c = {}
            for m in names:
                differences = []
                for other in names:
                    both = [k for k in rows[m] if k in rows[other]]
                    if both:
                        mine = pooled_score(good[m], weight, both, score)
                        theirs = pooled_score(good[other], weight, both, score)
                        if theirs < mine:
                            differences.append(mine - theirs)
                gap = math.fsum(differences) / len(differences) if differences else 0.0
                if window[m] and gap > 0.0:
                    c[m] = alphas[m] * math.exp(beta * math.tanh(gap))
                else:
                    c[m] = 0.0
                epoch_coefficient[m].append(c[m])

            # Step 3, trace of the paper preset: before the pull (eq. 13).
            if trace == "encoder":
                for m in names:
                    for key in encoder_keys[m]:
                        if grads[key] is not None:
                            squared[key] += grads[key] * grads[key]

            # Step 3, strength "coefficient" (eq. 12): the pull goes into the gradient.
            if strength == "coefficient":
                for m in names:
                    for key in encoder_keys[m]:
                        if c[m] != 0.0 and grads[key] is not None:
                            pull = c[m] * (params[key].detach() - reference[key])
                            grads[key] = grads[key] + pull

            # Step 3, trace of the authors' code: after the pull.
            if trace == "layers":
                for m in names:
                    for key in layer_keys[m]:
                        if grads[key] is not None:
                            squared[key] += grads[key] * grads[key]

            # SGD; as in PyTorch, a parameter that no loss depends on stays as it is.
            with torch.no_grad():
                for key, p in params.items():
                    g = grads[key]
                    if g is None:
                        continue
                    g = g + weight_decay * p
                    if key in buffers:
                        buffers[key] = momentum * buffers[key] + g
                    else:
                        buffers[key] = g
                    p.copy_(p - lr * buffers[key])

                # Step 3, strength "drift": the pull comes after the optimiser's step.
                if strength == "drift":
                    for m in names:
                        share = 1.0 - math.exp(-c[m] / N)
                        for key in encoder_keys[m]:
                            p = params[key]
                            if share != 0.0:
                                p.copy_(p + (reference[key] - p) * share)

        # Step 4: the epoch's trace, and the history.
        for m in names:
            if trace == "encoder":
                value = math.fsum(squared[key].sum().item() for key in encoder_keys[m]) / N
            else:
                value = math.fsum(squared[key].mean().item() for key in layer_keys[m])
            history["trace"][m].append(value)
            history["window"][m].append(window[m])
            history["coefficient"][m].append(math.fsum(epoch_coefficient[m]) / N)
            # The mean over the batches in which some sample has the modality.
            count = len(epoch_score[m])
            history["score"][m].append(math.fsum(epoch_score[m]) / count if count else math.nan)
        losses.append(math.fsum(epoch_loss) / N)

    # All parameters, those that are not trained too.
    parameters = {}
    for m in names:
        for key, p in encoders[m].named_parameters():
            parameters[f"encoder_{m}.{key}"] = p.detach().numpy().copy()
    for key, p in fusion_params.items():
        parameters[f"fusion.{key}"] = p.detach().numpy().copy()
    for key, p in head.named_parameters():
        parameters[f"head.{key}"] = p.detach().numpy().copy()
    return SlowResult(parameters=parameters, loss=losses, **history)
