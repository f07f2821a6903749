"""Greedy as the feature-level adaptation, "ours": section 4 of the specification.

Model ("Late fusion" [X]): e = relu(A [z_1, .., z_M] + a), gates w_m = sigmoid(B_m e + b_m),
h_m = w_m * z_m, branch logits f_m = H_m h_m + c_m. Loss sum_m CE(f_m); prediction: mean of f_m.
Then in the specification's order: "Speeds", "Decision", "Re-balancing batch", "Running mean of
gates"; "M > 2" as ours: trigger max v - min v > alpha, branch argmax v (the first of equals).

mu(G) = sum ||g||^2 / sum ||w||^2 of the weights before the step and gradients without weight
decay; main of m: encoder m, H_m, c_m; bypass of m: B_m, b_m, A, a.
The decision follows the accumulation of the same batch, and concerns the batches after it; the Q
batches go on over the end of an epoch. Gate means: of each branch's own gate, over all training
batches, the re-balancing ones too, the batch itself counted before use (or after, `counted_first`
off), and over the evaluation passes that `evaluated` names.
Outside the active epochs batches are regular; nothing is accumulated or decided, batches still
to re-balance are forgotten, gate means go on.

Records for each batch: "mode" (modality that is re-balanced, or None), "speed" (v_m by modality,
after the batch), "gate" (mean gate of the batch by modality, Tensor (d_m,)), "gate_mean" (the
running means, likewise).
"""

import math
from dataclasses import dataclass

import torch

from peers import base

# What a rule about speeds needs; "speed" always shows it.
CHANGED = "a decision that it changes"

WRONG = {
    "slowest branch": "a re-balancing batch",
    "shared part left out": CHANGED,
    "classifier left out of main": CHANGED,
    "bypass over main inverted": CHANGED,
    "norms not squared": CHANGED,
    "one batch more": "a re-balancing batch",
    "accumulates while re-balancing": CHANGED,
    "other branch's gate held": "a re-balancing batch",
    "both gates held": "a re-balancing batch",
    "gate mean of the batch": "a re-balancing batch after a regular one",
    "first branch's gate mean for all": "features of one width, a re-balancing batch of another",
    "decides from the start": "a lead above alpha in the first epoch",
    "mean of losses": "",
    "loss of the averaged logits": "",
    "gate times 2": "",
    "only the branch's loss": "a re-balancing batch",
    "weight decay in the gradient": "weight decay; " + CHANGED,
}


@dataclass
class Parts:
    """Modules of the gate and the branches: all linear layers."""

    squeeze: torch.nn.Module  # A, a
    gates: dict  # B_m, b_m by modality
    heads: dict  # H_m, c_m by modality


def parts_of(network):
    """Where they are, unless `train` is told: ``fusion.squeeze``, ``fusion.gates``, extra heads."""
    names, gates = base.modalities(network), network.fusion.gates
    if not isinstance(gates, (dict, torch.nn.ModuleDict)):
        gates = dict(zip(names, gates))
    heads = {m: network.unimodal_heads[m] for m in names}
    return Parts(network.fusion.squeeze, {m: gates[m] for m in names}, heads)


def linear(layer, x):
    return x @ layer.weight.T + layer.bias


def gate_values(parts, z):
    """w_m of each modality, of shape (B, d_m)."""
    names = sorted(z)
    e = torch.clamp(linear(parts.squeeze, torch.cat([z[m] for m in names], dim=1)), min=0.0)
    return {m: 1.0 / (1.0 + torch.exp(-linear(parts.gates[m], e))) for m in names}


def predict_logits(network, z, parts=parts_of):
    """The mean of the branches' logits, as a regular forward pass has it."""
    parts = parts(network)
    w = gate_values(parts, z)
    return sum(linear(parts.heads[m], w[m] * z[m]) for m in z) / len(z) + base.prior_of(network)


def speed_of_group(grads, weights, wrong=None):
    """mu(G) = sum ||g||^2 / sum ||w||^2; tensors without gradient have none."""
    top = math.fsum((g * g).sum().item() for g in grads if g is not None)
    bottom = math.fsum((w * w).sum().item() for w in weights)
    return math.sqrt(top / bottom) if wrong == "norms not squared" else top / bottom


def log_ratio(bypass, main):
    """log10(bypass / main); infinite where one of them is 0."""
    if main == 0.0 or bypass == 0.0:
        return math.nan if main == bypass else math.inf if main == 0.0 else -math.inf
    return math.log10(bypass / main)


def decide(speed, alpha, wrong=None):
    """The branch to re-balance, or None."""
    if not max(speed.values()) - min(speed.values()) > alpha:  # not so for nan either
        return None
    return (min if wrong == "slowest branch" else max)(speed, key=speed.get)


def train(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    alpha=0.01,
    Q=5,
    start=1,
    parts=parts_of,
    evaluated=None,
    counted_first=True,
    active_epochs=None,
    wrong=None,
):
    """Train by the feature-level adaptation of Greedy.

    Parameters
    ----------
    alpha : float
    Q : int
        Number of re-balancing batches that a decision brings.
    start : int
        The first epoch, from 0, in which decisions are made.
    parts : callable
        Network to `Parts`.
    evaluated : list of list of array of int, or None
        For each epoch, for each evaluation pass at its end, the rows of X whose gates count in the
        running means. None: no pass counts.
    counted_first : bool
        Whether a batch's own gates are in the running mean that it is given itself.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)
    names, inputs = base.modalities(network), base.tensors(X)
    state = {"mode": None, "left": 0, "epoch": 0, "passes": 0}
    state["bypass"], state["main"] = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    state["gate"] = dict.fromkeys(names, 0.0)

    def before_epoch(network, epoch, active, record):
        state["epoch"] = epoch

    def count_gates(mean):
        n = state["passes"]
        for m in names:
            fed = mean[names[0]] if wrong == "first branch's gate mean for all" else mean[m]
            state["gate"][m] = (n * state["gate"][m] + fed) / (n + 1)
        state["passes"] = n + 1

    def after_epoch(network, epoch, active, record):
        for rows in evaluated[epoch] if evaluated else []:
            rows = [int(i) for i in rows]
            network.eval()
            with torch.no_grad():
                z = base.features(network, {m: inputs[m][rows] for m in names})
                w = gate_values(parts(network), z)
            network.train()
            count_gates({m: w[m].sum(dim=0) / len(rows) for m in names})

    def forward(network, x, target, mode):
        """The loss, and this batch's mean gates; gate means move on."""
        own = parts(network)
        z = base.features(network, x)
        w = gate_values(own, z)
        mean = {m: w[m].detach().sum(dim=0) / len(target) for m in names}
        before = dict(state["gate"])
        count_gates(mean)
        running = state["gate"] if counted_first else before

        logits, losses = {}, {}
        for m in names:
            held = m == mode
            if mode is not None and wrong == "other branch's gate held":
                held = not held
            if mode is not None and wrong == "both gates held":
                held = True
            gate = w[m]
            if held:
                gate = mean[m] if wrong == "gate mean of the batch" else running[m]
            if wrong == "gate times 2":
                gate = 2.0 * gate
            logits[m] = linear(own.heads[m], gate * z[m]) + base.prior_of(network)
            losses[m] = base.mean_loss(logits[m], target)
        loss = sum(losses.values())
        if wrong == "mean of losses":
            loss = loss / len(names)
        if wrong == "loss of the averaged logits":
            loss = base.mean_loss(sum(logits.values()) / len(names), target)
        if mode is not None and wrong == "only the branch's loss":
            loss = losses[mode]
        return loss, mean

    def accumulate(network, grads, parameters):
        own = parts(network)
        for m in names:
            main = [network.encoders[m], own.heads[m]]
            bypass = [own.gates[m], own.squeeze]
            if wrong == "classifier left out of main":
                main = main[:1]
            if wrong == "shared part left out":
                bypass = bypass[:1]
            for kind, modules in (("main", main), ("bypass", bypass)):
                keys = [key for module in modules for key in base.names_of(network, module)]
                values = [parameters[key].detach() for key in keys]
                of = [grads[key] for key in keys]
                if wrong == "weight decay in the gradient":
                    of = [g + weight_decay * p for g, p in zip(of, values)]
                state[kind][m] += speed_of_group(of, values, wrong)

    def step(network, x, target, record):
        mode = state["mode"] if state["left"] > 0 else None
        loss, mean = forward(network, x, target, mode)
        parameters = base.trained(network)
        grads = base.gradients(loss, parameters)
        if mode is None or wrong == "accumulates while re-balancing":
            accumulate(network, grads, parameters)
        speed = {}
        for m in names:
            speed[m] = log_ratio(state["bypass"][m], state["main"][m])
            if wrong == "bypass over main inverted":
                speed[m] = -speed[m]
        if mode is not None:
            state["left"] -= 1
        elif state["epoch"] >= start or wrong == "decides from the start":
            state["mode"] = decide(speed, alpha, wrong)
            if state["mode"] is not None:
                state["left"] = Q + 1 if wrong == "one batch more" else Q
        record("mode", mode)
        record("speed", speed)
        record("gate", mean)
        record("gate_mean", dict(state["gate"]))
        return loss.item(), grads

    def plain(network, x, target):
        state["left"] = 0
        loss, _ = forward(network, x, target, None)
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
        before_epoch=before_epoch,
        after_epoch=after_epoch,
        plain=plain,
    )
