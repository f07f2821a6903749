"""AGM: section 2 of the specification: the mono-modal response, then its steps 1 to 8 in order.

V(S): joint logits with the raw inputs outside S zeroed (`zeroed="inputs"`, the code's), or the
features (`zeroed="features"`). The full pass comes first, in training mode; the zeroed ones follow
in evaluation mode (of the whole network, or of fusion and head), with the running statistics as the
full pass left them. V(empty) is 0, or the log prior where there is one; so phi_m is free of it,
and s_m is of softmax(phi_m) as it is, without the prior.

Step 7 is stated as the gradient of sum_m c_m <g, phi_m>, g = dCE/df constant, taken coalition by
coalition. Step 8 is torch's clipping, see `base.clip`, in active epochs.
Outside the active epochs nothing is computed: S_m and n stay, unless `track` is set.

Records, a dict by modality for each batch: "score" (s_m), "ratio" (r_m), "reference" (tau_m),
"coefficient" (c_m), "running" (S_m after step 6); and "clipped" (bool).
"""

import itertools
import math

import torch

from peers import base

WRONG = {
    "sign": "alpha above 0",
    "exponent of the ratio inverted": "alpha above 0",
    "own score in the mean": "alpha above 0",
    "reference is 1": "alpha above 0, two batches",
    "running mean updated first": "alpha above 0",
    "counter restarts each epoch": "alpha above 0, two epochs",
    "sum over samples": "alpha above 0, batches above 1",
    "unimodal term missing": "alpha above 0",
    "equal coalition weights": "M = 3, alpha above 0",
    "empty coalition is the bias": "alpha above 0, a head's bias other than 0",
    "coefficients reversed": "alpha above 0",
    "encoders only": "alpha above 0",
    "alpha missing": "alpha other than 1",
    "cap missing": "a lead above the cap",
    "clipped always": "a limit that the norm exceeds and the head's elements do not",
    "not clipped": "a limit that the head's elements exceed",
}


def subsets(names):
    for size in range(len(names) + 1):
        for members in itertools.combinations(names, size):
            yield frozenset(members)


def coalition_weight(size, M):
    """|S|! (M - |S| - 1)! / M!"""
    return math.factorial(size) * math.factorial(M - size - 1) / math.factorial(M)


def shares(names, wrong=None):
    """For each modality, how much each V(S) counts in phi_m: dict by modality of dict by S."""
    M = len(names)
    out = {}
    for m in names:
        out[m] = {S: 0.0 for S in subsets(names)}
        for S in subsets([n for n in names if n != m]):
            w = coalition_weight(len(S), M)
            if wrong == "equal coalition weights":
                w = 1.0 / 2 ** (M - 1)
            if wrong == "unimodal term missing" and not S:
                continue
            out[m][S | {m}] += w
            out[m][S] -= w
    return out


def responses(V, names, wrong=None):
    """phi_m by modality, from V by coalition."""
    count = shares(names, wrong)
    return {m: sum(count[m][S] * V[S] for S in V) for m in names}


def mean_negative_log(phi, target, wrong=None):
    """s_m: mean of -log softmax(phi)[y], the probability at least 1e-8."""
    values = [-math.log(max(p, 1e-8)) for p in base.true_class_probabilities(phi, target)]
    total = math.fsum(values)
    return total if wrong == "sum over samples" else total / len(values)


def leads(score, wrong=None):
    """r_m = exp(mean of the others' s_j - s_m); infinite where that is too large."""
    out = {}
    for m in score:
        others = [score[j] for j in score if j != m or wrong == "own score in the mean"]
        exponent = math.fsum(others) / len(others) - score[m]
        if wrong == "exponent of the ratio inverted":
            exponent = -exponent
        out[m] = math.exp(exponent) if exponent < 709.0 else math.inf
    return out


def coefficient(tau, r, alpha, cap, wrong=None):
    """c_m = exp(alpha min(tau_m - r_m, cap))."""
    if alpha == 0.0:
        return 1.0
    behind = r - tau if wrong == "sign" else tau - r
    if cap is not None and wrong != "cap missing":
        behind = min(behind, cap)
    return math.exp(behind if wrong == "alpha missing" else alpha * behind)


def train(
    network,
    X,
    y,
    batches,
    *,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    alpha=1.0,
    cap=None,
    clip=None,
    zeroed="inputs",
    track=False,
    active_epochs=None,
    wrong=None,
):
    """Train by AGM.

    Parameters
    ----------
    alpha : float
    cap : float or None
        Of tau_m - r_m; None: none.
    clip : float or None
        t of step 8; None: no clipping.
    zeroed : {"inputs", "features"}
    track : bool
        Whether scores are taken, and S_m and n moved, in epochs that are not active, too.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)
    if zeroed not in ("inputs", "features"):
        raise ValueError(f"zeroed: {zeroed!r}")
    state = {"running": None, "n": 0}

    def values(network, x):
        """Step 1: V by coalition."""
        names = base.modalities(network)
        z = base.features(network, x)
        V = {frozenset(names): base.joint_logits(network, z)}
        like = V[frozenset(names)]
        V[frozenset()] = torch.zeros_like(like) + base.prior_of(network)
        if wrong == "empty coalition is the bias":
            V[frozenset()] = V[frozenset()] + network.head.bias.detach()
        for S in subsets(names):
            if S in V:
                continue
            if zeroed == "features":
                V[S] = base.zeroed_logits(network, z, S)
                continue
            network.eval()
            kept = {m: x[m] if m in S else torch.zeros_like(x[m]) for m in names}
            V[S] = base.joint_logits(network, base.features(network, kept))
            network.train()
        return V

    def coefficients(phi, target, record):
        """Steps 2 to 6."""
        score = {m: mean_negative_log(phi[m], target, wrong) for m in phi}
        r = leads(score, wrong)
        if state["running"] is None:
            state["running"] = {m: 0.0 for m in phi}
        tau = leads(state["running"], wrong)
        state["n"] += 1
        n = state["n"]
        S = {m: state["running"][m] * (n - 1) / n + score[m] / n for m in phi}
        if wrong == "running mean updated first":
            tau = leads(S, wrong)
        if wrong == "reference is 1":
            tau = {m: 1.0 for m in phi}
        state["running"] = S
        c = {m: coefficient(tau[m], r[m], alpha, cap, wrong) for m in phi}
        if wrong == "coefficients reversed":
            c = dict(zip(c, reversed(list(c.values()))))
        for what, entry in (
            ("score", score),
            ("ratio", r),
            ("reference", tau),
            ("coefficient", c),
            ("running", S),
        ):
            record(what, entry)
        return c

    def step(network, x, target, record):
        names, parameters = base.modalities(network), base.trained(network)
        V = values(network, x)
        c = coefficients(responses(V, names, wrong), target, record)
        f = V[frozenset(names)]
        loss = base.mean_loss(f, target)

        # Step 7: <g, V(S)> of each coalition, counted c_m times its share in phi_m.
        (g,) = torch.autograd.grad(loss, [f], retain_graph=True)
        count = shares(names)
        grads = dict.fromkeys(parameters)
        for S in V:
            if S:
                of_S = base.gradients((g * V[S]).sum(), parameters)
                factor = math.fsum(c[m] * count[m][S] for m in names)
                scaled = {k: None if v is None else factor * v for k, v in of_S.items()}
                grads = base.add(grads, scaled)
        if wrong == "encoders only":
            plain = base.gradients(loss, parameters)
            for part in (network.fusion, network.head):
                for key in base.names_of(network, part):
                    grads[key] = plain[key]

        # Step 8.
        clipped = False
        if clip is not None and wrong != "not clipped":
            W = grads[base.names_of(network, network.head)[0]]
            clipped = W.max().item() > clip or W.min().item() < -clip
            if clipped or wrong == "clipped always":
                grads = base.clip(grads, clip)
        record("clipped", clipped)
        return loss.item(), grads

    def plain(network, x, target):
        if track:
            V = values(network, x)
            names = base.modalities(network)
            coefficients(responses(V, names, wrong), target, lambda what, value: None)
            loss = base.mean_loss(V[frozenset(names)], target)
            return loss.item(), base.gradients(loss, base.trained(network))
        return base.plain_step(network, x, target)

    def before_epoch(network, epoch, active, record):
        if wrong == "counter restarts each epoch":
            state["n"] = 0

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
        plain=plain,
    )
