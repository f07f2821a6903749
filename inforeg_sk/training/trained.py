"""What the training of a network together with others leaves to its estimator."""

from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["EarlyStop", "Trained"]


class EarlyStop:
    """Early stopping by the rule of skorch's ``EarlyStopping``, with an absolute threshold.

    Parameters
    ----------
    patience : int
        Epochs without a gain after which training stops.
    threshold : float
        What counts as a gain.
    """

    def __init__(self, patience, threshold):
        self._patience, self._threshold = patience, threshold
        self._misses, self._to_beat, self._best_epoch = 0, np.inf, 0
        self.best = None  # parameters of the best epoch, in the order of the states

    def hear(self, loss, epoch):
        """Hear the held-out loss of an epoch, counted from 1.

        Returns
        -------
        is_best, stops : bool
        """
        is_best = bool(loss < self._to_beat)
        if is_best:
            self._misses, self._to_beat, self._best_epoch = 0, loss - self._threshold, epoch
        else:
            self._misses += 1
        return is_best, self._misses == self._patience

    def hand_over(self, callback, network, parameters):
        """Bring a callback to where it would have come; at its end it takes the best weights.

        Parameters
        ----------
        callback : EarlyStopping
        network : torch.nn.Module
        parameters : list of Parameter
            Those that `best` are of.
        """
        callback.misses_, callback.dynamic_threshold_ = self._misses, self._to_beat
        callback.best_epoch_ = self._best_epoch
        if self.best is not None:
            best = {id(p): value for p, value in zip(parameters, self.best, strict=True)}
            weights = {name: value.clone() for name, value in network.state_dict().items()}
            for name, p in network.named_parameters():
                weights[name] = best.get(id(p), weights[name])
            callback.best_model_weights_ = weights


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
    shuffling : Tensor
        State of the generator of the order of the samples.
    method : Tensor
        State of the method's generator.
    n_batches, n_steps : int
        Of an epoch, and of all.
    train, held_out : Dataset
        The parts of the samples; without a second one, None.
    early_stop : EarlyStop or None
    """

    rows: list
    claims: list
    states: list
    shuffling: torch.Tensor
    method: torch.Tensor
    n_batches: int
    n_steps: int
    train: Any
    held_out: Any
    early_stop: EarlyStop | None

    def hand_over(self, run, history, optimizer, callbacks):
        """Write what a call of ``fit`` leaves behind.

        Parameters
        ----------
        run : TrainingRun
        history : History
        optimizer : torch.optim.Optimizer
        callbacks : dict of str to Callback
            skorch's, and what the estimator adds.
        """
        for quantity, labels in self.claims:
            run.keys.claim(quantity, labels)
        history.extend(self.rows)
        for parameter, state in self.states:
            if state:
                optimizer.state[parameter] = state
        run.generators.shuffling.set_state(self.shuffling)
        run.generators.method.set_state(self.method)
        run.n_steps, run.has_stepped = self.n_steps, True
        run.stopped_in = (len(history), len(history))
        for name in ("train_loss", "valid_loss", "valid_acc"):
            if self.rows and name in self.rows[0]:
                better = max if name == "valid_acc" else min
                callback = callbacks[name]
                callback.best_score_ = better(callback.best_score_, *(r[name] for r in self.rows))
        if self.early_stop is not None:
            parameters = [p for p, _ in self.states]
            self.early_stop.hand_over(callbacks["stop_early"], run.training.network, parameters)
