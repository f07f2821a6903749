"""G-Blending: section 5 of the specification: the loss, then the weights, then "Ours [X]".

L = sum_m w_m CE(h_m(z_m)) + w_0 CE(f), the extra heads h_m being ``network.unimodal_heads[m]`` and
w_0 under the key "joint". Weights of a super-epoch: for each head a copy of the network as it is at
the start of the epoch is trained on that one loss with a fresh optimizer; then
G = LV_before - LV_after, O = (LV - LT)_after - (LV - LT)_before, w proportional to
max(G, 0) / max(O^2, 1e-8), equal where all are 0. All losses are means over samples in evaluation
mode.

When: at the start of every epoch that is a key of `trials` (offline: {0: ...}; online: every n
epochs), if it is active. A loss with weight 0 still counts as one (its gradient is 0, not missing).
In an epoch that is not active the extra heads rest.

Records: "estimate" (an entry for each estimation, in its epoch: dict with "weights", "G", "O",
"before", "after", each by head), for each batch "losses" (by head, not weighted). "loss" is L.
"""

import copy
import math

import torch

from peers import base

JOINT = "joint"

WRONG = {
    "gap not squared": "",
    "gain inverted": "",
    "gap over gain": "",
    "gain of the training loss": "",
    "gap from the end only": "",
    "absolute gain": "a head that got worse",
    "floor missing": "O^2 below 1e-8, so seldom in a training",
    "not normalized": "a head that gained",
    "heads reversed": "",
    "joint head left out": "",
    "losses summed": "other numbers of samples held out than fitted",
    "measured in training mode": "batch normalization or dropout in the network",
    "trials go on from one another": "",
    "trial of the whole loss": "",
    "main network trained by the trials": "",
    "weights of the start kept": "estimated twice",
}


def heads(network):
    return [*base.modalities(network), JOINT]


def loss_of(network, z, target, head):
    if head == JOINT:
        return base.mean_loss(base.joint_logits(network, z), target)
    return base.mean_loss(base.own_head_logits(network, z, head), target)


def gains(before, after, wrong=None):
    """G and O of each head.

    Parameters
    ----------
    before, after : dict of str to (float, float)
        Mean training loss LT and held-out loss LV of each head.
    """
    G, gap = {}, {}
    for head in before:
        (lt0, lv0), (lt1, lv1) = before[head], after[head]
        G[head] = lv0 - lv1
        gap[head] = (lv1 - lt1) - (lv0 - lt0)
        if wrong == "gain inverted":
            G[head] = lv1 - lv0
        if wrong == "gain of the training loss":
            G[head] = lt0 - lt1
        if wrong == "gap from the end only":
            gap[head] = lv1 - lt1
    return G, gap


def weights_from(G, gap, wrong=None):
    """w proportional to max(G, 0) / max(O^2, 1e-8), of sum 1; equal where no head gained."""
    raw = {}
    for head in G:
        gain = abs(G[head]) if wrong == "absolute gain" else max(G[head], 0.0)
        bottom = gap[head] * gap[head]
        if wrong == "gap not squared":
            bottom = abs(gap[head])
        bottom = bottom if wrong == "floor missing" else max(bottom, 1e-8)
        raw[head] = gain / bottom
        if wrong == "gap over gain":
            raw[head] = bottom / gain if gain > 0.0 else 0.0
    if wrong == "joint head left out" and JOINT in raw:
        raw[JOINT] = 0.0
    total = math.fsum(raw.values())
    if total == 0.0:
        return {head: 1.0 / len(raw) for head in raw}
    if wrong == "heads reversed":
        raw = dict(zip(raw, reversed(list(raw.values()))))
    return {
        head: value if wrong == "not normalized" else value / total for head, value in raw.items()
    }


def train(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    trials=None,
    fit_rows=None,
    held_out=None,
    weights=None,
    active_epochs=None,
    wrong=None,
):
    """Train by G-Blending.

    Parameters
    ----------
    trials : dict of int to dict of str to list of list of array, or None
        ``trials[epoch][head]``: the batches of each epoch of the trial training of a head
        (modality, or "joint") that starts at that epoch.
    fit_rows, held_out : array of int
        Samples that LT and LV are measured on.
    weights : dict of str to float or None
        Fixed weights of all heads, or those before the first estimation.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)
    inputs, target_of = base.tensors(X), base.labels(y)
    state = {"weights": None if weights is None else dict(weights), "epoch": 0}

    def batch(index):
        index = [int(i) for i in index]
        return {m: inputs[m][index] for m in inputs}, target_of[index]

    def measure(network, head):
        """LT and LV of one head."""
        network = copy.deepcopy(network)
        network.train(wrong == "measured in training mode")
        out = []
        for rows in (fit_rows, held_out):
            x, target = batch(rows)
            with torch.no_grad():
                value = loss_of(network, base.features(network, x), target, head).item()
            out.append(value * len(target) if wrong == "losses summed" else value)
        return tuple(out)

    def trial(trial_network, head, trial_batches, rate):
        optimizer = base.SGD(momentum, weight_decay)  # a fresh one
        for epoch_batches in trial_batches:
            for index in epoch_batches:
                x, target = batch(index)
                trial_network.train()
                z = base.features(trial_network, x)
                loss = loss_of(trial_network, z, target, head)
                if wrong == "trial of the whole loss":
                    loss = sum(loss_of(trial_network, z, target, h) for h in heads(trial_network))
                parameters = base.trained(trial_network)
                optimizer.step(parameters, base.gradients(loss, parameters), rate)

    def before_epoch(network, epoch, active, record):
        state["epoch"] = epoch
        if not active or epoch not in (trials or {}):
            return
        if wrong == "weights of the start kept" and state["weights"] is not None:
            return
        before, after = {}, {}
        shared = copy.deepcopy(network)
        for head in heads(network):
            trial_network = copy.deepcopy(network)
            if wrong == "trials go on from one another":
                trial_network = shared
            before[head] = measure(trial_network, head)
            trial(trial_network, head, trials[epoch][head], base.rate_at(lr, epoch))
            after[head] = measure(trial_network, head)
        if wrong == "main network trained by the trials":
            network.load_state_dict(trial_network.state_dict())
        G, gap = gains(before, after, wrong)
        state["weights"] = weights_from(G, gap, wrong)
        record(
            "estimate",
            {"weights": state["weights"], "G": G, "O": gap, "before": before, "after": after},
        )

    def step(network, x, target, record):
        if state["weights"] is None:
            raise ValueError("no weights yet: give some, or a trial at the first active epoch")
        parameters = base.trained(network)
        z = base.features(network, x)
        value, grads, losses = 0.0, dict.fromkeys(parameters), {}
        for head in heads(network):
            loss, w = loss_of(network, z, target, head), state["weights"][head]
            losses[head] = loss.item()
            value = value + w * losses[head]
            scaled = {
                key: None if g is None else w * g
                for key, g in base.gradients(loss, parameters).items()
            }
            grads = base.add(grads, scaled)
        record("losses", losses)
        return value, grads

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
    )
