"""Saving and loading parameters in files, by skorch's `save_params` and `load_params`."""

import os
from contextlib import ExitStack, nullcontext
from io import BytesIO
from typing import Any, ClassVar

import torch

from ..data.checks import FittedInput
from ..training.device import resolve_dtype
from ..training.history import TrainingHistory
from ..training.loop import TrainingLoop
from ..training.state import load_run_state, run_state
from .plan import plan_from_description, restore_on_error
from .saving import DESCRIPTION, WithDescription, describe, read_description, versions
from .targets import ClassLabels, TargetScaler

__all__ = ["ParameterFiles"]

_TABLE = ("n_features_in_", "feature_names_in_")


class ParameterFiles(TrainingLoop):
    """Files of parameters that say what they belong to.

    The file of the network (`f_params`) also holds shapes, labels and columns, and that of the
    optimizer (`f_optimizer`) the random generators and the state of the method.
    """

    target_class: ClassVar[type[ClassLabels] | type[TargetScaler]]
    modalities_: tuple
    fitted_input_: FittedInput
    target_: Any  # a `target_class`

    def _take_over(self, plan, fitted):
        """Take a plan's network and all that goes with it."""
        raise NotImplementedError

    def load_params(
        self,
        f_params=None,
        f_optimizer=None,
        f_criterion=None,
        f_history=None,
        checkpoint=None,
        use_safetensors=False,
        **kwargs,
    ):
        """Load what ``save_params`` or a ``Checkpoint`` has saved, in a fitted estimator or not.

        An estimator that is not fitted has to have the parameters of the one that was saved
        (encoders, fusion, method); shapes, labels and columns come from the file. With
        `f_optimizer` and `f_history` (and the criterion, if it learns) training goes on as if it
        had not been interrupted.

        Parameters
        ----------
        f_params, f_optimizer, f_criterion, f_history : str or file-like object, default=None
        checkpoint : skorch.callbacks.Checkpoint, default=None
            Where to take those from that are not given.
        use_safetensors : bool, default=False
            Whether they are in that format.
        **kwargs : dict
            Further files of modules, as in skorch.

        Raises
        ------
        ValueError
            If the file is of another kind of model, modalities or shapes.
        """
        named = {
            "f_params": f_params,
            "f_optimizer": f_optimizer,
            "f_criterion": f_criterion,
            "f_history": f_history,
            **kwargs,
        }
        given = {name: file for name, file in named.items() if file is not None}
        fresh = not self.initialized_
        with ExitStack() as opened, restore_on_error(self) if fresh else nullcontext():
            if checkpoint is not None:
                if f_history is None and checkpoint.f_history is not None:
                    # The names of the other files may depend on it.
                    self.history_ = TrainingHistory.from_file(checkpoint.f_history_)
                given = {**checkpoint.get_formatted_files(self), **given}
            if use_safetensors:  # skorch would open it for `device`, which need not be a string
                given = {name: _open(file, opened) for name, file in given.items()}
            if fresh and "f_params" in given:
                history = self.history_
                given["f_params"] = self._build_for(given["f_params"], use_safetensors)
                self.history_ = TrainingHistory() if history is None else history
            super().load_params(**given, use_safetensors=use_safetensors)

    def _build_for(self, file, use_safetensors):
        """Build the network that a file describes; return a file to read its tensors from."""
        if not isinstance(file, str | os.PathLike):
            file = BytesIO(file.read())
        if use_safetensors:
            from safetensors.torch import load

            state = load(file.getvalue())
        else:
            settings = self.torch_load_kwargs or {"weights_only": True}
            state = torch.load(file, map_location="cpu", **settings)
        if isinstance(file, BytesIO):
            file.seek(0)
        if DESCRIPTION not in state:
            raise ValueError(
                "The file does not say shapes and labels, as those do that save_params of a fitted "
                f"{type(self).__name__} writes: fit first, or save the whole estimator by pickle."
            )
        content = read_description(state[DESCRIPTION])
        target, fitted = self._described(content)
        for name in _TABLE:
            if content[name] is not None:
                setattr(self, name, content[name])
        self._take_over(plan_from_description(self, fitted, target), fitted)
        return file

    def _get_module(self, name, msg):
        part = super()._get_module(name, msg)
        if name == "module_":
            return WithDescription(part, self._describe, self._check_description, self._adopt)
        if name == "optimizer_":
            return WithDescription(
                part,
                lambda: run_state(self._run, self.module_),
                lambda state: None,
                lambda state: load_run_state(self._run, self.module_, state),
            )
        return part

    def _describe(self):
        fitted = self.fitted_input_._asdict()
        del fitted["dtype"]  # a parameter
        return describe(
            {
                "versions": versions(),
                "task": self.target_.task,
                "target": vars(self.target_),
                "fitted": fitted,
                **{name: getattr(self, name, None) for name in _TABLE},
            }
        )

    def _described(self, content):
        """Target and data of a description (tuple of `target_class` and FittedInput)."""
        owner = type(self).__name__
        if content["task"] != self.target_class.task:
            raise ValueError(
                f"The file is of a model for {content['task']}, and {owner} does "
                f"{self.target_class.task}."
            )
        dtype, _ = resolve_dtype(self.dtype, owner)
        return self.target_class(**content["target"]), FittedInput(**content["fitted"], dtype=dtype)

    def _check_description(self, description):
        target, fitted = self._described(read_description(description))
        mine = self.fitted_input_
        if fitted.shapes != mine.shapes:
            raise ValueError(
                f"The file is of a model with samples of the shapes {fitted.shapes}; this "
                f"{type(self).__name__} was fitted with {mine.shapes}."
            )
        labels = getattr(target, "labels", None)
        if self._run.in_fit and labels is not None:
            known = self.target_.labels
            if labels.tolist() != known.tolist():
                raise ValueError(
                    f"The file is of a model with the classes {labels.tolist()}; y has "
                    f"{known.tolist()}."
                )

    def _adopt(self, description):
        """Take over labels and columns with the weights, but not in a fit, which has its own."""
        if self._run.in_fit:
            return
        content = read_description(description)
        self.target_, self.fitted_input_ = self._described(content)
        self.modalities_ = self.fitted_input_.modalities
        for name in _TABLE:
            vars(self).pop(name, None)
            if content[name] is not None:
                setattr(self, name, content[name])


def _open(file, opened):
    return opened.enter_context(open(file, "rb")) if isinstance(file, str | os.PathLike) else file
