"""What goes to transformers beside the values: the target and routed metadata, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass

from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from ..utils.compat import safe_indexing
from .rows import count_rows

__all__ = ["Metadata", "make_router", "route_name"]

# Metadata of these names are always one value a sample.
_BY_SAMPLE = ("sample_weight", "groups")


@dataclass
class Metadata:
    """Target and metadata of one modality's transformer.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_targets), or None
    routed : mapping of str to dict
        The metadata of each method of the transformer. What has one entry for each sample goes with
        the samples; anything else is handed on as it is.
    n_samples : int
    who : str
        Begins errors.
    """

    y: object
    routed: Mapping
    n_samples: int
    who: str

    def __post_init__(self):
        by_sample = {key: v for kwargs in self.routed.values() for key, v in kwargs.items()}
        by_sample = {key: by_sample.get(key) for key in _BY_SAMPLE}
        for key, values in {"y": self.y, **by_sample}.items():
            n = count_rows(values)
            if values is not None and n != self.n_samples:
                raise ValueError(
                    f"{self.who}: inconsistent numbers of samples: [{self.n_samples}, {n}]: "
                    f"{key} must have one entry for each sample of the modality."
                )

    def of(self, method):
        """Metadata of a method (dict)."""
        return dict(self.routed.get(method, {}))

    def take(self, rows):
        """Those of some rows (ndarray of int), which may name a sample several times."""
        routed = {
            method: {key: self._take(values, rows) for key, values in kwargs.items()}
            for method, kwargs in self.routed.items()
        }
        return Metadata(self._take(self.y, rows), routed, len(rows), self.who)

    def _take(self, values, rows):
        return safe_indexing(values, rows) if count_rows(values) == self.n_samples else values


def route_name(transformers, name):
    """Name in the router of a modality's transformer."""
    return f"transformers[{name!r}]" if isinstance(transformers, Mapping) else "transformers"


def make_router(owner, transformers):
    """Say which methods of the transformers are called, as scikit-learn's metadata routing asks.

    Parameters
    ----------
    owner : ModalityTransformer
    transformers : transformer, or mapping of str to transformer

    Returns
    -------
    MetadataRouter
        An entry for each transformer; see `route_name`.
    """
    router = MetadataRouter(owner=owner)
    given = transformers if isinstance(transformers, Mapping) else {None: transformers}
    for name, transformer in given.items():
        calls = MethodMapping().add(caller="fit", callee="fit")
        calls.add(caller="transform", callee="transform")
        at_once = hasattr(transformer, "fit_transform")
        for callee in ("fit_transform",) if at_once else ("fit", "transform"):
            calls.add(caller="fit_transform", callee=callee)
        if not isinstance(transformer, str):
            router.add(method_mapping=calls, **{route_name(transformers, name): transformer})
    return router
