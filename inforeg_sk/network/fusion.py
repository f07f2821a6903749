"""The fusion by name, class or instance, and the unimodal logits of any."""

import copy
import inspect

import torch
from torch import nn

from ..utils.parameters import error_kind
from ..utils.suggestions import did_you_mean, lookup
from .builtin_fusions import Attention, Concat, FiLM, Gated, MLPFusion, Sum
from .modes import evaluating

__all__ = ["FUSIONS", "build_fusion", "zeroed_unimodal_logits"]

FUSIONS = {
    "concat": Concat,
    "mlp": MLPFusion,
    "sum": Sum,
    "gated": Gated,
    "film": FiLM,
    "attention": Attention,
}


def zeroed_unimodal_logits(fusion, head, features):
    """Joint logits with the features of all other modalities set to zero (paper, Sec. 4.5).

    Parameters
    ----------
    fusion : torch.nn.Module
        Maps a dict of features to one vector a sample.
    head : torch.nn.Module
        Maps that vector to logits.
    features : dict of str to Tensor of shape (n_samples, n_features)

    Returns
    -------
    dict of str to Tensor of shape (n_samples, n_classes)
        Fusion and head run in evaluation mode, so that these passes touch neither random numbers
        nor running statistics.
    """
    zeros = {name: torch.zeros_like(z) for name, z in features.items()}
    with evaluating(fusion, head):
        return {name: head(fusion({**zeros, name: z})) for name, z in features.items()}


def build_fusion(fusion, widths, settings, owner="MultimodalNetwork"):
    """Make the fusion.

    Parameters
    ----------
    fusion : str, class, callable or module
        A name in `FUSIONS`; a module class or callable, called with ``widths`` and the settings;
        or an instance, which is copied.
    widths : dict of str to int
        Number of features of each modality, in sorted-name order.
    settings : dict
        ``fusion__...`` parameters.
    owner : str, default="MultimodalNetwork"
        Whose parameters they are, for errors.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    TypeError, ValueError
        If the name or a setting is unknown, the fusion cannot be made, or it is not a module.
    """
    if isinstance(fusion, str):
        fusion = lookup(
            fusion, FUSIONS, "fusion", owner, ", a torch module class or instance, or a callable"
        )
    if isinstance(fusion, nn.Module):
        if settings:
            raise ValueError(
                f"fusion is an instance and takes no settings; got fusion__{next(iter(settings))}."
            )
        return copy.deepcopy(fusion)
    if not callable(fusion):
        raise TypeError(
            f"The 'fusion' parameter of {owner} must be one of {', '.join(map(repr, FUSIONS))}, a "
            f"torch module class or instance, or a callable that returns one. Got {fusion!r}."
        )
    parameters = inspect.signature(fusion).parameters.values()
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = [p.name for p in parameters if p.name != "widths"]
    for key in settings:
        if key not in known and not any_name:
            raise ValueError(
                f"fusion__{key}: the fusion {getattr(fusion, '__name__', fusion)} takes "
                f"{', '.join(known) or 'no settings'}{did_you_mean(key, known)}"
            )
    try:
        module = fusion(widths, **settings)
    except Exception as error:  # whatever the user's code raises
        kind = error_kind(error)
        raise kind(f"The fusion could not be made: {error}") from error
    if not isinstance(module, nn.Module):
        raise TypeError(f"fusion made {type(module).__name__}; a torch module is needed.")
    return module
