"""What a method sees of a training run, of an epoch and of a batch."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..functional import (
    batch_score,
    log_probability,
    numbers,
    pairwise_batch_scores,
    pairwise_performance_gap,
    performance_gap,
    probability,
)
from ..network.modes import evaluating, evaluating_with_gradients
from .active import active_modalities
from .losses import WeightMeans, per_sample_loss, weighted_criterion
from .records import BatchRecorder, EpochRecorder

__all__ = ["SCORES", "BatchContext", "EpochContext", "TrainingContext"]


class _ScoreRule(NamedTuple):
    """How well a modality does, from its unimodal logits; large is good."""

    per_sample: (
        Callable[[Tensor, Tensor], Tensor] | None
    )  # (logits, target) -> Tensor of shape (..., n_samples); None: minus the loss
    mean: bool  # over the samples; else the sum


# "negative_loss" is minus the unimodal loss, so it depends on the criterion. It is how a regressor
# has a score (our extension, not the paper's); for a classifier without label smoothing it is the
# log-probability.
SCORES = {
    "log_probability": _ScoreRule(log_probability, mean=True),
    "probability_sum": _ScoreRule(probability, mean=False),
    "negative_loss": _ScoreRule(None, mean=True),
}


class TrainingContext:
    """A training run, as a method sees it: one call of ``fit`` or ``partial_fit``.

    Attributes
    ----------
    network : MultimodalNetwork
        On the device.
    modalities : tuple of str
        In sorted order.
    task : {"classification", "regression"}
    n_outputs : int
        Classes, or values that a regressor predicts.
    device : torch.device
    generator : torch.Generator
        The method's own, on the CPU; it goes on from one call to the next and is part of a pickle.
        Draws on it change neither the order of the data nor dropout.
    device_generator : torch.Generator
        The same on the device, for draws inside a batch; on the CPU it is `generator`.
    first_epoch, last_epoch : int
        Index of the first epoch of this call, counted from 0 over all calls, and of the last.
    history : skorch.history.History
        To read.
    monitored : frozenset of str
        Quantities that are measured besides the training, such as "fisher_trace"; empty with
        ``fisher=None``.
    has_held_out : bool
        Whether there is a validation part (`train_split`).
    """

    def __init__(
        self,
        *,
        network,
        task,
        n_outputs,
        device,
        generator,
        device_generator,
        first_epoch,
        last_epoch,
        history,
        monitored,
        data,
    ):
        self.network = network
        self.modalities = network.modalities
        self.task = task
        self.n_outputs = n_outputs
        self.device = device
        self.generator = generator
        self.device_generator = device_generator
        self.first_epoch = first_epoch
        self.last_epoch = last_epoch
        self.history = history
        self.monitored = monitored
        self._data = data

    @property
    def has_held_out(self):
        return self._data.has_held_out

    def batches(self, part="training", *, network=None, shuffle=False, n_batches=None):
        """Run the network over data in evaluation mode, without gradients.

        Parameters
        ----------
        part : {"training", "held_out"}, default="training"
            "held_out" is the validation part that `train_split` cuts off.
        network : MultimodalNetwork, default=None
            Such as one from `train_copy`; None takes the one in training.
        shuffle : bool, default=False
            Whether to draw the order, on `generator`.
        n_batches : int, default=None
            Stop after so many; None takes all.

        Yields
        ------
        BatchContext
            What is recorded on it is not kept.

        Raises
        ------
        ValueError
            If there is no such part.
        """
        return self._data.batches(part, network or self.network, shuffle, n_batches)

    def mean_loss(self, loss, part="training", *, network=None, modality=None):
        """Mean of a loss over the samples of a part, with their weights.

        Parameters
        ----------
        loss : callable
            Takes a BatchContext, returns a Tensor of shape (): a loss as `BatchContext.loss_of`
            gives it.
        part, network :
            See `batches`.
        modality : str, default=None
            The modality that the loss belongs to: only samples that have it count. None: all.

        Returns
        -------
        float
            Moved off the device once.

        Raises
        ------
        ValueError
            If no sample counts: all have weight 0, or lack the modality.
        """
        network = network or self.network
        total = count = torch.zeros((), dtype=torch.float64)
        for batch in self.batches(part, network=network):
            with torch.no_grad(), evaluating(network):
                weight = batch.total_weight(modality)
                share = batch.loss_divisor(modality)
                total = total.to(weight.device) + loss(batch) * share
            count = count.to(weight.device) + weight
        total, count = torch.stack([total, count]).tolist()
        if count == 0:
            of = "" if modality is None else f" of modality {modality!r}"
            raise ValueError(f"No sample{of} of the part {part!r} has a weight: there is no mean.")
        return total / count

    def train_copy(self, loss, n_epochs):
        """Train a copy of the network on another loss, from where it stands now.

        The network in training, its running statistics, its optimizer, and all random generators
        but `generator` (which seeds the trial) stay as they are. The copy gets a fresh optimizer
        of the same kind and settings.

        Parameters
        ----------
        loss : callable
            Takes a BatchContext of the copy, returns a Tensor of shape ().
        n_epochs : int

        Returns
        -------
        MultimodalNetwork
            The trained copy.
        """
        return self._data.train_copy(self.network, loss, n_epochs)

    @property
    def samples(self):
        """Target, weight and presence of the training part (PartSamples, on the CPU)."""
        return self._data.samples

    def run_on(self, rows, *, network=None, epoch=None):
        """Run the network over some training samples; mode and gradients are the caller's.

        Parameters
        ----------
        rows : list of int
            Of the training part.
        network : MultimodalNetwork, default=None
            None takes the one in training.
        epoch : EpochContext, default=None
            What the batch has as `epoch`.

        Returns
        -------
        BatchContext
            Without sample weights. What is recorded on it is not kept.
        """
        return self._data.run_on(rows, network or self.network, epoch)


class EpochContext(EpochRecorder):
    """An epoch, as a method sees it.

    Attributes
    ----------
    training : TrainingContext
    network : MultimodalNetwork
    modalities : tuple of str
        In sorted order.
    index : int
        Counted from 0 over all calls of ``fit`` (warm start) and ``partial_fit``.
    n_batches : int
    parameters : dict of str to EncoderParameters
        Of each encoder the ``trainable`` parameters, and the ``regulated`` ones: those that no
        other modality shares.
    is_limited : bool
        Whether the estimator's `active` limits the method.
    active : dict of str to bool
        Which modalities the method may act on in this epoch; all, if it is not limited.
    acts : bool
        Whether its hooks for a batch are called.
    """

    acts = True

    def __init__(self, training, index, n_batches, parameters, keys, declared, active=None):
        super().__init__(training.history, keys, declared)
        self.training = training
        self.network = training.network
        self.modalities = training.modalities
        self.index = index
        self.n_batches = n_batches
        self.parameters = parameters
        self.is_limited = active is not None
        self.active = active_modalities(active, self)


class BatchContext(BatchRecorder):
    """One batch, as a method sees it.

    Attributes
    ----------
    epoch : EpochContext or None
        None outside training (`TrainingContext.batches`, `TrainingContext.train_copy`).
    network : MultimodalNetwork
    modalities : tuple of str
        In sorted order.
    n_samples : int
    n_leading : int
        Axes in front of those given here: 0, or 1 where many networks are trained as one.
    logits : Tensor of shape (n_samples, n_outputs)
        Joint logits. In regression the logits are the predictions, here and below. All logits
        have the log prior of the classes, ``network.log_prior``, once; None if there is none.
    features : dict of str to Tensor of shape (n_samples, n_features)
        Of each modality, in sorted order; zeros where a sample lacks it.
    presence : Presence
        Which samples have which modality.
    present : Tensor of bool of shape (n_samples, n_modalities), or None
        The same as one Tensor; None: all have all.
    target : Tensor of shape (n_samples,), or (n_samples, n_outputs) in regression
        Encoded target.
    weight : Tensor of shape (n_samples,) or None
        Sample weights times class weights, as given: losses divide them by `weight_means`.
    generator : torch.Generator or None
        The method's own, on the device; None outside training.
    inputs : Batch
        What the network got, on the device.
    weight_means : WeightMeans
        Means of the weights over the training part of the first fit.
    criterion : torch loss module
    gradient_scale : float
        Factor on all gradients (mixed precision).

    Notes
    -----
    What belongs to one modality (loss, score) is taken over the samples that have it, and what
    compares two, over those that have both.
    """

    n_leading = 0

    def __init__(
        self,
        *,
        network,
        output,
        target,
        weight,
        criterion,
        score,
        keys,
        weight_means=None,
        generator=None,
        epoch=None,
        gradient_scale=1.0,
        like=None,
    ):
        logits, features, self.presence, self.inputs = output
        super().__init__(keys, logits if like is None else like)
        self.network = network
        self.modalities = network.modalities
        if like is None:  # else they are made when they are asked for
            self.logits, self.features = logits, features
        self.n_samples = target.shape[0]
        self.target = target
        self.weight = weight
        self.weight_means = weight_means or WeightMeans()
        self.criterion = criterion
        self.generator = generator
        self.epoch = epoch
        self.gradient_scale = gradient_scale
        self._rule = SCORES[score]

    # Losses

    def loss_of(self, prediction, modality=None):
        """Loss of predictions for this batch, with the sample weights.

        The sum of the samples' losses, each times its weight, divided by the number of samples and
        by the mean weight of the training part. So the size of a step follows the weights that are
        in its batch, and a batch of weight 0 has loss 0.

        Parameters
        ----------
        prediction : Tensor of shape (n_samples, n_outputs)
            Logits, or the values that a regressor predicts.
        modality : str, default=None
            Only samples that have it count; 0 if none has. None: all count.

        Returns
        -------
        Tensor of shape ()
        """
        weight = self.weight if modality is None else self._weight_of[modality]
        if self.weight is None:
            return weighted_criterion(self.criterion, prediction, self.target, weight)
        return weighted_criterion(
            self.criterion,
            prediction,
            self.target,
            weight,
            mean=self.weight_means.mean(modality),
            n_samples=self._count_of(modality),
        )

    def _count_of(self, modality):
        """Number of samples that have a modality, at least 1."""
        if modality not in self.presence.masks:
            return self.n_samples
        return self.presence.masks[modality].sum().clamp(min=1)

    def loss_divisor(self, modality=None):
        """What `loss_of` divides the weighted sum of the samples' losses by.

        Parameters
        ----------
        modality : str, default=None

        Returns
        -------
        Tensor of float64 of shape ()
        """
        if self.weight is None:
            return self.total_weight(modality)
        count = torch.as_tensor(self._count_of(modality), dtype=torch.float64)
        return count.to(self.logits.device) * self.weight_means.mean(modality)

    def total_weight(self, modality=None):
        """Sum of the weights of the samples (that have a modality).

        Parameters
        ----------
        modality : str, default=None

        Returns
        -------
        Tensor of float64 of shape ()
        """
        weight = self.weight if modality is None else self._weight_of[modality]
        if weight is None:
            return torch.full((), self.n_samples, dtype=torch.float64, device=self.logits.device)
        return weight.double().sum()

    @cached_property
    def joint_loss(self):
        """Loss of the joint logits (Tensor of shape ())."""
        return self.loss_of(self.logits)

    @cached_property
    def unimodal_losses(self):
        """Loss of each modality's unimodal logits (dict)."""
        return {name: self.loss_of(u, name) for name, u in self.unimodal_logits.items()}

    def weighted_loss(self, weights):
        """Weighted sum of the joint and the unimodal losses.

        Parameters
        ----------
        weights : dict of str to float
            Of ``"joint"`` and of modalities; what is left out, or 0, does not count.

        Returns
        -------
        Tensor of shape ()

        Raises
        ------
        ValueError
            If a name is neither "joint" nor a modality, or nothing counts.
        """
        joint, unimodal = self._weights_of_terms(weights)
        terms = [self.joint_loss if joint == 1 else joint * self.joint_loss] if joint else []
        if len(set(unimodal.values())) == 1:  # one product, as the paper writes it
            weight = next(iter(unimodal.values()))
            terms.append(weight * sum(self.unimodal_losses[m] for m in unimodal))
        else:
            terms += [weight * self.unimodal_losses[m] for m, weight in unimodal.items()]
        return sum(terms[1:], start=terms[0])

    def _weights_of_terms(self, weights):
        """Weight of the joint loss, and those of unimodal losses that are not 0 (dict)."""
        for name in weights:
            if name != "joint" and name not in self.modalities:
                raise ValueError(
                    f"loss_weights: {name!r} must be 'joint' or one of the modalities "
                    f"{', '.join(map(repr, self.modalities))}."
                )
        unimodal = {m: weights[m] for m in self.modalities if weights.get(m)}
        joint = weights.get("joint", 0)
        if not joint and not unimodal:
            raise ValueError(f"loss_weights: at least one weight must not be 0; got {weights}.")
        return joint, unimodal

    def gradients(self, loss, parameters):
        """Gradients of a loss, with the graph kept for further passes.

        Parameters
        ----------
        loss : Tensor of shape ()
        parameters : list of Tensor

        Returns
        -------
        list of Tensor or None
            Multiplied by `gradient_scale`, as all gradients of the batch are; None for a parameter
            that the loss does not depend on.
        """
        scaled = loss * self.gradient_scale if self.gradient_scale != 1 else loss
        return list(torch.autograd.grad(scaled, parameters, retain_graph=True, allow_unused=True))

    def draw_normal(self, like):
        """Draw standard normal numbers on `generator`.

        Parameters
        ----------
        like : Tensor
            Of the shape and type to have, on the device.

        Returns
        -------
        Tensor
        """
        return torch.empty_like(like).normal_(generator=self.generator)

    # Logits

    @cached_property
    def unimodal_logits(self):
        """Unimodal logits with gradients (dict of Tensors of shape (n_samples, n_outputs))."""
        return self.network.unimodal_logits(self.features)

    @cached_property
    def head_logits(self):
        """Logits of the unimodal heads (dict of Tensors of shape (n_samples, n_outputs)).

        For a method that adds them in `prepare`: ``network.add_unimodal_heads()``.
        """
        return self.network.head_logits(self.features)

    @cached_property
    def head_losses(self):
        """Loss of each modality's own head (dict)."""
        return {name: self.loss_of(u, name) for name, u in self.head_logits.items()}

    def coalition_logits(self, coalition, *, zero="features"):
        """Joint logits of some of the modalities, with gradients, in evaluation mode.

        Parameters
        ----------
        coalition : iterable of str
            The modalities to keep.
        zero : {"features", "inputs"}, default="features"
            What is set to zero of the others. With "inputs" all encoders run again; inputs that the
            network standardizes are set to their mean.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
        """
        coalition = set(coalition)
        if unknown := coalition - set(self.modalities):
            raise ValueError(
                f"coalition_logits: unknown {', '.join(map(repr, sorted(unknown)))}; the "
                f"modalities are {', '.join(map(repr, self.modalities))}."
            )
        if zero == "inputs":
            inputs = self.network.zeroed(self.inputs, set(self.modalities) - coalition)
            with evaluating_with_gradients(self.network):
                return self.network(inputs).logits
        if zero != "features":
            raise ValueError(f"zero={zero!r}: must be 'features' or 'inputs'.")
        return self.network.coalition_logits(self.features, coalition)

    def all_coalition_logits(self, *, zero="features"):
        """Joint logits of all coalitions of modalities, with gradients.

        Parameters
        ----------
        zero : {"features", "inputs"}, default="features"
            See `coalition_logits`. Encoders run twice with "inputs", however many coalitions there
            are: on the inputs, in evaluation mode, and on zeros.

        Returns
        -------
        Tensor of shape (2 ** n_modalities, n_samples, n_outputs)
            The place of a coalition is the sum of ``2 ** i`` over its modalities, whose places are
            ``i``. The empty one has the log prior, or zeros; that of all has `logits`, and all
            others are in evaluation mode.
        """
        network, names = self.network, self.modalities
        with evaluating_with_gradients(network):
            kept, out = self.features, {m: torch.zeros_like(z) for m, z in self.features.items()}
            if zero == "inputs":
                kept = network.encode(self.inputs)
                out = network.encode(network.zeroed(self.inputs, set(names)))
            found = [torch.zeros_like(self.logits)]
            if network.log_prior is not None:
                found = [found[0] + network.log_prior]
            for place in range(1, 2 ** len(names) - 1):
                members = {m for i, m in enumerate(names) if place >> i & 1}
                features = {m: (kept if m in members else out)[m] for m in names}
                found.append(network.coalition_logits(features, set(names)))
        return torch.stack([*found, self.logits])

    # Scores

    def modality_means(self, values):
        """Mean of values of samples, over those that have the modality, with the sample weights.

        Parameters
        ----------
        values : Tensor of shape (n_modalities, n_samples)

        Returns
        -------
        Tensor of shape (n_modalities,)
            0 for a modality that no sample of some weight has.
        """
        return batch_score(values, self._modality_weights)

    @cached_property
    def present(self):
        return self.presence.matrix(self.modalities) if self.presence.masks else None

    @cached_property
    def _weight_of(self):
        """Weights that count the samples of each modality (dict); None: all alike."""
        if not self.presence.masks:
            return dict.fromkeys(self.modalities, self.weight)
        return dict(zip(self.modalities, self._modality_weights, strict=True))

    @cached_property
    def _modality_weights(self):
        """The same as one Tensor of shape (n_modalities, n_samples); None: all alike."""
        if not self.presence.masks:
            return None if self.weight is None else self.weight.expand(len(self.modalities), -1)
        present = self._presence
        return (present if self.weight is None else present * self.weight[:, None]).mT

    @cached_property
    def _presence(self):
        return self.present.to(self._score_type)

    @property
    def _score_type(self):
        return torch.promote_types(self.logits.dtype, torch.float32)

    @cached_property
    def _sample_scores(self):
        """Score of each sample by each modality (Tensor of shape (n_modalities, n_samples))."""
        # Not computed a second time where the loss has made them already.
        logits = self.__dict__.get("unimodal_logits")
        if logits is None:
            with torch.no_grad():
                logits = self.network.unimodal_logits(self.features)
        # Under autocast logits may be of a short type, in whose rounding real gaps would be ties.
        logits = [u.detach().to(self._score_type) for u in logits.values()]
        if self._rule.per_sample is not None:
            return self._rule.per_sample(torch.stack(logits), self.target)
        return -torch.stack([per_sample_loss(self.criterion, u, self.target) for u in logits])

    @cached_property
    def scores(self):
        """Performance score of each modality, without gradients (Tensor of shape (n_modalities,)).

        Over the samples that have the modality; 0, and `scored` False, if none has. To compare
        modalities take `performance_gap`, which allows for missing ones.
        """
        return batch_score(self._sample_scores, self._modality_weights, mean=self._rule.mean)

    @cached_property
    def scored(self):
        """Whether a modality has samples, of some weight, to score (Tensor of bool, (M,))."""
        if self._modality_weights is None:
            return torch.ones_like(self.scores, dtype=torch.bool)
        return self._modality_weights.sum(dim=-1) > 0

    @property
    def reported_scores(self):
        """What the history keeps: `scores`, NaN where they mean nothing.

        A Tensor of shape (n_modalities,), or a list of as many numbers.
        """
        if self._modality_weights is None:  # the usual case, at no cost
            return self.scores if self.score_numbers is None else self.score_numbers
        return self.scores.masked_fill(~self.scored, torch.nan)

    @cached_property
    def performance_gap(self):
        """How far each modality is ahead of those that score lower (Tensor, (n_modalities,)).

        At least 0, and 0 for a modality that is ahead of none.

        From `scores`; where samples lack modalities, each pair is compared on the samples that
        have both.
        """
        if not self.presence.masks:
            return performance_gap(self.scores)
        return pairwise_performance_gap(self._pairwise_scores)

    @cached_property
    def _pairwise_scores(self):
        return pairwise_batch_scores(
            self._sample_scores, self._presence.mT, self.weight, mean=self._rule.mean
        )

    # The same in Python numbers, on the CPU; on other devices they would wait for them

    @cached_property
    def score_numbers(self):
        """`scores` as a list of float; None on another device than the CPU."""
        return self.scores.tolist() if numbers.on_host(self._device) else None

    @property
    def gap_numbers(self):
        """`performance_gap` as a list of float; None on another device than the CPU."""
        if not numbers.on_host(self._device):
            return None
        eps = torch.finfo(self._score_type).eps
        if not self.presence.masks:
            return numbers.gap_numbers(self.score_numbers, eps)
        return numbers.pairwise_gap_numbers(self._pairwise_scores.tolist(), eps)
