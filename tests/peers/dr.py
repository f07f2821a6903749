"""D&R, diagnosing and re-learning: section 10 of the specification.

In its order: purity P of clusters of min-max scaled features of m, on training and on held-out data
(evaluation mode, each set scaled by its own ranges, column by column; a constant column is 0);
w_m = tanh(3 |P_m(train) - P_m(held-out)|); every parameter (no buffer) of encoder m:
theta <- w_m theta_initial + (1 - w_m) theta. Momentum is kept; head and fusion stay.

When: before the first batch of epoch `every`, 2 `every`, ... (epochs from 0), at most `times` of
them; not after the last epoch. An epoch that is not active has none, which does not count.
All training is plain joint training. The initial weights are those of the network handed in.

Records: "purity" ((train, held-out) by modality) and "reset" (w_m by modality), an entry for each
re-learning, in its epoch.
"""

import math

import numpy as np
import torch

from peers import base

WRONG = {
    "weights swapped": "",
    "factor 3 missing": "",
    "difference squared": "",
    "tanh missing": "",
    "sign kept": "a held-out purity above that in training",
    "weights of the last re-learning": "twice",
    "modalities reversed": "",
    "mean weight for all": "",
    "head too": "a weight of the first modality above 0",
    "matrices only": "an encoder with biases",
    "momentum cleared": "momentum above 0",
    "one epoch late": "",
    "not scaled": "clusters that depend on scale",
    "scaled by the training ranges": "clusters that depend on scale",
    "training purity only": "",
}


def scaled(values, like=None):
    """Each column from 0 to 1 by the ranges of `like`, itself by default."""
    values = np.asarray(values, dtype=float)
    like = values if like is None else np.asarray(like, dtype=float)
    out = np.zeros_like(values)
    for column in range(values.shape[1]):
        low, high = like[:, column].min(), like[:, column].max()
        if high > low:
            out[:, column] = (values[:, column] - low) / (high - low)
    return out


def purity(clusters, classes):
    """Share of samples that are of the most frequent class of their cluster."""
    most = 0
    for cluster in {int(c) for c in clusters}:
        mine = [int(k) for c, k in zip(clusters, classes) if int(c) == cluster]
        most += max(mine.count(k) for k in mine)
    return most / len(classes)


def reset_weight(of_train, of_held_out, wrong=None):
    """w = tanh(3 |P(train) - P(held-out)|)."""
    gap = of_train - of_held_out
    if wrong == "training purity only":
        gap = of_train
    if wrong != "sign kept":
        gap = abs(gap)
    if wrong == "difference squared":
        gap = gap * gap
    three = 1.0 if wrong == "factor 3 missing" else 3.0
    return three * gap if wrong == "tanh missing" else math.tanh(three * gap)


def train(
    network,
    X,
    y,
    batches,
    *,
    cluster,
    fit_rows,
    held_out,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    every=20,
    times=3,
    n_classes=None,
    active_epochs=None,
    wrong=None,
):
    """Train by D&R.

    Parameters
    ----------
    cluster : callable
        ``cluster(values, n_clusters, modality, part) -> labels``, of scaled features (ndarray);
        part is "train" or "held_out". Called modalities in sorted order, "train" first.
    fit_rows, held_out : array of int
        Samples of the two parts.
    every, times : int
    n_classes : int or None
        Number of clusters; None: as many classes as in y.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)
    inputs, classes = base.tensors(X), [int(k) for k in y]
    K = n_classes or len(set(classes))
    initial = {name: p.detach().clone().double() for name, p in network.named_parameters()}
    state = {"done": 0}

    def looked_at(network, rows):
        rows = [int(i) for i in rows]
        network.eval()
        with torch.no_grad():
            z = base.features(network, {m: inputs[m][rows] for m in inputs})
        network.train()
        return {m: z[m].numpy() for m in z}, [classes[i] for i in rows]

    def diagnose(network):
        z_train, y_train = looked_at(network, fit_rows)
        z_held, y_held = looked_at(network, held_out)
        out = {}
        for m in base.modalities(network):
            pair = []
            for part, z, of in (("train", z_train[m], y_train), ("held_out", z_held[m], y_held)):
                values = scaled(z)
                if wrong == "not scaled":
                    values = z
                if wrong == "scaled by the training ranges":
                    values = scaled(z, z_train[m])
                pair.append(purity(cluster(values, K, m, part), of))
            out[m] = tuple(pair)
        return out

    def before_epoch(network, epoch, active, record):
        late = 1 if wrong == "one epoch late" else 0
        due = epoch - late > 0 and (epoch - late) % every == 0
        if not (due and active and state["done"] < times):
            return
        state["done"] += 1
        P = diagnose(network)
        names = base.modalities(network)
        w = {m: reset_weight(*P[m], wrong) for m in names}
        if wrong == "modalities reversed":
            w = dict(zip(names, [w[m] for m in reversed(names)]))
        if wrong == "mean weight for all":
            w = dict.fromkeys(names, math.fsum(w.values()) / len(names))
        record("purity", P)
        record("reset", w)
        if wrong == "momentum cleared":
            state["clear"] = True
        parameters = base.trained(network)
        with torch.no_grad():
            for m in names:
                parts = [network.encoders[m]]
                if wrong == "head too" and m == names[0]:
                    parts.append(network.head)
                for key in [key for part in parts for key in base.names_of(network, part)]:
                    p = parameters[key]
                    if wrong == "matrices only" and p.dim() < 2:
                        continue
                    share = 1.0 - w[m] if wrong == "weights swapped" else w[m]
                    p.copy_(share * initial[key] + (1.0 - share) * p)
        if wrong == "weights of the last re-learning":
            initial.update({key: p.detach().clone() for key, p in parameters.items()})

    def step(network, x, target, record):
        return base.plain_step(network, x, target)

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
        before_epoch=before_epoch,
        forget=lambda: state.pop("clear", False),
    )
