"""What a method may do with the data besides training: look at them, and train a copy."""

from copy import deepcopy

import torch

from ..methods.context import BatchContext
from ..network.dropout import seed_dropout
from ..network.modes import evaluating
from .records import BatchRecords, CurveKeys

__all__ = ["TrainingData"]


class TrainingData:
    """The data of a training run, behind `TrainingContext`.

    Parameters
    ----------
    parts : dict of str to Dataset or None
        Under "training" and "held_out".
    make_iterator : callable
        ``(dataset, training, generator) -> DataLoader``.
    make_optimizer : callable
        ``network -> torch optimizer``, fresh.
    drop : callable
        ``(inputs, generator) -> inputs``: modality dropout.
    criterion : torch loss module
    score : str
    device : torch.device
    generator : torch.Generator
        On the CPU; orders and trials draw on it.
    """

    def __init__(
        self, parts, *, make_iterator, make_optimizer, drop, criterion, score, device, generator
    ):
        self._parts = parts
        self._make_iterator = make_iterator
        self._make_optimizer = make_optimizer
        self._drop = drop
        self._criterion = criterion
        self._score = score
        self._device = device
        self._generator = generator

    @property
    def has_held_out(self):
        return self._parts["held_out"] is not None

    def batches(self, part, network, shuffle, n_batches):
        """See `TrainingContext.batches`."""
        if part not in self._parts:
            raise ValueError(f"part={part!r}: must be 'training' or 'held_out'.")
        if self._parts[part] is None:
            raise ValueError(
                "There are no held-out samples: give a train_split, such as "
                "skorch.dataset.ValidSplit(5)."
            )
        return self._evaluated(part, network, shuffle, n_batches)

    def _evaluated(self, part, network, shuffle, n_batches):
        # The DataLoader draws a seed for its workers from the generator it is given.
        generator = self._generator if shuffle else torch.Generator()
        for i, (inputs, target) in enumerate(
            self._make_iterator(self._parts[part], shuffle, generator)
        ):
            if n_batches is not None and i >= n_batches:
                return
            with torch.no_grad(), evaluating(network):
                batch = self._context(network, inputs, target)
            yield batch  # outside, so that a paused loop leaves the mode as it was

    def train_copy(self, network, loss, n_epochs):
        """See `TrainingContext.train_copy`."""
        seed = int(torch.randint(2**62, (), generator=self._generator))
        generator = torch.Generator().manual_seed(seed)
        network = deepcopy(network)
        seed_dropout(network, seed)
        optimizer = self._make_optimizer(network)
        iterator = self._make_iterator(self._parts["training"], True, generator)
        devices = [self._device] if self._device.type == "cuda" else []
        # A user's layers may draw on the global generators.
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            network.train()
            for _ in range(n_epochs):
                for inputs, target in iterator:
                    batch = self._context(network, self._drop(inputs, generator), target)
                    optimizer.zero_grad()
                    loss(batch).backward()
                    optimizer.step()
        return network

    def _context(self, network, inputs, target):
        moved = inputs.to(self._device)
        output = network(moved)
        return BatchContext(
            network=network,
            inputs=moved,
            output=output,
            target=target.to(self._device),
            weight=moved.weight,
            criterion=self._criterion,
            score=self._score,
            records=BatchRecords(CurveKeys(network.modalities), output.logits),
        )
