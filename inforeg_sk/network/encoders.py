"""Encoders: from the raw values of one modality to a feature vector."""

import copy
import inspect
from collections.abc import Mapping
from math import prod
from numbers import Integral

import torch
from torch import nn

from .._validation import lookup, nearest
from .dropout import Dropout

__all__ = ["ENCODERS", "GRUEncoder", "MLPEncoder", "build_encoders"]


class MLPEncoder(nn.Sequential):
    """Multilayer perceptron: linear, ReLU and dropout, once for each hidden layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; more than one axis is flattened.
    hidden : int or sequence of int, default=64
        Widths of the layers; the last is the number of features that come out.
    dropout : float, default=0.0
        Probability with which a unit is dropped in training, in [0, 1).

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import MLPEncoder
    >>> MLPEncoder((10,), hidden=(32, 16))(torch.zeros(4, 10)).shape
    torch.Size([4, 16])
    """

    def __init__(self, input_shape, hidden=64, dropout=0.0):
        layers, width = [nn.Flatten()] if len(input_shape) > 1 else [], prod(input_shape)
        for units in [hidden] if isinstance(hidden, Integral) else hidden:
            if not isinstance(units, Integral) or units < 1:
                raise ValueError(f"hidden={hidden!r}: positive integers are needed.")
            layers += [nn.Linear(width, units), nn.ReLU()]
            if dropout != 0:
                layers.append(Dropout(dropout))
            width = units
        super().__init__(*layers)


class GRUEncoder(nn.Module):
    """Gated recurrent units over a sequence; the last step's state is the feature vector.

    Parameters
    ----------
    input_shape : tuple of two int
        ``(n_steps, n_features)`` of one sample.
    hidden : int, default=64
        Width of the state, which is the number of features that come out.
    n_layers : int, default=1
        Stacked layers.
    dropout : float, default=0.0
        Probability with which a unit is dropped in training, after each layer, in [0, 1).

    Examples
    --------
    >>> import torch
    >>> from inforeg_sk.network import GRUEncoder
    >>> GRUEncoder((20, 6), hidden=8)(torch.zeros(4, 20, 6)).shape
    torch.Size([4, 8])
    """

    def __init__(self, input_shape, hidden=64, n_layers=1, dropout=0.0):
        super().__init__()
        if len(input_shape) != 2:
            raise ValueError(
                f"GRUEncoder takes sequences, (n_steps, n_features) a sample; got {input_shape}."
            )
        if not all(isinstance(v, Integral) and v > 0 for v in (hidden, n_layers)):
            raise ValueError(
                f"hidden={hidden!r}, n_layers={n_layers!r}: positive integers are needed."
            )
        # Single layers, since torch's own dropout between layers draws on the global generator.
        widths = [input_shape[1]] + [hidden] * n_layers
        self.layers = nn.ModuleList(
            nn.GRU(widths[i], hidden, batch_first=True) for i in range(n_layers)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x):
        for layer in self.layers:
            x = self.dropout(layer(x)[0])
        return x[:, -1]


ENCODERS = {"mlp": MLPEncoder, "gru": GRUEncoder}

# What "auto" takes, by the number of axes of one sample.
_BY_AXES = {1: "mlp", 2: "gru"}


def build_encoders(encoders, shapes, settings):
    """Make one encoder for each modality.

    Parameters
    ----------
    encoders : "auto", name, class, callable, or dict of str to any of these or to a module
        See ``MultimodalClassifier``. Instances are copied, never trained in place; one instance
        that a dict gives to several modalities stays shared between their copies.
    shapes : dict of str to tuple of int
        Shape of one sample of each modality, in sorted-name order.
    settings : dict
        ``{"hidden": 32}`` for every encoder that takes it, ``{"text__hidden": 32}`` for one.

    Returns
    -------
    dict of str to torch.nn.Module

    Raises
    ------
    TypeError, ValueError
        If a name, a modality or a setting is unknown, or an encoder cannot be made.
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
            f"encoders names {', '.join(map(repr, unknown))}, but the modalities are "
            f"{', '.join(map(repr, shapes))}{nearest(unknown[0], shapes)}"
        )
    factories = {
        name: _factory(name, given.get(name, "auto"), shape) for name, shape in shapes.items()
    }
    kwargs = _distribute(settings, factories)
    # One memo: an instance given to two modalities stays one.
    memo = {}
    return {
        name: _make(name, factory, shapes[name], kwargs[name], memo)
        for name, factory in factories.items()
    }


def _factory(name, spec, shape):
    """Turn what the user gave for one modality into a class, callable or instance."""
    if isinstance(spec, str):
        if spec == "auto":
            if len(shape) not in _BY_AXES:
                raise ValueError(
                    f"No built-in encoder is chosen for modality {name!r}, whose samples have "
                    f"shape {shape}: 'auto' knows vectors and sequences. Give one, "
                    f"encoders={{{name!r}: module class, callable, instance or name}}."
                )
            spec = _BY_AXES[len(shape)]
        return lookup(spec, ENCODERS, f"encoders[{name!r}]")
    if isinstance(spec, nn.Module) or callable(spec):
        return spec
    raise TypeError(
        f"encoders[{name!r}] is {spec!r}; accepted are 'auto', {', '.join(map(repr, ENCODERS))}, "
        "a torch module class or instance, or a callable that returns one."
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
            raise ValueError(
                f"encoders__{key}: no encoder takes it; they take "
                f"{', '.join(known) or 'no settings'}{nearest(key, known)}"
            )
        for name in takers:
            kwargs[name][key] = value
    for name, key, value in specific:
        parameter = key[len(name) + 2 :]
        known, any_name = _parameters(factories[name])
        if parameter not in known and not any_name:
            raise ValueError(
                f"encoders__{key}: the encoder of {name!r} takes "
                f"{', '.join(sorted(known)) or 'no settings'}{nearest(parameter, known)}"
            )
        kwargs[name][parameter] = value
    return kwargs


def _make(name, factory, shape, kwargs, memo):
    if isinstance(factory, nn.Module):
        return copy.deepcopy(factory, memo)
    known, any_name = _parameters(factory)
    if "input_shape" in known or any_name:
        kwargs = {"input_shape": shape, **kwargs}
    elif "in_features" in known:  # torch's own name, as in nn.Linear
        kwargs = {"in_features": shape[-1], **kwargs}
    try:
        module = factory(**kwargs)
    except Exception as error:  # whatever the user's code raises
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"The encoder of modality {name!r} could not be made: {error}") from error
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"encoders[{name!r}] made {type(module).__name__}; a torch module is needed."
        )
    return module


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
            features = encoder.eval()(torch.zeros(2, *shape, dtype=dtype))
    except Exception as error:  # whatever the user's code raises
        raise ValueError(
            f"The encoder of modality {name!r} failed on samples of shape {shape}: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        encoder.train(mode)
    problem = not_vectors(features)
    if problem:
        raise ValueError(f"The encoder of modality {name!r} gave {problem}.")
    return features.shape[1]


def not_vectors(output):
    """Say what is wrong if `output` is not one vector of floats for each of 2 samples, or None."""
    if not isinstance(output, torch.Tensor):
        got = type(output)
    elif output.ndim != 2 or len(output) != 2 or output.shape[1] == 0:
        got = tuple(output.shape)
    elif not output.is_floating_point():
        got = output.dtype
    else:
        return None
    return f"{got} for 2 samples; it must give a tensor of floats of shape (n_samples, n_features)"
