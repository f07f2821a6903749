"""The members of a stack: what each network is trained on, and what follows its training."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["BatchOrder", "EpochOfMember", "Member", "MemberRun", "Outcome", "Samples", "Verdict"]


class Samples(NamedTuple):
    """Samples as the encoders get them; members may share the object."""

    inputs: dict  # of str to Tensor of shape (n_samples, n_features); zeros where it is absent
    target: Tensor
    weight: Tensor | None
    present: Tensor | None  # of bool, of shape (n_modalities, n_samples); None: all have all


class Member(NamedTuple):
    """One network to train, and all that is its own."""

    network: nn.Module  # of multilayer perceptrons, a concatenation and a linear head
    samples: Samples
    mean_weights: list  # over the training part: of all samples, and of those with each modality
    batches: "BatchOrder"
    held_out: Tensor | None  # rows of the samples that the losses after an epoch are of
    run: "MemberRun"
    optimizer: dict  # lr, betas, eps, weight_decay
    criterion: nn.Module
    score: str
    traced: list  # of (list of float): the weight of each encoder's parameters in its trace
    after_regulation: bool  # whether traces are of the gradient with the pull
    n_epochs: int
    method: Any = None  # whose hooks are called; None: the run knows what it does
    active: Any = None  # epochs in which it may act; None: all
    generator: Any = None  # the method's own


class BatchOrder:
    """The batches of one stream of samples, epoch by epoch.

    Parameters
    ----------
    sampler : iterable of list of int
    generator : torch.Generator
        Of the sampler.
    rows : ndarray of int, default=None
        The samples that the sampler counts. None: all.
    """

    def __init__(self, sampler, generator, rows=None):
        self.generator = generator
        self._sampler, self._rows = sampler, rows

    def __len__(self):
        return len(self._sampler)

    def epoch(self):
        """Lists of rows, as a BlockLoader draws them."""
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        batches = list(self._sampler)
        return batches if self._rows is None else [self._rows[batch] for batch in batches]


class EpochOfMember(NamedTuple):
    """What an epoch of a member gave."""

    losses: list  # joint loss of each batch
    objective: list  # whole loss of each batch
    sizes: list  # samples of each batch
    values: dict  # of quantity and labels (None: a scalar) to list of float, one a label
    held_out: tuple | None  # loss and, with classes, rightness of each sample (ndarrays)


class Verdict(NamedTuple):
    """What follows from an epoch."""

    is_best: bool = False  # keep these weights
    stops: bool = False


class Outcome(NamedTuple):
    """What the training of a member leaves, besides the weights in its network."""

    states: list  # of (parameter, dict): what its optimizer remembers
    shuffling: Tensor  # state of the generator of the order
    best: list | None  # parameters of the best epoch, in the same order


class MemberRun:
    """What follows the training of a member: it regulates, records and stops; override its needs.

    Attributes
    ----------
    unimodal_weight : float
    beta : float
    pull : {"gradient", "decoupled"}
    """

    unimodal_weight = 0.0
    beta = 0.0
    pull = "decoupled"

    def begin_epoch(self, others, epoch):
        """Begin an epoch of some members, of which this is the first.

        Parameters
        ----------
        others : list of MemberRun
            Of all members, this one included.
        epoch : int

        Returns
        -------
        list of list of float, or None
            Base strength of each modality, of each member; None: it is not regulated.
        """
        return [None] * len(others)

    def end_epoch(self, epoch, result):
        """Hear what an epoch gave (an EpochOfMember), and say what follows (a Verdict)."""
        return Verdict()
