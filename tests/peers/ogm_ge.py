"""OGM and OGM-GE: section 1 of the specification, its steps 1 to 4 in this order.

Also its "M > 2" (rho_m = s_m over the mean of the others' s_j) and "Encoders without convolutions"
(every encoder parameter with 2 or more dimensions, or `conv_only`: with exactly 4).
Pitfall stated: no noise where a tensor has one element, and nothing is drawn for it.

Records, a dict by modality for each batch: "score" (s_m, the batch sum), "ratio", "factor" (k_m).
"""

import math

from peers import base

WRONG = {
    "ratio inverted": "",
    "weaker slowed": "",
    "own score in the mean": "",
    "smallest of the others": "M = 3",
    "joint logits score": "",
    "one minus missing": "",
    "factor squared": "",
    "alpha outside tanh": "alpha other than 1",
    "biases too": "",
    "head too": "",
    "modalities reversed": "",
    "noise on the slowed only": "noise",
    "sd after scaling": "noise",
    "biased sd": "noise",
    "noise drawn in reversed order": "noise",
}


def ratios(score, wrong=None):
    """rho_m = s_m / mean of the others' s_j."""
    out = {}
    for m in score:
        others = [score[j] for j in score if j != m]
        if wrong == "own score in the mean":
            others = list(score.values())
        rest = min(others) if wrong == "smallest of the others" else math.fsum(others) / len(others)
        out[m] = rest / score[m] if wrong == "ratio inverted" else score[m] / rest
    return out


def factor(rho, alpha, wrong=None):
    """k = 1 - tanh(alpha rho) for rho > 1, else 1."""
    slowed = rho < 1.0 if wrong == "weaker slowed" else rho > 1.0
    if not slowed:
        return 1.0
    if wrong == "one minus missing":
        return math.tanh(alpha * rho)
    if wrong == "alpha outside tanh":
        return 1.0 - alpha * math.tanh(rho)
    k = 1.0 - math.tanh(alpha * rho)
    return k * k if wrong == "factor squared" else k


def deviation(g, biased=False):
    """Standard deviation over a tensor's elements, with n - 1."""
    values = g.flatten().tolist()
    mean = math.fsum(values) / len(values)
    squares = math.fsum((v - mean) ** 2 for v in values)
    return math.sqrt(squares / (len(values) - (0 if biased else 1)))


def train(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    alpha=0.1,
    draw=None,
    conv_only=False,
    active_epochs=None,
    wrong=None,
):
    """Train by OGM, or with noise (GE) where there is `draw`.

    Parameters
    ----------
    draw : callable or None
        Gradient tensor to standard normal noise of its shape, such as
        ``lambda g: torch.empty_like(g).normal_(generator=generator)``. Called once for each
        changed tensor with two or more elements, modalities in sorted order, parameters in the
        order of ``encoder.parameters()``. None: no noise.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)

    def step(network, x, target, record):
        names = base.modalities(network)
        # Step 1.
        z = base.features(network, x)
        loss = base.mean_loss(base.joint_logits(network, z), target)
        grads = base.gradients(loss, base.trained(network))
        # Steps 2 and 3.
        logits = base.unimodal_logits(network, z)
        if wrong == "joint logits score":
            logits[names[0]] = base.joint_logits(network, z)
        score = {m: math.fsum(base.true_class_probabilities(logits[m], target)) for m in names}
        rho = ratios(score, wrong)
        k = {m: factor(rho[m], alpha, wrong) for m in names}
        if wrong == "modalities reversed":
            k = dict(zip(names, [k[m] for m in reversed(names)]))
        record("score", score)
        record("ratio", rho)
        record("factor", k)
        # Step 4.
        order = names[::-1] if wrong == "noise drawn in reversed order" else names
        for m in order:
            for key in base.names_of(network, network.encoders[m]):
                g = grads[key]
                if g is None:
                    continue
                chosen = g.dim() == 4 if conv_only else g.dim() >= 2
                if not chosen and wrong != "biases too":
                    continue
                new = k[m] * g
                noisy = draw is not None and chosen and g.numel() > 1
                if wrong == "noise on the slowed only" and k[m] == 1.0:
                    noisy = False
                if noisy:
                    of = new if wrong == "sd after scaling" else g
                    sd = deviation(of, wrong == "biased sd") + 1e-8
                    new = new + sd * draw(g)
                grads[key] = new
        if wrong == "head too":
            for key in base.names_of(network, network.head):
                grads[key] = min(k.values()) * grads[key]
        return loss.item(), grads

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
