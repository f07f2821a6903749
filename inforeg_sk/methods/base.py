"""What a balancing method is, and plain joint training, the method that balances nothing."""

from functools import cached_property

import torch
from sklearn.base import BaseEstimator

from .fisher import TRACES
from .regulation import SCORES, weighted_mean

__all__ = ["BalancingMethod", "Joint", "Step"]


class Step:
    """One training batch, as a method sees it.

    Parameters
    ----------
    network : MultimodalNetwork
    output : NetworkOutput
        Joint logits and features, with gradients.
    target : Tensor of int of shape (n_samples,)
    weight : Tensor of shape (n_samples,) or None
        Sample weights times class weights.
    criterion : torch.nn.CrossEntropyLoss
    score : str
        Key of `SCORES`.
    gradient_scale : float, default=1.0
        Factor on all gradients (mixed precision).

    Attributes
    ----------
    logits, features :
        From the output.
    joint_loss : Tensor of shape ()
    records : dict of str to Tensor of shape (n_modalities,)
        What is to be reported as means over the epoch, by quantity; see `record`.
    """

    def __init__(self, network, output, target, weight, criterion, score, gradient_scale=1.0):
        self.network = network
        self.logits, self.features = output
        self.target = target
        self.weight = weight
        self.criterion = criterion
        self.gradient_scale = gradient_scale
        self._score = SCORES[score]
        self.records = {}

    def cross_entropy(self, logits):
        """Criterion of this batch's target, with the sample weights."""
        return weighted_criterion(self.criterion, logits, self.target, self.weight)

    @cached_property
    def joint_loss(self):
        return self.cross_entropy(self.logits)

    @cached_property
    def unimodal_logits(self):
        """Unimodal logits with gradients (dict)."""
        return self.network.unimodal_logits(self.features)

    @cached_property
    def scores(self):
        """Performance score of each modality, without gradients (Tensor of shape (M,))."""
        with torch.no_grad():
            # Not computed a second time where the loss has made them already.
            logits = self.__dict__.get("unimodal_logits") or self.network.unimodal_logits(
                {name: z.detach() for name, z in self.features.items()}
            )
            return torch.stack(
                [self._score(u.detach(), self.target, self.weight) for u in logits.values()]
            )

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

    Attributes
    ----------
    trace : {"encoder", "layers"}
        How the Fisher trace is measured; see `TRACES`.
    score : {"log_probability", "probability_sum"}
        How the performance score is measured; see `SCORES`.
    """

    trace = "encoder"
    score = "log_probability"

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
        check_choice("score", self.score, SCORES)

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


def weighted_criterion(criterion, logits, target, weight=None):
    """Criterion of a batch: its own mean, or a mean with sample weights."""
    if weight is None:
        return criterion(logits, target)
    # The same criterion (label smoothing and all) a sample; its parameters are not copied.
    each = type(criterion)(
        weight=criterion.weight,
        ignore_index=criterion.ignore_index,
        label_smoothing=criterion.label_smoothing,
        reduction="none",
    )
    return weighted_mean(each(logits, target), weight)


def check_choice(name, value, options):
    """Raise unless `value` is one of `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name}={value!r}: accepted are {', '.join(map(repr, options))}.")
