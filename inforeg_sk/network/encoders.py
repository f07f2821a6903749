"""Encoders by name, shape, class or instance: one for each modality, to a feature vector."""

import copy
import inspect
from collections.abc import Mapping
from math import prod

import torch
from torch import nn

from ..utils.parameters import error_kind
from ..utils.suggestions import did_you_mean, lookup
from .checks import not_vectors
from .images import CNNEncoder, ResNet18Encoder, warn_of_layout
from .sequences import GRUEncoder, TransformerEncoder
from .vectors import MLPEncoder

__all__ = ["ENCODERS", "FLATTENED", "build_encoders", "feature_width", "is_built_in", "is_light"]

ENCODERS = {
    "mlp": MLPEncoder,
    "gru": GRUEncoder,
    "transformer": TransformerEncoder,
    "cnn": CNNEncoder,
    "resnet18": ResNet18Encoder,
}

# Floating types are those of the network.
_TYPES = {"int": torch.int64, "bool": torch.bool}
# What "auto" takes, by the number of axes of one sample.
_BY_AXES = {1: "mlp", 2: "mlp", 3: "cnn", 4: "cnn"}
# Values of a sample up to which it takes an MLP for sequences, as measured in
# benchmarks/DEFAULTS.rst; beyond, the first layer would grow without limit.
FLATTENED = 10_000


def build_encoders(encoders, shapes, settings, owner="MultimodalNetwork"):
    """Make one encoder for each modality.

    Parameters
    ----------
    encoders : "auto", name, class, callable, or dict of str to any of these or to a module
        See ``MultimodalClassifier``. Instances are copied, never trained in place; one instance
        that a dict gives to several modalities stays shared between their copies.
    shapes : dict of str to tuple of int, or to dict of str to ArraySpec
        Shape of one sample of each modality, in sorted-name order.
    settings : dict
        ``{"hidden": 32}`` for every encoder that takes it, ``{"text__hidden": 32}`` for one.
    owner : str, default="MultimodalNetwork"
        Whose parameters they are, for errors.

    Returns
    -------
    dict of str to torch.nn.Module

    Raises
    ------
    TypeError, ValueError
        If a name, a modality or a setting is unknown, or an encoder cannot be made.

    Warns
    -----
    UserWarning
        If the channels of images or videos seem not to be the first axis of a sample.
    """
    if isinstance(encoders, nn.Module):
        raise TypeError(
            "encoders is one module instance, which all modalities would share; give its class, "
            "or a dict such as {'text': module}."
        )
    given = encoders if isinstance(encoders, Mapping) else dict.fromkeys(shapes, encoders)
    unknown = [name for name in given if name not in shapes]
    if unknown:
        raise ValueError(
            f"The 'encoders' parameter of {owner} names {', '.join(map(repr, unknown))}, but the "
            "modalities are "
            f"{', '.join(map(repr, shapes))}{did_you_mean(unknown[0], shapes)}"
        )
    factories = {
        name: _factory(name, given.get(name, "auto"), shape, owner)
        for name, shape in shapes.items()
    }
    for name, factory in factories.items():
        if factory in (CNNEncoder, ResNet18Encoder):
            warn_of_layout(name, shapes[name])
    kwargs = _distribute(settings, factories)
    # One memo: an instance given to two modalities stays one.
    memo = {}
    return {
        name: _make(name, factory, shapes[name], kwargs[name], memo)
        for name, factory in factories.items()
    }


def is_built_in(encoders, name):
    """Whether a modality gets an encoder of this library that is made anew, by name or class.

    Parameters
    ----------
    encoders :
        See `build_encoders`.
    name : str
        The modality.
    """
    spec = encoders.get(name, "auto") if isinstance(encoders, Mapping) else encoders
    return isinstance(spec, str) or any(spec is kind for kind in ENCODERS.values())


def is_light(encoder):
    """Whether a pass takes little more memory than what the encoder gets.

    Parameters
    ----------
    encoder : torch.nn.Module
    """
    return type(encoder) in (MLPEncoder, GRUEncoder)


def _factory(name, spec, shape, owner):
    """Turn what the user gave for one modality into a class, callable or instance."""
    parameter = f"encoders[{name!r}]"
    if isinstance(spec, str):
        if isinstance(shape, dict):
            raise ValueError(
                f"encoders[{name!r}]={spec!r}: no built-in encoder takes a modality that is made "
                f"of several arrays ({', '.join(shape)}). Give one that takes a dict of tensors, "
                f"such as encoders={{{name!r}: PretrainedEncoder(module)}}."
            )
        if spec == "auto":
            if len(shape) not in _BY_AXES:
                raise ValueError(
                    f"No built-in encoder is chosen for modality {name!r}, whose samples have "
                    f"shape {shape}: 'auto' knows vectors (n_features,), sequences (n_steps, "
                    "n_features), images (channels, height, width) and videos (channels, frames, "
                    "height, width). Give one, "
                    f"encoders={{{name!r}: module class, callable, instance or name}}."
                )
            long = len(shape) == 2 and prod(shape) > FLATTENED
            return ENCODERS["gru" if long else _BY_AXES[len(shape)]]
        others = ", 'auto', a torch module class or instance, or a callable"
        return lookup(spec, ENCODERS, parameter, owner, others)
    if isinstance(spec, nn.Module) or callable(spec):
        return spec
    raise TypeError(
        f"The {parameter!r} parameter of {owner} must be one of 'auto', "
        f"{', '.join(map(repr, ENCODERS))}, a torch module class or instance, or a callable that "
        f"returns one. Got {spec!r}."
    )


def _parameters(factory):
    """Names of the settings a factory takes, and whether it takes any."""
    if isinstance(factory, nn.Module):
        return set(), False
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # builtins have none
        return set(), False
    return {p.name for p in parameters}, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _distribute(settings, factories):
    """Give each encoder its settings: those by its name, and those for all that it takes."""
    kwargs = {name: {} for name in factories}
    specific = []
    for key, value in settings.items():
        # The longest name wins, should one modality's name begin another's.
        owners = [n for n in factories if key.startswith(f"{n}__")]
        if owners:
            specific.append((max(owners, key=len), key, value))
            continue
        takers = [n for n, f in factories.items() if key in _parameters(f)[0] or _parameters(f)[1]]
        if not takers:
            known = sorted(set().union(*(_parameters(f)[0] for f in factories.values())))
            if "__" in key:
                modality = key.partition("__")[0]
                raise ValueError(
                    f"encoders__{key}: {modality!r} is not a modality; the modalities are "
                    f"{', '.join(map(repr, factories))}{did_you_mean(modality, factories)}"
                )
            raise ValueError(
                f"encoders__{key}: no encoder takes it; they take "
                f"{', '.join(known) or 'no settings'}{did_you_mean(key, known)}"
            )
        for name in takers:
            kwargs[name][key] = value
    for name, key, value in specific:
        parameter = key[len(name) + 2 :]
        known, any_name = _parameters(factories[name])
        if parameter not in known and not any_name:
            raise ValueError(
                f"encoders__{key}: the encoder of {name!r} takes "
                f"{', '.join(sorted(known)) or 'no settings'}{did_you_mean(parameter, known)}"
            )
        kwargs[name][parameter] = value
    return kwargs


def _make(name, factory, shape, kwargs, memo):
    if isinstance(factory, nn.Module):
        return copy.deepcopy(factory, memo)
    known, any_name = _parameters(factory)
    if "input_shape" in known or any_name:
        kwargs = {"input_shape": input_shape(shape), **kwargs}
    elif "in_features" in known and not isinstance(shape, dict):
        # torch's own name, as in nn.Linear
        kwargs = {"in_features": shape[-1], **kwargs}
    try:
        module = factory(**kwargs)
    except Exception as error:  # whatever the user's code raises
        kind = error_kind(error)
        raise kind(f"The encoder of modality {name!r} could not be made: {error}") from error
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"encoders[{name!r}] made {type(module).__name__}; a torch module is needed."
        )
    return module


def input_shape(shape):
    """What encoders get as ``input_shape``: a tuple, or a dict of tuples for several arrays."""
    if isinstance(shape, dict):
        return {part: spec.shape for part, spec in shape.items()}
    return shape


def zero_samples(shape, n_samples, dtype):
    """Samples of zeros.

    Parameters
    ----------
    shape : tuple of int, or dict of str to ArraySpec
        Of one sample.
    n_samples : int
    dtype : torch.dtype
        Type of the floats.

    Returns
    -------
    Tensor of shape (n_samples, ...), or dict of str to Tensor
    """
    if isinstance(shape, dict):
        return {
            part: torch.zeros(n_samples, *spec.shape, dtype=_TYPES.get(spec.kind, dtype))
            for part, spec in shape.items()
        }
    return torch.zeros(n_samples, *shape, dtype=dtype)


def feature_width(name, encoder, shape, dtype):
    """Number of features that an encoder gives, found by a forward pass of two zero samples.

    Also gives lazy layers their sizes. Evaluation mode: no random number is drawn and no running
    statistic moves.

    Raises
    ------
    ValueError
        If the encoder fails, or gives something else than one vector a sample.
    """
    mode = encoder.training
    try:
        with torch.no_grad():
            features = encoder.eval()(zero_samples(shape, 2, dtype))
    except Exception as error:  # whatever the user's code raises
        several = " It gets a dict of tensors; PretrainedEncoder(module) hands them on by name."
        raise ValueError(
            f"The encoder of modality {name!r} failed on samples of shape {input_shape(shape)}: "
            f"{type(error).__name__}: {error}{several if isinstance(shape, dict) else ''}"
        ) from error
    finally:
        encoder.train(mode)
    problem = not_vectors(features)
    if problem:
        raise ValueError(f"The encoder of modality {name!r} gave {problem}.")
    return features.shape[1]
