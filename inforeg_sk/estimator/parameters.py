"""Constructor parameters: names, nested settings, subclasses, and what a pickle holds."""

import inspect
import re
import warnings
import weakref

from sklearn.base import BaseEstimator
from skorch import NeuralNet

from ..training.device import resolve_device
from ..training.loop import TrainingLoop
from ..utils.compat import OwnParametersInHtml
from ..utils.suggestions import did_you_mean
from .plan import methods_that_take
from .saving import versions

__all__ = ["ParameterHandling"]

# Parts of ours with nested settings (``method__beta``); they take effect at the next fit.
_OWN = ("method", "encoders", "fusion")
#: Names that other libraries have for parameters here.
_ALIASES = {
    **dict.fromkeys(("learning_rate", "learning_rate_init", "eta0", "step_size"), "lr"),
    **dict.fromkeys(("max_iter", "n_iter", "epochs", "n_epochs", "num_epochs"), "max_epochs"),
    **dict.fromkeys(("seed", "random_seed"), "random_state"),
    **dict.fromkeys(("hidden_layer_sizes", "hidden", "hidden_size"), "encoders__hidden"),
    **dict.fromkeys(("weight_decay", "momentum"), "optimizer__{}"),
    "dropout": "encoders__dropout",
    "validation_split": "validation_fraction",
    "patience": "n_iter_no_change",
    "solver": "optimizer",
    "loss": "criterion",
}
# Parts that skorch would make anew at once in ``set_params``, fitted model or not.
_PARTS = (*_OWN, "criterion", "iterator_train", "iterator_valid", "compile")


def _elsewhere(key):
    """End a message on a name that has another one here, or is a setting of a method; or ""."""
    of_methods = methods_that_take(key)
    if key in _ALIASES:
        more = f", or 'method__{key}' of a method" if of_methods else ""
        return f"; it is called {_ALIASES[key].format(key)!r} here{more}."
    return f": {of_methods}." if of_methods else ""


class ParameterHandling(OwnParametersInHtml, TrainingLoop):
    """Parameters by scikit-learn's rules, on top of skorch's ``part__name`` settings.

    A subclass may hand parameters on by ``**kwargs``: they stay its parameters, as do those that
    it names itself. One that it fixes, ``super().__init__(alpha=0, **kwargs)``, is none.
    """

    prefixes_ = [*NeuralNet.prefixes_, *_OWN]

    def _check_names(self, kwargs):
        """Refuse a misspelt constructor argument, with the nearest name."""
        parts = {*self.prefixes_, "criterion", "optimizer"}
        for key in kwargs:
            part, dunder, setting = key.partition("__")
            if dunder and part in parts and setting:
                continue
            options = [*_named(type(self)), *(f"{part}__..." for part in parts)]
            close = did_you_mean(f"{part}__..." if dunder else key, options)
            close = _elsewhere(key) or close
            raise TypeError(
                f"{type(self).__name__} has no parameter {key!r}"
                f"{'; get_params() lists the parameters.' if close == '.' else close}"
            )

    def _signature_names(self):
        """Names of the constructor's parameters, those that ``**kwargs`` hand on included."""
        names = _named(type(self))
        fixed = _fixed(type(self), {name: vars(self).get(name) for name in names})
        return [name for name in names if name not in fixed]

    def _get_param_names(self):
        # skorch lists every attribute; only constructor arguments are parameters.
        nested = [k for k in vars(self) if "__" in k and not k.startswith("_") and k[-1] != "_"]
        # The property `device` says what was resolved; `get_params` adds what was given.
        return [k for k in [*self._signature_names(), *nested] if k != "device"]

    def get_params(self, deep=True):
        params = super().get_params(deep=deep)
        if "device" in self._signature_names():
            params["device"] = vars(self)["device"]
        return params

    def set_params(self, **params):
        """Set parameters; see `get_params` for their names.

        Parameters of the network and the method take effect at the next ``fit``; until then a
        fitted model stays as it is. A fit that goes on (``warm_start``, ``partial_fit``) keeps
        network, criterion and optimizer, and warns. Settings of the optimizer, such as ``lr``, also
        reach a running optimizer (for callbacks, and for ``warm_start``). Nested settings such as
        ``fusion__width`` stay when the part is replaced; ``fit`` refuses one that the new part
        does not take.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        names = self._signature_names()
        for key in params:
            part, dunder, _ = key.partition("__")
            # skorch would take any name that begins with a part's, such as `fusionn`.
            if not dunder and key not in names:
                close = _elsewhere(key) or did_you_mean(key, names)
                raise ValueError(f"Invalid parameter {key!r} for {type(self).__name__}{close}")
            if dunder and part not in {*self.prefixes_, "criterion", "optimizer"}:
                raise ValueError(
                    f"Invalid parameter {key!r} for {type(self).__name__}: it has no part "
                    f"{part!r}{did_you_mean(part, self.prefixes_)}"
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

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_cached", None)
        return {**state, "_versions": versions()}

    def __setstate__(self, state):
        state = dict(state)
        self._check_versions(state.pop("_versions", {}))
        given, keep = state["device"], state["device"] in (None, "auto")
        try:
            device = str(resolve_device(given, str(state["dtype"]), type(self).__name__))
        except ValueError:  # a wrong one is refused by fit, not by a copy
            device, keep = "cpu", True
        super().__setstate__({**state, "device": device})
        if keep:
            vars(self)["device"] = given

    def _check_versions(self, then):
        now = versions()
        if then != now:
            was = ", ".join(f"{k} {then[k]}" for k in now if k in then) or "an unknown version"
            found = ", ".join(f"{k} {v}" for k, v in now.items())
            warnings.warn(
                f"This {type(self).__name__} was saved with {was}, and is loaded with {found}: it "
                "may fail, or predict something else. Load it with the versions that saved it, or "
                "fit anew.",
                UserWarning,
                stacklevel=3,
            )

    def __repr__(self, **kwargs):
        return BaseEstimator.__repr__(self, **kwargs)


def _named(cls):
    """Parameters that the constructors of a class name, from the class down its bases.

    A base's are taken in only as far as ``**kwargs`` hand them on.
    """
    names = {}
    for base in cls.__mro__:
        if base is NeuralNet:  # what it takes is written out by the classes above it
            break
        init = vars(base).get("__init__")
        if init is None:
            continue
        parameters = inspect.signature(init).parameters.values()
        names.update(
            (p.name, None)
            for p in list(parameters)[1:]
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        )
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return list(names)


# Parameters that a subclass's constructor fixes, by class: found once, by trying.
_FIXED = weakref.WeakKeyDictionary()


def _fixed(cls, values):
    """Parameters that ``super().__init__(alpha=0, **kwargs)`` fixes, and a caller cannot give."""
    if cls.__module__.startswith("inforeg_sk."):
        return ()
    if cls not in _FIXED:
        fixed, values = [], dict(values)
        while True:
            try:
                cls(**values)
            except TypeError as error:
                found = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", str(error))
                if found is None or found[1] not in values:
                    break
                fixed.append(found[1])
                del values[found[1]]
            except Exception:  # whatever a user's constructor checks; nothing more is to be found
                break
            else:
                break
        _FIXED[cls] = tuple(fixed)
    return _FIXED[cls]
