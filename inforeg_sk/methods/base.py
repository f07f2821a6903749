"""What a balancing method is, and plain joint training, the method that balances nothing."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from torch import Tensor

from .context import SCORES, BatchContext, EpochContext, TrainingContext
from .curves import Curve
from .monitors import TRACES, FisherTrace, Monitor, PerformanceScore

__all__ = ["REQUIREMENTS", "TASKS", "BalancingMethod", "Joint", "loss_weights_of"]

TASKS = ("classification", "regression")

#: What a method may need besides the data (`BalancingMethod.requires`), and how a user provides it.
REQUIREMENTS = {
    "fisher_trace": "the Fisher traces: fisher='batch'",
    "held_out": "held-out samples: train_split=skorch.dataset.ValidSplit(5)",
    "additive_fusion": "unimodal logits that add up to the joint logits: fusion='concat'",
}


class BalancingMethod(BaseEstimator):
    """Base class of balancing methods: override what the method needs.

    A method is a small estimator: settings in ``__init__``, and hooks that the training loop
    calls in this order:

    ``check``, ``prepare``, ``on_train_start``; for each epoch ``on_epoch_start``; for each batch
    ``on_batch_start``, a forward pass, ``loss``, one backward pass, ``on_gradients``, (gradient
    clipping,) the optimizer's step, ``on_step``; ``on_epoch_end``; and ``on_train_end``.

    What a method learns goes to attributes with a trailing underscore, such as ``prototypes_``.
    They are its state: they live on through ``partial_fit``, ``warm_start`` and pickle. Any other
    attribute that it sets while it trains lasts for one call of ``fit``.

    ``examples/extension_templates/balancing_method.py`` is a file to copy, and
    `inforeg_sk.methods.check_method` runs a method through all that it must pass.

    Attributes
    ----------
    tasks : tuple of {"classification", "regression"}
        What the method is defined for; ``fit`` refuses the other. By default both, unless `score`
        needs classes.
    requires : tuple of {"fisher_trace", "held_out", "additive_fusion"}
        What it needs besides the data; ``fit`` refuses if it is not provided. May be a property
        that depends on the settings.
    curves : dict of str to Curve
        What it records, for displays, and how batches make an epoch. Quantities that are not
        declared are recorded too, as means over batches.
    batchable : bool
        Whether many networks may be trained as one with this method, because all it does is
        `loss_weights`, `on_gradients` and `on_step` on each encoder by itself.
    trace : {"encoder", "layers"}
        How the Fisher trace is measured; see `InfoReg`.
    score : {"auto", "log_probability", "probability_sum", "negative_loss"}
        How the performance score is measured; see `InfoReg`. "auto" is the log-probability for a
        classifier and the negative loss for a regressor, which has no other.

    Notes
    -----
    Samples may lack modalities. If no sample of a batch has a certain one, its parameters have no
    gradients, and its entry of ``batch.scores`` means nothing (``batch.scored`` says so). Compare
    modalities by ``batch.performance_gap``.

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk import BalancingMethod, MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> class Damping(BalancingMethod):
    ...     '''Scales the gradients of the encoders that lead.'''
    ...
    ...     def __init__(self, strength=1.0):
    ...         self.strength = strength
    ...
    ...     def on_gradients(self, batch):
    ...         factors = torch.exp(-self.strength * batch.performance_gap)
    ...         batch.record("factor", factors)
    ...         for factor, parameters in zip(factors, batch.epoch.parameters.values()):
    ...             for p in parameters.regulated:
    ...                 if p.grad is not None:
    ...                     p.grad.mul_(factor)
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(Damping(), max_epochs=3, random_state=0).fit(X, y)
    >>> {name: factor.shape for name, factor in clf.curves_["factor"].items()}
    {'strong': (3,), 'weak': (3,)}
    """

    requires: tuple[str, ...] = ()
    curves: ClassVar[dict[str, Curve]] = {}
    batchable: ClassVar[bool] = False
    trace: str = "encoder"
    score: str = "auto"

    @property
    def tasks(self) -> tuple[str, ...]:
        return TASKS if self.score in ("auto", "negative_loss") else ("classification",)

    # Before training

    def check(self, modalities: tuple[str, ...]) -> None:
        """Check the settings before any training; override and extend.

        Parameters
        ----------
        modalities : tuple of str

        Raises
        ------
        TypeError, ValueError
            Naming the setting, what was got and what is accepted.
        """
        check_choice("trace", self.trace, TRACES)
        check_choice("score", self.score, ("auto", *SCORES))

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

    def monitors(self) -> list[Monitor]:
        """What is measured beside the training, unless ``fisher=None``; override to add some."""
        return [FisherTrace(self.trace), PerformanceScore()]

    # While training

    def on_train_start(self, training: TrainingContext) -> None:
        """Prepare a call of ``fit`` or ``partial_fit``, such as measuring on the data."""

    def on_epoch_start(self, epoch: EpochContext) -> None:
        """Prepare an epoch."""

    def on_batch_start(self, inputs):
        """Return the inputs of a batch (Batch, on the CPU), perhaps with fewer modalities.

        ``inputs.keep(masks)`` leaves modalities out of samples; no sample may be left without any.
        """
        return inputs

    def loss_weights(self, batch: BatchContext) -> dict[str, float] | None:
        """Weights of ``"joint"`` and of the modalities, where the loss is a sum of their losses.

        The loop may then use closed forms. Return None, and override `loss`, where it is not. A
        class that overrides `loss` is not asked for weights.
        """
        return {"joint": 1.0}

    def loss(self, batch: BatchContext) -> Tensor:
        """Loss of a batch (Tensor of shape ()), which gets one backward pass."""
        return batch.weighted_loss(self.loss_weights(batch))

    def on_gradients(self, batch: BatchContext) -> None:
        """Change the gradients, before clipping and the optimizer's step."""

    def on_step(self, batch: BatchContext) -> None:
        """Change the weights after the optimizer's step."""

    def on_epoch_end(self, epoch: EpochContext) -> None:
        """Finish an epoch. It is not called if the epoch was interrupted."""

    def on_train_end(self) -> None:
        """Release what only training needed. It is called after errors and interrupts, too."""

    # State

    def state_dict(self) -> dict[str, Any]:
        """What has to live on: the attributes with a trailing underscore, and whose they are.

        Returns
        -------
        dict
            Under ``"method"`` the name of the class, and each attribute under its name.
        """
        state = {k: v for k, v in vars(self).items() if k[-1] == "_" and k[0] != "_"}
        return {"method": _class_name(self), **state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of another instance of the class.

        Parameters
        ----------
        state : dict
            From `state_dict`; it is copied.

        Raises
        ------
        ValueError
            If it is the state of another class, or holds something that is no state.
        """
        whose = state.get("method")
        if whose != _class_name(self):
            raise ValueError(
                f"{_class_name(self)} cannot go on from the state of {whose}: fit anew, or keep "
                "the method."
            )
        for name, value in state.items():
            if name == "method":
                continue
            if not (isinstance(name, str) and name[-1:] == "_" and name[0] != "_"):
                raise ValueError(
                    f"The state of {_class_name(self)} holds {name!r}: names of state end with an "
                    "underscore."
                )
            setattr(self, name, deepcopy(value))

    def resume(self, earlier: "BalancingMethod") -> None:
        """Go on from where another method ended, which may be of another class if it has no state.

        Parameters
        ----------
        earlier : BalancingMethod

        Raises
        ------
        ValueError
            If it is of another class and has state.
        """
        state = earlier.state_dict()
        if len(state) > 1 or state["method"] == _class_name(self):
            self.load_state_dict(state)

    def __getstate__(self):
        # What lasts for a fit only, such as reference weights, is never part of a saved model.
        return {"settings": self.get_params(deep=False), "state": self.state_dict()}

    def __setstate__(self, state):
        vars(self).update(state["settings"])
        self.load_state_dict(state["state"])


class Joint(BalancingMethod):
    """Plain joint training: the joint loss, and no regulation.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> clf = MultimodalClassifier(method="joint")
    """

    batchable = True


def loss_weights_of(method: BalancingMethod, batch: BatchContext) -> dict[str, float] | None:
    """Loss weights of a method for a batch, or None if its loss is not declared as such a sum."""
    return method.loss_weights(batch) if type(method).loss is BalancingMethod.loss else None


def _class_name(method):
    return f"{type(method).__module__}.{type(method).__qualname__}"


def check_choice(name, value, options):
    """Raise unless `value` is one of `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name}={value!r}: accepted are {', '.join(map(repr, options))}.")
