"""Computational sequences (.csd) of CMU-MOSI: small files of the layout that the SDK writes."""

import json

import numpy as np

NAMES = {
    "text": "CMU_MOSI_TimestampedWordVectors.csd",
    "audio": "CMU_MOSI_COVAREP.csd",
    "video": "CMU_MOSI_Visual_Facet_42.csd",
    "labels": "CMU_MOSI_Opinion_Labels.csd",
}
# Of the standard folds: two videos of train, one each of validation and test.
A, B, V, T = "03bSnISJMiM", "2iD-tVS8NPw", "WKA5OygbEKI", "zhpQhgha_KU"
# Segments (seconds) and sentiment; A[1] has no duration.
SEGMENTS = {
    T: ([(0.5, 2.0), (2.0, 3.0)], [1.5, -1.8]),
    A: ([(0.0, 1.0), (1.0, 1.0), (2.5, 4.0)], [-3.0, 3.0, 0.0]),
    V: ([(1.0, 3.0)], [0.6]),
    B: ([(0.25, 1.0)], [-0.4]),
}
IDS = [f"{A}[0]", f"{A}[2]", f"{B}[0]", f"{V}[0]", f"{T}[0]", f"{T}[1]"]
LABELS = [-3.0, 0.0, -0.4, 0.6, 1.5, -1.8]
RATES = {"text": 2, "audio": 8, "video": 4}  # steps a second, from 0 to 4 s
WIDTHS = {"text": 3, "audio": 2, "video": 4}


def write_csd(path, entries, root="sequence", **options):
    """As the SDK writes: compressed, and metadata beside that are JSON."""
    import h5py  # the test that calls this has found it

    with h5py.File(path, "w", **options) as file:
        for key, (intervals, features) in entries.items():
            group = file.create_group(f"{root}/data/{key}")
            group.create_dataset("features", data=features, compression="gzip")
            group.create_dataset("intervals", data=intervals, compression="gzip")
        metadata = file.create_group(f"{root}/metadata")
        for name, value in {"root name": root, "md5": None}.items():
            metadata.create_dataset(name, (1,), dtype=h5py.string_dtype())[0] = json.dumps(value)
    return path


def steps(name, video, dtype=np.float32):
    """Times and features of a whole video: numbers that tell where they come from, none zero."""
    start = np.arange(4 * RATES[name]) / RATES[name]
    base = 1000 * (1 + list(SEGMENTS).index(video)) + 100 * list(WIDTHS).index(name)
    features = base + np.arange(len(start))[:, None] + np.arange(WIDTHS[name]) / 8
    return np.stack([start, start + 1 / RATES[name]], axis=1), features.astype(dtype)


def content(name):
    if name == "labels":
        return {
            video: (np.array(times), np.array(ratings)[:, None])
            for video, (times, ratings) in SEGMENTS.items()
        }
    return {video: steps(name, video) for video in SEGMENTS}


def write_all(folder):
    """Write the text, audio, video and labels; return the folder."""
    for name, file in NAMES.items():
        write_csd(folder / file, content(name))
    return folder
