"""TCMax: section 8 of the specification, by brute force over all B^M re-pairings of a batch.

L = -(1/B) sum_i [f(z_1[i], .., z_M[i])_{y_i} - log Z] - log(B^M |Y|), and Z the sum of exp f over
all tuples of samples (one of each modality) and all classes. Nothing is factorised: fusion and head
run on every pairing. f are the joint logits, with the log prior where there is one.
The encoders run once on the batch, so batch normalisation sees each sample once.

Records for each batch: "log_normalizer" (log Z). "loss" is L.
"""

import itertools
import math

import torch

from peers import base

WRONG = {
    "own pairs only": "",
    "cross-entropy": "",
    "other pairs only": "",
    "last modality not re-paired": "",
    "label fixed in the normalizer": "",
    "sum over samples": "batches above 1",
    "bias once for each modality": "a head's bias other than 0",
    "constant missing": "shows in the loss only",
    "constant for two modalities": "M = 3, shows in the loss only",
    "normalizer has no gradient": "",
    "sign": "",
}


def objective(logits_of, z, target, wrong=None):
    """L and log Z.

    Parameters
    ----------
    logits_of : callable
        Dict of features by modality to joint logits.
    z : dict of str to Tensor of shape (B, d_m)
    target : Tensor of int of shape (B,)
    """
    names = sorted(z)
    B, M = len(target), len(names)
    tuples = list(itertools.product(range(B), repeat=M))
    if wrong == "own pairs only":
        tuples = [t for t in tuples if len(set(t)) == 1]
    if wrong == "other pairs only":
        tuples = [t for t in tuples if len(set(t)) > 1] or tuples
    if wrong == "last modality not re-paired":
        tuples = [t for t in tuples if t[-1] == t[0]]
    paired = {m: z[m][[t[position] for t in tuples]] for position, m in enumerate(names)}
    f = logits_of(paired)
    classes = f.shape[1]

    own = logits_of(z)
    total = 0.0
    for i in range(B):
        total = total + own[i, int(target[i])]
    first = total / B

    if wrong == "cross-entropy":
        log_z = sum(torch.logsumexp(own[i], dim=0) for i in range(B)) / B
    elif wrong == "label fixed in the normalizer":
        log_z = sum(torch.logsumexp(f[:, int(target[i])], dim=0) for i in range(B)) / B
    else:
        log_z = torch.logsumexp(f.flatten(), dim=0)
    if wrong == "normalizer has no gradient":
        log_z = log_z.detach()
    constant = math.log(B**M * classes)
    if wrong == "constant missing":
        constant = 0.0
    if wrong == "constant for two modalities":
        constant = math.log(B**2 * classes)
    value = -(first - log_z) - constant
    if wrong == "sum over samples":
        value = B * value
    if wrong == "sign":
        value = -value
    return value, log_z.item()


def train(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    active_epochs=None,
    wrong=None,
):
    """Train by TCMax; B^M pairings a batch, so keep batches small. See `base.run`."""
    base.check_wrong(wrong, WRONG)

    def step(network, x, target, record):
        z = base.features(network, x)

        def logits_of(features):
            f = base.joint_logits(network, features)
            if wrong == "bias once for each modality":
                f = f + (len(z) - 1) * network.head.bias
            return f

        loss, log_z = objective(logits_of, z, target, wrong)
        record("log_normalizer", log_z)
        return loss.item(), base.gradients(loss, base.trained(network))

    return base.run(
        network,
        X,
        y,
        batches,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        active_epochs=active_epochs,
        step=step,
    )
