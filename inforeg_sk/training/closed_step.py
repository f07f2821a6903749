"""A training step in closed form, where nothing asks for another."""

import torch
from skorch.utils import TeeGenerator

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
    is_silent : bool
        Whether nothing but the run has to hear of the batch.
    """

    def __init__(self, net, form, is_silent):
        self._net = net
        self._run = net._run
        self._form = form
        self._device = net._placement()
        self._terms = LossTerms()
        self._step = step_of(net.optimizer_, net._run.before_step)
        self._parameters = [p for group in net.optimizer_.param_groups for p in group["params"]]
        self._is_heard = not is_silent

    @classmethod
    def of(cls, net, plain, is_silent):
        """The closed step of an estimator in training, or None if it has to take its usual one.

        Parameters
        ----------
        net : TrainingLoop
        plain : class
            Whose steps those of `net` have to be.
        is_silent : bool
            As of the class.
        """
        kind, run = type(net), net._run
        own = any(n in vars(net) or getattr(kind, n) is not getattr(plain, n) for n in _STEPS)
        if (
            own
            or "accelerator" in vars(net)
            or net._optimizers != ["optimizer"]
            or not is_fused(net.optimizer_)
            or not has_closed_form(net.criterion_)
            or not run.method.closed_form
            or type(run.method).loss is not BalancingMethod.loss
            or any(monitor.needs_graph for monitor in run.monitors)
            or torch.is_anomaly_enabled()
            or any(map(torch.is_autocast_enabled, {"cpu", net._placement().type}))
        ):
            return None
        form = ClosedForm.of(net.module_)
        return None if form is None else cls(net, form, is_silent)

    @torch.no_grad()
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
        net, run = self._net, self._run
        inputs, target = batch
        weight = inputs.weight
        if self._device.type != "cpu":
            weight = None if weight is None else inputs.weight_on(self._device)
            inputs, target = inputs.to(self._device), target.to(self._device)
        for parameter in self._parameters:
            parameter.grad = None
        passed = self._form.forward(inputs)
        loss = run.closed_loss(passed, inputs, target, weight, net.criterion_, self._terms)
        if self._is_heard:
            net.notify(
                "on_grad_computed",
                named_parameters=TeeGenerator(net.get_all_learnable_params()),
                batch=batch,
                training=True,
            )
        else:
            run.change_gradients()
        self._step()
        return {"loss": loss, "y_pred": run.joint_logits if self._is_heard else None}
