"""What a balancing method is, and plain joint training, the method that balances nothing."""

import copy
from functools import cached_property

import torch
from sklearn.base import BaseEstimator

from .fisher import TRACES
from .regulation import SCORES, Score, summarise, summarise_pairs, weighted_mean

__all__ = ["SCORE_NAMES", "BalancingMethod", "Joint", "Step"]

# "negative_loss" is minus the unimodal loss, which is the criterion's to say. It is how a regressor
# has a score (our extension, not the paper's); for a classifier without label smoothing it is the
# log-probability.
SCORE_NAMES = (*SCORES, "negative_loss")


class Step:
    """One training batch, as a method sees it.

    Parameters
    ----------
    network : MultimodalNetwork
    output : NetworkOutput
        Joint logits and features, with gradients, and which samples have which modality.
    target : Tensor of shape (n_samples,), or (n_samples, n_outputs) in regression
        Encoded target.
    weight : Tensor of shape (n_samples,) or None
        Sample weights times class weights.
    criterion : torch loss module
    score : str
        One of `SCORE_NAMES`.
    gradient_scale : float, default=1.0
        Factor on all gradients (mixed precision).

    Attributes
    ----------
    logits, features :
        From the output. In regression the logits are the predictions, here and below.
    joint_loss : Tensor of shape ()
    records : dict of str to Tensor of shape (n_modalities,)
        What is to be reported as means over the epoch, by quantity; see `record`.

    Notes
    -----
    What is said of one modality (loss, score) is taken over the samples that have it, and what
    compares two, over those that have both.
    """

    def __init__(self, network, output, target, weight, criterion, score, gradient_scale=1.0):
        self.network = network
        self.logits, self.features, present = output
        self.target = target
        self.weight = weight
        self.criterion = criterion
        self.gradient_scale = gradient_scale
        self._rule = SCORES.get(score) or Score(self._negative_loss, mean=True)
        self._present = None if present is None else present.to(self.logits.dtype)
        self.records = {}

    def loss_of(self, prediction, modality=None):
        """Loss of predictions for this batch (Tensor of shape ()), with the sample weights.

        Parameters
        ----------
        prediction : Tensor of shape (n_samples, n_outputs)
            Logits, or the values that a regressor predicts.
        modality : str, default=None
            Only samples that have it count; 0 if none has. None: all count.
        """
        weight = self.weight if modality is None else self._weights[modality]
        return weighted_criterion(self.criterion, prediction, self.target, weight)

    @cached_property
    def joint_loss(self):
        return self.loss_of(self.logits)

    @cached_property
    def unimodal_logits(self):
        """Unimodal logits with gradients (dict)."""
        return self.network.unimodal_logits(self.features)

    @cached_property
    def unimodal_losses(self):
        """Loss of each modality's unimodal logits (dict)."""
        return {name: self.loss_of(u, name) for name, u in self.unimodal_logits.items()}

    @cached_property
    def _weights(self):
        """Weights that count the samples of each modality (dict); None: all alike."""
        if self._present is None:
            return dict.fromkeys(self.features, self.weight)
        weights = self._present if self.weight is None else self._present * self.weight[:, None]
        return dict(zip(self.features, weights.unbind(dim=1), strict=True))

    def _negative_loss(self, prediction, target):
        return -loss_of_each(self.criterion, prediction, target)

    @cached_property
    def _values(self):
        """Score of each sample by each modality (dict of Tensors of shape (n_samples,))."""
        # Not computed a second time where the loss has made them already.
        logits = self.__dict__.get("unimodal_logits") or self.network.unimodal_logits(
            {name: z.detach() for name, z in self.features.items()}
        )
        return {name: self._rule.of_each(u.detach(), self.target) for name, u in logits.items()}

    @cached_property
    def scores(self):
        """Performance score of each modality, without gradients (Tensor of shape (M,)).

        Over the samples that have the modality; 0, and `scored` False, if none has. To compare
        modalities take `paired_scores`.
        """
        with torch.no_grad():
            return torch.stack(
                [summarise(v, self._weights[m], self._rule.mean) for m, v in self._values.items()]
            )

    @cached_property
    def scored(self):
        """Whether a modality has samples, of some weight, to score (Tensor of bool, (M,))."""
        if self._all_count:
            return torch.ones_like(self.scores, dtype=torch.bool)
        return torch.stack([weight.sum() > 0 for weight in self._weights.values()])

    @property
    def reported_scores(self):
        """What the history keeps: `scores`, NaN where they mean nothing."""
        if self._all_count:  # the usual case, at no cost
            return self.scores
        return self.scores.masked_fill(~self.scored, torch.nan)

    @property
    def _all_count(self):
        return self.weight is None and self._present is None

    @cached_property
    def paired_scores(self):
        """Scores for `performance_gap`, which compares modalities.

        Where each sample has all modalities, `scores`; else a Tensor of shape (M, M), with the
        score of m over the samples that have both m and n in row m and column n (0 if none has).
        """
        if self._present is None:
            return self.scores
        with torch.no_grad():
            values = torch.stack(list(self._values.values()), dim=1)
            return summarise_pairs(values, self._present, self.weight, self._rule.mean)

    def record(self, quantity, values):
        """Keep a quantity of each modality for the history.

        Parameters
        ----------
        quantity : str
        values : Tensor of shape (n_modalities,)
            In sorted-name order, on the device: it is moved once an epoch, with all others.
        """
        self.records[quantity] = values


class BalancingMethod(BaseEstimator):
    """Base class of balancing methods: override what the method needs.

    A method is a small estimator: settings in ``__init__``, and these hooks, which the training
    loop calls in this order. Per-epoch values live in the history, so that a method needs no
    state of its own from one epoch to the next.

    ``check``, ``prepare``; then for each epoch ``on_epoch_start``; for each batch ``loss``, one
    backward pass, ``on_gradients``, (gradient clipping,) the optimizer's step, ``on_step``;
    ``on_epoch_end``.

    Samples may lack modalities. If no sample of a batch has a certain one, its parameters have no
    gradients, and its entry of ``step.scores`` means nothing (``step.scored`` says so). Compare
    modalities by ``performance_gap(step.paired_scores)``.

    Attributes
    ----------
    trace : {"encoder", "layers"}
        How the Fisher trace is measured; see `TRACES`.
    score : {"auto", "log_probability", "probability_sum", "negative_loss"}
        How the performance score is measured; see `InfoReg`. "auto" is the log-probability for a
        classifier and the negative loss for a regressor, which has no other.
    """

    trace = "encoder"
    score = "auto"

    def check(self, modalities, fisher):
        """Check the settings before any training; override and extend.

        Parameters
        ----------
        modalities : tuple of str
        fisher : {"batch", None}
            Whether traces and scores are tracked.

        Raises
        ------
        TypeError, ValueError
            Naming the setting, what was got and what is accepted.
        """
        check_choice("trace", self.trace, TRACES)
        check_choice("score", self.score, ("auto", *SCORE_NAMES))

    def prepare(self, network):
        """Alter the network before the first epoch, such as adding heads or gates.

        Parameters
        ----------
        network : MultimodalNetwork
            New, on the CPU; what is drawn here from torch's global generator is seeded.

        Returns
        -------
        MultimodalNetwork
            All its parameters go to the optimizer.
        """
        return network

    def on_epoch_start(self, epoch):
        """Prepare an epoch.

        Parameters
        ----------
        epoch : EpochContext
            Encoder parameters, number of batches, traces of earlier epochs.

        Returns
        -------
        dict of str to dict of str to float or bool
            What to record for this epoch: quantity -> modality -> value.
        """
        return {}

    def loss(self, step):
        """Loss of a batch (Tensor of shape ()), which gets one backward pass."""
        return step.joint_loss

    def on_gradients(self, step):
        """Change the gradients, before clipping and the optimizer's step."""

    def on_step(self, step):
        """Change the weights after the optimizer's step."""

    def on_epoch_end(self):
        """Let go of what only the epoch needed."""


class Joint(BalancingMethod):
    """Plain joint training: the joint loss, and no regulation.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> clf = MultimodalClassifier(method="joint")
    """


def weighted_criterion(criterion, prediction, target, weight=None):
    """Criterion of a batch: its own mean, or a mean with sample weights."""
    if weight is None:
        return criterion(prediction, target)
    return weighted_mean(loss_of_each(criterion, prediction, target), weight)


def loss_of_each(criterion, prediction, target):
    """The same criterion (label smoothing and all) of each sample (Tensor of shape (n_samples,)).

    Raises
    ------
    TypeError
        If the criterion does not heed ``reduction="none"``.
    """
    each = copy.copy(criterion)  # which shares what the criterion holds
    each.reduction = "none"
    losses = each(prediction, target)
    if losses.shape[:1] != target.shape[:1]:
        raise TypeError(
            f"criterion={type(criterion).__name__} gives {tuple(losses.shape)} for "
            f"{len(target)} samples with reduction='none', but one value a sample is needed for "
            "sample weights, missing modalities, and the scores of a regressor."
        )
    return losses if losses.ndim == 1 else losses.flatten(1).mean(dim=1)


def check_choice(name, value, options):
    """Raise unless `value` is one of `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name}={value!r}: accepted are {', '.join(map(repr, options))}.")
