"""DGL, decoupled gradient learning: section 7 of the specification.

In its order: L_uni = a sum_m CE(u_m(z_m)) with u_m by the others' features zeroed (also for a
concatenation, so with the whole bias, not b/M), whose gradient on fusion and head is discarded;
L_joint of the detached features, which reaches fusion and head only; the norm of all gradients
together clipped; one step. With a target of floats the losses are mean squared errors.

Clipping is torch's: gradients times limit / (norm + 1e-6) where that is below 1.

Records for each batch: "unimodal" (u_m's loss by modality, without a), "joint", "norm" (before
clipping). "loss" is L_uni + L_joint.
"""

import math

from peers import base

WRONG = {
    "weight missing": "weight other than 1",
    "mean over modalities": "",
    "head feels the unimodal losses": "",
    "encoders feel the joint loss": "",
    "bias shared": "concat, a head's bias other than 0",
    "clipped apart": "limit below the norm",
    "not clipped": "limit below the norm",
    "clipped by value": "limit below some element",
    "joint loss weighted too": "weight other than 1",
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
    weight=4.0,
    max_norm=40.0,
    active_epochs=None,
    wrong=None,
):
    """Train by DGL.

    Parameters
    ----------
    weight : float
        a.
    max_norm : float or None
        Limit of the norm of all gradients; None: no clipping.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)

    def step(network, x, target, record):
        names = base.modalities(network)
        parameters = base.trained(network)
        z = base.features(network, x)
        a = 1.0 if wrong == "weight missing" else weight
        if wrong == "mean over modalities":
            a = a / len(names)

        # L_joint of detached features, for fusion and head.
        detached = {
            m: z[m] if wrong == "encoders feel the joint loss" else z[m].detach() for m in z
        }
        joint = base.mean_loss(base.joint_logits(network, detached), target)
        grads = base.gradients(joint, parameters)
        if wrong == "joint loss weighted too":
            grads = {key: None if g is None else a * g for key, g in grads.items()}

        # L_uni, for the encoders.
        tops = base.names_of(network, network.fusion) + base.names_of(network, network.head)
        single = {}
        for m in names:
            logits = base.zeroed_logits(network, z, {m})
            if wrong == "bias shared":
                logits = base.unimodal_logits(network, z)[m]
            loss = base.mean_loss(logits, target)
            single[m] = loss.item()
            of_m = base.gradients(loss, parameters)
            if wrong != "head feels the unimodal losses":
                for key in tops:
                    of_m[key] = None
            grads = base.add(grads, of_m, a)

        record("unimodal", single)
        record("joint", joint.item())
        record("norm", base.norm(grads.values()))
        if max_norm is not None and wrong == "clipped apart":
            for part in [*network.encoders.values(), network.fusion, network.head]:
                keys = base.names_of(network, part)
                grads.update(base.clip({key: grads[key] for key in keys}, max_norm))
        elif max_norm is not None and wrong == "clipped by value":
            grads = {
                key: None if g is None else g.clamp(-max_norm, max_norm) for key, g in grads.items()
            }
        elif max_norm is not None and wrong != "not clipped":
            grads = base.clip(grads, max_norm)
        return joint.item() + a * math.fsum(single.values()), grads

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
