"""What a balancing method is, and plain joint training, the method that balances nothing."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from torch import Tensor, nn

from ..utils.parameters import Constraint, Options, check_parameters
from .context import SCORES, BatchContext, EpochContext, TrainingContext
from .curves import Curve
from .monitors import TRACES, FisherTrace, Monitor, PerformanceScore

__all__ = ["REQUIREMENTS", "TASKS", "BalancingMethod", "Joint", "loss_weights_of"]

TASKS = ("classification", "regression")

#: What a method may need besides the data; `BalancingMethod.requires` explains them.
REQUIREMENTS = ("fisher_trace", "held_out", "additive_fusion", "complete", "unweighted")


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
    `inforeg_sk.testing.check_method` runs a method through all that it must pass.

    Attributes
    ----------
    tasks : tuple of {"classification", "regression"}
        What the method is defined for; ``fit`` refuses the other. By default both, unless `score`
        needs classes.
    requires : tuple of str
        What it needs besides the data; ``fit`` refuses if it is not provided. May be a property
        that depends on the settings. "fisher_trace": traces are tracked. "held_out": there is a
        `train_split`. "additive_fusion": unimodal logits, less the log prior, add up to the joint
        ones. "complete": no sample lacks a modality. "unweighted": there are no sample or class
        weights.
    curves : dict of str to Curve
        What it records, for displays, and how batches make an epoch. Quantities that are not
        declared are recorded too, as means over batches.
    closed_form : bool
        Whether all it does is `loss_weights`, `on_gradients` and `on_step` on each encoder by
        itself. Gradients may then be computed in closed form: nothing of a batch has a graph.
    batchable : bool
        Whether many networks may be trained as one with this method: its hooks for a batch also
        take tensors that have one more axis in front, of the networks; see Notes.
    per_modality : bool
        Whether the method asks ``epoch.active`` itself which modalities it may act on. If not, it
        acts in epochs where any is active, and in others its hooks for a batch are not called and
        the loss is the joint one.
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

    With `batchable`, logits may be of shape (n_networks, n_samples, n_outputs), scores of shape
    (n_networks, n_modalities), parameters have the axis of the networks in front
    (``batch.n_leading`` is 1, else 0), and a loss is one number a network. Count axes from the
    end, and act on gradients by the functions of `inforeg_sk.network.parameters`, which take one
    factor a network. Their `on_epoch_start` gets of an EpochContext ``index``, ``n_batches``,
    ``network``, ``modalities``, ``parameters`` and what tells of `active`; with another hook of an
    epoch, of the training or of the inputs they are trained one by one. Networks that are trained
    as one have the same settings, and their samples
    have no weights and lack no modality.

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

    curves: ClassVar[dict[str, Curve]] = {}
    closed_form: ClassVar[bool] = False
    batchable: ClassVar[bool] = False
    per_modality: ClassVar[bool] = False
    trace: str = "encoder"
    score: str = "auto"
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "trace": [Options(*TRACES)],
        "score": [Options("auto", *SCORES)],
    }

    @property
    def requires(self) -> tuple[str, ...]:
        return ()

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
        check_parameters(self)

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
        """What is measured beside the training, unless ``fisher=None``; override to add some.

        With ``fisher="sample"`` a `SampleFisherTrace` takes the place of `FisherTrace`.
        """
        return [FisherTrace(self.trace), PerformanceScore()]

    # While training

    def on_train_start(self, training: TrainingContext) -> None:
        """Prepare a call of ``fit`` or ``partial_fit``, such as measuring on the data."""

    def on_epoch_start(self, epoch: EpochContext) -> None:
        """Prepare an epoch."""

    def on_batch_start(self, inputs, epoch: EpochContext):
        """Return the inputs of a batch, perhaps with fewer modalities.

        Parameters
        ----------
        inputs : Batch
            Its values are where the network is, its presence and weights on the CPU.
            ``inputs.drop(rates, generator)`` leaves modalities out of samples at random,
            ``inputs.keep(masks)`` those that you choose, by masks on the CPU. No sample may be left
            without any.
        epoch : EpochContext

        Returns
        -------
        Batch
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
        weights = self.loss_weights(batch)
        if weights is None:
            raise TypeError(
                f"{type(self).__name__}.loss_weights returns None: override loss(batch) as well."
            )
        return batch.weighted_loss(weights)

    def on_gradients(self, batch: BatchContext) -> None:
        """Change the gradients, before clipping and the optimizer's step.

        The Fisher trace ("encoder") is measured before, on what the backward pass left.
        """

    def on_step(self, batch: BatchContext) -> None:
        """Change the weights after the optimizer's step."""

    def on_epoch_end(self, epoch: EpochContext) -> None:
        """Finish an epoch. It is not called if the epoch was interrupted."""

    def on_train_end(self) -> None:
        """Release what only training needed. It is called after errors and interrupts, too."""

    # State

    def state_dict(self) -> dict[str, Any]:
        """What has to live on: the attributes with a trailing underscore, and their class.

        Returns
        -------
        dict
            Under ``"method"`` the name of the class, and each attribute under its name, with its
            tensors on the CPU.

        Raises
        ------
        TypeError
            If an attribute holds a tensor with a graph, a parameter or a module.
        """
        return {"method": _class_name(self), **_map_tensors(self._state(), _to_cpu)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of another instance of the class.

        Parameters
        ----------
        state : dict
            From `state_dict`; it is copied.

        Raises
        ------
        ValueError
            If it is the state of another class, or has a name that does not end with an underscore.
        """
        if state.get("method") != _class_name(self):
            raise ValueError(
                f"{_class_name(self)} cannot go on from the state of {state.get('method')}: fit "
                "anew, or keep the method."
            )
        self._load(state)

    def continue_from(self, earlier: "BalancingMethod") -> None:
        """Go on from where another method ended.

        Parameters
        ----------
        earlier : BalancingMethod
            Of the same class; or of another, if it has no state, and neither class alters the
            network in `prepare`.

        Raises
        ------
        ValueError
        """
        state = earlier.state_dict()
        if state["method"] == _class_name(self):
            self._load(state)
        elif len(state) > 1:
            self.load_state_dict(state)  # refuses it by name
        elif any(type(m).prepare is not BalancingMethod.prepare for m in (self, earlier)):
            raise ValueError(
                f"{_class_name(self)} cannot go on from {_class_name(earlier)}, since one of them "
                "alters the network before training: fit anew, or keep the method."
            )

    def move_state(self, device) -> None:
        """Move the tensors of the state to a device."""
        self.__dict__.update(_map_tensors(self._state(), lambda name, t: t.to(device)))

    def check_state(self) -> None:
        """Refuse state that cannot live on; see `state_dict`."""
        _map_tensors(self._state(), lambda name, t: t)

    def _state(self):
        return {k: v for k, v in vars(self).items() if k[-1] == "_" and k[0] != "_"}

    def _load(self, state):
        for name, value in state.items():
            if name == "method":
                continue
            if not (isinstance(name, str) and name[-1:] == "_" and name[0] != "_"):
                raise ValueError(
                    f"The state of {_class_name(self)} has the name {name!r}: names of state end "
                    "with an underscore."
                )
            setattr(self, name, deepcopy(value))

    def __getstate__(self):
        # What lasts for a fit only, such as reference weights, is never part of a saved model.
        return {"settings": self.get_params(deep=False), "state": self.state_dict()}

    def __setstate__(self, state):
        self.__dict__.update(state["settings"])
        self._load(state["state"])  # the class may have moved to another module since


class Joint(BalancingMethod):
    """Plain joint training: the joint loss, and no regulation.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> clf = MultimodalClassifier(method="joint")
    """

    closed_form = True
    batchable = True


def loss_weights_of(method: BalancingMethod, batch: BatchContext) -> dict[str, float] | None:
    """Loss weights of a method for a batch, or None if its loss is not declared as such a sum.

    In an epoch where the method may not act it is the joint loss.
    """
    if batch.epoch is not None and not batch.epoch.acts:
        return {"joint": 1.0}
    return method.loss_weights(batch) if type(method).loss is BalancingMethod.loss else None


def _to_cpu(name, tensor):
    return tensor.detach().cpu()


def _map_tensors(value, function, name=None):
    """Apply ``function(name, tensor)`` to the tensors of a state; refuse what cannot be state."""
    if isinstance(value, nn.Module | nn.Parameter):
        raise TypeError(
            f"{name!r} is a {type(value).__name__}, which would be a stale copy after partial_fit "
            "or pickle: add modules to the network in prepare(), or name the attribute without a "
            "trailing underscore."
        )
    if isinstance(value, Tensor):
        if value.grad_fn is not None:
            raise TypeError(f"{name!r} keeps the graph of a batch: store it with .detach().")
        return function(name, value)
    if isinstance(value, Mapping):
        return {k: _map_tensors(v, function, name or k) for k, v in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_map_tensors(v, function, name) for v in value)
    return value


def _class_name(method):
    return f"{type(method).__module__}.{type(method).__qualname__}"
