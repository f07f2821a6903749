"""What a method may do with the data besides training: look at them, and train a copy."""

from copy import deepcopy
from itertools import islice

import torch

from ..methods.context import BatchContext
from ..methods.records import CurveKeys
from ..network.dropout import seed_dropout
from ..network.modes import evaluating
from .parts import samples_of

__all__ = ["TrainingData"]


class TrainingData:
    """The data of a training run, behind `TrainingContext`.

    Parameters
    ----------
    parts : dict of str to Dataset or None
        Under "training" and "held_out".
    make_iterator : callable
        ``(dataset, training, generator) -> DataLoader``.
    make_pass : callable
        ``(dataset, generator) -> DataLoader``: all samples, shuffled if the generator is not None.
    make_optimizer : callable
        ``network -> torch optimizer``, fresh.
    drop_rates : dict of str to float
        Modality dropout of trials.
    criterion : torch loss module
    score : str
    weight_means : WeightMeans
        See `BatchContext`.
    device : torch.device
    generator : torch.Generator
        On the CPU; orders and trials draw on it.
    """

    def __init__(
        self,
        parts,
        *,
        make_iterator,
        make_pass,
        make_optimizer,
        drop_rates,
        criterion,
        score,
        weight_means,
        device,
        generator,
    ):
        self._parts = parts
        self._make_iterator = make_iterator
        self._make_pass = make_pass
        self._make_optimizer = make_optimizer
        self._drop_rates = drop_rates
        self._criterion = criterion
        self._score = score
        self._weight_means = weight_means
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
        batches = self._make_pass(self._parts[part], self._generator if shuffle else None)
        for inputs, target in islice(batches, n_batches):
            with torch.no_grad(), evaluating(network):
                batch = self._context(network, inputs, target)
            yield batch  # outside, so that a paused loop leaves the mode as it was

    @property
    def samples(self):
        """See `TrainingContext.samples`."""
        return samples_of(self._parts["training"])

    def run_on(self, rows, network, epoch):
        """See `TrainingContext.run_on`."""
        inputs, target = self._parts["training"].__getitems__(rows)
        inputs.weight = None
        return self._context(network, inputs, target, epoch)

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
                    if self._drop_rates:
                        inputs = inputs.drop(self._drop_rates, generator)

                    def closure(inputs=inputs, target=target):
                        optimizer.zero_grad()
                        value = loss(self._context(network, inputs, target))
                        value.backward()
                        return value

                    optimizer.step(closure)
        return network

    def _context(self, network, inputs, target, epoch=None):
        moved = inputs.to(self._device)
        output = network(moved)
        return BatchContext(
            network=network,
            output=output,
            target=target.to(self._device),
            weight=moved.weight,
            criterion=self._criterion,
            score=self._score,
            weight_means=self._weight_means,
            keys=CurveKeys(network.modalities),
            epoch=epoch,
        )
