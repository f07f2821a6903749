"""What a finished fit has to say of itself: warnings where training went wrong."""

import copy
import sys
import weakref

import numpy as np
import torch
from joblib import Parallel
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import EarlyStopping

from ..data.batches import ModalitySubset
from ..methods.losses import per_sample_loss, weighted_criterion
from ..network.parameters import encoder_parameters, layer_weights
from ..utils.callers import warn_caller

__all__ = ["is_early_stopping", "warn_of_interrupt", "warn_of_outcome"]

# What was said in which search, and by which names joblib and scikit-learn know it.
_SAID = weakref.WeakKeyDictionary()
_NAMES = ("self", "parallel")
# Samples that a verdict is based on, and the steps after which one is due.
_N_SAMPLES, _N_STEPS = 1024, 100


def is_early_stopping(interrupt):
    """Whether a KeyboardInterrupt is the way in which skorch's `EarlyStopping` ends a fit."""
    trace = interrupt.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return isinstance(trace.tb_frame.f_locals.get("self"), EarlyStopping)


def warn_of_interrupt(estimator, epoch, n_epochs):
    """Warn that a fit was interrupted in an epoch (counted from 1)."""
    warn_caller(
        f"{type(estimator).__name__}: fit was interrupted in epoch {epoch} of {n_epochs}. The "
        "model keeps the steps that it has made, and an unfinished epoch is not in the history; go "
        "on by partial_fit or warm_start=True, or fit anew.",
        UserWarning,
    )


def warn_of_outcome(estimator, train):
    """Warn if training diverged, measured nothing, or learned nothing.

    A search shows each kind of message once.

    Parameters
    ----------
    estimator : MultimodalEstimator
        Its fit has just ended.
    train : ModalityDataset or ModalitySubset
        What it learned from.
    """
    if not estimator.history:
        return
    if diverged := _diverged(estimator, train):
        _say(
            estimator,
            f"training diverged, {diverged}. Predictions mean nothing; try a smaller lr, or scale "
            "the data.",
            kind="diverged",
        )
        return
    _check_classes(estimator, train)
    _check_traces(estimator)
    _check_learned(estimator, train)


def _diverged(estimator, train):
    """Where the loss is not finite, in words, or None."""
    for epoch in estimator.history:
        loss = epoch.get("train_objective", 0.0)
        if not np.isfinite(loss):
            return f"the loss of epoch {epoch['epoch']} is {loss}"
    # The loss is taken before the step: this is after the last one.
    joint, _, _ = _outputs(estimator, _some(train, 32), unimodal=False)
    return None if np.isfinite(joint).all() else "the loss after the last step is not finite"


def _check_classes(estimator, train):
    """Warn if a split left the training part without a class that the data have."""
    if not isinstance(train, ModalitySubset) or train.target.ndim > 1:
        return
    lost = np.setdiff1d(train.dataset.target, train.target)
    if len(lost):
        names = ", ".join(map(repr, estimator.target_.labels[lost].tolist()))
        names = f"class{'es' if len(lost) > 1 else ''} {names}"
        _say(
            estimator,
            f"the training part that train_split leaves has no sample of {names}, so that it is "
            "never predicted. Shuffle the samples, or use ValidSplit(5, stratified=True).",
            UserWarning,
        )


def _check_traces(estimator):
    traces = estimator.curves_.get("fisher_trace", {})
    for name, trace in traces.items() if isinstance(traces, dict) else ():
        if np.isinf(trace).any():
            _say(
                estimator,
                f"the Fisher trace of {name!r} is infinite: its gradients are too large for "
                f"{estimator.fitted_input_.dtype}, and its window cannot be decided. Scale the "
                "modality, or try a smaller lr or dtype='float64'.",
            )
        elif not trace.any():
            _check_silent_trace(estimator, name)


def _check_silent_trace(estimator, name):
    """Warn of a trace of 0, unless the encoder is frozen."""
    encoder = estimator.encoders_[name]
    parameters = encoder_parameters(estimator.module_.encoders)[name]
    if not parameters.trainable:
        return
    if estimator.method_.trace == "layers" and not layer_weights(encoder, parameters.trainable):
        _say(
            estimator,
            f"trace='layers' measures linear and convolution layers, and the encoder of {name!r} "
            "has none: its Fisher trace is 0, and its window never opens by it. Use "
            "trace='encoder', which measures all parameters.",
            UserWarning,
        )
        return
    _say(
        estimator,
        f"the Fisher trace of {name!r} is 0 in every epoch, though its encoder has parameters to "
        "train: no gradient reaches them. See whether the fusion uses the modality, and whether "
        "the training samples have it.",
        UserWarning,
    )


def _check_learned(estimator, train):
    """Warn if the model, or a modality alone, is no better than guessing on the training data.

    What the fit recorded says in most cases that it is; only else the network is asked again.
    """
    history = estimator.history
    sample = _some(train, _N_SAMPLES)
    guess = _loss_of_guessing(estimator, sample)
    loss = history[-1].get("train_loss")
    n_steps = sum(epoch.get("train_batch_count", 0) for epoch in history)
    # After a few steps most networks still guess, unless they are far worse.
    if loss is None or (n_steps < _N_STEPS and loss < 2 * guess):
        return
    in_doubt = _modalities_in_doubt(estimator, guess)
    if loss < guess and not in_doubt:
        return
    joint, unimodal, present = _outputs(estimator, sample, unimodal=True)
    if not _beats_guessing(estimator, sample, joint, np.ones(len(sample), dtype=bool)):
        _say(
            estimator,
            "the model is no better than guessing on its own training data. Scale the data, see "
            "whether the rows of X and y belong together, and try another lr or more epochs.",
        )
        return
    weak = [
        name
        for name in in_doubt
        if present[name].any()
        and not _beats_guessing(estimator, sample, unimodal[name], present[name])
    ]
    if weak and n_steps >= _N_STEPS:
        names = ", ".join(map(repr, weak))
        _say(
            estimator,
            f"alone, {names} {'is' if len(weak) == 1 else 'are'} no better than guessing on the "
            "training data. If it should tell something of y, scale it, or try another encoder, "
            "unimodal losses (unimodal_weight) or more epochs; else leave it out.",
            UserWarning,
        )


def _modalities_in_doubt(estimator, guess):
    """Modalities whose recorded score does not say that they beat guessing."""
    names, last = estimator.modalities_, estimator.history[-1]
    scores = [last.get(f"performance_score_{name}") for name in names]
    if len(names) < 2 or any(score is None for score in scores):
        return []
    # Of another score than minus a loss nothing can be said; a look costs a share of an epoch.
    if estimator._run.settings.score not in ("log_probability", "negative_loss"):
        return list(names) if len(estimator.history) >= 10 else []
    return [name for name, score in zip(names, scores, strict=True) if not -score < guess]


def _beats_guessing(estimator, sample, outputs, rows):
    """Whether outputs are better than the best constant: by their loss, or by what they predict."""
    target, weight = _tensors(sample, rows)
    prediction = torch.from_numpy(outputs[rows])
    criterion = _criterion(estimator)
    constant = _best_constant(criterion, target, weight, prediction.shape[1])
    weight = np.ones(len(target)) if weight is None else weight.numpy()
    if not weight.any():
        return True
    n_samples = weight.sum() ** 2 / (weight**2).sum()  # that count as much as these
    # A little less than guessing is what a network makes of noise on its own training data.
    gain = _gain(criterion, constant, prediction, target)
    mean = np.average(gain, weights=weight)
    if mean > 2 * np.sqrt(np.average((gain - mean) ** 2, weights=weight) / n_samples):
        return True
    if target.ndim == 1:
        truth, best = target.numpy(), prediction.argmax(dim=1).numpy()
        share = np.bincount(truth, weight).max() / weight.sum()
        margin = 2 * np.sqrt(share * (1 - share) / n_samples)
        return np.average(best == truth, weights=weight) > share + margin
    with np.errstate(invalid="ignore", divide="ignore"):
        related = [np.corrcoef(p, t)[0, 1] for p, t in zip(prediction.numpy().T, target.numpy().T)]
    return np.nan_to_num(related).max() > 2 / np.sqrt(len(target))


def _gain(criterion, constant, prediction, target):
    """By how much the loss of each sample is below that of a constant output (ndarray)."""
    try:
        before, now = (per_sample_loss(criterion, u, target) for u in (constant, prediction))
    except TypeError:  # a criterion of whole batches
        before, now = (criterion(u, target).expand(len(target)) for u in (constant, prediction))
    return (before - now).numpy()


def _loss_of_guessing(estimator, sample):
    target, weight = _tensors(sample, slice(None))
    return _constant_loss(_criterion(estimator), target, weight, estimator.target_.n_outputs)


def _criterion(estimator):
    """The criterion anew: that of the fit may be on a device, or wrapped by Accelerate."""
    given = estimator.criterion
    if isinstance(given, type):
        given = given(**estimator.get_params_for("criterion"))
    return copy.deepcopy(given).to("cpu", torch.float64)


def _constant_loss(criterion, target, weight, n_outputs):
    """Loss of the best constant output; infinite if no sample counts."""
    if weight is not None and not weight.any():
        return np.inf
    constant = _best_constant(criterion, target, weight, n_outputs)
    return float(weighted_criterion(criterion, constant, target, weight))


def _best_constant(criterion, target, weight, n_outputs):
    """The best constant output: class shares, or mean or median (Tensor of a row a sample)."""
    w = np.ones(len(target)) if weight is None or not weight.any() else weight.numpy()
    if target.ndim == 1:
        shares = np.bincount(target.numpy(), w, minlength=n_outputs) / w.sum()
        constants = [np.log(np.maximum(shares, 1e-9))]
    else:
        values = target.numpy()
        constants = [np.average(values, axis=0, weights=w), np.median(values, axis=0)]
    outputs = [torch.from_numpy(np.tile(constant, (len(target), 1))) for constant in constants]
    weight = None if weight is None else torch.from_numpy(w)
    return min(outputs, key=lambda u: float(weighted_criterion(criterion, u, target, weight)))


def _tensors(sample, rows):
    weight, target = sample.weight, torch.from_numpy(sample.target[rows])
    target = target.double() if target.is_floating_point() else target
    return target, None if weight is None else torch.from_numpy(weight[rows]).double()


def _some(train, n):
    """At most `n` samples, evenly spaced."""
    rows = np.arange(len(train))
    if len(rows) > n:
        rows = rows[np.linspace(0, len(rows) - 1, n).astype(int)]
    if isinstance(train, ModalitySubset):
        return ModalitySubset(train.dataset, train.indices[rows])
    return ModalitySubset(train, rows)


def _outputs(estimator, sample, unimodal):
    """Joint outputs, unimodal ones and presence by modality, in evaluation mode."""
    estimator._set_training(False)
    joint, alone, present = [], [], []
    with torch.no_grad():
        for batch, _ in estimator._make_pass(sample, None):
            output = estimator.infer(batch)
            joint.append(output.logits.double().cpu())
            if unimodal:
                logits = estimator.module_.unimodal_logits(output.features)
                alone.append({name: u.double().cpu() for name, u in logits.items()})
                present.append(output.presence.to(torch.device("cpu")).matrix(logits))
    joint = torch.cat(joint).numpy()
    if not unimodal:
        return joint, {}, {}
    masks = torch.cat(present).numpy()
    names = list(alone[0])
    return (
        joint,
        {name: torch.cat([part[name] for part in alone]).numpy() for name in names},
        {name: masks[:, i] for i, name in enumerate(names)},
    )


def _say(estimator, text, category=ConvergenceWarning, kind=None):
    search, text = _search(), f"{type(estimator).__name__}: {text}"
    if search is not None:
        said = _SAID.setdefault(search, set())
        if (kind or text) in said:
            return
        said.add(kind or text)
    warn_caller(text, category)


def _search():
    """What runs the fits of a search or a cross-validation in this process, or None.

    Python's own rule, a text once a line, does not help: scikit-learn changes the filters between
    two fits, and Python then forgets what it has shown.
    """
    found, frame = None, sys._getframe()
    while frame is not None:
        names = frame.f_locals
        found = next((v for k in _NAMES if isinstance(v := names.get(k), Parallel)), found)
        frame = frame.f_back
    return found
