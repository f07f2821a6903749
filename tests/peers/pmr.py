"""PMR: section 3 of the specification: prototypes, then its steps 1 to 6 in this order.

Also its "M > 2" (both for the paper's factors and the hard switch), and of its pitfalls: a class
without samples keeps its old prototype; the gradient of a distance of 0 is 0.

Prototypes are made before the first epoch and after every epoch, active or not, in evaluation mode,
of the rows given; from the end of the second epoch (index 1) on they are
(1-q) fresh + q old. gamma_m of the entropy term is the paper's also with the hard switch.

Records for each batch, dicts by modality: "score" (s_m, batch sum), "beta" (factor of PCE_m),
"gamma" (factor of H_m; before mu), "prototype_loss" (PCE_m), "entropy" (H_m).
"prototypes": a list with an entry for each epoch (the one list not by batch): the prototypes in
force in it, Tensor (classes, d_m) by modality; and one after the last.
"""

import math

import torch

from peers import base

WRONG = {
    "factors swapped": "M = 2, or a middle modality",
    "stronger helped": "",
    "squared distance": "",
    "minus missing": "",
    "inner product": "",
    "clip missing": "a ratio above 2",
    "one not subtracted": "",
    "alpha missing": "alpha other than 1",
    "smallest for largest": "M = 3",
    "factor on every modality": "",
    "prototypes of the first epoch kept": "3 epochs",
    "old and fresh swapped": "q above 0 and other than 1/2, 3 epochs",
    "blended from the first epoch": "q above 0, 2 epochs",
    "prototypes are sums": "",
    "prototype loss summed": "batches above 1",
    "entropy sign": "mu above 0",
    "entropy of the weaker": "mu above 0",
    "entropy for ever": "mu above 0, epochs after entropy_epochs",
}


def class_means(z, classes, n_classes, old=None):
    """C[k], the mean of z over the rows of class k; the old one where there are none."""
    rows = []
    for k in range(n_classes):
        mine = [z[i] for i in range(len(z)) if int(classes[i]) == k]
        if mine:
            rows.append(sum(mine) / len(mine))
        elif old is not None:
            rows.append(old[k])
        else:
            raise ValueError(f"class {k} has no sample to make a prototype of: take more batches")
    return torch.stack(rows)


def first_rows(batches, count, y, n_classes):
    """Rows of the first `count` batches, and of more until every class has been seen."""
    rows = []
    for number, index in enumerate(batches):
        if number >= count and len({int(y[i]) for i in rows}) == n_classes:
            break
        rows.extend(int(i) for i in index)
    return rows


def blend(fresh, old, q, wrong=None):
    if wrong == "old and fresh swapped":
        q = 1.0 - q
    return (1.0 - q) * fresh + q * old


def distances(z, C, wrong=None):
    """l[i, k] = - || z[i] - C[k] ||, whose gradient at 0 is 0."""
    rows = []
    for i in range(len(z)):
        row = []
        for k in range(len(C)):
            square = ((z[i] - C[k]) ** 2).sum()
            if wrong == "inner product":
                row.append((z[i] * C[k]).sum())
            elif wrong == "squared distance":
                row.append(-square)
            elif square.item() == 0.0:
                row.append(0.0 * square)
            else:
                row.append(torch.sqrt(square) if wrong == "minus missing" else -torch.sqrt(square))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def clipped(value, wrong=None):
    if wrong == "one not subtracted":
        value = value + 1.0
    if wrong == "clip missing":
        return max(value, 0.0)
    return min(max(value, 0.0), 1.0)


def factors(score, hard=False, wrong=None):
    """beta_m of PCE_m and gamma_m of H_m."""
    top, bottom = max(score.values()), min(score.values())
    if wrong == "smallest for largest" and len(score) > 2:
        top = sorted(score.values())[1]
    gamma = {m: clipped(score[m] / bottom - 1.0, wrong) for m in score}
    if hard:
        beta = {m: 1.0 if score[m] < top else 0.0 for m in score}
    else:
        beta = {m: clipped(top / score[m] - 1.0, wrong) for m in score}
    if wrong == "stronger helped":
        beta = dict(gamma)
    if wrong == "factors swapped":
        beta = dict(zip(beta, reversed(list(beta.values()))))
    if wrong == "entropy of the weaker":
        gamma = dict(beta)
    return beta, gamma


def entropies(logits):
    """Entropy of the softmax of each row."""
    out = []
    for row in logits:
        log_p = row - torch.logsumexp(row, dim=0)
        out.append(-(torch.exp(log_p) * log_p).sum())
    return out


def train(
    network,
    X,
    y,
    batches,
    *,
    prototype_rows,
    lr,
    momentum=0.0,
    weight_decay=0.0,
    alpha=1.0,
    q=0.2,
    hard=False,
    mu=0.0,
    entropy_epochs=0,
    n_classes=None,
    active_epochs=None,
    wrong=None,
):
    """Train by PMR.

    Parameters
    ----------
    prototype_rows : list of array of int
        Rows of the training data that prototypes are made of: one array before the first epoch and
        one after each, so one more than epochs; see `first_rows`.
    alpha : float
    q : float
        Share of the old prototypes.
    hard : bool
        The code's switch in place of the paper's factors.
    mu : float
        Of the entropy term, in the epochs below `entropy_epochs`.
    n_classes : int or None
        None: as many as in y.

    See `base.run` for the others.
    """
    base.check_wrong(wrong, WRONG)
    inputs, classes = base.tensors(X), [int(k) for k in y]
    K = n_classes or len(set(classes))
    state = {"prototypes": None, "epoch": 0}
    kept = []

    def fresh(network, rows, old):
        rows = [int(i) for i in rows]
        network.eval()
        with torch.no_grad():
            z = base.features(network, {m: inputs[m][rows] for m in inputs})
        network.train()
        of = [classes[i] for i in rows]
        C = {m: class_means(z[m], of, K, None if old is None else old[m]) for m in z}
        if wrong == "prototypes are sums":
            for m in C:
                C[m] = C[m] * torch.tensor([[of.count(k)] for k in range(K)])
        return C

    def before_epoch(network, epoch, active, record):
        if epoch == 0:
            state["prototypes"] = fresh(network, prototype_rows[0], None)
            kept.append(state["prototypes"])
        state["epoch"] = epoch

    def after_epoch(network, epoch, active, record):
        old = state["prototypes"]
        new = fresh(network, prototype_rows[epoch + 1], old)
        if epoch >= 1 or wrong == "blended from the first epoch":
            new = {m: blend(new[m], old[m], q, wrong) for m in new}
        if wrong != "prototypes of the first epoch kept":
            state["prototypes"] = new
        kept.append(state["prototypes"])

    def step(network, x, target, record):
        names, parameters = base.modalities(network), base.trained(network)
        z = base.features(network, x)
        loss = base.mean_loss(base.joint_logits(network, z), target)
        grads = base.gradients(loss, parameters)
        value = loss.item()

        # Steps 1 to 3.
        logits, score = {}, {}
        for m in names:
            logits[m] = distances(z[m], state["prototypes"][m], wrong)
            score[m] = math.fsum(base.true_class_probabilities(logits[m], target))
        # Step 4.
        beta, gamma = factors(score, hard, wrong)
        # Step 5.
        per = mu if state["epoch"] < entropy_epochs or wrong == "entropy for ever" else 0.0
        if wrong == "entropy sign":
            per = -per

        pce, entropy = {}, {}
        for m in names:
            term = base.mean_loss(logits[m], target)
            if wrong == "prototype loss summed":
                term = term * len(target)
            h = sum(entropies(logits[m])) / len(target)
            pce[m], entropy[m] = term.item(), h.item()
            size = 1.0 if wrong == "alpha missing" else alpha
            # Step 2: z_m depends on encoder m only, and prototypes are constants.
            grads = base.add(grads, base.gradients(term, parameters), size * beta[m])
            grads = base.add(grads, base.gradients(h, parameters), -per * gamma[m])
            value = value + size * beta[m] * pce[m] - per * gamma[m] * entropy[m]
            if wrong == "factor on every modality":
                # The factor of one modality on the losses of all.
                for other in names:
                    if other != m:
                        extra = base.mean_loss(logits[other], target)
                        of_extra = base.gradients(extra, parameters)
                        grads = base.add(grads, of_extra, size * beta[m])
        for what, entry in (
            ("score", score),
            ("beta", beta),
            ("gamma", gamma),
            ("prototype_loss", pce),
            ("entropy", entropy),
        ):
            record(what, entry)
        return value, grads

    result = base.run(
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
    )
    result.records["prototypes"] = kept
    return result
