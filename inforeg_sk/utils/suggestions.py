"""The nearest name to one that is wrong."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

__all__ = ["did_you_mean", "lookup"]


def did_you_mean(name: object, options: Iterable[str]) -> str:
    """End a message: ``"; did you mean 'x'?"`` with the option nearest to `name`, or ``"."``."""
    close = get_close_matches(str(name), list(options), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def lookup(
    name: str, registry: Mapping[str, Any], parameter: str, owner: str, others: str = ""
) -> Any:
    """Return ``registry[name]``, or raise a ValueError that lists what is accepted."""
    if name not in registry:
        raise ValueError(
            f"The {parameter!r} parameter of {owner} must be one of "
            f"{', '.join(map(repr, registry))}{others}. Got {name!r}{did_you_mean(name, registry)}"
        )
    return registry[name]
