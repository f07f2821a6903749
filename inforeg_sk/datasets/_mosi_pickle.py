"""Reading of the processed pickles of CMU-MOSI: aligned_50, unaligned_50 and mosi_data."""

import pickle
import re

import numpy as np

from ._home import find_home
from ._mosi_bunch import check_sentiment, choose_rows, make_bunch
from ._unpickler import read_arrays

__all__ = ["PICKLES", "load_pickle"]

PICKLES = ("aligned_50", "unaligned_50", "mosi_data")

# Names of the modalities and the parts in the file.
_MODALITIES = {"text": "text", "audio": "audio", "video": "vision"}
_PARTS = {"train": "train", "validation": "valid", "test": "test"}

_SOURCES = {
    "aligned_50": "the MOSI data that thuiar/MMSA on GitHub links to (folder MOSI/Processed)",
    "unaligned_50": "the MOSI data that thuiar/MMSA on GitHub links to (folder MOSI/Processed)",
    "mosi_data": "the MOSI data that pliang279/MultiBench on GitHub links to",
}


def load_pickle(data_home, features, split, target, drop_zeros, padding, reading):
    """Return the `Bunch` of `load_cmu_mosi` with `features` one of `PICKLES`."""
    path = _find_file(data_home, features)
    try:
        with open(path, "rb") as file:
            content = read_arrays(file)
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(f"{path}: {error}.") from error
    parts = {part: _read_part(path, content, name) for part, name in _PARTS.items()}

    # The layout depends on the whole file, so that a part is the same when loaded alone.
    arrays, lengths, movable = {}, {}, list(_MODALITIES)
    for name in _MODALITIES:
        samples = [part[name] for part in parts.values()]
        given = [part["lengths"].get(name) for part in parts.values()]
        arrays[name], lengths[name], ragged = _stack(path, name, samples, given)
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


def _find_file(data_home, features):
    """Return the path of the pickle."""
    name = f"{features}.pkl"
    how = (
        f"Nothing is downloaded: get {name} from {_SOURCES[features]} and pass it or its folder "
        "as data_home, or name the folder in the environment variable INFOREG_SK_DATA."
    )
    home = find_home("data_home", data_home, name, how)
    if home.is_file():
        return home
    folders = [home, home / "cmu_mosi", home / "Processed", home / "MOSI" / "Processed"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is not in any of: {', '.join(map(str, folders))}. {how}")


def _read_part(path, content, name):
    """Return the samples of one part, as lists or arrays, and their labels, ids and texts."""
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise ValueError(
            f"{path}: expected a dict of the parts 'train', 'valid' and 'test', each a dict; "
            f"{name!r} is missing or is not a dict."
        )
    part = content[name]
    labels = next((key for key in ("regression_labels", "labels") if key in part), None)
    sequences = (list, tuple, np.ndarray)
    missing = [k for k in (*_MODALITIES.values(), "id") if not isinstance(part.get(k), sequences)]
    if labels is None:
        missing.append("regression_labels (or labels)")
    if missing:
        raise ValueError(f"{path}: part {name!r} has no {', '.join(missing)}.")

    n = len(part["id"])
    try:
        sentiment = np.array([np.asarray(x, dtype=float).item() for x in part[labels]])
    except (TypeError, ValueError):
        raise ValueError(
            f"{path}: part {name!r}: {labels} must hold one number per sample."
        ) from None
    check_sentiment(f"{path}: part {name!r}", sentiment, range(len(sentiment)))
    read = {
        "sentiment": sentiment,
        "ids": np.array([_identifier(x) for x in part["id"]], dtype=str),
        "words": _texts(part, "raw_text", n),
        "annotations": _texts(part, "annotations", n),
        "lengths": {
            ours: np.asarray(part[f"{theirs}_lengths"], dtype=np.int64).ravel()
            for ours, theirs in _MODALITIES.items()
            if f"{theirs}_lengths" in part
        },
        **{ours: part[theirs] for ours, theirs in _MODALITIES.items()},
    }
    counts = {key: len(values) for key, values in read.items() if key != "lengths"}
    counts |= {f"{key} lengths": len(values) for key, values in read["lengths"].items()}
    if set(counts.values()) != {n}:
        listed = ", ".join(f"{key} {count}" for key, count in counts.items())
        raise ValueError(f"{path}: part {name!r} has different numbers of samples: {listed}.")
    return read


def _texts(part, key, n):
    texts = [None] * n if key not in part else [_text(x) for x in part[key]]
    return np.array(texts, dtype=object)


def _text(value):
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _identifier(value):
    """Return the id as one string; some files hold rows of video, start and end."""
    if isinstance(value, (list, tuple, np.ndarray)) and np.size(value) > 1:
        video, *rest = map(_text, np.ravel(np.array(value, dtype=object)))
        return f"{video}[{','.join(rest)}]"
    return _text(value)


def _video(utterance):
    """Return the video of ``video_3``, ``video$_$3`` (MMSA) or ``video[3]`` (the CMU SDK)."""
    match = re.fullmatch(r"(.+?)(?:\$_\$\d+|_\d+|\[[^\]]*\])", utterance, flags=re.DOTALL)
    return match[1] if match else utterance


def _stack(path, name, samples, given):
    """Return one array of all parts, lengths or None, and whether samples were padded here."""
    ragged = False
    where = f"{path}: {_MODALITIES[name]}"
    try:
        if all(isinstance(X, np.ndarray) and X.dtype.kind in "biuf" for X in samples):
            samples = [np.asarray(X) for X in samples]
            items = (
                None
                if len({X.shape[1:] for X in samples}) == 1
                else [x for X in samples for x in X]
            )
        else:
            items = [np.asarray(x) for X in samples for x in X]
        everything = samples if items is None else items
        dtype = np.result_type(*{x.dtype for x in everything})  # numpy 1 takes 32 at most
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} must hold arrays of numbers: {error}.") from None
    if dtype.kind not in "biuf":
        raise ValueError(f"{where} must hold arrays of numbers; it holds {dtype}.")
    # float32 stays as it is. Numbers with the byte order of another machine become native.
    dtype = np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64
    lengths = None if any(n is None for n in given) else np.concatenate(given)
    if items is None:
        X = np.concatenate(samples).astype(dtype, copy=False)
        if X.ndim not in (2, 3):
            raise ValueError(
                f"{where} must have the shape (samples, steps, features) or (samples, features); "
                f"got {X.shape}."
            )
    elif items[0].ndim == 1 and len({x.shape for x in items}) == 1:
        X = np.stack(items).astype(dtype)
    else:
        if any(x.ndim != 2 for x in items) or len({x.shape[1] for x in items}) != 1:
            raise ValueError(
                f"{where}: each sample must have the shape (steps, features), with the same "
                f"features; got {sorted({x.shape[1:] for x in items})[:3]}."
            )
        counts = np.array([len(x) for x in items], dtype=np.int64)
        ragged = any(len({len(x) for x in X}) > 1 for X in samples)  # else the file pads them
        X = np.zeros((len(items), counts.max(), items[0].shape[1]), dtype=dtype)
        for row, x in zip(X, items, strict=True):
            row[: len(x)] = x
        lengths = counts if lengths is None and ragged else lengths
    if lengths is not None and (
        X.ndim != 3 or not ((lengths >= 0) & (lengths <= X.shape[1])).all()
    ):
        raise ValueError(f"{where}_lengths must be from 0 to the number of steps.")
    return X, lengths, ragged


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
