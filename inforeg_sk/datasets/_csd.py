"""Reading of computational sequences, the HDF5 files (``.csd``) of the CMU Multimodal SDK."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..utils.files import BadFile, check_file, check_size, named, shorten
from ._hdf5 import check_storage, import_h5py, located, read_array

__all__ = ["Entry", "open_sequence"]

_LONGEST_NAME = 255  # characters of a key; that of a video of CMU-MOSI has 11
_SHORTEST_LINK = 8  # bytes that the file takes for a member of a group, at the very least


class Entry(NamedTuple):
    """The steps of one video, or of a segment of it."""

    where: str  # root, data and key, for messages
    intervals: np.ndarray  # float64, of shape (n_steps, 2): start and end in seconds
    features: object  # h5py.Dataset of shape (n_steps, n_features)

    def read(self):
        """Read and return the features."""
        return read_array(self.features, f"{self.where}/features")


@contextmanager
def open_sequence(path, max_bytes):
    """Open a computational sequence and check its layout.

    The layout is ``<root>/data/<key>/features`` and ``intervals``, where the root has the name of
    the sequence. ``metadata`` next to ``data`` is ignored, since the SDK writes no checksum there.

    The content must be in the file itself. Links, and data sets that are kept in other files, are
    refused, so that a file cannot load another one. What a data set claims must be stored: the
    data sets together may not claim more storage than the file has, which they would if the same
    data were linked many times.

    Parameters
    ----------
    path : path-like
    max_bytes : int
        The most memory, in bytes, that the intervals of all entries, and the features of one, may
        take.

    Yields
    ------
    dict of str to Entry
        The entries by key, in the order of the file; all have the same number of features.

    Raises
    ------
    ImportError
        If h5py is not installed.
    FileNotFoundError
        If there is no such file.
    UnreadableFileError
        If the file is not HDF5, is damaged, has another layout or claims more than it stores; the
        message names file and key. Exceptions from the body of the ``with`` statement become this
        error, too.
    """
    h5py = import_h5py()
    with named(path, "an HDF5 file"):
        size = check_file(path)
        if not h5py.is_hdf5(path):
            raise BadFile("it is not an HDF5 file, or the beginning of one that is cut short.")
        with h5py.File(path, "r") as file:
            yield _read_entries(h5py, file, size, max_bytes)


def _read_entries(h5py, file, size, max_bytes):
    roots = _members(file, size, "the file")
    if len(roots) != 1:
        raise BadFile(
            "it must hold one group, with the name of the sequence; it holds "
            f"{', '.join(repr(shorten(x)) for x in roots[:5]) or 'nothing'}."
        )
    root = _child(h5py, file, roots[0], h5py.Group, "")
    where = f"{roots[0]}/data"
    data = _child(h5py, root, "data", h5py.Group, f"{roots[0]}/")
    entries, n_stored, n_intervals = {}, 0, 0
    for key in _members(data, size, where):
        at = f"{where}/{key}"
        with located(at):
            features, intervals = _find_entry(h5py, data, key, f"{where}/")
            for name, array in (("features", features), ("intervals", intervals)):
                n_stored += check_storage(array, f"{at}/{name}", max_bytes)
            if n_stored > size:
                raise BadFile(
                    f"it is damaged: the data up to {at} claim {n_stored} bytes of the file, which "
                    f"has {size}."
                )
            n_intervals += 16 * len(intervals)
            check_size(f"the intervals up to {at}", n_intervals, max_bytes)
            entries[key] = Entry(at, _read_times(intervals, f"{at}/intervals"), features)
    if not entries:
        raise BadFile(f"{where} is empty.")
    (first, width), *others = ((e.where, e.features.shape[1]) for e in entries.values())
    for other, n_features in others:
        if n_features != width:
            raise BadFile(f"{other} has {n_features} features, but {first} has {width}.")
    return entries


def _members(group, size, where):
    """Return the names in a group, whose number and length are bounded."""
    n = len(group)
    if n > size // _SHORTEST_LINK:
        raise BadFile(f"it is damaged: {where} claims {n} members in a file of {size} bytes.")
    names = list(group)
    for name in names:
        if not isinstance(name, str):  # h5py gives bytes that it cannot decode as they are
            raise BadFile(f"it is damaged: {where} has the key {shorten(name, 60)}, not UTF-8.")
        if len(name) > _LONGEST_NAME:
            raise BadFile(
                f"{where} has a key of {len(name)} characters, {shorten(name, 60)!r}; at most "
                f"{_LONGEST_NAME} are expected."
            )
    return names


def _child(h5py, group, name, kind, where):
    """Return the group or data set `name`, which must be in the file itself."""
    # By the low-level functions, because the high-level ones follow links.
    links, encoded = group.id.links, name.encode("utf-8", "surrogateescape")
    if not links.exists(encoded):
        held = ", ".join(repr(shorten(x)) for x in list(group)[:5]) or "nothing"
        raise BadFile(f"{where}{name} is missing; the group holds {held}.")
    link = links.get_info(encoded).type
    if link != h5py.h5l.TYPE_HARD:
        names = {h5py.h5l.TYPE_EXTERNAL: "an external", h5py.h5l.TYPE_SOFT: "a soft"}
        to = f" to {shorten(links.get_val(encoded), 1000)}" if link in names else ""
        raise BadFile(
            f"{where}{name} is {names.get(link, 'a user-defined')} link{to}, which is not "
            "followed: the content must be in the file itself."
        )
    child = group[name]
    if not isinstance(child, kind):
        raise BadFile(
            f"{where}{name} must be an HDF5 {kind.__name__}; it is a {type(child).__name__}."
        )
    return child


def _find_entry(h5py, data, key, where):
    """Return the data sets of features and of intervals."""
    group = _child(h5py, data, key, h5py.Group, where)
    where = f"{where}{key}"
    features, intervals = (
        _child_array(h5py, group, name, f"{where}/") for name in ("features", "intervals")
    )
    if features.ndim != 2 or intervals.ndim != 2 or intervals.shape[1] != 2:
        raise BadFile(
            f"{where}: features must have the shape (steps, features) and intervals (steps, 2); "
            f"got {features.shape} and {intervals.shape}."
        )
    if len(features) != len(intervals):
        raise BadFile(
            f"{where} has {len(features)} steps in features but {len(intervals)} in intervals."
        )
    return features, intervals


def _read_times(intervals, where):
    """Return the intervals as float64."""
    with np.errstate(over="ignore", invalid="ignore"):  # found below
        times = read_array(intervals, where).astype(np.float64)
    if not np.isfinite(times).all():
        at = np.flatnonzero(~np.isfinite(times).all(axis=1))[0]
        raise BadFile(f"{where}: step {at} has the times {times[at].tolist()}.")
    return times


def _child_array(h5py, group, name, where):
    """Return a data set of numbers that are stored in the file itself."""
    array = _child(h5py, group, name, h5py.Dataset, where)
    if array.external or array.is_virtual:
        raise BadFile(
            f"{where}{name} is kept in other files (external storage or a virtual data set), "
            "which are not read: the content must be in the file itself."
        )
    if array.shape is None or array.dtype.kind not in "biuf":
        held = "nothing" if array.shape is None else f"values of type {array.dtype}"
        raise BadFile(f"{where}{name} must hold numbers; it holds {held}.")
    return array
