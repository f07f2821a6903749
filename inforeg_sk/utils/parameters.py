"""Parameters of estimators, transformers, methods and functions: one table, one message."""

from collections.abc import Iterable, Mapping
from math import inf, isfinite, isnan
from numbers import Integral, Real
from typing import Any

from .suggestions import did_you_mean

__all__ = [
    "ByName",
    "Constraint",
    "Instance",
    "Interval",
    "InvalidParameterError",
    "IsCallable",
    "IsNaN",
    "IsNone",
    "Options",
    "SequenceOf",
    "Splits",
    "Subclass",
    "check_parameter",
    "check_parameters",
    "error_kind",
]


class InvalidParameterError(ValueError, TypeError):
    """A parameter has a value of the wrong type, or out of range; as scikit-learn's, it is both."""


def error_kind(error: Exception) -> type[Exception]:
    """The class to raise an error of a part again with: what callers catch stays the same."""
    if isinstance(error, InvalidParameterError):
        return InvalidParameterError
    return TypeError if isinstance(error, TypeError) else ValueError


class Constraint:
    """What a parameter may be; `str` gives it in words that follow "must be"."""

    def accepts(self, value: Any) -> bool:
        """Whether the value satisfies the constraint."""
        raise NotImplementedError


class Interval(Constraint):
    """A number in an interval.

    Parameters
    ----------
    kind : {Integral, Real}
    low, high : float, default=-inf, inf
        Bounds. Finite bounds that belong to the interval are said by `closed`; infinite values are
        refused unless `infinite`.
    closed : {"both", "left", "right", "neither"}, default="left"
    infinite : bool, default=False
        Whether -inf and inf are accepted where the bounds allow.
    """

    def __init__(
        self,
        kind: type,
        low: float = -inf,
        high: float = inf,
        closed: str = "left",
        infinite: bool = False,
    ) -> None:
        self.kind, self.low, self.high = kind, low, high
        self.closed, self.infinite = closed, infinite

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, self.kind) or isinstance(value, bool):
            return False
        try:
            if isnan(value) or not (self.infinite or isfinite(value)):
                return False
        except OverflowError:  # an int that no float holds
            return False
        above = value >= self.low if self.closed in ("both", "left") else value > self.low
        below = value <= self.high if self.closed in ("both", "right") else value < self.high
        return above and (below or (self.infinite and value == inf))

    def __str__(self) -> str:
        what = "an int" if self.kind is Integral else "a float"
        if self.low == -inf and self.high == inf:
            return "a number, not NaN" if self.infinite else "a finite number"
        if self.low == self.high:
            return f"{self.low:g}"
        left = "[" if self.closed in ("both", "left") and self.low != -inf else "("
        right = "]" if self.closed in ("both", "right") and self.high != inf else ")"
        return f"{what} in {left}{self.low:g}, {self.high:g}{right}"


class Options(Constraint):
    """One of some strings."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.names

    def __str__(self) -> str:
        listed = ", ".join(map(repr, self.names))
        return listed if len(self.names) == 1 else f"one of {listed}"


class Instance(Constraint):
    """An instance of some classes."""

    def __init__(self, *classes: type, text: str | None = None) -> None:
        self.classes = classes
        names = " or ".join(cls.__name__ for cls in classes)
        self.text = text or f"an instance of {names}"

    def accepts(self, value: Any) -> bool:
        if isinstance(value, bool) and bool not in self.classes:
            return False
        return isinstance(value, self.classes)

    def __str__(self) -> str:
        return self.text


class Subclass(Constraint):
    """A subclass of some classes (or one of them)."""

    def __init__(self, *classes: type) -> None:
        self.classes = classes

    def accepts(self, value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, self.classes)

    def __str__(self) -> str:
        names = ", ".join(cls.__name__ for cls in self.classes)
        return f"{names} or a subclass"


class IsCallable(Constraint):
    """A class, a function, or anything else that can be called."""

    def __init__(self, text: str = "a callable") -> None:
        self.text = text

    def accepts(self, value: Any) -> bool:
        return callable(value)

    def __str__(self) -> str:
        return self.text


class IsNone(Constraint):
    """None."""

    def accepts(self, value: Any) -> bool:
        return value is None

    def __str__(self) -> str:
        return "None"


class IsNaN(Constraint):
    """NaN."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Real) and isnan(value)

    def __str__(self) -> str:
        return "NaN"


class SequenceOf(Constraint):
    """A list, tuple or the like of values that each satisfy a constraint.

    Parameters
    ----------
    constraint : Constraint
    empty : bool, default=False
        Whether it may be empty.
    alone : bool, default=False
        Whether no other constraint of the parameter says what the values are.
    """

    def __init__(self, constraint: Constraint, empty: bool = False, alone: bool = False) -> None:
        self.constraint = constraint
        self.empty = empty
        self.alone = alone

    def accepts(self, value: Any) -> bool:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            return False
        values = list(value)
        return (self.empty or bool(values)) and all(map(self.constraint.accepts, values))

    def __str__(self) -> str:
        of = f"values, each {self.constraint}" if self.alone else "these"
        return f"a sequence of {of}" if self.empty else f"a non-empty sequence of {of}"


class ByName(Constraint):
    """A dict from names (of modalities) to values that each satisfy some constraints."""

    def __init__(self, *constraints: Constraint) -> None:
        self.constraints = constraints

    def accepts(self, value: Any) -> bool:
        # The values are checked one by one, so that the message names the entry.
        return isinstance(value, Mapping)

    def __str__(self) -> str:
        return "a dict of these by modality"


class Splits(Constraint):
    """A splitter of scikit-learn, or an iterable of splits."""

    def accepts(self, value: object) -> bool:
        if isinstance(value, str | bytes | Mapping):  # a str has a `split`, too
            return False
        return hasattr(value, "split") or isinstance(value, Iterable)

    def __str__(self) -> str:
        return "a splitter, an iterable of splits"


def check_parameter(name: str, value: Any, constraints: Iterable[Constraint], owner: str) -> None:
    """Raise unless a value satisfies one of the constraints.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
    constraints : iterable of Constraint
    owner : str
        The class or function that has the parameter.

    Raises
    ------
    InvalidParameterError
        ``The 'alpha' parameter of InfoReg must be a float in [0, inf). Got -1.``, with the nearest
        name where a name is wrong. It is a ValueError and a TypeError.
    """
    constraints = list(constraints)
    for constraint in constraints:
        if constraint.accepts(value):
            if isinstance(constraint, ByName):
                for key, entry in value.items():
                    check_parameter(f"{name}[{key!r}]", entry, constraint.constraints, owner)
            return
    accepted = " or ".join(map(str, constraints))
    names = [option for c in constraints if isinstance(c, Options) for option in c.names]
    near = did_you_mean(value, names) if isinstance(value, str) else ""
    got = repr(value)
    if len(got) > 200:
        got = f"{got[:200]}..."
    raise InvalidParameterError(
        f"The '{name}' parameter of {owner} must be {accepted}. Got {got}{near or '.'}"
    )


def check_parameters(
    instance: Any,
    constraints: Mapping[str, Iterable[Constraint]] | None = None,
    owner: str | None = None,
) -> None:
    """Check the parameters of an instance against its class's table.

    Parameters
    ----------
    instance : object
        Its attributes are the values.
    constraints : dict of str to iterable of Constraint, default=None
        None takes the table ``_parameter_constraints`` of its class.
    owner : str, default=None
        None takes the name of its class.
    """
    table = instance._parameter_constraints if constraints is None else constraints
    for name, accepted in table.items():
        check_parameter(name, getattr(instance, name), accepted, owner or type(instance).__name__)
