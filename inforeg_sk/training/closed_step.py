"""A training step in closed form, where nothing asks for another."""

import torch
from skorch.dataset import unpack_data
from skorch.utils import TeeGenerator
from torch import nn

from ..methods.base import BalancingMethod
from ..methods.closed_batch import LossTerms, has_closed_form
from ..network.closed_form import ClosedForm
from .optimizer import is_fused, step_of

__all__ = ["ClosedStep"]

# What makes a step; an estimator of the user's may have its own.
_STEPS = (
    "train_step",
    "train_step_single",
    "get_train_step_accumulator",
    "_zero_grad_optimizer",
    "_step_optimizer",
    "infer",
    "get_loss",
    "gradient_scale",
)


class ClosedStep:
    """Takes the place of ``train_step``, with the same result but for rounding.

    Parameters
    ----------
    net : TrainingLoop
    form : ClosedForm
    """

    def __init__(self, net, form):
        self._net = net
        self._run = net._run
        self._form = form
        self._device = net._placement()
        self._terms = LossTerms()
        self._step = step_of(net.optimizer_, net._run.before_step)

    @classmethod
    def of(cls, net, plain):
        """The closed step of an estimator in training, or None if it has to take its usual one.

        Parameters
        ----------
        net : TrainingLoop
        plain : class
            Whose steps those of `net` have to be.
        """
        kind, run = type(net), net._run
        own = any(n in vars(net) or getattr(kind, n) is not getattr(plain, n) for n in _STEPS)
        if (
            own
            or "accelerator" in vars(net)
            or net._optimizers != ["optimizer"]
            or not is_fused(net.optimizer_)
            or not has_closed_form(net.criterion_)
            or not run.method.batchable
            or type(run.method).loss is not BalancingMethod.loss
            or any(monitor.needs_graph for monitor in run.monitors)
            or torch.is_anomaly_enabled()
            or any(map(torch.is_autocast_enabled, {"cpu", net._placement().type}))
        ):
            return None
        form = ClosedForm.of(net.module_)
        return None if form is None else cls(net, form)

    def __call__(self, batch):
        """Make a step.

        Parameters
        ----------
        batch : tuple of Batch and Tensor

        Returns
        -------
        dict
            ``"loss"`` and ``"y_pred"``, the joint logits.
        """
        net = self._net
        inputs, target = unpack_data(batch)
        weight = inputs.weight
        if self._device.type != "cpu":
            inputs, target = inputs.to(self._device), target.to(self._device)
            weight = None if weight is None else weight.to(self._device)
        for group in net.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        with torch.no_grad():
            passed = self._form.forward(inputs)
            loss = self._run.closed_loss(
                passed, inputs, target, weight, net.criterion_, self._terms
            )
        net.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(net.get_all_learnable_params()),
            batch=batch,
            training=True,
        )
        self._step()
        return {"loss": loss, "y_pred": self._run.joint_logits}
