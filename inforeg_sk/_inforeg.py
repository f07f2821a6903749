"""InfoReg's main settings as parameters of an estimator."""

from .methods import InfoReg

__all__ = ["InfoRegParameters"]

_FLAT = (
    "alpha",
    "beta",
    "window_threshold",
    "window_smoothing",
    "unimodal_weight",
    "strength",
    "padding",
    "first_epoch",
)


class InfoRegParameters:
    """Mixin of the estimators that are trained with InfoReg."""

    def __init__(
        self,
        alpha=3.0,
        beta=0.9,
        window_threshold=0.04,
        window_smoothing=10,
        unimodal_weight=1.0,
        strength="drift",
        *,
        padding="zeros",
        first_epoch="open",
        method=InfoReg,
        **kwargs,
    ):
        super().__init__(method, **kwargs)
        self.alpha = alpha
        self.beta = beta
        self.window_threshold = window_threshold
        self.window_smoothing = window_smoothing
        self.unimodal_weight = unimodal_weight
        self.strength = strength
        self.padding = padding
        self.first_epoch = first_epoch

    def _method_settings(self):
        if not (isinstance(self.method, type) and issubclass(self.method, InfoReg)):
            raise TypeError(
                f"method={self.method!r}: {type(self).__name__} takes the class InfoReg or a "
                "subclass, since its settings are alpha, beta, ... and method__...; another method "
                f"or an instance is for {self._general}(method=...)."
            )
        flat = {name: getattr(self, name) for name in _FLAT}
        nested = self.get_params_for("method")
        for key in nested:
            if key in flat:
                raise ValueError(f"method__{key} is given as {key} here.")
        return {**flat, **nested}

    # What a fit found

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
