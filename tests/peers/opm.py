"""OPM, adaptive modality dropout: section 9 of the specification, all of it "ours [X]".

In its order, for each batch: rho_m of OGM (section 1, its "M > 2" included) from the whole batch in
training mode; p_m = q tanh(alpha (rho_m - 1)) for rho_m > 1, else 0; each modality of each sample
dropped with p_m, never all of a sample's; then the loss of the joint logits with the features of
what is dropped set to 0, and one step. One forward of the encoders, on the whole batch; that the
encoders leave out dropped samples is the same unless they hold batch normalization.

Never all: not every rho_m can be above 1, so some p_m is 0 and what is dropped is never all.

Records, a dict by modality for each batch: "score" (s_m, the batch sum), "ratio", "rate" (p_m),
"kept" (list of bool).
"""

import math

import torch

from peers import base

WRONG = {
    "ratio inverted": "",
    "own score in the mean": "",
    "smallest of the others": "M = 3",
    "one not subtracted": "",
    "q missing": "",
    "alpha missing": "alpha other than 1",
    "alpha outside tanh": "alpha other than 1, and a draw between the rates: 'rate' always shows",
    "tanh missing": "a draw between the rates: 'rate' always shows",
    "weaker dropped": "",
    "dropped from above": "",
    "one draw for the batch": "",
    "draws in reversed order": "",
    "features scaled up": "",
    "gradient dropped only": "",
    "dropped samples leave the loss": "",
}


def ratios(score, wrong=None):
    """rho_m = s_m / mean of the others' s_j."""
    out = {}
    for m in score:
        others = [score[j] for j in score if j != m or wrong == "own score in the mean"]
        rest = min(others) if wrong == "smallest of the others" else math.fsum(others) / len(others)
        out[m] = rest / score[m] if wrong == "ratio inverted" else score[m] / rest
    return out


def rate(rho, q, alpha, wrong=None):
    """p = q tanh(alpha (rho - 1)) for rho > 1, else 0."""
    if wrong == "weaker dropped":
        return q * math.tanh(alpha * (1.0 / rho - 1.0)) if rho < 1.0 else 0.0
    if rho <= 1.0:
        return 0.0
    lead = rho if wrong == "one not subtracted" else rho - 1.0
    if wrong == "alpha missing":
        return q * math.tanh(lead)
    if wrong == "alpha outside tanh":
        return q * alpha * math.tanh(lead)
    if wrong == "tanh missing":
        return q * alpha * lead
    return math.tanh(alpha * lead) * (1.0 if wrong == "q missing" else q)


def kept_of(rates, uniform, wrong=None):
    """Which modalities of which samples stay: where the uniform draw is at least the rate.

    Parameters
    ----------
    rates : dict of str to float
        In sorted order.
    uniform : list of list of float
        A row for each sample, with a number for each modality.
    """
    names = list(rates)
    out = {m: [] for m in names}
    for row in uniform:
        if wrong == "one draw for the batch":
            row = uniform[0]
        if wrong == "draws in reversed order":
            row = row[::-1]
        stays = [row[j] >= rates[m] for j, m in enumerate(names)]
        if wrong == "dropped from above":
            stays = [row[j] < 1.0 - rates[m] for j, m in enumerate(names)]
        if not any(stays):
            shares = [u / p if p > 0 else -1.0 for u, p in zip(row, rates.values())]
            stays[shares.index(max(shares))] = True
        for m, stay in zip(names, stays):
            out[m].append(stay)
    return out


def train(
    network,
    X,
    y,
    batches,
    *,
    draw,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    q=0.5,
    alpha=1.0,
    active_epochs=None,
    wrong=None,
):
    """Train by OPM.

    Parameters
    ----------
    draw : callable
        ``draw(n_samples, n_modalities)`` to uniform draws in [0, 1) of that shape, a column for
        each modality in sorted order, such as ``lambda n, m: torch.rand((n, m),
        generator=generator, dtype=torch.float64)``. Once for each active batch, also where all
        rates are 0.
    q, alpha : float

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)

    def step(network, x, target, record):
        names = base.modalities(network)
        z = base.features(network, x)
        logits = base.unimodal_logits(network, z)
        score = {m: math.fsum(base.true_class_probabilities(logits[m], target)) for m in names}
        rho = ratios(score, wrong)
        rates = {m: rate(rho[m], q, alpha, wrong) for m in names}
        kept = kept_of(rates, torch.as_tensor(draw(len(target), len(names))).tolist(), wrong)
        masked = {}
        for m in names:
            mask = torch.tensor([[1.0 if stay else 0.0] for stay in kept[m]], dtype=torch.float64)
            masked[m] = z[m] * mask
            if wrong == "features scaled up":
                masked[m] = masked[m] / (1.0 - rates[m])
            if wrong == "gradient dropped only":
                masked[m] = masked[m] + (1.0 - mask) * z[m].detach()
        losses = base.sample_losses(base.joint_logits(network, masked), target)
        rows = range(len(target))
        if wrong == "dropped samples leave the loss":
            rows = [i for i in rows if all(kept[m][i] for m in names)] or rows
        loss = sum(losses[i] for i in rows) / len(rows)
        for what, entry in (("score", score), ("ratio", rho), ("rate", rates), ("kept", kept)):
            record(what, entry)
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
