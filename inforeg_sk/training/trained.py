"""What the training of a network together with others leaves to its estimator."""

from typing import NamedTuple

import torch

__all__ = ["Trained"]


class Trained(NamedTuple):
    """Results of a training whose weights are in the network already.

    Parameters
    ----------
    rows : list of dict
        Epochs of the history.
    claims : list of tuple of str and tuple of str
        Quantities in the rows and their labels, in the order of `curves_`.
    states : list of tuple of Tensor and dict
        Parameters, and what the optimizer remembers of each.
    shuffling : torch.Generator
        Where the order of the samples has come to.
    n_batches, n_steps : int
        Of an epoch, and of all.
    """

    rows: list
    claims: list
    states: list
    shuffling: torch.Generator
    n_batches: int
    n_steps: int

    def hand_over(self, run, history, optimizer):
        """Write what a call of ``fit`` leaves behind.

        Parameters
        ----------
        run : TrainingRun
        history : History
        optimizer : torch.optim.Optimizer
        """
        for quantity, labels in self.claims:
            run.keys.claim(quantity, labels)
        history.extend(self.rows)
        for parameter, state in self.states:
            optimizer.state[parameter] = state
        run.generators.shuffling.set_state(self.shuffling.get_state())
        run.n_steps, run.has_stepped = self.n_steps, True
        run.stopped_in = (len(history), len(history))
