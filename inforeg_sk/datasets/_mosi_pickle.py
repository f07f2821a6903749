"""Reading of the processed pickles of CMU-MOSI: aligned_50, unaligned_50 and mosi_data."""

import os
import pickle
import re
from itertools import islice

import numpy as np

from ..utils.files import BadFile, UnreadableFileError, check_file, check_size, named
from ._home import find_home, first_present
from ._mosi_bunch import check_sentiment, choose_rows, make_bunch
from ._unpickler import read_arrays

__all__ = ["PICKLES", "UnreadablePickleError", "load_pickle"]

PICKLES = ("aligned_50", "unaligned_50", "mosi_data")

# Names of the modalities and the parts in the file.
_MODALITIES = {"text": "text", "audio": "audio", "video": "vision"}
_PARTS = {"train": "train", "validation": "valid", "test": "test"}

_SOURCES = {
    "aligned_50": "the MOSI data that thuiar/MMSA on GitHub links to (folder MOSI/Processed)",
    "unaligned_50": "the MOSI data that thuiar/MMSA on GitHub links to (folder MOSI/Processed)",
    "mosi_data": "the MOSI data that pliang279/MultiBench on GitHub links to",
}


_KIND = "a pickle of CMU-MOSI"
_SEQUENCES = (list, tuple, np.ndarray)
# An array of texts takes four bytes for each character of the longest one, for every sample.
_LONGEST_ID = 256
_MOST_PARTS_OF_AN_ID = 16


class UnreadablePickleError(UnreadableFileError, pickle.UnpicklingError):
    """A pickle that is damaged, beyond a limit, or asks for more than arrays need."""


def load_pickle(data_home, features, split, target, drop_zeros, padding, reading):
    """Return the `Bunch` of `load_cmu_mosi` with `features` one of `PICKLES`."""
    path = _find_file(data_home, features, reading.follow_links)
    with named(path, _KIND), _quiet():
        parts = reading.call(_read_file, path, reading.max_bytes)
        return _make(parts, features, split, target, drop_zeros, padding, reading.max_bytes)


def _quiet():
    # Numbers that float32 or float64 cannot hold become infinite; `non_finite` counts them.
    return np.errstate(over="ignore", invalid="ignore")


def _read_file(path, max_bytes):
    """Return the samples of each part of a pickle; see `_read_part`."""
    with named(path, _KIND), _quiet():
        check_file(path)
        try:
            with open(path, "rb") as file:
                content = read_arrays(file, max_bytes)
        except pickle.UnpicklingError as error:
            raise UnreadablePickleError(f"{path}: {error}.") from error
        return {part: _read_part(content, name) for part, name in _PARTS.items()}


def _make(parts, features, split, target, drop_zeros, padding, max_bytes):
    # The layout depends on the whole file, so that a part is the same when loaded alone.
    arrays, lengths, movable, room = {}, {}, list(_MODALITIES), max_bytes
    for name in _MODALITIES:
        samples = [part[name] for part in parts.values()]
        given = [part["lengths"].get(name) for part in parts.values()]
        arrays[name], lengths[name], ragged = _stack(name, samples, given, room)
        room -= arrays[name].nbytes
        if ragged:
            movable.remove(name)  # padded here, at the end
    shifted = _pad_at_the_end(arrays, movable) if padding == "end" else []
    for name, X in arrays.items():
        if X.ndim == 3 and lengths[name] is None:
            lengths[name] = X.shape[1] - _count_leading(_is_padding(X)[:, ::-1])

    sentiment, ids, words, annotations = (
        np.concatenate([part[key] for part in parts.values()])
        for key in ("sentiment", "ids", "words", "annotations")
    )
    origin = np.repeat(list(parts), [len(part["ids"]) for part in parts.values()])
    rows = choose_rows(origin, sentiment, split, drop_zeros)
    for name, X in arrays.items():
        arrays[name] = X[rows]
    where = f"NaN, are at the end; moved there from the front: {', '.join(shifted) or 'none'}"
    where = where if padding == "end" else "all zero, are where the file has them"
    return make_bunch(
        arrays,
        sentiment[rows],
        origin[rows],
        target,
        drop_zeros,
        groups=np.array([_video(utterance) for utterance in ids[rows]], dtype=str),
        utterance_ids=ids[rows],
        transcripts=None if None in words.tolist() else words[rows],
        annotations=None if None in annotations.tolist() else annotations[rows],
        lengths={name: None if n is None else n[rows] for name, n in lengths.items()},
        mark_padding=padding == "end",
        title=f"processed features ({features})",
        source=_SOURCES[features],
        notes=f"Padding steps, {where}.",
    )


def _find_file(data_home, features, follow_links):
    """Return the path of the pickle."""
    name = f"{features}.pkl"
    how = (
        f"Nothing is downloaded: get {name} from {_SOURCES[features]} and pass it or its folder "
        "as data_home, or name the folder in the environment variable INFOREG_SK_DATA."
    )
    home = find_home("data_home", data_home, name, how)
    if os.path.lexists(home) and not os.path.isdir(home):
        return home  # the pickle itself
    folders = [home, home / "cmu_mosi", home / "Processed", home / "MOSI" / "Processed"]
    path = first_present([folder / name for folder in folders], home, follow_links)
    if path is not None:
        return path
    raise FileNotFoundError(f"{name} is not in any of: {', '.join(map(str, folders))}. {how}")


def _read_part(content, name):
    """Return the samples of one part, as lists or arrays, and their labels, ids and texts."""
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise BadFile(
            "expected a dict of the parts 'train', 'valid' and 'test', each a dict; "
            f"{name!r} is missing or is not a dict."
        )
    part = content[name]
    labels = next((key for key in ("regression_labels", "labels") if key in part), None)
    missing = [k for k in (*_MODALITIES.values(), "id") if not _is_sequence(part.get(k))]
    if labels is None:
        missing.append("regression_labels (or labels)")
    if missing:
        raise BadFile(f"part {name!r} has no {', '.join(missing)}.")
    extra = [key for key in ("raw_text", "annotations", *_length_keys().values()) if key in part]
    for key in (labels, *extra):
        if not _is_sequence(part[key]):
            raise BadFile(f"part {name!r}: {key} must be a list or an array.")

    counts = {ours: len(part[theirs]) for ours, theirs in _MODALITIES.items()}
    counts |= {key: len(part[key]) for key in ("id", labels, *extra)}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{key} {count}" for key, count in counts.items())
        raise BadFile(f"part {name!r} has different numbers of samples: {listed}.")
    n = counts["id"]
    where = f"part {name!r}: "
    return {
        "sentiment": _sentiment(where, labels, part[labels]),
        "ids": np.array(
            [_identifier(f"{where}id {i}", x) for i, x in enumerate(part["id"])], dtype=str
        ),
        "words": _texts(where, part, "raw_text", n),
        "annotations": _texts(where, part, "annotations", n),
        "lengths": {
            ours: _lengths(where + key, part[key], n)
            for ours, key in _length_keys().items()
            if key in part
        },
        **{ours: part[theirs] for ours, theirs in _MODALITIES.items()},
    }


def _is_sequence(value):
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, list | tuple)


def _length_keys():
    return {ours: f"{theirs}_lengths" for ours, theirs in _MODALITIES.items()}


def _sentiment(where, key, values):
    try:
        sentiment = np.array([np.asarray(x, dtype=float).item() for x in values], dtype=float)
    except (TypeError, ValueError):
        raise BadFile(f"{where}{key} must hold one number per sample.") from None
    try:
        check_sentiment(where.removesuffix(": "), sentiment, range(len(sentiment)))
    except ValueError as error:
        raise BadFile(str(error)) from None
    return sentiment


def _lengths(where, values, n):
    """Return numbers of steps as int64."""
    try:
        values = values.tolist() if isinstance(values, np.ndarray) else values
        lengths = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        lengths = np.empty(0)
    if len(lengths) != n or not ((lengths >= 0) & (lengths < 2**31) & (lengths % 1 == 0)).all():
        raise BadFile(f"{where} must hold one whole number, 0 or more, per sample.")
    return lengths.astype(np.int64)


def _texts(where, part, key, n):
    texts = np.full(n, None, dtype=object)
    if key in part:
        texts[:] = [_text(f"{where}{key} {i}", x) for i, x in enumerate(part[key])]
    return texts


def _text(where, value):
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if value is None or isinstance(value, str | int | float | np.generic):
        return str(value)
    raise BadFile(f"{where} must be a text; it is of type {type(value).__name__}.")


def _identifier(where, value):
    """Return the id as one string; some files hold rows of video, start and end."""
    parts = list(islice(_leaves(value, 2), _MOST_PARTS_OF_AN_ID + 1))
    if not 1 <= len(parts) <= _MOST_PARTS_OF_AN_ID:
        raise BadFile(f"{where} must be a text, or a row of 1 to {_MOST_PARTS_OF_AN_ID} values.")
    video, *rest = (_text(where, part) for part in parts)
    identifier = f"{video}[{','.join(rest)}]" if rest else video
    if len(identifier) > _LONGEST_ID:
        raise BadFile(f"{where} has more than {_LONGEST_ID} characters.")
    if "\0" in identifier:  # numpy would drop it at the end
        raise BadFile(f"{where} holds a null character.")
    return identifier


def _leaves(value, depth):
    """Yield what a sequence holds, or the sequences in it; else the value itself."""
    if not depth or not isinstance(value, _SEQUENCES):
        yield value
        return
    if isinstance(value, np.ndarray):
        value = value.ravel()[: _MOST_PARTS_OF_AN_ID + 1].tolist()
    for part in value:
        yield from _leaves(part, depth - 1)


def _video(utterance):
    """Return the video of ``video_3``, ``video$_$3`` (MMSA) or ``video[3]`` (the CMU SDK)."""
    match = re.fullmatch(r"(.+?)(?:\$_\$\d+|_\d+|\[[^\]]*\])", utterance, flags=re.DOTALL)
    return match[1] if match else utterance


def _stack(name, samples, given, max_bytes):
    """Return one array of all parts, lengths or None, and whether samples were padded here."""
    where = _MODALITIES[name]
    items, dtype = _as_numbers(where, samples)
    lengths = None if any(n is None for n in given) else np.concatenate(given)
    ragged = False
    n_samples = sum(map(len, samples if items is None else [items]))
    if items is None:
        shape = (n_samples, *samples[0].shape[1:])
        if len(shape) not in (2, 3):
            raise BadFile(
                f"{where} must have the shape (samples, steps, features) or (samples, features); "
                f"got {shape}."
            )
    elif items[0].ndim == 1 and len({x.shape for x in items}) == 1:
        shape = (n_samples, len(items[0]))
    else:
        if any(x.ndim != 2 for x in items) or len({x.shape[1] for x in items}) != 1:
            raise BadFile(
                f"{where}: each sample must have the shape (steps, features), with the same "
                f"features; got {sorted({x.shape[1:] for x in items})[:3]}."
            )
        shape = (n_samples, max(map(len, items)), items[0].shape[1])
    if 0 in shape:
        raise BadFile(f"{where} must have a sample, a step and a feature; got {shape}.")
    # Padding to the longest sample may take many times what the file holds.
    n_bytes = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    check_size(f"{where}, of the shape {shape},", n_bytes, max_bytes)
    if items is None:
        X = np.concatenate(samples).astype(dtype, copy=False)
    elif len(shape) == 2:
        X = np.stack(items).astype(dtype)
    else:
        counts = np.array([len(x) for x in items], dtype=np.int64)
        ragged = any(len({len(x) for x in X}) > 1 for X in samples)  # else the file pads them
        X = np.zeros(shape, dtype=dtype)
        for row, x in zip(X, items, strict=True):
            row[: len(x)] = x
        lengths = counts if lengths is None and ragged else lengths
    if lengths is not None and (X.ndim != 3 or not (lengths <= X.shape[1]).all()):
        raise BadFile(f"{where}_lengths must be from 0 to the number of steps.")
    return X, lengths, ragged


def _as_numbers(where, samples):
    """Return the samples of all parts, or None if they have one shape, and their type."""
    try:
        if all(isinstance(X, np.ndarray) and X.dtype.kind in "biuf" for X in samples):
            items = (
                None
                if len({X.shape[1:] for X in samples}) == 1
                else [x for X in samples for x in X]
            )
        else:
            items = [_array(x) for X in samples for x in X]
        everything = samples if items is None else items
        dtype = np.result_type(*{x.dtype for x in everything})  # numpy 1 takes 32 at most
    except (TypeError, ValueError) as error:
        raise BadFile(f"{where} must hold arrays of numbers: {error}.") from None
    if dtype.kind not in "biuf":
        raise BadFile(f"{where} must hold arrays of numbers; it holds {dtype}.")
    # float32 stays as it is. Numbers with the byte order of another machine become native.
    return items, np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64


def _array(x):
    if not isinstance(x, (*_SEQUENCES, int, float, np.generic)):
        raise TypeError(f"a sample is of type {type(x).__name__}")
    return np.asarray(x)


def _is_padding(X):
    return ~(X != 0).any(axis=2)  # steps with NaN or -inf are not padding


def _count_leading(flags):
    """Return the number of true values before the first false one in each row."""
    return np.where(flags.all(axis=1), flags.shape[1], (~flags).argmax(axis=1))


def _pad_at_the_end(arrays, names):
    """Move padding in front of samples to their end, in place; return the modalities moved.

    A file pads a modality on one side: in front if there are more leading than trailing zeros in
    all. They are compared because a single all-zero step, such as a frame without a face, is not
    padding. Modalities with equally many steps are aligned, and move together to stay so.
    """
    shifts = {}
    for name in names:
        X = arrays[name]
        if X.ndim != 3 or not X.size:
            continue
        padding = _is_padding(X)
        used = ~padding.all(axis=1)
        leading = _count_leading(padding)
        if leading[used].sum() > _count_leading(padding[:, ::-1])[used].sum():
            shifts[name] = leading
    for name, X in arrays.items():
        if name in shifts:
            aligned = [n for other, n in shifts.items() if arrays[other].shape[1] == X.shape[1]]
            steps = np.arange(X.shape[1]) + np.min(aligned, axis=0)[:, None]
            arrays[name] = np.take_along_axis(X, (steps % X.shape[1])[:, :, None], axis=1)
    return list(shifts)
