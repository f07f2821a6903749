"""InfoReg's main settings as parameters of an estimator, and its curves as attributes."""

from typing import ClassVar

from ..methods import InfoReg
from .base import MultimodalEstimator

__all__ = ["INFOREG_CONSTRAINTS", "InfoRegEstimator"]

_FLAT = (
    "alpha",
    "beta",
    "window_threshold",
    "window_smoothing",
    "unimodal_weight",
    "pull",
    "padding",
    "first_epoch",
)
_DEFAULTS = {name: InfoReg().get_params(deep=False)[name] for name in _FLAT}
INFOREG_CONSTRAINTS = {name: InfoReg._parameter_constraints[name] for name in _FLAT}


class InfoRegEstimator(MultimodalEstimator):
    """What the estimators that are trained with InfoReg share."""

    #: The estimator that takes other methods.
    _general: ClassVar[str]

    def method_settings(self):
        """Settings of the method: ``method__...``, as presets have them, and the flat ones."""
        if not (isinstance(self.method, type) and issubclass(self.method, InfoReg)):
            raise TypeError(
                f"The 'method' parameter of {type(self).__name__} must be the class InfoReg or a "
                "subclass, since its settings are alpha, beta, ... and method__...; another method "
                f"or an instance is for {self._general}(method=...). Got {self.method!r}."
            )
        flat = {name: getattr(self, name) for name in _FLAT}
        nested = super().method_settings()
        for key in nested:
            if key in flat and flat[key] != _DEFAULTS[key]:
                raise ValueError(
                    f"{type(self).__name__} got both {key}={flat[key]!r} and "
                    f"method__{key}={nested[key]!r}, which are the same setting: give one of them."
                )
        return {**flat, **nested}

    @property
    def fisher_trace_(self):
        return self._curve("fisher_trace")

    @property
    def performance_score_(self):
        return self._curve("performance_score")

    @property
    def window_(self):
        return self._curve("window")

    @property
    def window_ratio_(self):
        return self._curve("window_ratio")

    @property
    def coefficient_(self):
        return self._curve("coefficient")

    def _curve(self, quantity):
        curves = self.curves_
        if quantity not in curves:
            raise AttributeError(f"{quantity}_ was not recorded: fisher={self.fisher!r}.")
        return curves[quantity]
