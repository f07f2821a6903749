"""MMPareto: section 6 of the specification, its steps 1 to 5 in this order.

Also its "Offer both" (lambda for each tensor, the default, or for the whole encoder) and the
baselines it asks for (`pareto` off: weights 1/2 and 1/2, so h = a + u; gamma 1: uniform).
Pitfalls stated: lambda is 1 where h is zero; two zero gradients have weights 1/2 and 1/2; a
parameter that neither loss reaches has no gradient, one that only one reaches has 0 of the other.

The heads h_m are ``network.unimodal_heads[m]``. Outside the active epochs they rest.

Records, a dict by modality for each batch: "cosine" (nan where a gradient is zero),
"weight_joint" (w_a), "rescale" (lambda: list by parameter as in `base.names_of`, or one number).
"loss" is L_0 + sum L_m.
"""

import math

from peers import base

WRONG = {
    "weights swapped": "a conflict",
    "never a conflict": "a conflict",
    "always min-norm": "",
    "factor 2 missing": "lambda at most 1 somewhere",
    "gamma missing": "gamma other than 1",
    "gamma on the heads too": "gamma other than 1",
    "lambda missing": "lambda above 1 somewhere",
    "lambda below 1 applied": "lambda below 1 somewhere: rescale by tensor",
    "lambda inverted": "lambda above 1 somewhere",
    "other modality's loss": "",
    "share of the joint head": "",
    "only the joint head steps": "",
    "mean of losses": "",
}


def min_norm_weight(aa, uu, au, wrong=None):
    """w_a of the joint gradient, from the products a.a, u.u and a.u."""
    conflict = au <= 0.0
    if wrong == "never a conflict":
        conflict = False
    if wrong == "always min-norm":
        conflict = True
    if not conflict:
        return 0.5
    bottom = aa + uu - 2.0 * au
    if bottom == 0.0:
        return 0.5
    w = min(1.0, max(0.0, (uu - au) / bottom))
    return 1.0 - w if wrong == "weights swapped" else w


def stretch(plain, h, wrong=None):
    """lambda = ||a + u|| / ||h||, not below 1, over the tensors given."""
    below = base.norm(h)
    if below == 0.0:
        return 1.0
    value = base.norm(plain) / below
    if wrong == "lambda inverted":
        value = 1.0 / value
    if wrong == "lambda missing":
        return 1.0
    return value if wrong == "lambda below 1 applied" else max(value, 1.0)


def dot(first, second):
    return math.fsum((f * s).sum().item() for f, s in zip(first, second))


def train(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    gamma=1.5,
    rescale="tensor",
    pareto=True,
    active_epochs=None,
    wrong=None,
):
    """Train by MMPareto.

    Parameters
    ----------
    gamma : float
    rescale : {"tensor", "encoder"}
    pareto : bool

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)
    if rescale not in ("tensor", "encoder"):
        raise ValueError(f"rescale: {rescale!r}")

    def step(network, x, target, record):
        names = base.modalities(network)
        parameters = base.trained(network)
        z = base.features(network, x)  # once: batch normalisation
        of_joint = base.mean_loss(base.joint_logits(network, z), target)
        shares = base.unimodal_logits(network, z)
        of_head = {}
        for m in names:
            logits = base.own_head_logits(network, z, m)
            if wrong == "share of the joint head":
                logits = shares[m]
            of_head[m] = base.mean_loss(logits, target)
            if wrong == "mean of losses":
                of_head[m] = of_head[m] / len(names)

        # One gradient of each loss.
        joint = base.gradients(of_joint, parameters)
        single = {m: base.gradients(of_head[m], parameters) for m in names}
        total = dict(joint)
        for m in names:
            total = base.add(total, single[m])

        # Step 5, the heads; the encoders' are replaced below.
        grads = dict(total)
        if wrong == "only the joint head steps":
            for m in names:
                for key in base.names_of(network, network.unimodal_heads[m]):
                    grads[key] = None
        if wrong == "gamma on the heads too":
            grads = {key: None if g is None else gamma * g for key, g in grads.items()}

        cosine, weight, lambdas = {}, {}, {}
        for m in names:
            # Step 1.
            own = m
            if wrong == "other modality's loss":
                own = names[(names.index(m) + 1) % len(names)]
            keys = []
            for key in base.names_of(network, network.encoders[m]):
                if joint[key] is not None or single[m][key] is not None:
                    keys.append(key)
            a = [joint[k] if joint[k] is not None else 0 * parameters[k].detach() for k in keys]
            u = [single[own][k] for k in keys]
            u = [g if g is not None else 0 * parameters[k].detach() for g, k in zip(u, keys)]
            aa, uu, au = dot(a, a), dot(u, u), dot(a, u)
            size = math.sqrt(aa) * math.sqrt(uu)
            cosine[m] = au / size if size > 0.0 else math.nan
            # Step 2.
            weight[m] = min_norm_weight(aa, uu, au, wrong) if pareto else 0.5
            # Step 3.
            two = 1.0 if wrong == "factor 2 missing" else 2.0
            h = [two * weight[m] * p + two * (1.0 - weight[m]) * q for p, q in zip(a, u)]
            plain = [p + q for p, q in zip(a, u)]
            # Step 4.
            if rescale == "encoder":
                lambdas[m] = stretch(plain, h, wrong)
                each = [lambdas[m]] * len(keys)
            else:
                each = [stretch([p], [g], wrong) for p, g in zip(plain, h)]
                lambdas[m] = each
            scale = 1.0 if wrong == "gamma missing" else gamma
            for key, g, stretched in zip(keys, h, each):
                grads[key] = scale * stretched * g
        record("cosine", cosine)
        record("weight_joint", weight)
        record("rescale", lambdas)
        loss = of_joint.item() + math.fsum(value.item() for value in of_head.values())
        return loss, grads

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
