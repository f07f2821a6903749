"""Constructor parameters: names, nested settings, device, and what a pickle holds."""

import inspect
import re
from functools import wraps

import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNet

from ._validation import nearest
from .methods import METHODS
from .training.device import resolve_device
from .training.loop import TrainingLoop

__all__ = ["ParameterHandling"]

# Parts of ours with nested settings (``method__beta``); they take effect at the next fit.
_OWN = ("method", "encoders", "fusion")
# Parts that skorch would make anew at once in ``set_params``, fitted model or not.
_PARTS = (*_OWN, "criterion", "iterator_train", "iterator_valid", "compile")


class ParameterHandling(TrainingLoop):
    """Parameters by scikit-learn's rules, on top of skorch's ``part__name`` settings."""

    prefixes_ = [*NeuralNet.prefixes_, *_OWN]

    def _check_names(self, kwargs):
        """Refuse a misspelt constructor argument, with the nearest name."""
        parts = {*self.prefixes_, "criterion", "optimizer"}
        for key in kwargs:
            part, dunder, setting = key.partition("__")
            if dunder and part in parts and setting:
                continue
            options = [*self._signature_names(), *(f"{part}__..." for part in parts)]
            close = nearest(f"{part}__..." if dunder else key, options)
            if any(key in method._get_param_names() for method in METHODS.values()):
                close = f": it is a setting of the method, 'method__{key}'"
            raise TypeError(
                f"{type(self).__name__} has no parameter {key!r}"
                f"{close or '; see get_params() for what there is'}"
            )

    @classmethod
    def _signature_names(cls):
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]

    def _get_param_names(self):
        # skorch lists every attribute; only constructor arguments are parameters.
        nested = [k for k in vars(self) if "__" in k and not k.startswith("_") and k[-1] != "_"]
        # The property `device` says what was resolved; `get_params` adds what was given.
        return [k for k in [*self._signature_names(), *nested] if k != "device"]

    def get_params(self, deep=True):
        return {**super().get_params(deep=deep), "device": vars(self)["device"]}

    def set_params(self, **params):
        """Set parameters; see `get_params` for their names.

        Parameters of the network and the method take effect at the next ``fit``; until then a
        fitted model stays as it is. Those of the optimizer, such as ``lr``, also reach a running
        optimizer (for callbacks, and for ``warm_start``). Nested settings such as
        ``fusion__width`` stay when the part is replaced; ``fit`` refuses one that the new part
        does not take.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        for key in params:
            part, dunder, _ = key.partition("__")
            # skorch would take any name that begins with a part's, such as `fusionn`.
            if not dunder and key not in self._signature_names():
                raise ValueError(
                    f"Invalid parameter {key!r} for {type(self).__name__}"
                    f"{nearest(key, self._signature_names())}"
                )
            if dunder and part not in {*self.prefixes_, "criterion", "optimizer"}:
                raise ValueError(
                    f"Invalid parameter {key!r} for {type(self).__name__}: it has no part "
                    f"{part!r}{nearest(part, self.prefixes_)}"
                )
        plain = {k: v for k, v in params.items() if k.partition("__")[0] in _PARTS}
        # The settings of a running optimizer; skorch would forget them at the next fit.
        kept = {k: v for k, v in params.items() if re.fullmatch(r"optimizer__(?!.+__).+", k)}
        if "optimizer" in params:
            plain["optimizer"] = params["optimizer"]
        rest = {k: v for k, v in params.items() if k not in plain}
        if rest:
            super().set_params(**rest)
        for key, value in {**plain, **kept}.items():
            setattr(self, key, value)
        return self

    @property
    def device(self):
        given = vars(self)["device"]
        if not isinstance(given, str | int | torch.device | None):
            raise ValueError(f"device={given!r}: a name such as 'auto' or 'cpu' is needed.")
        return resolve_device(given, str(self.dtype))

    @device.setter
    def device(self, value):
        vars(self)["device"] = value

    def __getstate__(self):
        state = super().__getstate__()
        # What belongs to a running fit only.
        return {
            k: v
            for k, v in state.items()
            if k not in ("_run", "_n_batches", "_plan", "_drop_rates", "_score")
        }

    def __setstate__(self, state):
        given, keep = state["device"], state["device"] in (None, "auto")
        try:
            device = str(resolve_device(given, str(state["dtype"])))
        except ValueError:  # a wrong one is refused by fit, not by a copy
            device, keep = "cpu", True
        super().__setstate__({**state, "device": device})
        if keep:
            vars(self)["device"] = given

    def __repr__(self, **kwargs):
        return BaseEstimator.__repr__(self, **kwargs)


def merged_init(init, base, **defaults):
    """A constructor that shows the parameters it hands on to its base class.

    Parameters
    ----------
    init : function
        A constructor that takes ``**kwargs`` and hands them on.
    base : class
        Whose constructor gets them.
    **defaults
        Other default values of parameters of `init`.

    Returns
    -------
    function
        Does what `init` does; its signature has the parameters of both.
    """
    own = inspect.signature(init)

    @wraps(init)
    def __init__(self, *args, **kwargs):
        given = own.bind_partial(self, *args).arguments
        init(self, *args, **{k: v for k, v in defaults.items() if k not in given} | kwargs)

    named = [
        p.replace(default=defaults.get(p.name, p.default))
        for p in own.parameters.values()
        if p.kind is not p.VAR_KEYWORD
    ]
    theirs = inspect.signature(base.__init__).parameters.values()
    handed = [
        p.replace(kind=p.KEYWORD_ONLY) if p.kind is p.POSITIONAL_OR_KEYWORD else p
        for p in theirs
        if p.name not in own.parameters and p.kind is not p.VAR_KEYWORD
    ]
    rest = [p for p in theirs if p.kind is p.VAR_KEYWORD]
    __init__.__signature__ = own.replace(parameters=[*named, *handed, *rest])
    return __init__
