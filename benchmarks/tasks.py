"""The tasks of the benchmarks: problems with validation data, and test data apart from them.

A task is a list of problems ``(X, y, validation folds, test fold)``; a fold is a pair of row
numbers, to train on and to score. A problem without test data has None there. Real data are
looked for in the folder INFOREG_SK_DATA, else in ../shared/data.
"""

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, StratifiedKFold

from inforeg_sk import ModalityDict
from inforeg_sk.datasets import (
    load_av_digits,
    load_cmu_mosi,
    make_multimodal_classification,
)

__all__ = [
    "INTERACTION",
    "TASKS",
    "UNSCALED",
    "additive",
    "cmu_mosi_whole",
    "diabetes",
    "five_folds",
    "load",
    "redundant",
]

HOME = Path(os.environ.get("INFOREG_SK_DATA", Path(__file__).resolve().parents[2] / "shared/data"))


def av_digits():
    b = load_av_digits()
    train = b.train_indices
    return [(b.data, b.target, [(train, b.validation_indices)], (train, b.test_indices))]


def cmu_mosi():
    b = load_cmu_mosi(HOME)
    test = b.test_indices
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
    first, second = next(splitter.split(test, groups=b.groups[test]))
    train = b.train_indices
    return [(b.data, b.target, [(train, test[first])], (train, test[second]))]


def cmu_mosi_whole():
    """All of the official test part, half of which is validation data here: X, y, folds."""
    b = load_cmu_mosi(HOME)
    return b.data, b.target, [(b.train_indices, b.test_indices)]


def utd_mhad():
    with np.load(HOME / "utd_mhad" / "utd_mhad.npz") as file:
        raw = {name: file[name] for name in file.files}
    skeleton = raw["skeleton"].reshape(len(raw["y"]), 40, 20, 3)
    # Positions relative to the first frame's third joint, so that where one stands is no feature.
    skeleton = (skeleton - skeleton[:, :1, 2:3]).reshape(len(skeleton), 40, 60)
    X = ModalityDict(
        {"skeleton": skeleton, "inertial": raw["inertial"], "depth": raw["depth_motion"]}
    )
    return [(X, raw["y"], *folds_by_group(raw["subject"], [1, 3, 5, 7], [2, 4, 6, 8]))]


def spoken_digits():
    """Recordings of six speakers, each with an image of its digit drawn by a seeded rule."""
    import librosa

    paths = sorted((HOME / "fsdd").glob("*.wav"))
    audio = []
    for path in paths:
        wave, rate = librosa.load(path, sr=8000)
        wave = librosa.util.fix_length(wave, size=int(0.8 * rate))
        mel = librosa.feature.melspectrogram(y=wave, sr=rate, n_fft=256, hop_length=200, n_mels=24)
        audio.append(librosa.power_to_db(mel, ref=np.max).T)
    y = np.array([int(path.stem.split("_")[0]) for path in paths])
    speaker = np.array([path.stem.split("_")[1] for path in paths])
    digits, rng = load_digits(), np.random.default_rng(0)
    image = np.empty((len(y), 64))
    for k in range(10):
        rows = np.flatnonzero(y == k)
        drawn = rng.choice(np.flatnonzero(digits.target == k), len(rows), replace=False)
        image[rows] = digits.data[drawn]
    X = ModalityDict({"audio": np.stack(audio), "image": image})
    names = sorted(set(speaker))
    return [(X, y, *folds_by_group(speaker, names[:4], names[4:]))]


def tables():
    """Small tables, cut into modalities."""
    cancer, wine, iris = load_breast_cancer(), load_wine(), load_iris()
    made = [
        (cut(cancer.data, 10, 20), cancer.target),
        (cut(wine.data, 6), wine.target),
        (cut(iris.data, 2), iris.target),
    ]
    for n, n_classes, seed, modalities in [
        (300, 4, 0, [(2.0, 50), (1.5, 30), (1.0, 20)]),
        (120, 2, 0, [(3.0, 500), (2.0, 2000)]),
        (400, 2, 1, [(0.8, 15), (0.8, 15)]),
    ]:
        settings = {
            f"m{i}": {"strength": strength, "n_features": n_features}
            for i, (strength, n_features) in enumerate(modalities)
        }
        made.append(
            make_multimodal_classification(
                n, n_classes=n_classes, modalities=settings, random_state=seed
            )
        )
    return [(X, y, five_folds(y), None) for X, y in made]


def unscaled_tables():
    """The tables as they come; those made here in units of their own, as measured data have."""
    problems, rng = [], np.random.default_rng(0)
    for i, (X, y, folds, test) in enumerate(tables()):
        if i >= 3:
            units = {m: 10 ** rng.uniform(-2, 3, x.shape[1]) for m, x in X.items()}
            offsets = {m: rng.normal(size=x.shape[1]) for m, x in X.items()}
            X = ModalityDict({m: (x + offsets[m]) * units[m] for m, x in X.items()})
        problems.append((X, y, folds, test))
    return problems


def interaction():
    """Two made tables whose classes only both modalities together tell: wholly, and by half."""
    made = [
        make_multimodal_classification(
            600,
            n_classes=2,
            modalities={"a": {"strength": 4.0}, "b": {"strength": 4.0}},
            redundancy=0.0,
            interaction=share,
            random_state=seed,
        )
        for seed, share in enumerate((1.0, 0.5))
    ]
    return [(X, y, five_folds(y), None) for X, y in made]


# Regression: X, y, rows to train on, rows to score


def diabetes(rng):
    bunch, order = load_diabetes(), rng.permutation(442)
    X = ModalityDict({"blood": bunch.data[:, 4:], "body": bunch.data[:, :4]})
    return X, bunch.target, order[:300], order[300:]


def additive(rng):
    X = {name: rng.normal(size=(1500, 20)) for name in "abc"}
    y = X["a"][:, 0] + X["b"][:, 0] / 2 + X["c"][:, 0] / 4 + 0.5 * rng.normal(size=1500)
    return ModalityDict(X), y, np.arange(700), np.arange(700, 1500)


def redundant(rng):
    y = rng.normal(size=1500)
    X = {
        name: np.c_[y + 0.7 * rng.normal(size=1500), rng.normal(size=(1500, 19))] for name in "abc"
    }
    return ModalityDict(X), y, np.arange(700), np.arange(700, 1500)


def cut(table, *at):
    """The columns of a table as modalities, cut at some positions."""
    parts = np.split(np.asarray(table, dtype=float), at, axis=1)
    return ModalityDict({f"part {i}": part for i, part in enumerate(parts)})


def five_folds(y, groups=None):
    """Stratified folds; rows of a group stay together."""
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    return list(splitter(5, shuffle=True, random_state=0).split(np.zeros(len(y)), y, groups))


def folds_by_group(groups, train, test):
    inside = np.isin(groups, train)
    validation = [
        (np.flatnonzero(inside & (groups != g)), np.flatnonzero(groups == g)) for g in train
    ]
    return validation, (np.flatnonzero(inside), np.flatnonzero(np.isin(groups, test)))


TASKS = {
    "av_digits": av_digits,
    "cmu_mosi": cmu_mosi,
    "utd_mhad": utd_mhad,
    "spoken_digits": spoken_digits,
    "tables": tables,
}
#: The same tables as they come, without a scaler in front.
UNSCALED = {"unscaled": unscaled_tables}
#: What no network can learn that is additive over the modalities.
INTERACTION = {"interaction": interaction}
_loaded = {}


def load(task):
    if task not in _loaded:
        _loaded[task] = {**TASKS, **UNSCALED, **INTERACTION}[task]()
    return _loaded[task]
