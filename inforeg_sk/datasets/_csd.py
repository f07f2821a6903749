"""Reading of computational sequences, the HDF5 files (``.csd``) of the CMU Multimodal SDK."""

import importlib
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

__all__ = ["Entry", "open_sequence"]


class Entry(NamedTuple):
    """The steps of one video, or of a segment of it."""

    where: str  # file and key, for messages
    intervals: np.ndarray  # float64, of shape (n_steps, 2): start and end in seconds
    features: object  # h5py.Dataset of shape (n_steps, n_features)

    def read(self):
        """Read and return the features."""
        return _read(self.features, f"{self.where}/features")


@contextmanager
def open_sequence(path):
    """Open a computational sequence and check its layout.

    The layout is ``<root>/data/<key>/features`` and ``intervals``, where the root has the name of
    the sequence. ``metadata`` next to ``data`` is ignored, since the SDK writes no checksum there.

    The content must be in the file itself. Links, and data sets that are kept in other files, are
    refused, so that a file cannot load another one.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    dict of str to Entry
        The entries by key, in the order of the file; all have the same number of features.

    Raises
    ------
    ImportError
        If h5py is not installed.
    ValueError
        If the file is not HDF5, is damaged or has another layout; the message names file and key.
    """
    h5py = _import_h5py()
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"{path} is not an HDF5 file. A failed download often leaves a web page or a part of "
            "the file."
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} cannot be read as HDF5: {error}.") from error
    with file:
        roots = list(file)
        if len(roots) != 1:
            raise ValueError(
                f"{path} must hold one group, with the name of the sequence; it holds "
                f"{', '.join(map(repr, roots)) or 'nothing'}."
            )
        root = _child(h5py, file, roots[0], h5py.Group, f"{path}: ")
        where = f"{path}: {roots[0]}/"
        data = _child(h5py, root, "data", h5py.Group, where)
        entries = {key: _read_entry(h5py, data, key, f"{where}data/") for key in data}
        if not entries:
            raise ValueError(f"{where}data is empty.")
        (first, width), *others = ((e.where, e.features.shape[1]) for e in entries.values())
        for other, n_features in others:
            if n_features != width:
                raise ValueError(f"{other} has {n_features} features, but {first} has {width}.")
        yield entries


def _import_h5py():
    """Import h5py, of the extra `hdf5`; nothing else imports it."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError(
            f"load_cmu_mosi(features='sdk') needs h5py, which is not installed ({error}): "
            "pip install 'inforeg-sk[hdf5]'."
        ) from error


def _child(h5py, group, name, kind, where):
    """Return the group or data set `name`, which must be in the file itself."""
    # By the low-level functions, because the high-level ones follow links.
    links, encoded = group.id.links, name.encode("utf-8", "surrogateescape")
    if not links.exists(encoded):
        held = ", ".join(map(repr, list(group)[:5])) or "nothing"
        raise ValueError(f"{where}{name} is missing; the group holds {held}.")
    link = links.get_info(encoded).type
    if link != h5py.h5l.TYPE_HARD:
        names = {h5py.h5l.TYPE_EXTERNAL: "an external", h5py.h5l.TYPE_SOFT: "a soft"}
        to = f" to {links.get_val(encoded)}" if link in names else ""
        raise ValueError(
            f"{where}{name} is {names.get(link, 'a user-defined')} link{to}, which is not "
            "followed: the content must be in the file itself."
        )
    child = group[name]
    if not isinstance(child, kind):
        raise ValueError(
            f"{where}{name} must be an HDF5 {kind.__name__}; it is a {type(child).__name__}."
        )
    return child


def _read_entry(h5py, data, key, where):
    """Return one `Entry`; read its intervals, but not its features."""
    group = _child(h5py, data, key, h5py.Group, where)
    where = f"{where}{key}"
    features, intervals = (
        _child_array(h5py, group, name, f"{where}/") for name in ("features", "intervals")
    )
    if features.ndim != 2 or intervals.ndim != 2 or intervals.shape[1] != 2:
        raise ValueError(
            f"{where}: features must have the shape (steps, features) and intervals (steps, 2); "
            f"got {features.shape} and {intervals.shape}."
        )
    if len(features) != len(intervals):
        raise ValueError(
            f"{where} has {len(features)} steps in features but {len(intervals)} in intervals."
        )
    times = _read(intervals, f"{where}/intervals").astype(np.float64)
    if not np.isfinite(times).all():
        at = np.flatnonzero(~np.isfinite(times).all(axis=1))[0]
        raise ValueError(f"{where}/intervals: step {at} has the times {times[at].tolist()}.")
    return Entry(where, times, features)


def _child_array(h5py, group, name, where):
    """Return a data set of numbers that are stored in the file itself."""
    array = _child(h5py, group, name, h5py.Dataset, where)
    if array.external or array.is_virtual:
        raise ValueError(
            f"{where}{name} is kept in other files (external storage or a virtual data set), "
            "which are not read: the content must be in the file itself."
        )
    if array.shape is None or array.dtype.kind not in "biuf":
        held = "nothing" if array.shape is None else f"values of type {array.dtype}"
        raise ValueError(f"{where}{name} must hold numbers; it holds {held}.")
    return array


def _read(array, where):
    try:
        return array[()]
    except (OSError, RuntimeError) as error:  # damaged, or a filter that is not installed
        raise ValueError(f"{where} cannot be read: {error}.") from error
