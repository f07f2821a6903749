"""Any torch module as an encoder: a model trained elsewhere, frozen or tuned further."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from ..utils.parameters import (
    Instance,
    InvalidParameterError,
    IsCallable,
    IsNone,
    Options,
    check_parameter,
)

__all__ = ["PretrainedEncoder"]


class PretrainedEncoder(nn.Module):
    """Wrap a torch module, such as a pretrained language or image model, as an encoder.

    Parameters
    ----------
    module : torch.nn.Module
        Takes the tensor of the modality; or, if the modality is made of several arrays, their
        tensors by name, ``module(input_ids=..., attention_mask=...)``. It must return a tensor, a
        tuple or list that begins with one, or a mapping or object with `last_hidden_state` (the
        outputs of Hugging Face transformers). A tensor of shape ``(n_samples, n_features)`` is the
        features; one of shape ``(n_samples, n_steps, n_features)`` is pooled; further axes may
        follow ``(n_samples, n_features)`` if all have length 1.
    frozen : bool, default=False
        Whether to train nothing of the module. A copy of it is used, whose parameters require no
        gradient and which stays in evaluation mode: no dropout, no updates of running statistics.
    pooling : {"mean", "first", "last", "max"} or callable, default="mean"
        How steps become one vector: by the mean, first (BERT's ``[CLS]``), last or maximum of the
        steps where the mask is not zero. The mask is the array ``attention_mask`` of the modality,
        of shape ``(n_samples, n_steps)``; without one, all steps count. A sample without any such
        step gets zeros. A callable gets the hidden states and the mask, a tensor of bool, and
        returns a tensor of shape ``(n_samples, n_features)``; if it is a torch module, it is
        trained, even if `module` is frozen.
    output : str or None, default=None
        Name of another entry of the module's output, such as ``"pooler_output"``.

    Raises
    ------
    TypeError
        If `module` is not a torch module, `pooling` is neither a known name nor callable, or
        `output` is not a string; in a forward pass, if the module does not return a tensor.
    ValueError
        If `pooling` is an unknown name; in a forward pass, if the tensor has an unsupported number
        of axes, or the mask does not match its steps.

    Notes
    -----
    **Learning rate.** Pretrained weights need a far smaller learning rate than new ones, and less
    weight decay than the default optimizer's 1.0, which a parameter group inherits unless it sets
    its own: ``optimizer__param_groups=[("encoder_text.*", {"lr": 2e-5, "weight_decay": 0.01})]``.

    **Frozen.** Without gradients there is no Fisher trace to measure (it is 0) and nothing to
    regulate. Trained layers on top of the frozen ones have both:
    ``torch.nn.Sequential(PretrainedEncoder(module, frozen=True), torch.nn.Linear(768, 64))``. To
    freeze a part only, set ``requires_grad`` of its parameters to False and leave `frozen` off.

    **Types.** The estimator copies the encoder and converts its floats to the estimator's `dtype`,
    so a model stored in bfloat16 is trained in float32. In a modality that is made of several
    arrays, integers such as token ids stay integers; a modality of one array becomes floats.

    **Masks.** Some speech models (wav2vec 2.0 and similar ones) take a mask of samples but return
    fewer steps than it has entries. Use them without a mask, or with a callable `pooling` that
    reduces the mask to the steps.

    Examples
    --------
    A module with the arguments of a language model, and a sample of three tokens and one of two:

    >>> import torch
    >>> from inforeg_sk.network import PretrainedEncoder
    >>> class Words(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.table = torch.nn.Embedding.from_pretrained(torch.eye(4))
    ...
    ...     def forward(self, input_ids, attention_mask):
    ...         return self.table(input_ids)
    >>> text = {
    ...     "input_ids": torch.tensor([[1, 2, 2], [3, 1, 0]]),
    ...     "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
    ... }
    >>> PretrainedEncoder(Words(), frozen=True)(text)
    tensor([[0.0000, 0.3333, 0.6667, 0.0000],
            [0.0000, 0.5000, 0.0000, 0.5000]])

    A language model (not run here, since it is downloaded), for ``encoders={"text": encoder}``:

    >>> from transformers import AutoModel  # doctest: +SKIP
    >>> bert = AutoModel.from_pretrained("google-bert/bert-base-uncased")  # doctest: +SKIP
    >>> encoder = PretrainedEncoder(bert, frozen=True)  # doctest: +SKIP
    """

    def __init__(self, module, *, frozen=False, pooling="mean", output=None):
        super().__init__()
        if not isinstance(module, nn.Module):
            hint = "; give an instance" if isinstance(module, type) else ""
            hint = "; load it first" if isinstance(module, str) else hint
            raise TypeError(
                "The 'module' parameter of PretrainedEncoder must be a torch module. Got "
                f"{module!r}{hint}."
            )
        check_parameter(
            "frozen", frozen, [Instance(bool, np.bool_, text="a bool")], "PretrainedEncoder"
        )
        if isinstance(pooling, type):
            raise InvalidParameterError(
                "The 'pooling' parameter of PretrainedEncoder must be one of "
                f"{', '.join(map(repr, POOLINGS))} or a callable (of a class, an instance). Got "
                f"{pooling!r}."
            )
        accepted = [Options(*POOLINGS), IsCallable("a callable (of a class, an instance)")]
        check_parameter("pooling", pooling, accepted, "PretrainedEncoder")
        accepted = [IsNone(), Instance(str, text="the name of an entry")]
        check_parameter("output", output, accepted, "PretrainedEncoder")
        # The given module may also belong to another encoder, which trains it.
        self.module = copy.deepcopy(module) if frozen else module
        self.frozen = frozen
        self.pooling = pooling
        self.output = output
        if frozen:
            self.module.requires_grad_(False)
            self.module.eval()

    def train(self, mode=True):
        """Set the training mode; a frozen module stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.module.eval()
        return self

    def forward(self, x):
        several = isinstance(x, Mapping)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            hidden = self._tensor(self.module(**x) if several else self.module(x))
        if hidden.ndim == 2:
            return hidden
        if hidden.ndim == 3:
            return self._pool(hidden, x.get("attention_mask") if several else None)
        if hidden.ndim > 3 and hidden.shape[2:].numel() == 1:
            return hidden.flatten(1)
        raise ValueError(
            f"{self._who()} gave a tensor of shape {tuple(hidden.shape)}: (n_samples, n_features) "
            "or (n_samples, n_steps, n_features) is needed."
        )

    def _tensor(self, given):
        """Return the tensor in the module's output."""
        value, what = given, "gave"
        if self.output is None and isinstance(given, (tuple, list)) and given:
            # This includes named tuples, whose first entry is the main output.
            value, what = given[0], f"gave a {type(given).__name__} that begins with"
        elif self.output is not None or not isinstance(given, torch.Tensor):
            name = self.output or "last_hidden_state"
            value = _entry(given, name)
            if value is None:
                raise TypeError(
                    f"{self._who()} gave {type(given).__name__} without {name!r}{_entries(given)}. "
                    "Choose an entry with output=."
                )
            what = f"gave, as {name!r},"
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{self._who()} {what} {type(value).__name__}: a tensor is needed.")
        return value

    def _pool(self, hidden, mask):
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        mask = mask != 0
        if not isinstance(self.pooling, str):
            return self.pooling(hidden, mask)
        if mask.shape != hidden.shape[:2]:
            raise ValueError(
                f"attention_mask has shape {tuple(mask.shape)}, but {self._who()} gave "
                f"{hidden.shape[1]} steps for {len(hidden)} samples: leave out the mask, or pass a "
                "callable pooling that reduces it to the steps."
            )
        return POOLINGS[self.pooling](hidden, mask)

    def _who(self):
        return f"the module {type(self.module).__name__}"

    def extra_repr(self):
        return f"frozen={self.frozen}, pooling={self.pooling!r}, output={self.output!r}"


def _entry(given, name):
    """Entry of a mapping or attribute of an object, or None."""
    if isinstance(given, Mapping):
        return given.get(name)
    # A tensor has attributes too, but none is an output.
    return None if isinstance(given, torch.Tensor) else getattr(given, name, None)


def _entries(given):
    names = given if isinstance(given, Mapping) else getattr(given, "_fields", ())
    return f"; it has {', '.join(map(repr, names))}" if len(names) else ""


# Masked steps are replaced, not multiplied by zero, because they may hold NaN.


def _mean(hidden, mask):
    # The sum of many steps in half precision would lose digits or overflow.
    wide = torch.promote_types(hidden.dtype, torch.float32)
    total = hidden.masked_fill(~mask[:, :, None], 0).sum(dim=1, dtype=wide)
    return (total / mask.sum(dim=1, keepdim=True).clamp(min=1)).to(hidden.dtype)


def _max(hidden, mask):
    largest = hidden.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1)
    return largest.masked_fill(~mask.any(dim=1, keepdim=True), 0)


def _first(hidden, mask):
    return _step(hidden, mask, torch.arange(mask.shape[1], 0, -1, device=mask.device))


def _last(hidden, mask):
    return _step(hidden, mask, torch.arange(1, mask.shape[1] + 1, device=mask.device))


def _step(hidden, mask, order):
    """Return, for each sample, the step of the mask with the largest `order`."""
    chosen = hidden[torch.arange(len(hidden), device=hidden.device), (mask * order).argmax(dim=1)]
    return chosen.masked_fill(~mask.any(dim=1, keepdim=True), 0)


POOLINGS = {"mean": _mean, "first": _first, "last": _last, "max": _max}
